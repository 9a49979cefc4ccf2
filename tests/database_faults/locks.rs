//! Conflicts with other sessions: a deadlock, a held lock, and a runner that is killed while it waits for a lock.

use std::time::Duration;

use super::live::Live;
use super::{ONCE, market, soak_secs};
use crate::world::{Act, Database, DatabaseProxy, World};

/// Waits until the runner's session waits for a lock on this table. Returns the id of its server process.
async fn blocked(database: &Database, table: &str, other_than: Option<&str>) -> String {
    let sql = format!(
        "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE NOT l.granted AND l.relation = '{table}'::regclass AND a.application_name = 'master_runner'"
    );
    for _ in 0..3000 {
        let waiting = database.ask(&sql).await;
        let pid = waiting.first().and_then(|row| row[0].clone());
        if let Some(pid) = pid.filter(|pid| Some(pid.as_str()) != other_than) {
            return pid;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the runner never waited for {table}");
}

/// A2: a real deadlock with a session that locks in the opposite order. The server rolls the runner's transaction back,
/// and the runner repeats it in the same session. It keeps the advisory lock, so no standby takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_retried_without_releasing_the_lock() {
    let world = World::new(market()).await;
    let proxy = DatabaseProxy::before(&world.database.url()).await;
    let mut met = false;
    proxy.rule(move |asked| {
        // At this point the batch has written its row of `runner.observation` and has not accessed `public.funds_fee`
        // yet.
        let hold =
            !met && asked.text.starts_with("prepare") && asked.text.contains("public.funds_fee");
        met |= hold;
        hold.then_some(Act::Hold)
    });
    let mut command = world.command(&ONCE);
    command.env("DATABASE_URL", proxy.url());
    let mut live = Live::start(command);
    proxy.holds().await;
    let session = "SELECT pid::text, backend_start::text FROM pg_stat_activity WHERE application_name = 'master_runner' AND datname = current_database()";
    let before = world.ask(session).await;
    let other = world.database.connect().await;
    // With this setting the server detects the deadlock in the runner's session and rolls that transaction back.
    other
        .batch_execute(
            "SET deadlock_timeout = '1h'; BEGIN; LOCK TABLE public.funds_fee IN ACCESS EXCLUSIVE MODE",
        )
        .await
        .expect("the first lock is taken");
    let crossing = tokio::spawn(async move {
        other
            .batch_execute("LOCK TABLE runner.observation IN ACCESS EXCLUSIVE MODE; ROLLBACK")
            .await
    });
    let waits =
        "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'runner.observation'::regclass";
    while world.ask(waits).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.release();
    live.says("deadlock detected (SQLSTATE 40P01)").await;
    crossing
        .await
        .expect("its task lives")
        .expect("the other session gets its locks");
    assert_eq!(
        world.ask(session).await,
        before,
        "the session, and with it the lock, was given up"
    );
    let run = live.ended().await;
    run.exits(0).says("nothing is lost");
    assert!(!run.output.contains("an actor failed"), "{}", run.output);
    world.assert_truth().await;
}

/// O2: a runner is killed while its session waits for a user's lock. The server detects that the client is gone and
/// ends the session, which holds the runner's lock. The next start, seconds later, gets the lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_killed_while_it_waits_for_a_lock_does_not_keep_the_next_one_out() {
    let world = World::new(market()).await;
    let mut first = Live::start(world.command(&ONCE));
    while world.ask("SELECT to_regclass('runner.last_batch')").await[0][0].is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let user = world.database.connect().await;
    user.batch_execute("BEGIN; LOCK TABLE runner.last_batch IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("the user gets the lock");
    let dead = blocked(&world.database, "runner.last_batch", None).await;
    first.child.kill().await.expect("the runner is killed");
    let second = Live::start(world.command(&ONCE));
    blocked(&world.database, "runner.last_batch", Some(&dead)).await;
    user.batch_execute("ROLLBACK").await.expect("it is let go");
    let run = second.ended().await;
    run.exits(0);
    assert!(
        !run.output.contains("another runner holds this database"),
        "{}",
        run.output
    );
    world.assert_truth().await;
}

/// A lock that is held longer than the session's lock timeout (a minute) is reported and waited out. Runs only with
/// `MASTER_RUNNER_SOAK_SECS` because it takes more than a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_held_for_longer_than_a_minute_is_waited_out() {
    if soak_secs("locks::a_lock_held_for_longer_than_a_minute_is_waited_out").is_none() {
        return;
    }
    let world = World::new(market()).await;
    let mut live = Live::start(world.command(&ONCE));
    while world.ask("SELECT to_regclass('public.funds_fee')").await[0][0].is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let user = world.database.connect().await;
    user.batch_execute("BEGIN; LOCK TABLE public.funds_fee IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("the user gets the lock");
    live.says("(SQLSTATE 55P03); another session holds a lock on a table of the warehouse")
        .await;
    user.batch_execute("ROLLBACK").await.expect("it is let go");
    let run = live.ended().await;
    run.exits(0);
    world.assert_truth().await;
}
