//! `runner.precedence`: the ranks that all rows were last merged by. A start compares them with the ranks in force, so
//! that a changed rank that was not applied to all rows is noticed.

use std::collections::BTreeMap;

use schema::precedence::Precedence;

use super::connection::{Queries, Transaction};
use super::counted;
use super::error::StoreError;

const TABLE: &str = "runner.precedence";

/// The ranks by table and column.
type Ranks = BTreeMap<(String, String), Vec<String>>;

/// Returns no rank for a database that was not migrated yet.
async fn read(client: &impl Queries) -> Result<Ranks, StoreError> {
    let exists = client
        .query_one("SELECT to_regclass('runner.precedence') IS NOT NULL", &[])
        .await?;
    if !exists.try_get::<_, bool>(0)? {
        return Ok(Ranks::new());
    }
    let rows = client
        .query(
            "SELECT table_name, column_name, rank FROM runner.precedence",
            &[],
        )
        .await?;
    let mut ranks = Ranks::new();
    for row in rows {
        ranks.insert((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?);
    }
    Ok(ranks)
}

fn in_force(precedence: &Precedence) -> Ranks {
    let columns = precedence.columns().into_iter();
    columns
        .map(|column| {
            (
                (column.table.to_owned(), column.column.to_owned()),
                column.rank,
            )
        })
        .collect()
}

/// Stores the ranks that are not stored yet. In a warehouse that has rows but no stored rank, an older version merged
/// them by the defaults. Otherwise no row depends on a rank that is not stored.
pub(super) async fn store_missing(
    tx: &Transaction<'_>,
    precedence: &Precedence,
) -> Result<(), StoreError> {
    let stored = read(tx).await?;
    let row = tx
        .query_one(
            "SELECT EXISTS (SELECT FROM runner.observation) OR EXISTS (SELECT FROM public.funds_daily)",
            &[],
        )
        .await?;
    let has_rows: bool = row.try_get(0)?;
    let mut missing = if stored.is_empty() && has_rows {
        in_force(&Precedence::default())
    } else {
        in_force(precedence)
    };
    missing.retain(|place, _| !stored.contains_key(place));
    write(tx, missing).await
}

/// Stores the ranks in force: all rows were merged by them.
pub(super) async fn store_all(
    tx: &Transaction<'_>,
    precedence: &Precedence,
) -> Result<(), StoreError> {
    tx.execute_counted(TABLE, &counted::delete(TABLE, "", "true"), &[])
        .await?;
    write(tx, in_force(precedence)).await
}

async fn write(tx: &Transaction<'_>, ranks: Ranks) -> Result<(), StoreError> {
    for ((table, column), rank) in ranks {
        tx.execute_expecting(
            TABLE,
            1,
            "INSERT INTO runner.precedence (table_name, column_name, rank) VALUES ($1, $2, $3)",
            &[&table, &column, &rank],
        )
        .await?;
    }
    Ok(())
}

/// The tables and columns whose stored rank differs from the one in force, as `table.column`; a table of which every
/// column differs, by its name alone.
pub(super) async fn differing(
    client: &impl Queries,
    precedence: &Precedence,
) -> Result<Vec<String>, StoreError> {
    Ok(compare(&read(client).await?, &in_force(precedence)))
}

fn compare(stored: &Ranks, in_force: &Ranks) -> Vec<String> {
    let mut tables: BTreeMap<&str, (usize, Vec<&str>)> = BTreeMap::new();
    for (place, rank) in in_force {
        let (known, differing) = tables.entry(&place.0).or_default();
        *known += 1;
        if stored.get(place).is_some_and(|stored| stored != rank) {
            differing.push(&place.1);
        }
    }
    let mut places = Vec::new();
    for (table, (known, differing)) in tables {
        if differing.len() == known {
            places.push(table.to_owned());
        } else {
            places.extend(differing.iter().map(|column| format!("{table}.{column}")));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(entries: &[(&str, &str)]) -> Ranks {
        let entries = entries
            .iter()
            .map(|(place, source)| (*place, vec![*source]));
        in_force(&Precedence::configured(entries).unwrap())
    }

    #[test]
    fn tables_and_columns_with_another_rank_are_named() {
        let stored = configured(&[]);
        assert_eq!(compare(&stored, &stored), Vec::<String>::new());
        let changed = configured(&[
            ("funds_statistics", "sec_open_api"),
            ("funds_daily.aum", "wealthmagik"),
            ("funds_codes", "finnomena"),
        ]);
        assert_eq!(
            compare(&stored, &changed),
            ["funds_codes", "funds_daily.aum", "funds_statistics"]
        );
        // What is not stored was never merged by another rank.
        assert_eq!(compare(&Ranks::new(), &changed), Vec::<String>::new());
    }
}
