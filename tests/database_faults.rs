//! Database faults: failures of the server or the connection at any statement.
//!
//! After each fault, the tables equal those of an undisturbed run and no row is doubled. No acknowledged page is
//! requested again (D1), no actor is restarted (A2), no wait is endless, and the messages are correct.

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

use simulator::MarketConfig;

/// A small market with edge cases.
fn market() -> MarketConfig {
    MarketConfig {
        funds: 6,
        days: 20,
        ..MarketConfig::default()
    }
}

const ONCE: [&str; 5] = ["--once", "--mode", "sequential", "--cycle", "monthly"];

/// Reports a skipped test on standard error, because the test harness hides the output of tests that pass.
fn skipped(test: &str, why: &str) {
    writeln!(std::io::stderr(), "SKIPPED database_faults::{test}: {why}").expect("it is said");
}

/// The seconds that long tests may take, from the environment; None, and a report that the test is skipped, if they are
/// not set.
fn soak_secs(test: &str) -> Option<u64> {
    let name = "MASTER_RUNNER_SOAK_SECS";
    let seconds = number(name);
    if seconds.is_none() {
        skipped(test, &format!("it takes long; set {name}"));
    }
    seconds
}

/// A whole number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}"))
    })
}
