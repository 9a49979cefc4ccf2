//! One cycle from its beginning to its summary: in each round the lists, then every source's own course through its pages,
//! side by side, then the factsheets that are left.
//!
//! ```text
//!                       ┌─> finnomena's course ────┐
//! begin -> round 1: lists ─> wealthmagik's course ──> factsheets left -> (retry_at) -> round 2: the same, for what failed -> close
//!                       └─> sec_fundcheck's course ┘
//! ```
//! Both rounds are the same loop: planning adds what is missing, the checkpoint says what is left.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use actix::Addr;
use actors::loader_actor::{OnWriter, WriterOp};
use actors::messages::ReadCheckpoint;
use actors::run_mode::RunMode;
use actors::supervisor::{AskSource, GetLoader, SourceEnd, SpineFailed, Supervisor, TasksPlanned};
use futures_util::future::try_join_all;
use schema::store::{ActiveFunds, Batch, Cycle, CycleRequest, CycleTotals, Portion};
use schema::{FundCode, Outcome, PlannedTask, SourceName, TaskAnswer, failpoint};
use sources::page::{PageSpec, Stage};
use tokio::sync::watch;

use crate::course::steps;
use crate::cycle_plan::{Narrowing, SitePages, StagePlanner, funds_not_in_market};

/// Why a closed cycle's task that never got an outcome has failed: what `status` shows for it.
const NEVER_ASKED: &str = "it had no outcome when the cycle closed";

/// Most tasks that are handed to a source at once: bounds what is held in memory, whatever the size of the market (A5).
const TASKS_AT_ONCE: u32 = 2_000;

/// What a cycle runs with.
#[derive(Clone)]
pub struct CycleRunner {
    /// Asks the sources.
    pub supervisor: Addr<Supervisor>,
    /// The pages of the enabled sources.
    pub pages: SitePages,
    /// The order of the pages.
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

/// One of the two rounds of a cycle.
struct Round {
    cycle: Arc<Cycle>,
    /// What cannot be asked in it has failed.
    is_last: bool,
    /// Sources that are asked no more, with the reason.
    quarantined: RefCell<BTreeMap<SourceName, String>>,
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
        let round = Round {
            cycle: Arc::new(cycle.clone()),
            is_last: last_round,
            quarantined: RefCell::default(),
        };
        // The lists say which funds there are: everybody waits for them.
        self.ask_stage(&round, Stage::Lists).await?;
        self.each_source(|source| self.run_course(&round, source))
            .await?;
        // Those that the courses could not plan yet: they depend on what another source says.
        self.ask_stage(&round, Stage::Factsheets).await?;
        Ok(if *self.stop.borrow() {
            RoundEnd::Stopped
        } else {
            RoundEnd::Ended(round.quarantined.into_inner())
        })
    }

    /// Works on every source: one after the other in Sequential, else side by side.
    async fn each_source<W: Future<Output = Result<(), SpineFailed>>>(
        &self,
        work: impl Fn(SourceName) -> W,
    ) -> Result<(), SpineFailed> {
        let works = self.pages.keys().map(|source| work(*source));
        if self.mode == RunMode::Sequential {
            for work in works {
                work.await?;
            }
            return Ok(());
        }
        try_join_all(works).await.map(|_| ())
    }

    /// Plans a stage for all sources, and asks its pages.
    async fn ask_stage(&self, round: &Round, stage: Stage) -> Result<(), SpineFailed> {
        if *self.stop.borrow() {
            return Ok(());
        }
        self.plan(round, stage, None).await?;
        self.each_source(|source| {
            let pages = self.pages.get(&source).into_iter().copied().flatten();
            let pages = pages.filter(|page| page.stage == stage);
            let pages = pages.map(|page| page.name).collect();
            async move { self.ask(round, source, pages).await.map(|_| ()) }
        })
        .await
    }

    /// A source's own way through its pages.
    async fn run_course(&self, round: &Round, source: SourceName) -> Result<(), SpineFailed> {
        let pages: &'static [PageSpec] = self.pages.get(&source).copied().unwrap_or_default();
        for step in steps(self.mode, pages, round.cycle.kind) {
            let mut is_repeated = false;
            while !*self.stop.borrow() {
                let mut planned = 0;
                for stage in &step.plans {
                    planned += self.plan(round, *stage, Some(source)).await?;
                }
                let asked = self.ask(round, source, step.pages.clone()).await?;
                // What a process before this one had planned may lead on as well.
                if !step.leads_on || asked == 0 || (planned == 0 && is_repeated) {
                    break;
                }
                is_repeated = true;
            }
        }
        Ok(())
    }

