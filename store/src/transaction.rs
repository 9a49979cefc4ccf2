//! Writes one batch in one transaction (D1): observations, rows, rejects, history and acknowledgements.

use std::collections::{BTreeMap, BTreeSet};

use schema::append::rows_of;
use schema::cycle::{Cycle, Scope};
use schema::doubt::{self, DoubtLimits};
use schema::fold::{Folded, StoredObservation, adopted_portfolio, fold};
use schema::merge_funds::Statements;
use schema::observation::DailyPoint;
use schema::portfolio::StoredPortfolio;
use schema::precedence::{Precedence, REGISTER, StatementKey, UNIVERSE, table_of};
use schema::task::Severity;
use schema::{
    Dataset, FundCode, Observation, ObservationData, Outcome, SourceName, TaskAnswer, TaskId,
    failpoint,
};

use super::chains;
use super::closed_cycles::closed_monthly;
use super::connection::Transaction;
use super::daily;
use super::days;
use super::derive::{self, Derived, Touched};
use super::doubts::{self, Doubtful, Waivers};
use super::error::StoreError;
use super::funds::{self, Funds};
use super::keyed;
use super::lists;
use super::news;
use super::observations;
use super::provisional;
use super::publication;
use super::register;
use super::report::{Acknowledged, BatchReport, count_refused, records_of};
use super::tasks;
use super::unapplied_days;
use super::unreported;
use super::whole_histories;

/// How answers are examined before they are applied (D11).
#[derive(Debug, Clone, Copy)]
pub(super) enum Examination {
    /// Doubtful parts are set aside until the round is judged. Lists are compared with these limits.
    Full(DoubtLimits),
    /// The answers were already judged and believed.
    Believed,
}

/// The rules by which answers are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'rules> {
    pub examination: Examination,
    /// The ranks by which the rows are merged.
    pub precedence: &'rules Precedence,
}

/// Writes answers and their acknowledgements. The caller commits.
pub(super) async fn write_answers(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answers: &[TaskAnswer],
    rules: Rules<'_>,
) -> Result<BatchReport, StoreError> {
    let examination = rules.examination;
    let resolved = keyed::resolve(tx, cycle, answers).await?;
    let answers = resolved.as_deref().unwrap_or(answers);
    // An answer that was judged and believed is only a part of the original answer, so it does not cover a whole
    // history.
    let is_whole = matches!(examination, Examination::Full(_));
    let mut report = BatchReport::default();
    let mut outcomes = Vec::with_capacity(answers.len());
    let mut taken: Vec<(usize, &TaskAnswer)> = Vec::new();
    for (at, answer) in answers.iter().enumerate() {
        if let Some(breach) = list_breach(tx, cycle, answer, answers, examination).await? {
            count_refused(&mut report, answer);
            outcomes.push((at, answer, Outcome::Failed(breach.clone())));
            report.breaches.push((answer.id.source, breach));
            continue;
        }
        // The other pages of a list with cursors do not end its task, and neither does a part that waited.
        if answer.is_finished() && (is_whole || !answer.is_list_part) {
            outcomes.push((at, answer, answer.outcome.clone()));
        }
        if answer.outcome == Outcome::Done {
            taken.push((at, answer));
        }
    }
    failpoint::BATCH_LISTS_CHECKED.pass().await?;
    let histories = whole_histories::read(tx, cycle, if is_whole { answers } else { &[] }).await?;
    let mut examiner = Examiner::new(rules);
    examiner.examine_emptied(tx, cycle, answers).await?;
    write_observations(tx, cycle, &taken, &mut examiner, &mut report).await?;
    let held = doubts::hold(tx, cycle, answers, examiner.doubtful, &mut report).await?;

    let rejects: Vec<_> = answers
        .iter()
        .flat_map(|answer| {
            answer
                .rejects
                .iter()
                .map(move |reject| (&answer.id, reject))
        })
        .collect();
    tasks::write_rejects(tx, cycle, &rejects).await?;
    failpoint::BATCH_REJECTS_WRITTEN.pass().await?;
    for (id, reject) in rejects {
        if reject.severity == Severity::Rejected
            && let Some(table) = table_of(id.source, reject.dataset)
        {
            report
                .tables
                .entry(table.to_owned())
                .or_default()
                .unreadable += 1;
        }
    }
    // What was held back and is believed now does not change how far its list was read.
    if is_whole {
        chains::advance(tx, cycle, answers).await?;
    }
    tasks::acknowledge(tx, cycle, &outcomes, &held).await?;
    whole_histories::record(tx, cycle, &histories).await?;
    failpoint::BATCH_ACKNOWLEDGED.pass().await?;
    tasks::add_counts(tx, cycle.id, &report.tables).await?;
    failpoint::BATCH_COUNTED.pass().await?;
    report.tasks = outcomes
        .into_iter()
        .map(|(_, answer, outcome)| Acknowledged::new(answer.id.clone(), outcome))
        .collect();
    Ok(report)
}

