//! `funds_daily`: the series. New days are inserted in bulk; days that stand as said are skipped in SQL; only days that
//! are really said otherwise are fetched, merged by the pure rule and written back.

use std::collections::BTreeMap;

use jiff::civil::Date;
use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use crate::merge_daily::{DayField, DayRow, Dissents, Values, merge_day, row_source};
use crate::precedence::NAV_AND_AUM;
use crate::{Number, SourceName, failpoint};

use super::error::StoreError;
use super::history::{self, Change};
use super::report::RecordCounts;
use super::report::TableCounts;
use super::set_aside;

/// The temporary tables of the writer's session.
pub(super) const STAGING: &str = "
    CREATE TEMPORARY TABLE staged_daily (
        fund_code TEXT COLLATE \"C\", nav_date DATE, source_bit SMALLINT, alone BOOLEAN,
        nav_value NUMERIC, bid NUMERIC, offer NUMERIC, aum NUMERIC
    ) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE merged_daily (
        fund_code TEXT COLLATE \"C\", nav_date DATE, source TEXT,
        nav_value NUMERIC, bid NUMERIC, offer NUMERIC, aum NUMERIC,
        nav_said_by SMALLINT, bid_said_by SMALLINT, offer_said_by SMALLINT, aum_said_by SMALLINT
    ) ON COMMIT DELETE ROWS;";

/// Below this many staged rows the planner does well without statistics.
const ANALYZE_FROM: usize = 500;

/// A batch is small and the series is long: it is looked up by its key, never read from end to end, whatever the
/// statistics of a table that was filled a moment ago say.
const BY_KEY: &str = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";
const AS_PLANNED: &str = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";

/// A day of a fund.
pub(super) type Day = (String, Date);

/// What sources say of days: one statement a source and day.
pub(super) type Statements = BTreeMap<Day, BTreeMap<SourceName, Values>>;

/// Adds a statement; of two of the same source and day in one batch the later wins where it says something.
pub(super) fn add(statements: &mut Statements, day: Day, source: SourceName, said: Values) {
    let values = statements
        .entry(day)
        .or_default()
        .entry(source)
        .or_default();
    for (value, said) in values.iter_mut().zip(said) {
        *value = said.or(*value);
    }
}

/// Writes the statements of a batch about funds of the universe.
pub(super) async fn write(
    tx: &Transaction<'_>,
    cycle_id: i64,
    statements: &Statements,
) -> Result<TableCounts, StoreError> {
    if statements.is_empty() {
        return Ok(TableCounts::default());
    }
    stage(tx, statements).await?;
    failpoint::BATCH_DAYS_STAGED.pass().await?;
    tx.batch_execute(BY_KEY).await?;
    let counts = write_staged(tx, cycle_id, statements).await?;
    tx.batch_execute(AS_PLANNED).await?;
    Ok(counts)
}

async fn write_staged(
    tx: &Transaction<'_>,
    cycle_id: i64,
    statements: &Statements,
) -> Result<TableCounts, StoreError> {
    let mut counts = TableCounts::default();
    let alone = statements
        .values()
        .filter(|sources| sources.len() == 1)
        .count() as u64;
    let others: u64 = statements
        .values()
        .filter(|sources| sources.len() > 1)
        .map(|sources| sources.len() as u64)
        .sum();
    counts.records.observed = alone + others;
    let different = read_different(tx).await?;
    let inserted = tx
        .execute(
            "INSERT INTO public.funds_daily (fund_code, nav_date, nav_value, bid, offer, aum, source,
                 nav_said_by, bid_said_by, offer_said_by, aum_said_by, cycle_id)
             SELECT s.fund_code, s.nav_date, s.nav_value, s.bid, s.offer, s.aum, n.name,
                 CASE WHEN s.nav_value IS NULL THEN 0 ELSE s.source_bit END,
                 CASE WHEN s.bid IS NULL THEN 0 ELSE s.source_bit END,
                 CASE WHEN s.offer IS NULL THEN 0 ELSE s.source_bit END,
                 CASE WHEN s.aum IS NULL THEN 0 ELSE s.source_bit END, $1
             FROM staged_daily s
             JOIN unnest($2::smallint[], $3::text[]) AS n (bit, name) ON n.bit = s.source_bit
             WHERE s.alone AND NOT EXISTS (
                 SELECT 1 FROM public.funds_daily d
                 WHERE d.fund_code = s.fund_code AND d.nav_date = s.nav_date)
             ORDER BY s.fund_code, s.nav_date",
            &[
                &cycle_id,
                &SourceName::ALL.map(SourceName::bit).as_slice(),
                &SourceName::ALL.map(SourceName::as_str).as_slice(),
            ],
        )
        .await?;
    let alone_different = different
        .keys()
        .filter(|day| {
            statements
                .get(*day)
                .is_some_and(|sources| sources.len() == 1)
        })
        .count() as u64;
    counts.rows_inserted = inserted;
    counts.records.inserted = inserted;
    counts.records.unchanged = alone - inserted - alone_different;
    if !different.is_empty() {
        let merged = merge_different(tx, cycle_id, statements, &different).await?;
        counts.add(&merged);
    }
    Ok(counts)
}

