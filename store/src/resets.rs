//! `reset-source`: deletes what is known about a source's pages, so that the next cycle reads all of them in full.
//!
//! An open cycle was planned with this data (which lists were answered in it, which pages may be skipped, how large a
//! list must be). The reset therefore waits until that cycle has closed.

use schema::SourceName;

use super::connection::{Queries as _, Transaction};
use super::counted;
use super::error::StoreError;

/// The effect of a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reset {
    /// Number of pages of the source about which data is stored.
    pub(super) pages: u64,
    /// Whether the reset waits until the open cycle closes.
    pub(super) after_cycle: bool,
}

const RESET: &str = "runner.source_reset";

/// Deletes what is known about the source's pages: at once, or when the open cycle closes.
pub(super) async fn reset(tx: &Transaction<'_>, source: SourceName) -> Result<Reset, StoreError> {
    let row = tx
        .query_one(
            "SELECT (SELECT count(*) FROM runner.task WHERE source = $1),
                 EXISTS (SELECT FROM runner.cycle WHERE state = 'open')",
            &[&source.as_str()],
        )
        .await?;
    let reset = Reset {
        pages: row.try_get::<_, i64>(0)?.unsigned_abs(),
        after_cycle: row.try_get(1)?,
    };
    tx.execute_expecting(
        RESET,
        1,
        "INSERT INTO runner.source_reset (source) VALUES ($1)
         ON CONFLICT (source) DO UPDATE SET source = EXCLUDED.source",
        &[&source.as_str()],
    )
    .await?;
    forget_reset(tx).await?;
    Ok(reset)
}

/// Carries out all waiting resets unless a cycle is open. To be called after a cycle has closed and before one begins.
pub(super) async fn forget_reset(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let row = tx
        .query_one(
            "SELECT EXISTS (SELECT FROM runner.source_reset)
                 AND NOT EXISTS (SELECT FROM runner.cycle WHERE state = 'open')",
            &[],
        )
        .await?;
    if !row.try_get::<_, bool>(0)? {
        return Ok(());
    }
    let was_reset = "t.source IN (SELECT source FROM runner.source_reset)";
    let nothing_known = "payload_hash = NULL, parser_version = NULL, beginning_bytes = NULL, beginning_hash = NULL,
        beginning_until = NULL, whole_first_day = NULL, whole_since = NULL, answered_cycle = NULL, answered_locator = NULL,
        answered_outcome = NULL, extents = '{}', chain = NULL";
    for (table, statement) in [
        (
            "runner.task",
            counted::update("runner.task", nothing_known, "", was_reset),
        ),
        (
            "runner.list_size",
            counted::delete("runner.list_size", "", was_reset),
        ),
        (RESET, counted::delete(RESET, "", "true")),
    ] {
        tx.execute_counted(table, &statement, &[]).await?;
    }
    Ok(())
}
