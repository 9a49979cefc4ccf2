//! Writes the tables that are merged field by field (`funds_master_info`, `funds_fee`, `funds_statistics`): only rows
//! that differ, with the replaced values in `history` (D2, D3, D10).

use std::collections::BTreeMap;

use tokio_postgres::types::ToSql;

use schema::FundCode;
use schema::columns::{Fields, Kind};
use schema::merge_funds::MergedRow;
use schema::precedence::RowTable;

use super::connection::{Queries as _, Transaction};
use super::decode::read_code;
use super::error::StoreError;
use super::history::{self, Change};
use super::observations::read_value;

/// The effect of a merged row on its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowEffect {
    Inserted,
    /// These columns changed.
    Updated(Vec<&'static str>),
    Unchanged,
}

/// All merged columns with their types, in the order in which they are written.
fn columns(table: &RowTable) -> Vec<(&'static str, Kind)> {
    let mut columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| (column.name, column.kind))
        .collect();
    columns.push((table.url_column, Kind::Text));
    if table.dated {
        columns.push(("as_of_date", Kind::Date));
    }
    columns
}

pub(super) const fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Number => "numeric",
        Kind::Int => "integer",
        Kind::Date => "date",
        Kind::Flag => "boolean",
    }
}

/// Writes merged rows. A missing value never overwrites a stored one.
pub(super) async fn write(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    table: &RowTable,
    merged: &BTreeMap<FundCode, MergedRow>,
) -> Result<BTreeMap<FundCode, RowEffect>, StoreError> {
    let columns = columns(table);
    let standing = read_standing(tx, table, &columns, merged).await?;
    let mut effects = BTreeMap::new();
    let mut changes = Vec::new();
    let mut written: Vec<(&FundCode, &MergedRow)> = Vec::new();
    for (code, row) in merged {
        let Some(before) = standing.get(code) else {
            written.push((code, row));
            effects.insert(code.clone(), RowEffect::Inserted);
            continue;
        };
        let mut changed = Vec::new();
        for (name, _) in &columns {
            let (Some(new), old) = (row.fields.get(*name), before.get(*name)) else {
                continue;
            };
            if old == Some(new) {
                continue;
            }
            changed.push(*name);
            if let Some(old) = old {
                changes.push(Change {
                    table: table.table,
                    fund_code: code.to_string(),
                    key: String::new(),
                    field: name,
                    old_value: old.to_string(),
                    new_value: Some(new.to_string()),
                    source: row
                        .winners
                        .get(*name)
                        .map(|statement_key| statement_key.0.as_str()),
                });
            }
        }
        let effect = if changed.is_empty() {
            RowEffect::Unchanged
        } else {
            written.push((code, row));
            RowEffect::Updated(changed)
        };
        effects.insert(code.clone(), effect);
    }
    history::write(tx, cycle_id, &changes).await?;
    upsert(tx, table, &columns, &written).await?;
    Ok(effects)
}

async fn read_standing(
    tx: &Transaction<'_>,
    table: &RowTable,
    columns: &[(&'static str, Kind)],
    merged: &BTreeMap<FundCode, MergedRow>,
) -> Result<BTreeMap<FundCode, Fields>, StoreError> {
    let codes: Vec<&str> = merged.keys().map(FundCode::as_str).collect();
    let list: Vec<String> = columns
        .iter()
        .map(|(name, _)| format!("{name}::text"))
        .collect();
    let select = format!(
        "SELECT fund_code, {} FROM public.{} WHERE fund_code = ANY($1)",
        list.join(", "),
        table.table
    );
    let mut standing = BTreeMap::new();
    for row in tx.query(&select, &[&codes]).await? {
        let mut fields = Fields::new();
        for (at, (name, kind)) in columns.iter().enumerate() {
            let text: Option<String> = row.try_get(at + 1)?;
            if let Some(value) = text.and_then(|text| read_value(*kind, &text)) {
                fields.insert((*name).to_owned(), value);
            }
        }
        standing.insert(read_code(row.try_get(0)?)?, fields);
    }
    Ok(standing)
}

async fn upsert(
    tx: &Transaction<'_>,
    table: &RowTable,
    columns: &[(&'static str, Kind)],
    rows: &[(&FundCode, &MergedRow)],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let codes: Vec<&str> = rows.iter().map(|(code, _)| code.as_str()).collect();
    let values: Vec<Vec<Option<String>>> = columns
        .iter()
        .map(|(name, _)| {
            rows.iter()
                .map(|(_, row)| row.fields.get(*name).map(ToString::to_string))
                .collect()
        })
        .collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let cast: Vec<String> = columns
        .iter()
        .map(|(name, kind)| format!("new.{name}::{}", sql_type(*kind)))
        .collect();
    let arrays: Vec<String> = (1..=columns.len() + 1)
        .map(|at| format!("${at}::text[]"))
        .collect();
    let keep: Vec<String> = names
        .iter()
        .map(|name| format!("{name} = COALESCE(EXCLUDED.{name}, standing.{name})"))
        .collect();
    let differs: Vec<String> = names
        .iter()
        .map(|name| {
            format!(
                "(EXCLUDED.{name} IS NOT NULL AND EXCLUDED.{name} IS DISTINCT FROM standing.{name})"
            )
        })
        .collect();
    let upsert = format!(
        "INSERT INTO public.{table} AS standing (fund_code, {columns})
         SELECT new.fund_code, {cast} FROM unnest({arrays}) AS new (fund_code, {columns})
         ON CONFLICT (fund_code) DO UPDATE SET {keep}, scraped_at = now()
         WHERE {differs}",
        table = table.table,
        columns = names.join(", "),
        cast = cast.join(", "),
        arrays = arrays.join(", "),
        keep = keep.join(", "),
        differs = differs.join(" OR "),
    );
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&codes];
    parameters.extend(values.iter().map(|column| column as &(dyn ToSql + Sync)));
    let name = format!("public.{}", table.table);
    tx.execute_expecting(&name, rows.len(), &upsert, &parameters)
        .await
}
