//! Bringing a private server back that died under us, for somebody who does not own it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::account::Place;
use super::binaries::Binaries;
use super::error::EmbeddedError;
use super::{blocking, bring_up, take_turn};

/// Brings a private server back that died under us; cheap to clone, holds no share in the server.
#[derive(Debug, Clone)]
pub struct Reviver {
    pub(super) place: Place,
    pub(super) binaries: Binaries,
    pub(super) given_up: Arc<AtomicBool>,
}

impl Reviver {
    /// As [`super::EmbeddedPostgres::revive`]; does nothing once the server has been given up.
    ///
    /// # Errors
    /// As [`super::EmbeddedPostgres::start`].
    pub async fn revive(&self) -> Result<bool, EmbeddedError> {
        let this = self.clone();
        blocking(move || {
            let _turn = take_turn(&this.place)?;
            if this.given_up.load(Ordering::Acquire) {
                return Ok(false);
            }
            let (postmaster, started) = bring_up(&this.place, &this.binaries)?;
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
