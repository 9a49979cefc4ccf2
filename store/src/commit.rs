//! Commits a batch exactly once and completely, except for tasks whose values the database refuses (D1, D6).

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use schema::cycle::Cycle;
use schema::doubt::DoubtLimits;
use schema::precedence::Precedence;
use schema::{Outcome, Reject, TaskAnswer, failpoint};

use super::connection::{Connection, Queries as _, Transaction};
use super::error::{DataRefusal, StoreError};
use super::report::{Batch, BatchReport, count_refused};
use super::tasks;
use super::transaction::{Examination, Rules, write_answers};

/// Commits the batch. If it is already committed, returns the stored report instead; this is looked up only if
/// `may_be`, which means that an earlier COMMIT of the same batch is possible.
pub(super) async fn commit(
    client: &mut Connection,
    cycle: &Cycle,
    batch: &Batch,
    may_be: bool,
    limits: &DoubtLimits,
    precedence: &Precedence,
    named: &mut Named,
) -> Result<BatchReport, StoreError> {
    failpoint::BATCH_BEFORE.pass().await?;
    let tx = client.transaction().await?;
    failpoint::BATCH_BEGUN.pass().await?;
    if may_be && let Some(report) = read_committed(&tx, batch).await? {
        return Ok(report);
    }
    failpoint::BATCH_LOOKED_UP.pass().await?;
    let rules = Rules {
        examination: Examination::Full(*limits),
        precedence,
    };
    match write_answers(&tx, cycle, &batch.answers, rules).await {
        Ok(report) => finish(tx, batch, report).await,
        Err(StoreError::BadData(_)) => {
            tx.rollback().await?;
            let mut tx = client.transaction().await?;
            let report = write_halving(&mut tx, cycle, &batch.answers, rules, named).await?;
            finish(tx, batch, report).await
        }
        Err(other) => Err(other),
    }
}

async fn read_committed(
    tx: &Transaction<'_>,
    batch: &Batch,
) -> Result<Option<BatchReport>, StoreError> {
    let committed = tx
        .query_opt(
            "SELECT report FROM runner.last_batch WHERE batch_id = $1",
            &[&batch.id.as_str()],
        )
        .await?;
    let Some(row) = committed else {
        return Ok(None);
    };
    serde_json::from_value(row.try_get(0)?)
        .map(Some)
        .map_err(|error| StoreError::Inconsistent(format!("the report of the last batch: {error}")))
}

async fn finish(
    tx: Transaction<'_>,
    batch: &Batch,
    report: BatchReport,
) -> Result<BatchReport, StoreError> {
    let stored = serde_json::to_value(&report).map_err(|error| {
        StoreError::Inconsistent(format!("the report of the batch cannot be stored: {error}"))
    })?;
    tx.execute_expecting(
        "runner.last_batch",
        1,
        "INSERT INTO runner.last_batch (only_row, batch_id, report) VALUES (true, $1, $2)
         ON CONFLICT (only_row) DO UPDATE SET
             batch_id = EXCLUDED.batch_id, report = EXCLUDED.report, committed_at = now()",
        &[&batch.id.as_str(), &stored],
    )
    .await?;
    failpoint::BATCH_NAMED.pass().await?;
    tx.commit().await?;
    failpoint::BATCH_COMMITTED.pass().await?;
    Ok(report)
}

/// Writes answers in a savepoint. If the database refuses a value, writes each half separately, until the task with the
/// refused value is found. This task is acknowledged as failed, with a reject. All of it is one transaction.
fn write_halving<'call>(
    tx: &'call mut Transaction<'_>,
    cycle: &'call Cycle,
    answers: &'call [TaskAnswer],
    rules: Rules<'call>,
    named: &'call mut Named,
) -> Pin<Box<dyn Future<Output = Result<BatchReport, StoreError>> + Send + 'call>> {
    Box::pin(async move {
        let savepoint = tx.savepoint().await?;
        match write_answers(&savepoint, cycle, answers, rules).await {
            Ok(report) => {
                savepoint.commit().await?;
                return Ok(report);
            }
            Err(StoreError::BadData(why)) => {
                savepoint.rollback().await?;
                if let [answer] = answers {
                    named.once(cycle, &why);
                    return write_refused(tx, cycle, answer, &why, rules).await;
                }
            }
            Err(other) => return Err(other),
        }
        let (first, second) = answers.split_at(answers.len() / 2);
        let mut report = write_halving(tx, cycle, first, rules, named).await?;
        let rest = write_halving(tx, cycle, second, rules, named).await?;
        for (table, counts) in &rest.tables {
            report.tables.entry(table.clone()).or_default().add(counts);
        }
        report.tasks.extend(rest.tasks);
        report.breaches.extend(rest.breaches);
        Ok(report)
    })
}

/// The failure text of a task whose answer the database refuses. It is equal for all tasks of one constraint.
fn failure(why: &DataRefusal) -> String {
    match &why.constraint {
        Some(constraint) => format!(
            "the constraint {constraint} refuses the answer: {why}; nothing from it was stored, and the task is not requested again while the constraint exists; next: correct or drop the constraint if it was added by hand"
        ),
        None => {
            format!(
                "the database refuses a value of this answer: {why}; nothing from it was stored"
            )
        }
    }
}

/// The constraints that were logged, each with the id of the cycle.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeSet<(i64, String)>);

impl Named {
    /// Logs a constraint once per cycle, however many answers it refuses.
    fn once(&mut self, cycle: &Cycle, why: &DataRefusal) {
        let Some(constraint) = &why.constraint else {
            return;
        };
        if self.0.insert((cycle.id, constraint.clone())) {
            tracing::warn!(
                constraint,
                "a constraint of the database refuses answers: {why}; their tasks end failed, the rest of the batch is stored; next: correct or drop the constraint if it was added by hand"
            );
        }
    }
}

async fn write_refused(
    tx: &mut Transaction<'_>,
    cycle: &Cycle,
    answer: &TaskAnswer,
    why: &DataRefusal,
    rules: Rules<'_>,
) -> Result<BatchReport, StoreError> {
    let failure = failure(why);
    let mut refused = BatchReport::default();
    count_refused(&mut refused, answer);
    let dataset = answer
        .observations
        .first()
        .map_or(schema::Dataset::Listing, |observation| {
            observation.data.dataset()
        });
    let reject = Reject {
        fund_code: answer
            .observations
            .first()
            .map(|observation| observation.fund_code.to_string()),
        dataset,
        field: "*".to_owned(),
        reason: failure.clone(),
        sample: String::new(),
        severity: schema::task::Severity::Rejected,
    };
    let failed = TaskAnswer::empty(answer.id.clone(), Outcome::Failed(failure), answer.attempts);
    tasks::write_rejects(tx, cycle, &[(&answer.id, &reject)]).await?;
    tasks::add_counts(tx, cycle.id, &refused.tables).await?;
    let mut report = write_answers(tx, cycle, &[failed], rules).await?;
    if let Some(constraint) = &why.constraint {
        tasks::note_refusal(tx, &answer.id, constraint).await?;
    }
    for (table, counts) in &refused.tables {
        report.tables.entry(table.clone()).or_default().add(counts);
    }
    Ok(report)
}
