//! Rows of `funds_daily` as they are read and written: by key ranges in, by COPY out.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use jiff::civil::Date;
use rust_decimal::Decimal;
use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use crate::merge_daily::{DayRow, row_source};
use crate::{Number, SourceName};

use super::daily::{Standing, Statements};
use super::error::StoreError;

/// Where changed days are put before they replace the standing ones: a table of the writer's session.
pub(super) const STAGING: &str = "
    CREATE TEMPORARY TABLE changed_daily (
        fund_code TEXT COLLATE \"C\", nav_date DATE,
        nav_value NUMERIC, bid NUMERIC, offer NUMERIC, aum NUMERIC, source TEXT,
        nav_said_by SMALLINT, bid_said_by SMALLINT, offer_said_by SMALLINT, aum_said_by SMALLINT,
        cycle_id BIGINT
    ) ON COMMIT DELETE ROWS;";

/// A batch is small and the series is long: it is looked up by its key, never read from end to end, whatever the
/// statistics of a table that was filled a moment ago say.
const BY_KEY: &str = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";
const AS_PLANNED: &str = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";

const COLUMNS: &str = "fund_code, nav_date, nav_value, bid, offer, aum, source,
    nav_said_by, bid_said_by, offer_said_by, aum_said_by, cycle_id";

/// A day as it is written.
pub(super) struct NewDay<'said> {
    pub fund_code: &'said str,
    pub nav_date: Date,
    pub row: DayRow,
}

/// What stands of the days that are spoken of; days between the first and the last of a fund come with them.
pub(super) async fn read(
    tx: &Transaction<'_>,
    statements: &Statements,
) -> Result<Standing, StoreError> {
    let (mut codes, mut firsts, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for (fund_code, days) in statements {
        if let (Some((first, _)), Some((last, _))) = (days.first_key_value(), days.last_key_value())
        {
            codes.push(fund_code.as_str());
            firsts.push(*first);
            lasts.push(*last);
        }
    }
    tx.batch_execute(BY_KEY).await?;
    let parameters: [&(dyn ToSql + Sync); 3] = [&codes, &firsts, &lasts];
    let rows = tx
        .query_raw(
            "SELECT spoken.place, d.nav_date, d.nav_value, d.bid, d.offer, d.aum,
                    d.nav_said_by, d.bid_said_by, d.offer_said_by, d.aum_said_by
             FROM unnest($1::text[], $2::date[], $3::date[]) WITH ORDINALITY
                  AS spoken (fund_code, first_date, last_date, place)
             JOIN public.funds_daily d
               ON d.fund_code = spoken.fund_code AND d.nav_date BETWEEN spoken.first_date AND spoken.last_date",
            parameters,
        )
        .await?;
    let mut rows = std::pin::pin!(rows);
    let mut standing: Vec<BTreeMap<Date, DayRow>> = vec![BTreeMap::new(); codes.len()];
    while let Some(row) = rows.try_next().await? {
        let place: i64 = row.try_get(0)?;
        let mut day = DayRow::default();
        for at in 0..4 {
            day.values[at] = stored(row.try_get(2 + at)?)?;
            day.said_by[at] = row.try_get(6 + at)?;
        }
        if let Some(days) = usize::try_from(place - 1)
            .ok()
            .and_then(|place| standing.get_mut(place))
        {
            days.insert(row.try_get(1)?, day);
        }
    }
    tx.batch_execute(AS_PLANNED).await?;
    Ok(codes.into_iter().map(str::to_owned).zip(standing).collect())
}

fn stored(value: Option<Decimal>) -> Result<Option<Number>, StoreError> {
    value
        .map(|value| {
            Number::try_from(value)
                .map_err(|error| StoreError::Inconsistent(format!("a stored number: {error}")))
        })
        .transpose()
}

/// Writes days that have no row yet.
pub(super) async fn insert(
    tx: &Transaction<'_>,
    cycle_id: i64,
    days: &[NewDay<'_>],
) -> Result<(), StoreError> {
    copy(tx, "public.funds_daily", cycle_id, days).await
}

/// Writes days in place of those that stand.
pub(super) async fn update(
    tx: &Transaction<'_>,
    cycle_id: i64,
    days: &[NewDay<'_>],
) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    tx.batch_execute("TRUNCATE changed_daily").await?;
    copy(tx, "changed_daily", cycle_id, days).await?;
    tx.batch_execute(BY_KEY).await?;
    tx.execute(
        &format!(
            "INSERT INTO public.funds_daily AS standing ({COLUMNS}) SELECT {COLUMNS} FROM changed_daily
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
                     THEN now() ELSE standing.scraped_at END"
        ),
        &[],
    )
    .await?;
    tx.batch_execute(AS_PLANNED).await?;
    Ok(())
}

async fn copy(
    tx: &Transaction<'_>,
    table: &str,
    cycle_id: i64,
    days: &[NewDay<'_>],
) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    let sink = tx
        .copy_in(&format!(
            "COPY {table} ({COLUMNS}) FROM STDIN (FORMAT binary)"
        ))
        .await?;
    let mut types = vec![Type::TEXT, Type::DATE];
    types.extend([
        Type::NUMERIC,
        Type::NUMERIC,
        Type::NUMERIC,
        Type::NUMERIC,
        Type::TEXT,
    ]);
    types.extend([Type::INT2, Type::INT2, Type::INT2, Type::INT2, Type::INT8]);
    let writer = BinaryCopyInWriter::new(sink, &types);
    let mut writer = std::pin::pin!(writer);
    for NewDay {
        fund_code,
        nav_date,
        row,
    } in days
    {
        let source = row_source(row).map(SourceName::as_str);
        let [nav, bid, offer, aum] = row.values.map(|value| value.map(Number::decimal));
        let [nav_by, bid_by, offer_by, aum_by] = row.said_by;
        let columns: [&(dyn ToSql + Sync); 12] = [
            fund_code, nav_date, &nav, &bid, &offer, &aum, &source, &nav_by, &bid_by, &offer_by,
            &aum_by, &cycle_id,
        ];
        writer.as_mut().write(&columns).await?;
    }
    writer.finish().await?;
    Ok(())
}
