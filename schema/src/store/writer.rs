//! The one writer: one connection that holds the advisory lock and runs every transaction (A8).

use std::time::Duration;

use crate::{PlannedTask, SourceName};

use super::cycles::{Cycle, CycleRequest, ScheduleFacts};
use super::error::StoreError;
use super::planning::{NewTask, PlanningState};
use super::report::{Batch, BatchReport, CycleTotals};

/// The one connection that writes.
#[derive(Debug)]
pub struct Writer;

impl Writer {
    /// Connects (URL or `key=value` string, unix sockets included), sets the session up, takes the advisory lock
    /// within `lock_patience` (O2), refuses a newer schema (O7), adopts an old `funds_db`, migrates.
    ///
    /// # Errors
    /// Outages, and what waiting cannot mend: see [`StoreError::is_outage`].
    pub async fn open(_database: &str, _lock_patience: Duration) -> Result<Self, StoreError> {
        todo!()
    }

    /// Begins or resumes a cycle.
    ///
    /// # Errors
    /// Outages.
    pub async fn begin_cycle(&mut self, _request: &CycleRequest) -> Result<Cycle, StoreError> {
        todo!()
    }

    /// What a planner would be told now.
    ///
    /// # Errors
    /// Outages.
    pub async fn planning_state(&mut self, _cycle: &Cycle) -> Result<PlanningState, StoreError> {
        todo!()
    }

    /// Plans in one transaction: reads the state, calls `planner`, inserts those of its tasks that are not yet planned
    /// in this cycle. Returns how many were new.
    ///
    /// # Errors
    /// Outages.
    pub async fn plan(
        &mut self,
        _cycle: &Cycle,
        _planner: &(dyn Fn(&PlanningState) -> Vec<NewTask> + Send + Sync),
    ) -> Result<usize, StoreError> {
        todo!()
    }

    /// What is left: tasks planned in the cycle and not acknowledged in it.
    ///
    /// # Errors
    /// Outages.
    pub async fn checkpoint(&mut self, _cycle: &Cycle) -> Result<Vec<PlannedTask>, StoreError> {
        todo!()
    }

    /// Commits a batch in one transaction (D1). A batch that is found to be committed already is not repeated: its
    /// report is returned.
    ///
    /// # Errors
    /// Outages: open a new writer and repeat with the same batch.
    pub async fn commit(
        &mut self,
        _cycle: &Cycle,
        _batch: &Batch,
    ) -> Result<BatchReport, StoreError> {
        todo!()
    }

    /// Round 2: the cycle's failed and deferred tasks are unacknowledged again, with attempts 0. Returns how many.
    ///
    /// # Errors
    /// Outages.
    pub async fn begin_round_two(&mut self, _cycle: &mut Cycle) -> Result<usize, StoreError> {
        todo!()
    }

    /// Closes the cycle: what is left unacknowledged or deferred ends failed for `reason`; fund status by absence
    /// (D8), stale fields (D4), retention (O6).
    ///
    /// # Errors
    /// Outages.
    pub async fn close_cycle(
        &mut self,
        _cycle: &Cycle,
        _reason: &str,
    ) -> Result<CycleTotals, StoreError> {
        todo!()
    }

    /// The totals of a cycle so far: for a run that was stopped.
    ///
    /// # Errors
    /// Outages.
    pub async fn totals(&mut self, _cycle: &Cycle) -> Result<CycleTotals, StoreError> {
        todo!()
    }

    /// What the schedule decides by.
    ///
    /// # Errors
    /// Outages.
    pub async fn schedule_facts(&mut self) -> Result<ScheduleFacts, StoreError> {
        todo!()
    }

    /// Derives the small tables anew from the observations. Returns how many rows changed.
    ///
    /// # Errors
    /// Outages.
    pub async fn remerge(&mut self) -> Result<u64, StoreError> {
        todo!()
    }

    /// Forgets what is known of a source's pages (hashes, yard-sticks), so that the next cycle reads everything anew.
    /// No row is deleted. Returns how many tasks.
    ///
    /// # Errors
    /// Outages.
    pub async fn reset_source(&mut self, _source: SourceName) -> Result<u64, StoreError> {
        todo!()
    }

    /// Writes the sign of life that `status` and a second runner read; fails when connection or lock is gone.
    ///
    /// # Errors
    /// Outages.
    pub async fn heartbeat(&mut self, _doing: &str) -> Result<(), StoreError> {
        todo!()
    }
}
