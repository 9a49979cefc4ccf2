//! What a call waits on, for whoever watches it (A2): a wait is visible, and no reason to think that somebody is stuck.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// What a request waits on before it goes, or goes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// This process must first show that it still is the one runner.
    Lease,
    /// Other requests to the same host are first.
    Turn,
    /// All the requests allowed at once are in flight.
    Slot,
    /// The host's rate.
    Pace,
    /// The host asked to be left alone.
    Throttled {
        /// Until when.
        until: Instant,
    },
    /// The host is down; one probe at a time finds out whether it is back.
    HostDown {
        /// When the next probe goes; `None` while one is in flight.
        next_probe: Option<Instant>,
    },
    /// The host's robots.txt is being read.
    Robots,
    /// An attempt failed; the next one comes later.
    Retry {
        /// When.
        at: Instant,
    },
    /// All browser sessions are in use, or one is being started.
    BrowserSession,
    /// A request is in flight, or a page is being built in the browser; a time limit bounds it.
    Answer {
        /// Since when.
        since: Instant,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |until: &Instant| {
            until
                .saturating_duration_since(Instant::now())
                .as_secs_f64()
                .ceil()
        };
        match self {
            Self::Lease => f.write_str("the database"),
            Self::Turn => f.write_str("its turn"),
            Self::Slot => f.write_str("a request in flight to end"),
            Self::Pace => f.write_str("the host's rate"),
            Self::Throttled { until } => write!(f, "the host, throttled for {} s", seconds(until)),
            Self::HostDown {
                next_probe: Some(at),
            } => write!(f, "the host, down, probed in {} s", seconds(at)),
            Self::HostDown { next_probe: None } => f.write_str("the host, down, being probed"),
            Self::Robots => f.write_str("robots.txt"),
            Self::Retry { at } => write!(f, "the next attempt in {} s", seconds(at)),
            Self::BrowserSession => f.write_str("a browser session"),
            Self::Answer { since } => {
                write!(f, "an answer, for {} s", since.elapsed().as_secs())
            }
        }
    }
}

/// What one call waits on at this moment; cheap to clone, shared between the call and whoever watches it.
#[derive(Debug, Clone, Default)]
pub struct WaitingOn(Arc<Mutex<Option<Waiting>>>);

impl WaitingOn {
    /// What the call waits on; `None` while it waits on nobody: before it asks, and while an answer is being read. A call
    /// that stays there is stuck.
    #[must_use]
    pub fn current(&self) -> Option<Waiting> {
        lock(&self.0).clone()
    }

    pub(super) fn set(&self, waiting: Waiting) {
        *lock(&self.0) = Some(waiting);
    }

    pub(super) fn clear(&self) {
        *lock(&self.0) = None;
    }
}

/// Locks plain data that stays valid whatever panicked while holding it.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
