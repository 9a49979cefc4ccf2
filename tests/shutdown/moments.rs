//! Stops at random, seeded moments, from the start of the process to the end of the run, in each mode.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use nix::sys::signal::Signal;
use simulator::MarketConfig;

use super::running::{Running, cycle_is_closed, goes_on_to_the_truth, spread};
use crate::world::World;
use crate::world::extent::is_full;

/// `supervision.shutdown_secs` in these tests, and the additional time for a process to end on a busy machine.
const DEADLINE: Duration = Duration::from_secs(10);
const MARGIN: Duration = Duration::from_secs(1);
/// The number of worlds at once; a run waits most of the time.
const AT_ONCE: usize = 10;

async fn world() -> World {
    let mut world = World::new(MarketConfig {
        funds: 8,
        days: 20,
        latency_ms: 12,
        ..MarketConfig::default()
    })
    .await;
    world.settings.more = format!("supervision: (shutdown_secs: {}),", DEADLINE.as_secs());
    world
}

/// The next number of a pseudo-random sequence that the seed determines (splitmix64).
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The seed in `MASTER_RUNNER_SEED`, or one from the clock. It is always printed.
fn seed() -> u64 {
    let given = std::env::var("MASTER_RUNNER_SEED").ok();
    let seed = given.map_or_else(
        || {
            let now = std::time::SystemTime::now();
            let since = now.duration_since(std::time::UNIX_EPOCH).expect("a clock");
            u64::from(since.subsec_nanos()) ^ since.as_secs()
        },
        |given| given.parse().expect("MASTER_RUNNER_SEED is a number"),
    );
    eprintln!("MASTER_RUNNER_SEED={seed}");
    seed
}

/// 5 moments for each mode, 10 in a full run; with `MASTER_RUNNER_SOAK_SECS` up to 200, as far as the time allows.
fn moments_a_mode() -> usize {
    if std::env::var_os("MASTER_RUNNER_SOAK_SECS").is_some() {
        200
    } else if is_full() {
        10
    } else {
        5
    }
}

fn soak_is_over(began: Instant) -> bool {
    std::env::var("MASTER_RUNNER_SOAK_SECS")
        .ok()
        .and_then(|secs| secs.parse().ok())
        .is_some_and(|secs| began.elapsed() > Duration::from_secs(secs))
}

async fn stop_at(mode: &str, at: Duration, signal: Signal) -> (Option<i32>, Duration) {
    let world = world().await;
    let args = ["--once", "--cycle", "monthly", "--mode", mode];
    let running = Running::start(&world, &args).await;
    tokio::time::sleep(at.saturating_sub(running.began.elapsed())).await;
    let stopped = running.stop(&world, signal).await;
    eprintln!(
        "{mode}, {signal} after {at:?}: exit {:?} after {:?}",
        stopped.run.code, stopped.took
    );
    assert!(
        stopped.took <= DEADLINE + MARGIN,
        "{:?}:\n{}",
        stopped.took,
        stopped.run.output
    );
    match stopped.run.code {
        Some(4) => {
            let closed = cycle_is_closed(&world).await;
            assert!(!closed, "stopped, and the cycle is closed");
            goes_on_to_the_truth(&world, &args).await;
        }
        // The run had finished before the signal, so everything is loaded.
        Some(0) => world.assert_truth().await,
        code => panic!("exit code {code:?}; it printed:\n{}", stopped.run.output),
    }
    (stopped.run.code, stopped.took)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_at_any_moment_loses_nothing_and_leaves_nothing_running() {
    let mut seed = seed();
    let began = Instant::now();
    let mut moments = Vec::new();
    for mode in ["sequential", "hybrid", "parallel"] {
        // The duration of an undisturbed run on this machine at present.
        let world = world().await;
        let at_work = Instant::now();
        world
            .run(&["--once", "--cycle", "monthly", "--mode", mode])
            .await
            .exits(0);
        let whole = at_work.elapsed();
        for _ in 0..moments_a_mode() {
            let percent = u32::try_from(draw(&mut seed) % 106).expect("small");
            let signal = if draw(&mut seed).is_multiple_of(2) {
                Signal::SIGTERM
            } else {
                Signal::SIGINT
            };
            moments.push((mode, whole * percent / 100, signal));
        }
    }
    let ends: Vec<(Option<i32>, Duration)> = futures_util::stream::iter(moments)
        .take_while(|_| std::future::ready(!soak_is_over(began)))
        .map(|(mode, at, signal)| stop_at(mode, at, signal))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let stopped = ends.iter().filter(|(code, _)| *code == Some(4)).count();
    eprintln!(
        "{}; {stopped} in mid-run",
        spread(ends.iter().map(|(_, took)| *took).collect())
    );
    // The moments are spread over the whole run. If most stops arrived after the end, the test would show nothing.
    assert!(stopped * 2 > ends.len(), "{stopped} of {}", ends.len());
}
