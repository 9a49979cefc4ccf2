//! The SQL of `funds_daily`: reads rows by key range, inserts new rows by COPY, and updates stored rows with an upsert.
//! [`super::daily`] decides which rows are inserted and which are updated.

use std::collections::BTreeMap;
use std::pin::Pin;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{SinkExt as _, TryStreamExt as _};
use jiff::civil::Date;
use rust_decimal::Decimal;
use tokio::sync::mpsc;
use tokio_postgres::CopyInSink;
use tokio_postgres::types::{IsNull, ToSql, Type};

use schema::merge_daily::{DayRow, row_source};
use schema::precedence::DayRanks;
use schema::{Number, SourceName};

use super::connection::{Queries as _, Transaction, expect_rows};
use super::days::{Standing, Statements, Unreported};
use super::decode::read_source;
use super::error::{StoreError, of_statement};

const TABLE: &str = "public.funds_daily";

const COLUMNS: &str = "fund_code, nav_date, nav_value, bid, offer, aum, source,
    nav_said_by, bid_said_by, offer_said_by, aum_said_by, cycle_id";

/// A day to insert.
pub(super) struct NewDay<'said> {
    pub fund_code: &'said str,
    pub nav_date: Date,
    pub row: DayRow,
}

/// Reads the stored rows of the days in the statements, and which of these days a source is recorded not to report any
/// more. For each fund the result covers all days from the first to the last day of the statements.
pub(super) async fn read(
    tx: &Transaction<'_>,
    statements: &Statements,
) -> Result<(Standing, Unreported), StoreError> {
    let (mut codes, mut firsts, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for (fund_code, days) in statements {
        if let (Some((first, _)), Some((last, _))) = (days.first_key_value(), days.last_key_value())
        {
            codes.push(fund_code.as_str());
            firsts.push(*first);
            lasts.push(*last);
        }
    }
    let rows = tx
        .query_raw(
            "SELECT spoken.place, d.nav_date, d.nav_value, d.bid, d.offer, d.aum,
                    d.nav_said_by, d.bid_said_by, d.offer_said_by, d.aum_said_by, u.source
             FROM unnest($1::text[], $2::date[], $3::date[]) WITH ORDINALITY
                  AS spoken (fund_code, first_date, last_date, place)
             JOIN public.funds_daily d
               ON d.fund_code = spoken.fund_code AND d.nav_date BETWEEN spoken.first_date AND spoken.last_date
             LEFT JOIN runner.daily_unreported u ON u.fund_code = d.fund_code AND u.nav_date = d.nav_date",
            &[&codes, &firsts, &lasts],
        )
        .await?;
    let mut rows = std::pin::pin!(rows);
    let mut standing: Vec<BTreeMap<Date, DayRow>> = vec![BTreeMap::new(); codes.len()];
    let mut unreported = Unreported::new();
    while let Some(row) = rows.try_next().await? {
        let place: i64 = row.try_get(0)?;
        let mut day = DayRow::default();
        for at in 0..4 {
            day.values[at] = stored(row.try_get(2 + at)?)?;
            day.said_by[at] = row.try_get(6 + at)?;
        }
        let Some(place) = usize::try_from(place - 1)
            .ok()
            .filter(|place| *place < codes.len())
        else {
            continue;
        };
        let nav_date = row.try_get(1)?;
        if let Some(source) = row.try_get::<_, Option<&str>>(10)? {
            unreported.insert((codes[place].to_owned(), nav_date, read_source(source)?));
        }
        standing[place].insert(nav_date, day);
    }
    let standing = codes.into_iter().map(str::to_owned).zip(standing).collect();
    Ok((standing, unreported))
}

/// Returns the first and the last day that each source reported for each of these funds.
pub(super) async fn read_spans(
    tx: &Transaction<'_>,
    fund_codes: &[&str],
) -> Result<BTreeMap<(String, SourceName), (Date, Date)>, StoreError> {
    let reported = "d.fund_code = asked.fund_code COLLATE \"C\"
        AND (d.nav_said_by | d.bid_said_by | d.offer_said_by | d.aum_said_by) & $2 <> 0";
    let select = format!(
        "SELECT asked.fund_code, first.nav_date, last.nav_date
         FROM unnest($1::text[]) AS asked (fund_code)
         CROSS JOIN LATERAL (
             SELECT d.nav_date FROM public.funds_daily d WHERE {reported} ORDER BY d.nav_date LIMIT 1) first
         CROSS JOIN LATERAL (
             SELECT d.nav_date FROM public.funds_daily d WHERE {reported} ORDER BY d.nav_date DESC LIMIT 1) last"
    );
    let mut spans = BTreeMap::new();
    for source in SourceName::ALL.iter().copied() {
        for row in tx.query(&select, &[&fund_codes, &source.bit()]).await? {
            let span = (row.try_get(1)?, row.try_get(2)?);
            spans.insert((row.try_get(0)?, source), span);
        }
    }
    Ok(spans)
}

pub(super) fn stored(value: Option<Decimal>) -> Result<Option<Number>, StoreError> {
    value
        .map(|value| {
            Number::try_from(value)
                .map_err(|error| StoreError::Inconsistent(format!("a stored number: {error}")))
        })
        .transpose()
}

fn of_copy(error: &tokio_postgres::Error) -> StoreError {
    of_statement(Some("COPY public.funds_daily FROM STDIN"), error)
}

/// A COPY that has received all rows and is not finished. Dropping it cancels the COPY.
pub(super) struct Copied(Option<Pin<Box<CopyInSink<Bytes>>>>);

impl Copied {
    /// Finishes the COPY, which must have written `expected` rows.
    pub async fn finish(self, expected: usize) -> Result<(), StoreError> {
        let written = match self.0 {
            Some(mut sink) => sink
                .as_mut()
                .finish()
                .await
                .map_err(|error| of_copy(&error))?,
            None => 0,
        };
        expect_rows(TABLE, expected as u64, written)
    }
}

/// Inserts days without a stored row, in pieces as they are encoded.
pub(super) async fn insert(
    tx: &Transaction<'_>,
    mut pieces: mpsc::Receiver<Bytes>,
) -> Result<Copied, StoreError> {
    let Some(first) = pieces.recv().await else {
        return Ok(Copied(None));
    };
    let sink = tx
        .copy_in(&format!(
            "COPY public.funds_daily ({COLUMNS}) FROM STDIN (FORMAT binary)"
        ))
        .await?;
    let mut sink = Box::pin(sink);
    sink.feed(first).await.map_err(|error| of_copy(&error))?;
    while let Some(piece) = pieces.recv().await {
        sink.feed(piece).await.map_err(|error| of_copy(&error))?;
    }
    Ok(Copied(Some(sink)))
}

/// Days by column, as array parameters.
#[derive(Debug, Default)]
pub(super) struct Columns {
    codes: Vec<String>,
    dates: Vec<Date>,
    values: [Vec<Option<Decimal>>; 4],
    sources: Vec<Option<&'static str>>,
    said_by: [Vec<i16>; 4],
}

impl Columns {
    pub fn push(&mut self, ranks: &DayRanks, fund_code: &str, nav_date: Date, row: &DayRow) {
        self.codes.push(fund_code.to_owned());
        self.dates.push(nav_date);
        for (column, value) in self.values.iter_mut().zip(row.values) {
            column.push(value.map(Number::decimal));
        }
        self.sources
            .push(row_source(ranks, row).map(SourceName::as_str));
        for (column, said_by) in self.said_by.iter_mut().zip(row.said_by) {
            column.push(said_by);
        }
    }
}

/// Updates the rows of these days with an upsert (`INSERT … ON CONFLICT DO UPDATE`). A missing value never overwrites a
/// stored one. Without a cycle the rows keep theirs.
pub(super) async fn update(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    days: &Columns,
) -> Result<(), StoreError> {
    if days.codes.is_empty() {
        return Ok(());
    }
    let [nav, bid, offer, aum] = &days.values;
    let [nav_by, bid_by, offer_by, aum_by] = &days.said_by;
    tx.execute_expecting(
        TABLE,
        days.codes.len(),
        &format!(
            "INSERT INTO public.funds_daily AS standing ({COLUMNS})
             SELECT *, $12::bigint
             FROM unnest($1::text[], $2::date[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::text[],
                 $8::smallint[], $9::smallint[], $10::smallint[], $11::smallint[])
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
                     THEN COALESCE(EXCLUDED.cycle_id, standing.cycle_id) ELSE standing.cycle_id END,
                 scraped_at = CASE WHEN (standing.nav_value, standing.bid, standing.offer, standing.aum)
                     IS DISTINCT FROM (EXCLUDED.nav_value, EXCLUDED.bid, EXCLUDED.offer, EXCLUDED.aum)
                     THEN now() ELSE standing.scraped_at END"
        ),
        &[
            &days.codes,
            &days.dates,
            nav,
            bid,
            offer,
            aum,
            &days.sources,
            nav_by,
            bid_by,
            offer_by,
            aum_by,
            &cycle_id,
        ],
    )
    .await
}

/// A piece is sent when it has reached this length, in bytes.
const PIECE: usize = 64 * 1024;
/// The signature of the format, without flags and header extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Marks the end of the data, in the position of a row's field count.
const TRAILER: i16 = -1;
/// The length of a NULL field.
const NULL: i32 = -1;

/// Encodes days in the order of [`COLUMNS`] in the server's `COPY … (FORMAT binary)` format, and passes each piece to
/// `give`.
///
/// # Errors
/// A value that the server's type cannot store, or an error of `give`.
pub(super) fn encode(
    cycle_id: i64,
    ranks: &DayRanks,
    days: &[NewDay<'_>],
    give: impl Fn(Bytes) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    let mut piece = BytesMut::with_capacity(PIECE);
    piece.put_slice(HEADER);
    for NewDay {
        fund_code,
        nav_date,
        row,
    } in days
    {
        if piece.len() >= PIECE {
            give(std::mem::replace(&mut piece, BytesMut::with_capacity(PIECE)).freeze())?;
        }
        let source = row_source(ranks, row).map(SourceName::as_str);
        let [nav, bid, offer, aum] = row.values.map(|value| value.map(Number::decimal));
        let [nav_by, bid_by, offer_by, aum_by] = row.said_by;
        let fields: [(&dyn ToSql, &Type); 12] = [
            (fund_code, &Type::TEXT),
            (nav_date, &Type::DATE),
            (&nav, &Type::NUMERIC),
            (&bid, &Type::NUMERIC),
            (&offer, &Type::NUMERIC),
            (&aum, &Type::NUMERIC),
            (&source, &Type::TEXT),
            (&nav_by, &Type::INT2),
            (&bid_by, &Type::INT2),
            (&offer_by, &Type::INT2),
            (&aum_by, &Type::INT2),
            (&cycle_id, &Type::INT8),
        ];
        piece.put_i16(12);
        for (value, kind) in fields {
            put_field(&mut piece, value, kind).map_err(|why| {
                StoreError::Inconsistent(format!("{fund_code} on {nav_date}: {why}"))
            })?;
        }
    }
    piece.put_i16(TRAILER);
    give(piece.freeze())
}

fn put_field(
    piece: &mut BytesMut,
    value: &dyn ToSql,
    kind: &Type,
) -> Result<(), Box<dyn std::error::Error + Sync + Send>> {
    let at = piece.len();
    piece.put_i32(NULL);
    if let IsNull::No = value.to_sql_checked(kind, piece)? {
        let length = i32::try_from(piece.len() - at - size_of::<i32>())?;
        piece[at..at + size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
