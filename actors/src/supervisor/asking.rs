//! The supervisor's handling of [`AskSource`]: starts the source with its tasks, and replies when it is finished,
//! quarantined or stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::prelude::*;
use schema::{SourceName, failpoint};
use tokio::sync::oneshot;

use super::{RunningSource, Supervisor};
use crate::messages::{AskSource, PipelineError, SourceEnd, TasksPlanned};
use crate::store_session::StoreSession;

impl<S: StoreSession> Supervisor<S> {
    /// Removes the source and sends `end` to the caller that awaits it.
    pub(super) fn end_source(&mut self, source: SourceName, end: SourceEnd) {
        if let Some(running) = self.running.remove(&source) {
            // A dropped receiver no longer waits.
            let _ = running.reply.send(Ok(end));
        }
    }
}

impl<S: StoreSession> Handler<TasksPlanned> for Supervisor<S> {
    type Result = ();

    fn handle(&mut self, planned: TasksPlanned, _context: &mut Self::Context) {
        self.snapshot.begin(planned.cycle_id);
        self.snapshot.planned(planned.source, planned.tasks);
    }
}

impl<S: StoreSession> Handler<AskSource> for Supervisor<S> {
    type Result = ResponseFuture<Result<SourceEnd, PipelineError>>;

    fn handle(&mut self, ask: AskSource, context: &mut Self::Context) -> Self::Result {
        self.passes(failpoint::SUPERVISOR_ASKED);
        let refused = if self.running.contains_key(&ask.source) {
            Some(PipelineError(format!(
                "{} was given tasks while it was working on others; please report this, what was acknowledged is safe",
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
                filter: ask.filter,
                tasks: ask.tasks.iter().map(|task| task.id.clone()).collect(),
                child: None,
                incarnation: 0,
                probe: Arc::default(),
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
                Err(PipelineError(
                    "the supervisor ended before the source did".to_owned(),
                ))
            })
        })
    }
}
