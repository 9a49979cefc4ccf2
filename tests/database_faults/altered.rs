//! A2, D12: the database is altered during a run. Waiting does not repair it, so the run ends with exit code 1 and
//! reports what to repair. After the repair, the same command resumes the cycle.

use super::live::Live;
use super::{ONCE, market};
use crate::world::{Act, DatabaseProxy, World};

/// The alteration, the words that the run must report, and the statement that undoes it.
const ALTERATIONS: [(&str, [&str; 2], &str); 5] = [
    (
        "ALTER TABLE public.funds_fee RENAME COLUMN ter_actual TO ter",
        ["SQLSTATE 42703", "ter_actual"],
        "ALTER TABLE public.funds_fee RENAME COLUMN ter TO ter_actual",
    ),
    (
        "ALTER TABLE public.funds_daily RENAME TO mine",
        ["SQLSTATE 42P01", "funds_daily"],
        "ALTER TABLE public.mine RENAME TO funds_daily",
    ),
    (
        "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today''; END';
         CREATE TRIGGER refuses BEFORE INSERT OR UPDATE ON public.funds_daily FOR EACH ROW EXECUTE FUNCTION refuses()",
        ["SQLSTATE P0001", "not today"],
        "DROP FUNCTION refuses() CASCADE",
    ),
    (
        "CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER drops BEFORE INSERT ON public.funds_daily FOR EACH ROW EXECUTE FUNCTION drops()",
        [
            "the table public.funds_daily did not take",
            "a trigger that returns NULL",
        ],
        "DROP FUNCTION drops() CASCADE",
    ),
    (
        "CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER drops BEFORE UPDATE ON runner.task FOR EACH ROW EXECUTE FUNCTION drops()",
        [
            "the table runner.task did not take",
            "a trigger that returns NULL",
        ],
        "DROP FUNCTION drops() CASCADE",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_database_altered_in_mid_run_ends_the_run_and_once_repaired_it_resumes() {
    for (alteration, named, mend) in ALTERATIONS {
        let world = World::new(market()).await;
        let proxy = DatabaseProxy::before(&world.database.url()).await;
        let mut begun = 0;
        proxy.rule(move |asked| {
            begun += u32::from(asked.text == "START TRANSACTION");
            (asked.text == "START TRANSACTION" && begun == 12).then_some(Act::Hold)
        });
        let mut command = world.command(&ONCE);
        command.env("DATABASE_URL", proxy.url());
        let live = Live::start(command);
        proxy.holds().await;
        let sql = world.database.connect().await;
        sql.batch_execute(alteration).await.expect(alteration);
        proxy.release();
        let run = live.ended().await;
        run.exits(1).says("next: ");
        for part in named {
            run.says(part);
        }
        for wrong in ["an actor failed", "waiting for the database", "panicked"] {
            assert!(!run.output.contains(wrong), "{alteration}: {}", run.output);
        }
        // Without the repair, the next start fails as well.
        world.run(&ONCE).await.exits(1);
        sql.batch_execute(mend).await.expect(mend);
        world.run(&ONCE).await.exits(0).says("resumed=true");
        world.assert_truth().await;
    }
}
