//! Who may ask the register, and how often: subscription keys and the call limit.

use std::collections::VecDeque;
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// The key that a new simulator accepts.
const FIRST_KEY: &str = "simulated-key";

/// The register's call limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterLimits {
    /// This many calls are answered within any window; the next ones get status 421 and a `Retry-After`.
    pub calls: usize,
    /// The length of the window.
    pub window: Duration,
}

impl Default for RegisterLimits {
    fn default() -> Self {
        RegisterLimits {
            calls: 5_000,
            window: Duration::from_secs(300),
        }
    }
}

/// Why the gateway does not pass a request on. The text is that of Azure API Management.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The message about the key.
    Key(&'static str),
    /// The call limit is exceeded.
    Limit { retry_secs: u64 },
}

impl Display for Refusal {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Key(message) => out.write_str(message),
            Refusal::Limit { retry_secs } => {
                write!(
                    out,
                    "Rate limit is exceeded. Try again in {retry_secs} seconds."
                )
            }
        }
    }
}

const MISSING_KEY: &str = "Access denied due to missing subscription key. Make sure to include subscription key when \
                           making requests to this API.";
const INVALID_KEY: &str = "Access denied due to invalid subscription key. Make sure to provide a valid key for an \
                           active subscription.";

/// The gateway's state.
#[derive(Debug)]
pub(crate) struct Access {
    state: Mutex<State>,
    /// Part of every cursor: raising it makes all cursors invalid that were issued before.
    cursor_epoch: AtomicU64,
    /// The largest number of rows on a page, whatever a query asks for.
    most_rows: AtomicUsize,
}

#[derive(Debug)]
struct State {
    keys: Vec<String>,
    limits: RegisterLimits,
    /// The times of the answered calls of the last window.
    calls: VecDeque<Duration>,
}

impl Default for Access {
    fn default() -> Self {
        Access {
            state: Mutex::new(State {
                keys: vec![FIRST_KEY.to_owned()],
                limits: RegisterLimits::default(),
                calls: VecDeque::new(),
            }),
            cursor_epoch: AtomicU64::new(0),
            most_rows: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Access {
    pub(crate) fn set_keys(&self, keys: &[&str]) {
        self.state.lock().keys = keys.iter().map(|key| (*key).to_owned()).collect();
    }

    pub(crate) fn set_limits(&self, limits: RegisterLimits) {
        self.state.lock().limits = limits;
    }

    pub(crate) fn expire_cursors(&self) {
        self.cursor_epoch.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_most_rows(&self, rows: usize) {
        self.most_rows.store(rows.max(1), Ordering::Relaxed);
    }

    pub(crate) fn most_rows(&self) -> usize {
        self.most_rows.load(Ordering::Relaxed)
    }

    pub(crate) fn cursor_epoch(&self) -> u64 {
        self.cursor_epoch.load(Ordering::Relaxed)
    }

    /// Checks the key and counts the call. `now` is the time since the simulator's start.
    pub(crate) fn admit(&self, key: Option<&str>, now: Duration) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Err(Refusal::Key(MISSING_KEY));
        };
        if !state.keys.iter().any(|accepted| accepted == key) {
            return Err(Refusal::Key(INVALID_KEY));
        }
        let window = state.limits.window;
        while state
            .calls
            .front()
            .is_some_and(|call| *call + window <= now)
        {
            state.calls.pop_front();
        }
        if state.calls.len() >= state.limits.calls {
            let oldest = state.calls.front().copied().unwrap_or(now);
            let wait = (oldest + window).saturating_sub(now);
            let retry_secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            return Err(Refusal::Limit {
                retry_secs: retry_secs.max(1),
            });
        }
        state.calls.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_over_the_limit_waits_for_the_oldest_call_to_leave_the_window() {
        let access = Access::default();
        access.set_limits(RegisterLimits {
            calls: 2,
            window: Duration::from_secs(10),
        });
        let call = |secs: u64| access.admit(Some(FIRST_KEY), Duration::from_secs(secs));
        assert!(call(0).is_ok() && call(4).is_ok());
        assert!(matches!(call(7), Err(Refusal::Limit { retry_secs: 3, .. })));
        assert!(call(10).is_ok());
        assert!(matches!(
            call(11),
            Err(Refusal::Limit { retry_secs: 3, .. })
        ));
    }
}
