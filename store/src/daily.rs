//! Decides what a batch changes in `funds_daily`. It compares the reported days with the stored rows: a day without a
//! row is inserted, a day that is stored as reported is left alone, any other day is merged by [`schema::merge_daily`]
//! and updated. It also finds the days that must be set aside as doubtful (D11). The SQL that reads, inserts and
//! updates the rows is in [`super::daily_rows`].

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::join;
use jiff::ToSpan as _;
use jiff::civil::Date;
use tokio::sync::mpsc;

use schema::cycle::Cycle;
use schema::doubt::{DaysDoubt, KnownSeries, examine_days};
use schema::merge_daily::{
    DayField, DayRow, Dissents, Values, first_said, merge_day, row_source, stands_as_said,
};
use schema::precedence::{DayRanks, REGISTER};
use schema::{Number, SourceName, failpoint};

use super::connection::{Queries as _, Transaction};
use super::counted;
use super::daily_rows::{self, Columns, NewDay};
use super::days::{Day, DaySaid, Standing, Statements, Unreported};
use super::error::StoreError;
use super::history::{self, Change};
use super::report::{RecordCounts, TableCounts};
use super::unapplied_days;

/// The changes that a batch makes to the series.
#[derive(Default)]
struct Changes<'said> {
    counts: TableCounts,
    /// Days without a stored row.
    new: Vec<NewDay<'said>>,
    /// Days whose row changes.
    other: Columns,
    replaced: Vec<Change>,
    /// Days whose dissents change, with the new dissents.
    dissents: Vec<(Day, Dissents)>,
}

impl<'said> Changes<'said> {
    fn insert(&mut self, fund_code: &'said str, nav_date: Date, row: DayRow) {
        self.counts.rows_inserted += 1;
        self.new.push(NewDay {
            fund_code,
            nav_date,
            row,
        });
    }
}

/// The changes that a batch makes to the series, without the new days. The COPY that inserts these is already running.
struct Prepared {
    counts: TableCounts,
    /// Number of new days in the COPY.
    new: usize,
    other: Columns,
    replaced: Vec<Change>,
    dissents: Vec<(Day, Dissents)>,
}

/// Number of encoded pieces that may wait for the server. The encoder waits when there are more.
const PIECES_WAITING: usize = 2;

/// The statements of a batch about funds of the universe, with the stored rows of the same days.
pub(super) struct Compared {
    pub statements: Statements,
    /// The stored rows. For each fund they cover all days from the first to the last day of the statements.
    pub standing: Standing,
    /// The days in the same range that a source is recorded not to report any more.
    pub unreported: Unreported,
    /// The days whose stored row differs from a statement.
    different: Vec<Day>,
    dissents: BTreeMap<Day, Dissents>,
}

/// Reads the stored rows of the days in the statements and compares them.
pub(super) async fn compare_with_stored(
    tx: &Transaction<'_>,
    statements: Statements,
) -> Result<Compared, StoreError> {
    let mut compared = Compared {
        statements,
        standing: Standing::new(),
        unreported: Unreported::new(),
        different: Vec::new(),
        dissents: BTreeMap::new(),
    };
    if compared.statements.is_empty() {
        return Ok(compared);
    }
    (compared.standing, compared.unreported) = daily_rows::read(tx, &compared.statements).await?;
    compared.different = different(&compared.statements, &compared.standing);
    compared.dissents = unapplied_days::read_dissents(tx, &compared.different).await?;
    Ok(compared)
}

/// Days of one fund and source that are set aside until the round is judged.
pub(super) struct DoubtfulDays {
    pub fund_code: String,
    pub source: SourceName,
    pub doubt: DaysDoubt,
}

