//! The loader actor, the only writer (A8): owns the one connection that has the advisory lock, and runs all
//! transactions on it, one after the other.
//!
//! A database outage is not a failure of this actor (A2). It waits in place, reports the wait, and repeats the
//! operation on a fresh connection. If a COMMIT got no reply, the batch is looked up by its id instead of being assumed
//! committed or lost.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use schema::{SourceName, failpoint};
use sources::transport::AskingLease;
use store::Batch;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::child::{ExitReason, ExitSlip};
use crate::messages::{
    AcknowledgedAnswer, BatchSettled, FundBatch, Heartbeat, OnStore, TasksAcknowledged,
};
use crate::persistent_writer::{DatabaseWait, PersistentWriter};
pub use crate::persistent_writer::{Revive, WriterFailed, WriterSettings};
use crate::store_session::StoreSession;

/// Interval between heartbeats of the lock holder. A standby runner uses them to detect a holder without progress.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// Interval between checks for requests of commands. The checks take place between two messages and while idle.
const REQUESTS_EVERY: Duration = Duration::from_secs(2);
/// Time limit of a heartbeat. If it takes longer, the peer of the connection is assumed to be gone.
const HEARTBEAT_LIMIT: Duration = Duration::from_secs(90);

/// The loader actor: the only owner of the writer.
pub struct LoaderActor<S: StoreSession> {
    /// Locked while a message is handled. One message is handled after the other, so the lock is always free.
    writer: Rc<Mutex<PersistentWriter<S>>>,
    settled: Recipient<BatchSettled>,
    stop: watch::Receiver<bool>,
    slip: ExitSlip,
    lease: AskingLease,
    heartbeat_queued: bool,
    /// Whether the writer was used since the last heartbeat.
    used_since_heartbeat: bool,
    /// Time of the last check for requests.
    looked_for_requests: Option<Instant>,
}

impl<S: StoreSession> LoaderActor<S> {
    /// Creates a fresh incarnation; `session` is an already open one, if there is one.
    #[must_use]
    pub fn new(
        settings: WriterSettings<S::Access>,
        session: Option<S>,
        settled: Recipient<BatchSettled>,
        waits_for: DatabaseWait,
        stop: watch::Receiver<bool>,
        slip: ExitSlip,
        lease: AskingLease,
    ) -> Self {
        let writer = PersistentWriter {
            settings,
            session,
            waits_for,
            stop: stop.clone(),
            slip: slip.clone(),
        };
        Self {
            writer: Rc::new(Mutex::new(writer)),
            settled,
            stop,
            slip,
            lease,
            heartbeat_queued: false,
            used_since_heartbeat: false,
            looked_for_requests: None,
        }
    }

    /// Whether a check for requests is due; if so, records it as done. During a stop no request is started.
    fn requests_are_due(&mut self) -> bool {
        let is_due = self
            .looked_for_requests
            .is_none_or(|looked| looked.elapsed() >= REQUESTS_EVERY);
        let looks = is_due && !*self.stop.borrow();
        if looks {
            self.looked_for_requests = Some(Instant::now());
        }
        looks
    }

    /// Runs `work` on the writer before the next message is handled; before it a heartbeat, after it the requests of
    /// commands, if they are due.
    fn turn<T: 'static>(
        &mut self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut PersistentWriter<S>) -> Result<T, WriterFailed> + 'static,
    ) -> impl ActorFuture<Self, Output = Result<T, WriterFailed>> + 'static {
        self.used_since_heartbeat = true;
        let requests_are_due = self.requests_are_due();
        let writer = Rc::clone(&self.writer);
        let lease = self.lease.clone();
        async move {
            let mut writer = writer.lock().await;
            show_life(&mut writer.session, &lease, doing).await;
            let value = work(&mut writer).await?;
            if requests_are_due {
                answer_requests(&mut writer).await?;
            }
            Ok(value)
        }
        .into_actor(self)
    }

    /// Queues a heartbeat in the mailbox, like every other message. `Context::notify` would not do: such a message is
    /// handled while the future of another message is pending, and that future has locked the writer.
    fn queue_heartbeat(&mut self, context: &mut Context<Self>) {
        // At most one is queued, so heartbeats do not pile up while the database is away or busy.
        if !self.heartbeat_queued {
            self.heartbeat_queued = true;
            context.address().do_send(Heartbeat);
        }
    }

    /// Ends this incarnation as failed; the restart policy decides what follows.
    fn fail(&self, error: &WriterFailed, context: &mut Context<Self>) {
        self.slip.leave(ExitReason::Failed(error.0.clone()));
        context.stop();
    }
}

impl<S: StoreSession> Actor for LoaderActor<S> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // The first heartbeat is written immediately, because no page is requested before it.
        self.queue_heartbeat(context);
        context.run_interval(HEARTBEAT_EVERY, Self::queue_heartbeat);
    }
}

