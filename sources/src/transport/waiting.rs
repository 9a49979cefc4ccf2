//! What a call waits for, shown to its observers (A2): a call that shows what it waits for is not stuck.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What a request waits for before it is sent or sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// This process must first show that it is still the only runner.
    Lease,
    /// Earlier requests to the same host.
    Turn,
    /// A free slot: the maximum number of requests is in flight.
    Slot,
    /// The host's rate.
    Pace,
    /// The end of the host's throttling.
    Throttled {
        /// The end of the wait.
        until: Instant,
    },
    /// The host is down; one probe at a time tests whether it is back.
    HostDown {
        /// When the next probe is sent; `None` while one is in flight.
        next_probe: Option<Instant>,
    },
    /// The host's robots.txt, which is being read.
    Robots,
    /// The next attempt after a failed one.
    Retry {
        /// The end of the wait.
        at: Instant,
    },
    /// A browser session: all are in use, or one is being started.
    BrowserSession,
    /// The answer to a request in flight, or a page that the browser is loading; both have a time limit.
    Answer {
        /// The begin of the wait.
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

/// What one call waits for at this moment. Cheap to clone; shared between the call and its observers.
#[derive(Debug, Clone, Default)]
pub struct WaitingOn(Arc<Mutex<Option<Waiting>>>);

impl WaitingOn {
    /// What the call waits for. `None` before it waits for the first time and while an answer is parsed. A call that
    /// stays in that state is stuck.
    #[must_use]
    pub fn current(&self) -> Option<Waiting> {
        self.0.lock().clone()
    }

    pub(super) fn set(&self, waiting: Waiting) {
        *self.0.lock() = Some(waiting);
    }

    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }
}
