//! `history.change`: writes every present value that is replaced (D10).

use super::connection::{Queries as _, Transaction};
use super::error::StoreError;

/// A present value that is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub table: &'static str,
    pub fund_code: String,
    /// The NAV date, the XD date, the code type, or the as-of date and the period; empty for tables with one row per
    /// fund.
    pub key: String,
    pub field: &'static str,
    pub old_value: String,
    pub new_value: Option<String>,
    /// The source of the new value.
    pub source: Option<&'static str>,
}

pub(super) async fn write(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    changes: &[Change],
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let tables: Vec<&str> = changes.iter().map(|change| change.table).collect();
    let codes: Vec<&str> = changes
        .iter()
        .map(|change| change.fund_code.as_str())
        .collect();
    let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
    let fields: Vec<&str> = changes.iter().map(|change| change.field).collect();
    let old: Vec<&str> = changes
        .iter()
        .map(|change| change.old_value.as_str())
        .collect();
    let new: Vec<Option<&str>> = changes
        .iter()
        .map(|change| change.new_value.as_deref())
        .collect();
    let sources: Vec<Option<&str>> = changes.iter().map(|change| change.source).collect();
    tx.execute_expecting(
        "history.change",
        changes.len(),
        "INSERT INTO history.change (cycle_id, table_name, fund_code, key, field, old_value, new_value, source)
         SELECT $8::bigint, * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])",
        &[&tables, &codes, &keys, &fields, &old, &new, &sources, &cycle_id],
    )
    .await
}
