//! Days that a source reported once and now leaves out. Their rows stay. `runner.daily_unreported` records which source
//! leaves them out, and since when.
//!
//! An answer covers the days from its first to its last one. Few days are recorded, and a cycle of unchanged answers
//! writes no row.

use std::collections::BTreeSet;

use jiff::civil::Date;

use schema::task::Severity;
use schema::{Dataset, ObservationData, SourceName, TaskAnswer};

use super::connection::{Queries as _, Transaction};
use super::counted;
use super::cycles::Cycle;
use super::error::StoreError;

/// The days of one fund in one answer.
struct Covered<'answer> {
    fund_code: &'answer str,
    source: SourceName,
    days: BTreeSet<Date>,
}

impl Covered<'_> {
    fn first(&self) -> Option<Date> {
        self.days.first().copied()
    }

    fn last(&self) -> Option<Date> {
        self.days.last().copied()
    }
}

/// The days that the answers cover. An answer with a rejected day covers nothing, because that day may be a missing
/// one.
fn covered<'answer>(answers: &[&'answer TaskAnswer]) -> Vec<Covered<'answer>> {
    answers
        .iter()
        .filter(|answer| {
            !answer.rejects.iter().any(|reject| {
                reject.dataset == Dataset::Daily && reject.severity == Severity::Rejected
            })
        })
        .flat_map(|answer| &answer.observations)
        .filter_map(|observation| {
            let ObservationData::Daily(points) = &observation.data else {
                return None;
            };
            let days: BTreeSet<Date> = points
                .iter()
                .filter(|point| [point.nav, point.bid, point.offer, point.aum] != [None; 4])
                .map(|point| point.nav_date)
                .collect();
            (days.len() > 1).then(|| Covered {
                fund_code: observation.fund_code.as_str(),
                source: observation.source,
                days,
            })
        })
        .collect()
}

const UNREPORTED: &str = "runner.daily_unreported";

/// Whether a row has a value from the source.
const REPORTED: &str = "(d.nav_value IS NOT NULL AND d.nav_said_by & c.bit <> 0
    OR d.aum IS NOT NULL AND d.aum_said_by & c.bit <> 0
    OR d.bid IS NOT NULL AND d.bid_said_by & c.bit <> 0
    OR d.offer IS NOT NULL AND d.offer_said_by & c.bit <> 0)";

/// The covered ranges, as a table.
const RANGES: &str =
    "unnest($1::text[], $2::text[], $3::smallint[], $4::date[], $5::date[]) WITH ORDINALITY
     AS c (fund_code, source, bit, first_date, last_date, place)";

/// Records the days that these answers leave out, and deletes the records of days that they report again. To be called
/// after the rows of the answers were written.
pub(super) async fn record(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answers: &[&TaskAnswer],
) -> Result<(), StoreError> {
    let covered = in_doubt(tx, covered(answers)).await?;
    if covered.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(&covered);
    let rows = tx
        .query(
            &format!(
                "SELECT c.place, d.nav_date, u.nav_date IS NOT NULL
                 FROM {RANGES}
                 JOIN public.funds_daily d
                   ON d.fund_code = c.fund_code AND d.nav_date BETWEEN c.first_date AND c.last_date
                 LEFT JOIN runner.daily_unreported u
                   ON u.fund_code = c.fund_code AND u.source = c.source AND u.nav_date = d.nav_date
                 WHERE {REPORTED} OR u.nav_date IS NOT NULL"
            ),
            &columns.parameters(),
        )
        .await?;
    let (mut left_out, mut again) = (Days::default(), Days::default());
    for row in rows {
        let (nav_date, is_marked): (Date, bool) = (row.try_get(1)?, row.try_get(2)?);
        let Some(covered) = at(&covered, row.try_get(0)?) else {
            continue;
        };
        match (covered.days.contains(&nav_date), is_marked) {
            (false, false) => left_out.push(covered, nav_date),
            (true, true) => again.push(covered, nav_date),
            (true, false) | (false, true) => {}
        }
    }
    if !left_out.dates.is_empty() {
        tx.execute_counted(
            UNREPORTED,
            "WITH new AS (
                 SELECT DISTINCT fund_code, nav_date, source
                 FROM unnest($1::text[], $2::date[], $3::text[]) AS day (fund_code, nav_date, source)),
             written AS (
                 INSERT INTO runner.daily_unreported (fund_code, nav_date, source, cycle_id)
                 SELECT fund_code, nav_date, source, $4::bigint FROM new
                 ON CONFLICT DO NOTHING RETURNING 1)
             SELECT (SELECT count(*) FROM new WHERE NOT EXISTS (
                         SELECT FROM runner.daily_unreported u WHERE u.fund_code = new.fund_code
                             AND u.nav_date = new.nav_date AND u.source = new.source)),
                 (SELECT count(*) FROM written)",
            &[
                &left_out.codes,
                &left_out.dates,
                &left_out.sources,
                &cycle.id,
            ],
        )
        .await?;
    }
    if !again.dates.is_empty() {
        tx.execute_counted(
            UNREPORTED,
            &counted::delete(
                UNREPORTED,
                "unnest($1::text[], $2::date[], $3::text[]) AS day (fund_code, nav_date, source)",
                "t.fund_code = day.fund_code AND t.nav_date = day.nav_date AND t.source = day.source",
            ),
            &[&again.codes, &again.dates, &again.sources],
        )
        .await?;
    }
    Ok(())
}

