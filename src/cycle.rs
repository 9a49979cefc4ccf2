//! Runs one cycle from its start to its close. Each round requests the lists, then the fetch orders of all sources side
//! by side, then the factsheets that are left.
//!
//! ```text
//!                       ┌─> fetch order of one source ─┐
//! begin -> round 1: lists ─> of the next source ──────────> judgement, factsheets -> (retry_at) -> round 2 -> close
//!                       └─> … ─────────────────────────┘
//! ```
//! Round 2 requests the tasks that failed or were deferred. Both rounds run the same code: planning adds the missing
//! tasks, and the checkpoint returns the tasks that are not acknowledged.

mod store_calls;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use actix::Addr;
use actors::messages::{AskSource, PipelineError, SourceEnd};
use actors::run_mode::RunMode;
use actors::store_handle::StoreHandle;
use actors::supervisor::Supervisor;
use futures_util::future::try_join_all;
use schema::{FundCode, SourceName, failpoint};
use sources::page::{Cadence, PageSpec, Stage};
use store::{Cycle, CycleRequest, CycleTotals, TaskFilter, Writer};
use tokio::sync::watch;

use crate::cycle_plan::{Narrowing, SitePages};
use crate::fetch_order::steps;

/// Maximum number of tasks that are handed to a source at once: limits memory, whatever the size of the market (A5).
const TASKS_AT_ONCE: u32 = 2_000;

/// What a cycle needs to run.
#[derive(Clone)]
pub struct CycleRunner {
    /// Requests the sources.
    pub supervisor: Addr<Supervisor<Writer>>,
    /// Calls the store.
    pub store: StoreHandle<Writer>,
    /// The pages of the enabled sources.
    pub pages: SitePages,
    /// The order of the pages.
    pub mode: RunMode,
    /// The scope of the run.
    pub narrowing: Narrowing,
    /// Largest number of pages of histories in a cycle.
    pub history_pages: usize,
    /// Becomes true when the program stops.
    pub stop: watch::Receiver<bool>,
    /// Returns the sources that lost so many records in this cycle that they are in breach of their contract, with the
    /// reason.
    pub lost_records: Arc<dyn Fn() -> BTreeMap<SourceName, String> + Send + Sync>,
    /// Called with the number of the round when a round begins, to reset what the sources remember of the cycle. Round
    /// 1 resets everything; round 2 resets breaches, lost records and browser refusals of round 1.
    pub on_round: Arc<dyn Fn(i16) + Send + Sync>,
}

/// How a cycle ended.
#[derive(Debug, Clone)]
pub struct CycleEnd {
    /// The cycle.
    pub cycle: Cycle,
    /// The counts of the cycle. For a cycle that was stopped or failed: what was acknowledged until then.
    pub totals: CycleTotals,
    /// Whether the cycle was stopped before its end. It is then open, and the next start continues it.
    pub stopped: bool,
    /// Sources that were quarantined in the last round, with the reason.
    pub quarantined: BTreeMap<SourceName, String>,
    /// Sources that lost so many records that they were in breach of their contract, with the reason (D6).
    pub breaches: BTreeMap<SourceName, String>,
    /// Whether no fund is known to be active. Nothing could be requested then, which is not a success (D7).
    pub no_active_fund: bool,
    /// Codes of `--funds` that are not active funds.
    pub not_in_market: BTreeSet<FundCode>,
    /// Number of histories of projects that are due and that later cycles begin or go on with. They are no failure.
    pub histories_left: u64,
}

/// One of the two rounds of a cycle.
struct Round {
    cycle: Arc<Cycle>,
    /// Whether this is the last round. A task that cannot be requested then fails.
    is_final: bool,
    /// Sources that receive no more tasks in this round, with the reason.
    quarantined: RefCell<BTreeMap<SourceName, String>>,
    /// Number of histories that are due and not planned in this cycle.
    histories_left: Cell<u64>,
}

/// How a round ended.
enum RoundEnd {
    /// Every task has an outcome.
    Ended {
        quarantined: BTreeMap<SourceName, String>,
        histories_left: u64,
    },
    /// The program is stopping.
    Stopped,
}

