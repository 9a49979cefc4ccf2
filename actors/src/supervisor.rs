//! Starts the others bottom-up (loader, merge, sources), restarts what fails, and stops them top-down (A1-A3, A6).
//!
//! The whole contract:
//!
//! | who fails | who is restarted | with what |
//! |---|---|---|
//! | a source | it alone (one_for_one) | its unacknowledged tasks, read back through the loader after all queued commits |
//! | the merge | merge, then all sources (rest_for_one) | the same |
//! | the loader | loader, merge, then all sources | a fresh connection, the same |
//!
//! Only the supervisor judges ([`crate::restart_policy`]); a restart always builds a fresh actor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use schema::store::{Cycle, Writer};
use schema::{PlannedTask, SourceName, TaskId};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;

use crate::child::{Child, ExitReason};
use crate::loader_actor::{DatabaseWait, LoaderActor, WriterSettings};
use crate::merge_actor::MergeActor;
use crate::messages::{
    BatchSettled, BeginShutdown, ChildExited, ChildName, ReadCheckpoint, ReadSnapshot, SourceGone,
    StartSource,
};
use crate::pulse::Pulse;
use crate::restart_policy::{RestartHistory, RestartPolicy, Verdict};
use crate::run_mode::{ModeSizes, Wave};
use crate::snapshot::Snapshot;
use crate::source_actor::{AskedSource, SourceActor, SourceSettings};

/// A task is given up when its source died this often with it in flight (D6).
const DEATHS_PER_TASK: u32 = 2;
/// How often children are looked at for being stuck.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the supervisor works with.
#[derive(Clone)]
pub struct SupervisorSettings {
    /// Sizes of the run mode.
    pub sizes: ModeSizes,
    /// Budget of a source.
    pub source_policy: RestartPolicy,
    /// Budget of merge and of loader.
    pub spine_policy: RestartPolicy,
    /// A source that asks this long without progress, while its transport waits on nobody, is stuck (A2).
    pub stuck_after: Duration,
    /// How long an orderly stop may take (A6).
    pub shutdown_deadline: Duration,
    /// How the loader reaches the database.
    pub writer: WriterSettings,
    /// The sources.
    pub askers: BTreeMap<SourceName, AskedSource>,
}

/// How a source's part of a wave ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEnd {
    /// Every task has an outcome.
    Finished,
    /// Over its restart budget: the rest of its tasks has no outcome yet.
    Quarantined(String),
    /// The program stops.
    Stopped,
}

/// How a wave ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveEnd {
    /// Per source.
    pub sources: BTreeMap<SourceName, SourceEnd>,
}

/// Merge or loader is over budget: the cycle cannot go on (A3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpineFailed(pub String);

/// cycle -> supervisor: run these tasks to their end.
#[derive(Message)]
#[rtype(result = "Result<WaveEnd, SpineFailed>")]
pub struct RunWave {
    /// The cycle they belong to.
    pub cycle: Arc<Cycle>,
    /// The tasks.
    pub wave: Wave,
    /// Whether what cannot be asked now has failed, rather than being deferred to a second round.
    pub final_round: bool,
}

/// cycle -> supervisor: the living loader, as soon as there is one.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<Addr<LoaderActor>, SpineFailed>")]
pub struct GetLoader;

struct RunningSource {
    child: Option<Child<SourceActor>>,
    incarnation: u32,
    tasks: BTreeSet<TaskId>,
    pulse: Arc<Pulse>,
    deaths: BTreeMap<TaskId, u32>,
    end: Option<SourceEnd>,
}

struct RunningWave {
    cycle: Arc<Cycle>,
    final_round: bool,
    sources: BTreeMap<SourceName, RunningSource>,
    reply: oneshot::Sender<Result<WaveEnd, SpineFailed>>,
}

/// The actor.
pub struct Supervisor {
    settings: SupervisorSettings,
    /// A writer that was opened before the supervisor began, for the first loader.
    first_writer: Option<Writer>,
    incarnations: u32,
    loader: Option<(u32, Child<LoaderActor>)>,
    merge: Option<(u32, Child<MergeActor>)>,
    histories: BTreeMap<ChildName, RestartHistory>,
    wave: Option<RunningWave>,
    awaiting_loader: Vec<oneshot::Sender<Result<Addr<LoaderActor>, SpineFailed>>>,
    failed: Option<SpineFailed>,
    database_wait: DatabaseWait,
    stop: watch::Sender<bool>,
    snapshot: Snapshot,
}

