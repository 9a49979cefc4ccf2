//! The database's faults: whatever happens to the server or to the connection, at whatever statement, the tables come to
//! what they would have been, nothing is doubled, nothing that was acknowledged is asked again (D1), no actor is blamed
//! (A2), nothing waits for ever, and what is said is true.

mod altered;
mod disk_full;
mod encrypted;
mod live;
mod locks;
mod migration;
mod outage;
mod real_server;
mod refusal;
mod silence;
mod sweep;

use std::io::Write as _;

use replica::MarketConfig;

/// A small market with everything in it.
fn market() -> MarketConfig {
    MarketConfig {
        funds: 6,
        days: 20,
        ..MarketConfig::default()
    }
}

const ONCE: [&str; 5] = ["--once", "--mode", "sequential", "--cycle", "monthly"];

/// Says that a test did nothing, past the test harness, which keeps to itself what a test prints that does not fail.
fn skipped(test: &str, why: &str) {
    writeln!(std::io::stderr(), "SKIPPED database_faults::{test}: {why}").expect("it is said");
}

/// The time that was given for what takes long, if any, in seconds; says that the test is skipped where there is none.
fn soak_secs(test: &str) -> Option<u64> {
    let name = "MASTER_RUNNER_SOAK_SECS";
    let seconds = number(name);
    if seconds.is_none() {
        skipped(test, &format!("it takes long; set {name}"));
    }
    seconds
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}"))
    })
}
