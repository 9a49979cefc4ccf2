//! Nothing is lost and nothing is asked twice: kill -9, a panic in an actor, a database that goes away.

use std::collections::BTreeSet;
use std::time::Duration;

use replica::MarketConfig;

use crate::world::{World, ended};

fn market() -> MarketConfig {
    MarketConfig {
        funds: 60,
        days: 120,
        latency_ms: 5,
        ..MarketConfig::default()
    }
}

/// The paths of the pages that stand acknowledged in the database. The SEC's API is asked by POST of several codes and
/// has one path for all: it is not among them.
pub async fn acknowledged_paths(world: &World) -> BTreeSet<String> {
    let rows = world
        .database
        .connect()
        .await
        .query(
            "SELECT source, page, coalesce(locator, '') FROM runner.task
             WHERE acked_cycle = planned_cycle AND outcome IN ('done', 'unchanged', 'absent')",
            &[],
        )
        .await
        .expect("runner.task answers");
    rows.into_iter()
        .filter_map(|row| {
            let (source, page, locator): (String, String, String) =
                (row.get(0), row.get(1), row.get(2));
            let finnomena = "/fn3/api/fund/v2/public/funds";
            match (source.as_str(), page.as_str()) {
                ("finnomena", "list") => Some(finnomena.to_owned()),
                ("finnomena", "fund") => Some(format!("{finnomena}/{locator}")),
                ("finnomena", "nav") => Some(format!("{finnomena}/{locator}/nav/q")),
                (_, "factsheet") => Some(
                    locator
                        .splitn(4, '/')
                        .nth(3)
                        .map(|path| format!("/{path}"))?,
                ),
                ("finnomena", page) => Some(format!("{finnomena}/{locator}/{page}")),
                ("wealthmagik", "list") => Some("/json-search/fundSearch.json".to_owned()),
                ("wealthmagik", page) => {
                    Some(format!("/{}/{page}", locator.trim_start_matches('/')))
                }
                _ => None,
            }
        })
        .collect()
}

pub fn path_of(path_and_query: &str) -> String {
    path_and_query
        .split('?')
        .next()
        .unwrap_or_default()
        .to_owned()
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
        let done = acknowledged_paths(&world).await;
        assert!(
            done.len() > 20,
            "{mode}: nearly nothing was acknowledged before the kill: {done:?}"
        );
        let seen: BTreeSet<String> = world
            .replica
            .log()
            .requests
            .iter()
            .map(|request| path_of(&request.path))
            .collect();
        let unknown: Vec<_> = done.iter().filter(|path| !seen.contains(*path)).collect();
        assert!(
            unknown.is_empty(),
            "{mode}: the test does not know how these are asked: {unknown:?}"
        );
        world.run(&args).await.exits(0);
        world.assert_truth().await;
        let log = world.replica.log();
        let again: Vec<String> = log.requests[asked_before..]
            .iter()
            .map(|request| path_of(&request.path))
            .filter(|path| done.contains(path))
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
    let run = ended(child).await;
    // A2: an outage is waited out in place; it is no actor's failure.
    assert!(
        !run.exits(0).said.contains("actors restarted"),
        "{}",
        run.said
    );
    world.assert_truth().await;
}
