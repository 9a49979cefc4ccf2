//! What a batch and a cycle came to, counted so that the books can be checked (O4).

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use schema::{Outcome, SourceName, TaskAnswer, TaskId};

use super::doubts::BreachReport;

/// Answers to commit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its name, the same whenever it is repeated after a lost connection.
    pub id: BatchId,
    /// The answers; at most one for each task.
    pub answers: Vec<TaskAnswer>,
}

impl Batch {
    /// A new batch.
    #[must_use]
    pub fn new(answers: Vec<TaskAnswer>) -> Self {
        Self {
            id: BatchId::fresh(),
            answers,
        }
    }
}

/// The name of a batch, unique over processes: by it a COMMIT whose answer was lost is found again instead of repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchId(String);

impl BatchId {
    /// A name that no other batch has: process, its start, and a counter.
    #[must_use]
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        static PROCESS: LazyLock<String> = LazyLock::new(|| {
            format!(
                "{}-{}",
                std::process::id(),
                jiff::Timestamp::now().as_nanosecond()
            )
        });
        Self(format!(
            "{}-{}",
            *PROCESS,
            NEXT.fetch_add(1, Ordering::Relaxed)
        ))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What became of the records a batch brought for one table. A record is one source's statement about one row
/// (a day, a fund's fees, a portfolio line, a code).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordCounts {
    /// Records that arrived readable.
    pub observed: u64,
    /// They made a row.
    pub inserted: u64,
    /// They changed a row.
    pub updated: u64,
    /// The row said so already.
    pub unchanged: u64,
    /// Something newer or higher-ranked stands, or the fund is outside the universe.
    pub superseded: u64,
    /// They arrived and the store could not take them; with unreadable ones, see [`TableCounts::unreadable`].
    pub rejected: u64,
}

impl RecordCounts {
    /// O4: every record observed is accounted for once.
    #[must_use]
    pub const fn balance(&self) -> bool {
        self.observed
            == self.inserted + self.updated + self.unchanged + self.superseded + self.rejected
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.observed += other.observed;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.superseded += other.superseded;
        self.rejected += other.rejected;
    }
}

/// The counts of one table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCounts {
    /// What became of the readable records.
    pub records: RecordCounts,
    /// Records a parser could not read (severity rejected).
    pub unreadable: u64,
    /// Rows written new.
    pub rows_inserted: u64,
    /// Rows changed.
    pub rows_updated: u64,
}

impl TableCounts {
    /// Adds another batch's counts.
    pub fn add(&mut self, other: &Self) {
        self.records.add(&other.records);
        self.unreadable += other.unreadable;
        self.rows_inserted += other.rows_inserted;
        self.rows_updated += other.rows_updated;
    }
}

/// A task as it was acknowledged. Made by the store alone, read back from it or after its COMMIT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    id: TaskId,
    outcome: Outcome,
}

impl Acknowledged {
    pub(super) const fn new(id: TaskId, outcome: Outcome) -> Self {
        Self { id, outcome }
    }

    /// Which task.
    #[must_use]
    pub const fn id(&self) -> &TaskId {
        &self.id
    }

    /// How it was acknowledged: as answered, or failed where the store found a breach or a value it cannot hold.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// What a committed batch came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchReport {
    /// Counts by table of the schema `public`.
    pub tables: BTreeMap<String, TableCounts>,
    /// The tasks, acknowledged.
    pub tasks: Vec<Acknowledged>,
    /// Breaches the store found (a list that shrank, D7): source and what was expected and found. The source stops
    /// for this round.
    pub breaches: Vec<(SourceName, String)>,
}

/// How the planned tasks of a cycle ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Planned in the cycle.
    pub planned: u64,
    /// Read.
    pub done: u64,
    /// The payload was known.
    pub unchanged: u64,
    /// The source does not have it.
    pub absent: u64,
    /// Could not be had or read.
    pub failed: u64,
    /// Not asked.
    pub deferred: u64,
    /// Not yet acknowledged; 0 once the cycle is closed.
    pub open: u64,
}

impl TaskCounts {
    /// O4: every planned task ended once.
    #[must_use]
    pub const fn balance(&self) -> bool {
        self.planned
            == self.done + self.unchanged + self.absent + self.failed + self.deferred + self.open
    }
}

/// What a cycle came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleTotals {
    /// Tasks by source.
    pub tasks: BTreeMap<SourceName, TaskCounts>,
    /// Records and rows by table, over all batches of the cycle.
    pub tables: BTreeMap<String, TableCounts>,
    /// Failed tasks by source and reason, the most frequent first; bounded.
    pub failures: Vec<(SourceName, String, u64)>,
    /// Codes that became active or inactive when the cycle closed or within it.
    pub status_changes: u64,
    /// Changes of the whole market that were not believed (D11).
    pub breaches: Vec<BreachReport>,
    /// What became of funds in the cycle, and where sources contradict each other: only kinds that occurred.
    pub changes: BTreeMap<MarketChange, Counted>,
}

/// What can become of a fund in a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarketChange {
    /// A list called it active for the first time.
    New,
    /// It was inactive before.
    Active,
    /// It was active before.
    Inactive,
    /// Its key stands in the list under another code.
    Renamed,
    /// A source reports another value than the one that stands, since this cycle.
    Contradiction,
}

impl MarketChange {
    /// Every kind, in the order of the summary.
    pub const ALL: [Self; 5] = [
        Self::New,
        Self::Active,
        Self::Inactive,
        Self::Renamed,
        Self::Contradiction,
    ];

    /// The words in the summary and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new funds",
            Self::Active => "became active",
            Self::Inactive => "became inactive",
            Self::Renamed => "renamed",
            Self::Contradiction => "contradictions between sources",
        }
    }
}

/// How often something occurred, with the first examples.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// All of them.
    pub count: u64,
    /// At most [`Counted::EXAMPLES`] of them, in order.
    pub examples: Vec<String>,
}

impl Counted {
    /// Most examples.
    pub const EXAMPLES: usize = 10;
}

impl CycleTotals {
    /// O4: the books balance; else what does not.
    ///
    /// # Errors
    /// A sentence that names the source or table and its counts.
    pub fn check_books(&self) -> Result<(), String> {
        for (source, tasks) in &self.tasks {
            if !tasks.balance() {
                return Err(format!(
                    "the tasks of {source} do not balance: {tasks:?}; please report this, the rows themselves are safe"
                ));
            }
        }
        for (table, counts) in &self.tables {
            if !counts.records.balance() {
                return Err(format!(
                    "the records of {table} do not balance: {:?}; please report this, the rows themselves are safe",
                    counts.records
                ));
            }
        }
        Ok(())
    }

    /// Whether every planned task was answered: done, unchanged or absent.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.tasks
            .values()
            .all(|tasks| tasks.failed == 0 && tasks.deferred == 0 && tasks.open == 0)
    }
}
