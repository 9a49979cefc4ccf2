//! The pages of a site and when they are due: declared by each site, used by the cycle's planner.

use std::num::NonZeroUsize;

/// One kind of page of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSpec {
    /// The name in `runner.task.page`, such as `nav`.
    pub name: &'static str,
    /// The stage of a cycle in which it can be planned.
    pub stage: Stage,
    /// Whether the page is critical (lists, NAV, bid and offer). In the modes Sequential and Hybrid a source requests
    /// critical pages first.
    pub critical: bool,
    /// Whether the page contains links to factsheets. These are planned after it is acknowledged.
    pub tells_factsheets: bool,
    /// How often the page is due.
    pub cadence: Cadence,
    /// How many tasks share one request (SEC: one request for several codes).
    pub tasks_per_request: NonZeroUsize,
    /// The parser version. Raise it whenever the parser reads something new from the same payload: older payload hashes
    /// and known prefixes are then not used (P2).
    pub parser_version: i32,
    /// How much of the page can be requested, smallest first, the whole last; empty if there is no choice.
    pub extents: &'static [Extent],
}

/// A part of a history that can be requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The page's own word for it, such as `1M`.
    pub word: &'static str,
    /// How many days back it reaches at least; `None` for the whole history.
    pub days: Option<u16>,
}

/// The number of funds on each page of [`Stage::News`].
pub const FUNDS_A_PIECE: usize = 100;

/// The stages of a cycle. Each is planned in one transaction after the stage before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// One page for the whole market: the list of its funds.
    Lists,
    /// Numbered pages of [`FUNDS_A_PIECE`] funds each. They report which funds have new data, and fill no table. They
    /// only save requests, so an error in them must not cost more than the requests they would have saved.
    News,
    /// One task per fund.
    Funds,
    /// Documents that a fund's page links to: factsheets.
    Factsheets,
}

impl Stage {
    /// The stages in order.
    pub const ALL: [Self; 4] = [Self::Lists, Self::News, Self::Funds, Self::Factsheets];

    /// Whether too many broken pages or rejected records of this stage are a breach of contract (D6).
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
    /// In daily cycles; a monthly cycle requests every history in any case.
    Daily,
    /// In monthly cycles. In a daily cycle for every fund, except those for which the source reported in that cycle
    /// that nothing is new ([`Stage::News`]).
    MonthlyOrNews,
    /// In monthly cycles, and in a daily one for funds that have never had an answer to it.
    MonthlyOrNew,
    /// As [`Cadence::MonthlyOrNew`], and for funds whose entry in the source's list has changed.
    MonthlyOrListingChanged,
    /// In monthly cycles, and in a daily one for funds whose link to it is new or has changed.
    MonthlyOrLinkChanged,
}
