//! Reads the closed monthly cycles, from which it follows which fields are stale (D4).

use super::connection::Queries;
use super::error::StoreError;

/// Returns the ids of the closed full monthly cycles.
pub(super) async fn closed_monthly(client: &impl Queries) -> Result<Vec<i64>, StoreError> {
    let rows = client
        .query(
            "SELECT cycle_id FROM runner.cycle WHERE kind = 'monthly' AND scope = 'full' AND state = 'closed'",
            &[],
        )
        .await?;
    rows.iter()
        .map(|row| row.try_get(0).map_err(StoreError::from))
        .collect()
}
