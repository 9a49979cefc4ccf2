//! Reads and writes reported days that are not in `funds_daily`: dissents (`runner.daily_dissent`), and statements
//! about codes outside the universe (`runner.daily_waiting`).

use std::collections::BTreeMap;

use jiff::civil::Date;
use tokio_postgres::types::ToSql;

use schema::SourceName;
use schema::merge_daily::{Dissents, Values};

use super::connection::{Queries as _, Transaction, expect_rows};
use super::counted;
use super::days::{self, Day, Statements};
use super::decode::{read_number, read_source};
use super::error::StoreError;

const DISSENT: &str = "runner.daily_dissent";

/// Reads the dissents about these days.
pub(super) async fn read_dissents(
    tx: &Transaction<'_>,
    days: &[Day],
) -> Result<BTreeMap<Day, Dissents>, StoreError> {
    if days.is_empty() {
        return Ok(BTreeMap::new());
    }
    let codes: Vec<&str> = days.iter().map(|day| day.0.as_str()).collect();
    let dates: Vec<Date> = days.iter().map(|day| day.1).collect();
    let rows = tx
        .query(
            "SELECT d.fund_code, d.nav_date, d.source, d.nav_value::text, d.bid::text, d.offer::text, d.aum::text
             FROM unnest($1::text[], $2::date[]) AS asked (fund_code, nav_date)
             JOIN runner.daily_dissent d USING (fund_code, nav_date)",
            &[&codes, &dates],
        )
        .await?;
    let mut dissents: BTreeMap<Day, Dissents> = BTreeMap::new();
    for row in rows {
        let mut values = Values::default();
        for (at, value) in values.iter_mut().enumerate() {
            *value = read_number(row.try_get(3 + at)?)?;
        }
        dissents
            .entry((row.try_get(0)?, row.try_get(1)?))
            .or_default()
            .insert(read_source(row.try_get(2)?)?, values);
    }
    Ok(dissents)
}

/// Replaces the stored dissents about these days.
pub(super) async fn write_dissents(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    days: &[(Day, Dissents)],
) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    let codes: Vec<&str> = days.iter().map(|(day, _)| day.0.as_str()).collect();
    let dates: Vec<Date> = days.iter().map(|(day, _)| day.1).collect();
    tx.execute_counted(
        DISSENT,
        &counted::delete(
            DISSENT,
            "unnest($1::text[], $2::date[]) AS gone (fund_code, nav_date)",
            "t.fund_code = gone.fund_code AND t.nav_date = gone.nav_date",
        ),
        &[&codes, &dates],
    )
    .await?;
    let flat = days.iter().flat_map(|(day, others)| {
        others
            .iter()
            .map(move |(source, values)| ((day.0.as_str(), day.1), *source, *values))
    });
    insert_said(tx, "daily_dissent", cycle_id, flat.collect()).await
}

/// Inserts statements into `runner.daily_dissent` or `runner.daily_waiting`. A stored value stays if the statement has
/// none for its field.
async fn insert_said(
    tx: &Transaction<'_>,
    table: &str,
    cycle_id: Option<i64>,
    said: Vec<((&str, Date), SourceName, Values)>,
) -> Result<(), StoreError> {
    let (mut codes, mut dates, mut sources) = (Vec::new(), Vec::new(), Vec::new());
    let mut columns: [Vec<Option<String>>; 4] = Default::default();
    for (day, source, values) in said {
        codes.push(day.0);
        dates.push(day.1);
        sources.push(source.as_str());
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(value.map(|value| value.to_string()));
        }
    }
    let [nav, bid, offer, aum] = &columns;
    let (cycle_name, cycle_value) = match cycle_id {
        Some(_) => (", cycle_id", ", $8::bigint"),
        None => ("", ""),
    };
    let insert = format!(
        "INSERT INTO runner.{table} AS held (fund_code, nav_date, source, nav_value, bid, offer, aum{cycle_name})
         SELECT fund_code, nav_date, source, nav::numeric, bid::numeric, offer::numeric, aum::numeric{cycle_value}
         FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
              AS new (fund_code, nav_date, source, nav, bid, offer, aum)
         ON CONFLICT (fund_code, nav_date, source) DO UPDATE SET
             nav_value = COALESCE(EXCLUDED.nav_value, held.nav_value), bid = COALESCE(EXCLUDED.bid, held.bid),
             offer = COALESCE(EXCLUDED.offer, held.offer), aum = COALESCE(EXCLUDED.aum, held.aum)"
    );
    let mut parameters: Vec<&(dyn ToSql + Sync)> =
        vec![&codes, &dates, &sources, nav, bid, offer, aum];
    if let Some(id) = &cycle_id {
        parameters.push(id);
    }
    tx.execute_expecting(
        &format!("runner.{table}"),
        codes.len(),
        &insert,
        &parameters,
    )
    .await
}

/// Stores statements about codes outside the universe, to be used if the codes enter it later.
pub(super) async fn keep_waiting(
    tx: &Transaction<'_>,
    statements: &Statements,
) -> Result<(), StoreError> {
    if statements.is_empty() {
        return Ok(());
    }
    let flat = statements.iter().flat_map(|(fund_code, days)| {
        days.iter().flat_map(move |(nav_date, said)| {
            said.iter()
                .map(move |(source, values)| ((fund_code.as_str(), *nav_date), *source, *values))
        })
    });
    insert_said(tx, "daily_waiting", None, flat.collect()).await
}

/// Moves the stored statements about codes that now enter the universe into `statements`.
pub(super) async fn take_waiting(
    tx: &Transaction<'_>,
    fund_codes: &[&str],
    statements: &mut Statements,
) -> Result<(), StoreError> {
    let rows = tx
        .query(
            "DELETE FROM runner.daily_waiting WHERE fund_code = ANY($1)
             RETURNING fund_code, nav_date, source, nav_value::text, bid::text, offer::text, aum::text",
            &[&fund_codes],
        )
        .await?;
    let left = tx
        .query_one(
            "SELECT count(*) FROM runner.daily_waiting WHERE fund_code = ANY($1)",
            &[&fund_codes],
        )
        .await?;
    let (taken, left) = (rows.len() as u64, left.try_get::<_, i64>(0)?.unsigned_abs());
    expect_rows("runner.daily_waiting", taken + left, taken)?;
    for row in rows {
        let source = read_source(row.try_get(2)?)?;
        let mut kept = Values::default();
        for (at, value) in kept.iter_mut().enumerate() {
            *value = read_number(row.try_get(3 + at)?)?;
        }
        let days = statements.entry(row.try_get(0)?).or_default();
        let said = days.entry(row.try_get(1)?).or_default();
        // The batch's own statement is newer.
        let newer = said.iter().position(|(by, _)| *by == source);
        if let Some(newer) = newer.map(|at| said.swap_remove(at).1) {
            days::add(said, source, kept);
            days::add(said, source, newer);
        } else {
            days::add(said, source, kept);
        }
    }
    Ok(())
}
