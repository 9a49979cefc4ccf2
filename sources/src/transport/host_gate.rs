//! The gate before one host: whatever is asked of it, by HTTP or by browser, by whichever source, goes through here,
//! one at a time, in the order of arrival (P1, P3).
//!
//! A request waits in a fair queue. Its head waits until the host's health, a free slot and the pace all allow a start,
//! and starts. So there is one place where waiting is decided, a cancelled wait has nothing to give back, and a
//! waiting retry holds nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Mutex as Turnstile, Notify};
use tokio::time::Instant;

use super::host::HostKey;
use super::host_health::{Admission, Change, HostHealth, HostPatience};
use super::pacing::Pace;
use super::robots::RobotsRules;
use super::waiting::{Waiting, WaitingOn, lock};
use super::{HostLimits, HostSnapshot, HostState};

/// The least time for which a host that throttles every request is waited for.
const THROTTLED_PATIENCE: Duration = Duration::from_secs(1_800);

/// One host's gate.
pub struct HostGate {
    /// Scheme, name and port.
    pub host: HostKey,
    patience: HostPatience,
    state: Mutex<GateState>,
    /// Fair: first come, first served.
    turnstile: Turnstile<()>,
    /// Told whenever the head of the queue may have less to wait for.
    changed: Notify,
    /// The rules of its robots.txt with the instant they were read; the lock is held while they are.
    pub robots: Turnstile<Option<(RobotsRules, Instant)>>,
}

struct GateState {
    pace: Pace,
    health: HostHealth,
    slots: usize,
    in_flight: usize,
    waiting: usize,
    reading_robots: bool,
    /// Whether it has been said that the host is given up; said once for each outage.
    told_given_up: bool,
    counts: GateCounts,
}

/// What a gate has let through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateCounts {
    /// Requests sent, those for robots.txt and redirects included.
    pub requests: u64,
    /// Further attempts after a failed one.
    pub retries: u64,
    /// Throttled answers.
    pub throttled: u64,
}

/// The host has been down, or has throttled everything, for longer than anybody waits: a sentence for the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostGivenUp(pub String);

enum Decision {
    Go { probe: bool },
    Wait(Option<Instant>, Waiting),
    GiveUp(String),
}

impl HostGate {
    /// A gate for a host of which nothing is known yet.
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

    /// A host that several sources ask is asked by the slowest one's limits.
    pub fn lower_to(&self, limits: HostLimits) {
        let mut state = lock(&self.state);
        state.pace.lower_to(limits.requests_per_sec);
        state.slots = state.slots.min(limits.concurrent_requests.get());
    }

    /// Waits until a request may start, and starts it: the caller sends it at once and tells the [`Started`] what came
    /// back. Dropping the future gives up the place in the queue and nothing else.
    /// `question` is the hash of what it asks: failures of one question alone say nothing about the host.
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

    /// Waits for the pace once more, for a request that has started but not been sent because what it needed took
    /// long (a browser session): the host sees requests when they are sent.
    pub async fn pace_again(&self, started: &mut Started, waiting: &WaitingOn) {
        waiting.set(Waiting::Pace);
        let mut clock = StartClock::new();
        // Not in the queue: its head may be waiting for the very slot that is held here.
        loop {
            let until = {
                let now = Instant::now();
                let mut state = lock(&self.state);
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
        let mut state = lock(&self.state);
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

    /// Says once for each outage, in full, that the host is given up. What its tasks end with is the same sentence for
    /// all of them, so that they are one line in a summary (P3).
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

    /// A host that throttles is at work and says when it will answer: it gets half an hour however short the patience
    /// with one that is down.
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

    /// Whether every request has been throttled for longer than anybody waits.
    pub fn throttled_out(&self) -> Option<HostGivenUp> {
        let now = Instant::now();
        let state = lock(&self.state);
        let since = state.pace.throttled_since()?;
        (now.saturating_duration_since(since) >= self.throttled_patience())
            .then(|| HostGivenUp(self.throttled_too_long(&state.pace, now)))
    }

    /// Halves the rate: the host refused a request (P4).
    pub fn slow_down(&self) {
        let now = Instant::now();
        lock(&self.state).pace.slow_down(now, now);
    }

    /// Takes the host down, whatever the count of failures.
    pub fn declare_down(&self, why: &str) {
        let change = lock(&self.state)
            .health
            .declare_down(Instant::now(), why, &self.patience);
        self.tell(change, why);
    }

    /// Counts a further attempt.
    pub fn count_retry(&self) {
        lock(&self.state).counts.retries += 1;
    }

    /// Says whether robots.txt is being read, for those who look.
    pub fn reading_robots(&self, reading: bool) {
        lock(&self.state).reading_robots = reading;
    }

    fn tell(&self, change: Change, why: &str) {
        match change {
            Change::None => return,
            Change::WentDown => tracing::warn!(
                host = %self.host,
                last_failure = why,
                probe_in_secs = self.patience.first_back_off.as_secs_f64(),
                "host is down; its requests wait behind one probe at a time"
            ),
            Change::CameBack => {
                lock(&self.state).told_given_up = false;
                tracing::info!(host = %self.host, "host answers again");
            }
        }
        self.changed.notify_one();
    }

    /// How it stands.
    pub fn snapshot(&self) -> HostSnapshot {
        let now = Instant::now();
        let state = lock(&self.state);
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

/// What stays the same while the head of the queue waits: its place in the jitter, and since when only the pace was
/// in its way.
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
        lock(&gate.state).waiting += 1;
        Self(gate)
    }
}

impl Drop for CountedWait<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).waiting -= 1;
    }
}

/// A request in flight: holds one slot until it is dropped. Dropped untold, it was cancelled, which says nothing about
/// the host.
pub struct Started {
    gate: Arc<HostGate>,
    at: Instant,
    probe: bool,
    question: u64,
    told: bool,
}

impl Started {
    /// The host is at work: any answer but a server error or a throttled one.
    pub fn succeeded(mut self) {
        self.told = true;
        let change = {
            let mut state = lock(&self.gate.state);
            state.pace.accepted();
            state.health.succeeded()
        };
        self.gate.tell(change, "");
    }

    /// No whole answer came, by the host's doing.
    pub fn failed(mut self, why: &str) {
        self.told = true;
        let change = lock(&self.gate.state).health.failed(
            Instant::now(),
            self.probe,
            self.question,
            why,
            &self.gate.patience,
        );
        self.gate.tell(change, why);
    }

    /// The host throttled it: alive, not to be asked before `retry_after`, and slower from now on.
    pub fn throttled(mut self, retry_after: Option<Duration>) {
        self.told = true;
        let now = Instant::now();
        let (change, rate) = {
            let mut state = lock(&self.gate.state);
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
            let mut state = lock(&self.gate.state);
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
