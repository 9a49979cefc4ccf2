//! The gate of one host. All requests to the host pass through it one at a time, in the order of arrival, from every
//! source and by HTTP or browser (P1, P3).
//!
//! Requests wait in a fair queue. Only the first one waits for the host's health, a free slot and the pace, and then
//! starts. This puts every decision to wait in one place. A cancelled wait has nothing to release, and a retry that
//! waits occupies no slot.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turnstile, Notify};
use tokio::time::Instant;

use super::host::HostKey;
use super::host_health::{Admission, Change, HostHealth, HostPatience};
use super::pacing::Pace;
use super::robots::RobotsRules;
use super::waiting::{Waiting, WaitingOn};
use super::{HostLimits, HostSnapshot, HostState};

/// The minimum time to wait for a host that throttles every request.
const THROTTLED_PATIENCE: Duration = Duration::from_secs(1_800);

/// The gate of one host.
pub struct HostGate {
    /// Scheme, name and port.
    pub host: HostKey,
    patience: HostPatience,
    state: Mutex<GateState>,
    /// Fair: first come, first served.
    turnstile: Turnstile<()>,
    /// Notified when the first request of the queue may have less to wait for.
    changed: Notify,
    /// The rules of the host's robots.txt and the time they were read. The lock is held while they are read.
    pub robots: Turnstile<Option<(RobotsRules, Instant)>>,
}

struct GateState {
    pace: Pace,
    health: HostHealth,
    slots: usize,
    in_flight: usize,
    waiting: usize,
    reading_robots: bool,
    /// Whether the current outage was logged as given up.
    told_given_up: bool,
    counts: GateCounts,
}

/// What passed through a gate so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateCounts {
    /// Requests sent, including those for robots.txt and redirects.
    pub requests: u64,
    /// Attempts after a failed one.
    pub retries: u64,
    /// Throttled answers.
    pub throttled: u64,
}

/// The host has been down, or has throttled every request, for longer than requests wait: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostGivenUp(pub String);

enum Decision {
    Go { probe: bool },
    Wait(Option<Instant>, Waiting),
    GiveUp(String),
}

impl HostGate {
    /// A gate for a host of unknown health.
    pub fn new(host: HostKey, limits: HostLimits, patience: HostPatience) -> Self {
        Self {
            host,
            patience,
            state: Mutex::new(GateState {
                pace: Pace::new(limits.requests_per_sec),
                health: HostHealth::UNKNOWN,
                slots: limits.concurrent_requests.get(),
                in_flight: 0,
                waiting: 0,
                reading_robots: false,
                told_given_up: false,
                counts: GateCounts::default(),
            }),
            turnstile: Turnstile::new(()),
            changed: Notify::new(),
            robots: Turnstile::new(None),
        }
    }

    /// Lowers the limits to `limits` if these are lower, for a host that several sources request.
    pub fn lower_to(&self, limits: HostLimits) {
        let mut state = self.state.lock();
        state.pace.lower_to(limits.requests_per_sec);
        state.slots = state.slots.min(limits.concurrent_requests.get());
    }

    /// Waits until a request may start. The caller then sends it at once and reports the result to the [`Started`].
    /// Dropping the future only gives up the place in the queue. `question` is the hash of the request: failures of a
    /// single request are no evidence about the host.
    pub async fn start(
        self: &Arc<Self>,
        question: u64,
        waiting: &WaitingOn,
    ) -> Result<Started, HostGivenUp> {
        let _counted = CountedWait::new(self);
        waiting.set(Waiting::Turn);
        let _turn = self.turnstile.lock().await;
        let mut clock = StartClock::new();
        loop {
            let changed = self.changed.notified();
            match self.decide(&mut clock) {
                Decision::Go { probe } => {
                    waiting.clear();
                    return Ok(Started {
                        gate: Arc::clone(self),
                        at: Instant::now(),
                        probe,
                        question,
                        told: false,
                    });
                }
                Decision::GiveUp(text) => {
                    waiting.clear();
                    return Err(HostGivenUp(text));
                }
                Decision::Wait(until, why) => {
                    waiting.set(why);
                    match until {
                        Some(until) => tokio::select! {
                            () = tokio::time::sleep_until(until) => {}
                            () = changed => {}
                        },
                        None => changed.await,
                    }
                }
            }
        }
    }

