//! `funds_daily`: the series. What stands of the days a batch speaks of is read by key and compared; days that stand as
//! said are left alone, new days go into the table by COPY, and only days that are really said otherwise are merged by
//! the pure rule and written in place of those that stand.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::join;
use jiff::civil::Date;
use tokio::sync::mpsc;

use crate::merge_daily::{
    DayField, DayRow, Dissents, Values, first_said, merge_day, row_source, stands_as_said,
};
use crate::precedence::NAV_AND_AUM;
use crate::{Number, SourceName, failpoint};

use super::connection::Transaction;
use super::daily_rows::{self, Columns, NewDay};
use super::error::StoreError;
use super::history::{self, Change};
use super::report::{RecordCounts, TableCounts};
use super::set_aside;

/// A day of a fund.
pub(super) type Day = (String, Date);

/// What sources say of days, by fund: one statement a source and day.
pub(super) type Statements = BTreeMap<String, BTreeMap<Date, DaySaid>>;

/// What is said of one day: mostly by one source.
pub(super) type DaySaid = Vec<(SourceName, Values)>;

/// Adds a statement; of two of the same source and day in one batch the later wins where it says something.
pub(super) fn add(said: &mut DaySaid, source: SourceName, values: Values) {
    match said.iter_mut().find(|(by, _)| *by == source) {
        Some((_, before)) => {
            for (before, value) in before.iter_mut().zip(values) {
                *before = value.or(*before);
            }
        }
        None => said.push((source, values)),
    }
}

/// What a batch does to the series.
#[derive(Default)]
struct Changes<'said> {
    counts: TableCounts,
    /// Days without a row yet.
    new: Vec<NewDay<'said>>,
    /// Days whose row is another now.
    other: Columns,
    replaced: Vec<Change>,
    /// What others say of a day now, where that changed.
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

/// What a batch does to the series besides the new days, which are on their way.
struct Prepared {
    counts: TableCounts,
    other: Columns,
    replaced: Vec<Change>,
    dissents: Vec<(Day, Dissents)>,
}

/// Encoded pieces that wait for the server; the encoding waits beyond.
const PIECES_WAITING: usize = 2;

/// Writes the statements of a batch about funds of the universe.
pub(super) async fn write(
    tx: &Transaction<'_>,
    cycle_id: i64,
    statements: Statements,
) -> Result<TableCounts, StoreError> {
    if statements.is_empty() {
        return Ok(TableCounts::default());
    }
    let standing = daily_rows::read(tx, &statements).await?;
    let different = different(&statements, &standing);
    let dissents = set_aside::read_dissents(tx, &different).await?;
    failpoint::BATCH_DAYS_COMPARED.pass().await?;
    // Thousands of days: not on the thread that all actors live on (A9). The server takes the first while the next are encoded.
    let (pieces, encoded) = mpsc::channel(PIECES_WAITING);
    let (prepared, copied) = join!(
        apart(move || prepare(cycle_id, &statements, &standing, dissents, &pieces)),
        daily_rows::insert(tx, encoded),
    );
    // A refusal of the server comes first: by it the other side has ended as well.
    let copied = copied?;
    let prepared = prepared?;
    copied.finish().await?;
    history::write(tx, Some(cycle_id), &prepared.replaced).await?;
    daily_rows::update(tx, cycle_id, &prepared.other).await?;
    set_aside::write_dissents(tx, cycle_id, &prepared.dissents).await?;
    Ok(prepared.counts)
}

/// Does `work` on a thread of its own; a panic there is one here.
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
    statements: &Statements,
    standing: &Standing,
    dissents: BTreeMap<Day, Dissents>,
    pieces: &mpsc::Sender<Bytes>,
) -> Result<Prepared, StoreError> {
    let changes = compare(statements, standing, dissents);
    daily_rows::encode(cycle_id, &changes.new, |piece| {
        pieces
            .blocking_send(piece)
            .map_err(|_| StoreError::Outage("nobody takes the days any more".to_owned()))
    })?;
    Ok(Prepared {
        other: changes.other,
        counts: changes.counts,
        replaced: changes.replaced,
        dissents: changes.dissents,
    })
}

/// What stands, by fund.
pub(super) type Standing = BTreeMap<String, BTreeMap<Date, DayRow>>;

/// Whether everything that is said of a day stands as it is said.
fn all_stands(row: &DayRow, said: &DaySaid) -> bool {
    said.iter()
        .all(|(source, values)| stands_as_said(row, *source, values))
}

/// The days whose row says otherwise: those of which other sources may have said something else, too.
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

/// Compares what is said with what stands. Pure.
fn compare<'said>(
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
            // In the order of rank, so that the counts are a function of what was said.
            let ranked: Vec<(SourceName, Values)> = NAV_AND_AUM
                .iter()
                .filter_map(|source| said.iter().find(|(by, _)| by == source).copied())
                .collect();
            let day = (fund_code.clone(), *nav_date);
            let held = dissents.remove(&day).unwrap_or_default();
            let before = stands.copied().unwrap_or_default();
            let (row, others) = merge_day(&before, &held, &ranked);
            count(&mut changes.counts.records, stands, &row, &ranked);
            if stands.is_none() {
                changes.insert(fund_code, *nav_date, row);
            } else if before != row {
                changes.counts.rows_updated += u64::from(before.values != row.values);
                changes.replaced.extend(replaced(&day, &before, &row));
                changes.other.push(fund_code, *nav_date, &row);
            }
            if held != others {
                changes.dissents.push((day, others));
            }
        }
    }
    changes
}

/// The present values of a day that are replaced (D10).
fn replaced<'day>(
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
                source: source_of(row, at),
            })
        })
}

/// Whose value stands in one cell.
fn source_of(row: &DayRow, at: usize) -> Option<&'static str> {
    let mut alone = DayRow::default();
    alone.values[at] = row.values[at];
    alone.said_by[at] = row.said_by[at];
    row_source(&alone).map(SourceName::as_str)
}

pub(super) fn read_number(text: Option<String>) -> Result<Option<Number>, StoreError> {
    text.map(|text| {
        Number::parse(&text)
            .map_err(|error| StoreError::Inconsistent(format!("a stored number: {error}")))
    })
    .transpose()
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
