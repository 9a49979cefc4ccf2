//! Finnomena's pages: names, stages, when they are due, parser version, NAV ranges, and how large an answer may be.

use std::num::NonZeroUsize;

use schema::TaskId;

use crate::page::{Cadence, Extent, PageSpec, Stage};

/// The list of all funds.
pub const LIST: &str = "list";
/// The newest NAVs of a hundred funds.
pub const FILTER: &str = TaskId::PIECES;
/// NAV and AUM of one fund.
pub const NAV: &str = "nav";
/// Master data of one fund.
pub const FUND: &str = "fund";
/// Fee rates.
pub const FEE: &str = "fee";
/// Top holdings and allocations.
pub const PORTFOLIO: &str = "portfolio";
/// Dividends of one fund.
pub const DIVIDEND: &str = TaskId::DIVIDENDS;
/// The factsheet PDF.
pub const FACTSHEET: &str = "factsheet";

const fn page(name: &'static str, stage: Stage, critical: bool, cadence: Cadence) -> PageSpec {
    PageSpec {
        name,
        stage,
        critical,
        tells_factsheets: false,
        cadence,
        tasks_per_request: NonZeroUsize::MIN,
        // Version 2: times of day in dates, plausible ranges, fee words, required fields.
        parser_version: 2,
        extents: &[],
        has_daily_values: false,
        chain: None,
    }
}

const fn extent(word: &'static str, days: Option<u16>) -> Extent {
    Extent { word, days }
}

/// The ranges of a NAV history for the planner. The days are what a range reaches at least, slightly less than its name
/// says (a month may have 28 days). 1D, 1W and YTD are too short or too uneven to rely on.
const NAV_EXTENTS: [Extent; 7] = [
    extent("1M", Some(28)),
    extent("3M", Some(88)),
    extent("6M", Some(178)),
    extent("1Y", Some(360)),
    extent("3Y", Some(1_090)),
    extent("5Y", Some(1_820)),
    extent("MAX", None),
];

/// The pages in the order of their priority.
pub const PAGES: [PageSpec; 8] = [
    page(LIST, Stage::Lists, true, Cadence::EveryCycle),
    page(FILTER, Stage::News, true, Cadence::Daily),
    PageSpec {
        extents: &NAV_EXTENTS,
        ..page(NAV, Stage::Funds, true, Cadence::MonthlyOrNews)
    },
    PageSpec {
        tells_factsheets: true,
        ..page(FUND, Stage::Funds, false, Cadence::MonthlyOrListingChanged)
    },
    page(FEE, Stage::Funds, false, Cadence::MonthlyOrNew),
    page(PORTFOLIO, Stage::Funds, false, Cadence::MonthlyOrNew),
    PageSpec {
        parser_version: 1,
        ..page(
            DIVIDEND,
            Stage::Funds,
            false,
            Cadence::MonthlyForPayersOrNew,
        )
    },
    page(
        FACTSHEET,
        Stage::Factsheets,
        false,
        Cadence::MonthlyOrLinkChanged,
    ),
];

/// The values that the query parameter `range` accepts.
pub const RANGES: [&str; 10] = ["1D", "1W", "1M", "3M", "6M", "YTD", "1Y", "3Y", "5Y", "MAX"];

/// The maximum size of an answer, in bytes: the list has about 5 MB, a history since 1992 about 1 MB.
pub const fn max_body_bytes(page: &str) -> usize {
    match page.as_bytes() {
        b"list" => 64 * 1024 * 1024,
        b"nav" => 16 * 1024 * 1024,
        _ => 4 * 1024 * 1024,
    }
}
