//! Handles the end of a child: which actors are restarted with which tasks, and which are given up (A1-A3).

use std::sync::Arc;

use actix::prelude::*;
use schema::{PlannedTask, SourceName, failpoint};
use tokio::time::Instant;

use super::Supervisor;
use crate::child::ExitReason;
use crate::messages::{ChildExited, ChildName, OnStore, PipelineError, SourceEnd, SourceGone};
use crate::restart_policy::Verdict;
use crate::store_session::StoreSession;

impl<S: StoreSession> Supervisor<S> {
    /// Starts a source again that is not running, with its unacknowledged tasks. The loader reads these tasks after all
    /// queued commits (A1).
    pub(super) fn revive_source(&mut self, source: SourceName, context: &mut Context<Self>) {
        let waiting = self
            .running
            .get(&source)
            .filter(|running| running.child.is_none() && !running.given_up);
        let (Some(running), Some((_, merge)), Some((loader_incarnation, loader))) =
            (waiting, &self.merge, &self.loader)
        else {
            return;
        };
        let gone = SourceGone {
            source,
            incarnation: running.incarnation,
        };
        let (cycle, filter) = (Arc::clone(&running.cycle), running.filter.clone());
        let read = OnStore {
            what: "reading the checkpoint",
            op: Arc::new(async move |session: &mut S| session.checkpoint(&cycle, &filter).await),
        };
        let (merge, loader, asked_of) = (
            merge.address.clone(),
            loader.address.clone(),
            *loader_incarnation,
        );
        context.spawn(
            async move {
                // First the merge actor drops the dead incarnation's pending answers; answers in a batch will be
                // committed. After that, the loader's reply is final.
                merge.send(gone).await.ok()?;
                loader.send(read).await.ok()?.ok()
            }
            .into_actor(self)
            .map(move |left, actor, context| {
                // No reply means that the merge actor or the loader is gone: its own restart revives all sources.
                let same_loader = actor.loader.as_ref().is_some_and(|(incarnation, _)| *incarnation == asked_of);
                let (Some(left), true) = (left, same_loader) else {
                    return;
                };
                let Some(running) = actor.running.get(&source).filter(|running| running.child.is_none() && !running.given_up) else {
                    return;
                };
                let tasks: Vec<PlannedTask> = left.into_iter().filter(|task| running.tasks.contains(&task.id)).collect();
                if actor.passes(failpoint::SUPERVISOR_REVIVING) {
                    tracing::info!(%source, tasks = tasks.len(), "restarted from the last acknowledged checkpoint");
                    actor.start_source(source, tasks, context);
                }
            }),
        );
    }

    pub(super) fn source_exited(
        &mut self,
        source: SourceName,
        incarnation: u32,
        reason: &ExitReason,
        context: &mut Context<Self>,
    ) {
        let stopping = self.is_stopping();
        let Some(running) = self.running.get_mut(&source) else {
            return;
        };
        if running.incarnation != incarnation || running.child.is_none() {
            return;
        }
        running.child = None;
        match reason {
            ExitReason::Finished => self.end_source(source, SourceEnd::Finished),
            ExitReason::Asked => self.end_source(source, SourceEnd::Stopped),
            _ if stopping => self.end_source(source, SourceEnd::Stopped),
            _ => {
                for task in running.probe.in_flight() {
                    *running.deaths.entry(task).or_insert(0) += 1;
                }
                match self
                    .history(ChildName::Source(source))
                    .failed(Instant::now(), rand::random())
                {
                    Verdict::RestartAfter(delay) => {
                        tracing::warn!(%source, %reason, restart_after_secs = delay.as_secs_f64(), "a source actor failed; it is restarted, acknowledged data is safe");
                        self.snapshot.restarts += 1;
                        context.run_later(delay, move |actor, context| {
                            if actor.passes(failpoint::SUPERVISOR_RESTARTING) {
                                actor.revive_source(source, context);
                            }
                        });
                    }
                    Verdict::GiveUp => {
                        let why = format!(
                            "quarantined for this round after too many restarts; last: {reason}"
                        );
                        tracing::error!(%source, %reason, "quarantined: over its restart budget; the other sources continue");
                        self.quarantine(source, incarnation, why, context);
                    }
                }
            }
        }
    }

    /// Ends the source after the merge actor has dropped its pending answers. Tasks whose answers are not in a batch by
    /// then have no outcome yet; they get the outcome of a quarantined source.
    pub(super) fn quarantine(
        &mut self,
        source: SourceName,
        incarnation: u32,
        why: String,
        context: &mut Context<Self>,
    ) {
        if let Some(running) = self.running.get_mut(&source) {
            running.given_up = true;
        }
        let merge = self.merge.as_ref().map(|(_, merge)| merge.address.clone());
        context.spawn(
            async move {
                if let Some(merge) = merge {
                    // A merge actor that is gone has no pending answers.
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
                actor.end_source(source, SourceEnd::Quarantined(why));
            }),
        );
    }

    pub(super) fn pipeline_exited(
        &mut self,
        child: ChildName,
        reason: &ExitReason,
        context: &mut Context<Self>,
    ) {
        // rest_for_one: the actors that feed the failed one end as well, and are started again after it.
        for running in self.running.values_mut() {
            if let Some(source) = running.child.take() {
                source.kill(ExitReason::Killed);
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
        if let ExitReason::Final(why) = reason {
            self.give_up(why.clone());
            return;
        }
        match self.history(child).failed(Instant::now(), rand::random()) {
            Verdict::RestartAfter(delay) => {
                tracing::warn!(%child, %reason, restart_after_secs = delay.as_secs_f64(), "an actor failed; it and those that feed it are restarted from the checkpoint");
                self.snapshot.restarts += 1;
                context.run_later(delay, |actor, context| {
                    if !actor.passes(failpoint::SUPERVISOR_RESTARTING) {
                        return;
                    }
                    actor.start_pipeline(context);
                    if !actor.passes(failpoint::SUPERVISOR_RESTARTED) {
                        return;
                    }
                    let sources: Vec<SourceName> = actor.running.keys().copied().collect();
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

    /// Ends the cycle: all callers that wait receive the error.
    pub(super) fn give_up(&mut self, why: String) {
        let failed = PipelineError(why);
        for running in std::mem::take(&mut self.running).into_values() {
            // A dropped receiver no longer waits.
            let _ = running.reply.send(Err(failed.clone()));
        }
        self.failed = Some(failed);
        self.publish_loader();
    }

    pub(super) fn look_for_stuck(&self) {
        let now = Instant::now();
        for (source, running) in &self.running {
            let Some(child) = &running.child else {
                continue;
            };
            let silent = running.probe.longest_silence(now);
            if silent > self.settings.stuck_after {
                tracing::warn!(%source, silent_secs = silent.as_secs(), "no progress and nothing to wait for: ending the actor");
                child.kill(ExitReason::Stuck);
            }
        }
    }
}

impl<S: StoreSession> Handler<ChildExited> for Supervisor<S> {
    type Result = ();

    fn handle(&mut self, exited: ChildExited, context: &mut Self::Context) {
        if !self.passes(failpoint::SUPERVISOR_EXITED) {
            return;
        }
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
                    self.publish_loader();
                    self.pipeline_exited(ChildName::Loader, &exited.reason, context);
                }
            }
            ChildName::Merge => {
                if self
                    .merge
                    .as_ref()
                    .is_some_and(|(incarnation, _)| *incarnation == exited.incarnation)
                {
                    self.merge = None;
                    self.pipeline_exited(ChildName::Merge, &exited.reason, context);
                }
            }
        }
    }
}
