//! The crate `store` for the protocol model: everything is the real one except the writer, whose database is the one
//! that a test installs.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use schema::PlannedTask;
use schema::doubt::DoubtLimits;
pub use store::*;

/// The number of a session.
pub type Session = u32;

/// Stands in for PostgreSQL.
pub trait Database {
    /// Opens a session that has the lock.
    fn open(&self) -> LocalBoxFuture<'_, Result<Session, StoreError>>;
    /// See the real [`store::Writer::commit`].
    fn commit<'call>(
        &'call self,
        session: Session,
        batch: &'call Batch,
    ) -> LocalBoxFuture<'call, Result<BatchReport, StoreError>>;
    /// See the real [`store::Writer::checkpoint`].
    fn checkpoint(
        &self,
        session: Session,
    ) -> LocalBoxFuture<'_, Result<Vec<PlannedTask>, StoreError>>;
    /// See the real [`store::Writer::heartbeat`].
    fn heartbeat(&self, session: Session) -> LocalBoxFuture<'_, Result<(), StoreError>>;
    /// Ends the session.
    fn end(&self, session: Session);
}

thread_local! {
    static DATABASE: RefCell<Option<Rc<dyn Database>>> = const { RefCell::new(None) };
}

/// Makes the writers of this thread use `database`.
pub fn install(database: Rc<dyn Database>) {
    DATABASE.set(Some(database));
}

/// Replaces [`store::Writer`], with the same methods.
pub struct Writer {
    database: Rc<dyn Database>,
    session: Session,
}

impl Writer {
    /// Opens a session on the installed database.
    ///
    /// # Errors
    /// As scripted.
    pub async fn open(_database: &str, _lock_patience: Duration) -> Result<Self, StoreError> {
        let Some(database) = DATABASE.with_borrow(Clone::clone) else {
            return Err(StoreError::Refused("no database is installed".to_owned()));
        };
        let session = database.open().await?;
        Ok(Self { database, session })
    }

    /// Does nothing in the model.
    pub const fn set_retention(&mut self, _retention: Retention) {}

    /// Does nothing in the model.
    pub const fn set_doubt_limits(&mut self, _limits: DoubtLimits) {}

    /// # Errors
    /// As scripted.
    pub async fn commit(
        &mut self,
        _cycle: &Cycle,
        batch: &Batch,
    ) -> Result<BatchReport, StoreError> {
        self.database.commit(self.session, batch).await
    }

    /// # Errors
    /// As scripted.
    pub async fn checkpoint(
        &mut self,
        _cycle: &Cycle,
        _portion: &TaskFilter,
    ) -> Result<Vec<PlannedTask>, StoreError> {
        self.database.checkpoint(self.session).await
    }

    /// # Errors
    /// As scripted.
    pub async fn heartbeat(&mut self, _doing: &str) -> Result<(), StoreError> {
        self.database.heartbeat(self.session).await
    }

    /// In the model no command stores requests.
    ///
    /// # Errors
    /// None.
    #[allow(
        clippy::unused_async,
        reason = "the same call as the real one, which reads requests"
    )]
    pub async fn answer_requests(&mut self) -> Result<Vec<AnsweredRequest>, StoreError> {
        Ok(Vec::new())
    }

    /// In the model there is no other runner.
    ///
    /// # Errors
    /// None.
    #[allow(
        clippy::unused_async,
        reason = "the same call as the real one, which asks"
    )]
    pub async fn is_still_ours(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.database.end(self.session);
    }
}