/// Selects those with a recorded day, or with a different number of days in the warehouse than in the answer.
async fn in_doubt<'answer>(
    tx: &Transaction<'_>,
    covered: Vec<Covered<'answer>>,
) -> Result<Vec<Covered<'answer>>, StoreError> {
    if covered.is_empty() {
        return Ok(covered);
    }
    let columns = Columns::of(&covered);
    let rows = tx
        .query(
            &format!(
                "SELECT c.place, standing.days, EXISTS (
                     SELECT FROM runner.daily_unreported u
                     WHERE u.fund_code = c.fund_code AND u.source = c.source
                       AND u.nav_date BETWEEN c.first_date AND c.last_date)
                 FROM {RANGES}
                 CROSS JOIN LATERAL (
                     SELECT count(*) AS days FROM public.funds_daily d
                     WHERE d.fund_code = c.fund_code AND d.nav_date BETWEEN c.first_date AND c.last_date
                       AND {REPORTED}) standing"
            ),
            &columns.parameters(),
        )
        .await?;
    let mut places = BTreeSet::new();
    for row in rows {
        let (place, days, is_marked): (i64, i64, bool) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let said = at(&covered, place).map_or(0, |covered| covered.days.len());
        if is_marked || usize::try_from(days) != Ok(said) {
            places.insert(place);
        }
    }
    Ok((1_i64..)
        .zip(covered)
        .filter(|(place, _)| places.contains(place))
        .map(|(_, covered)| covered)
        .collect())
}

fn at<'list, 'answer>(
    covered: &'list [Covered<'answer>],
    place: i64,
) -> Option<&'list Covered<'answer>> {
    covered.get(usize::try_from(place - 1).ok()?)
}

/// The covered ranges by column, as array parameters.
#[derive(Default)]
struct Columns<'answer> {
    codes: Vec<&'answer str>,
    sources: Vec<&'static str>,
    bits: Vec<i16>,
    firsts: Vec<Option<Date>>,
    lasts: Vec<Option<Date>>,
}

impl<'answer> Columns<'answer> {
    fn of(covered: &[Covered<'answer>]) -> Self {
        let mut columns = Self::default();
        for one in covered {
            columns.codes.push(one.fund_code);
            columns.sources.push(one.source.as_str());
            columns.bits.push(one.source.bit());
            columns.firsts.push(one.first());
            columns.lasts.push(one.last());
        }
        columns
    }

    fn parameters(&self) -> [&(dyn tokio_postgres::types::ToSql + Sync); 5] {
        [
            &self.codes,
            &self.sources,
            &self.bits,
            &self.firsts,
            &self.lasts,
        ]
    }
}

/// Days by column.
#[derive(Default)]
struct Days<'answer> {
    codes: Vec<&'answer str>,
    dates: Vec<Date>,
    sources: Vec<&'static str>,
}

impl<'answer> Days<'answer> {
    fn push(&mut self, covered: &Covered<'answer>, nav_date: Date) {
        self.codes.push(covered.fund_code);
        self.dates.push(nav_date);
        self.sources.push(covered.source.as_str());
    }
}
