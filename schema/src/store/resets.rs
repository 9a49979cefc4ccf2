//! `reset-source`: forgets what is known of a source's pages, so that the next cycle reads everything in full.
//!
//! An open cycle has planned by what is forgotten (which list was answered in it, which pages may be skipped, how large a list
//! must be), so it keeps that to its end.

use crate::SourceName;

use super::connection::{Queries as _, Transaction};
use super::error::StoreError;

/// What a reset does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reset {
    /// Pages of the source that are known.
    pub(super) pages: u64,
    /// It is done when the open cycle closes.
    pub(super) after_cycle: bool,
}

/// Forgets what is known of the source's pages: at once, or when the open cycle closes.
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
    tx.execute(
        "INSERT INTO runner.source_reset (source) VALUES ($1) ON CONFLICT DO NOTHING",
        &[&source.as_str()],
    )
    .await?;
    forget_reset(tx).await?;
    Ok(reset)
}

/// Forgets what is known of the pages of every source that was reset, unless a cycle is open: called when one has closed, and
/// before one begins.
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
    for statement in [
        "UPDATE runner.task SET payload_hash = NULL, parser_version = NULL, beginning_bytes = NULL,
             beginning_hash = NULL, beginning_until = NULL, whole_first_day = NULL, whole_since = NULL,
             answered_cycle = NULL,
             answered_locator = NULL, answered_outcome = NULL, extents = '{}'
         WHERE source IN (SELECT source FROM runner.source_reset)",
        "DELETE FROM runner.list_size WHERE source IN (SELECT source FROM runner.source_reset)",
        "DELETE FROM runner.source_reset",
    ] {
        tx.execute(statement, &[]).await?;
    }
    Ok(())
}
