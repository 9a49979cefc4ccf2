//! FundCheck's one page: when it is due, the number of codes per request, the size of an answer, and its required keys.

use std::num::NonZeroUsize;

use crate::page::{Cadence, PageSpec, Stage};

/// Risk statistics.
pub const STATISTICS: &str = "statistics";

/// Codes per request: the largest number known to have caused no problem for a client.
const CODES_PER_REQUEST: NonZeroUsize = match NonZeroUsize::new(2) {
    Some(two) => two,
    None => NonZeroUsize::MIN,
};

/// The pages.
pub const PAGES: [PageSpec; 1] = [PageSpec {
    name: STATISTICS,
    stage: Stage::Funds,
    critical: false,
    tells_factsheets: false,
    cadence: Cadence::MonthlyOrNew,
    tasks_per_request: CODES_PER_REQUEST,
    // Version 2: times of day in dates, plausible ranges, fee words, required fields.
    parser_version: 2,
    extents: &[],
    has_daily_values: false,
    chain: None,
}];

/// The keys that the answer about a fund must have, null if there is no value. A missing key of the other documented
/// ones is noted.
pub const REQUIRED: [&str; 3] = ["representDate", "sharpRatio", "maximumDrawdown"];
/// The ids of the corresponding labels on the page: sharpe ratio and maximum drawdown.
pub const REQUIRED_LABELS: [&str; 2] = ["sharpe-ratio", "max-drawdown"];

/// The maximum size of an answer, in bytes.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
