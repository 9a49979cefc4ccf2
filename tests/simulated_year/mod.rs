//! A year in a minute: the runner's own scheduler loop over 366 simulated days of an unattended machine that crashes, is
//! switched off for days, is stopped, whose clock is set an hour forth and back, while cycles take minutes to 30 hours.
//!
//! What "due" means, and is checked here without asking the schedule (`oracle`):
//! - A slot is `daily_at` of a day that is neither a skipped weekday nor a holiday. It is served by one closed cycle of its
//!   date or a later one. Slots that pass while the machine is off or a long cycle runs are not made up one by one: one
//!   cycle, dated with the day on which it begins, serves them all.
//! - A slot that finds the runner up and idle begins its cycle at once, with its own date.
//! - No date is run twice, whatever the clock does; no cycle begins without a slot or the wish of a start.
//! - The first cycle that closes in a calendar month is monthly, and it is the only one.
//! - A cycle that is open is gone on with before anything else; cycles never overlap.
//! - Round 2 begins after round 1 has ended, not before `retry_at`.

mod machine;
mod oracle;
mod plan;
mod store;

use std::time::{Duration, Instant};

use crate::world::Database;
use machine::{History, live};
use plan::Plan;
use store::{Memory, Sql};

/// Years simulated by every run of the tests; more with `MASTER_RUNNER_SOAK_SECS`.
const YEARS: u64 = 200;
/// Years that go through the real SQL as well.
const YEARS_IN_SQL: u64 = 1;

fn number_from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, found `{text}`")),
    )
}

async fn year_in_memory(plan: &Plan) -> History {
    live(plan, &Memory::default()).await
}

/// Every due cycle ran once, none overlapped, none was repeated, one monthly cycle closed in each month.
#[tokio::test]
async fn over_simulated_years_every_due_cycle_runs_once_and_none_overlaps() {
    let began = Instant::now();
    let soak = Duration::from_secs(number_from_environment("MASTER_RUNNER_SOAK_SECS").unwrap_or(0));
    let one = number_from_environment("MASTER_RUNNER_SEED");
    let mut counts = oracle::Counts::default();
    let mut seed = one.unwrap_or(0);
    loop {
        let plan = Plan::of(seed);
        let history = year_in_memory(&plan).await;
        let checked = oracle::check(&plan, &history);
        counts.add(
            &checked
                .unwrap_or_else(|broken| panic!("MASTER_RUNNER_SEED={seed}: {broken}\n{plan:#?}")),
        );
        seed += 1;
        if one.is_some() || (seed >= YEARS && began.elapsed() >= soak) {
            break;
        }
    }
    println!(
        "years up to seed {seed} in {:?}: {counts:?}",
        began.elapsed()
    );
    if one.is_none() {
        counts.assert_nothing_was_checked_in_vain();
    }
}

/// The store in memory tells the scheduler what the real one does: the same years through begin, commit, round 2, close
/// and the facts of the real schema come out the same.
#[tokio::test]
async fn a_simulated_year_on_the_real_store_comes_out_the_same() {
    for seed in 0..YEARS_IN_SQL {
        let plan = Plan::of(seed);
        let sql = Sql::open(Database::create().await.url()).await;
        let stored = live(&plan, &sql).await;
        if let Err(broken) = oracle::check(&plan, &stored) {
            panic!("MASTER_RUNNER_SEED={seed}, on the real store: {broken}\n{plan:#?}");
        }
        assert_eq!(
            stored.cycles,
            year_in_memory(&plan).await.cycles,
            "MASTER_RUNNER_SEED={seed}"
        );
    }
}