    /// Waits for the pace again, for a started request that was not sent because its preparation took long (a browser
    /// session). The host sees the time at which requests are sent.
    pub async fn pace_again(&self, started: &mut Started, waiting: &WaitingOn) {
        waiting.set(Waiting::Pace);
        let mut clock = StartClock::new();
        // Bypass the queue: its first request may be waiting for the slot that this request occupies.
        loop {
            let until = {
                let now = Instant::now();
                let mut state = self.state.lock();
                let start = state.pace.next_start(clock.ready(now), now, clock.fraction);
                if now >= start.at {
                    state.pace.started(start, now);
                    started.at = now;
                    break;
                }
                start.at
            };
            tokio::time::sleep_until(until).await;
        }
        waiting.clear();
    }

    fn decide(&self, clock: &mut StartClock) -> Decision {
        let now = Instant::now();
        let mut state = self.state.lock();
        let probe = match state.health.admission(now, &self.patience) {
            Admission::Open => false,
            Admission::Probe => true,
            Admission::WaitUntil(until) => {
                let next_probe = Some(until);
                return Decision::Wait(Some(until), Waiting::HostDown { next_probe });
            }
            Admission::WaitForProbe => {
                return Decision::Wait(None, Waiting::HostDown { next_probe: None });
            }
            Admission::GivenUp => {
                return Decision::GiveUp(self.given_up(&mut state, now));
            }
        };
        if let Some(until) = state.pace.closed_until(now) {
            let give_up_at = state
                .pace
                .throttled_since()
                .map(|since| since + self.throttled_patience());
            return match give_up_at {
                Some(at) if now >= at => {
                    Decision::GiveUp(self.throttled_too_long(&state.pace, now))
                }
                Some(at) => Decision::Wait(Some(until.min(at)), Waiting::Throttled { until }),
                None => Decision::Wait(Some(until), Waiting::Throttled { until }),
            };
        }
        if state.in_flight >= state.slots {
            return Decision::Wait(None, Waiting::Slot);
        }
        let start = state.pace.next_start(clock.ready(now), now, clock.fraction);
        if now < start.at {
            return Decision::Wait(Some(start.at), Waiting::Pace);
        }
        state.pace.started(start, now);
        state.in_flight += 1;
        state.counts.requests += 1;
        if probe {
            state.health.probe_started();
        }
        Decision::Go { probe }
    }

    /// Logs in full, once per outage, that the host is given up. The returned sentence is the same for all its tasks,
    /// so a summary shows them in one line (P3).
    fn given_up(&self, state: &mut GateState, now: Instant) -> String {
        let HostHealth::Down(outage) = &state.health else {
            return format!("host down: {}", self.host);
        };
        if !std::mem::replace(&mut state.told_given_up, true) {
            tracing::error!(
                "host down: {} has not answered for {}; last failure: {}; its remaining tasks are deferred",
                self.host,
                words(now.saturating_duration_since(outage.since)),
                outage.last_failure
            );
        }
        format!("host down: {}: {}", self.host, outage.first_failure)
    }

    /// How long to wait for a host that throttles. Such a host works and states when it will answer, so it gets at
    /// least half an hour, even if the patience with a host that is down is shorter.
    fn throttled_patience(&self) -> Duration {
        self.patience.give_up_after.max(THROTTLED_PATIENCE)
    }

    fn throttled_too_long(&self, pace: &Pace, now: Instant) -> String {
        let since = pace
            .throttled_since()
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        format!(
            "host down: {} has throttled every request for {}",
            self.host,
            words(since)
        )
    }

    /// The failure to report if every request has been throttled for too long.
    pub fn throttled_out(&self) -> Option<HostGivenUp> {
        let now = Instant::now();
        let state = self.state.lock();
        let since = state.pace.throttled_since()?;
        (now.saturating_duration_since(since) >= self.throttled_patience())
            .then(|| HostGivenUp(self.throttled_too_long(&state.pace, now)))
    }

    /// Halves the rate, because the host refused a request (P4).
    pub fn slow_down(&self) {
        let now = Instant::now();
        self.state.lock().pace.slow_down(now, now);
    }

    /// Marks the host as down, however many failures were counted.
    pub fn declare_down(&self, why: &str) {
        let change = self
            .state
            .lock()
            .health
            .declare_down(Instant::now(), why, &self.patience);
        self.tell(change, why);
    }

    /// Counts a request that a started one needed first, such as the page that it is sent from.
    pub fn count_request(&self) {
        self.state.lock().counts.requests += 1;
    }

