//! Statements under a source's own keys: finds the funds that they are about (D9).
//!
//! A key leads to the fund that the source's list names with it (`runner.alias`), or, if the list does not have the
//! key, to the known fund with exactly the code of the statement. A key that leads to no fund, or to several, is
//! recorded in `runner.unmatched`; it is never guessed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use schema::cycle::Cycle;
use schema::observation::{DailyPoint, KeyedObservation};
use schema::{FundCode, Observation, ObservationData, SourceName, TaskAnswer};

use super::connection::{Queries as _, Transaction};
use super::counted;
use super::decode::{read_code, read_source};
use super::error::StoreError;

/// Separates the project from the class in a key. A key without it means all classes of the project.
const CLASS_SEPARATOR: char = '/';
/// The character after [`CLASS_SEPARATOR`] in byte order: the end of the range of a project's keys.
const AFTER_SEPARATOR: char = '0';

/// The funds of a key in the newest list of its source.
#[derive(Default)]
struct Listed {
    funds: BTreeSet<FundCode>,
    /// Funds that the list also names under another key.
    shared: BTreeSet<FundCode>,
}

/// The funds of the keys of one source.
type Funds = BTreeMap<(SourceName, String), Listed>;

/// Replaces the keyed statements by statements about funds; `None` if there are none.
pub(super) async fn resolve(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answers: &[TaskAnswer],
) -> Result<Option<Vec<TaskAnswer>>, StoreError> {
    if answers.iter().all(|answer| answer.keyed.is_empty()) {
        return Ok(None);
    }
    let keys: BTreeSet<(SourceName, &str)> = answers
        .iter()
        .flat_map(|answer| {
            let source = answer.id.source;
            answer
                .keyed
                .iter()
                .map(move |keyed| (source, keyed.source_key.as_str()))
        })
        .collect();
    let listed = read_listed(tx, &keys).await?;
    let known = read_known(tx, answers).await?;
    let mut resolved = Vec::with_capacity(answers.len());
    let mut unmatched = Unmatched::default();
    let mut matched = BTreeSet::new();
    for answer in answers {
        let mut statements = Statements::default();
        for keyed in &answer.keyed {
            let funds = listed.get(&(answer.id.source, keyed.source_key.clone()));
            match matches(keyed, funds, &known) {
                Ok(funds) => {
                    for fund_code in funds {
                        statements.add(answer.id.source, fund_code, keyed);
                    }
                    matched.insert((
                        answer.id.source,
                        answer.id.page.as_str(),
                        keyed.source_key.as_str(),
                    ));
                }
                Err((reason, candidates)) => unmatched.add(answer, keyed, reason, candidates),
            }
        }
        let mut answer = TaskAnswer {
            keyed: Vec::new(),
            ..answer.clone()
        };
        answer.observations.extend(statements.observations());
        resolved.push(answer);
    }
    unmatched.write(tx, cycle).await?;
    forget_matched(tx, &matched).await?;
    Ok(Some(resolved))
}

/// The funds of a statement; or why there is not exactly one, with the candidates.
fn matches(
    keyed: &KeyedObservation,
    listed: Option<&Listed>,
    known: &BTreeSet<FundCode>,
) -> Result<Vec<FundCode>, (&'static str, Vec<FundCode>)> {
    let is_project = !keyed.source_key.contains(CLASS_SEPARATOR);
    let funds = listed.map(|listed| &listed.funds).into_iter().flatten();
    let funds: Vec<FundCode> = funds.cloned().collect();
    let shared = listed.map(|listed| &listed.shared);
    if let Some(shared) = shared.filter(|shared| !shared.is_empty()) {
        let candidates = shared.iter().cloned().collect();
        return Err((
            "the source's list has the code under several keys",
            candidates,
        ));
    }
    match (funds.len(), &keyed.fund_code) {
        (1, _) => Ok(funds),
        (2.., _) if is_project => Ok(funds),
        (2.., _) => Err(("the source's list has the key under several codes", funds)),
        (0, Some(code)) if known.contains(code) => Ok(vec![code.clone()]),
        (0, code) => Err((
            "no list has the key or its code",
            code.iter().cloned().collect(),
        )),
    }
}

/// The statements of one answer, with the days of each fund together.
#[derive(Default)]
struct Statements {
    others: Vec<Observation>,
    days: BTreeMap<FundCode, (Observation, Vec<DailyPoint>)>,
}

