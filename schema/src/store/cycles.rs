//! Cycles: begun, resumed, closed.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What a cycle asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CycleKind {
    /// What changes daily.
    Daily,
    /// Everything.
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

    pub(super) fn from_name(name: &str) -> Option<Self> {
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

/// Whether a cycle speaks for the whole market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every source, every fund.
    Full,
    /// Narrowed by `--funds`, `--only` or `--limit`: never satisfies the schedule, is never a yard-stick, never
    /// changes `fund_status`.
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

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Full, Self::Partial]
            .into_iter()
            .find(|scope| scope.as_str() == name)
    }
}

/// One pass over the market, open until [`super::Writer::close_cycle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// `runner.cycle.cycle_id`.
    pub id: i64,
    /// The Bangkok calendar date on which it began; no row's date ever comes from it.
    pub cycle_date: Date,
    /// What it asks for.
    pub kind: CycleKind,
    /// Whether it speaks for the whole market.
    pub scope: Scope,
    /// 1, or 2 once [`super::Writer::begin_round_two`] was called.
    pub round: i16,
    /// Whether it was begun before this call and goes on from its checkpoint.
    pub resumed: bool,
}

/// Which cycle is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CycleRequest {
    /// The cycle's Bangkok date.
    pub cycle_date: Date,
    /// What it asks for.
    pub kind: CycleKind,
    /// Whether it speaks for the whole market.
    pub scope: Scope,
    /// A new pass in any case (`--fresh`).
    pub fresh: bool,
    /// On a closed cycle with failed tasks, ask just these once more (`--once`); otherwise a closed cycle leads to a
    /// new pass.
    pub resume_closed_failures: bool,
}

/// What the schedule decides by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleFacts {
    /// Date of the last closed full daily cycle.
    pub last_closed_daily: Option<Date>,
    /// Date of the last closed full monthly cycle.
    pub last_closed_monthly: Option<Date>,
    /// The full cycle that is still open, if any: the next start goes on with it.
    pub open: Option<Cycle>,
}
