//! A simulator of the three sites in this process.

use simulator::{MarketConfig, Simulator};

use crate::Trouble;
use crate::limits::listed_for;

/// The size of the simulator's market.
#[derive(Debug, Clone, Copy)]
pub struct Market {
    /// Minimum number of active funds.
    pub active: usize,
    /// Number of business days with a NAV.
    pub days: usize,
    /// Delay before every response.
    pub latency_ms: u64,
}

impl Market {
    /// Starts the simulator.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(self) -> Result<Simulator, Trouble> {
        Ok(Simulator::start(MarketConfig {
            funds: listed_for(self.active),
            days: self.days,
            latency_ms: self.latency_ms,
            ..MarketConfig::default()
        })
        .await?)
    }
}

/// The first day of every simulator, and the day after it.
pub const DAYS: [&str; 2] = ["2026-10-15", "2026-10-16"];

/// The arguments of a new monthly cycle on the simulator's first day.
pub const MONTHLY: [&str; 5] = ["--fresh", "--cycle", "monthly", "--date", DAYS[0]];

/// The arguments of a new daily cycle on the day after.
pub const DAY_AFTER: [&str; 5] = ["--fresh", "--cycle", "daily", "--date", DAYS[1]];