impl CycleRunner {
    /// Runs a cycle. `until_round_two` is awaited between the rounds, if round 2 has any task.
    ///
    /// # Errors
    /// The merge actor or the loader used up its restart budget, or the database permanently refuses a statement or the
    /// session. The cycle stays open with everything acknowledged so far.
    pub async fn run(
        &self,
        request: CycleRequest,
        until_round_two: impl Future<Output = ()>,
    ) -> Result<CycleEnd, PipelineError> {
        let mut cycle = self
            .store
            .call("beginning the cycle", async move |writer| {
                writer.begin_cycle(&request).await
            })
            .await?;
        tracing::info!(
            cycle_id = cycle.id, cycle_date = %cycle.cycle_date, kind = %cycle.kind, scope = cycle.scope.as_str(),
            round = cycle.round, resumed = cycle.resumed, mode = %self.mode, "cycle begins"
        );
        failpoint::CYCLE_BEGAN.pass().await?;
        if cycle.round < 2 {
            let left = match self.run_round(&cycle, false).await? {
                RoundEnd::Stopped => return self.stopped(cycle).await,
                RoundEnd::Ended { histories_left, .. } => histories_left,
            };
            let (next, again) = self.begin_round_two(&cycle).await?;
            failpoint::CYCLE_ROUND_TWO.pass().await?;
            if again == 0 {
                return self.close(cycle, BTreeMap::new(), left).await;
            }
            tracing::info!(
                tasks = again,
                "round 2 requests what failed or was deferred"
            );
            cycle = next;
        }
        // A cycle that was resumed in round 2 waits as well: its first process may have ended during the wait.
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return self.stopped(cycle).await,
            () = until_round_two => {}
        }
        match self.run_round(&cycle, true).await? {
            RoundEnd::Stopped => self.stopped(cycle).await,
            RoundEnd::Ended {
                quarantined,
                histories_left,
            } => self.close(cycle, quarantined, histories_left).await,
        }
    }

    async fn run_round(&self, cycle: &Cycle, final_round: bool) -> Result<RoundEnd, PipelineError> {
        (self.on_round)(cycle.round);
        let round = Round {
            cycle: Arc::new(cycle.clone()),
            is_final: final_round,
            quarantined: RefCell::default(),
            histories_left: Cell::new(0),
        };
        // The lists name the funds, and the pages about many funds decide which pages of single funds are needed. So
        // all sources wait for them.
        self.ask_stage(&round, Stage::Lists).await?;
        self.enter_provisional_universe(&round).await?;
        if self.has_weekly_list() {
            // A list of this cycle may have shown new funds, which a weekly list describes.
            self.ask_stage(&round, Stage::Lists).await?;
        }
        self.ask_stage(&round, Stage::Market).await?;
        self.enter_registered_funds(&round).await?;
        self.ask_stage(&round, Stage::Projects).await?;
        self.each_source(|source| self.run_fetch_order(&round, source))
            .await?;
        self.judge(cycle).await?;
        // The factsheets that the fetch orders could not plan, because they depend on the links of another source.
        self.ask_stage(&round, Stage::Factsheets).await?;
        self.ask_stage(&round, Stage::Histories).await?;
        Ok(if *self.stop.borrow() {
            RoundEnd::Stopped
        } else {
            RoundEnd::Ended {
                histories_left: round.histories_left.get(),
                quarantined: round.quarantined.into_inner(),
            }
        })
    }

    /// Runs `work` for every source: one after the other in the mode Sequential, otherwise concurrently.
    async fn each_source<W: Future<Output = Result<(), PipelineError>>>(
        &self,
        work: impl Fn(SourceName) -> W,
    ) -> Result<(), PipelineError> {
        let works = self.pages.keys().map(|source| work(*source));
        if self.mode == RunMode::Sequential {
            for work in works {
                work.await?;
            }
            return Ok(());
        }
        try_join_all(works).await.map(|_| ())
    }

    fn has_weekly_list(&self) -> bool {
        self.pages
            .values()
            .copied()
            .flatten()
            .any(|page| page.stage == Stage::Lists && page.cadence == Cadence::Weekly)
    }

    /// Plans a stage for all sources and requests its pages. Of the pages about the market only the critical ones are
    /// requested, because all sources wait for them; the others are steps of their own source.
    async fn ask_stage(&self, round: &Round, stage: Stage) -> Result<(), PipelineError> {
        let has_stage = self
            .pages
            .values()
            .any(|pages| pages.iter().any(|page| page.stage == stage));
        if *self.stop.borrow() || !has_stage {
            return Ok(());
        }
        self.plan(round, stage, None, false).await?;
        self.each_source(|source| {
            let pages = self.pages.get(&source).into_iter().copied().flatten();
            let pages = pages
                .filter(|page| page.stage == stage && (stage != Stage::Market || page.critical));
            let pages = pages.map(|page| page.name).collect();
            async move { self.ask(round, source, pages).await.map(|_| ()) }
        })
        .await
    }

    /// Runs the fetch order of a source.
    async fn run_fetch_order(
        &self,
        round: &Round,
        source: SourceName,
    ) -> Result<(), PipelineError> {
        let pages: &'static [PageSpec] = self.pages.get(&source).copied().unwrap_or_default();
        for step in steps(self.mode, pages, round.cycle.kind) {
            let mut is_repeated = false;
            while !*self.stop.borrow() {
                let mut planned = 0;
                for stage in &step.plans {
                    planned += self.plan(round, *stage, Some(source), is_repeated).await?;
                }
                let asked = self.ask(round, source, step.pages.clone()).await?;
                // Tasks planned by an earlier process may lead to new ones as well, so `planned` alone does not decide.
                if !step.leads_on || asked == 0 || (planned == 0 && is_repeated) {
                    break;
                }
                is_repeated = true;
            }
        }
        Ok(())
    }

    /// Requests all remaining tasks of these pages of a source, [`TASKS_AT_ONCE`] at a time. If the source is
    /// quarantined, its tasks get their outcome immediately instead. Returns the number of tasks.
    async fn ask(
        &self,
        round: &Round,
        source: SourceName,
        pages: Vec<&'static str>,
    ) -> Result<usize, PipelineError> {
        if pages.is_empty() {
            return Ok(0);
        }
        let filter = TaskFilter {
            source: Some(source),
            pages: Some(pages.into_iter().map(str::to_owned).collect()),
            at_most: Some(TASKS_AT_ONCE),
        };
        let asked = self.announce(round, source, &filter).await?;
        while !*self.stop.borrow() {
            let left = self.checkpoint(&round.cycle, &filter).await?;
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
                filter: filter.clone(),
                final_round: round.is_final,
            };
            let end = self
                .supervisor
                .send(asking)
                .await
                .map_err(|_| PipelineError::supervisor_gone())??;
            failpoint::CYCLE_ASKED.pass().await?;
            if let SourceEnd::Quarantined(why) = end {
                round.quarantined.borrow_mut().insert(source, why);
            }
        }
        Ok(asked)
    }
}
