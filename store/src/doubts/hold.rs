//! Sets the doubtful part of an answer aside until the round is judged.

use std::collections::{BTreeMap, BTreeSet};

use schema::cycle::Cycle;
use schema::doubt::{DoubtKind, Evidence};
use schema::{Observation, TaskAnswer};

use super::super::connection::{Queries as _, Transaction};
use super::super::error::StoreError;
use super::super::report::{BatchReport, count_refused};
use super::{Subject, mark_taken, read_accepted};

/// A part of an answer that is set aside.
#[derive(Debug)]
pub(in super::super) struct Doubtful {
    /// The index of the answer in the batch.
    pub answer: usize,
    pub kind: DoubtKind,
    pub evidence: Evidence,
    /// The part that is set aside; `None` if the answer has no record.
    pub observation: Option<Observation>,
}

/// The accepted changes. They are read at most once per batch, and only if something is doubtful.
#[derive(Debug, Default)]
pub(in super::super) struct Waivers {
    accepted: Option<BTreeSet<Subject>>,
}

impl Waivers {
    /// Whether a change of this kind was accepted and is therefore applied.
    pub async fn waives(
        &mut self,
        tx: &Transaction<'_>,
        cycle: &Cycle,
        answer: &TaskAnswer,
        kind: DoubtKind,
    ) -> Result<bool, StoreError> {
        if self.accepted.is_none() {
            self.accepted = Some(read_accepted(tx, cycle).await?);
        }
        let subject = Subject {
            source: answer.id.source,
            page: answer.id.page.clone(),
            kind,
        };
        let is_accepted = self
            .accepted
            .as_ref()
            .is_some_and(|accepted| accepted.contains(&subject));
        if is_accepted {
            mark_taken(tx, cycle, &subject).await?;
        }
        Ok(is_accepted)
    }
}

/// Finds the answers of the batch that have no record although the source had values on the same page before.
pub(in super::super) async fn emptied(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answers: &[TaskAnswer],
    waivers: &mut Waivers,
) -> Result<Vec<Doubtful>, StoreError> {
    let empty: Vec<usize> = (0..answers.len())
        .filter(|at| answers[*at].id.is_of_one_fund() && answers[*at].is_without_values())
        .collect();
    if empty.is_empty() {
        return Ok(Vec::new());
    }
    let sources: Vec<&str> = empty
        .iter()
        .map(|at| answers[*at].id.source.as_str())
        .collect();
    let pages: Vec<&str> = empty
        .iter()
        .map(|at| answers[*at].id.page.as_str())
        .collect();
    let keys: Vec<&str> = empty
        .iter()
        .map(|at| answers[*at].id.key.as_str())
        .collect();
    let rows = tx
        .query(
            "SELECT empty.place FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY
                 AS empty (source, page, key, place)
             JOIN runner.task t ON t.source = empty.source AND t.page = empty.page AND t.key = empty.key
             WHERE t.valued_since IS NOT NULL",
            &[&sources, &pages, &keys],
        )
        .await?;
    let mut doubtful = Vec::new();
    for row in rows {
        let place: i64 = row.try_get(0)?;
        let at = usize::try_from(place - 1).ok().and_then(|at| empty.get(at));
        if let Some(at) = at
            && !waivers
                .waives(tx, cycle, &answers[*at], DoubtKind::Absent)
                .await?
        {
            doubtful.push(Doubtful {
                answer: *at,
                kind: DoubtKind::Absent,
                evidence: Evidence::new(),
                observation: None,
            });
        }
    }
    Ok(doubtful)
}

/// Largest number of answers of one page and kind that are stored. A larger number is a mass change under any
/// reasonable limit. If the change is believed all the same, the answers that were not stored are requested again.
const MOST_HELD: i64 = 500;

/// Stores the doubtful parts. Those of one fund on several pages of a list are put together; if the first of them was
/// not stored, neither are the others. Returns the indexes of the answers whose tasks wait for the judgement.
pub(in super::super) async fn hold(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answers: &[TaskAnswer],
    doubtful: Vec<Doubtful>,
    report: &mut BatchReport,
) -> Result<BTreeSet<usize>, StoreError> {
    let mut held = BTreeSet::new();
    let mut parts: BTreeMap<(usize, DoubtKind, String), (Evidence, Vec<Observation>)> =
        BTreeMap::new();
    for doubt in doubtful {
        let answer = &answers[doubt.answer];
        if !answer.is_list_part {
            held.insert(doubt.answer);
        }
        let fund_code = doubt
            .observation
            .as_ref()
            .map_or_else(|| answer.id.key.clone(), |part| part.fund_code.to_string());
        let (evidence, observations) = parts
            .entry((doubt.answer, doubt.kind, fund_code))
            .or_default();
        evidence.extend(doubt.evidence);
        observations.extend(doubt.observation);
    }
    for ((at, kind, fund_code), (evidence, observations)) in parts {
        let answer = &answers[at];
        let part = TaskAnswer {
            observations,
            rejects: Vec::new(),
            ..answer.without_content()
        };
        let stored = serde_json::to_value(&part).map_err(|error| {
            StoreError::Inconsistent(format!("an answer that waits cannot be stored: {error}"))
        })?;
        let id = &answer.id;
        let row = tx
            .write_one(
                "runner.doubt",
                "INSERT INTO runner.doubt (cycle_id, source, page, key, fund_code, kind, evidence, answer)
                 SELECT $1::bigint, $2::text, $3::text, $4::text, $5::text, $6::text, $7::jsonb,
                     CASE WHEN (SELECT count(*) FROM runner.doubt d
                         WHERE d.cycle_id = $1 AND d.source = $2 AND d.page = $3 AND d.kind = $6
                           AND d.answer IS NOT NULL) < $9 THEN $8::jsonb END
                 ON CONFLICT (cycle_id, source, page, key, fund_code, kind) DO UPDATE SET
                     evidence = CASE WHEN $10 AND doubt.breach_id IS NULL
                         THEN doubt.evidence || EXCLUDED.evidence ELSE EXCLUDED.evidence END,
                     answer = CASE WHEN $10 AND doubt.breach_id IS NULL
                         THEN jsonb_set(doubt.answer, '{observations}',
                             (doubt.answer -> 'observations') || ($8::jsonb -> 'observations'))
                         ELSE EXCLUDED.answer END,
                     breach_id = NULL
                 RETURNING answer IS NULL",
                &[
                    &cycle.id,
                    &id.source.as_str(),
                    &id.page,
                    &id.key,
                    &fund_code,
                    &kind.as_str(),
                    &serde_json::json!(evidence),
                    &stored,
                    &MOST_HELD,
                    &answer.is_list_part,
                ],
            )
            .await?;
        if row.try_get::<_, bool>(0)? {
            count_refused(report, &part);
        }
    }
    Ok(held)
}