/// Returns why a whole list is not credible, as a sentence. A list with cursors is judged with its last page; earlier
/// pages of it may be in the same batch.
async fn list_breach(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answer: &TaskAnswer,
    batch: &[TaskAnswer],
    examination: Examination,
) -> Result<Option<String>, StoreError> {
    let Examination::Full(limits) = examination else {
        return Ok(None);
    };
    let said: Vec<&Observation> = if answer.is_list_part && answer.is_finished() {
        let pages = batch.iter().filter(|page| page.id == answer.id);
        pages.flat_map(|page| &page.observations).collect()
    } else {
        answer.observations.iter().collect()
    };
    if let Some(breach) = lists::check(tx, cycle, answer, &said).await? {
        return Ok(Some(breach));
    }
    if answer.id.source == REGISTER {
        return register::breach(tx, cycle, answer, &said, &limits).await;
    }
    doubts::check_list(tx, cycle, answer, &limits).await
}

/// Collects the doubtful parts of a batch.
struct Examiner<'rules> {
    rules: Rules<'rules>,
    waivers: Waivers,
    doubtful: Vec<Doubtful>,
}

impl<'rules> Examiner<'rules> {
    fn new(rules: Rules<'rules>) -> Self {
        Self {
            rules,
            waivers: Waivers::default(),
            doubtful: Vec::new(),
        }
    }

    const fn is_off(&self) -> bool {
        matches!(self.rules.examination, Examination::Believed)
    }

    async fn examine_emptied(
        &mut self,
        tx: &Transaction<'_>,
        cycle: &Cycle,
        answers: &[TaskAnswer],
    ) -> Result<(), StoreError> {
        if !self.is_off() {
            self.doubtful = doubts::emptied(tx, cycle, answers, &mut self.waivers).await?;
        }
        Ok(())
    }

    /// Returns the indexes of the statements that are set aside, because they are doubtful compared with what the same
    /// source reported before.
    async fn examine(
        &mut self,
        tx: &Transaction<'_>,
        cycle: &Cycle,
        observations: &[Spoken<'_>],
        folding: &Folding,
        funds: &Funds,
    ) -> Result<BTreeSet<usize>, StoreError> {
        let mut waiting = BTreeSet::new();
        if self.is_off() {
            return Ok(waiting);
        }
        for (place, spoken) in observations.iter().enumerate() {
            let observation = spoken.observation;
            let Some(fund) = funds.get(&observation.fund_code) else {
                continue;
            };
            let held = folding.held(fund.id, observation);
            if let Some((kind, evidence)) = doubt::examine(held, observation)
                && !self.waivers.waives(tx, cycle, spoken.answer, kind).await?
            {
                waiting.insert(place);
                self.doubtful.push(Doubtful {
                    answer: spoken.at,
                    kind,
                    evidence,
                    observation: Some(observation.clone()),
                });
            }
        }
        Ok(waiting)
    }

    /// Stores the days of a fund that are set aside as a part of the answer that reported them.
    async fn keep_days(
        &mut self,
        tx: &Transaction<'_>,
        cycle: &Cycle,
        observations: &[Spoken<'_>],
        statements: &mut days::Statements,
        doubts: Vec<daily::DoubtfulDays>,
    ) -> Result<(), StoreError> {
        for days in doubts {
            let reports = |spoken: &&Spoken<'_>| {
                let observation = spoken.observation;
                observation.source == days.source
                    && observation.fund_code.as_str() == days.fund_code
                    && matches!(&observation.data, ObservationData::Daily(points)
                        if points.iter().any(|point| days.doubt.waiting.contains_key(&point.nav_date)))
            };
            let Some(spoken) = observations.iter().find(reports) else {
                continue;
            };
            let kind = days.doubt.kind;
            if self.waivers.waives(tx, cycle, spoken.answer, kind).await? {
                continue;
            }
            daily::take_out(statements, &days);
            let points = days.doubt.waiting.iter().map(|(nav_date, values)| {
                let [nav, bid, offer, aum] = *values;
                DailyPoint {
                    nav_date: *nav_date,
                    nav,
                    aum,
                    bid,
                    offer,
                }
            });
            let points = points.collect();
            self.doubtful.push(Doubtful {
                answer: spoken.at,
                kind,
                evidence: days.doubt.evidence,
                observation: Some(Observation {
                    data: ObservationData::Daily(points),
                    fund_code: spoken.observation.fund_code.clone(),
                    source: spoken.observation.source,
                    as_of_date: spoken.observation.as_of_date,
                    url: spoken.observation.url.clone(),
                }),
            });
        }
        Ok(())
    }
}

/// A statement, with its answer and the index of that answer in the batch.
#[derive(Clone, Copy)]
struct Spoken<'batch> {
    at: usize,
    answer: &'batch TaskAnswer,
    observation: &'batch Observation,
}

