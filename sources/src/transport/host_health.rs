//! The health of a host, the second level of retry (P3): whether the host is up, and which requests may be sent while
//! it is down. Pure.
//!
//! | state | event | next |
//! |---|---|---|
//! | up | good answer | up, no failures |
//! | up | 5th failure in a row, of at least two different requests | down, probe after the first back-off |
//! | down | back-off over | one request is sent as the probe |
//! | down | probe failed | down, back-off doubled up to the longest |
//! | down | any good answer | up |
//! | down for longer than the patience | - | requests are given up, except the probe when it is due |

use std::time::Duration;

use schema::back_off::BackOff;
use tokio::time::Instant;

/// Number of failed requests in a row after which a host is treated as down.
pub const FAILURES_UNTIL_DOWN: u32 = 5;

/// How long to wait for a host that is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPatience {
    /// Wait before the next probe.
    pub back_off: BackOff,
    /// After this downtime, requests are deferred and no longer wait.
    pub give_up_after: Duration,
}

impl Default for HostPatience {
    /// 30 s doubling to 10 min, given up after 30 min.
    fn default() -> Self {
        Self {
            back_off: BackOff::new(Duration::from_secs(30), Duration::from_secs(600)),
            give_up_after: Duration::from_secs(1_800),
        }
    }
}

/// Whether a host is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHealth {
    /// The host answers, or no request has been sent yet.
    Up {
        /// Failed requests since the last good answer.
        failures_in_a_row: u32,
        /// The requests that failed.
        asked: FailedQuestions,
    },
    /// The host is down.
    Down(Outage),
}

/// The requests that failed in a row. Repeated failures of one request point to its page and not to the host. Without
/// this distinction, one page that always fails would make each round wait for its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedQuestions {
    /// No request failed.
    None,
    /// A single request, by its hash.
    One(u64),
    /// Two or more different requests.
    Several,
}

impl FailedQuestions {
    fn and(self, question: u64) -> Self {
        match self {
            Self::None => Self::One(question),
            Self::One(same) if same == question => self,
            Self::One(_) | Self::Several => Self::Several,
        }
    }
}

/// The outage of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// The begin of the outage.
    pub since: Instant,
    /// The earliest time of the next probe.
    pub next_probe: Instant,
    /// The failure that began the outage. It stays the same, so all waiting requests report the same text.
    pub first_failure: String,
    /// The text of the last failure.
    pub last_failure: String,
    failed_probes: u32,
    probe_in_flight: bool,
}

/// Whether a request may be sent to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes, as far as the health is concerned.
    Open,
    /// Yes, as the one probe.
    Probe,
    /// Not before this instant.
    WaitUntil(Instant),
    /// Not before the probe in flight has ended.
    WaitForProbe,
    /// No: the host has been down for too long.
    GivenUp,
}

/// The change of state that an event caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No change.
    None,
    /// The host went down.
    WentDown,
    /// The host came back up.
    CameBack,
}

impl HostHealth {
    /// A host to which no request was sent yet.
    pub const UNKNOWN: Self = Self::Up {
        failures_in_a_row: 0,
        asked: FailedQuestions::None,
    };

    /// Whether a request may be sent at `now`.
    #[must_use]
    pub fn admission(&self, now: Instant, patience: &HostPatience) -> Admission {
        let Self::Down(outage) = self else {
            return Admission::Open;
        };
        let give_up_at = outage.since + patience.give_up_after;
        if outage.probe_in_flight {
            Admission::WaitForProbe
        } else if now >= outage.next_probe {
            Admission::Probe
        } else if now >= give_up_at {
            Admission::GivenUp
        } else {
            Admission::WaitUntil(outage.next_probe.min(give_up_at))
        }
    }

    /// Records that the probe was sent.
    pub const fn probe_started(&mut self) {
        if let Self::Down(outage) = self {
            outage.probe_in_flight = true;
        }
    }

    /// Records that the probe was cancelled. Another probe may be sent at once.
    pub const fn probe_abandoned(&mut self) {
        if let Self::Down(outage) = self {
            outage.probe_in_flight = false;
        }
    }

    /// Records an answer that shows that the host works; 404 and 429 are such answers.
    pub fn succeeded(&mut self) -> Change {
        let before = std::mem::replace(self, Self::UNKNOWN);
        match before {
            Self::Down(_) => Change::CameBack,
            Self::Up { .. } => Change::None,
        }
    }