impl Compared {
    /// The days that rewrite what the same source reported before and must be judged first.
    pub async fn doubts(
        &self,
        tx: &Transaction<'_>,
        cycle: &Cycle,
    ) -> Result<Vec<DoubtfulDays>, StoreError> {
        let latest = cycle.cycle_date.saturating_sub(LOOK_BACK_DAYS.days());
        let candidates: Vec<&str> = self
            .statements
            .iter()
            .filter(|(fund_code, days)| self.may_be_doubtful(fund_code, days, latest))
            .map(|(fund_code, _)| fund_code.as_str())
            .collect();
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let settled_before = settled_before(tx, cycle).await?;
        let spans = daily_rows::read_spans(tx, &candidates).await?;
        let mut doubts = Vec::new();
        for fund_code in candidates {
            let Some(days) = self.statements.get(fund_code) else {
                continue;
            };
            let sources: BTreeSet<SourceName> =
                days.values().flatten().map(|(source, _)| *source).collect();
            for source in sources {
                let said = days.iter().filter_map(|(date, said)| {
                    let (_, values) = said.iter().find(|(by, _)| *by == source)?;
                    Some((*date, *values))
                });
                let said: BTreeMap<Date, Values> = said.collect();
                let known = KnownSeries {
                    days: self.reported_before(fund_code, source),
                    span: spans.get(&(fund_code.to_owned(), source)).copied(),
                    comes_day_by_day: source == REGISTER,
                };
                if let Some(doubt) = examine_days(&known, &said, settled_before) {
                    doubts.push(DoubtfulDays {
                        fund_code: fund_code.to_owned(),
                        source,
                        doubt,
                    });
                }
            }
        }
        Ok(doubts)
    }

    /// Whether a fund's days must be examined: they rewrite or add settled days, or the fund has no stored day yet and
    /// every AUM is 0.
    fn may_be_doubtful(
        &self,
        fund_code: &str,
        days: &BTreeMap<Date, DaySaid>,
        settled_before: Date,
    ) -> bool {
        let rows = self.standing.get(fund_code);
        let is_stored = |date: &Date| rows.is_some_and(|rows| rows.contains_key(date));
        if rows.is_none_or(BTreeMap::is_empty) {
            let mut said = days.values().flatten();
            // A first answer with recent days only is doubtful only if its AUM is 0 in every statement.
            return days.range(..settled_before).next().is_some()
                || said.all(|(_, values)| values[AUM].is_some_and(Number::is_zero));
        }
        days.range(..settled_before).any(|(date, said)| {
            !is_stored(date)
                || rows
                    .and_then(|rows| rows.get(date))
                    .is_some_and(|row| !all_stands(row, said))
        })
    }

    /// What the source itself reported before about the days that were read.
    fn reported_before(&self, fund_code: &str, source: SourceName) -> BTreeMap<Date, Values> {
        let rows = self.standing.get(fund_code);
        rows.into_iter()
            .flatten()
            .map(|(date, row)| {
                let mut values: Values = std::array::from_fn(|at| {
                    row.values[at].filter(|_| row.said_by[at] & source.bit() != 0)
                });
                let dissent = self
                    .dissents
                    .get(&(fund_code.to_owned(), *date))
                    .and_then(|others| others.get(&source));
                for (value, other) in values.iter_mut().zip(dissent.into_iter().flatten()) {
                    *value = other.or(*value);
                }
                (*date, values)
            })
            .collect()
    }
}

const FUNDS_DAILY: &str = "public.funds_daily";

/// The index of the AUM in [`Values`].
const AUM: usize = DayField::Aum as usize;

/// Number of days before the last full cycle in which values are expected to be revised. The planner requests these
/// days again.
pub const LOOK_BACK_DAYS: i64 = 7;

/// Returns the date before which values are settled: they were read again after their last expected revision.
async fn settled_before(tx: &Transaction<'_>, cycle: &Cycle) -> Result<Date, StoreError> {
    let row = tx
        .query_one(
            "SELECT max(cycle_date) FROM runner.cycle
             WHERE scope = 'full' AND state = 'closed' AND cycle_date < $1",
            &[&cycle.cycle_date],
        )
        .await?;
    let last: Option<Date> = row.try_get(0)?;
    // If the last cycle was yesterday, the look-back ends at the date of this cycle.
    let last = last.map_or(cycle.cycle_date, |last| last.saturating_add(1.day()));
    Ok(last
        .min(cycle.cycle_date)
        .saturating_sub(LOOK_BACK_DAYS.days()))
}

/// Removes from the statements the values that are set aside, and then the days without any value.
pub(super) fn take_out(statements: &mut Statements, days: &DoubtfulDays) {
    let Some(of_fund) = statements.get_mut(&days.fund_code) else {
        return;
    };
    for (date, waiting) in &days.doubt.waiting {
        let said = of_fund.get_mut(date).into_iter().flatten();
        for (_, values) in said.filter(|(source, _)| *source == days.source) {
            for (value, waits) in values.iter_mut().zip(waiting) {
                *value = value.filter(|_| waits.is_none());
            }
        }
    }
    for said in of_fund.values_mut() {
        said.retain(|(_, values)| *values != Values::default());
    }
    of_fund.retain(|_, said| !said.is_empty());
}