/// Largest number of statements that are folded and derived at once. A list has one for every fund of the market (A5).
const STATEMENTS_AT_ONCE: usize = 500;

async fn write_observations(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answers: &[(usize, &TaskAnswer)],
    examiner: &mut Examiner<'_>,
    report: &mut BatchReport,
) -> Result<(), StoreError> {
    let (told, spoken): (Vec<Spoken<'_>>, Vec<Spoken<'_>>) = answers
        .iter()
        .flat_map(|(at, answer)| {
            answer.observations.iter().map(|observation| Spoken {
                at: *at,
                answer,
                observation,
            })
        })
        .partition(|spoken| matches!(spoken.observation.data, ObservationData::NavDigest(_)));
    let told: Vec<&Observation> = told.iter().map(|spoken| spoken.observation).collect();
    news::record(tx, cycle, &told).await?;
    let mut funds = Funds::new();
    for part in spoken.chunks(STATEMENTS_AT_ONCE) {
        funds.extend(write_part(tx, cycle, part, examiner, report).await?);
    }
    for (_, answer) in answers {
        if register::ends_the_list(cycle, answer) {
            register::record_status(tx, cycle).await?;
        }
        if cycle.scope == Scope::Full
            && answer.id.source == UNIVERSE
            && answer.id.key == TaskId::WHOLE_MARKET
            && answer
                .observations
                .iter()
                .any(|observation| matches!(observation.data, ObservationData::Listing { .. }))
        {
            let own: Vec<&Observation> = answer.observations.iter().collect();
            funds::record_standing(tx, cycle, &own, &funds).await?;
            provisional::settle(tx).await?;
            funds::apply_status(tx, cycle).await?;
        }
    }
    Ok(())
}

/// Writes some of the statements of a batch. The result does not depend on how they are divided (D4). Returns the funds
/// that they are about.
async fn write_part(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    spoken: &[Spoken<'_>],
    examiner: &mut Examiner<'_>,
    report: &mut BatchReport,
) -> Result<Funds, StoreError> {
    let observations: Vec<&Observation> = spoken.iter().map(|spoken| spoken.observation).collect();
    let codes: BTreeSet<&FundCode> = observations
        .iter()
        .map(|observation| &observation.fund_code)
        .collect();
    let mut funds = funds::ensure(tx, &codes).await?;
    let listings: Vec<&Observation> = observations
        .iter()
        .copied()
        .filter(|observation| matches!(observation.data, ObservationData::Listing { .. }))
        .collect();
    let entering = if listings.is_empty() {
        BTreeSet::new()
    } else {
        funds::record_listings(tx, cycle, &listings, &mut funds).await?
    };

    failpoint::BATCH_FUNDS_ENSURED.pass().await?;
    let mut folding = Folding::read(tx, &observations, &funds, &entering).await?;
    let waiting = examiner
        .examine(tx, cycle, spoken, &folding, &funds)
        .await?;
    folding.fold_all(cycle, &observations, &waiting, &funds);
    observations::write(tx, Some(cycle.id), &folding.changed_statements()).await?;
    failpoint::BATCH_OBSERVED.pass().await?;
    let derived = folding
        .derive(tx, cycle, examiner.rules.precedence, &funds, &entering)
        .await?;
    for (table, counts) in &derived.tables {
        report
            .tables
            .entry((*table).to_owned())
            .or_default()
            .add(counts);
    }
    failpoint::BATCH_DERIVED.pass().await?;
    folding.count(&observations, &funds, &derived, report);
    write_days(tx, cycle, spoken, &funds, &entering, examiner, report).await?;
    failpoint::BATCH_DAYS_WRITTEN.pass().await?;
    Ok(funds)
}

/// The result of folding a statement of the batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Set aside until the round is judged; counted then.
    Waiting,
    Superseded,
    Unchanged,
    Changed,
}

