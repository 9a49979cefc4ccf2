//! Runs an `AskSource` from its tasks to its end: finished, quarantined, or stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::prelude::*;
use schema::{SourceName, failpoint};
use tokio::sync::oneshot;

use super::{RunningSource, Supervisor};
use crate::messages::{AskSource, SourceEnd, SpineFailed, TasksPlanned};

impl Supervisor {
    /// Removes the source and sends `end` to the caller that awaits it.
    pub(super) fn end_source(&mut self, source: SourceName, end: SourceEnd) {
        if let Some(running) = self.running.remove(&source) {
            // A dropped receiver no longer waits.
            let _ = running.reply.send(Ok(end));
        }
    }
}

impl Handler<TasksPlanned> for Supervisor {
    type Result = ();

    fn handle(&mut self, planned: TasksPlanned, _context: &mut Self::Context) {
        self.snapshot.begin(planned.cycle_id);
        self.snapshot.planned(planned.source, planned.tasks);
    }
}

impl Handler<AskSource> for Supervisor {
    type Result = ResponseFuture<Result<SourceEnd, SpineFailed>>;

    fn handle(&mut self, ask: AskSource, context: &mut Self::Context) -> Self::Result {
        self.passes(failpoint::SUPERVISOR_ASKED);
        let refused = if self.running.contains_key(&ask.source) {
            Some(SpineFailed(format!(
                "{} was to be asked while it was being asked; please report this, what was acknowledged is safe",
                ask.source
            )))
        } else {
            self.failed.clone()
        };
        if let Some(refused) = refused {
            return Box::pin(async move { Err(refused) });
        }
        if self.is_stopping() {
            return Box::pin(async { Ok(SourceEnd::Stopped) });
        }
        let (reply, ended) = oneshot::channel();
        self.running.insert(
            ask.source,
            RunningSource {
                cycle: ask.cycle,
                final_round: ask.final_round,
                portion: ask.portion,
                tasks: ask.tasks.iter().map(|task| task.id.clone()).collect(),
                child: None,
                incarnation: 0,
                pulse: Arc::default(),
                deaths: BTreeMap::new(),
                given_up: false,
                reply,
            },
        );
        if self.merge.is_some() {
            self.start_source(ask.source, ask.tasks, context);
        }
        Box::pin(async move {
            ended.await.unwrap_or_else(|_| {
                Err(SpineFailed(
                    "the supervisor ended before the source did".to_owned(),
                ))
            })
        })
    }
}
