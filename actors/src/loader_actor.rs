//! The one writer (A8): owns the one connection that holds the advisory lock, and runs every transaction on it, one
//! after the other.
//!
//! A database outage is not a failure of this actor (A2): it is waited out in place, visibly, and what was in hand is
//! done again on a fresh connection. A batch whose COMMIT got no answer is looked up by its name, never guessed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use schema::failpoint;
use schema::store::{Batch, Writer};
use schema::{PlannedTask, SourceName, TaskId};
use tokio::sync::watch;

use crate::child::{ExitReason, ExitSlip};
use crate::messages::{BatchSettled, FundBatch, ReadCheckpoint, TasksAcknowledged};
use crate::persistent_writer::{DatabaseWait, PersistentWriter};
pub use crate::persistent_writer::{Revive, WriterFailed, WriterOp, WriterSettings};

/// How often the holder of the database shows that it lives.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// A sign of life that takes longer has met a connection whose other side is gone without a word.
const HEARTBEAT_LIMIT: Duration = Duration::from_secs(90);

/// The actor.
pub struct LoaderActor {
    settings: WriterSettings,
    /// `None` until the first use and while the connection is lost.
    writer: Option<Writer>,
    settled: Recipient<BatchSettled>,
    waits_for: DatabaseWait,
    stop: watch::Receiver<bool>,
    slip: ExitSlip,
    heartbeat_queued: bool,
    /// Whether anything was done on the writer since the last heartbeat.
    used_since_heartbeat: bool,
}

impl LoaderActor {
    /// A fresh incarnation; `writer` is handed over where one is already open.
    #[must_use]
    pub const fn new(
        settings: WriterSettings,
        writer: Option<Writer>,
        settled: Recipient<BatchSettled>,
        waits_for: DatabaseWait,
        stop: watch::Receiver<bool>,
        slip: ExitSlip,
    ) -> Self {
        Self {
            settings,
            writer,
            settled,
            waits_for,
            stop,
            slip,
            heartbeat_queued: false,
            used_since_heartbeat: false,
        }
    }

    fn persistent(&mut self) -> PersistentWriter {
        self.used_since_heartbeat = true;
        PersistentWriter {
            settings: self.settings.clone(),
            writer: self.writer.take(),
            waits_for: Arc::clone(&self.waits_for),
            stop: self.stop.clone(),
            slip: self.slip.clone(),
        }
    }

    /// Ends this incarnation: what it could not do is judged by the restart policy.
    fn fail(&self, error: &WriterFailed, context: &mut Context<Self>) {
        self.slip.leave(ExitReason::Failed(error.0.clone()));
        context.stop();
    }
}

impl Actor for LoaderActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(HEARTBEAT_EVERY, |actor, context| {
            // One at a time: while the database is away or busy, no heap of heartbeats grows.
            if !actor.heartbeat_queued {
                actor.heartbeat_queued = true;
                context.notify(Heartbeat);
            }
        });
    }
}

/// To itself: a sign of life in the database. It also notices a connection, and with it the lock, that was lost in a
/// quiet hour; the next use then takes a fresh one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Heartbeat;

impl Handler<Heartbeat> for LoaderActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _beat: Heartbeat, _context: &mut Self::Context) -> Self::Result {
        let writer = self.writer.take();
        let doing = if self.used_since_heartbeat {
            "writing"
        } else {
            "waiting"
        };
        self.used_since_heartbeat = false;
        AtomicResponse::new(Box::pin(
            async move {
                let mut writer = writer?;
                let why = match tokio::time::timeout(HEARTBEAT_LIMIT, writer.heartbeat(doing)).await {
                    Ok(Ok(())) => return Some(writer),
                    Ok(Err(error)) if error.keeps_session() => {
                        tracing::warn!(%error, "the sign of life could not be written");
                        return Some(writer);
                    }
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("no answer within {} s", HEARTBEAT_LIMIT.as_secs()),
                };
                tracing::warn!(error = why, "the connection to the database was lost while nothing was written; the next use takes a fresh one");
                None
            }
            .into_actor(self)
            .map(|writer, actor, _context| {
                actor.writer = writer;
                actor.heartbeat_queued = false;
            }),
        ))
    }
}

