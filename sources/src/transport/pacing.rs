//! Computes when the next request to a host may start (P1): pure arithmetic over instants.
//!
//! The starts of requests form an even grid with a gap of 1 / rate. A small random delay (the jitter) is added to each
//! start. It does not move the grid, so the mean rate is kept. Idle time is not made up for, so there is no burst.

use std::time::Duration;

use schema::back_off::BackOff;
use tokio::time::Instant;

/// Largest random delay of a request, as a fraction of the time between two requests (1 / rate).
const JITTER: f64 = 0.1;
/// The lowest rate after throttling, and the step by which the rate rises again, as a fraction of the configured rate.
const STEP: f64 = 1.0 / 8.0;
/// The rate rises by one step after this time without throttling.
const RISE_EVERY: Duration = Duration::from_secs(10);
/// The wait after a throttled answer without `Retry-After`. It doubles with each further throttled answer in a row.
const UNSAID_WAIT: BackOff = BackOff::new(Duration::from_secs(1), Duration::from_secs(60));

/// The pace of one host.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Configured requests per second; greater than 0.
    configured: f64,
    /// The rate after it was lowered the last time, and the time of that.
    slowed: Option<(f64, Instant)>,
    /// The grid position of the last start.
    last_place: Option<Instant>,
    /// No request starts before this instant, because the host throttles.
    closed_until: Option<Instant>,
    /// Throttled answers since the last accepted one.
    throttled_in_a_row: u32,
    /// The time of the first of these answers.
    throttled_since: Option<Instant>,
}

/// An allowed start: its grid position, and the earliest time to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    place: Instant,
    /// The earliest time at which the request may start.
    pub at: Instant,
}

impl Pace {
    /// A pace of `requests_per_sec`, which must be finite and greater than 0 (checked by the transport's
    /// configuration).
    #[must_use]
    pub const fn new(requests_per_sec: f64) -> Self {
        Self {
            configured: requests_per_sec,
            slowed: None,
            last_place: None,
            closed_until: None,
            throttled_in_a_row: 0,
            throttled_since: None,
        }
    }

    /// The configured rate, in requests per second.
    #[must_use]
    pub const fn configured(&self) -> f64 {
        self.configured
    }

    /// Lowers the configured rate to that of another source of the same host, if that is lower.
    pub const fn lower_to(&mut self, requests_per_sec: f64) {
        self.configured = self.configured.min(requests_per_sec);
    }

    /// The rate allowed at `now`. After it was lowered, it rises by one eighth of the configured rate every 10 s.
    #[must_use]
    pub fn rate(&self, now: Instant) -> f64 {
        let Some((rate, since)) = self.slowed else {
            return self.configured;
        };
        let elapsed = now.saturating_duration_since(since);
        let steps = elapsed.as_secs() / RISE_EVERY.as_secs();
        // Eight steps always reach the configured rate.
        let steps = u8::try_from(steps).map_or(8.0, f64::from);
        (rate + steps * STEP * self.configured).min(self.configured)
    }

    /// The longest random delay of a request, in seconds: ten per cent of the gap at the configured rate. The delay is
    /// shorter if the rate is just below a whole number, because it could then put one request too many into a second.
    fn longest_jitter(&self) -> f64 {
        let to_next_whole = 1.0 - self.configured.fract();
        JITTER.min(to_next_whole) / self.configured
    }

    /// Returns when a request that has been waiting since `ready` may start. `fraction` (0 to 1) is the part of the
    /// longest random delay to apply.
    #[must_use]
    pub fn next_start(&self, ready: Instant, now: Instant, fraction: f64) -> Start {
        let gap = Duration::from_secs_f64(1.0 / self.rate(now));
        let place = [self.last_place.map(|last| last + gap), self.closed_until]
            .into_iter()
            .flatten()
            .fold(ready, Instant::max);
        let jitter = self.longest_jitter() * fraction.clamp(0.0, 1.0);
        Start {
            place,
            at: place + Duration::from_secs_f64(jitter),
        }
    }

    /// Records that the request allowed by `start` was sent at `now`. If that is later than the longest random delay,
    /// the grid moves, so that later requests do not catch up.
    pub fn started(&mut self, start: Start, now: Instant) {
        let jitter = Duration::from_secs_f64(self.longest_jitter());
        let earliest_place = now.checked_sub(jitter).unwrap_or(start.place);
        self.last_place = Some(start.place.max(earliest_place));
    }

    /// Records that the host throttled a request started at `started`. No request starts before `retry_after` has
    /// passed (if absent: 1 s, doubling to 60 s), and the rate is halved. If several requests in flight are throttled
    /// together, the rate is halved once, because the others were sent at the old rate.
    pub fn throttled(&mut self, started: Instant, now: Instant, retry_after: Option<Duration>) {
        let unsaid = UNSAID_WAIT.after(self.throttled_in_a_row);
        let until = now + retry_after.unwrap_or(unsaid);
        self.closed_until = Some(self.closed_until.map_or(until, |known| known.max(until)));
        self.throttled_in_a_row = self.throttled_in_a_row.saturating_add(1);
        self.throttled_since.get_or_insert(now);
        self.slow_down(started, now);
    }

