//! FundCheck's one page: when it is due, how many codes go into a request, how large an answer may be.

use std::num::NonZeroUsize;

use crate::page::{Cadence, PageSpec, Stage};

/// Risk statistics.
pub const STATISTICS: &str = "statistics";

/// Codes in one request: as many as a client is known to have sent unharmed (SOURCES section 4).
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
    parser_version: 1,
    extents: &[],
}];

/// Most bytes of an answer.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
