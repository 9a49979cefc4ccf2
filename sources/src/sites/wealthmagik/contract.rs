//! WealthMagik's pages: names, stages, when they are due, parser version, size of an answer, required fields, and the
//! selectors that a visit in the browser waits for. The selectors of the values are in the parser of each page.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::page::{Cadence, PageSpec, Stage};

/// The list of all funds.
pub const LIST: &str = "list";
/// Bid, offer, NAV, AUM and master data.
pub const PROFILE: &str = "profile";
/// Full holdings.
pub const PORT: &str = "port";
/// Allocation by asset class and by country.
pub const ALLOCATION: &str = "allocation";
/// Fees and minimum purchases.
pub const FEE: &str = "fee";
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
        // Version 2: times of day in dates, plausible ranges, fee words, required fields, either embedded state.
        parser_version: 2,
        extents: &[],
        has_daily_values: false,
        chain: None,
    }
}

/// The pages in the order of their priority.
pub const PAGES: [PageSpec; 6] = [
    page(LIST, Stage::Lists, true, Cadence::EveryCycle),
    PageSpec {
        tells_factsheets: true,
        has_daily_values: true,
        ..page(PROFILE, Stage::Funds, true, Cadence::EveryCycle)
    },
    page(PORT, Stage::Funds, false, Cadence::MonthlyOrNew),
    page(ALLOCATION, Stage::Funds, false, Cadence::MonthlyOrNew),
    page(FEE, Stage::Funds, false, Cadence::MonthlyOrNew),
    page(
        FACTSHEET,
        Stage::Factsheets,
        false,
        Cadence::MonthlyOrLinkChanged,
    ),
];

/// The fields that a profile must have, in its state or as ids. Without them the page is not accepted. Each may state
/// that there is no value.
pub const PROFILE_REQUIRED: [&str; 3] = ["tnaclassDate", "bidPrice", "offerPrice"];
/// The fields that a profile must have if it shows that its fund has no price yet.
pub const PROFILE_WITHOUT_PRICES: [&str; 3] = ["riskSpectrum", "aimcCategories", "inceptionDate"];
/// The fee cells that every fund's page has; a cell may state that there is no value.
pub const FEE_REQUIRED: [&str; 3] = ["frontEndFee-ffs", "backEndFee-ffs", "managementFee-ffs"];

/// The maximum size of an answer, in bytes.
pub const fn max_body_bytes(page: &str) -> usize {
    match page.as_bytes() {
        b"list" => 32 * 1024 * 1024,
        _ => 8 * 1024 * 1024,
    }
}

/// The overlay that covers a page in a browser.
pub const OVERLAY: &str = "#popupAdsClose";
/// The items of the lazy list of funds.
pub const LIST_ITEMS: &str = ".fundCode";
/// A holding in the list of a fund's full holdings.
pub const PORT_ROWS: &str = ".portallocation-list";

/// How long a list may pause between two of its parts. The fund list is one page per cycle, full holdings are
/// thousands.
pub fn lazy_rest(page: &str) -> Duration {
    Duration::from_secs(if page == LIST { 2 } else { 1 })
}

/// The items that a browser must scroll to the end of. Full holdings may load in parts like the fund list, and a first
/// part must never be stored as the whole portfolio (D3).
pub fn lazy_items_css(page: &str) -> Option<&'static str> {
    match page {
        LIST => Some(LIST_ITEMS),
        PORT => Some(PORT_ROWS),
        _ => None,
    }
}

/// The selectors that show that a page is ready in a browser: any of them must match.
pub fn ready_css(page: &str) -> Vec<&'static str> {
    match page {
        LIST => vec![LIST_ITEMS],
        PROFILE => vec![r#"[id^="wmg.funddetailinfo.text."]"#],
        PORT => vec![".portallocation-list", ".emptyData"],
        ALLOCATION => vec![
            ".investmentAllocationByAsset tr.mat-row",
            ".investmentAllocationByCountry tr.mat-row",
            ".emptyData",
        ],
        FEE => vec![r#"[id^="wmg.funddetailfee.text."]"#],
        _ => Vec::new(),
    }
}
