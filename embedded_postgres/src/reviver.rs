//! The reviver: restarts a private server that died, for callers that do not own the server.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::account::Place;
use super::binaries::Binaries;
use super::blocking;
use super::error::EmbeddedError;
use super::turn::{bring_up, take_turn};

/// Restarts a private server that died. Cheap to clone. A reviver does not keep the server running.
#[derive(Debug, Clone)]
pub struct Reviver {
    pub(super) place: Place,
    pub(super) binaries: Binaries,
    pub(super) given_up: Arc<AtomicBool>,
}

impl Reviver {
    /// Restarts the server if it has died; returns whether it had. The connection string stays the same. Callers that
    /// wait out a database outage need this, because nothing else restarts a private server. Does nothing after the
    /// server has been given up.
    ///
    /// # Errors
    /// As [`super::EmbeddedPostgres::start`].
    pub async fn revive(&self) -> Result<bool, EmbeddedError> {
        let this = self.clone();
        blocking(move || {
            let brought_up = take_turn(&this.place, &this.given_up)
                .and_then(|_turn| bring_up(&this.place, &this.binaries, &this.given_up));
            let (postmaster, started) = match brought_up {
                Ok(brought_up) => brought_up,
                Err(EmbeddedError::GivenUp { .. }) => return Ok(false),
                Err(error) => return Err(error),
            };
            if started {
                tracing::warn!(
                    pid = postmaster.pid,
                    "the private PostgreSQL had died and was started again"
                );
            }
            Ok(started)
        })
        .await
    }
}
