//! The rows of recent queries, kept until the market changes.

use std::sync::Arc;

use parking_lot::Mutex;

/// The number of queries whose rows are kept.
const MOST_KEPT: usize = 24;

/// The rows of recent queries, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Vec<KeptRows>>);

/// The rows of one query.
#[derive(Debug)]
struct KeptRows {
    /// The version of the market that they were derived from.
    version: u64,
    query: String,
    rows: Arc<Vec<String>>,
}

impl Kept {
    /// The rows of a query, from the store or newly derived.
    pub(crate) fn rows(
        &self,
        version: u64,
        query: String,
        derive: impl FnOnce() -> Vec<String>,
    ) -> Arc<Vec<String>> {
        let mut kept = self.0.lock();
        kept.retain(|rows| rows.version == version);
        if let Some(known) = kept.iter().find(|rows| rows.query == query) {
            return Arc::clone(&known.rows);
        }
        let rows = Arc::new(derive());
        if kept.len() >= MOST_KEPT {
            kept.remove(0);
        }
        kept.push(KeptRows {
            version,
            query,
            rows: Arc::clone(&rows),
        });
        rows
    }
}