impl Statements {
    fn add(&mut self, source: SourceName, fund_code: FundCode, keyed: &KeyedObservation) {
        let observation = Observation {
            fund_code: fund_code.clone(),
            source,
            as_of_date: keyed.as_of_date,
            url: keyed.url.clone(),
            data: keyed.data.clone(),
        };
        let ObservationData::Daily(points) = &keyed.data else {
            self.others.push(observation);
            return;
        };
        match self.days.entry(fund_code) {
            Entry::Vacant(place) => {
                place.insert((observation, points.clone()));
            }
            Entry::Occupied(mut place) => {
                let days = &mut place.get_mut().1;
                for point in points {
                    // The later of two values for one day wins.
                    days.retain(|day| day.nav_date != point.nav_date);
                    days.push(*point);
                }
            }
        }
    }

    fn observations(self) -> impl Iterator<Item = Observation> {
        let days = self
            .days
            .into_values()
            .map(|(observation, points)| Observation {
                data: ObservationData::Daily(points),
                ..observation
            });
        self.others.into_iter().chain(days)
    }
}

/// Reads the funds that the newest list of each source names with these keys.
async fn read_listed(
    tx: &Transaction<'_>,
    keys: &BTreeSet<(SourceName, &str)>,
) -> Result<Funds, StoreError> {
    let sources: Vec<&str> = keys.iter().map(|(source, _)| source.as_str()).collect();
    let (mut first, mut after) = (Vec::new(), Vec::new());
    for (_, key) in keys {
        if key.contains(CLASS_SEPARATOR) {
            first.push((*key).to_owned());
            after.push(format!("{key}\u{1}"));
        } else {
            first.push(format!("{key}{CLASS_SEPARATOR}"));
            after.push(format!("{key}{AFTER_SEPARATOR}"));
        }
    }
    let asked: Vec<&str> = keys.iter().map(|(_, key)| *key).collect();
    // A key that was renamed has an older code as well; the newest list decides.
    let rows = tx
        .query(
            "SELECT asked.source, asked.key, f.fund_code, (
                 SELECT count(*) FROM runner.alias b WHERE b.source = asked.source AND b.fund_id = a.fund_id
                   AND b.last_cycle = a.last_cycle) > 1
             FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS asked (source, key, first, after)
             CROSS JOIN LATERAL (
                 SELECT a.fund_id, a.last_cycle FROM runner.alias a
                 WHERE a.source = asked.source AND a.source_key >= asked.first AND a.source_key < asked.after
                   AND a.last_cycle = (SELECT max(b.last_cycle) FROM runner.alias b
                       WHERE b.source = a.source AND b.source_key = a.source_key) OFFSET 0) a
             JOIN runner.fund f USING (fund_id)",
            &[&sources, &asked, &first, &after],
        )
        .await?;
    let mut funds = Funds::new();
    for row in rows {
        let key = (read_source(row.try_get(0)?)?, row.try_get(1)?);
        let listed = funds.entry(key).or_default();
        let fund_code = read_code(row.try_get(2)?)?;
        if row.try_get(3)? {
            listed.shared.insert(fund_code.clone());
        }
        listed.funds.insert(fund_code);
    }
    Ok(funds)
}

/// Which of the codes of the statements belong to known funds.
async fn read_known(
    tx: &Transaction<'_>,
    answers: &[TaskAnswer],
) -> Result<BTreeSet<FundCode>, StoreError> {
    let codes: BTreeSet<&str> = answers
        .iter()
        .flat_map(|answer| &answer.keyed)
        .filter_map(|keyed| keyed.fund_code.as_ref())
        .map(FundCode::as_str)
        .collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let rows = tx
        .query(
            "SELECT fund_code FROM runner.fund WHERE fund_code = ANY($1)",
            &[&codes],
        )
        .await?;
    rows.iter().map(|row| read_code(row.try_get(0)?)).collect()
}

/// Keys that lead to no fund or to several.
#[derive(Default)]
struct Unmatched<'answer> {
    rows: BTreeMap<(&'static str, &'answer str, &'answer str), (&'static str, Vec<String>)>,
}

impl<'answer> Unmatched<'answer> {
    fn add(
        &mut self,
        answer: &'answer TaskAnswer,
        keyed: &'answer KeyedObservation,
        reason: &'static str,
        candidates: Vec<FundCode>,
    ) {
        let key = (
            answer.id.source.as_str(),
            keyed.source_key.as_str(),
            answer.id.page.as_str(),
        );
        let candidates = candidates.into_iter().map(String::from).collect();
        self.rows.insert(key, (reason, candidates));
    }