async fn stage(tx: &Transaction<'_>, statements: &Statements) -> Result<(), StoreError> {
    tx.batch_execute("TRUNCATE staged_daily, merged_daily")
        .await?;
    let sink = tx
        .copy_in(
            "COPY staged_daily (fund_code, nav_date, source_bit, alone, nav_value, bid, offer, aum)
             FROM STDIN (FORMAT binary)",
        )
        .await?;
    let writer = BinaryCopyInWriter::new(
        sink,
        &[
            Type::TEXT,
            Type::DATE,
            Type::INT2,
            Type::BOOL,
            Type::NUMERIC,
            Type::NUMERIC,
            Type::NUMERIC,
            Type::NUMERIC,
        ],
    );
    let mut writer = std::pin::pin!(writer);
    for ((fund_code, nav_date), sources) in statements {
        let alone = sources.len() == 1;
        for (source, values) in sources {
            let [nav, bid, offer, aum] = values.map(|value| value.map(Number::decimal));
            let row: [&(dyn ToSql + Sync); 8] = [
                fund_code,
                nav_date,
                &source.bit(),
                &alone,
                &nav,
                &bid,
                &offer,
                &aum,
            ];
            writer.as_mut().write(&row).await?;
        }
    }
    writer.finish().await?;
    if statements.len() >= ANALYZE_FROM {
        tx.batch_execute("ANALYZE staged_daily").await?;
    }
    Ok(())
}

/// The days to merge in full: said by several sources at once, or standing otherwise than said. `None`: no row yet.
async fn read_different(tx: &Transaction<'_>) -> Result<BTreeMap<Day, Option<DayRow>>, StoreError> {
    let rows = tx
        .query(
            "SELECT s.fund_code, s.nav_date, true, d.nav_value::text, d.bid::text, d.offer::text, d.aum::text,
                    d.nav_said_by, d.bid_said_by, d.offer_said_by, d.aum_said_by
             FROM staged_daily s JOIN public.funds_daily d USING (fund_code, nav_date)
             WHERE s.alone AND NOT (
                 (s.nav_value IS NULL OR (d.nav_value = s.nav_value AND d.nav_said_by & s.source_bit <> 0) IS TRUE)
                 AND (s.bid IS NULL OR (d.bid = s.bid AND d.bid_said_by & s.source_bit <> 0) IS TRUE)
                 AND (s.offer IS NULL OR (d.offer = s.offer AND d.offer_said_by & s.source_bit <> 0) IS TRUE)
                 AND (s.aum IS NULL OR (d.aum = s.aum AND d.aum_said_by & s.source_bit <> 0) IS TRUE))
             UNION ALL
             SELECT DISTINCT s.fund_code, s.nav_date, d.fund_code IS NOT NULL,
                    d.nav_value::text, d.bid::text, d.offer::text, d.aum::text,
                    COALESCE(d.nav_said_by, 0::smallint), COALESCE(d.bid_said_by, 0::smallint),
                    COALESCE(d.offer_said_by, 0::smallint), COALESCE(d.aum_said_by, 0::smallint)
             FROM staged_daily s LEFT JOIN public.funds_daily d USING (fund_code, nav_date)
             WHERE NOT s.alone",
            &[],
        )
        .await?;
    let mut different = BTreeMap::new();
    for row in rows {
        let day: Day = (row.try_get(0)?, row.try_get(1)?);
        let stands: bool = row.try_get(2)?;
        let mut standing = DayRow::default();
        for at in 0..4 {
            standing.values[at] = read_number(row.try_get(3 + at)?)?;
            standing.said_by[at] = row.try_get(7 + at)?;
        }
        different.insert(day, stands.then_some(standing));
    }
    Ok(different)
}

