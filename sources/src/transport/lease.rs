//! The lease: this process may request pages only while it has shown that it is the only runner.
//!
//! A suspended process (SIGSTOP, a paused machine) does not notice that another runner took its place. So the lease
//! cannot be revoked: it expires, and the holder of the runner's lock renews it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::waiting::{Waiting, WaitingOn};

/// How long the lease lasts after a heartbeat that reached the database was sent. Shorter than the wait of another
/// runner before it takes over, so that two runners never request pages at the same time.
pub const LEASE: Duration = Duration::from_secs(4);

/// The lease; cheap to clone. It has no effect until [`AskingLease::demand`] is called.
#[derive(Debug, Clone, Default)]
pub struct AskingLease(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    renewed: Notify,
}

#[derive(Debug, Default)]
struct State {
    demanded: bool,
    /// When the last heartbeat that reached the database was sent.
    shown_at: Option<Instant>,
    /// When the lease of the previous runner expires at the latest.
    not_before: Option<Instant>,
}

impl AskingLease {
    /// From now on requests need a fresh lease.
    pub fn demand(&self) {
        self.0.state.lock().demanded = true;
    }

    /// Makes requests wait for the lease of the previous runner, which made progress at `seen_at`. The previous runner
    /// may not know yet that it lost the lock, and sends requests until its own lease expires.
    pub fn wait_out(&self, seen_at: Instant) {
        self.0.state.lock().not_before = Some(seen_at + LEASE);
    }

    /// Records that a heartbeat, sent at `shown_at`, reached the database on the session that holds the lock.
    pub fn renew(&self, shown_at: Instant) {
        self.0.state.lock().shown_at = Some(shown_at);
        self.0.renewed.notify_waiters();
    }

    /// Whether a heartbeat was sent within this time.
    #[must_use]
    pub fn was_shown_within(&self, time: Duration) -> bool {
        let shown_at = self.0.state.lock().shown_at;
        shown_at.is_some_and(|shown_at| shown_at.elapsed() < time)
    }

    /// Whether requests may be sent now.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let state = self.0.state.lock();
        let is_ours = || {
            state
                .shown_at
                .is_some_and(|shown_at| shown_at.elapsed() < LEASE)
        };
        let is_nobody_elses = || state.not_before.is_none_or(|at| Instant::now() >= at);
        !state.demanded || (is_ours() && is_nobody_elses())
    }

    /// Waits until requests may be sent.
    pub(super) async fn granted(&self, waiting: &WaitingOn) {
        loop {
            let renewed = self.0.renewed.notified();
            if self.is_fresh() {
                waiting.clear();
                return;
            }
            waiting.set(Waiting::Lease);
            renewed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_recent_heartbeat_no_site_is_requested() {
        let lease = AskingLease::default();
        assert!(lease.is_fresh(), "nobody demands it");
        lease.demand();
        assert!(!lease.is_fresh(), "no sign yet");
        let waiting = WaitingOn::default();
        let asking = {
            let (lease, waiting) = (lease.clone(), waiting.clone());
            tokio::spawn(async move { lease.granted(&waiting).await })
        };
        while waiting.current() != Some(Waiting::Lease) {
            tokio::task::yield_now().await;
        }
        // A heartbeat that was sent too long ago does not renew the lease, even if its answer arrives now.
        let long_ago = Instant::now()
            .checked_sub(LEASE)
            .expect("a clock that runs");
        lease.renew(long_ago);
        tokio::task::yield_now().await;
        assert!(!lease.is_fresh() && !asking.is_finished());
        lease.renew(Instant::now());
        asking.await.expect("granted");
        assert!(lease.is_fresh());
        // The lease is also not fresh while the previous runner may still send requests.
        lease.wait_out(Instant::now());
        assert!(!lease.is_fresh());
        lease.wait_out(long_ago);
        assert!(lease.is_fresh());
        assert_eq!(waiting.current(), None);
    }
}