    /// Halves the rate, but not below one eighth of the configured rate, and not if it was lowered after `started`. In
    /// both cases the 10 s without throttling begin again.
    pub fn slow_down(&mut self, started: Instant, now: Instant) {
        let lowest = self.configured * STEP;
        let rate = self.rate(now);
        let slower = match self.slowed {
            Some((_, since)) if started < since => rate,
            _ => (rate / 2.0).max(lowest),
        };
        self.slowed = Some((slower, now));
    }

    /// Records that the host accepted a request.
    pub const fn accepted(&mut self) {
        self.throttled_in_a_row = 0;
        self.throttled_since = None;
    }

    /// The end of the throttling, if it is in the future.
    #[must_use]
    pub fn closed_until(&self, now: Instant) -> Option<Instant> {
        self.closed_until.filter(|until| *until > now)
    }

    /// When the throttling began, if every request since then was throttled.
    #[must_use]
    pub const fn throttled_since(&self) -> Option<Instant> {
        self.throttled_since
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn p1_the_rate_is_halved_to_an_eighth_and_rises_by_an_eighth() {
        let zero = Instant::now();
        let mut pace = Pace::new(8.0);
        for (millis, rate) in [(0, 4.0), (1, 2.0), (2, 1.0), (3, 1.0)] {
            pace.throttled(at(zero, millis), at(zero, millis), None);
            assert!((pace.rate(at(zero, millis)) - rate).abs() < 1e-9);
        }
        for (millis, rate) in [
            (10_002, 1.0),
            (10_003, 2.0),
            (20_002, 2.0),
            (20_003, 3.0),
            (70_003, 8.0),
            (999_999, 8.0),
        ] {
            assert!(
                (pace.rate(at(zero, millis)) - rate).abs() < 1e-9,
                "{millis}"
            );
        }
    }

    #[test]
    fn requests_throttled_together_halve_the_rate_once() {
        let zero = Instant::now();
        let mut pace = Pace::new(4.0);
        for _ in 0..3 {
            pace.throttled(zero, at(zero, 100), None);
            pace.throttled(zero, at(zero, 101), None);
        }
        assert!((pace.rate(at(zero, 101)) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_throttled_host_without_retry_after_is_paused_longer_each_time() {
        let zero = Instant::now();
        let mut pace = Pace::new(4.0);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let mut next = pace.clone();
            next.closed_until = None;
            next.throttled(zero, zero, None);
            assert_eq!(next.closed_until(zero), Some(at(zero, seconds * 1_000)));
            pace = next;
        }
        pace.accepted();
        assert_eq!(pace.throttled_since(), None);
    }

    /// One event of a simulated run: the time until the next request, the delay of its start, and the answer of the
    /// host.
    fn events() -> impl Strategy<Value = Vec<(u64, u64, Option<u64>, f64)>> {
        prop::collection::vec(
            (
                prop_oneof![8 => Just(0), 1 => 0..3_000_u64],
                prop_oneof![8 => Just(0), 1 => 0..400_u64],
                prop_oneof![12 => Just(None), 1 => (0..4_000_u64).prop_map(Some)],
                0.0..1.0_f64,
            ),
            1..200,
        )
    }

    proptest! {
        #[test]
        fn p1_never_more_than_rate_plus_one_in_a_sliding_second(rate in 0.2..12.0_f64, events in events()) {
            let mut now = Instant::now();
            let mut pace = Pace::new(rate);
            let mut starts = Vec::new();
            let mut closed = None;
            for (idle, late, throttled, fraction) in events {
                now += Duration::from_millis(idle);
                let start = pace.next_start(now, now, fraction);
                now = now.max(start.at) + Duration::from_millis(late);
                prop_assert!(closed.is_none_or(|until| now >= until), "earlier than Retry-After");
                pace.started(start, now);
                starts.push(now);
                if let Some(millis) = throttled {
                    let wait = Duration::from_millis(millis);
                    pace.throttled(now, now, Some(wait));
                    closed = closed.max(Some(now + wait));
                }
            }
            for (index, first) in starts.iter().enumerate() {
                let within = starts[index..].iter().filter(|start| **start < *first + Duration::from_secs(1)).count();
                prop_assert!(within as f64 <= rate + 1.0 + 1e-6, "{within} starts in a second at rate {rate}");
            }
        }

        #[test]
        fn p1_jitter_only_delays_by_a_tenth_and_keeps_the_mean_rate(rate in 0.2..12.0_f64, fractions in prop::collection::vec(0.0..1.0_f64, 2..100)) {
            let zero = Instant::now();
            let mut now = zero;
            let mut pace = Pace::new(rate);
            for (index, fraction) in fractions.iter().enumerate() {
                let start = pace.next_start(now, now, *fraction);
                let even = index as f64 / rate;
                let offset = (start.at - zero).as_secs_f64() - even;
                prop_assert!((-1e-6..=0.1 / rate + 1e-6).contains(&offset), "start {index} is {offset} s off the even grid");
                now = start.at;
                pace.started(start, now);
            }
        }
    }
}
