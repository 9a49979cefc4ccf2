//! How a run stands: what progress bars and `status` show.

use std::collections::BTreeMap;

use schema::{Outcome, SourceName};
use store::{BatchReport, TableCounts};

/// Tasks of one source in this cycle. A task that is asked again in round 2 is planned and ends again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceProgress {
    /// Handed to the source.
    pub planned: usize,
    /// Read.
    pub done: usize,
    /// The payload was known.
    pub unchanged: usize,
    /// The source does not have it.
    pub absent: usize,
    /// Could not be had or read.
    pub failed: usize,
    /// Left for round 2.
    pub deferred: usize,
}

impl SourceProgress {
    /// Tasks that have an outcome.
    #[must_use]
    pub const fn ended(&self) -> usize {
        self.done + self.unchanged + self.absent + self.failed + self.deferred
    }
}

/// How a run stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The cycle it is of; `None` before the first.
    pub cycle_id: Option<i64>,
    /// Per source.
    pub sources: BTreeMap<SourceName, SourceProgress>,
    /// Per table of the schema `public`, over the batches of this cycle.
    pub tables: BTreeMap<String, TableCounts>,
    /// Actors restarted.
    pub restarts: usize,
    /// What the loader waits for, if it does.
    pub database_wait: Option<String>,
}

impl Snapshot {
    /// Something of `cycle_id` is to be asked: another cycle starts from nothing, the first one with what it took to begin it.
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

    /// `tasks` more were handed to `source`.
    pub fn planned(&mut self, source: SourceName, tasks: usize) {
        self.sources.entry(source).or_default().planned += tasks;
    }

    /// A batch was committed.
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
