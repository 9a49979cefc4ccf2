//! The calls of a cycle to the store, through the loader: plan tasks, read the remaining ones, settle tasks without a
//! request, judge doubts, close.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actors::messages::{PipelineError, TasksPlanned};
use schema::precedence::{REGISTER, UNIVERSE};
use schema::{Outcome, PlannedTask, SourceName, TaskAnswer, failpoint};
use sources::page::Stage;
use store::{ActiveFunds, Batch, BreachReport, Cycle, TaskFilter};

use crate::cycle_plan::{StagePlanner, funds_not_in_market};

use super::{CycleEnd, CycleRunner, Round};

/// The reason of a task that had no outcome when its cycle was closed, as `status` shows it.
const NEVER_ASKED: &str = "it had no outcome when the cycle closed";

/// Logs one line per breach.
fn report_breaches(breaches: &[BreachReport]) {
    for breach in breaches {
        let (source, message) = (breach.source, &breach.message);
        match &breach.accepted_by {
            None => {
                tracing::error!(%source, breach_id = breach.id, "contract breach: {message}");
            }
            Some(by) => tracing::warn!(
                %source, breach_id = breach.id, accepted_by = by,
                "a change of the market is accepted; the next answers are applied: {message}"
            ),
        }
    }
}

impl CycleRunner {
    /// Reports the number of remaining tasks to the supervisor, for the progress display.
    pub(super) async fn announce(
        &self,
        round: &Round,
        source: SourceName,
        filter: &TaskFilter,
    ) -> Result<usize, PipelineError> {
        let (cycle, counted) = (Arc::clone(&round.cycle), filter.clone());
        let tasks = self
            .store
            .call("counting what is left", async move |writer| {
                writer.count_left(&cycle, &counted).await
            })
            .await?;
        let planned = TasksPlanned {
            cycle_id: round.cycle.id,
            source,
            tasks,
        };
        self.supervisor
            .send(planned)
            .await
            .map_err(|_| PipelineError::supervisor_gone())?;
        Ok(tasks)
    }

    /// Plans a stage of one source or of all sources. Returns the number of new tasks. `is_repeated` means that this
    /// round has planned the stage before.
    pub(super) async fn plan(
        &self,
        round: &Round,
        stage: Stage,
        of: Option<SourceName>,
        is_repeated: bool,
    ) -> Result<usize, PipelineError> {
        let (cycle, pages, narrowing) = (
            Arc::clone(&round.cycle),
            self.pages.clone(),
            self.narrowing.clone(),
        );
        let (final_round, history_pages) = (round.is_final, self.history_pages);
        let (planned, left) = self
            .store
            .call("planning", async move |writer| {
                // A fresh planner each time: if the operation is repeated, it starts again with the first fund.
                let mut planner =
                    StagePlanner::new(pages.clone(), narrowing.clone(), stage, of, final_round)
                        .repeated(is_repeated)
                        .with_history_pages(history_pages);
                let planned = writer.plan(&cycle, &mut planner).await?;
                Ok((planned, planner.left()))
            })
            .await?;
        let source = of.map(SourceName::as_str);
        tracing::info!(?stage, source, tasks = planned, "planned");
        if stage == Stage::Histories {
            round.histories_left.set(left as u64);
        } else if left > 0 {
            tracing::info!(
                projects = left,
                "more projects publish late than a cycle requests; these are requested in the next one"
            );
        }
        failpoint::CYCLE_PLANNED.pass().await?;
        Ok(planned)
    }

    pub(super) async fn checkpoint(
        &self,
        cycle: &Arc<Cycle>,
        filter: &TaskFilter,
    ) -> Result<Vec<PlannedTask>, PipelineError> {
        let (cycle, filter) = (Arc::clone(cycle), filter.clone());
        self.store
            .call("reading the checkpoint", async move |writer| {
                writer.checkpoint(&cycle, &filter).await
            })
            .await
    }

    /// Stores an outcome for tasks that are not requested in this round.
    pub(super) async fn settle(
        &self,
        round: &Round,
        tasks: Vec<PlannedTask>,
        why: &str,
    ) -> Result<(), PipelineError> {
        let outcome = if round.is_final {
            Outcome::Failed(why.to_owned())
        } else {
            Outcome::Deferred(why.to_owned())
        };
        let batch = Batch::new(
            tasks
                .into_iter()
                .map(|task| TaskAnswer::empty(task.id, outcome.clone(), task.attempts))
                .collect(),
        );
        let cycle = Arc::clone(&round.cycle);
        self.store
            .call("deferring tasks", async move |writer| {
                writer.commit(&cycle, &batch).await.map(|_| ())
            })
            .await
    }

