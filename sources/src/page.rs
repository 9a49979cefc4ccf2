//! Which pages a site has, and when they are due: declared by each site, read by the cycle's planner.

use std::num::NonZeroUsize;

/// One kind of page of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSpec {
    /// The name in `runner.task.page`, such as `nav`.
    pub name: &'static str,
    /// When in a cycle it can be planned.
    pub stage: Stage,
    /// Whether it belongs to the critical pages (lists, NAV, bid and offer), which Sequential and Hybrid ask first of each source.
    pub critical: bool,
    /// Whether it tells where factsheets lie: these are planned once it is acknowledged.
    pub tells_factsheets: bool,
    /// How often it is due.
    pub cadence: Cadence,
    /// How many tasks go on the wire together (SEC: one request for several codes).
    pub tasks_per_request: NonZeroUsize,
    /// Raised whenever the parser reads something new from the same payload: old hashes, of payloads and of their beginnings, are then no longer valid (P2).
    pub parser_version: i32,
    /// How much of the page can be asked for, smallest first, everything last; empty where there is only one way.
    pub extents: &'static [Extent],
}

/// A part of a history that a page can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The page's own word for it, such as `1M`.
    pub word: &'static str,
    /// How many days back it surely reaches; `None` for everything.
    pub days: Option<u16>,
}

/// How many funds a page of [`Stage::News`] is asked for.
pub const FUNDS_A_PIECE: usize = 100;

/// The stages of a cycle: each is planned in one transaction after the stage before it has been acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// One page for the whole market: tells which funds there are.
    Lists,
    /// Numbered pages of [`FUNDS_A_PIECE`] funds each: tell of which funds there is something new. They fill no table and only
    /// save requests, so nothing that is wrong with them may cost more than the requests they would have saved.
    News,
    /// One task a fund.
    Funds,
    /// What a fund's page led to: factsheets.
    Factsheets,
}

impl Stage {
    /// The stages in order.
    pub const ALL: [Self; 4] = [Self::Lists, Self::News, Self::Funds, Self::Factsheets];

    /// Whether too many of its pages or records that cannot be read put the source in breach of its contract (D6).
    #[must_use]
    pub const fn is_under_contract(self) -> bool {
        !matches!(self, Self::News)
    }
}

/// How often a page is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// In every cycle.
    EveryCycle,
    /// In daily cycles: a monthly one asks for every history anyway.
    Daily,
    /// In monthly cycles, and in a daily one for funds of which the source has not told, in that cycle, that there is nothing
    /// new ([`Stage::News`]).
    MonthlyOrNews,
    /// In monthly cycles, and in a daily one for funds that have never had an answer to it.
    MonthlyOrNew,
    /// As [`Cadence::MonthlyOrNew`], and for funds whose entry in the source's list has changed.
    MonthlyOrListingChanged,
    /// In monthly cycles, and in a daily one for funds whose link to it is new or has changed.
    MonthlyOrLinkChanged,
}