/// supervisor, cycle -> loader: bookkeeping of the cycle (begin, plan, close …) on the one connection, in the order sent.
#[derive(Message)]
#[rtype(result = "Result<T, WriterFailed>")]
pub struct OnWriter<T: Send + 'static> {
    /// What it is, for the line that says what the database is awaited for.
    pub what: &'static str,
    /// The work; called again on a fresh connection if the connection is lost in it.
    pub op: Box<WriterOp<T>>,
}

impl<T: Send + 'static> Handler<OnWriter<T>> for LoaderActor {
    type Result = AtomicResponse<Self, Result<T, WriterFailed>>;

    fn handle(&mut self, call: OnWriter<T>, _context: &mut Self::Context) -> Self::Result {
        let mut persistent = self.persistent();
        AtomicResponse::new(Box::pin(
            async move {
                let result = persistent.run(call.what, &*call.op).await;
                (result, persistent.writer)
            }
            .into_actor(self)
            .map(|(result, writer), actor, context| {
                actor.writer = writer;
                if let Err(error) = &result {
                    actor.fail(error, context);
                }
                result
            }),
        ))
    }
}

impl Handler<ReadCheckpoint> for LoaderActor {
    type Result = AtomicResponse<Self, Result<Vec<PlannedTask>, WriterFailed>>;

    fn handle(&mut self, read: ReadCheckpoint, context: &mut Self::Context) -> Self::Result {
        self.handle(
            OnWriter {
                what: "reading the checkpoint",
                op: Box::new(move |writer| {
                    let cycle = Arc::clone(&read.cycle);
                    Box::pin(async move { writer.checkpoint(&cycle).await })
                }),
            },
            context,
        )
    }
}

impl Handler<FundBatch> for LoaderActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, batch: FundBatch, _context: &mut Self::Context) -> Self::Result {
        let mut persistent = self.persistent();
        let settled = self.settled.clone();
        AtomicResponse::new(Box::pin(
            async move {
                let result = commit_batch(batch, &mut persistent, &settled).await;
                (result, persistent.writer)
            }
            .into_actor(self)
            .map(|(result, writer), actor, context| {
                actor.writer = writer;
                if let Err(error) = result {
                    actor.fail(&error, context);
                }
            }),
        ))
    }
}

/// Commits a batch and tells everybody who waits for it: the sources, the merge, and `supervisor`.
async fn commit_batch(
    batch: FundBatch,
    persistent: &mut PersistentWriter,
    supervisor: &Recipient<BatchSettled>,
) -> Result<(), WriterFailed> {
    failpoint::LOADER_RECEIVED.pass().await?;
    let FundBatch { ended, settled } = batch;
    let Some(cycle) = ended.first().map(|first| Arc::clone(&first.cycle)) else {
        return Ok(());
    };
    let mut waiting: BTreeMap<SourceName, (Recipient<TasksAcknowledged>, Vec<TaskId>)> =
        BTreeMap::new();
    let mut answers = Vec::with_capacity(ended.len());
    // The credits live until the batch is committed.
    let mut credits = Vec::with_capacity(ended.len());
    for task in ended {
        waiting
            .entry(task.answer.id.source)
            .or_insert_with(|| (task.acknowledge.clone(), Vec::new()))
            .1
            .push(task.answer.id.clone());
        credits.push(task.credit);
        answers.push(task.answer);
    }
    // Named once: by this name a COMMIT without an answer is found again.
    let work = Arc::new(Batch::new(answers));
    let report = persistent
        .run("committing a batch", &move |writer: &mut Writer| {
            let (cycle, work) = (Arc::clone(&cycle), Arc::clone(&work));
            Box::pin(async move { writer.commit(&cycle, &work).await })
        })
        .await?;
    failpoint::LOADER_COMMITTED.pass().await?;
    for (recipient, tasks) in waiting.into_values() {
        recipient.do_send(TasksAcknowledged { tasks });
    }
    failpoint::LOADER_ACKNOWLEDGED.pass().await?;
    let news = BatchSettled { report };
    settled.do_send(news.clone());
    drop(credits);
    supervisor.do_send(news);
    failpoint::LOADER_SETTLED.pass().await?;
    Ok(())
}
