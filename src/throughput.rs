//! Measures how fast tasks end and what limits this rate, for the rate and the time left in the progress display and
//! `status`. Pure.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// The window in which tasks are counted. Batches are committed together, so the rate over a shorter window would jump.
const WINDOW: Duration = Duration::from_secs(60);
/// Minimum time span for a measurement.
const LEAST_SPAN: Duration = Duration::from_secs(5);
/// If tasks end at this share of the host's rate or faster, the host's rate is regarded as the limit.
const AT_THE_RATE: f64 = 0.85;

/// Samples of the number of ended tasks of a source over time.
#[derive(Debug, Default)]
pub struct Throughput {
    seen: VecDeque<(Instant, usize)>,
}

impl Throughput {
    /// Records the number of ended tasks at `now`. A lower number than before means that another cycle has begun.
    pub fn note(&mut self, now: Instant, ended: usize) {
        if self.seen.back().is_some_and(|(_, before)| *before > ended) {
            self.seen.clear();
        }
        self.seen.push_back((now, ended));
        // One sample from before the window is kept as its start.
        while self
            .seen
            .get(1)
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW)
        {
            self.seen.pop_front();
        }
    }

    /// Tasks that ended per second; `None` if not measured yet.
    pub fn per_sec(&self) -> Option<f64> {
        let (first_at, first) = self.seen.front()?;
        let (last_at, last) = self.seen.back()?;
        let span = last_at.saturating_duration_since(*first_at);
        (span >= LEAST_SPAN).then(|| (last - first) as f64 / span.as_secs_f64())
    }
}

/// What limits the rate of a source's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bottleneck {
    /// The allowed request rate of the source's host.
    HostRate,
    /// How fast the source's host responds.
    HostAnswers,
    /// How fast pages are rendered in the browser.
    Browser,
    /// How fast answers are merged and committed.
    Database,
}

/// The state of a source's work at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Requests per second that the slowest busy host of the source allows; 0 if no host is busy.
    pub allowed_per_sec: f64,
    /// Requests in flight or queued.
    pub requests: usize,
    /// Pages of the source that are open in the browser or wait for a tab.
    pub in_browser: usize,
    /// Whether the loader waits for the database.
    pub database_waits: bool,
}

impl Bottleneck {
    /// What limits a source whose tasks end at `per_sec`.
    pub fn of(per_sec: f64, load: &Load) -> Self {
        if load.database_waits {
            Self::Database
        } else if load.allowed_per_sec > 0.0 && per_sec >= load.allowed_per_sec * AT_THE_RATE {
            Self::HostRate
        } else if load.in_browser > 0 {
            Self::Browser
        } else if load.requests > 0 {
            Self::HostAnswers
        } else {
            Self::Database
        }
    }
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostRate => "the host's rate",
            Self::HostAnswers => "the host's answers",
            Self::Browser => "the browser",
            Self::Database => "the database",
        })
    }
}

/// How long `tasks` take at `per_sec`, as text; `None` if no tasks end.
#[must_use]
pub fn time_left(tasks: usize, per_sec: f64) -> Option<String> {
    if per_sec <= 0.0 {
        return None;
    }
    let seconds = (tasks as f64 / per_sec).clamp(0.0, 1e7);
    let seconds = Duration::from_secs_f64(seconds).as_secs();
    Some(match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let zero = Instant::now();
        let at = |secs: u64| zero + Duration::from_secs(secs);
        let mut throughput = Throughput::default();
        assert_eq!(throughput.per_sec(), None);
        for secs in 0..=4 {
            throughput.note(at(secs), 0);
            assert_eq!(
                throughput.per_sec(),
                None,
                "nothing is measured after {secs} s"
            );
        }
        throughput.note(at(10), 10);
        assert_eq!(throughput.per_sec(), Some(1.0));
        for secs in 11..=100 {
            throughput.note(at(secs), 10 + (secs as usize - 10) * 2);
        }
        assert_eq!(
            throughput.per_sec(),
            Some(2.0),
            "the slow beginning is forgotten"
        );
        for secs in 101..=200 {
            throughput.note(at(secs), 190);
        }
        assert_eq!(throughput.per_sec(), Some(0.0), "nothing ends any more");
        throughput.note(at(201), 3);
        assert_eq!(throughput.per_sec(), None, "another cycle");
    }

    #[test]
    fn what_holds_a_source_up_is_named() {
        let load = |allowed_per_sec, requests, in_browser, database_waits| Load {
            allowed_per_sec,
            requests,
            in_browser,
            database_waits,
        };
        for (per_sec, load, expected) in [
            (1.9, load(2.0, 3, 0, false), Bottleneck::HostRate),
            (1.9, load(2.0, 3, 3, false), Bottleneck::HostRate),
            (0.9, load(50.0, 3, 1, false), Bottleneck::Browser),
            (0.9, load(50.0, 3, 0, false), Bottleneck::HostAnswers),
            (9.0, load(50.0, 0, 0, false), Bottleneck::Database),
            (2.0, load(2.0, 3, 0, true), Bottleneck::Database),
            (3.0, load(0.0, 0, 0, false), Bottleneck::Database),
        ] {
            assert_eq!(
                Bottleneck::of(per_sec, &load),
                expected,
                "{per_sec} {load:?}"
            );
        }
    }

    #[test]
    fn time_left_comes_from_the_measured_rate() {
        for (tasks, per_sec, words) in [
            (10, 0.5, Some("20 s")),
            (2_200, 2.0, Some("18 min")),
            (2_200, 0.25, Some("2 h 26 min")),
            (10, 0.0, None),
        ] {
            assert_eq!(time_left(tasks, per_sec).as_deref(), words);
        }
    }
}
