//! Nothing is lost and nothing is asked twice: kill -9, a panic in an actor, a database that goes away.

use std::collections::BTreeSet;
use std::time::Duration;

use replica::{MarketConfig, Site};

use crate::world::{World, ended};

fn market() -> MarketConfig {
    MarketConfig {
        funds: 60,
        days: 120,
        latency_ms: 5,
        ..MarketConfig::default()
    }
}

/// URLs of pages that stand acknowledged in the database, by the last path the replica saw for them.
async fn acknowledged(world: &World) -> BTreeSet<(String, String, String)> {
    world
        .database
        .connect()
        .await
        .query(
            "SELECT source, page, key FROM runner.task WHERE acked_cycle = planned_cycle AND outcome IN ('done', 'unchanged', 'absent')",
            &[],
        )
        .await
        .expect("runner.task answers")
        .into_iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_nine_no_acknowledged_page_is_asked_again() {
    for (mode, kill_after) in [("sequential", 97), ("hybrid", 150), ("parallel", 211)] {
        let world = World::new(market()).await;
        let args = ["--once", "--mode", mode, "--cycle", "monthly"];
        let mut child = world.spawn(&args);
        while world.replica.log().requests.len() < kill_after {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().await.expect("the runner can be killed");
        let asked_before = world.replica.log().requests.len();
        let done = acknowledged(&world).await;
        assert!(
            !done.is_empty(),
            "{mode}: nothing was acknowledged before the kill"
        );
        world.run(&args).await.exits(0);
        world.assert_truth().await;
        let log = world.replica.log();
        let again: Vec<&str> = log.requests[asked_before..]
            .iter()
            .map(|request| request.path.as_str())
            .collect();
        let nav_paths: Vec<String> = done
            .iter()
            .filter(|(source, page, _)| source == "finnomena" && page == "list")
            .map(|_| "/fn3/api/fund/v2/public/funds".to_owned())
            .collect();
        for path in nav_paths {
            assert!(
                !again.contains(&path.as_str()),
                "{mode}: {path} was acknowledged and asked again"
            );
        }
        // Every page of the whole cycle was asked at most once more than it was in flight at the kill.
        let in_flight = 6 * 3;
        let doubled = log.counts().into_iter().filter(|((site, path), count)| {
            *site != Site::Documents && !path.contains("robots.txt") && *count > 1
        });
        let doubled: Vec<_> = doubled.collect();
        assert!(
            doubled.len() <= in_flight,
            "{mode}: asked more than once: {doubled:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_any_actor_is_survived() {
    for failpoints in [
        "source::answered=40*off->1*panic(injected)->off",
        "merge::received=40*off->1*panic(injected)->off",
        "loader::before_commit=8*off->1*panic(injected)->off",
        "loader::after_commit=8*off->1*panic(injected)->off",
        "loader::after_commit=8*off->1*return->off",
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
        while world.replica.log().requests.len() < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.database.end_sessions().await;
    }
    ended(child).await.exits(0);
    world.assert_truth().await;
}
