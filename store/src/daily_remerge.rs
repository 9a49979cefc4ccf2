//! Merges the days of `funds_daily` again by the ranks in force. Only days whose sources differ, and the column
//! `source` of days that several sources report alike, depend on the ranks.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use jiff::civil::Date;
use tokio_postgres::Row;

use schema::SourceName;
use schema::merge_daily::{DayField, DayRow, Dissents, merge_day};
use schema::precedence::DayRanks;

use super::connection::{Queries as _, Transaction};
use super::counted;
use super::daily;
use super::daily_rows::{self, Columns};
use super::days::Day;
use super::decode::read_source;
use super::error::StoreError;
use super::history::{self, Change};
use super::unapplied_days;

/// The days that change.
#[derive(Default)]
struct Changed {
    rows: Columns,
    replaced: Vec<Change>,
    dissents: Vec<(Day, Dissents)>,
    count: u64,
}

/// Merges the days of these funds again. Returns the number of changed rows.
pub(super) async fn merge(
    tx: &Transaction<'_>,
    ranks: &DayRanks,
    fund_codes: &[&str],
) -> Result<u64, StoreError> {
    let changed = read_changed(tx, ranks, fund_codes).await?;
    history::write(tx, None, &changed.replaced).await?;
    daily_rows::update(tx, None, &changed.rows).await?;
    unapplied_days::write_dissents(tx, None, &changed.dissents).await?;
    Ok(changed.count + correct_sources(tx, ranks, fund_codes).await?)
}

/// Merges each day with a dissent as it is read, so that only the days that change stay in memory.
async fn read_changed(
    tx: &Transaction<'_>,
    ranks: &DayRanks,
    fund_codes: &[&str],
) -> Result<Changed, StoreError> {
    let rows = tx
        .query_raw(
            "SELECT d.fund_code, d.nav_date, d.nav_value, d.bid, d.offer, d.aum,
                    d.nav_said_by, d.bid_said_by, d.offer_said_by, d.aum_said_by,
                    x.nav_value, x.bid, x.offer, x.aum, x.source
             FROM runner.daily_dissent x JOIN public.funds_daily d USING (fund_code, nav_date)
             WHERE x.fund_code = ANY($1) ORDER BY 1, 2",
            &[&fund_codes],
        )
        .await?;
    let mut rows = pin!(rows);
    let mut changed = Changed::default();
    let mut read: Option<(Day, DayRow, Dissents)> = None;
    while let Some(row) = rows.try_next().await? {
        let day: Day = (row.try_get(0)?, row.try_get::<_, Date>(1)?);
        if read.as_ref().is_none_or(|(known, ..)| *known != day) {
            if let Some(whole) = read.take() {
                changed.add(ranks, whole);
            }
            read = Some((day, day_row(&row)?, Dissents::new()));
        }
        if let Some((_, _, dissents)) = &mut read {
            let mut values = [None; 4];
            for (at, value) in values.iter_mut().enumerate() {
                *value = daily_rows::stored(row.try_get(10 + at)?)?;
            }
            dissents.insert(read_source(row.try_get(14)?)?, values);
        }
    }
    if let Some(whole) = read {
        changed.add(ranks, whole);
    }
    Ok(changed)
}

fn day_row(row: &Row) -> Result<DayRow, StoreError> {
    let mut day = DayRow::default();
    for at in 0..4 {
        day.values[at] = daily_rows::stored(row.try_get(2 + at)?)?;
        day.said_by[at] = row.try_get(6 + at)?;
    }
    Ok(day)
}

impl Changed {
    fn add(&mut self, ranks: &DayRanks, (day, before, dissents): (Day, DayRow, Dissents)) {
        let (row, others) = merge_day(ranks, &before, &dissents, &[]);
        if row == before {
            return;
        }
        self.count += 1;
        self.replaced
            .extend(daily::replaced(ranks, &day, &before, &row));
        self.rows.push(ranks, &day.0, day.1, &row);
        if others != dissents {
            self.dissents.push((day, others));
        }
    }
}

/// Sets the column `source` where it is not the first source in rank. Returns the number of changed rows.
async fn correct_sources(
    tx: &Transaction<'_>,
    ranks: &DayRanks,
    fund_codes: &[&str],
) -> Result<u64, StoreError> {
    let source = source_sql(ranks);
    let condition = format!(
        "t.fund_code = ANY($1) AND {source} IS NOT NULL AND t.source IS DISTINCT FROM {source}"
    );
    let set = format!("source = {source}");
    tx.execute_counted(
        "public.funds_daily",
        &counted::update("public.funds_daily", &set, "", &condition),
        &[&fund_codes],
    )
    .await
}

/// The SQL of [`schema::merge_daily::row_source`]. An adopted row keeps the older warehouse's word for its source.
fn source_sql(ranks: &DayRanks) -> String {
    let of_fields = DayField::ALL.map(|field| {
        let column = field.column();
        let said_by = match field {
            DayField::Nav => "nav_said_by",
            DayField::Bid => "bid_said_by",
            DayField::Offer => "offer_said_by",
            DayField::Aum => "aum_said_by",
        };
        let sources: Vec<String> = field
            .rank(ranks)
            .iter()
            .map(|source| {
                let name = match source {
                    SourceName::Adopted => "t.source".to_owned(),
                    source => format!("'{source}'"),
                };
                format!("WHEN t.{said_by} & {} <> 0 THEN {name}", source.bit())
            })
            .collect();
        format!(
            "CASE WHEN t.{column} IS NULL THEN NULL {} END",
            sources.join(" ")
        )
    });
    format!("COALESCE({})", of_fields.join(", "))
}
