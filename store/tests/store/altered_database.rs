//! Databases that others altered: triggers and rules that drop rows, renamed columns, dropped tables, added constraints
//! and settings, and revoked rights.

use std::time::Duration;

use schema::columns::{FeeFields, MasterFields};
use schema::{SourceName, TaskAnswer};
use store::{Batch, StoreError, TableShape, TaskFilter, Writer};

use crate::server::{connect, fresh_database};
use crate::world::{World, days, fees, list_of, master, number, open};

const FINNOMENA: SourceName = SourceName::Finnomena;

fn fee(amount: &str) -> FeeFields {
    FeeFields {
        ter_actual: Some(number(amount)),
        ..FeeFields::default()
    }
}

/// The list, and a master record, fees and two days of the fund A.
fn answers(amount: &str, nav: &str) -> Vec<TaskAnswer> {
    let named = MasterFields {
        amc: Some(format!("AMC {amount}")),
        ..MasterFields::default()
    };
    vec![
        list_of(&["A"]),
        master("A", FINNOMENA, named),
        fees("A", FINNOMENA, fee(amount)),
        days(
            "A",
            FINNOMENA,
            &[(13, [nav, "", "", ""]), (14, ["10.6", "", "", ""])],
        ),
    ]
}

async fn commit(world: &mut World, answers: Vec<TaskAnswer>) -> StoreError {
    world.plan(&answers).await;
    match world
        .writer
        .commit(&world.cycle, &Batch::new(answers))
        .await
    {
        Ok(report) => panic!("it was committed: {report:?}"),
        Err(error) => error,
    }
}

const DROPS_ROWS: &str =
    "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'";

/// `schema/tables.txt` lists what the migrations create. `UPDATE_TABLES=1 cargo test -p store tables_txt` regenerates
/// it.
#[tokio::test]
async fn tables_txt_lists_what_the_migrations_make() {
    let database = fresh_database().await;
    if std::env::var_os("UPDATE_TABLES").is_some() {
        // With an empty list nothing is compared, so that the migrations run.
        drop(Writer::open(&database, Duration::ZERO).await);
    } else {
        drop(open(&database).await);
    }
    let sql = connect(&database).await;
    let rows = sql
        .query(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'runner', 'history') ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let found = TableShape::read(&sql, &names).await.unwrap().text();
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/tables.txt"),
            &found,
        )
        .unwrap();
        return;
    }
    assert_eq!(TableShape::expected().text(), found);
}

/// D12: a trigger that drops rows ends the batch with the table's name in the error. Nothing is acknowledged.
#[tokio::test]
async fn a_trigger_that_drops_rows_ends_the_batch_with_the_tables_name() {
    for (table, when) in [
        ("public.funds_master_info", "INSERT"),
        ("public.funds_fee", "INSERT"),
        ("public.funds_fee", "UPDATE"),
        ("public.funds_daily", "INSERT"),
        ("public.funds_daily", "UPDATE"),
        ("runner.observation", "INSERT"),
        ("runner.observation", "UPDATE"),
        ("runner.fund", "INSERT"),
        ("runner.alias", "INSERT"),
        ("runner.task", "UPDATE"),
        ("runner.cycle_count", "INSERT"),
        ("runner.last_batch", "INSERT"),
        ("history.change", "INSERT"),
    ] {
        let mut world = World::new().await;
        let changes = when == "UPDATE" || table == "history.change";
        if changes && table != "runner.task" {
            world.commit(answers("1.5", "10.5")).await;
        }
        let later = answers("1.7", "10.7");
        if table == "runner.task" {
            world.plan(&later).await;
        } else if changes {
            world
                .next_cycle(crate::world::TODAY, store::CycleKind::Daily)
                .await;
            world.plan(&later).await;
        }
        world.sql.batch_execute(DROPS_ROWS).await.unwrap();
        world
            .sql
            .batch_execute(&format!(
                "CREATE TRIGGER silent BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION nothing()"
            ))
            .await
            .unwrap();
        let before = world.versions().await;
        let error = commit(&mut world, later).await;
        assert!(
            matches!(&error, StoreError::RowsMissing { table: named, expected, found }
                if named == table && expected > found),
            "{table} {when}: {error:?}"
        );
        assert!(!error.is_outage() && !error.is_bad_data(), "{table} {when}");
        assert_eq!(world.versions().await, before, "{table} {when}");
        let left = world
            .writer
            .checkpoint(&world.cycle, &TaskFilter::WHOLE)
            .await
            .unwrap();
        assert_eq!(left.len(), 4, "{table} {when}: tasks were acknowledged");
        assert!(left.iter().all(|task| task.known_payload.is_none()));
    }
}