impl Supervisor {
    /// `stop` is raised by [`BeginShutdown`].
    #[must_use]
    pub fn new(
        settings: SupervisorSettings,
        first_writer: Option<Writer>,
        stop: watch::Sender<bool>,
    ) -> Self {
        Self {
            settings,
            first_writer,
            incarnations: 0,
            loader: None,
            merge: None,
            histories: BTreeMap::new(),
            wave: None,
            awaiting_loader: Vec::new(),
            failed: None,
            database_wait: DatabaseWait::default(),
            stop,
            snapshot: Snapshot::default(),
        }
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    fn next_incarnation(&mut self) -> u32 {
        self.incarnations += 1;
        self.incarnations
    }

    fn tell_exit(
        child: ChildName,
        incarnation: u32,
        context: &Context<Self>,
    ) -> impl FnOnce(ExitReason) + 'static {
        let supervisor = context.address();
        move |reason| {
            supervisor.do_send(ChildExited {
                child,
                incarnation,
                reason,
            });
        }
    }

    fn history(&mut self, child: ChildName) -> &mut RestartHistory {
        let policy = match child {
            ChildName::Source(_) => self.settings.source_policy,
            ChildName::Loader | ChildName::Merge => self.settings.spine_policy,
        };
        self.histories
            .entry(child)
            .or_insert_with(|| RestartHistory::new(policy, Instant::now()))
    }

    /// Starts what of loader and merge is not running, bottom-up.
    fn start_spine(&mut self, context: &mut Context<Self>) {
        let loader = if let Some((_, loader)) = &self.loader {
            loader.address.clone()
        } else {
            let incarnation = self.next_incarnation();
            let settings = self.settings.writer.clone();
            let writer = self.first_writer.take();
            let settled = context.address().recipient();
            let (waits_for, stop) = (Arc::clone(&self.database_wait), self.stop.subscribe());
            let child = Child::start(
                // Batches, and the calls of cycle and supervisor beside them.
                self.settings.sizes.loader_mailbox.get() + 4,
                move |slip| LoaderActor::new(settings, writer, settled, waits_for, stop, slip),
                Self::tell_exit(ChildName::Loader, incarnation, context),
            );
            let address = child.address.clone();
            self.loader = Some((incarnation, child));
            self.history(ChildName::Loader).started(Instant::now());
            for waiting in self.awaiting_loader.drain(..) {
                // A receiver that is gone has stopped waiting.
                let _ = waiting.send(Ok(address.clone()));
            }
            address
        };
        if self.merge.is_none() {
            let incarnation = self.next_incarnation();
            let sizes = self.settings.sizes;
            let child = Child::start(
                sizes.credits.get() * self.settings.askers.len().max(1),
                move |_slip| MergeActor::new(loader, sizes.loader_mailbox.get()),
                Self::tell_exit(ChildName::Merge, incarnation, context),
            );
            self.merge = Some((incarnation, child));
            self.history(ChildName::Merge).started(Instant::now());
        }
    }

    /// Starts a fresh incarnation of a source of the wave with `tasks`.
    fn start_source(
        &mut self,
        source: SourceName,
        tasks: Vec<PlannedTask>,
        context: &mut Context<Self>,
    ) {
        let incarnation = self.next_incarnation();
        let (Some(wave), Some((_, merge)), Some(asker)) = (
            &mut self.wave,
            &self.merge,
            self.settings.askers.get(&source),
        ) else {
            return;
        };
        let Some(running) = wave.sources.get_mut(&source) else {
            return;
        };
        let (given_up, tasks): (Vec<_>, Vec<_>) = tasks.into_iter().partition(|task| {
            running
                .deaths
                .get(&task.id)
                .is_some_and(|deaths| *deaths >= DEATHS_PER_TASK)
        });
        let given_up = given_up
            .into_iter()
            .map(|task| (task.id, format!("the {source} actor died {DEATHS_PER_TASK} times with this task in flight; it is not asked a third time")))
            .collect();
        let pulse = Arc::new(Pulse::default());
        let settings = SourceSettings {
            asked: asker.clone(),
            cycle: Arc::clone(&wave.cycle),
            final_round: wave.final_round,
            fetches_in_flight: self.settings.sizes.fetches_in_flight.get(),
            incarnation,
            merge: merge.address.clone(),
            stop: self.stop.subscribe(),
        };
        let shown = Arc::clone(&pulse);
        let child = Child::start(
            self.settings.sizes.credits.get(),
            move |slip| SourceActor::new(settings, shown, slip),
            Self::tell_exit(ChildName::Source(source), incarnation, context),
        );
        child.address.do_send(StartSource {
            tasks,
            given_up,
            // Fresh, so that permits of a dead incarnation cannot be missed or doubled.
            credits: Arc::new(Semaphore::new(self.settings.sizes.credits.get())),
        });
        running.incarnation = incarnation;
        running.pulse = pulse;
        running.child = Some(child);
        self.history(ChildName::Source(source))
            .started(Instant::now());
    }

