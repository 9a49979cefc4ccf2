//! `runner.daily_unreported`: days that a source reported once and now leaves out. The rows of these days stay. The
//! table records which source leaves a day out, and since when.
//!
//! An answer covers the days from its first to its last one. The stored rows of these days are read in any case, so the
//! rule is a pure function over them. Few days are recorded, and a cycle of unchanged answers writes no row.

use jiff::civil::Date;

use schema::cycle::Cycle;
use schema::merge_daily::DayRow;
use schema::task::Severity;
use schema::{Dataset, Observation, ObservationData, SourceName, TaskAnswer};

use super::connection::{Queries as _, Transaction};
use super::counted;
use super::days::{DaySaid, Standing, Statements, Unreported};
use super::error::StoreError;

const UNREPORTED: &str = "runner.daily_unreported";

/// What a batch changes in `runner.daily_unreported`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Days that an answer leaves out for the first time.
    left_out: Unreported,
    /// Recorded days that are reported again.
    again: Unreported,
}

/// Compares the days of these answers with the stored rows. `statements` are what the batch reports about the same
/// funds. Observations of other datasets are skipped.
pub(super) fn changes<'answer>(
    answers: impl Iterator<Item = (&'answer TaskAnswer, &'answer Observation)>,
    statements: &Statements,
    stored: &Standing,
    unreported: &Unreported,
) -> Changes {
    let mut changes = Changes::default();
    for (answer, observation) in answers {
        let Some((first, last)) = covered(answer, observation) else {
            continue;
        };
        let fund_code = observation.fund_code.as_str();
        let Some(rows) = stored.get(fund_code) else {
            continue;
        };
        let said = statements.get(fund_code);
        for (nav_date, row) in rows.range(first..=last) {
            let is_reported = said
                .and_then(|said| said.get(nav_date))
                .is_some_and(|said| reports(said, observation.source));
            // Usually the day is reported again and no day is recorded.
            if is_reported && unreported.is_empty() {
                continue;
            }
            let day = (fund_code.to_owned(), *nav_date, observation.source);
            match (is_reported, unreported.contains(&day)) {
                (false, false) if is_supplied_by(row, observation.source) => {
                    changes.left_out.insert(day);
                }
                (true, true) => {
                    changes.again.insert(day);
                }
                _ => {}
            }
        }
    }
    changes
}

/// The first and the last day of a statement with several days. If the answer has a rejected day, the statement covers
/// nothing, because the rejected day may be one of the missing days. Neither does a page of a list, because a missing
/// day may be on another page.
fn covered(answer: &TaskAnswer, observation: &Observation) -> Option<(Date, Date)> {
    let ObservationData::Daily(points) = &observation.data else {
        return None;
    };
    if answer.is_list_part {
        return None;
    }
    let is_partly_rejected = answer
        .rejects
        .iter()
        .any(|reject| reject.dataset == Dataset::Daily && reject.severity == Severity::Rejected);
    if is_partly_rejected {
        return None;
    }
    let days = || {
        points
            .iter()
            .filter(|point| [point.nav, point.bid, point.offer, point.aum] != [None; 4])
            .map(|point| point.nav_date)
    };
    let (first, last) = (days().min()?, days().max()?);
    (first < last).then_some((first, last))
}

fn reports(said: &DaySaid, source: SourceName) -> bool {
    said.iter().any(|(by, _)| *by == source)
}

/// Whether a value of the row is one that the source reported.
fn is_supplied_by(row: &DayRow, source: SourceName) -> bool {
    row.values
        .iter()
        .zip(row.said_by)
        .any(|(value, said_by)| value.is_some() && said_by & source.bit() != 0)
}

/// Records the changes.
pub(super) async fn write(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    changes: Changes,
) -> Result<(), StoreError> {
    if !changes.left_out.is_empty() {
        let days = Columns::of(&changes.left_out);
        tx.execute_counted(
            UNREPORTED,
            "WITH new AS (
                 SELECT * FROM unnest($1::text[], $2::date[], $3::text[]) AS day (fund_code, nav_date, source)),
             written AS (
                 INSERT INTO runner.daily_unreported (fund_code, nav_date, source, cycle_id)
                 SELECT fund_code, nav_date, source, $4::bigint FROM new
                 ON CONFLICT DO NOTHING RETURNING 1)
             SELECT (SELECT count(*) FROM new WHERE NOT EXISTS (
                         SELECT FROM runner.daily_unreported u WHERE u.fund_code = new.fund_code
                             AND u.nav_date = new.nav_date AND u.source = new.source)),
                 (SELECT count(*) FROM written)",
            &[&days.codes, &days.dates, &days.sources, &cycle.id],
        )
        .await?;
    }
    if !changes.again.is_empty() {
        let days = Columns::of(&changes.again);
        tx.execute_counted(
            UNREPORTED,
            &counted::delete(
                UNREPORTED,
                "unnest($1::text[], $2::date[], $3::text[]) AS day (fund_code, nav_date, source)",
                "t.fund_code = day.fund_code AND t.nav_date = day.nav_date AND t.source = day.source",
            ),
            &[&days.codes, &days.dates, &days.sources],
        )
        .await?;
    }
    Ok(())
}

/// Days by column, as array parameters.
struct Columns<'days> {
    codes: Vec<&'days str>,
    dates: Vec<Date>,
    sources: Vec<&'static str>,
}

