//! The supervisor: starts the other actors bottom-up (loader, merge, sources), restarts those that fail, and stops them
//! top-down (A1-A3, A6).
//!
//! The restart rules:
//!
//! | who fails | who is restarted | with what |
//! |---|---|---|
//! | a source | that source (one_for_one) | its unacknowledged tasks, read by the loader after all queued commits |
//! | the merge | merge, then all sources (rest_for_one) | the same |
//! | the loader | loader, merge, then all sources | a fresh connection, the same |
//! | the loader, with an error that no restart fixes (another runner, refusal) | none | the cycle ends `failed` |
//!
//! Only the supervisor decides about restarts ([`crate::restart_policy`]). A restart always builds a fresh actor.

mod asking;
mod children;
mod restarts;
mod shutdown;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use schema::failpoint::Failpoint;
use schema::{SourceName, TaskId};
use sources::transport::AskingLease;
use store::{Cycle, TaskFilter};
use tokio::sync::{oneshot, watch};

use crate::child::Child;
use crate::fetch::AskedSource;
use crate::loader_actor::{LoaderActor, WriterSettings};
use crate::merge_actor::MergeActor;
use crate::messages::{BatchSettled, ChildName, PipelineError, ReadSnapshot, SourceEnd};
use crate::persistent_writer::DatabaseWait;
use crate::progress_probe::ProgressProbe;
use crate::restart_policy::{RestartHistory, RestartPolicy};
use crate::row_budget::RowBudget;
use crate::run_mode::ModeSizes;
use crate::snapshot::Snapshot;
use crate::source_actor::SourceActor;
use crate::store_handle::{PublishedLoader, StoreHandle};
use crate::store_session::StoreSession;

/// Interval between checks for stuck children.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The supervisor's settings.
#[derive(Clone)]
pub struct SupervisorSettings<Access> {
    /// Sizes of the run mode.
    pub sizes: ModeSizes,
    /// Maximum number of rows under way, in every mode (A5): [`crate::row_budget::ROWS_UNDER_WAY`].
    pub rows_under_way: NonZeroU32,
    /// Restart budget of a source.
    pub source_policy: RestartPolicy,
    /// Restart budget of the merge actor and of the loader.
    pub pipeline_policy: RestartPolicy,
    /// A source that requests or parses for this long without progress and without waiting is stuck (A2).
    pub stuck_after: Duration,
    /// Maximum duration of an orderly stop (A6).
    pub shutdown_deadline: Duration,
    /// How the loader reaches the database.
    pub writer: WriterSettings<Access>,
    /// The permission to request pages, renewed by the loader's heartbeats.
    pub lease: AskingLease,
    /// The sources.
    pub askers: BTreeMap<SourceName, AskedSource>,
}

/// A source with an `AskSource` in progress.
struct RunningSource {
    cycle: Arc<Cycle>,
    final_round: bool,
    filter: TaskFilter,
    tasks: BTreeSet<TaskId>,
    /// `None` while the source waits for its restart.
    child: Option<Child<SourceActor>>,
    incarnation: u32,
    probe: Arc<ProgressProbe>,
    deaths: BTreeMap<TaskId, u32>,
    /// Whether the source used up its restart budget. It is not restarted, and ends once the merge actor has dropped
    /// its pending answers.
    given_up: bool,
    reply: oneshot::Sender<Result<SourceEnd, PipelineError>>,
}

/// The supervisor actor.
pub struct Supervisor<S: StoreSession> {
    settings: SupervisorSettings<S::Access>,
    /// A writer opened before the supervisor started; the first loader takes it.
    first_writer: Option<S>,
    incarnations: u32,
    loader: Option<(u32, Child<LoaderActor<S>>)>,
    merge: Option<(u32, Child<MergeActor>)>,
    histories: BTreeMap<ChildName, RestartHistory>,
    running: BTreeMap<SourceName, RunningSource>,
    /// What [`StoreHandle`]s see of `loader` and `failed`.
    published: watch::Sender<PublishedLoader<S>>,
    failed: Option<PipelineError>,
    database_wait: DatabaseWait,
    stop: watch::Sender<bool>,
    /// The room for rows under way, shared by all sources.
    row_budget: RowBudget,
    snapshot: Snapshot,
}

impl<S: StoreSession> Supervisor<S> {
    /// Creates the supervisor. [`crate::messages::BeginShutdown`] sets `stop`.
    #[must_use]
    pub fn new(
        settings: SupervisorSettings<S::Access>,
        first_writer: Option<S>,
        stop: watch::Sender<bool>,
    ) -> Self {
        let row_budget = RowBudget::new(settings.rows_under_way);
        Self {
            settings,
            first_writer,
            incarnations: 0,
            loader: None,
            merge: None,
            histories: BTreeMap::new(),
            running: BTreeMap::new(),
            published: watch::Sender::new(Ok(None)),
            failed: None,
            database_wait: DatabaseWait::default(),
            stop,
            row_budget,
            snapshot: Snapshot::default(),
        }
    }

    /// A handle for calls to the store.
    #[must_use]
    pub fn store(&self) -> StoreHandle<S> {
        StoreHandle {
            loader: self.published.subscribe(),
            stop: self.stop.subscribe(),
        }
    }

    /// Publishes the loader to the handles: the running one, none while it is restarted, or why there will be none.
    fn publish_loader(&self) {
        let loader = || {
            self.loader
                .as_ref()
                .map(|(_, loader)| loader.address.clone())
        };
        let published = self.failed.clone().map_or_else(|| Ok(loader()), Err);
        self.published.send_modify(|before| *before = published);
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Returns whether to continue after a failpoint. No other actor restarts the supervisor, so an injected error ends
    /// the cycle.
    fn passes(&mut self, point: Failpoint) -> bool {
        let reached = point.reach();
        if let Err(injected) = &reached {
            self.give_up(injected.to_string());
        }
        reached.is_ok()
    }
}

impl<S: StoreSession> Actor for Supervisor<S> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.start_pipeline(context);
        context.run_interval(LOOK_EVERY, |actor, _context| {
            actor.look_for_stuck();
            if actor.is_stopping() {
                let running: Vec<String> = actor
                    .running
                    .iter()
                    .filter(|(_, running)| running.child.is_some())
                    .map(|(source, _)| source.to_string())
                    .collect();
                if !running.is_empty() {
                    tracing::info!(still_running = running.join(", "), "stopping");
                }
            }
        });
    }
}

impl<S: StoreSession> Handler<BatchSettled> for Supervisor<S> {
    type Result = ();

    fn handle(&mut self, settled: BatchSettled, _context: &mut Self::Context) {
        self.history(ChildName::Loader).committed();
        self.history(ChildName::Merge).committed();
        let sources: BTreeSet<SourceName> = settled
            .report
            .tasks
            .iter()
            .map(|task| task.id().source)
            .collect();
        for source in sources {
            self.history(ChildName::Source(source)).committed();
        }
        for (source, breach) in &settled.report.breaches {
            tracing::error!(%source, "contract breach: {breach}");
        }
        self.snapshot.settled(&settled.report);
    }
}

impl<S: StoreSession> Handler<ReadSnapshot> for Supervisor<S> {
    type Result = MessageResult<ReadSnapshot>;

    fn handle(&mut self, _read: ReadSnapshot, _context: &mut Self::Context) -> Self::Result {
        let mut snapshot = self.snapshot.clone();
        snapshot.database_wait = self.database_wait.lock().clone();
        MessageResult(snapshot)
    }
}
