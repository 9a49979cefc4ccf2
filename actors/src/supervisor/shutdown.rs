//! The supervisor's orderly stop (A6): no new requests, pending answers are committed, and a deadline applies.

use actix::prelude::*;
use schema::{SourceName, failpoint};

use super::Supervisor;
use crate::child::ExitReason;
use crate::messages::{BeginShutdown, EndActors, SourceEnd};
use crate::store_session::StoreSession;

impl<S: StoreSession> Handler<BeginShutdown> for Supervisor<S> {
    type Result = ();

    fn handle(&mut self, _begin: BeginShutdown, context: &mut Self::Context) {
        if !self.passes(failpoint::STOP_ASKED) || self.stop.send_replace(true) {
            return;
        }
        // A source that waits for its restart has no work in progress.
        let waiting: Vec<SourceName> = self
            .running
            .iter()
            .filter(|(_, running)| running.child.is_none())
            .map(|(source, _)| *source)
            .collect();
        for source in waiting {
            self.end_source(source, SourceEnd::Stopped);
        }
        if !self.passes(failpoint::STOP_TOLD) {
            return;
        }
        if self.loader.is_none() {
            self.give_up("stopped while the loader was waiting for its restart".to_owned());
            return;
        }
        context.run_later(self.settings.shutdown_deadline, |actor, _context| {
            actor.kill_all();
        });
    }
}

impl<S: StoreSession> Handler<EndActors> for Supervisor<S> {
    type Result = ();

    fn handle(&mut self, _end: EndActors, context: &mut Self::Context) {
        self.kill_all();
        context.stop();
    }
}

impl<S: StoreSession> Supervisor<S> {
    /// Kills the children top-down (A1).
    fn kill_all(&self) {
        for running in self.running.values() {
            if let Some(child) = &running.child {
                child.kill(ExitReason::Killed);
            }
        }
        if let Some((_, merge)) = &self.merge {
            merge.kill(ExitReason::Killed);
        }
        if let Some((_, loader)) = &self.loader {
            loader.kill(ExitReason::Killed);
        }
    }
}
