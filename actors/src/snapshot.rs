//! The progress of a run, as the progress display shows it.

use std::collections::BTreeMap;

use schema::{Outcome, SourceName};
use store::{BatchReport, TableCounts};

/// Task counts of one source in this cycle. A task that is requested again in round 2 is counted twice, both as planned
/// and as ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceProgress {
    /// Tasks handed to the source.
    pub planned: usize,
    /// Outcome done.
    pub done: usize,
    /// Outcome unchanged: the payload hash was known.
    pub unchanged: usize,
    /// Outcome absent: the source does not have the page.
    pub absent: usize,
    /// Outcome failed: the payload could not be fetched or parsed.
    pub failed: usize,
    /// Outcome deferred to round 2.
    pub deferred: usize,
}

impl SourceProgress {
    /// Tasks that have an outcome.
    #[must_use]
    pub const fn ended(&self) -> usize {
        self.done + self.unchanged + self.absent + self.failed + self.deferred
    }
}

/// The progress of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The cycle that the counts are about; `None` before the first cycle.
    pub cycle_id: Option<i64>,
    /// The task counts by source.
    pub sources: BTreeMap<SourceName, SourceProgress>,
    /// Row counts per table of the schema `public`, summed over the batches of this cycle.
    pub tables: BTreeMap<String, TableCounts>,
    /// Number of actor restarts.
    pub restarts: usize,
    /// What the loader waits for; `None` if it does not wait.
    pub database_wait: Option<String>,
}

impl Snapshot {
    /// Starts counting for `cycle_id`. A new cycle resets all counts; the first cycle keeps the number of restarts from
    /// before its start.
    pub fn begin(&mut self, cycle_id: i64) {
        if self.cycle_id != Some(cycle_id) {
            *self = Self {
                restarts: if self.cycle_id.is_none() {
                    self.restarts
                } else {
                    0
                },
                cycle_id: Some(cycle_id),
                ..Self::default()
            };
        }
    }

    /// Counts `tasks` more tasks handed to `source`.
    pub fn planned(&mut self, source: SourceName, tasks: usize) {
        self.sources.entry(source).or_default().planned += tasks;
    }

    /// Adds the counts of a committed batch.
    pub fn settled(&mut self, report: &BatchReport) {
        for task in &report.tasks {
            let progress = self.sources.entry(task.id().source).or_default();
            match task.outcome() {
                Outcome::Done => progress.done += 1,
                Outcome::Unchanged => progress.unchanged += 1,
                Outcome::Absent => progress.absent += 1,
                Outcome::Failed(_) => progress.failed += 1,
                Outcome::Deferred(_) => progress.deferred += 1,
            }
        }
        for (table, counts) in &report.tables {
            self.tables.entry(table.clone()).or_default().add(counts);
        }
    }
}