/// Removes what a source reported about these funds in this cycle, for a source that had reported nothing before.
pub(super) async fn retract(
    tx: &Transaction<'_>,
    cycle_id: i64,
    source: SourceName,
    fund_codes: &[&str],
) -> Result<(), StoreError> {
    let bit = source.bit();
    tx.execute_counted(
        FUNDS_DAILY,
        &counted::delete(
            FUNDS_DAILY,
            "",
            "t.fund_code = ANY($1) AND t.cycle_id = $2 AND nav_said_by & ~$3::smallint = 0 AND aum_said_by & ~$3::smallint = 0
                 AND bid_said_by & ~$3::smallint = 0 AND offer_said_by & ~$3::smallint = 0",
        ),
        &[&fund_codes, &cycle_id, &bit],
    )
    .await?;
    // On days that another source reported as well, only this source's values are removed.
    let fields: Vec<String> = ["nav_value", "aum", "bid", "offer"]
        .iter()
        .zip(["nav_said_by", "aum_said_by", "bid_said_by", "offer_said_by"])
        .map(|(value, by)| {
            format!(
                "{value} = CASE WHEN {by} & ~$3::smallint = 0 THEN NULL ELSE {value} END, {by} = {by} & ~$3::smallint"
            )
        })
        .collect();
    let others: Vec<String> = SourceName::ALL
        .iter()
        .filter(|other| **other != source)
        .map(|other| {
            format!(
                "WHEN (nav_said_by | aum_said_by | bid_said_by | offer_said_by) & {} <> 0 THEN '{other}'",
                other.bit()
            )
        })
        .collect();
    tx.execute_counted(
        FUNDS_DAILY,
        &counted::update(
            FUNDS_DAILY,
            &format!(
                "{fields}, source = CASE WHEN source = $4 THEN CASE {others} END ELSE source END",
                fields = fields.join(", "),
                others = others.join(" "),
            ),
            "",
            "t.fund_code = ANY($1) AND t.cycle_id = $2
                 AND (nav_said_by | aum_said_by | bid_said_by | offer_said_by) & $3::smallint <> 0",
        ),
        &[&fund_codes, &cycle_id, &bit, &source.as_str()],
    )
    .await?;
    tx.execute_counted(
        "runner.daily_dissent",
        &counted::delete(
            "runner.daily_dissent",
            "",
            "t.fund_code = ANY($1) AND t.cycle_id = $2 AND t.source = $3",
        ),
        &[&fund_codes, &cycle_id, &source.as_str()],
    )
    .await?;
    Ok(())
}

/// Writes the compared statements.
pub(super) async fn write(
    tx: &Transaction<'_>,
    cycle_id: i64,
    ranks: &DayRanks,
    compared: Compared,
) -> Result<TableCounts, StoreError> {
    let Compared {
        statements,
        standing,
        dissents,
        ..
    } = compared;
    if statements.is_empty() {
        return Ok(TableCounts::default());
    }
    failpoint::BATCH_DAYS_COMPARED.pass().await?;
    // A batch has thousands of days, so they are not encoded on the thread of the actors (A9). The server receives the
    // first pieces while the next ones are encoded.
    let (pieces, encoded) = mpsc::channel(PIECES_WAITING);
    let ranks = *ranks;
    let (prepared, copied) = join!(
        apart(move || prepare(cycle_id, &ranks, &statements, &standing, dissents, &pieces)),
        daily_rows::insert(tx, encoded),
    );
    // Return the server's error first: it also makes the encoder fail.
    let copied = copied?;
    let prepared = prepared?;
    copied.finish(prepared.new).await?;
    history::write(tx, Some(cycle_id), &prepared.replaced).await?;
    daily_rows::update(tx, Some(cycle_id), &prepared.other).await?;
    unapplied_days::write_dissents(tx, Some(cycle_id), &prepared.dissents).await?;
    Ok(prepared.counts)
}

/// Runs `work` in a blocking thread. A panic of `work` is resumed in the calling task.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Inconsistent(
                "the program ends while a batch is prepared; nothing of it was committed"
                    .to_owned(),
            )),
        },
    }
}

