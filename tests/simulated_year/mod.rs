//! A year in a minute: the runner's own scheduler loop on an unattended machine over 368 simulated days. The machine
//! crashes, is switched off for days and is stopped, its clock is set forward and back by an hour, and cycles take
//! minutes to 30 hours.
//!
//! The meaning of "due", which `oracle` checks without the schedule's code:
//! - A slot is `daily_at` of a day that is neither a skipped weekday nor a holiday. One closed cycle of its date or a
//!   later one serves it. Slots that pass while the machine is off or a long cycle runs are not made up one by one: one
//!   cycle, dated with the day on which it begins, serves all of them.
//! - If the runner is up and idle at a slot, it begins the slot's cycle at once, with the slot's date.
//! - No date is run twice, for any change of the clock. A cycle begins only for a slot or at a start that requests it.
//! - The first cycle that closes in a calendar month is monthly, and it is the only monthly one.
//! - An open cycle is resumed before anything else; cycles never overlap.
//! - Round 2 begins after the end of round 1, and not before `retry_at`.

mod machine;
mod oracle;
mod plan;
mod store;

use std::time::{Duration, Instant};

use crate::world::Database;
use machine::{History, live};
use plan::Plan;
use store::{Memory, Sql};

/// The years that every run of the tests simulates; more with `MASTER_RUNNER_SOAK_SECS`.
const YEARS: u64 = 200;
/// The years that are also simulated on the real SQL store.
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

/// Every due cycle ran once, no cycles overlapped, no date was repeated, and one monthly cycle closed in each month.
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

/// The store in memory gives the scheduler the same facts as the real one: begin, commit, round 2, close and the
/// schema's facts produce the same years.
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
