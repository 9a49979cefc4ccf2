//! The protocol of the actors: every message, in the order in which a cycle uses them.
//!
//! ```text
//!      cycle --AskSource, TasksPlanned--> supervisor                     cycle --OnStore--> loader
//! supervisor --StartSource--> source --TaskEnded--> merge --FundBatch--> loader
//!     source <------------- TasksAcknowledged (never blocks, holds no credit) ------------- loader
//!      merge <---------------------------------- BatchSettled ---------------------------- loader
//! supervisor <-------------------- BatchSettled (loader), ChildExited (watchers) ------------------
//! supervisor --SourceGone--> merge          supervisor --OnStore--> loader --Heartbeat--> itself
//!        run --ReadSnapshot, BeginShutdown, EndActors--> supervisor
//! ```
//!
//! Data edges wait for capacity: credits, room for rows, and the number of batches that are not settled
//! (`loader_mailbox`). Acknowledgement edges never wait, so the
//! pipeline cannot deadlock (A4). The progress of a source at work is not a message but shared state
//! ([`crate::progress_probe`]).

use std::sync::Arc;

use actix::prelude::*;
use schema::failpoint::Injected;
use schema::{PlannedTask, SourceName, TaskAnswer, TaskId};
use store::{BatchReport, Cycle, TaskFilter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::child::ExitReason;
use crate::persistent_writer::{StoreOp, WriterFailed};
use crate::row_budget::RowBudget;
use crate::snapshot::Snapshot;

/// cycle, supervisor -> loader: a call of the store, run on the loader's one session in the order sent, so after every
/// batch that was queued before. A cycle sends it by a [`crate::store_handle::StoreHandle`].
pub struct OnStore<S, T> {
    /// Name of the call, for the log line that reports a wait for the database.
    pub what: &'static str,
    /// The call. It is repeated on a fresh session if the connection is lost while it runs.
    pub op: Arc<dyn StoreOp<S, T> + Send + Sync>,
}

impl<S: 'static, T: 'static> Message for OnStore<S, T> {
    type Result = Result<T, WriterFailed>;
}

/// cycle -> supervisor: this number of tasks of a source will be requested. The progress display uses the sum as the
/// total.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct TasksPlanned {
    /// The cycle.
    pub cycle_id: i64,
    /// The source.
    pub source: SourceName,
    /// Number of additional tasks.
    pub tasks: usize,
}

/// cycle -> supervisor: request these tasks of a source. The reply is sent when all of them have an outcome. A source
/// works on one `AskSource` at a time; several sources work concurrently.
#[derive(Message)]
#[rtype(result = "Result<SourceEnd, PipelineError>")]
pub struct AskSource {
    /// The cycle the tasks belong to.
    pub cycle: Arc<Cycle>,
    /// The source.
    pub source: SourceName,
    /// The unacknowledged tasks of `filter`, in the order in which they are requested.
    pub tasks: Vec<PlannedTask>,
    /// Selects the unacknowledged tasks again when the source is restarted.
    pub filter: TaskFilter,
    /// In the final round a task that cannot be requested now fails; in an earlier round it is deferred to round 2.
    pub final_round: bool,
}

/// How the work of [`AskSource`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEnd {
    /// Every task has an outcome.
    Finished,
    /// The source used up its restart budget; its remaining tasks have no outcome yet.
    Quarantined(String),
    /// The program is stopping.
    Stopped,
}

/// The merge actor or the loader used up its restart budget, so the cycle cannot continue (A3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PipelineError(pub String);

impl PipelineError {
    /// The supervisor has ended, which only a fault of the program can cause.
    #[must_use]
    pub fn supervisor_gone() -> Self {
        Self("the supervisor is gone; please report this, what was acknowledged is safe".to_owned())
    }
}

impl From<Injected> for PipelineError {
    fn from(injected: Injected) -> Self {
        Self(injected.to_string())
    }
}

