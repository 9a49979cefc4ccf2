//! After kill -9, a panic in an actor or a lost database connection, no row is lost and no acknowledged page is
//! requested again.

use std::collections::BTreeSet;
use std::time::Duration;

use simulator::MarketConfig;

use crate::world::{PageAsked, World, ended};

fn market() -> MarketConfig {
    MarketConfig {
        funds: 60,
        days: 120,
        latency_ms: 5,
        ..MarketConfig::default()
    }
}

/// The pages that are acknowledged in the database.
pub async fn acknowledged_pages(world: &World) -> BTreeSet<PageAsked> {
    let rows = world
        .database
        .connect()
        .await
        .query(
            "SELECT source, page, key, coalesce(locator, '') FROM runner.task
             WHERE acked_cycle = planned_cycle AND outcome IN ('done', 'unchanged', 'absent')",
            &[],
        )
        .await
        .expect("runner.task answers");
    rows.into_iter()
        .filter_map(|row| PageAsked::of_task(row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_nine_no_acknowledged_page_is_requested_again() {
    for (mode, kill_after) in [("sequential", 97), ("hybrid", 150), ("parallel", 211)] {
        let world = World::new(market()).await;
        let args = ["--once", "--mode", mode, "--cycle", "monthly"];
        let mut child = world.spawn(&args);
        while world.simulator.log().requests.len() < kill_after {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().await.expect("the runner can be killed");
        let asked_before = world.simulator.log().requests.len();
        let done = acknowledged_pages(&world).await;
        assert!(
            done.len() > 20,
            "{mode}: nearly nothing was acknowledged before the kill: {done:?}"
        );
        let seen: BTreeSet<PageAsked> = world
            .simulator
            .log()
            .requests
            .iter()
            .flat_map(PageAsked::of_request)
            .collect();
        let unknown: Vec<_> = done.iter().filter(|page| !seen.contains(*page)).collect();
        assert!(
            unknown.is_empty(),
            "{mode}: the test does not know how these are asked: {unknown:?}"
        );
        world.run(&args).await.exits(0);
        world.assert_truth().await;
        let log = world.simulator.log();
        let again: Vec<PageAsked> = log.requests[asked_before..]
            .iter()
            .flat_map(PageAsked::of_request)
            .filter(|page| done.contains(page))
            .collect();
        assert!(
            again.is_empty(),
            "{mode}: acknowledged and asked again: {again:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_any_actor_is_survived() {
    for failpoints in [
        "send::before=40*off->1*return(panic)->off",
        "merge::received=40*off->1*return(panic)->off",
        "batch::named=8*off->1*return(panic)->off",
        "batch::committed=8*off->1*return(panic)->off",
        "loader::committed=8*off->1*return(error)->off",
    ] {
        let mut world = World::new(market()).await;
        world.settings.failpoints = failpoints.to_owned();
        let run = world
            .run(&["--once", "--mode", "hybrid", "--cycle", "monthly"])
            .await;
        run.exits(0).says("restarted");
        world.assert_truth().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_drops_its_sessions_is_waited_for() {
    let world = World::new(market()).await;
    let child = world.spawn(&["--once", "--mode", "parallel", "--cycle", "monthly"]);
    for requests in [60, 120, 180] {
        while world.simulator.log().requests.len() < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.database.end_sessions().await;
    }
    let run = ended(child).await;
    // A2: the runner waits for the database in place; an outage is not an actor's failure.
    assert!(
        !run.exits(0).output.contains("actors restarted"),
        "{}",
        run.output
    );
    world.assert_truth().await;
}