    /// Gives a source that is not running its unacknowledged tasks back, read through the loader after all queued
    /// commits (A1).
    fn revive_source(&mut self, source: SourceName, context: &mut Context<Self>) {
        let (Some(wave), Some((_, merge)), Some((loader_incarnation, loader))) =
            (&self.wave, &self.merge, &self.loader)
        else {
            return;
        };
        let Some(running) = wave
            .sources
            .get(&source)
            .filter(|running| running.child.is_none() && running.end.is_none())
        else {
            return;
        };
        let gone = SourceGone {
            source,
            incarnation: running.incarnation,
        };
        let read = ReadCheckpoint {
            cycle: Arc::clone(&wave.cycle),
        };
        let (merge, loader, asked_of) = (
            merge.address.clone(),
            loader.address.clone(),
            *loader_incarnation,
        );
        context.spawn(
            async move {
                // The merge first drops or has already batched what the dead incarnation said; then the loader's answer is final.
                merge.send(gone).await.ok()?;
                loader.send(read).await.ok()?.ok()
            }
            .into_actor(self)
            .map(move |left, actor, context| {
                // Without an answer merge or loader is gone itself: its own restart revives all sources.
                let same_loader = actor.loader.as_ref().is_some_and(|(incarnation, _)| *incarnation == asked_of);
                let (Some(left), true) = (left, same_loader) else {
                    return;
                };
                let Some(running) = actor.wave.as_mut().and_then(|wave| wave.sources.get_mut(&source)) else {
                    return;
                };
                if running.child.is_some() || running.end.is_some() {
                    return;
                }
                let tasks: Vec<PlannedTask> = left.into_iter().filter(|task| running.tasks.contains(&task.id)).collect();
                tracing::info!(%source, tasks = tasks.len(), "restarted from the last acknowledged checkpoint");
                actor.start_source(source, tasks, context);
            }),
        );
    }

    fn source_exited(
        &mut self,
        source: SourceName,
        incarnation: u32,
        reason: &ExitReason,
        context: &mut Context<Self>,
    ) {
        let stopping = self.is_stopping();
        let Some(running) = self
            .wave
            .as_mut()
            .and_then(|wave| wave.sources.get_mut(&source))
        else {
            return;
        };
        if running.incarnation != incarnation || running.child.is_none() {
            return;
        }
        running.child = None;
        match reason {
            ExitReason::Finished => running.end = Some(SourceEnd::Finished),
            ExitReason::Asked => running.end = Some(SourceEnd::Stopped),
            _ if stopping => running.end = Some(SourceEnd::Stopped),
            _ => {
                for task in running.pulse.in_flight() {
                    *running.deaths.entry(task).or_insert(0) += 1;
                }
                match self
                    .history(ChildName::Source(source))
                    .failed(Instant::now(), jitter())
                {
                    Verdict::RestartAfter(delay) => {
                        tracing::warn!(%source, %reason, restart_after_secs = delay.as_secs_f64(), "a source actor failed; it is restarted, what it had acknowledged stands");
                        self.snapshot.restarts += 1;
                        context.run_later(delay, move |actor, context| {
                            actor.revive_source(source, context);
                        });
                    }
                    Verdict::GiveUp => {
                        let why = format!(
                            "quarantined for this round after too many restarts; last: {reason}"
                        );
                        tracing::error!(%source, %reason, "quarantined: over its restart budget; the other sources go on");
                        self.quarantine(source, incarnation, why, context);
                    }
                }
            }
        }
        self.end_wave_if_done();
    }

