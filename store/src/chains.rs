//! `runner.task.chain`: how far a list with cursors was read. It is one task that is acknowledged page by page.

use std::collections::BTreeMap;

use schema::cycle::Cycle;
use schema::task::ChainPosition;
use schema::{TaskAnswer, TaskId};

use super::connection::{Queries as _, Transaction};
use super::error::StoreError;

/// Reads the stored position; `None` for a list that begins with its first page, and for any other task. Each time a
/// task is handed out, its list may be begun again once: in a new round, after a restart, or in a later cycle its
/// cursor may have expired again.
pub(super) fn read(stored: Option<serde_json::Value>) -> Result<Option<ChainPosition>, StoreError> {
    let position: Option<ChainPosition> = stored
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| StoreError::Inconsistent(format!("runner.task.chain: {error}")))?;
    Ok(position.map(|position| ChainPosition {
        restarted: false,
        ..position
    }))
}

/// Records how far lists with cursors were read, in the transaction that writes the rows of their pages (D1). Of
/// several pages of one list the last one counts.
pub(super) async fn advance(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answers: &[TaskAnswer],
) -> Result<(), StoreError> {
    let mut positions: BTreeMap<&TaskId, &ChainPosition> = BTreeMap::new();
    for answer in answers {
        if let Some(next) = &answer.next {
            positions.insert(&answer.id, next);
        }
    }
    if positions.is_empty() {
        return Ok(());
    }
    let sources: Vec<&str> = positions.keys().map(|id| id.source.as_str()).collect();
    let pages: Vec<&str> = positions.keys().map(|id| id.page.as_str()).collect();
    let keys: Vec<&str> = positions.keys().map(|id| id.key.as_str()).collect();
    let chains: Vec<serde_json::Value> = positions
        .values()
        .map(|position| serde_json::json!(position))
        .collect();
    tx.execute_expecting(
        "runner.task",
        positions.len(),
        "UPDATE runner.task t SET chain = a.chain
         FROM unnest($2::text[], $3::text[], $4::text[], $5::jsonb[]) AS a (source, page, key, chain)
         WHERE t.source = a.source AND t.page = a.page AND t.key = a.key
           AND t.planned_cycle = $1 AND t.acked_cycle IS DISTINCT FROM $1",
        &[&cycle.id, &sources, &pages, &keys, &chains],
    )
    .await
}