    /// If the list that decides which funds exist was never read and cannot be read any more in this cycle, enters the
    /// funds of another list into the universe (D8).
    pub(super) async fn enter_provisional_universe(
        &self,
        round: &Round,
    ) -> Result<(), PipelineError> {
        let may_still_be_read = !round.is_final
            && self.pages.contains_key(&UNIVERSE)
            && self.narrowing.allows(UNIVERSE);
        if may_still_be_read || *self.stop.borrow() {
            return Ok(());
        }
        let cycle = Arc::clone(&round.cycle);
        let funds = self
            .store
            .call("entering the provisional universe", async move |writer| {
                writer.enter_provisional_universe(&cycle).await
            })
            .await?;
        if funds > 0 {
            tracing::warn!(
                funds,
                "the list of {UNIVERSE} was never read; until it is, the funds of another list have rows (runner.fund.provisional)"
            );
        }
        Ok(())
    }

    /// Enters the funds that only the official register knows (D8).
    pub(super) async fn enter_registered_funds(&self, round: &Round) -> Result<(), PipelineError> {
        if !self.pages.contains_key(&REGISTER) || *self.stop.borrow() {
            return Ok(());
        }
        let cycle = Arc::clone(&round.cycle);
        let funds = self
            .store
            .call("entering the funds of the register", async move |writer| {
                writer.enter_registered_funds(&cycle).await
            })
            .await?;
        if funds > 0 {
            tracing::info!(funds, "funds that only the register knows have rows now");
        }
        Ok(())
    }

    /// Judges the doubts of the round: applies the changes that are believed and refuses the others (D11). This may
    /// create further tasks in the round.
    pub(super) async fn judge(&self, cycle: &Cycle) -> Result<(), PipelineError> {
        let cycle = cycle.clone();
        let breaches = self
            .store
            .call("judging what changed", async move |writer| {
                writer.judge(&cycle).await
            })
            .await?;
        report_breaches(&breaches);
        Ok(())
    }

    async fn report_new_breaches(&self) -> Result<(), PipelineError> {
        let breaches = self
            .store
            .call("reading what was not believed", async |writer| {
                writer.take_unreported_breaches().await
            })
            .await?;
        report_breaches(&breaches);
        Ok(())
    }

    pub(super) async fn begin_round_two(
        &self,
        cycle: &Cycle,
    ) -> Result<(Cycle, usize), PipelineError> {
        let cycle = cycle.clone();
        let begun = self
            .store
            .call("beginning round 2", async move |writer| {
                let mut cycle = cycle.clone();
                let again = writer.begin_round_two(&mut cycle).await?;
                Ok((cycle, again))
            })
            .await?;
        self.report_new_breaches().await?;
        Ok(begun)
    }

    pub(super) async fn close(
        &self,
        cycle: Cycle,
        quarantined: BTreeMap<SourceName, String>,
        histories_left: u64,
    ) -> Result<CycleEnd, PipelineError> {
        let active = self.active_funds().await?;
        let closing = cycle.clone();
        let totals = self
            .store
            .call("closing the cycle", async move |writer| {
                writer.close_cycle(&closing, NEVER_ASKED).await
            })
            .await?;
        failpoint::CYCLE_CLOSED.pass().await?;
        self.report_new_breaches().await?;
        let histories_left = histories_left + totals.paused_histories;
        if histories_left > 0 {
            tracing::info!(
                projects = histories_left,
                "histories that only the register has are not read to their beginning; the next cycles go on with them"
            );
        }
        Ok(CycleEnd {
            histories_left,
            cycle,
            totals,
            stopped: false,
            quarantined,
            breaches: (self.lost_records)(),
            not_in_market: funds_not_in_market(&active.asked, &self.narrowing),
            no_active_fund: !active.any,
        })
    }

    async fn active_funds(&self) -> Result<ActiveFunds, PipelineError> {
        let asked = self.narrowing.funds.clone().unwrap_or_default();
        self.store
            .call("looking for the requested funds", async move |writer| {
                writer.active_funds(&asked).await
            })
            .await
    }

    pub(super) async fn stopped(&self, cycle: Cycle) -> Result<CycleEnd, PipelineError> {
        let open = cycle.clone();
        let totals = self
            .store
            .call("reading the totals", async move |writer| {
                writer.totals(&open).await
            })
            .await?;
        Ok(CycleEnd {
            cycle,
            totals,
            stopped: true,
            quarantined: BTreeMap::new(),
            breaches: BTreeMap::new(),
            not_in_market: BTreeSet::new(),
            histories_left: 0,
            no_active_fund: false,
        })
    }
}
