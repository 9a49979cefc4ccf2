//! The handle by which a cycle calls the store. It survives restarts of the loader.

use std::sync::Arc;

use actix::Addr;
use store::StoreError;
use tokio::sync::watch;

use crate::loader_actor::LoaderActor;
use crate::messages::{OnStore, PipelineError};
use crate::persistent_writer::StoreOp;
use crate::store_session::StoreSession;

/// The running loader as the supervisor publishes it: `None` while it is restarted, an error once it stays away.
pub(crate) type PublishedLoader<S> = Result<Option<Addr<LoaderActor<S>>>, PipelineError>;

/// Calls the store on the loader's one session.
pub struct StoreHandle<S: StoreSession> {
    pub(crate) loader: watch::Receiver<PublishedLoader<S>>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl<S: StoreSession> Clone for StoreHandle<S> {
    fn clone(&self) -> Self {
        Self {
            loader: self.loader.clone(),
            stop: self.stop.clone(),
        }
    }
}

impl<S: StoreSession> StoreHandle<S> {
    /// Runs `op` after all batches and calls that the loader received before. The loader waits out a database outage
    /// (A2). If the loader fails during `op`, the supervisor replaces the loader, and `op` is repeated. `what` names
    /// the call in the log.
    ///
    /// # Errors
    /// The loader used up its restart budget, or ended with an error that no restart fixes; or `op` failed while the
    /// program was stopping.
    pub async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        op: impl AsyncFn(&mut S) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, PipelineError> {
        let op: Arc<dyn StoreOp<S, T> + Send + Sync> = Arc::new(op);
        let mut published = self.loader.clone();
        loop {
            let loader = published.borrow_and_update().clone()?;
            if let Some(loader) = loader {
                let op = Arc::clone(&op);
                match loader.send(OnStore { what, op }).await {
                    Ok(Ok(value)) => return Ok(value),
                    Ok(Err(error)) if *self.stop.borrow() => {
                        return Err(PipelineError(error.to_string()));
                    }
                    // The loader ended with this error. The supervisor decides, and publishes its decision.
                    Ok(Err(_)) | Err(_) => {}
                }
            }
            let changed = published.changed().await;
            changed.map_err(|_| PipelineError::supervisor_gone())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use store::Writer;

    use super::*;

    /// A call that finds no loader returns what the supervisor publishes next, here an error; or that it is gone.
    #[tokio::test]
    async fn a_call_waits_for_the_decision_of_the_supervisor() {
        let (published, loader) = watch::channel(Ok(None));
        let (_stop, stop) = watch::channel(false);
        let handle = StoreHandle::<Writer> { loader, stop };
        let call = || handle.call("reading", async |_: &mut Writer| Ok(()));
        let decided = PipelineError("over its restart budget".to_owned());
        let deciding = async {
            tokio::task::yield_now().await;
            published.send_modify(|before| *before = Err(decided.clone()));
        };
        let (ended, ()) = tokio::join!(call(), deciding);
        assert_eq!(ended, Err(decided));

        published.send_modify(|before| *before = Ok(None));
        let going = async {
            tokio::task::yield_now().await;
            drop(published);
        };
        let (ended, ()) = tokio::join!(call(), going);
        assert_eq!(ended, Err(PipelineError::supervisor_gone()));
    }
}
