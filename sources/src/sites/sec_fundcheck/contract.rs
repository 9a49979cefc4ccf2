//! FundCheck's one page: when it is due, how many codes go into a request, how large an answer may be.

use std::num::NonZeroUsize;

use crate::page::{Cadence, PageSpec, Stage};

/// Risk statistics.
pub const STATISTICS: &str = "statistics";

/// Codes in one request: as many as a client is known to have sent unharmed.
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
    // 2: times of day in dates, bounds of plausibility, fee words, required fields.
    parser_version: 2,
    extents: &[],
}];

/// The keys that the answer about a fund must have, null where there is no value. Another documented key that is not
/// there is noted.
pub const REQUIRED: [&str; 3] = ["representDate", "sharpRatio", "maximumDrawdown"];
/// The ids of the page's labels that stand for them: sharpe ratio and maximum drawdown.
pub const REQUIRED_LABELS: [&str; 2] = ["sharpe-ratio", "max-drawdown"];

/// Most bytes of an answer.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