/// A permit for one request and its answer in the pipeline (A4), together with the room for the answer's rows (A5). The
/// message owns the credit, so a panic cannot leak it: it is released when the last message that shares it is dropped
/// or acknowledged. Tasks that are requested with one HTTP request or page visit share one credit.
#[derive(Debug, Clone)]
pub struct Credit(#[expect(dead_code, reason = "held for its drop")] Arc<CreditPermits>);

#[derive(Debug)]
#[expect(dead_code, reason = "held for its drop")]
struct CreditPermits {
    place: OwnedSemaphorePermit,
    row_budget: Option<OwnedSemaphorePermit>,
}

impl Credit {
    /// Wraps a permit from the source's credits and, if the answer has rows, the room for them.
    #[must_use]
    pub fn new(place: OwnedSemaphorePermit, row_budget: Option<OwnedSemaphorePermit>) -> Self {
        Self(Arc::new(CreditPermits { place, row_budget }))
    }
}

/// supervisor -> source: start working on these tasks.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StartSource {
    /// The unacknowledged tasks, in the order in which they are requested.
    pub tasks: Vec<PlannedTask>,
    /// Tasks that were in flight at two failures of this source's actor (D6). They are not requested again and fail
    /// with this reason.
    pub given_up: Vec<(TaskId, String)>,
    /// The credits of this incarnation.
    pub credits: Arc<Semaphore>,
    /// The room for the rows of its answers, shared by all sources.
    pub row_budget: RowBudget,
}

/// source -> merge: the answer to a task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TaskEnded {
    /// The cycle that the task belongs to.
    pub cycle: Arc<Cycle>,
    /// The answer with its observations and rejects.
    pub answer: TaskAnswer,
    /// The incarnation of the source that sent the request.
    pub incarnation: u32,
    /// The credit, which is released when this message is dropped or acknowledged.
    pub credit: Credit,
    /// Receives the acknowledgement.
    pub acknowledge: Recipient<TasksAcknowledged>,
}

/// supervisor -> merge: drop the pending answers of this source up to this incarnation. Their tasks will be replayed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SourceGone {
    /// The source.
    pub source: SourceName,
    /// The last incarnation that has ended.
    pub incarnation: u32,
}

/// merge -> loader: commit these answers in one transaction.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FundBatch {
    /// At least one answer, all of one cycle, with their credits and acknowledgement recipients.
    pub ended: Vec<TaskEnded>,
    /// The merge actor, which is informed when the batch is committed.
    pub settled: Recipient<BatchSettled>,
}

/// loader -> source: the answers to these tasks and their acknowledgements are committed.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct TasksAcknowledged {
    /// The task of each answer.
    pub answers: Vec<AcknowledgedAnswer>,
}

/// An answer that is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcknowledgedAnswer {
    /// Its task.
    pub task: TaskId,
    /// Whether the task ended with it. A list with cursors has one answer for each of its pages.
    pub is_finished: bool,
}

/// loader -> merge, supervisor: a batch is committed.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct BatchSettled {
    /// The rows written, and the tasks with the outcomes that the database recorded.
    pub report: BatchReport,
}

/// loader -> itself: write a heartbeat to the database. This also detects a connection that was lost while the loader
/// was idle, and opens a new one with the lock. Without connection and lock no site is requested.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Heartbeat;

/// Name of a child of the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildName {
    /// The loader, the only writer.
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

/// watcher -> supervisor: a child ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ChildExited {
    /// The child.
    pub child: ChildName,
    /// The incarnation of the child. The end of an older incarnation is ignored.
    pub incarnation: u32,
    /// The reason why the child ended.
    pub reason: ExitReason,
}

/// run -> supervisor: start an orderly stop (A6).
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct BeginShutdown;

/// run -> supervisor: all work is done, end all actors. Ending the loader also closes the database session, because the
/// caller may shut down the server next.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct EndActors;

/// run, progress display -> supervisor: return the progress of the run.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Snapshot")]
pub struct ReadSnapshot;