fn prepare(
    cycle_id: i64,
    ranks: &DayRanks,
    statements: &Statements,
    standing: &Standing,
    dissents: BTreeMap<Day, Dissents>,
    pieces: &mpsc::Sender<Bytes>,
) -> Result<Prepared, StoreError> {
    let changes = compare(ranks, statements, standing, dissents);
    daily_rows::encode(cycle_id, ranks, &changes.new, |piece| {
        pieces
            .blocking_send(piece)
            .map_err(|_| StoreError::Outage("the receiver of the days has stopped".to_owned()))
    })?;
    Ok(Prepared {
        new: changes.new.len(),
        other: changes.other,
        counts: changes.counts,
        replaced: changes.replaced,
        dissents: changes.dissents,
    })
}

/// Whether the row contains every statement about the day.
fn all_stands(row: &DayRow, said: &DaySaid) -> bool {
    said.iter()
        .all(|(source, values)| stands_as_said(row, *source, values))
}

/// The days whose stored row differs from a statement. For these, dissents of other sources are read as well.
fn different(statements: &Statements, standing: &Standing) -> Vec<Day> {
    let mut different = Vec::new();
    for (fund_code, days) in statements {
        let rows = standing.get(fund_code);
        for (nav_date, said) in days {
            let stands = rows.and_then(|rows| rows.get(nav_date));
            if stands.is_some_and(|row| !all_stands(row, said)) {
                different.push((fund_code.clone(), *nav_date));
            }
        }
    }
    different
}

/// Compares statements with stored rows. Pure function.
fn compare<'said>(
    ranks: &DayRanks,
    statements: &'said Statements,
    standing: &Standing,
    mut dissents: BTreeMap<Day, Dissents>,
) -> Changes<'said> {
    let mut changes = Changes::default();
    for (fund_code, days) in statements {
        let rows = standing.get(fund_code);
        for (nav_date, said) in days {
            changes.counts.records.observed += said.len() as u64;
            let stands = rows.and_then(|rows| rows.get(nav_date));
            if stands.is_some_and(|row| all_stands(row, said)) {
                changes.counts.records.unchanged += said.len() as u64;
                continue;
            }
            if let ([(source, values)], None) = (said.as_slice(), stands) {
                changes.insert(fund_code, *nav_date, first_said(*source, *values));
                changes.counts.records.inserted += 1;
                continue;
            }
            // Sorted by rank, so that the counts depend only on the statements.
            let ranked: Vec<(SourceName, Values)> = ranks
                .nav
                .iter()
                .filter_map(|source| said.iter().find(|(by, _)| by == source).copied())
                .collect();
            let day = (fund_code.clone(), *nav_date);
            let held = dissents.remove(&day).unwrap_or_default();
            let before = stands.copied().unwrap_or_default();
            let (row, others) = merge_day(ranks, &before, &held, &ranked);
            count(&mut changes.counts.records, stands, &row, &ranked);
            if stands.is_none() {
                changes.insert(fund_code, *nav_date, row);
            } else if before != row {
                changes.counts.rows_updated += u64::from(before.values != row.values);
                changes
                    .replaced
                    .extend(replaced(ranks, &day, &before, &row));
                changes.other.push(ranks, fund_code, *nav_date, &row);
            }
            if held != others {
                changes.dissents.push((day, others));
            }
        }
    }
    changes
}

/// The present values of a day that are replaced (D10).
pub(super) fn replaced<'day>(
    ranks: &'day DayRanks,
    day: &'day Day,
    before: &'day DayRow,
    row: &'day DayRow,
) -> impl Iterator<Item = Change> + 'day {
    DayField::ALL
        .into_iter()
        .enumerate()
        .filter_map(move |(at, field)| {
            let (old, new) = (before.values[at]?, row.values[at]?);
            (old != new).then(|| Change {
                table: "funds_daily",
                fund_code: day.0.clone(),
                key: day.1.to_string(),
                field: field.column(),
                old_value: old.to_string(),
                new_value: Some(new.to_string()),
                source: source_of(ranks, row, at),
            })
        })
}

/// The source whose value is in one cell of the row.
fn source_of(ranks: &DayRanks, row: &DayRow, at: usize) -> Option<&'static str> {
    let mut alone = DayRow::default();
    alone.values[at] = row.values[at];
    alone.said_by[at] = row.said_by[at];
    row_source(ranks, &alone).map(SourceName::as_str)
}

/// Counts one effect per statement. The first statement about a new row is counted as inserted. Another statement that
/// added or changed a value is counted as updated. A statement whose values were all in the row is counted as
/// unchanged. Every other statement is counted as superseded.
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
