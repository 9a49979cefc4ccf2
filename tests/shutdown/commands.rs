//! Stops of the other commands: each ends with exit code 4, changes nothing, and leaves no process behind.

use nix::sys::signal::Signal;
use simulator::{FaultKind, Site};

use super::running::{Running, wait_until};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn check_probe_psql_and_remerge_stop_at_a_signal() {
    let world = World::plain(4).await;
    world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
    let code = world.active(1)[0].clone();
    world.fault(Site::Finnomena, FaultKind::Slow(30_000));
    for args in [&["check"][..], &["probe", "finnomena", code.as_str()]] {
        let asked = world.simulator.log().of(Site::Finnomena).count();
        let running = Running::start(&world, args).await;
        wait_until("a page is asked", async || {
            world.simulator.log().of(Site::Finnomena).count() > asked
        })
        .await;
        running.stops_promptly(&world, Signal::SIGINT).await;
    }

    let running = Running::start(&world, &["psql", "--", "-c", "SELECT pg_sleep(600)"]).await;
    let sleeping = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND datname = current_database())";
    wait_until("psql is at work", async || {
        world.one::<bool>(sleeping).await
    })
    .await;
    running.stops_promptly(&world, Signal::SIGTERM).await;
    wait_until("its query is gone as well", async || {
        !world.one::<bool>(sleeping).await
    })
    .await;

    let written = world.written().await;
    let mut somebody = world.database.connect().await;
    let held = somebody.transaction().await.expect("a transaction");
    held.batch_execute("LOCK TABLE runner.observation IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("locked");
    let running = Running::start(&world, &["remerge"]).await;
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
        AND application_name LIKE 'master_runner%' AND wait_event_type = 'Lock')";
    wait_until("it waits", async || world.one::<bool>(waits).await).await;
    running.stops_promptly(&world, Signal::SIGTERM).await;
    held.rollback().await.expect("let go");
    assert_eq!(world.written().await, written, "something was written");
}
