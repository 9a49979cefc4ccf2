//! The whole protocol of the actors: every message, in the order in which a cycle uses them.
//!
//! ```text
//!      cycle --AskSource, TasksPlanned, GetLoader--> supervisor          cycle --OnWriter, ReadCheckpoint--> loader
//! supervisor --StartSource--> source --TaskEnded--> merge --FundBatch--> loader
//!     source <------------- TasksAcknowledged (never blocks, holds no credit) ------------- loader
//!      merge <---------------------------------- BatchSettled ---------------------------- loader
//! supervisor <-------------------- BatchSettled (loader), ChildExited (watchers) ------------------
//! supervisor --SourceGone--> merge          supervisor --ReadCheckpoint--> loader --Heartbeat--> itself
//!        run --ReadSnapshot, BeginShutdown, EndActors--> supervisor
//! ```
//!
//! Data edges wait for room (credits, rows under way, the loader's mailbox); acknowledgement edges never do, so there is no
//! cycle of waits (A4). What a source shows of itself while it works is not a message but shared state ([`crate::pulse`]).

use std::sync::Arc;

use actix::prelude::*;
use schema::failpoint::Injected;
use schema::{PlannedTask, SourceName, TaskAnswer, TaskId};
use store::{BatchReport, Cycle, Portion};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::child::ExitReason;
use crate::loader_actor::LoaderActor;
use crate::persistent_writer::{WriterFailed, WriterOp};
use crate::room::Room;
use crate::snapshot::Snapshot;

/// cycle -> supervisor: the living loader, as soon as there is one.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<Addr<LoaderActor>, SpineFailed>")]
pub struct GetLoader;

/// cycle -> loader: bookkeeping of the cycle (begin, plan, close …) on the one connection, in the order sent.
#[derive(Message)]
#[rtype(result = "Result<T, WriterFailed>")]
pub struct OnWriter<T: Send + 'static> {
    /// What it is, for the log line that names the operation that waits for the database.
    pub what: &'static str,
    /// The work; called again on a fresh connection if the connection is lost in it.
    pub op: Box<WriterOp<T>>,
}

/// cycle -> supervisor: this number of tasks of a source will be requested. Progress is measured against the sum.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct TasksPlanned {
    /// The cycle.
    pub cycle_id: i64,
    /// The source.
    pub source: SourceName,
    /// How many more.
    pub tasks: usize,
}

/// cycle -> supervisor: request these tasks of a source; answered when all of them have an outcome. A source works on one
/// such request at a time; the sources work side by side.
#[derive(Message)]
#[rtype(result = "Result<SourceEnd, SpineFailed>")]
pub struct AskSource {
    /// The cycle the tasks belong to.
    pub cycle: Arc<Cycle>,
    /// The source.
    pub source: SourceName,
    /// The tasks, in order: what is left of `portion`.
    pub tasks: Vec<PlannedTask>,
    /// How to read again what is left, when the source has to be restarted.
    pub portion: Portion,
    /// Whether a task that cannot be requested now has failed, rather than being deferred to a second round.
    pub final_round: bool,
}

/// How the work of [`AskSource`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEnd {
    /// Every task has an outcome.
    Finished,
    /// Over its restart budget: the rest of its tasks has no outcome yet.
    Quarantined(String),
    /// The program stops.
    Stopped,
}

/// Merge or loader is over budget: the cycle cannot go on (A3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpineFailed(pub String);

impl From<Injected> for SpineFailed {
    fn from(injected: Injected) -> Self {
        Self(injected.to_string())
    }
}

/// A place in the pipeline (A4) and the room for the rows in it (A5): owned, riding in the message, and given back when the
/// last message that shares it is dropped or acknowledged, so that no panic can leak it. One per wire request: tasks asked
/// together share it.
#[derive(Debug, Clone)]
pub struct Credit(#[expect(dead_code, reason = "held for its drop")] Arc<Held>);

#[derive(Debug)]
#[expect(dead_code, reason = "held for its drop")]
struct Held {
    place: OwnedSemaphorePermit,
    room: Option<OwnedSemaphorePermit>,
}

impl Credit {
    /// Wraps a permit that was acquired from the source's share, and the room for what it was answered, if that has rows.
    #[must_use]
    pub fn new(place: OwnedSemaphorePermit, room: Option<OwnedSemaphorePermit>) -> Self {
        Self(Arc::new(Held { place, room }))
    }
}

/// supervisor -> source: begin.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StartSource {
    /// What has to be asked: the unacknowledged tasks, in order.
    pub tasks: Vec<PlannedTask>,
    /// Tasks that were in flight at two deaths of this source (D6): not asked again, ended as failed with this reason.
    pub given_up: Vec<(TaskId, String)>,
    /// The source's share of the pipeline.
    pub credits: Arc<Semaphore>,
    /// For the rows of its answers; all sources share it.
    pub room: Room,
}

/// source -> merge: a task has an outcome.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TaskEnded {
    /// The cycle it was asked for.
    pub cycle: Arc<Cycle>,
    /// The answer, with all that was read.
    pub answer: TaskAnswer,
    /// Which incarnation of the source asked.
    pub incarnation: u32,
    /// Comes back when this message is dropped or acknowledged.
    pub credit: Credit,
    /// Who waits for the acknowledgement.
    pub acknowledge: Recipient<TasksAcknowledged>,
}

/// supervisor -> merge: answers of incarnations up to this one of the source are no longer wanted; they will be replayed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SourceGone {
    /// The source.
    pub source: SourceName,
    /// Its last incarnation that is gone.
    pub incarnation: u32,
}

/// merge -> loader: commit these together.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FundBatch {
    /// What ended, at least one, all of one cycle, with credits and those who wait.
    pub ended: Vec<TaskEnded>,
    /// The merge, which waits for room.
    pub settled: Recipient<BatchSettled>,
}

/// loader -> source: these tasks were committed with their acknowledgement.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct TasksAcknowledged {
    /// The tasks.
    pub tasks: Vec<TaskId>,
}

/// loader -> merge, supervisor: a batch is committed.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct BatchSettled {
    /// What was written, and the tasks with the outcomes that stand in the database.
    pub report: BatchReport,
}

/// cycle, supervisor -> loader: what is left of the cycle; answered after every queued commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<PlannedTask>, WriterFailed>")]
pub struct ReadCheckpoint {
    /// The cycle.
    pub cycle: Arc<Cycle>,
    /// Which part of what is left.
    pub portion: Portion,
}

/// loader -> itself: write a sign of life into the database. It also notices a connection, and with it the lock, that was
/// lost in a quiet hour, and gets both back: no site is asked without them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Heartbeat;

/// Which child of the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildName {
    /// The one writer.
    Loader,
    /// The merge actor.
    Merge,
    /// A source.
    Source(SourceName),
}

impl std::fmt::Display for ChildName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Loader => f.write_str("loader"),
            Self::Merge => f.write_str("merge"),
            Self::Source(source) => source.fmt(f),
        }
    }
}

/// watcher -> supervisor: a child is gone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ChildExited {
    /// Which.
    pub child: ChildName,
    /// Which incarnation of it: an older one's end is no news.
    pub incarnation: u32,
    /// Why.
    pub reason: ExitReason,
}

/// run -> supervisor: stop in order (A6).
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct BeginShutdown;

/// run -> supervisor: all is done. Everybody ends, and with the loader the session in the database: what is closed next
/// may be the server itself.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct EndActors;

/// progress bars, status -> supervisor: how things stand.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Snapshot")]
pub struct ReadSnapshot;