    /// Ends the source's part of the wave, once the merge has let go of what it holds of it: what has not been batched
    /// by then has no outcome, and gets the one of a source that is quarantined.
    fn quarantine(
        &mut self,
        source: SourceName,
        incarnation: u32,
        why: String,
        context: &mut Context<Self>,
    ) {
        let merge = self.merge.as_ref().map(|(_, merge)| merge.address.clone());
        context.spawn(
            async move {
                if let Some(merge) = merge {
                    // A merge that is gone holds nothing.
                    let _ = merge
                        .send(SourceGone {
                            source,
                            incarnation,
                        })
                        .await;
                }
            }
            .into_actor(self)
            .map(move |(), actor, _context| {
                if let Some(running) = actor
                    .wave
                    .as_mut()
                    .and_then(|wave| wave.sources.get_mut(&source))
                {
                    running.end = Some(SourceEnd::Quarantined(why));
                }
                actor.end_wave_if_done();
            }),
        );
    }

    fn spine_exited(&mut self, child: ChildName, reason: &ExitReason, context: &mut Context<Self>) {
        // rest_for_one: whatever is downstream of it goes, too, and is started again after it.
        if let Some(wave) = &mut self.wave {
            for running in wave.sources.values_mut() {
                if let Some(source) = running.child.take() {
                    source.kill(ExitReason::Killed);
                }
            }
        }
        if child == ChildName::Loader
            && let Some((_, merge)) = self.merge.take()
        {
            merge.kill(ExitReason::Killed);
        }
        if self.is_stopping() {
            self.give_up(format!(
                "the {child} actor {reason} while the program was stopping"
            ));
            return;
        }
        match self.history(child).failed(Instant::now(), jitter()) {
            Verdict::RestartAfter(delay) => {
                tracing::warn!(%child, %reason, restart_after_secs = delay.as_secs_f64(), "an actor failed; it and those that feed it are restarted from the checkpoint");
                self.snapshot.restarts += 1;
                context.run_later(delay, |actor, context| {
                    actor.start_spine(context);
                    let sources: Vec<SourceName> = actor
                        .wave
                        .iter()
                        .flat_map(|wave| wave.sources.keys().copied())
                        .collect();
                    for source in sources {
                        actor.revive_source(source, context);
                    }
                });
            }
            Verdict::GiveUp => self.give_up(format!(
                "the {child} actor is over its restart budget; last: {reason}"
            )),
        }
    }

    /// The cycle cannot go on: everybody who waits is told.
    fn give_up(&mut self, why: String) {
        let failed = SpineFailed(why);
        if let Some(wave) = self.wave.take() {
            // A receiver that is gone has stopped waiting.
            let _ = wave.reply.send(Err(failed.clone()));
        }
        for waiting in self.awaiting_loader.drain(..) {
            let _ = waiting.send(Err(failed.clone()));
        }
        self.failed = Some(failed);
    }

    fn end_wave_if_done(&mut self) {
        let done = self
            .wave
            .as_ref()
            .is_some_and(|wave| wave.sources.values().all(|running| running.end.is_some()));
        if !done {
            return;
        }
        if let Some(wave) = self.wave.take() {
            let sources = wave
                .sources
                .into_iter()
                .filter_map(|(source, running)| Some((source, running.end?)))
                .collect();
            // A receiver that is gone has stopped waiting.
            let _ = wave.reply.send(Ok(WaveEnd { sources }));
        }
    }

    fn look_for_stuck(&self) {
        let now = Instant::now();
        for (source, running) in self.wave.iter().flat_map(|wave| &wave.sources) {
            let Some(child) = &running.child else {
                continue;
            };
            let silent = running.pulse.longest_silence(now);
            if silent > self.settings.stuck_after {
                tracing::warn!(%source, silent_secs = silent.as_secs(), "no progress while waiting on nobody: ending the actor");
                child.kill(ExitReason::Stuck);
            }
        }
    }
}

