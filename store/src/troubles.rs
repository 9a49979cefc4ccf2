//! What `status` tells of a warehouse's troubles: what failed and why, what has grown old, where records are rejected.

use jiff::Timestamp;

use schema::{SourceName, TaskId};

use super::daily::read_source;
use super::error::StoreError;
use super::reader::Reader;

/// A task of a cycle that got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTask {
    /// Which.
    pub id: TaskId,
    /// `failed` or `deferred`.
    pub outcome: String,
    /// Why.
    pub failure: String,
    /// When its source last answered it.
    pub last_answer_at: Option<Timestamp>,
}

/// The failed tasks of a cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedTasks {
    /// The first of them, by source, page and key.
    pub first: Vec<FailedTask>,
    /// How many there are.
    pub count: u64,
}

/// How fresh one kind of page is over all funds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFreshness {
    /// The source.
    pub source: SourceName,
    /// The page.
    pub page: String,
    /// Pages that were ever planned.
    pub pages: u64,
    /// Those that never had an answer.
    pub never_answered: u64,
    /// The last answer of the page that waits for one the longest.
    pub oldest_answer: Option<Timestamp>,
    /// The newest answer of any.
    pub newest_answer: Option<Timestamp>,
}

/// Records that were rejected or noted in a cycle, by what they have in common.
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
    /// How many.
    pub count: u64,
    /// The reason of one of them.
    pub reason: String,
    /// What one of them looked like.
    pub sample: String,
}

impl Reader {
    /// The tasks of a cycle that failed or were deferred, at most `limit` of them by name.
    ///
    /// # Errors
    /// Outages.
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

    /// How fresh each kind of page is: pages of active funds, and those that speak for the whole market. Pages of news are
    /// left out: what they say counts in its own cycle alone.
    ///
    /// # Errors
    /// Outages.
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

    /// Where records were rejected or noted in the newest cycle that has any, the most frequent first, at most
    /// `limit` groups.
    ///
    /// # Errors
    /// Outages.
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