/// D12: a rule that replaces a statement by nothing is detected like a trigger.
#[tokio::test]
async fn a_rule_that_drops_rows_ends_the_batch() {
    for (table, rule) in [
        (
            "history.change",
            "ON INSERT TO history.change DO INSTEAD NOTHING",
        ),
        (
            "runner.rejected",
            "ON INSERT TO runner.rejected DO INSTEAD NOTHING",
        ),
        (
            "runner.cycle_count",
            "ON INSERT TO runner.cycle_count DO INSTEAD NOTHING",
        ),
    ] {
        let mut world = World::new().await;
        world.commit(answers("1.5", "10.5")).await;
        world
            .next_cycle(crate::world::TODAY, store::CycleKind::Daily)
            .await;
        world
            .sql
            .batch_execute(&format!("CREATE RULE silent AS {rule}"))
            .await
            .unwrap();
        let mut later = answers("1.7", "10.7");
        later[2].rejects.push(schema::Reject {
            fund_code: None,
            dataset: schema::Dataset::Fees,
            field: "ter".to_owned(),
            reason: "no number".to_owned(),
            sample: "x".to_owned(),
            severity: schema::task::Severity::Rejected,
        });
        let error = commit(&mut world, later).await;
        assert!(!error.is_outage() && !error.is_bad_data(), "{error}");
        assert!(
            error.to_string().contains(table) || error.to_string().contains("rules"),
            "{error}"
        );
    }
}

/// A2: an error that waiting cannot fix is not an outage. It names the statement, the SQLSTATE and the next step.
#[tokio::test]
async fn an_altered_table_ends_the_run_and_is_named_at_the_next_start() {
    for (alteration, sqlstate, at_the_start) in [
        (
            "ALTER TABLE public.funds_fee RENAME COLUMN ter_actual TO ter",
            "42703",
            "ALTER TABLE public.funds_fee RENAME COLUMN ter TO ter_actual",
        ),
        (
            "ALTER TABLE public.funds_daily DROP COLUMN bid CASCADE",
            "42703",
            "ALTER TABLE public.funds_daily ADD COLUMN bid numeric",
        ),
        (
            "ALTER TABLE public.funds_fee DROP CONSTRAINT funds_fee_pkey",
            "42P10",
            "ALTER TABLE public.funds_fee ADD PRIMARY KEY (fund_code)",
        ),
        (
            "DROP TABLE public.funds_fee CASCADE",
            "42P01",
            "the table public.funds_fee is missing",
        ),
        (
            "DROP TABLE runner.last_batch",
            "42P01",
            "the table runner.last_batch is missing",
        ),
        (
            "ALTER TABLE runner.observation RENAME COLUMN url TO address",
            "42703",
            "RENAME COLUMN address TO url",
        ),
    ] {
        let mut world = World::new().await;
        world.sql.batch_execute(alteration).await.unwrap();
        let error = commit(&mut world, answers("1.5", "10.5")).await;
        let text = error.to_string();
        assert!(
            matches!(error, StoreError::Permanent(_)),
            "{alteration}: {error:?}"
        );
        assert!(
            text.contains(&format!("SQLSTATE {sqlstate}")),
            "{alteration}: {text}"
        );
        assert!(
            text.contains("in the statement `") && text.contains("next: "),
            "{text}"
        );
        drop(world.writer);
        let error = Writer::open(&world.database, Duration::from_secs(10))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, StoreError::Unfit(why) if why.contains(at_the_start)),
            "{alteration}: {error}"
        );
        let facts = store::Reader::new(&world.database, 1)
            .unwrap()
            .server_facts()
            .await;
        assert!(
            matches!(&facts, Err(StoreError::Unfit(why)) if why.contains(at_the_start)),
            "{alteration}: {facts:?}"
        );
    }
}

