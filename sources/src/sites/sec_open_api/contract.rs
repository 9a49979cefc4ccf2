//! The register's pages: when they are due, how far a list may go on, and how large an answer may be.

use std::num::NonZeroUsize;

use schema::TaskId;

use crate::page::{Cadence, ChainSpec, DayWindow, PageSpec, QuarterWindow, Stage};

/// Companies, names, status and ISIN of every share class.
pub const PROFILES: &str = TaskId::CLASSES;
/// NAV, net asset, bid and offer of all classes, one list for each day.
pub const DAILY: &str = TaskId::DAYS;
/// NAV, net asset, bid and offer of the classes of one project that publishes later than the lists of days reach back.
pub const PROJECT_DAYS: &str = TaskId::PROJECT_DAYS;
/// The same for the whole history of one project, newest year first.
pub const PROJECT_HISTORY: &str = TaskId::PROJECT_HISTORY;
/// The dividends of all classes.
pub const DIVIDENDS: &str = "dividends";
/// Returns and volatility of all classes, from their current factsheets.
pub const PERFORMANCE: &str = "performance";

/// Risk statistics of every class.
pub const STATISTICS: &str = "statistics";
/// Fees of every class.
pub const FEES: &str = "fees";
/// Risk level of every project.
pub const RISK: &str = "risk";
/// Whether a class pays dividends.
pub const DIVIDEND_POLICY: &str = "dividend_policy";
/// Minimum purchases of every class.
pub const MINIMUMS: &str = "minimums";
/// Allocation of every project by asset class.
pub const ALLOCATION: &str = "allocation";
/// Where the factsheet of every class is.
pub const FACTSHEET_LINKS: &str = "factsheet_links";
/// The factsheet PDF.
pub const FACTSHEET: &str = "factsheet";
/// Full portfolio of every project, once a quarter.
pub const PORTFOLIO: &str = "portfolio";

/// The number of records on a page: the largest that the API offers.
pub const RECORDS_A_PAGE: usize = 100;
/// The largest number of pages of one list: 100,000 records. The register has about 20,000 classes, ended ones
/// included.
const MAX_PAGES: u32 = 1_000;
/// The same for the portfolios of up to two quarters, which have about 100,000 rows each.
const MAX_PORTFOLIO_PAGES: u32 = 5_000;

/// The same for a list with many records for each class: 500,000 records. The performance of one class has up to 32.
const MAX_PAGES_OF_SERIES: u32 = 5_000;

/// NAVs are published 1 to 3 days after their date, a few after 7, and after holidays later still. docs/decisions tells
/// why these numbers were chosen.
const WINDOW: DayWindow = DayWindow {
    nightly: 5,
    weekly: 14,
};

/// Portfolios are published up to 45 days after their quarter, a few later.
const QUARTERS: QuarterWindow = QuarterWindow {
    published_after_days: 60,
};

const fn page(
    name: &'static str,
    stage: Stage,
    cadence: Cadence,
    window: Option<DayWindow>,
) -> PageSpec {
    PageSpec {
        name,
        stage,
        critical: true,
        tells_factsheets: false,
        cadence,
        tasks_per_request: NonZeroUsize::MIN,
        parser_version: 1,
        extents: &[],
        has_daily_values: false,
        chain: Some(ChainSpec {
            max_pages: MAX_PAGES,
            window,
            quarters: None,
        }),
    }
}

/// A list with values that change about once a month.
const fn monthly(name: &'static str) -> PageSpec {
    PageSpec {
        critical: false,
        ..page(name, Stage::Market, Cadence::MonthlyOrNew, None)
    }
}

/// The same with many records for each class.
const fn series(name: &'static str) -> PageSpec {
    PageSpec {
        chain: Some(ChainSpec {
            max_pages: MAX_PAGES_OF_SERIES,
            window: None,
            quarters: None,
        }),
        ..monthly(name)
    }
}

/// The pages.
pub const PAGES: [PageSpec; 15] = [
    PageSpec {
        // Version 3: the ISIN is a code of the profile.
        parser_version: 3,
        ..page(PROFILES, Stage::Lists, Cadence::Weekly, None)
    },
    page(DAILY, Stage::Market, Cadence::EveryCycle, Some(WINDOW)),
    page(PROJECT_DAYS, Stage::Projects, Cadence::EveryCycle, None),
    page(PROJECT_HISTORY, Stage::Histories, Cadence::EveryCycle, None),
    monthly(STATISTICS),
    monthly(FEES),
    monthly(RISK),
    monthly(DIVIDEND_POLICY),
    monthly(MINIMUMS),
    monthly(ALLOCATION),
    PageSpec {
        chain: Some(ChainSpec {
            max_pages: MAX_PORTFOLIO_PAGES,
            window: None,
            quarters: Some(QUARTERS),
        }),
        ..monthly(PORTFOLIO)
    },
    PageSpec {
        parser_version: 2,
        ..series(DIVIDENDS)
    },
    series(PERFORMANCE),
    PageSpec {
        tells_factsheets: true,
        ..monthly(FACTSHEET_LINKS)
    },
    PageSpec {
        critical: false,
        chain: None,
        ..page(
            FACTSHEET,
            Stage::Factsheets,
            Cadence::MonthlyOrLinkChanged,
            None,
        )
    },
];

/// The path of a list below `/v2/fund/`; `None` for [`FACTSHEET`], which is on another host.
pub const fn path(page: &str) -> Option<&'static str> {
    match page.as_bytes() {
        b"profiles" => Some("general-info/profiles"),
        b"daily" | b"project_days" | b"project_history" => Some("daily-info/nav"),
        b"statistics" => Some("factsheet/statistics"),
        b"fees" => Some("factsheet/fees"),
        b"risk" => Some("factsheet/risk-spectrum"),
        b"dividend_policy" => Some("factsheet/dividend-policy"),
        b"factsheet_links" => Some("factsheet/urls"),
        b"minimums" => Some("factsheet/subscription-redemption-minimums"),
        b"allocation" => Some("factsheet/asset-allocation"),
        b"portfolio" => Some("outstanding/portfolio"),
        b"dividends" => Some("daily-info/dividend-history"),
        b"performance" => Some("factsheet/performance"),
        _ => None,
    }
}

/// Whether the records of a page are those of factsheets, of which only the current ones are requested.
pub fn has_sheets(page: &str) -> bool {
    path(page).is_some_and(|path| path.starts_with("factsheet/"))
}

/// The maximum size of an answer, in bytes: a page of 100 records has at most about 200 KB.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
