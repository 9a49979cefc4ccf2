//! Decides whether and when a failed actor is restarted (A3). Pure: the time is an argument.
//!
//! | child | restart delay | budget | over budget |
//! |---|---|---|---|
//! | a source | 1 s doubling to 5 min, full jitter | 5 restarts in 10 min | quarantined for the round |
//! | merge, loader | the same | 3 restarts in 10 min | the cycle ends `failed` |
//!
//! Budget and delay are reset only after two healthy minutes *and* one commit. A child that fails after more than two
//! minutes without a commit, or soon after each commit, therefore still uses up the budget.

use std::collections::VecDeque;
use std::time::Duration;

use schema::back_off::BackOff;
use tokio::time::Instant;

/// The parameters of A3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Maximum number of restarts within [`RestartPolicy::within`].
    pub max_restarts: usize,
    /// Period of the budget.
    pub within: Duration,
    /// Upper bound of the restart delay.
    pub delay: BackOff,
    /// How long a child must have lived, with a commit, to reset its budget.
    pub healthy_after: Duration,
}

impl RestartPolicy {
    /// The policy of A3 with a budget of `max_restarts` in `within`.
    #[must_use]
    pub const fn new(max_restarts: usize, within: Duration) -> Self {
        Self {
            max_restarts,
            within,
            delay: BackOff::new(Duration::from_secs(1), Duration::from_secs(300)),
            healthy_after: Duration::from_secs(120),
        }
    }
}

/// What to do about a failed child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start a fresh incarnation after this delay.
    RestartAfter(Duration),
    /// The budget is used up: do not restart.
    GiveUp,
}

/// The failures of one child across its incarnations.
#[derive(Debug, Clone)]
pub struct RestartHistory {
    policy: RestartPolicy,
    /// Times of the failures, newest last; cleared by a reset.
    failures: VecDeque<Instant>,
    /// Start of the running incarnation.
    started_at: Instant,
    /// Whether anything was committed since the start of the running incarnation.
    committed: bool,
}

impl RestartHistory {
    /// A child that starts at `now` and has never failed.
    #[must_use]
    pub const fn new(policy: RestartPolicy, now: Instant) -> Self {
        Self {
            policy,
            failures: VecDeque::new(),
            started_at: now,
            committed: false,
        }
    }

    /// Records the start of a fresh incarnation.
    pub fn started(&mut self, now: Instant) {
        self.forgive(now);
        self.started_at = now;
        self.committed = false;
    }

    fn forgive(&mut self, now: Instant) {
        let lived = now.saturating_duration_since(self.started_at);
        if self.committed && lived >= self.policy.healthy_after {
            self.failures.clear();
        }
    }

    /// Records a commit of this child's work.
    pub const fn committed(&mut self) {
        self.committed = true;
    }

    /// Records a failure and decides between restart and giving up. `jitter` is drawn from [0, 1).
    pub fn failed(&mut self, now: Instant, jitter: f64) -> Verdict {
        self.forgive(now);
        // The delay before the restart is not healthy time.
        self.committed = false;
        self.failures.push_back(now);
        let recent = self
            .failures
            .iter()
            .filter(|failure| now.saturating_duration_since(**failure) < self.policy.within)
            .count();
        if recent > self.policy.max_restarts {
            return Verdict::GiveUp;
        }
        let doublings = u32::try_from(self.failures.len() - 1).unwrap_or(u32::MAX);
        Verdict::RestartAfter(self.policy.delay.jittered(doublings, jitter))
    }

    /// Number of failures since the last reset.
    #[must_use]
    pub fn restarts(&self) -> usize {
        self.failures.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn delays_double_up_to_five_minutes() {
        let start = Instant::now();
        let mut history = RestartHistory::new(RestartPolicy::new(100, seconds(1)), start);
        let delays: Vec<u64> = (1..=11)
            .map(|n| match history.failed(start + seconds(10 * n), 1.0) {
                Verdict::RestartAfter(delay) => delay.as_secs(),
                Verdict::GiveUp => panic!("within budget"),
            })
            .collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn the_sixth_failure_in_ten_minutes_is_one_too_many() {
        let start = Instant::now();
        let mut history = RestartHistory::new(RestartPolicy::new(5, seconds(600)), start);
        for n in 1..=5 {
            assert!(matches!(
                history.failed(start + seconds(n), 0.5),
                Verdict::RestartAfter(_)
            ));
            history.started(start + seconds(n));
        }
        assert_eq!(history.failed(start + seconds(6), 0.5), Verdict::GiveUp);
    }

    #[test]
    fn two_healthy_minutes_alone_do_not_forgive_and_a_commit_alone_does_not_either() {
        let start = Instant::now();
        let policy = RestartPolicy::new(1, seconds(600));
        for (lived, commits, verdict_is_restart) in
            [(121, true, true), (121, false, false), (119, true, false)]
        {
            let mut history = RestartHistory::new(policy, start);
            history.failed(start, 0.0);
            history.started(start);
            if commits {
                history.committed();
            }
            let verdict = history.failed(start + seconds(lived), 0.0);
            assert_eq!(
                matches!(verdict, Verdict::RestartAfter(_)),
                verdict_is_restart,
                "{lived} {commits}"
            );
        }
    }

    proptest! {
        /// Without a reset, no more restarts than the budget happen within the period, at whatever times the failures
        /// occur.
        #[test]
        fn a_crash_loop_always_ends(gaps in proptest::collection::vec(0_u64..20, 40)) {
            let start = Instant::now();
            let mut history = RestartHistory::new(RestartPolicy::new(5, seconds(600)), start);
            let mut now = start;
            let mut restarts = 0;
            for gap in gaps {
                now += seconds(gap);
                history.started(now);
                match history.failed(now, 0.3) {
                    Verdict::RestartAfter(_) => restarts += 1,
                    Verdict::GiveUp => break,
                }
            }
            prop_assert_eq!(restarts, 5);
        }
    }
}
