//! `funds_dividends` and `funds_performance`: tables whose rows are only added and changed. Only rows that differ are
//! written, with the replaced values in `history` (D2, D3, D10).

use std::collections::BTreeMap;

use jiff::civil::Date;
use tokio_postgres::types::ToSql;

use schema::FundCode;
use schema::append::RowKey;
use schema::columns::{Fields, Kind};
use schema::merge_appended::{MergedEntry, SOURCE_COLUMN, URL_COLUMN};
use schema::precedence::AppendTable;

use super::connection::{Queries as _, Transaction};
use super::decode::read_code;
use super::error::StoreError;
use super::history::{self, Change};
use super::observations::read_value;
use super::rows::{RowEffect, sql_type};

/// The rows that funds should have.
pub(super) type WantedRows = BTreeMap<FundCode, BTreeMap<RowKey, MergedEntry>>;

/// Effects by fund and key.
pub(super) type AppendEffects = BTreeMap<(FundCode, RowKey), RowEffect>;

/// A row with its fund and key.
type Written<'wanted> = (&'wanted FundCode, &'wanted RowKey, &'wanted MergedEntry);

/// The columns after the key, with their types.
fn columns(table: &AppendTable) -> Vec<(&'static str, Kind)> {
    let merged = table.columns.iter();
    merged
        .map(|column| (column.name, column.kind))
        .chain([(SOURCE_COLUMN, Kind::Text), (URL_COLUMN, Kind::Text)])
        .collect()
}

/// Writes merged rows. A missing value never overwrites a stored one, and no row is removed.
pub(super) async fn write(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    table: &AppendTable,
    wanted: &WantedRows,
) -> Result<AppendEffects, StoreError> {
    let columns = columns(table);
    let standing = read_standing(tx, table, &columns, wanted).await?;
    let mut effects = AppendEffects::new();
    let mut changes = Vec::new();
    let mut written: Vec<Written<'_>> = Vec::new();
    for (fund_code, rows) in wanted {
        for (key, entry) in rows {
            let place = (fund_code.clone(), key.clone());
            let effect = match standing.get(&place) {
                None => RowEffect::Inserted,
                Some(before) => {
                    let changed = changed_columns(&columns, before, entry);
                    for (column, old) in &changed {
                        let (Some(old), Some(new)) = (old, entry.fields.get(*column)) else {
                            continue;
                        };
                        changes.push(Change {
                            table: table.table,
                            fund_code: fund_code.to_string(),
                            key: key.to_string(),
                            field: column,
                            old_value: old.clone(),
                            new_value: Some(new.to_string()),
                            source: entry.winners.get(*column).map(|source| source.as_str()),
                        });
                    }
                    if changed.is_empty() {
                        RowEffect::Unchanged
                    } else {
                        RowEffect::Updated(changed.into_iter().map(|(column, _)| column).collect())
                    }
                }
            };
            if effect != RowEffect::Unchanged {
                written.push((fund_code, key, entry));
            }
            effects.insert(place, effect);
        }
    }
    history::write(tx, cycle_id, &changes).await?;
    upsert(tx, table, &columns, &written).await?;
    Ok(effects)
}

/// The columns whose value differs from the stored one, with the stored value.
fn changed_columns(
    columns: &[(&'static str, Kind)],
    before: &Fields,
    entry: &MergedEntry,
) -> Vec<(&'static str, Option<String>)> {
    let mut changed = Vec::new();
    for (name, _) in columns {
        if let Some(new) = entry.fields.get(*name)
            && before.get(*name) != Some(new)
        {
            changed.push((*name, before.get(*name).map(ToString::to_string)));
        }
    }
    changed
}

async fn read_standing(
    tx: &Transaction<'_>,
    table: &AppendTable,
    columns: &[(&'static str, Kind)],
    wanted: &WantedRows,
) -> Result<BTreeMap<(FundCode, RowKey), Fields>, StoreError> {
    let codes: Vec<&str> = wanted.keys().map(FundCode::as_str).collect();
    let list: Vec<String> = columns
        .iter()
        .map(|(name, _)| format!("{name}::text"))
        .collect();
    let select = format!(
        "SELECT fund_code, {date}, {word}, {list} FROM public.{table} WHERE fund_code = ANY($1)",
        date = table.date_column,
        word = table.word_column.unwrap_or("''"),
        list = list.join(", "),
        table = table.table,
    );
    let mut standing = BTreeMap::new();
    for row in tx.query(&select, &[&codes]).await? {
        let mut fields = Fields::new();
        for (at, (name, kind)) in columns.iter().enumerate() {
            let text: Option<String> = row.try_get(at + 3)?;
            if let Some(value) = text.and_then(|text| read_value(*kind, &text)) {
                fields.insert((*name).to_owned(), value);
            }
        }
        let key = RowKey {
            date: row.try_get(1)?,
            word: row.try_get(2)?,
        };
        standing.insert((read_code(row.try_get(0)?)?, key), fields);
    }
    Ok(standing)
}

async fn upsert(
    tx: &Transaction<'_>,
    table: &AppendTable,
    columns: &[(&'static str, Kind)],
    rows: &[Written<'_>],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let codes: Vec<&str> = rows.iter().map(|(code, ..)| code.as_str()).collect();
    let dates: Vec<Date> = rows.iter().map(|(_, key, _)| key.date).collect();
    let words: Vec<&str> = rows.iter().map(|(_, key, _)| key.word.as_str()).collect();
    let values: Vec<Vec<Option<String>>> = columns
        .iter()
        .map(|(name, _)| {
            rows.iter()
                .map(|(.., entry)| entry.fields.get(*name).map(ToString::to_string))
                .collect()
        })
        .collect();
    let key: Vec<&str> = ["fund_code", table.date_column]
        .into_iter()
        .chain(table.word_column)
        .collect();
    let key = key.join(", ");
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let each = |text: &dyn Fn(&str, Kind) -> String| -> Vec<String> {
        columns
            .iter()
            .map(|(name, kind)| text(name, *kind))
            .collect()
    };
    let cast = each(&|name, kind| format!("new.{name}::{}", sql_type(kind)));
    let keep = each(&|name, _| format!("{name} = COALESCE(EXCLUDED.{name}, standing.{name})"));
    let arrays: Vec<String> = (4..columns.len() + 4)
        .map(|at| format!("${at}::text[]"))
        .collect();
    let upsert = format!(
        "INSERT INTO public.{table} AS standing ({key}, {names})
         SELECT new.fund_code, new.day{word}, {cast}
         FROM unnest($1::text[], $2::date[], $3::text[], {arrays}) AS new (fund_code, day, word, {names})
         ON CONFLICT ({key}) DO UPDATE SET {keep}, scraped_at = now()",
        table = table.table,
        names = names.join(", "),
        word = if table.word_column.is_some() { ", new.word" } else { "" },
        cast = cast.join(", "),
        arrays = arrays.join(", "),
        keep = keep.join(", "),
    );
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&codes, &dates, &words];
    parameters.extend(values.iter().map(|column| column as &(dyn ToSql + Sync)));
    let name = format!("public.{}", table.table);
    tx.execute_expecting(&name, rows.len(), &upsert, &parameters)
        .await
}
