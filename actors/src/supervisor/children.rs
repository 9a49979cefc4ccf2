//! Builds the supervisor's children: loader and merge actor bottom-up, and a source actor with its tasks. The sizes of
//! their mailboxes are set here.

use std::sync::Arc;

use actix::prelude::*;
use schema::{PlannedTask, SourceName};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Supervisor;
use crate::child::{Child, ExitReason};
use crate::loader_actor::LoaderActor;
use crate::merge_actor::MergeActor;
use crate::messages::{ChildExited, ChildName, StartSource};
use crate::progress_probe::ProgressProbe;
use crate::restart_policy::RestartHistory;
use crate::source_actor::{SourceActor, SourceSettings};
use crate::store_session::StoreSession;

/// A task is given up when the source actor failed this many times with the task in flight (D6).
const DEATHS_PER_TASK: u32 = 2;

impl<S: StoreSession> Supervisor<S> {
    pub(super) fn next_incarnation(&mut self) -> u32 {
        self.incarnations += 1;
        self.incarnations
    }

    pub(super) fn tell_exit(
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

    pub(super) fn history(&mut self, child: ChildName) -> &mut RestartHistory {
        let policy = match child {
            ChildName::Source(_) => self.settings.source_policy,
            ChildName::Loader | ChildName::Merge => self.settings.pipeline_policy,
        };
        self.histories
            .entry(child)
            .or_insert_with(|| RestartHistory::new(policy, Instant::now()))
    }

    /// Starts the loader and the merge actor, bottom-up, where they are not running.
    pub(super) fn start_pipeline(&mut self, context: &mut Context<Self>) {
        let loader = if let Some((_, loader)) = &self.loader {
            loader.address.clone()
        } else {
            let incarnation = self.next_incarnation();
            let settings = self.settings.writer.clone();
            let writer = self.first_writer.take();
            let settled = context.address().recipient();
            let lease = self.settings.lease.clone();
            let (waits_for, stop) = (Arc::clone(&self.database_wait), self.stop.subscribe());
            let child = Child::start(
                // Places for the batches, and for 4 calls of the cycle and the supervisor.
                self.settings.sizes.loader_mailbox.get() + 4,
                move |slip| {
                    LoaderActor::new(settings, writer, settled, waits_for, stop, slip, lease)
                },
                Self::tell_exit(ChildName::Loader, incarnation, context),
            );
            let address = child.address.clone();
            self.loader = Some((incarnation, child));
            self.history(ChildName::Loader).started(Instant::now());
            self.publish_loader();
            address
        };
        if self.merge.is_none() {
            let incarnation = self.next_incarnation();
            let sizes = self.settings.sizes;
            let child = Child::start(
                sizes.credits.get() * self.settings.askers.len().max(1),
                move |slip| MergeActor::new(loader.recipient(), sizes.loader_mailbox.get(), slip),
                Self::tell_exit(ChildName::Merge, incarnation, context),
            );
            self.merge = Some((incarnation, child));
            self.history(ChildName::Merge).started(Instant::now());
        }
    }

    /// Starts a fresh incarnation of a running source with `tasks`.
    pub(super) fn start_source(
        &mut self,
        source: SourceName,
        tasks: Vec<PlannedTask>,
        context: &mut Context<Self>,
    ) {
        let incarnation = self.next_incarnation();
        let (Some(running), Some((_, merge)), Some(fetcher)) = (
            self.running.get_mut(&source),
            &self.merge,
            self.settings.askers.get(&source),
        ) else {
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
            .map(|task| (task.id, format!("the {source} actor died {DEATHS_PER_TASK} times with this task in flight; it is not requested a third time")))
            .collect();
        let probe = Arc::new(ProgressProbe::default());
        let settings = SourceSettings {
            asked: fetcher.clone(),
            cycle: Arc::clone(&running.cycle),
            final_round: running.final_round,
            fetches_in_flight: self.settings.sizes.fetches_in_flight.get(),
            incarnation,
            merge: merge.address.clone(),
            stop: self.stop.subscribe(),
        };
        let shown = Arc::clone(&probe);
        let child = Child::start(
            self.settings.sizes.credits.get(),
            move |slip| SourceActor::new(settings, shown, slip),
            Self::tell_exit(ChildName::Source(source), incarnation, context),
        );
        child.address.do_send(StartSource {
            tasks,
            given_up,
            // Fresh credits, so that permits held by a dead incarnation are neither missing nor counted twice.
            credits: Arc::new(Semaphore::new(self.settings.sizes.credits.get())),
            row_budget: self.row_budget.clone(),
        });
        running.incarnation = incarnation;
        running.probe = probe;
        running.child = Some(child);
        self.history(ChildName::Source(source))
            .started(Instant::now());
    }
}
