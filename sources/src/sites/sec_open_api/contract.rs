//! The register's pages: when they are due, how far a list may go on, and how large an answer may be.

use std::num::NonZeroUsize;

use crate::page::{Cadence, ChainSpec, DayWindow, PageSpec, Stage};

/// Companies, names, status and ISIN of every share class.
pub const PROFILES: &str = "profiles";
/// NAV, net asset, bid and offer of all classes, one list for each day.
pub const DAILY: &str = "daily";

/// The number of records on a page: the largest that the API offers.
pub const RECORDS_A_PAGE: usize = 100;
/// The largest number of pages of one list: 100,000 records. The register has about 20,000 classes, ended ones included.
const MAX_PAGES: u32 = 1_000;

/// NAVs are published 1 to 3 days after their date, a few after 7, and after holidays later still. docs/decisions tells
/// why these numbers were chosen.
const WINDOW: DayWindow = DayWindow {
    nightly: 5,
    weekly: 14,
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
        }),
    }
}

/// The pages.
pub const PAGES: [PageSpec; 2] = [
    page(PROFILES, Stage::Lists, Cadence::Weekly, None),
    page(DAILY, Stage::Market, Cadence::EveryCycle, Some(WINDOW)),
];

/// The path of a page below `/v2/fund/`.
pub const fn path(page: &str) -> Option<&'static str> {
    match page.as_bytes() {
        b"profiles" => Some("general-info/profiles"),
        b"daily" => Some("daily-info/nav"),
        _ => None,
    }
}

/// The maximum size of an answer, in bytes: a page of 100 records has at most about 200 KB.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