impl<S: StoreSession> Handler<Heartbeat> for LoaderActor<S> {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _beat: Heartbeat, _context: &mut Self::Context) -> Self::Result {
        let doing = if self.used_since_heartbeat {
            "writing"
        } else {
            "waiting"
        };
        let beat = self.turn(doing, async |writer| {
            if writer.session.is_some() {
                return Ok(());
            }
            let beat = async |session: &mut S| session.heartbeat("waiting").await;
            writer.run("keeping the lock", &beat).await
        });
        self.used_since_heartbeat = false;
        AtomicResponse::new(Box::pin(beat.map(|kept, actor, context| {
            actor.heartbeat_queued = false;
            match kept {
                // A stop does not wait for an unavailable database: no work is in progress here.
                Err(error) if !*actor.stop.borrow() => actor.fail(&error, context),
                _ => {}
            }
        })))
    }
}

/// Applies the requests that commands have stored in the database.
async fn answer_requests<S: StoreSession>(
    writer: &mut PersistentWriter<S>,
) -> Result<(), WriterFailed> {
    let answer = async |session: &mut S| session.answer_requests().await;
    let answered = writer.run("answering requests", &answer).await?;
    for request in answered {
        tracing::info!(
            request = request.id,
            command = request.command,
            requested_by = request.requested_by,
            is_done = request.answer.is_done,
            answer = request.answer.answer,
            "request answered"
        );
    }
    Ok(())
}

/// Writes a heartbeat if one is due. Every other operation calls this as well, because the timer's message waits in the
/// mailbox while an operation runs. If the connection fails, it is dropped, and the next use opens a fresh connection.
async fn show_life<S: StoreSession>(session: &mut Option<S>, lease: &AskingLease, doing: &str) {
    if lease.was_shown_within(HEARTBEAT_EVERY / 2) {
        return;
    }
    let Some(living) = session else {
        return;
    };
    // The lease is counted from the time before sending, because the time of arrival at the server is unknown.
    let at = tokio::time::Instant::now();
    let why = match tokio::time::timeout(HEARTBEAT_LIMIT, living.heartbeat(doing)).await {
        Ok(Ok(())) => {
            lease.renew(at);
            return;
        }
        Ok(Err(error)) if error.keeps_session() => {
            tracing::warn!(%error, "the heartbeat could not be written");
            return;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", HEARTBEAT_LIMIT.as_secs()),
    };
    tracing::warn!(
        error = why,
        "the connection to the database was lost while nothing was written; a new one is opened"
    );
    *session = None;
}

impl<S: StoreSession, T: Send + 'static> Handler<OnStore<S, T>> for LoaderActor<S> {
    type Result = AtomicResponse<Self, Result<T, WriterFailed>>;

    fn handle(&mut self, call: OnStore<S, T>, _context: &mut Self::Context) -> Self::Result {
        let turn = self.turn("writing", async move |writer| {
            writer.run(call.what, &*call.op).await
        });
        AtomicResponse::new(Box::pin(turn.map(|result, actor, context| {
            if let Err(error) = &result {
                actor.fail(error, context);
            }
            result
        })))
    }
}

impl<S: StoreSession> Handler<FundBatch> for LoaderActor<S> {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, batch: FundBatch, _context: &mut Self::Context) -> Self::Result {
        let settled = self.settled.clone();
        let turn = self.turn("writing", async move |writer| {
            commit_batch(batch, writer, &settled).await
        });
        AtomicResponse::new(Box::pin(turn.map(|result, actor, context| {
            if let Err(error) = result {
                actor.fail(&error, context);
            }
        })))
    }
}

/// Commits a batch and notifies the sources, the merge actor, and `supervisor`.
async fn commit_batch<S: StoreSession>(
    batch: FundBatch,
    writer: &mut PersistentWriter<S>,
    supervisor: &Recipient<BatchSettled>,
) -> Result<(), WriterFailed> {
    failpoint::LOADER_RECEIVED.pass().await?;
    let FundBatch { ended, settled } = batch;
    let Some(cycle) = ended.first().map(|first| Arc::clone(&first.cycle)) else {
        return Ok(());
    };
    let mut waiting: BTreeMap<SourceName, (Recipient<TasksAcknowledged>, Vec<AcknowledgedAnswer>)> =
        BTreeMap::new();
    let mut answers = Vec::with_capacity(ended.len());
    // The credits are kept until the batch is committed.
    let mut credits = Vec::with_capacity(ended.len());
    for task in ended {
        waiting
            .entry(task.answer.id.source)
            .or_insert_with(|| (task.acknowledge.clone(), Vec::new()))
            .1
            .push(AcknowledgedAnswer {
                task: task.answer.id.clone(),
                is_finished: task.answer.is_finished(),
            });
        credits.push(task.credit);
        answers.push(task.answer);
    }
    // The batch gets its id before the first attempt: after a COMMIT without a reply it is looked up by this id.
    let work = Batch::new(answers);
    let commit = async |session: &mut S| session.commit(&cycle, &work).await;
    let report = writer.run("committing a batch", &commit).await?;
    failpoint::LOADER_COMMITTED.pass().await?;
    for (recipient, answers) in waiting.into_values() {
        recipient.do_send(TasksAcknowledged { answers });
    }
    failpoint::LOADER_ACKNOWLEDGED.pass().await?;
    let news = BatchSettled { report };
    settled.do_send(news.clone());
    drop(credits);
    supervisor.do_send(news);
    failpoint::LOADER_SETTLED.pass().await?;
    Ok(())
}
