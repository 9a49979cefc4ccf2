//! Reads the problems that `status` reports: failed tasks and their reasons, old pages, and rejected records.

use jiff::Timestamp;

use schema::{SourceName, TaskId};

use super::decode::read_source;
use super::error::StoreError;
use super::reader::Reader;

/// A task of a cycle that has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTask {
    /// The identity of the task.
    pub id: TaskId,
    /// `failed` or `deferred`.
    pub outcome: String,
    /// The reason.
    pub failure: String,
    /// The time at which the source last answered the task.
    pub last_answer_at: Option<Timestamp>,
}

/// The failed tasks of a cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedTasks {
    /// The first of these tasks, sorted by source, page and key.
    pub first: Vec<FailedTask>,
    /// The number of failed tasks.
    pub count: u64,
}

/// The age of one kind of page over all funds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFreshness {
    /// The source.
    pub source: SourceName,
    /// The page.
    pub page: String,
    /// Number of pages that were ever planned.
    pub pages: u64,
    /// Number of pages that were never answered.
    pub never_answered: u64,
    /// The oldest of the last answers of all these pages.
    pub oldest_answer: Option<Timestamp>,
    /// The newest of the last answers of all these pages.
    pub newest_answer: Option<Timestamp>,
}

/// Records that were rejected or noted in a cycle, grouped by source, page, dataset, field and severity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectCount {
    /// The source.
    pub source: SourceName,
    /// The page.
    pub page: String,
    /// The dataset.
    pub dataset: String,
    /// The field, or `*` for whole records.
    pub field: String,
    /// `rejected` or `noted`.
    pub severity: String,
    /// The number of records.
    pub count: u64,
    /// The reason of one of these records, as an example.
    pub reason: String,
    /// The sample of the same record.
    pub sample: String,
}

impl Reader {
    /// Returns the failed and deferred tasks of a cycle: at most `limit` of them, sorted by source, page and key.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn failed_tasks(
        &self,
        cycle_id: i64,
        limit: usize,
    ) -> Result<FailedTasks, StoreError> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT source, page, key, outcome, COALESCE(failure, ''), last_answer_at, count(*) OVER ()
                 FROM runner.task
                 WHERE planned_cycle = $1 AND acked_cycle = $1 AND outcome IN ('failed', 'deferred')
                 ORDER BY source, page, key LIMIT $2",
                &[&cycle_id, &i64::try_from(limit).unwrap_or(i64::MAX)],
            )
            .await?;
        let mut failed = FailedTasks::default();
        for row in &rows {
            failed.count = row.try_get::<_, i64>(6)?.unsigned_abs();
            failed.first.push(FailedTask {
                id: TaskId {
                    source: read_source(row.try_get(0)?)?,
                    page: row.try_get(1)?,
                    key: row.try_get(2)?,
                },
                outcome: row.try_get(3)?,
                failure: row.try_get(4)?,
                last_answer_at: row.try_get(5)?,
            });
        }
        Ok(failed)
    }

    /// Returns the age of each kind of page: pages of active funds, and pages for the whole market. Pages of news are
    /// left out, because their content is used only in the cycle that requested it.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn page_freshness(&self) -> Result<Vec<PageFreshness>, StoreError> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT t.source, t.page, count(*), count(*) FILTER (WHERE t.last_answer_at IS NULL),
                        min(t.last_answer_at), max(t.last_answer_at)
                 FROM runner.task t LEFT JOIN public.funds_master_info m ON m.fund_code = t.key
                 WHERE (t.key = $1 OR m.fund_status = 'active') AND t.page <> $2
                 GROUP BY 1, 2 ORDER BY 1, 2",
                &[&TaskId::WHOLE_MARKET, &TaskId::PIECES],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(PageFreshness {
                    source: read_source(row.try_get(0)?)?,
                    page: row.try_get(1)?,
                    pages: row.try_get::<_, i64>(2)?.unsigned_abs(),
                    never_answered: row.try_get::<_, i64>(3)?.unsigned_abs(),
                    oldest_answer: row.try_get(4)?,
                    newest_answer: row.try_get(5)?,
                })
            })
            .collect()
    }

    /// Returns where records were rejected or noted in the newest cycle that has any: rejected ones before noted ones,
    /// then the most frequent first, at most `limit` groups.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn reject_counts(&self, limit: usize) -> Result<Vec<RejectCount>, StoreError> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT source, page, dataset, field, severity, count(*), min(reason), min(sample)
                 FROM runner.rejected WHERE cycle_id = (SELECT max(cycle_id) FROM runner.rejected)
                 GROUP BY 1, 2, 3, 4, 5 ORDER BY severity DESC, 6 DESC, 1, 2, 3, 4 LIMIT $1",
                &[&i64::try_from(limit).unwrap_or(i64::MAX)],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(RejectCount {
                    source: read_source(row.try_get(0)?)?,
                    page: row.try_get(1)?,
                    dataset: row.try_get(2)?,
                    field: row.try_get(3)?,
                    severity: row.try_get(4)?,
                    count: row.try_get::<_, i64>(5)?.unsigned_abs(),
                    reason: row.try_get(6)?,
                    sample: row.try_get(7)?,
                })
            })
            .collect()
    }
}