    async fn write(self, tx: &Transaction<'_>, cycle: &Cycle) -> Result<(), StoreError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<serde_json::Value> = self
            .rows
            .iter()
            .map(|((source, source_key, page), (reason, candidates))| {
                serde_json::json!({
                    "source": source, "source_key": source_key, "page": page, "reason": reason,
                    "candidates": candidates,
                })
            })
            .collect();
        tx.execute_expecting(
            "runner.unmatched",
            rows.len(),
            "INSERT INTO runner.unmatched (source, source_key, page, reason, candidates, first_cycle, last_cycle)
             SELECT source, source_key, page, reason, candidates, $2::bigint, $2::bigint
             FROM jsonb_to_recordset($1::jsonb)
                 AS new (source text, source_key text, page text, reason text, candidates text[])
             ON CONFLICT (source, source_key, page) DO UPDATE SET
                 reason = EXCLUDED.reason, candidates = EXCLUDED.candidates, last_cycle = EXCLUDED.last_cycle",
            &[&serde_json::Value::Array(rows), &cycle.id],
        )
        .await
    }
}

/// Removes the records of keys that lead to a fund now.
async fn forget_matched(
    tx: &Transaction<'_>,
    matched: &BTreeSet<(SourceName, &str, &str)>,
) -> Result<(), StoreError> {
    let sources: Vec<&str> = matched.iter().map(|(source, ..)| source.as_str()).collect();
    let pages: Vec<&str> = matched.iter().map(|(_, page, _)| *page).collect();
    let keys: Vec<&str> = matched.iter().map(|(.., key)| *key).collect();
    tx.execute_counted(
        "runner.unmatched",
        &counted::delete(
            "runner.unmatched",
            "unnest($1::text[], $2::text[], $3::text[]) AS found (source, page, source_key)",
            "t.source = found.source AND t.page = found.page AND t.source_key = found.source_key",
        ),
        &[&sources, &pages, &keys],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> FundCode {
        FundCode::parse(text).expect("a code")
    }

    fn keyed(source_key: &str, fund_code: Option<&str>) -> KeyedObservation {
        KeyedObservation {
            source_key: source_key.to_owned(),
            fund_code: fund_code.map(code),
            as_of_date: None,
            url: String::new(),
            data: ObservationData::Daily(Vec::new()),
        }
    }

    fn listed(funds: &[&str], shared: &[&str]) -> Listed {
        Listed {
            funds: funds.iter().map(|text| code(text)).collect(),
            shared: shared.iter().map(|text| code(text)).collect(),
        }
    }

    #[test]
    fn a_key_leads_to_exactly_one_fund_and_a_project_to_all_its_classes() {
        let known = BTreeSet::from([code("A"), code("B")]);
        let found = |key: &str, own: Option<&str>, listed: Option<&Listed>| {
            matches(&keyed(key, own), listed, &known).map_err(|(_, candidates)| candidates)
        };
        let one = listed(&["A"], &[]);
        let two = listed(&["A", "B"], &[]);
        let shared = listed(&["A"], &["A"]);
        assert_eq!(found("M1/main", None, Some(&one)), Ok(vec![code("A")]));
        assert_eq!(
            found("M1/B", Some("B"), Some(&one)),
            Ok(vec![code("A")]),
            "the list decides before the code"
        );
        assert_eq!(found("M1/B", Some("B"), None), Ok(vec![code("B")]));
        assert_eq!(found("M1/C", Some("C"), None), Err(vec![code("C")]));
        assert_eq!(found("M1/main", None, None), Err(vec![]));
        assert_eq!(
            found("M1/main", None, Some(&two)),
            Err(vec![code("A"), code("B")])
        );
        assert_eq!(
            found("M1", None, Some(&two)),
            Ok(vec![code("A"), code("B")]),
            "a project"
        );
        assert_eq!(
            found("M1/A", Some("A"), Some(&shared)),
            Err(vec![code("A")])
        );
    }

    #[test]
    fn the_days_of_a_fund_on_one_page_become_one_statement() {
        let day = |at: i8, nav: i32| DailyPoint {
            nav_date: jiff::civil::date(2026, 11, at),
            nav: Some(nav.into()),
            aum: None,
            bid: None,
            offer: None,
        };
        let mut statements = Statements::default();
        for point in [day(1, 10), day(2, 11), day(1, 12)] {
            let data = ObservationData::Daily(vec![point]);
            let keyed = KeyedObservation {
                data,
                ..keyed("M1/A", Some("A"))
            };
            statements.add(SourceName::SecOpenApi, code("A"), &keyed);
        }
        let observations: Vec<Observation> = statements.observations().collect();
        assert_eq!(observations.len(), 1);
        assert_eq!(
            observations[0].data,
            ObservationData::Daily(vec![day(2, 11), day(1, 12)]),
            "the later of two values for one day"
        );
    }
}
