//! A cycle (one pass over the market): kind, scope, the request to begin one, and the facts that the schedule needs.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Which pages a cycle requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CycleKind {
    /// Pages that change daily.
    Daily,
    /// All pages.
    Monthly,
}

impl CycleKind {
    /// The word in `runner.cycle.kind`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Monthly => "monthly",
        }
    }

    /// Reads the word; `None` if it is unknown.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Daily, Self::Monthly]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for CycleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a cycle covers the whole market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every source and every fund.
    Full,
    /// Narrowed by `--funds`, `--only` or `--limit`. Such a cycle never satisfies the schedule, no cycle is compared
    /// with it, and it never changes `fund_status`.
    Partial,
}

impl Scope {
    /// The word in `runner.cycle.scope`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
        }
    }

    /// Reads the word; `None` if it is unknown.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Full, Self::Partial]
            .into_iter()
            .find(|scope| scope.as_str() == name)
    }
}

/// One pass over the market, open until it is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// `runner.cycle.cycle_id`.
    pub id: i64,
    /// The calendar date in Bangkok on which the cycle began. It is not used as the date of any row.
    pub cycle_date: Date,
    /// Which pages the cycle requests.
    pub kind: CycleKind,
    /// Whether the cycle covers the whole market.
    pub scope: Scope,
    /// 1, or 2 once the second round has begun.
    pub round: i16,
    /// Whether the cycle was begun earlier and now continues from its checkpoint.
    pub resumed: bool,
}

/// The cycle that the caller wants to begin or resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CycleRequest {
    /// The cycle's Bangkok date.
    pub cycle_date: Date,
    /// Which pages the cycle requests.
    pub kind: CycleKind,
    /// Whether the cycle covers the whole market.
    pub scope: Scope,
    /// Always begin a new cycle (`--fresh`).
    pub fresh: bool,
    /// If the cycle is closed and has failed tasks, request only these again (`--once`). Otherwise a closed cycle leads
    /// to a new one.
    pub resume_closed_failures: bool,
}

/// The facts that the schedule depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleFacts {
    /// Date of the last closed full daily cycle.
    pub last_closed_daily: Option<Date>,
    /// Date of the last closed full monthly cycle.
    pub last_closed_monthly: Option<Date>,
    /// The full cycle that is still open, if any. The next start continues it.
    pub open: Option<Cycle>,
    /// The newest closed full cycle, if it has failed tasks. `--once` on the date of that cycle requests only these
    /// tasks.
    pub failed: Option<Cycle>,
}
