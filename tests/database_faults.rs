//! The database's faults: whatever happens to the server or to the connection, at whatever statement, the tables come to
//! what they would have been, nothing is doubled, nothing that was acknowledged is asked again (D1), no actor is blamed
//! (A2), nothing waits for ever, and what is said is true.

mod disk_full;
mod live;
mod locks;
mod migration;
mod outage;
mod real_server;
mod refusal;
mod silence;
mod sweep;

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
