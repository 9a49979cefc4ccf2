//! A replica of the three sites inside this process.

use replica::{MarketConfig, Replica};

use crate::Trouble;
use crate::limits::listed_for;

/// How large the replica's market is.
#[derive(Debug, Clone, Copy)]
pub struct Market {
    /// Active funds, at least.
    pub active: usize,
    /// Business days of NAV.
    pub days: usize,
    /// Delay before every answer.
    pub latency_ms: u64,
}

impl Market {
    /// Starts it.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(self) -> Result<Replica, Trouble> {
        Ok(Replica::start(MarketConfig {
            funds: listed_for(self.active),
            days: self.days,
            latency_ms: self.latency_ms,
            ..MarketConfig::default()
        })
        .await?)
    }
}

/// The first day of every replica, and the one after it.
pub const DAYS: [&str; 2] = ["2026-10-15", "2026-10-16"];

/// The arguments of a monthly cycle of the replica's first day, of new.
pub const MONTHLY: [&str; 5] = ["--fresh", "--cycle", "monthly", "--date", DAYS[0]];

/// The arguments of a daily cycle of the day after.
pub const DAY_AFTER: [&str; 5] = ["--fresh", "--cycle", "daily", "--date", DAYS[1]];
