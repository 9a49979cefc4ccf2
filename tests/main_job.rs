//! The main job: one command fills all seven tables, and every cell equals the truth, in every mode.

use simulator::MarketConfig;

use crate::world::World;
use crate::world::extent::{is_full, some_of};

/// A market with every edge case; in a full run a larger one with a longer history.
fn market() -> MarketConfig {
    let (funds, days) = if is_full() { (500, 750) } else { (260, 400) };
    MarketConfig {
        funds,
        days,
        ..MarketConfig::default()
    }
}

async fn every_cell_is_the_truth(mode: &str, cycle: &str) {
    let world = World::new(market()).await;
    world
        .run(&["--once", "--mode", mode, "--cycle", cycle])
        .await
        .exits(0);
    world.assert_truth().await;

    // D2: while the simulator's date stays the same, a second pass writes no row.
    let before = world.written().await;
    world
        .run(&["--once", "--mode", mode, "--cycle", cycle])
        .await
        .exits(0);
    assert_eq!(
        world.written().await,
        before,
        "a second pass over unchanged sources wrote rows"
    );

    // One day later, the pass adds exactly the new rows.
    let daily_before: i64 = world.one("SELECT count(*) FROM funds_daily").await;
    world.simulator.advance_days(1);
    world
        .run(&["--once", "--mode", mode, "--cycle", "daily", "--fresh"])
        .await
        .exits(0);
    world.assert_truth().await;
    let daily_after: i64 = world.one("SELECT count(*) FROM funds_daily").await;
    assert!(daily_after > daily_before, "a day on there is nothing new");
}

#[tokio::test(flavor = "multi_thread")]
async fn monthly_sequential_every_cell_is_the_truth() {
    every_cell_is_the_truth("sequential", "monthly").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monthly_hybrid_every_cell_is_the_truth() {
    every_cell_is_the_truth("hybrid", "monthly").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monthly_parallel_every_cell_is_the_truth() {
    every_cell_is_the_truth("parallel", "monthly").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_daily_cycle_fills_a_new_warehouse_in_each_mode() {
    for mode in some_of(["sequential", "hybrid", "parallel"], 3) {
        every_cell_is_the_truth(mode, "daily").await;
    }
}