/// A draw from [0, 1) for the full jitter of restart delays.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let drawn = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    let (numerator, denominator) = (
        u32::try_from(drawn >> 32).unwrap_or(0),
        f64::from(u32::MAX) + 1.0,
    );
    f64::from(numerator) / denominator
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.start_spine(context);
        context.run_interval(LOOK_EVERY, |actor, _context| {
            actor.look_for_stuck();
            if actor.is_stopping() {
                let running: Vec<String> = actor
                    .wave
                    .iter()
                    .flat_map(|wave| &wave.sources)
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

impl Handler<RunWave> for Supervisor {
    type Result = ResponseFuture<Result<WaveEnd, SpineFailed>>;

    fn handle(&mut self, run: RunWave, context: &mut Self::Context) -> Self::Result {
        if let Some(failed) = self.failed.clone() {
            return Box::pin(async move { Err(failed) });
        }
        self.snapshot.begin(run.cycle.id);
        let (reply, ended) = oneshot::channel();
        let stopping = self.is_stopping();
        self.wave = Some(RunningWave {
            cycle: run.cycle,
            final_round: run.final_round,
            sources: run
                .wave
                .tasks
                .iter()
                .map(|(source, tasks)| {
                    let running = RunningSource {
                        child: None,
                        incarnation: 0,
                        tasks: tasks.iter().map(|task| task.id.clone()).collect(),
                        pulse: Arc::default(),
                        deaths: BTreeMap::new(),
                        end: stopping.then_some(SourceEnd::Stopped),
                    };
                    (*source, running)
                })
                .collect(),
            reply,
        });
        if !stopping {
            for (source, tasks) in run.wave.tasks {
                self.snapshot.planned(source, tasks.len());
                if self.merge.is_some() {
                    self.start_source(source, tasks, context);
                }
            }
        }
        self.end_wave_if_done();
        Box::pin(async move {
            ended.await.unwrap_or_else(|_| {
                Err(SpineFailed(
                    "the supervisor ended before the wave did".to_owned(),
                ))
            })
        })
    }
}

impl Handler<GetLoader> for Supervisor {
    type Result = ResponseFuture<Result<Addr<LoaderActor>, SpineFailed>>;

    fn handle(&mut self, _get: GetLoader, _context: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        match (&self.failed, &self.loader) {
            (Some(failed), _) => drop(sender.send(Err(failed.clone()))),
            (None, Some((_, loader))) => drop(sender.send(Ok(loader.address.clone()))),
            (None, None) => self.awaiting_loader.push(sender),
        }
        Box::pin(async move {
            receiver
                .await
                .unwrap_or_else(|_| Err(SpineFailed("the supervisor ended".to_owned())))
        })
    }
}

impl Handler<ChildExited> for Supervisor {
    type Result = ();

    fn handle(&mut self, exited: ChildExited, context: &mut Self::Context) {
        match exited.child {
            ChildName::Source(source) => {
                self.source_exited(source, exited.incarnation, &exited.reason, context);
            }
            ChildName::Loader => {
                if self
                    .loader
                    .as_ref()
                    .is_some_and(|(incarnation, _)| *incarnation == exited.incarnation)
                {
                    self.loader = None;
                    self.spine_exited(ChildName::Loader, &exited.reason, context);
                }
            }
            ChildName::Merge => {
                if self
                    .merge
                    .as_ref()
                    .is_some_and(|(incarnation, _)| *incarnation == exited.incarnation)
                {
                    self.merge = None;
                    self.spine_exited(ChildName::Merge, &exited.reason, context);
                }
            }
        }
    }
}

impl Handler<BatchSettled> for Supervisor {
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

impl Handler<ReadSnapshot> for Supervisor {
    type Result = MessageResult<ReadSnapshot>;

    fn handle(&mut self, _read: ReadSnapshot, _context: &mut Self::Context) -> Self::Result {
        let mut snapshot = self.snapshot.clone();
        snapshot.database_wait = self
            .database_wait
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        MessageResult(snapshot)
    }
}

impl Handler<BeginShutdown> for Supervisor {
    type Result = ();

    fn handle(&mut self, _begin: BeginShutdown, context: &mut Self::Context) {
        if self.stop.send_replace(true) {
            return;
        }
        // A source that waits for its restart has nothing in hand.
        if let Some(wave) = &mut self.wave {
            for running in wave
                .sources
                .values_mut()
                .filter(|running| running.child.is_none())
            {
                running.end.get_or_insert(SourceEnd::Stopped);
            }
        }
        self.end_wave_if_done();
        if self.loader.is_none() {
            self.give_up("stopped while the loader was waiting for its restart".to_owned());
            return;
        }
        context.run_later(self.settings.shutdown_deadline, |actor, _context| {
            if let Some(wave) = &mut actor.wave {
                for running in wave.sources.values_mut() {
                    if let Some(child) = &running.child {
                        child.kill(ExitReason::Killed);
                    }
                }
            }
            if let Some((_, merge)) = &actor.merge {
                merge.kill(ExitReason::Killed);
            }
            if let Some((_, loader)) = &actor.loader {
                loader.kill(ExitReason::Killed);
            }
        });
    }
}
