//! Whether this process may ask the sites at all: only while it has shown that it is the one runner.
//!
//! A process that is stopped (SIGSTOP, a paused machine) does not know when it goes on that another one has taken its place
//! meanwhile. So the permission is never taken back: it runs out, and is renewed by whoever holds the runner's lock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::waiting::{Waiting, WaitingOn, lock};

/// For how long a sign of life that reached the database permits to ask. Shorter than what another runner waits for before
/// it takes over: at no instant do two of them ask.
pub const LEASE: Duration = Duration::from_secs(4);

/// The permission; cheap to clone. Nobody demands it until [`AskingLease::demand`] is called.
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
    /// When the last sign of life that arrived was sent.
    shown_at: Option<Instant>,
    /// Until when the permission of the runner before this one may still hold.
    not_before: Option<Instant>,
}

impl AskingLease {
    /// From now on nobody is asked without a fresh sign of life.
    pub fn demand(&self) {
        lock(&self.0.state).demanded = true;
    }

    /// The runner before this one was seen alive at `seen_at`: it may not know yet that it has lost the lock, and goes on
    /// asking until its own permission has run out.
    pub fn wait_out(&self, seen_at: Instant) {
        lock(&self.0.state).not_before = Some(seen_at + LEASE);
    }

    /// A sign of life, sent at `shown_at`, has reached the database on the session that holds the lock.
    pub fn renew(&self, shown_at: Instant) {
        lock(&self.0.state).shown_at = Some(shown_at);
        self.0.renewed.notify_waiters();
    }

    /// Whether a sign of life was sent within this time.
    #[must_use]
    pub fn was_shown_within(&self, time: Duration) -> bool {
        let shown_at = lock(&self.0.state).shown_at;
        shown_at.is_some_and(|shown_at| shown_at.elapsed() < time)
    }

    /// Whether the sites may be asked now.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let state = lock(&self.0.state);
        let is_ours = || {
            state
                .shown_at
                .is_some_and(|shown_at| shown_at.elapsed() < LEASE)
        };
        let is_nobody_elses = || state.not_before.is_none_or(|at| Instant::now() >= at);
        !state.demanded || (is_ours() && is_nobody_elses())
    }

    /// Ends when the sites may be asked.
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
    async fn without_a_fresh_sign_of_life_nobody_is_asked() {
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
        // A sign that was sent too long ago, however late its answer was read, is none.
        let long_ago = Instant::now()
            .checked_sub(LEASE)
            .expect("a clock that runs");
        lease.renew(long_ago);
        tokio::task::yield_now().await;
        assert!(!lease.is_fresh() && !asking.is_finished());
        lease.renew(Instant::now());
        asking.await.expect("granted");
        assert!(lease.is_fresh());
        // Nor while the one before may still believe that it is its turn.
        lease.wait_out(Instant::now());
        assert!(!lease.is_fresh());
        lease.wait_out(long_ago);
        assert!(lease.is_fresh());
        assert_eq!(waiting.current(), None);
    }
}