pub(super) fn read_number(text: Option<String>) -> Result<Option<Number>, StoreError> {
    text.map(|text| {
        Number::parse(&text)
            .map_err(|error| StoreError::Inconsistent(format!("a stored number: {error}")))
    })
    .transpose()
}

/// A day that is written back.
struct MergedDay<'day> {
    day: &'day Day,
    row: DayRow,
}

async fn merge_different(
    tx: &Transaction<'_>,
    cycle_id: i64,
    statements: &Statements,
    different: &BTreeMap<Day, Option<DayRow>>,
) -> Result<TableCounts, StoreError> {
    let mut dissents = set_aside::read_dissents(tx).await?;
    let none = Dissents::new();
    let mut counts = TableCounts::default();
    let mut merged_days = Vec::new();
    let mut changes = Vec::new();
    let mut new_dissents = Vec::new();
    for (day, standing) in different {
        let Some(sources) = statements.get(day) else {
            return Err(StoreError::Inconsistent(format!(
                "the day {} of {} came back from staging and was not staged",
                day.1, day.0
            )));
        };
        // In the order of rank, so that the counts are a function of what was said.
        let said: Vec<(SourceName, Values)> = NAV_AND_AUM
            .iter()
            .filter_map(|source| Some((*source, *sources.get(source)?)))
            .collect();
        let before = standing.unwrap_or_default();
        let held = dissents.remove(day);
        let (row, others) = merge_day(&before, held.as_ref().unwrap_or(&none), &said);
        count(&mut counts.records, standing.as_ref(), &row, &said);
        for (at, field) in DayField::ALL.into_iter().enumerate() {
            if let (Some(old), Some(new)) = (before.values[at], row.values[at])
                && old != new
            {
                changes.push(Change {
                    table: "funds_daily",
                    fund_code: day.0.clone(),
                    key: day.1.to_string(),
                    field: field.column(),
                    old_value: old.to_string(),
                    new_value: Some(new.to_string()),
                    source: row_source_of(&row, at),
                });
            }
        }
        if standing.is_none() {
            counts.rows_inserted += 1;
        } else if before.values != row.values {
            counts.rows_updated += 1;
        }
        if standing.as_ref() != Some(&row) {
            merged_days.push(MergedDay { day, row });
        }
        if held.unwrap_or_default() != others {
            new_dissents.push((day, others));
        }
    }
    history::write(tx, Some(cycle_id), &changes).await?;
    write_merged(tx, cycle_id, &merged_days).await?;
    set_aside::write_dissents(tx, cycle_id, &new_dissents).await?;
    Ok(counts)
}

fn row_source_of(row: &DayRow, at: usize) -> Option<&'static str> {
    let mut alone = DayRow::default();
    alone.values[at] = row.values[at];
    alone.said_by[at] = row.said_by[at];
    row_source(&alone).map(SourceName::as_str)
}

