//! Stops while the runner is blocked in an operation that cannot be interrupted: the deadline ends it.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use simulator::MarketConfig;

use super::running::{Running, cycle_is_closed, goes_on_to_the_truth, wait_until};
use crate::world::World;

const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];
const DEADLINE: Duration = Duration::from_secs(3);

async fn world() -> World {
    let mut world = World::new(MarketConfig {
        funds: 6,
        days: 20,
        ..MarketConfig::default()
    })
    .await;
    world.settings.more = format!("supervision: (shutdown_secs: {}),", DEADLINE.as_secs());
    world
}

/// Another session locks a table that planning or a batch needs. The runner and its session end at the deadline,
/// although they are in the middle of a statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_does_not_keep_the_runner_beyond_its_deadline() {
    let cases = ["runner.task", "public.funds_daily"].map(|table| async move {
        let world = world().await;
        // Creates the tables, with almost no rows.
        let running = Running::start(&world, &MONTHLY).await;
        running.says("cycle begins").await;
        running.stop(&world, Signal::SIGTERM).await;
        let mut somebody = world.database.connect().await;
        let held = somebody.transaction().await.expect("a transaction");
        held.batch_execute(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
            .await
            .expect("locked");
        let running = Running::start(&world, &MONTHLY).await;
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
            AND application_name LIKE 'master_runner%' AND wait_event_type = 'Lock')";
        wait_until("it waits for the table", async || {
            world.one::<bool>(waits).await
        })
        .await;
        let stopped = running.stop(&world, Signal::SIGTERM).await;
        stopped.run.exits(4);
        assert!(
            stopped.took < DEADLINE + Duration::from_secs(1),
            "{:?}",
            stopped.took
        );
        held.rollback().await.expect("let go");
        goes_on_to_the_truth(&world, &MONTHLY).await;
    });
    futures_util::future::join_all(cases).await;
}

/// The reader of the summary has stalled (`| less`). The work is complete, and the exit code shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_has_stalled_does_not_keep_the_runner_beyond_its_deadline() {
    let world = world().await;
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("a flag");
    let mut full = &theirs;
    while full.write(&[b'.'; 4096]).is_ok() {}
    theirs.set_nonblocking(false).expect("a flag");
    let mut command = world.command(&MONTHLY);
    command.arg("--no-progress");
    let mut running = Running::spawn_with_output(command, &world, OwnedFd::from(theirs));
    running.hears_signals().await;
    wait_until("the cycle is closed", async || {
        cycle_is_closed(&world).await
    })
    .await;
    let stopped = running.stop(&world, Signal::SIGTERM).await;
    stopped.run.exits(0);
    assert!(
        stopped.took < DEADLINE + Duration::from_secs(1),
        "{:?}",
        stopped.took
    );
    drop(ours);
    world.assert_truth().await;
}
