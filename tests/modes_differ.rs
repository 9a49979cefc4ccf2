//! The differences between the three modes, measured from the simulator's log.

use simulator::{MarketConfig, Site};

use crate::world::World;

/// The most concurrent requests to WealthMagik, and the most sources at work at once, in a monthly cycle.
async fn measured(mode: &str) -> (usize, usize) {
    let world = World::new(MarketConfig {
        latency_ms: 30,
        ..MarketConfig::default()
    })
    .await;
    world
        .run(&["--once", "--mode", mode, "--cycle", "monthly"])
        .await
        .exits(0);
    let log = world.simulator.log();
    (
        log.most_at_once(Site::WealthMagik),
        log.sites_alive_at_once(&[Site::Finnomena, Site::WealthMagik, Site::SecApi]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn sequential_asks_one_page_of_one_source_at_a_time() {
    let world = World::new(MarketConfig {
        latency_ms: 20,
        ..MarketConfig::default()
    })
    .await;
    world
        .run(&["--once", "--mode", "sequential", "--cycle", "monthly"])
        .await
        .exits(0);
    let log = world.simulator.log();
    for site in Site::ALL {
        assert!(
            log.most_at_once(site) <= 1,
            "{site:?}: {}",
            log.most_at_once(site)
        );
    }
    let mut requests = log.requests;
    requests.sort_by_key(|request| request.started);
    for pair in requests.windows(2) {
        assert!(
            pair[0].ended.is_some_and(|ended| ended <= pair[1].started),
            "{pair:?} overlap"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_and_parallel_have_more_concurrent_requests() {
    assert_eq!(measured("hybrid").await, (3, 3));
    assert_eq!(measured("parallel").await, (6, 3));
}