struct Folding {
    held: BTreeMap<i64, Statements>,
    changed: BTreeSet<(i64, StatementKey)>,
    /// One for each observation of the batch, in order.
    fates: Vec<Fate>,
}

impl Folding {
    async fn read(
        tx: &Transaction<'_>,
        observations: &[&Observation],
        funds: &Funds,
        entering: &BTreeSet<i64>,
    ) -> Result<Self, StoreError> {
        let kept: Vec<&&Observation> = observations
            .iter()
            .filter(|observation| observation.data.dataset() != Dataset::Daily)
            .collect();
        let datasets: BTreeSet<Dataset> = kept
            .iter()
            .flat_map(|observation| derive::read_with(observation.data.dataset()))
            .collect();
        let datasets: Vec<Dataset> = datasets.into_iter().collect();
        let ids: BTreeSet<i64> = kept
            .iter()
            .filter_map(|observation| funds.get(&observation.fund_code))
            .map(|fund| fund.id)
            .filter(|id| !entering.contains(id))
            .collect();
        let ids: Vec<i64> = ids.into_iter().collect();
        let mut held = if ids.is_empty() {
            BTreeMap::new()
        } else {
            observations::read(tx, &ids, Some(&datasets)).await?
        };
        if !entering.is_empty() {
            let entering: Vec<i64> = entering.iter().copied().collect();
            held.extend(observations::read(tx, &entering, None).await?);
        }
        Ok(Self {
            held,
            changed: BTreeSet::new(),
            fates: Vec::with_capacity(observations.len()),
        })
    }

    /// The held statement of the same source and dataset, from before this batch.
    fn held(&self, fund_id: i64, observation: &Observation) -> Option<&StoredObservation> {
        let statement_key = (observation.source, observation.data.dataset());
        self.held.get(&fund_id)?.get(&statement_key)
    }

    fn fold_all(
        &mut self,
        cycle: &Cycle,
        observations: &[&Observation],
        waiting: &BTreeSet<usize>,
        funds: &Funds,
    ) {
        for (place, observation) in observations.iter().enumerate() {
            let fate = match funds.get(&observation.fund_code) {
                _ if waiting.contains(&place) => Fate::Waiting,
                Some(fund) => self.fold_one(cycle, observation, fund.id),
                None => Fate::Superseded,
            };
            self.fates.push(fate);
        }
    }

    fn fold_one(&mut self, cycle: &Cycle, observation: &Observation, fund_id: i64) -> Fate {
        let dataset = observation.data.dataset();
        if dataset == Dataset::Daily {
            return Fate::Unchanged;
        }
        let statement_key = (observation.source, dataset);
        let statements = self.held.entry(fund_id).or_default();
        let folded = {
            let adopted = statements
                .get(&(SourceName::Adopted, dataset))
                .and_then(|held| adopted_portfolio(held, observation.source));
            let standing = adopted.map(|adopted| StoredPortfolio {
                as_of_date: adopted.as_of_date,
                rows: &adopted.rows,
            });
            fold(
                statements.get(&statement_key),
                standing.as_ref(),
                observation,
                cycle.id,
            )
        };
        match folded {
            Folded::Superseded => Fate::Superseded,
            Folded::Unchanged => Fate::Unchanged,
            Folded::Changed(held) => {
                statements.insert(statement_key, held);
                self.changed.insert((fund_id, statement_key));
                Fate::Changed
            }
        }
    }

    fn changed_statements(&self) -> Vec<(i64, StatementKey, &StoredObservation)> {
        self.changed
            .iter()
            .filter_map(|(fund_id, statement_key)| {
                Some((
                    *fund_id,
                    *statement_key,
                    self.held.get(fund_id)?.get(statement_key)?,
                ))
            })
            .collect()
    }