    /// Records a request that failed because of the host; `question` is the hash of the request. Failures of requests
    /// that were in flight when the host went down change nothing.
    pub fn failed(
        &mut self,
        now: Instant,
        probe: bool,
        question: u64,
        why: &str,
        patience: &HostPatience,
    ) -> Change {
        match self {
            Self::Up {
                failures_in_a_row,
                asked,
            } => {
                *failures_in_a_row = failures_in_a_row.saturating_add(1);
                *asked = asked.and(question);
                if *failures_in_a_row < FAILURES_UNTIL_DOWN || *asked != FailedQuestions::Several {
                    return Change::None;
                }
                self.declare_down(now, why, patience)
            }
            Self::Down(outage) if probe => {
                outage.probe_in_flight = false;
                outage.failed_probes = outage.failed_probes.saturating_add(1);
                outage.next_probe = now + patience.back_off.after(outage.failed_probes);
                why.clone_into(&mut outage.last_failure);
                Change::None
            }
            Self::Down(_) => Change::None,
        }
    }

    /// Marks the host as down, however many failures were counted, because its robots.txt cannot be fetched.
    pub fn declare_down(&mut self, now: Instant, why: &str, patience: &HostPatience) -> Change {
        if matches!(self, Self::Down(_)) {
            return Change::None;
        }
        *self = Self::Down(Outage {
            since: now,
            next_probe: now + patience.back_off.first,
            first_failure: why.to_owned(),
            last_failure: why.to_owned(),
            failed_probes: 0,
            probe_in_flight: false,
        });
        Change::WentDown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down_at(now: Instant, patience: &HostPatience) -> HostHealth {
        let mut health = HostHealth::UNKNOWN;
        for failure in 1..=FAILURES_UNTIL_DOWN {
            let change = health.failed(now, false, failure.into(), "no answer", patience);
            let expected = if failure == FAILURES_UNTIL_DOWN {
                Change::WentDown
            } else {
                Change::None
            };
            assert_eq!(change, expected);
        }
        health
    }

    #[test]
    fn p3_five_failures_in_a_row_take_a_host_down_and_a_good_answer_resets_the_count() {
        let patience = HostPatience::default();
        let now = Instant::now();
        let mut health = HostHealth::UNKNOWN;
        for _ in 0..3 {
            for _ in 0..FAILURES_UNTIL_DOWN - 1 {
                assert_eq!(health.failed(now, false, 1, "502", &patience), Change::None);
            }
            assert_eq!(health.succeeded(), Change::None);
        }
        assert_eq!(health.admission(now, &patience), Admission::Open);
        let mut health = down_at(now, &patience);
        assert_eq!(health.succeeded(), Change::CameBack);
        assert_eq!(health.admission(now, &patience), Admission::Open);
    }

    #[test]
    fn p3_one_probe_per_back_off_from_thirty_seconds_to_ten_minutes_until_given_up() {
        let patience = HostPatience::default();
        let start = Instant::now();
        let mut health = down_at(start, &patience);
        let mut now = start;
        for back_off in [30, 60, 120, 240, 480] {
            let probe_at = now + Duration::from_secs(back_off);
            assert_eq!(
                health.admission(now, &patience),
                Admission::WaitUntil(probe_at)
            );
            now = probe_at;
            assert_eq!(health.admission(now, &patience), Admission::Probe);
            health.probe_started();
            assert_eq!(health.admission(now, &patience), Admission::WaitForProbe);
            assert_eq!(
                health.failed(now, false, 1, "late", &patience),
                Change::None
            );
            assert_eq!(health.admission(now, &patience), Admission::WaitForProbe);
            health.failed(now, true, 1, "502", &patience);
        }
        let given_up_at = start + patience.give_up_after;
        assert_eq!(
            health.admission(now, &patience),
            Admission::WaitUntil(now + Duration::from_secs(600)).min_with(given_up_at)
        );
        assert_eq!(
            health.admission(given_up_at - Duration::from_secs(1), &patience),
            Admission::Probe
        );
        health.probe_started();
        health.failed(given_up_at, true, 1, "502", &patience);
        assert_eq!(health.admission(given_up_at, &patience), Admission::GivenUp);
        let after = given_up_at + patience.back_off.longest;
        assert_eq!(
            health.admission(after, &patience),
            Admission::Probe,
            "round 2 finds out whether it is back"
        );
    }

    #[test]
    fn p3_a_page_that_never_comes_does_not_take_its_host_down() {
        let (patience, now) = (HostPatience::default(), Instant::now());
        let mut health = HostHealth::UNKNOWN;
        for _ in 0..100 {
            assert_eq!(health.failed(now, false, 7, "502", &patience), Change::None);
        }
        // The failures are still counted, so the first failure of another request takes the host down.
        assert_eq!(
            health.failed(now, false, 8, "502", &patience),
            Change::WentDown
        );
    }

    #[test]
    fn a_cancelled_probe_makes_room_for_another() {
        let patience = HostPatience::default();
        let now = Instant::now();
        let mut health = down_at(now, &patience);
        let then = now + patience.back_off.first;
        health.probe_started();
        health.probe_abandoned();
        assert_eq!(health.admission(then, &patience), Admission::Probe);
    }

    impl Admission {
        fn min_with(self, limit: Instant) -> Self {
            match self {
                Self::WaitUntil(until) => Self::WaitUntil(until.min(limit)),
                other => other,
            }
        }
    }
}