/// A2: a trigger that raises an error ends the run. The error names the place.
#[tokio::test]
async fn a_raising_trigger_ends_the_run() {
    for table in ["public.funds_fee", "public.funds_daily", "runner.task"] {
        let mut world = World::new().await;
        let planned = answers("1.5", "10.5");
        world.plan(&planned).await;
        world
            .sql
            .batch_execute(&format!(
                "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today''; END';
                 CREATE TRIGGER refuses BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuses()"
            ))
            .await
            .unwrap();
        let batch = Batch::new(planned);
        let error = world.writer.commit(&world.cycle, &batch).await.unwrap_err();
        let text = error.to_string();
        for words in [
            "not today",
            "P0001",
            "PL/pgSQL function",
            "correct or drop it",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}

/// An additional column is allowed unless no row can be inserted without it.
#[tokio::test]
async fn a_further_column_is_refused_only_where_rows_cannot_leave_it_out() {
    for (alteration, fits) in [
        ("ALTER TABLE public.funds_fee ADD COLUMN note text", true),
        (
            "ALTER TABLE public.funds_fee ADD COLUMN note text NOT NULL DEFAULT 'x'",
            true,
        ),
        (
            "ALTER TABLE public.funds_fee ADD COLUMN note text NOT NULL",
            false,
        ),
        (
            "ALTER TABLE runner.last_batch ALTER COLUMN batch_id TYPE varchar(200)",
            false,
        ),
        ("CREATE TABLE public.mine (a int)", true),
        // A unique index over the key's columns is enough, because adopted tables keep their own primary key.
        (
            "ALTER TABLE public.funds_holding DROP CONSTRAINT funds_holding_pkey, ADD COLUMN id serial PRIMARY KEY,
                 ADD UNIQUE (fund_code, source, holding_type, row_no)",
            true,
        ),
        (
            "ALTER TABLE public.funds_holding DROP CONSTRAINT funds_holding_pkey, ADD COLUMN id serial PRIMARY KEY,
                 ADD UNIQUE (fund_code, source, row_no)",
            false,
        ),
    ] {
        let world = World::new().await;
        drop(world.writer);
        world.sql.batch_execute(alteration).await.unwrap();
        let opened = Writer::open(&world.database, Duration::from_secs(10)).await;
        assert_eq!(opened.is_ok(), fits, "{alteration}: {opened:?}");
    }
}

/// D6: the error names an added constraint and its table. Its task ends failed and the others are stored. The task is
/// not requested again while the constraint exists.
#[tokio::test]
async fn an_added_constraint_is_named_and_its_tasks_are_not_requested_twice() {
    for (added, named, removed) in [
        (
            "ALTER TABLE public.funds_fee ADD CONSTRAINT cheap CHECK (ter_actual < 1)",
            "cheap on public.funds_fee",
            "ALTER TABLE public.funds_fee DROP CONSTRAINT cheap",
        ),
        (
            "CREATE UNIQUE INDEX one_price ON public.funds_fee ((ter_actual IS NULL))",
            "one_price on public.funds_fee",
            "DROP INDEX one_price",
        ),
        (
            "ALTER TABLE public.funds_fee ALTER COLUMN ter_max SET NOT NULL",
            "NOT NULL of ter_max on public.funds_fee",
            "ALTER TABLE public.funds_fee ALTER COLUMN ter_max DROP NOT NULL",
        ),
    ] {
        let mut world = World::new().await;
        world.commit(vec![list_of(&["A", "B", "C"])]).await;
        if added.contains("UNIQUE") {
            world
                .sql
                .batch_execute(
                    "INSERT INTO public.funds_fee (fund_code, ter_actual) VALUES ('A', 3)",
                )
                .await
                .unwrap();
        }
        world.sql.batch_execute(added).await.unwrap();
        let report = world
            .commit(vec![
                fees("B", FINNOMENA, fee("1.5")),
                days("B", FINNOMENA, &[(1, ["10.5", "", "", ""])]),
                fees("C", FINNOMENA, fee("1.6")),
            ])
            .await;
        let failures: Vec<String> = report
            .tasks
            .iter()
            .filter(|task| !task.outcome().is_answer())
            .map(|task| format!("{:?}", task.outcome()))
            .collect();
        assert_eq!(failures.len(), 2, "{added}: {failures:?}");
        assert!(
            failures[0].contains(&format!("the constraint {named} refuses")),
            "{failures:?}"
        );
        assert_eq!(failures[0], failures[1], "one constraint has one reason");
        assert_eq!(world.table("funds_daily").await.len(), 1);
        let left = world
            .writer
            .begin_round_two(&mut world.cycle)
            .await
            .unwrap();
        assert_eq!(left, 0, "{added}: asked again");
        world.sql.batch_execute(removed).await.unwrap();
        let left = world
            .writer
            .begin_round_two(&mut world.cycle)
            .await
            .unwrap();
        assert_eq!(left, 2, "{added}: the constraint is gone");
    }
}

/// D1: settings of the role or the database do not weaken the writer's session.
#[tokio::test]
async fn settings_of_the_database_do_not_weaken_the_writer() {
    let database = fresh_database().await;
    let name = database.rsplit("dbname=").next().unwrap().to_owned();
    let sql = connect(&database).await;
    for setting in [
        "synchronous_commit = off",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
        "default_transaction_deferrable = on",
        "statement_timeout = '200ms'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "search_path = 'nowhere'",
        "TimeZone = 'Asia/Bangkok'",
        "DateStyle = 'German'",
    ] {
        sql.batch_execute(&format!("ALTER DATABASE {name} SET {setting}"))
            .await
            .unwrap();
    }
    let mut writer = open(&database).await;
    let admin = "SET default_transaction_read_only = off; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;";
    sql.batch_execute(admin).await.unwrap();
    sql.batch_execute(
        "CREATE TABLE public.seen AS SELECT name, setting FROM pg_settings LIMIT 0;
         CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO public.seen SELECT name, setting FROM pg_settings; RETURN NULL; END';
         CREATE TRIGGER look AFTER INSERT OR UPDATE ON runner.heartbeat FOR EACH ROW EXECUTE FUNCTION public.look()",
    )
    .await
    .unwrap();
    writer.heartbeat("looking").await.unwrap();
    for (name, expected) in [
        ("synchronous_commit", "on"),
        ("transaction_isolation", "read committed"),
        ("transaction_read_only", "off"),
        ("transaction_deferrable", "off"),
        ("statement_timeout", "600000"),
        ("lock_timeout", "60000"),
        ("idle_in_transaction_session_timeout", "60000"),
        ("search_path", "pg_catalog, public, pg_temp"),
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO, YMD"),
    ] {
        let row = sql
            .query_one("SELECT setting FROM public.seen WHERE name = $1", &[&name])
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), expected, "{name}");
    }
    let reader = store::Reader::new(&database, 1).unwrap();
    reader.status(None).await.unwrap();
}

