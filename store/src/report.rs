//! A batch, and the results of a batch and of a cycle. Every task and record is counted once, which
//! [`CycleTotals::check_books`] verifies (O4).

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use schema::cycle::{CycleKind, Scope};
use schema::precedence::table_of;
use schema::{ObservationData, Outcome, SourceName, TaskAnswer, TaskId};

/// Answers that are committed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The id, which stays the same when the batch is repeated after a lost connection.
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

/// The id of a batch, unique across processes. With it, a COMMIT whose answer was lost is found instead of repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchId(String);

impl BatchId {
    /// Makes a unique id from the process, its start and a counter.
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

/// What happened to the records of a batch for one table. A record is the statement of one source about one row: a day,
/// a fund's fees, a portfolio row, a code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordCounts {
    /// Records that the parser could read.
    pub observed: u64,
    /// Records that inserted a row.
    pub inserted: u64,
    /// Records that changed a row.
    pub updated: u64,
    /// Records that equal the stored row.
    pub unchanged: u64,
    /// Records whose values are not in the table, because a newer or higher-ranked value is, or because the fund is
    /// outside the universe.
    pub superseded: u64,
    /// Readable records that the store did not accept. Unreadable records are in [`TableCounts::unreadable`].
    pub rejected: u64,
}

impl RecordCounts {
    /// Whether every observed record is counted exactly once (O4).
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
    /// Counts of the readable records.
    pub records: RecordCounts,
    /// Records that a parser could not read (severity rejected).
    pub unreadable: u64,
    /// Rows inserted.
    pub rows_inserted: u64,
    /// Rows updated.
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

/// An acknowledged task. Only the store creates it, after its COMMIT or from the stored report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    id: TaskId,
    outcome: Outcome,
}

impl Acknowledged {
    pub(super) const fn new(id: TaskId, outcome: Outcome) -> Self {
        Self { id, outcome }
    }

    /// The task.
    #[must_use]
    pub const fn id(&self) -> &TaskId {
        &self.id
    }

    /// The acknowledged outcome: that of the answer, or failed if the store found a breach or a value that it cannot
    /// store.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// The result of a committed batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchReport {
    /// Counts by table of the schema `public`.
    pub tables: BTreeMap<String, TableCounts>,
    /// The acknowledged tasks.
    pub tasks: Vec<Acknowledged>,
    /// Breaches that the store found, such as a list that shrank (D7): the source, and what was expected and found. The
    /// source stops for this round.
    pub breaches: Vec<(SourceName, String)>,
}

/// How the planned tasks of a cycle ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Tasks planned in the cycle.
    pub planned: u64,
    /// The page was parsed.
    pub done: u64,
    /// The payload equals the known one.
    pub unchanged: u64,
    /// The source does not have the page.
    pub absent: u64,
    /// The page could not be fetched or parsed.
    pub failed: u64,
    /// The page was not requested.
    pub deferred: u64,
    /// Not yet acknowledged; 0 once the cycle is closed.
    pub open: u64,
}

impl TaskCounts {
    /// Whether every planned task ended exactly once (O4).
    #[must_use]
    pub const fn balance(&self) -> bool {
        self.planned
            == self.done + self.unchanged + self.absent + self.failed + self.deferred + self.open
    }
}

/// The result of a cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleTotals {
    /// Tasks by source.
    pub tasks: BTreeMap<SourceName, TaskCounts>,
    /// Records and rows by table, over all batches of the cycle.
    pub tables: BTreeMap<String, TableCounts>,
    /// Failed tasks by source and reason, the most frequent first; limited in number.
    pub failures: Vec<(SourceName, String, u64)>,
    /// Number of codes that became active or inactive in the cycle or at its close.
    pub status_changes: u64,
    /// Mass changes that were not believed (D11).
    pub breaches: Vec<BreachReport>,
    /// What happened to funds in the cycle, and contradictions between sources. Contains only kinds that occurred.
    pub changes: BTreeMap<MarketChange, Counted>,
    /// Number of histories of projects that were read in part, and that later cycles go on with.
    pub paused_histories: u64,
}

/// What can happen to a fund in a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarketChange {
    /// A list called the fund active for the first time.
    New,
    /// The fund was inactive before and is active now.
    Active,
    /// The fund was active before and is inactive now.
    Inactive,
    /// The list has the fund's key under another code.
    Renamed,
    /// Since this cycle, a source reports a value that differs from the stored one.
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

    /// The text in the summary and in the log.
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
    /// The number of occurrences.
    pub count: u64,
    /// The first occurrences, at most [`Counted::EXAMPLES`].
    pub examples: Vec<String>,
}

impl Counted {
    /// The largest number of examples.
    pub const EXAMPLES: usize = 10;
}

impl CycleTotals {
    /// Checks that every task and record is counted exactly once (O4).
    ///
    /// # Errors
    /// A sentence with the source or table whose counts do not add up, and these counts.
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

/// Tasks of a cycle that were answered within the last minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskPace {
    /// The number of tasks.
    pub answered: u64,
    /// The period in seconds: the window, or less if the cycle began later.
    pub secs: u64,
}

/// A cycle in `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleStatus {
    /// The id of the cycle.
    pub id: i64,
    /// The cycle date.
    pub cycle_date: Date,
    /// Which pages the cycle requests.
    pub kind: CycleKind,
    /// Whether the cycle covers the whole market.
    pub scope: Scope,
    /// `open`, `closed` or `abandoned`.
    pub state: String,
    /// When the cycle began.
    pub started_at: Timestamp,
    /// When the cycle was closed.
    pub closed_at: Option<Timestamp>,
    /// Number of tasks when the cycle was closed; `None` before that, and after retention deleted the number.
    pub planned: Option<u64>,
    /// Number of these tasks that failed.
    pub failed: Option<u64>,
}

/// A breach as a log line and `status` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreachReport {
    /// `runner.breach.breach_id`, the argument of `accept`.
    pub id: i64,
    /// The source.
    pub source: SourceName,
    /// One sentence: the share, the usual share, examples, and what to do.
    pub message: String,
    /// How the change was accepted (the operator, a repetition or a second source); `None` if it is not believed.
    pub accepted_by: Option<String>,
}

/// Counts all records of an answer as rejected, because none of them is applied.
pub(super) fn count_refused(report: &mut BatchReport, answer: &TaskAnswer) {
    for observation in &answer.observations {
        if let Some(table) = table_of(observation.source, observation.data.dataset()) {
            let counts = report.tables.entry(table.to_owned()).or_default();
            counts.records.observed += records_of(&observation.data);
            counts.records.rejected += records_of(&observation.data);
        }
    }
}

/// The number of records in a statement: days with a value, portfolio rows, codes, otherwise one.
pub(super) fn records_of(said: &ObservationData) -> u64 {
    match said {
        ObservationData::Daily(points) => points
            .iter()
            .filter(|point| [point.nav, point.bid, point.offer, point.aum] != [None; 4])
            .count() as u64,
        said => said.rows() as u64,
    }
}