impl<'days> Columns<'days> {
    fn of(days: &'days Unreported) -> Self {
        Self {
            codes: days.iter().map(|(code, _, _)| code.as_str()).collect(),
            dates: days.iter().map(|(_, date, _)| *date).collect(),
            sources: days.iter().map(|(_, _, source)| source.as_str()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use schema::observation::DailyPoint;
    use schema::task::Reject;
    use schema::{FundCode, Number, Outcome, TaskId};

    use super::super::days;
    use super::*;

    use SourceName::{Finnomena, Wealthmagik};

    fn day(day: i8) -> Date {
        Date::constant(2026, 10, day)
    }

    fn answer(source: SourceName, reported: &[i8]) -> TaskAnswer {
        let fund_code = FundCode::parse("A").expect("a code");
        let points = reported.iter().map(|reported| DailyPoint {
            nav_date: day(*reported),
            nav: Number::parse("10").ok(),
            aum: None,
            bid: None,
            offer: None,
        });
        let id = TaskId {
            source,
            page: TaskId::SERIES.to_owned(),
            key: "A".to_owned(),
        };
        let mut answer = TaskAnswer::empty(id, Outcome::Done, 1);
        answer.observations.push(Observation {
            fund_code,
            source,
            as_of_date: None,
            url: String::new(),
            data: ObservationData::Daily(points.collect()),
        });
        answer
    }

    /// A stored row with a NAV from these sources.
    fn row(by: &[SourceName]) -> DayRow {
        let mut row = DayRow::default();
        row.values[0] = Number::parse("10").ok();
        row.said_by[0] = by.iter().map(|source| source.bit()).sum();
        row
    }

    /// The days left out, and those reported again.
    fn compared(
        answer: &TaskAnswer,
        stored: &[(i8, &[SourceName])],
        recorded: &[(i8, SourceName)],
    ) -> (Vec<i8>, Vec<i8>) {
        let mut statements = Statements::new();
        for observation in &answer.observations {
            let ObservationData::Daily(points) = &observation.data else {
                continue;
            };
            for point in points {
                let of_fund = statements.entry("A".to_owned()).or_default();
                let values = [point.nav, point.bid, point.offer, point.aum];
                let of_day = of_fund.entry(point.nav_date).or_default();
                days::add(of_day, observation.source, values);
            }
        }
        let rows = stored.iter().map(|(at, by)| (day(*at), row(by)));
        let stored = Standing::from([("A".to_owned(), rows.collect())]);
        let recorded = recorded
            .iter()
            .map(|(at, by)| ("A".to_owned(), day(*at), *by));
        let observations = answer
            .observations
            .iter()
            .map(|observation| (answer, observation));
        let changes = changes(observations, &statements, &stored, &recorded.collect());
        let numbers = |days: Unreported| days.iter().map(|(_, date, _)| date.day()).collect();
        (numbers(changes.left_out), numbers(changes.again))
    }

    #[test]
    fn a_day_is_left_out_if_its_own_source_supplied_it_before() {
        const BOTH: &[SourceName] = &[Finnomena, Wealthmagik];
        for (reported, stored, recorded, expected) in [
            // Nothing is stored yet, or everything is reported.
            (&[1, 5][..], &[][..], &[][..], (vec![], vec![])),
            (&[1, 2], &[(1, BOTH), (2, BOTH)], &[], (vec![], vec![])),
            // Left out; of another source; before the first and after the last day.
            (&[2, 4], &[(3, BOTH)], &[], (vec![3], vec![])),
            (&[2, 4], &[(3, &[Wealthmagik])], &[], (vec![], vec![])),
            (&[2, 4], &[(1, BOTH), (5, BOTH)], &[], (vec![], vec![])),
            // An answer with one day covers no range.
            (&[3], &[(2, BOTH), (4, BOTH)], &[], (vec![], vec![])),
            // Recorded before: by this source, by another one; reported again.
            (&[2, 4], &[(3, BOTH)], &[(3, Finnomena)], (vec![], vec![])),
            (
                &[2, 4],
                &[(3, BOTH)],
                &[(3, Wealthmagik)],
                (vec![3], vec![]),
            ),
            (
                &[2, 3, 4],
                &[(3, BOTH)],
                &[(3, Finnomena)],
                (vec![], vec![3]),
            ),
            (
                &[2, 3, 4],
                &[(3, BOTH)],
                &[(3, Wealthmagik)],
                (vec![], vec![]),
            ),
        ] {
            let found = compared(&answer(Finnomena, reported), stored, recorded);
            assert_eq!(found, expected, "{reported:?} {stored:?} {recorded:?}");
        }
    }

    #[test]
    fn an_answer_with_a_rejected_day_leaves_nothing_out() {
        let mut partly = answer(Finnomena, &[2, 4]);
        let stored: &[(i8, &[SourceName])] = &[(3, &[Finnomena])];
        for (severity, left_out) in [(Severity::Noted, vec![3]), (Severity::Rejected, vec![])] {
            partly.rejects = vec![Reject {
                fund_code: None,
                dataset: Dataset::Daily,
                field: "value".to_owned(),
                reason: "no number".to_owned(),
                sample: String::new(),
                severity,
            }];
            assert_eq!(compared(&partly, stored, &[]).0, left_out, "{severity:?}");
        }
    }

    #[test]
    fn a_page_of_a_list_leaves_nothing_out() {
        let mut part = answer(Finnomena, &[2, 4]);
        part.is_list_part = true;
        assert_eq!(compared(&part, &[(3, &[Finnomena])], &[]), (vec![], vec![]));
    }
}