    /// Asks these pages of a source for all that is left of them, so many at once. Nothing more is asked of a source that
    /// is quarantined: its tasks get their outcome at once. Returns how many tasks there were.
    async fn ask(
        &self,
        round: &Round,
        source: SourceName,
        pages: Vec<&'static str>,
    ) -> Result<usize, SpineFailed> {
        if pages.is_empty() {
            return Ok(0);
        }
        let portion = Portion {
            source: Some(source),
            pages: Some(pages.into_iter().map(str::to_owned).collect()),
            at_most: Some(TASKS_AT_ONCE),
        };
        let asked = self.announce(round, source, &portion).await?;
        while !*self.stop.borrow() {
            let left = self.checkpoint(&round.cycle, &portion).await?;
            if left.is_empty() {
                break;
            }
            let quarantined = round.quarantined.borrow().get(&source).cloned();
            if let Some(why) = quarantined {
                self.settle(round, left, &why).await?;
                continue;
            }
            failpoint::CYCLE_ASKING.pass().await?;
            let asking = AskSource {
                cycle: Arc::clone(&round.cycle),
                source,
                tasks: left,
                portion: portion.clone(),
                final_round: round.is_last,
            };
            let end = self
                .supervisor
                .send(asking)
                .await
                .map_err(|_| supervisor_gone())??;
            failpoint::CYCLE_ASKED.pass().await?;
            if let SourceEnd::Quarantined(why) = end {
                round.quarantined.borrow_mut().insert(source, why);
            }
        }
        Ok(asked)
    }

    /// Tells the supervisor how many tasks there are to do: progress is measured by it.
    async fn announce(
        &self,
        round: &Round,
        source: SourceName,
        portion: &Portion,
    ) -> Result<usize, SpineFailed> {
        let (cycle, counted) = (Arc::clone(&round.cycle), portion.clone());
        let tasks = self
            .on_writer("counting what is left", move |writer| {
                let (cycle, counted) = (Arc::clone(&cycle), counted.clone());
                Box::pin(async move { writer.count_left(&cycle, &counted).await })
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
            .map_err(|_| supervisor_gone())?;
        Ok(tasks)
    }

    /// Plans a stage: of one source, or of all. Returns how many tasks are new.
    async fn plan(
        &self,
        round: &Round,
        stage: Stage,
        of: Option<SourceName>,
    ) -> Result<usize, SpineFailed> {
        let (cycle, pages, narrowing) = (
            Arc::clone(&round.cycle),
            self.pages.clone(),
            self.narrowing.clone(),
        );
        let last_round = round.is_last;
        let planned = self
            .on_writer("planning", move |writer| {
                let (cycle, pages, narrowing) =
                    (Arc::clone(&cycle), pages.clone(), narrowing.clone());
                Box::pin(async move {
                    // A fresh one each time: the work may be done again, and then it begins with the first fund.
                    let mut planner = StagePlanner::new(pages, narrowing, stage, of, last_round);
                    writer.plan(&cycle, &mut |state| planner.part(state)).await
                })
            })
            .await?;
        let source = of.map(SourceName::as_str);
        tracing::info!(?stage, source, tasks = planned, "planned");
        failpoint::CYCLE_PLANNED.pass().await?;
        Ok(planned)
    }

    async fn checkpoint(
        &self,
        cycle: &Arc<Cycle>,
        portion: &Portion,
    ) -> Result<Vec<PlannedTask>, SpineFailed> {
        loop {
            let loader = self
                .supervisor
                .send(GetLoader)
                .await
                .map_err(|_| supervisor_gone())??;
            let read = ReadCheckpoint {
                cycle: Arc::clone(cycle),
                portion: portion.clone(),
            };
            match loader.send(read).await {
                Ok(Ok(left)) => return Ok(left),
                Ok(Err(error)) if *self.stop.borrow() => {
                    return Err(SpineFailed(error.to_string()));
                }
                Ok(Err(_)) | Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    /// Gives tasks that are not asked in this round their outcome.
    async fn settle(
        &self,
        round: &Round,
        tasks: Vec<PlannedTask>,
        why: &str,
    ) -> Result<(), SpineFailed> {
        let outcome = if round.is_last {
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
        let cycle = Arc::clone(&round.cycle);
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
        let active = self.active_funds().await?;
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
            not_in_market: funds_not_in_market(&active.asked, &self.narrowing),
            no_active_fund: !active.any,
        })
    }

    async fn active_funds(&self) -> Result<ActiveFunds, SpineFailed> {
        let asked = self.narrowing.funds.clone().unwrap_or_default();
        self.on_writer("looking for the funds asked for", move |writer| {
            let asked = asked.clone();
            Box::pin(async move { writer.active_funds(&asked).await })
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