/// O9: a database that cannot store Thai text is refused with the statement that creates one that can.
#[tokio::test]
async fn an_encoding_other_than_utf8_is_refused() {
    let database = fresh_database().await;
    let sql = connect(&database).await;
    let name = database.rsplit("dbname=").next().unwrap().to_owned();
    for encoding in ["LATIN1", "SQL_ASCII", "WIN874"] {
        let other = format!("{name}_{}", encoding.to_lowercase());
        sql.batch_execute(&format!(
            "CREATE DATABASE {other} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        ))
        .await
        .unwrap();
        let address = database.replace(&name, &other);
        let error = Writer::open(&address, Duration::ZERO).await.unwrap_err();
        let line = format!("CREATE DATABASE {other}_utf8 ENCODING 'UTF8' TEMPLATE template0");
        assert!(
            matches!(&error, StoreError::Unfit(why) if why.contains(encoding) && why.contains(&line)),
            "{error}"
        );
        let facts = store::Reader::new(&address, 1)
            .unwrap()
            .server_facts()
            .await;
        assert!(matches!(facts, Err(StoreError::Unfit(_))), "{facts:?}");
    }
}

/// O9: a role without the required rights is refused with the statements that grant them. With these it is accepted.
#[tokio::test]
async fn missing_rights_are_named_with_the_lines_that_grant_them() {
    for (at, prepare) in [
        "",
        "GRANT CREATE ON DATABASE {db} TO {role}",
        "GRANT ALL ON SCHEMA public TO {role}",
        "DROP SCHEMA public; GRANT CREATE ON DATABASE {db} TO {role}",
        "{migrate}",
    ]
    .into_iter()
    .enumerate()
    {
        let database = fresh_database().await;
        let name = database.rsplit("dbname=").next().unwrap().to_owned();
        let role = format!("plain_{name}_{at}");
        let sql = connect(&database).await;
        sql.batch_execute(&format!("CREATE ROLE {role} LOGIN"))
            .await
            .unwrap();
        if prepare == "{migrate}" {
            drop(open(&database).await);
        } else {
            let prepare = prepare.replace("{db}", &name).replace("{role}", &role);
            sql.batch_execute(&prepare).await.unwrap();
        }
        let address = database.replace("user=runner", &format!("user={role}"));
        let mut tries = 0;
        loop {
            let Err(error) = Writer::open(&address, Duration::from_secs(10)).await else {
                break;
            };
            tries += 1;
            let StoreError::Unfit(why) = &error else {
                panic!("{prepare}: {error:?}");
            };
            let (_, lines) = why.split_once("superuser: ").unwrap();
            assert!(lines.contains(&role) && tries < 3, "{prepare}: {why}");
            sql.batch_execute(lines)
                .await
                .unwrap_or_else(|failed| panic!("{lines}: {failed}"));
        }
        assert!(tries > 0, "{prepare}: nothing was missing");
    }
}