    async fn derive<'rules>(
        &self,
        tx: &Transaction<'_>,
        cycle: &Cycle,
        precedence: &'rules Precedence,
        funds: &Funds,
        entering: &BTreeSet<i64>,
    ) -> Result<Derived<'rules>, StoreError> {
        let mut touched = Vec::new();
        for (fund_code, fund) in funds {
            let Some(held) = self.held.get(&fund.id).filter(|_| fund.in_universe) else {
                continue;
            };
            let changed: BTreeSet<StatementKey> = if entering.contains(&fund.id) {
                held.keys().copied().collect()
            } else {
                let from = (fund.id, (UNIVERSE, Dataset::Listing));
                self.changed
                    .range(from..)
                    .take_while(|(id, _)| *id == fund.id)
                    .map(|(_, statement_key)| *statement_key)
                    .collect()
            };
            if !changed.is_empty() {
                touched.push(Touched {
                    fund_code,
                    held,
                    changed,
                    enters: entering.contains(&fund.id),
                });
            }
        }
        // Only fields that a newer statement left out can become stale.
        let may_be_stale = touched
            .iter()
            .flat_map(|fund| fund.held.values())
            .any(|held| !held.unsaid.is_empty());
        let closed = if may_be_stale {
            closed_monthly(tx).await?
        } else {
            Vec::new()
        };
        derive::derive(tx, Some(cycle.id), precedence, &touched, &closed).await
    }

    /// Counts every record of the batch except the days (O4).
    fn count(
        &self,
        observations: &[&Observation],
        funds: &Funds,
        derived: &Derived<'_>,
        report: &mut BatchReport,
    ) {
        for (observation, fate) in observations.iter().zip(&self.fates) {
            let dataset = observation.data.dataset();
            let Some(table) = table_of(observation.source, dataset) else {
                continue;
            };
            if dataset == Dataset::Daily || *fate == Fate::Waiting {
                continue;
            }
            let records = records_of(&observation.data);
            let counts = &mut report.tables.entry(table.to_owned()).or_default().records;
            counts.observed += records;
            let fund = funds.get(&observation.fund_code);
            let statement_key = (observation.source, dataset);
            let held = fund.and_then(|fund| self.held.get(&fund.id)?.get(&statement_key));
            let said = rows_of(&observation.data, &observation.url);
            match (fate, held) {
                (Fate::Changed, Some(held)) if fund.is_some_and(|fund| fund.in_universe) => {
                    derived.count(
                        counts,
                        &observation.fund_code,
                        statement_key,
                        held,
                        (records, &said),
                    );
                }
                (Fate::Unchanged, _) => counts.unchanged += records,
                _ => counts.superseded += records,
            }
        }
    }
}

async fn write_days(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    spoken: &[Spoken<'_>],
    funds: &Funds,
    entering: &BTreeSet<i64>,
    examiner: &mut Examiner<'_>,
    report: &mut BatchReport,
) -> Result<(), StoreError> {
    let mut days = days::Statements::new();
    let mut waiting = days::Statements::new();
    for observation in spoken.iter().map(|spoken| spoken.observation) {
        let ObservationData::Daily(points) = &observation.data else {
            continue;
        };
        let in_universe = funds
            .get(&observation.fund_code)
            .is_some_and(|fund| fund.in_universe);
        let chosen = if in_universe { &mut days } else { &mut waiting };
        let mut points = points
            .iter()
            .map(|point| {
                let values = [point.nav, point.bid, point.offer, point.aum];
                (point.nav_date, values)
            })
            .filter(|(_, values)| *values != [None; 4])
            .peekable();
        if points.peek().is_none() {
            continue;
        }
        let of_fund = chosen.entry(observation.fund_code.to_string()).or_default();
        for (nav_date, values) in points {
            let said = of_fund.entry(nav_date).or_default();
            days::add(said, observation.source, values);
        }
    }
    let kept: u64 = waiting
        .values()
        .flat_map(|days| days.values())
        .map(|said| said.len() as u64)
        .sum();
    unapplied_days::keep_waiting(tx, &waiting).await?;
    let entering: Vec<&str> = funds
        .iter()
        .filter(|(_, fund)| entering.contains(&fund.id))
        .map(|(code, _)| code.as_str())
        .collect();
    if !entering.is_empty() {
        unapplied_days::take_waiting(tx, &entering, &mut days).await?;
    }
    let mut compared = daily::compare_with_stored(tx, days).await?;
    let mut unreported = unreported::Changes::default();
    // An answer that was judged and believed is only a part of the original answer, so it leaves nothing out.
    if !examiner.is_off() {
        let daily = spoken
            .iter()
            .map(|spoken| (spoken.answer, spoken.observation));
        unreported = unreported::changes(
            daily,
            &compared.statements,
            &compared.standing,
            &compared.unreported,
        );
        let doubts = compared.doubts(tx, cycle).await?;
        examiner
            .keep_days(tx, cycle, spoken, &mut compared.statements, doubts)
            .await?;
    }
    let newest = publication::newest(&compared.statements);
    let mut counts = daily::write(tx, cycle.id, examiner.rules.precedence.days(), compared).await?;
    publication::record(tx, cycle, &newest).await?;
    unreported::write(tx, cycle, unreported).await?;
    counts.records.observed += kept;
    counts.records.superseded += kept;
    if counts.records.observed > 0 {
        report
            .tables
            .entry("funds_daily".to_owned())
            .or_default()
            .add(&counts);
    }
    Ok(())
}
