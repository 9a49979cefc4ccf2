//! What the actors need of the warehouse: a session that has the lock. The program uses [`store::Writer`]; the protocol
//! tests use a scripted session.

use std::time::Duration;

use schema::PlannedTask;
use schema::doubt::DoubtLimits;
use schema::precedence::Precedence;
use store::{
    AnsweredRequest, Batch, BatchReport, Cycle, Retention, StoreError, TaskFilter, Writer,
};

/// An open session on the warehouse that has the advisory lock (A8). The session ends when the value is dropped. The
/// class of a [`StoreError`] decides whether a call is repeated.
#[expect(
    async_fn_in_trait,
    reason = "all actors live on one thread (A9), so no future has to be `Send`"
)]
pub trait StoreSession: Sized + Unpin + 'static {
    /// What a session is opened with.
    type Access: Clone + Unpin + 'static;

    /// Opens a session, waits up to `lock_patience` for the lock, and checks that no other runner has written since
    /// this runner's last session.
    async fn open(access: &Self::Access, lock_patience: Duration) -> Result<Self, StoreError>;

    /// See [`Writer::commit`].
    async fn commit(&mut self, cycle: &Cycle, batch: &Batch) -> Result<BatchReport, StoreError>;

    /// See [`Writer::checkpoint`].
    async fn checkpoint(
        &mut self,
        cycle: &Cycle,
        filter: &TaskFilter,
    ) -> Result<Vec<PlannedTask>, StoreError>;

    /// See [`Writer::heartbeat`].
    async fn heartbeat(&mut self, doing: &str) -> Result<(), StoreError>;

    /// See [`Writer::answer_requests`].
    async fn answer_requests(&mut self) -> Result<Vec<AnsweredRequest>, StoreError>;
}

/// What a [`Writer`] is opened with.
#[derive(Debug, Clone)]
pub struct WriterAccess {
    /// The connection string for [`Writer::open`]: libpq format or URL. May contain a password, so it is never logged.
    pub database: String,
    /// How many rejects, counts and other explanatory records are kept (O6).
    pub retention: Retention,
    /// The limits above which a change in many funds is a mass change (D11).
    pub doubt_limits: DoubtLimits,
    /// The ranks by which rows are merged (D4).
    pub precedence: Precedence,
}

impl StoreSession for Writer {
    type Access = WriterAccess;

    async fn open(access: &WriterAccess, lock_patience: Duration) -> Result<Self, StoreError> {
        let mut writer = Self::open(&access.database, lock_patience).await?;
        writer.is_still_ours().await?;
        writer.set_retention(access.retention);
        writer.set_doubt_limits(access.doubt_limits);
        writer.set_precedence(access.precedence.clone());
        Ok(writer)
    }

    async fn commit(&mut self, cycle: &Cycle, batch: &Batch) -> Result<BatchReport, StoreError> {
        self.commit(cycle, batch).await
    }

    async fn checkpoint(
        &mut self,
        cycle: &Cycle,
        filter: &TaskFilter,
    ) -> Result<Vec<PlannedTask>, StoreError> {
        self.checkpoint(cycle, filter).await
    }

    async fn heartbeat(&mut self, doing: &str) -> Result<(), StoreError> {
        self.heartbeat(doing).await
    }

    async fn answer_requests(&mut self) -> Result<Vec<AnsweredRequest>, StoreError> {
        self.answer_requests().await
    }
}
