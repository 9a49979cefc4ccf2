//! One cycle from its beginning to its summary: stages within rounds, each planned, run in waves, and acknowledged.
//!
//! ```text
//! begin -> round 1: lists -> news -> funds -> factsheets -> (retry_at) -> round 2: the same, for what failed -> close
//! ```
//! Both rounds are the same loop: planning adds what is missing, the checkpoint says what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use actix::Addr;
use actors::loader_actor::{OnWriter, WriterOp};
use actors::messages::ReadCheckpoint;
use actors::run_mode::{RunMode, Wave, waves};
use actors::supervisor::{GetLoader, RunWave, SourceEnd, SpineFailed, Supervisor};
use schema::store::{Batch, Cycle, CycleRequest, CycleTotals, PlanningState};
use schema::{FundCode, Outcome, PlannedTask, SourceName, TaskAnswer, failpoint};
use sources::page::{PageSpec, Stage};
use tokio::sync::watch;

use crate::cycle_plan::{Narrowing, SitePages, funds_not_in_market, may_be_due, plan_stage};

/// Why a closed cycle's task that never got an outcome has failed: what `status` shows for it.
const NEVER_ASKED: &str = "it had no outcome when the cycle closed";

/// What a cycle runs with.
#[derive(Clone)]
pub struct CycleRunner {
    /// Runs the waves.
    pub supervisor: Addr<Supervisor>,
    /// The pages of the enabled sources.
    pub pages: SitePages,
    /// The order of the waves.
    pub mode: RunMode,
    /// What the run is narrowed to.
    pub narrowing: Narrowing,
    /// Becomes true when the program is to stop.
    pub stop: watch::Receiver<bool>,
    /// Tells which sources lost so many records in this cycle that they are in breach of their contract.
    pub lost_records: Arc<dyn Fn() -> BTreeMap<SourceName, String> + Send + Sync>,
    /// Called at the beginning of each round: hosts that were given up may be asked again.
    pub on_round: Arc<dyn Fn(i16) + Send + Sync>,
}

/// How a cycle ended.
#[derive(Debug, Clone)]
pub struct CycleEnd {
    /// The cycle.
    pub cycle: Cycle,
    /// What it came to; when it was stopped or failed, what had been acknowledged until then.
    pub totals: CycleTotals,
    /// Whether it was stopped before its end; it is then open, and the next start goes on with it.
    pub stopped: bool,
    /// Sources that were quarantined in the last round, with the reason.
    pub quarantined: BTreeMap<SourceName, String>,
    /// Sources that lost so many records that they were in breach of their contract, with the reason (D6).
    pub breaches: BTreeMap<SourceName, String>,
    /// No fund is known to be active: nothing could be asked, and that is no success (D7).
    pub no_active_fund: bool,
    /// Codes of `--funds` that are no active fund.
    pub not_in_market: BTreeSet<FundCode>,
}

/// How a round ended.
enum RoundEnd {
    /// Every task has an outcome.
    Ended(BTreeMap<SourceName, String>),
    /// The program is to stop.
    Stopped,
}