    /// Counts a retry.
    pub fn count_retry(&self) {
        self.state.lock().counts.retries += 1;
    }

    /// Sets whether robots.txt is being read, for the snapshot.
    pub fn reading_robots(&self, reading: bool) {
        self.state.lock().reading_robots = reading;
    }

    fn tell(&self, change: Change, why: &str) {
        match change {
            Change::None => return,
            Change::WentDown => tracing::warn!(
                host = %self.host,
                last_failure = why,
                probe_in_secs = self.patience.back_off.first.as_secs_f64(),
                "host is down; its requests wait behind one probe at a time"
            ),
            Change::CameBack => {
                self.state.lock().told_given_up = false;
                tracing::info!(host = %self.host, "host answers again");
            }
        }
        self.changed.notify_one();
    }

    /// The current state.
    pub fn snapshot(&self) -> HostSnapshot {
        let now = Instant::now();
        let state = self.state.lock();
        let host_state = match (&state.health, state.pace.closed_until(now)) {
            (HostHealth::Down(outage), _) => HostState::Down {
                since: outage.since,
                next_probe: outage.next_probe,
                last_failure: outage.last_failure.clone(),
            },
            (_, Some(until)) => HostState::Throttled { until },
            _ if state.reading_robots => HostState::ReadingRobots,
            _ => HostState::Open,
        };
        HostSnapshot {
            host: self.host.clone(),
            configured_rate: state.pace.configured(),
            rate_now: state.pace.rate(now),
            state: host_state,
            in_flight: state.in_flight,
            waiting: state.waiting,
            requests: state.counts.requests,
            retries: state.counts.retries,
            throttled: state.counts.throttled,
        }
    }
}

/// The values that stay constant while the first request of the queue waits: its random fraction of the jitter, and the
/// time from which only the pace delays the request.
struct StartClock {
    fraction: f64,
    ready: Option<Instant>,
}

impl StartClock {
    fn new() -> Self {
        Self {
            fraction: rand::random(),
            ready: None,
        }
    }

    fn ready(&mut self, now: Instant) -> Instant {
        *self.ready.get_or_insert(now)
    }
}

struct CountedWait<'gate>(&'gate HostGate);

impl<'gate> CountedWait<'gate> {
    fn new(gate: &'gate HostGate) -> Self {
        gate.state.lock().waiting += 1;
        Self(gate)
    }
}

impl Drop for CountedWait<'_> {
    fn drop(&mut self) {
        self.0.state.lock().waiting -= 1;
    }
}

/// A request in flight. It occupies a slot until it is dropped. If it is dropped without a report, it was cancelled,
/// which is no evidence about the host.
pub struct Started {
    gate: Arc<HostGate>,
    at: Instant,
    probe: bool,
    question: u64,
    told: bool,
}

impl Started {
    /// Reports that the host works: any answer except a server error or a throttled one.
    pub fn succeeded(mut self) {
        self.told = true;
        let change = {
            let mut state = self.gate.state.lock();
            state.pace.accepted();
            state.health.succeeded()
        };
        self.gate.tell(change, "");
    }

    /// Reports that the host sent no whole answer.
    pub fn failed(mut self, why: &str) {
        self.told = true;
        let change = self.gate.state.lock().health.failed(
            Instant::now(),
            self.probe,
            self.question,
            why,
            &self.gate.patience,
        );
        self.gate.tell(change, why);
    }

    /// Reports a throttled request. The host is up, but gets no request before `retry_after` has passed, and fewer per
    /// second from now on.
    pub fn throttled(mut self, retry_after: Option<Duration>) {
        self.told = true;
        let now = Instant::now();
        let (change, rate) = {
            let mut state = self.gate.state.lock();
            state.counts.throttled += 1;
            state.pace.throttled(self.at, now, retry_after);
            (state.health.succeeded(), state.pace.rate(now))
        };
        tracing::info!(
            host = %self.gate.host,
            retry_after_secs = retry_after.map(|wait| wait.as_secs_f64()),
            requests_per_sec = rate,
            "throttled; waiting"
        );
        self.gate.tell(change, "");
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        {
            let mut state = self.gate.state.lock();
            state.in_flight -= 1;
            if self.probe && !self.told {
                state.health.probe_abandoned();
            }
        }
        self.gate.changed.notify_one();
    }
}

fn words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