/// One effect for each statement: the first of a new row inserted it; another that brought or changed a value updated
/// it; one whose every value stands said nothing new; one with a value that does not stand is superseded.
fn count(
    counts: &mut RecordCounts,
    standing: Option<&DayRow>,
    row: &DayRow,
    said: &[(SourceName, Values)],
) {
    let before = standing.map(|standing| standing.values).unwrap_or_default();
    let mut seen = before;
    for (at_source, (source, values)) in said.iter().enumerate() {
        let mut brings = false;
        let mut all_stand = true;
        for at in 0..4 {
            let Some(value) = values[at] else { continue };
            let stands = row.values[at] == Some(value) && row.said_by[at] & source.bit() != 0;
            brings |= stands && seen[at] != Some(value);
            all_stand &= stands;
            if stands {
                seen[at] = Some(value);
            }
        }
        if standing.is_none() && at_source == 0 {
            counts.inserted += 1;
        } else if brings {
            counts.updated += 1;
        } else if all_stand {
            counts.unchanged += 1;
        } else {
            counts.superseded += 1;
        }
    }
}

pub(super) fn read_source(name: &str) -> Result<SourceName, StoreError> {
    name.parse()
        .map_err(|error| StoreError::Inconsistent(format!("a stored source name: {error}")))
}

async fn write_merged(
    tx: &Transaction<'_>,
    cycle_id: i64,
    days: &[MergedDay<'_>],
) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    let sink = tx
        .copy_in(
            "COPY merged_daily (fund_code, nav_date, source, nav_value, bid, offer, aum,
                 nav_said_by, bid_said_by, offer_said_by, aum_said_by) FROM STDIN (FORMAT binary)",
        )
        .await?;
    let mut types = vec![Type::TEXT, Type::DATE, Type::TEXT];
    types.extend([Type::NUMERIC, Type::NUMERIC, Type::NUMERIC, Type::NUMERIC]);
    types.extend([Type::INT2, Type::INT2, Type::INT2, Type::INT2]);
    let writer = BinaryCopyInWriter::new(sink, &types);
    let mut writer = std::pin::pin!(writer);
    for MergedDay { day, row } in days {
        let source = row_source(row).map(SourceName::as_str);
        let [nav, bid, offer, aum] = row.values.map(|value| value.map(Number::decimal));
        let [nav_by, bid_by, offer_by, aum_by] = row.said_by;
        let columns: [&(dyn ToSql + Sync); 11] = [
            &day.0, &day.1, &source, &nav, &bid, &offer, &aum, &nav_by, &bid_by, &offer_by, &aum_by,
        ];
        writer.as_mut().write(&columns).await?;
    }
    writer.finish().await?;
    tx.execute(
        "INSERT INTO public.funds_daily AS standing (fund_code, nav_date, nav_value, bid, offer, aum, source,
             nav_said_by, bid_said_by, offer_said_by, aum_said_by, cycle_id)
         SELECT fund_code, nav_date, nav_value, bid, offer, aum, source,
             nav_said_by, bid_said_by, offer_said_by, aum_said_by, $1
         FROM merged_daily
         ON CONFLICT (fund_code, nav_date) DO UPDATE SET
             nav_value = COALESCE(EXCLUDED.nav_value, standing.nav_value),
             bid = COALESCE(EXCLUDED.bid, standing.bid),
             offer = COALESCE(EXCLUDED.offer, standing.offer),
             aum = COALESCE(EXCLUDED.aum, standing.aum),
             source = COALESCE(EXCLUDED.source, standing.source),
             nav_said_by = EXCLUDED.nav_said_by, bid_said_by = EXCLUDED.bid_said_by,
             offer_said_by = EXCLUDED.offer_said_by, aum_said_by = EXCLUDED.aum_said_by,
             cycle_id = CASE WHEN (standing.nav_value, standing.bid, standing.offer, standing.aum)
                 IS DISTINCT FROM (EXCLUDED.nav_value, EXCLUDED.bid, EXCLUDED.offer, EXCLUDED.aum)
                 THEN EXCLUDED.cycle_id ELSE standing.cycle_id END,
             scraped_at = CASE WHEN (standing.nav_value, standing.bid, standing.offer, standing.aum)
                 IS DISTINCT FROM (EXCLUDED.nav_value, EXCLUDED.bid, EXCLUDED.offer, EXCLUDED.aum)
                 THEN now() ELSE standing.scraped_at END",
        &[&cycle_id],
    )
    .await?;
    Ok(())
}