impl CycleRunner {
    /// Runs a cycle. `until_round_two` is awaited between the rounds, if there is anything for a second one.
    ///
    /// # Errors
    /// Merge or loader is over its restart budget, or the database refused: the cycle stays open with all it had acknowledged.
    pub async fn run(
        &self,
        request: CycleRequest,
        until_round_two: impl Future<Output = ()>,
    ) -> Result<CycleEnd, SpineFailed> {
        let mut cycle = self
            .on_writer("beginning the cycle", move |writer| {
                Box::pin(async move { writer.begin_cycle(&request).await })
            })
            .await?;
        tracing::info!(
            cycle_id = cycle.id, cycle_date = %cycle.cycle_date, kind = %cycle.kind, scope = cycle.scope.as_str(),
            round = cycle.round, resumed = cycle.resumed, mode = %self.mode, "cycle begins"
        );
        failpoint::CYCLE_BEGAN.pass().await?;
        let mut quarantined = BTreeMap::new();
        if cycle.round < 2 {
            match self.run_round(&cycle, false).await? {
                RoundEnd::Stopped => return self.stopped(cycle).await,
                RoundEnd::Ended(_) => {}
            }
            let (next, again) = self.begin_round_two(&cycle).await?;
            failpoint::CYCLE_ROUND_TWO.pass().await?;
            if again == 0 {
                return self.close(cycle, quarantined).await;
            }
            tracing::info!(
                tasks = again,
                "round 2 asks for what failed or was deferred"
            );
            cycle = next;
        }
        // Awaited by a cycle that was resumed in round 2 as well: its first process may have ended while it waited.
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return self.stopped(cycle).await,
            () = until_round_two => {}
        }
        match self.run_round(&cycle, true).await? {
            RoundEnd::Stopped => return self.stopped(cycle).await,
            RoundEnd::Ended(sources) => quarantined.extend(sources),
        }
        self.close(cycle, quarantined).await
    }

    async fn run_round(&self, cycle: &Cycle, last_round: bool) -> Result<RoundEnd, SpineFailed> {
        (self.on_round)(cycle.round);
        let cycle = Arc::new(cycle.clone());
        let mut quarantined: BTreeMap<SourceName, String> = BTreeMap::new();
        let may_be_due = |stage: &Stage| may_be_due(&self.pages, *stage, cycle.kind);
        let mut stages = Stage::ALL.into_iter().filter(may_be_due);
        let mut upcoming = stages.next();
        let mut is_repeated = false;
        while let Some(stage) = upcoming {
            let planned = self.plan(&cycle, stage, last_round).await?;
            failpoint::CYCLE_PLANNED.pass().await?;
            let left = self.checkpoint(&cycle).await?;
            let due: Vec<PlannedTask> = left
                .into_iter()
                .filter(|task| self.spec(task).is_some_and(|spec| spec.stage == stage))
                .collect();
            // Only the answer of one page of news tells that there is a next one: planned again until nothing is added.
            is_repeated = stage == Stage::News && !due.is_empty() && (planned > 0 || !is_repeated);
            if !is_repeated {
                upcoming = stages.next();
            }
            for mut wave in waves(self.mode, due, |task| {
                self.spec(task).is_some_and(|spec| spec.critical)
            }) {
                for (source, why) in &quarantined {
                    if let Some(tasks) = wave.tasks.remove(source) {
                        self.settle(&cycle, tasks, why, last_round).await?;
                    }
                }
                let all: Wave = wave.clone();
                failpoint::CYCLE_WAVE_BEGINS.pass().await?;
                let end = self
                    .supervisor
                    .send(RunWave {
                        cycle: Arc::clone(&cycle),
                        wave,
                        final_round: last_round,
                    })
                    .await
                    .map_err(|_| supervisor_gone())??;
                failpoint::CYCLE_WAVE_ENDED.pass().await?;
                if *self.stop.borrow() {
                    return Ok(RoundEnd::Stopped);
                }
                for (source, end) in end.sources {
                    let SourceEnd::Quarantined(why) = end else {
                        continue;
                    };
                    let unasked = self.unacknowledged_of(&cycle, &all, source).await?;
                    self.settle(&cycle, unasked, &why, last_round).await?;
                    quarantined.insert(source, why);
                }
            }
        }
        Ok(RoundEnd::Ended(quarantined))
    }

    fn spec(&self, task: &PlannedTask) -> Option<&'static PageSpec> {
        let specs: &'static [PageSpec] = self.pages.get(&task.id.source)?;
        specs.iter().find(|spec| spec.name == task.id.page)
    }

    async fn plan(
        &self,
        cycle: &Arc<Cycle>,
        stage: Stage,
        last_round: bool,
    ) -> Result<usize, SpineFailed> {
        let (cycle, pages, narrowing) = (
            Arc::clone(cycle),
            self.pages.clone(),
            self.narrowing.clone(),
        );
        let planned = self
            .on_writer("planning", move |writer| {
                let (cycle, pages, narrowing) =
                    (Arc::clone(&cycle), pages.clone(), narrowing.clone());
                Box::pin(async move {
                    writer
                        .plan(&cycle, &move |state| {
                            plan_stage(state, &pages, &narrowing, stage, last_round)
                        })
                        .await
                })
            })
            .await?;
        tracing::info!(?stage, tasks = planned, "planned");
        Ok(planned)
    }

    async fn checkpoint(&self, cycle: &Arc<Cycle>) -> Result<Vec<PlannedTask>, SpineFailed> {
        loop {
            let loader = self
                .supervisor
                .send(GetLoader)
                .await
                .map_err(|_| supervisor_gone())??;
            let cycle = Arc::clone(cycle);
            match loader.send(ReadCheckpoint { cycle }).await {
                Ok(Ok(left)) => return Ok(left),
                Ok(Err(error)) if *self.stop.borrow() => {
                    return Err(SpineFailed(error.to_string()));
                }
                Ok(Err(_)) | Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    async fn unacknowledged_of(
        &self,
        cycle: &Arc<Cycle>,
        wave: &Wave,
        source: SourceName,
    ) -> Result<Vec<PlannedTask>, SpineFailed> {
        let asked = wave.tasks.get(&source);
        let left = self.checkpoint(cycle).await?;
        Ok(left
            .into_iter()
            .filter(|task| asked.is_some_and(|asked| asked.iter().any(|one| one.id == task.id)))
            .collect())
    }

    /// Gives tasks that are not asked in this round their outcome.
    async fn settle(
        &self,
        cycle: &Arc<Cycle>,
        tasks: Vec<PlannedTask>,
        why: &str,
        last_round: bool,
    ) -> Result<(), SpineFailed> {
        if tasks.is_empty() {
            return Ok(());
        }
        let outcome = if last_round {
            Outcome::Failed(why.to_owned())
        } else {
            Outcome::Deferred(why.to_owned())
        };
        let batch = Arc::new(Batch::new(
            tasks
                .into_iter()
                .map(|task| TaskAnswer::empty(task.id, outcome.clone(), task.attempts))
                .collect(),
        ));
        let cycle = Arc::clone(cycle);
        self.on_writer("deferring tasks", move |writer| {
            let (cycle, batch) = (Arc::clone(&cycle), Arc::clone(&batch));
            Box::pin(async move { writer.commit(&cycle, &batch).await.map(|_| ()) })
        })
        .await
    }

    async fn begin_round_two(&self, cycle: &Cycle) -> Result<(Cycle, usize), SpineFailed> {
        let cycle = cycle.clone();
        self.on_writer("beginning round 2", move |writer| {
            let mut cycle = cycle.clone();
            Box::pin(async move {
                let again = writer.begin_round_two(&mut cycle).await?;
                Ok((cycle, again))
            })
        })
        .await
    }

    async fn close(
        &self,
        cycle: Cycle,
        quarantined: BTreeMap<SourceName, String>,
    ) -> Result<CycleEnd, SpineFailed> {
        let known = self.known_funds(&cycle).await?;
        let closing = cycle.clone();
        let totals = self
            .on_writer("closing the cycle", move |writer| {
                let cycle = closing.clone();
                Box::pin(async move { writer.close_cycle(&cycle, NEVER_ASKED).await })
            })
            .await?;
        failpoint::CYCLE_CLOSED.pass().await?;
        Ok(CycleEnd {
            cycle,
            totals,
            stopped: false,
            quarantined,
            breaches: (self.lost_records)(),
            not_in_market: funds_not_in_market(&known, &self.narrowing),
            no_active_fund: !known.funds.iter().any(|fund| fund.active),
        })
    }

    async fn known_funds(&self, cycle: &Cycle) -> Result<PlanningState, SpineFailed> {
        let cycle = cycle.clone();
        self.on_writer("looking for the funds asked for", move |writer| {
            let cycle = cycle.clone();
            Box::pin(async move { writer.planning_state(&cycle).await })
        })
        .await
    }

    async fn stopped(&self, cycle: Cycle) -> Result<CycleEnd, SpineFailed> {
        let open = cycle.clone();
        let totals = self
            .on_writer("reading the totals", move |writer| {
                let cycle = open.clone();
                Box::pin(async move { writer.totals(&cycle).await })
            })
            .await?;
        Ok(CycleEnd {
            cycle,
            totals,
            stopped: true,
            quarantined: BTreeMap::new(),
            breaches: BTreeMap::new(),
            not_in_market: BTreeSet::new(),
            no_active_fund: false,
        })
    }

    /// Bookkeeping on the one connection. A loader that dies under it is replaced by the supervisor, and the work is done again.
    ///
    /// # Errors
    /// The loader is over its restart budget.
    pub async fn on_writer<T: Send + 'static>(
        &self,
        what: &'static str,
        op: impl for<'w> Fn(
            &'w mut schema::store::Writer,
        ) -> futures_util::future::LocalBoxFuture<
            'w,
            Result<T, schema::store::StoreError>,
        > + Send
        + Sync
        + 'static,
    ) -> Result<T, SpineFailed> {
        let op = Arc::new(op);
        loop {
            let loader = self
                .supervisor
                .send(GetLoader)
                .await
                .map_err(|_| supervisor_gone())??;
            let again = Arc::clone(&op);
            let once: Box<WriterOp<T>> = Box::new(move |writer| again(writer));
            match loader.send(OnWriter { what, op: once }).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if *self.stop.borrow() => {
                    return Err(SpineFailed(error.to_string()));
                }
                // The loader has ended with this error; the supervisor judges it, and says so through `GetLoader`.
                Ok(Err(_)) | Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

fn supervisor_gone() -> SpineFailed {
    SpineFailed(
        "the supervisor is gone; please report this, what was acknowledged is safe".to_owned(),
    )
}
