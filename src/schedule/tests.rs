//! The schedule by table, and by simulated years with outages and wrong clocks.

use std::collections::BTreeMap;

use jiff::civil::{Weekday, date, time};
use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

use super::*;

fn bangkok() -> TimeZone {
    TimeZone::fixed(Offset::constant(7))
}

fn settings() -> ScheduleSettings {
    ScheduleSettings {
        timezone: bangkok(),
        daily_at: time(3, 0, 0, 0),
        retry_at: time(7, 0, 0, 0),
        skip_weekdays: [Weekday::Sunday.into(), Weekday::Monday.into()].into(),
        holidays: [date(2026, 12, 31)].into(),
        run_on_start: true,
    }
}

/// `2026-11-25 02:30`, in Bangkok.
fn moment(text: &str) -> Zoned {
    let civil: jiff::civil::DateTime = text.parse().expect("a moment");
    civil.to_zoned(bangkok()).expect("in range")
}

fn closed(kind: CycleKind, day: &str) -> ClosedCycle {
    ClosedCycle {
        kind,
        date: day.parse().expect("a date"),
    }
}

fn shown(next: &Next) -> String {
    match next {
        Next::RunNow { kind, date } => format!("run {} {date}", kind.as_str()),
        Next::RoundTwoAt(at) => format!("round two {}", at.strftime("%F %H:%M")),
        Next::SleepUntil(at) => format!("sleep {}", at.strftime("%F %H:%M")),
    }
}

/// November 2026: the 22nd is a Sunday, the 25th a Wednesday. Monthly closed on the 3rd.
fn decide(now: &str, last_daily: Option<&str>, at_start: bool, run_on_start: bool) -> String {
    let settings = ScheduleSettings {
        run_on_start,
        ..settings()
    };
    let mut cycles = Vec::new();
    if let Some(day) = last_daily {
        cycles.push(closed(CycleKind::Monthly, "2026-11-03"));
        cycles.push(closed(CycleKind::Daily, day));
    }
    let now = moment(now);
    let known = Known {
        closed: &cycles,
        open: None,
        started_at: now.clone(),
        at_start,
    };
    shown(&next(&settings, &now, &known))
}

#[test]
fn a_start_asks_for_what_is_due_and_only_for_that() {
    for (why, now, last_daily, run_on_start, expected) in [
        (
            "an empty warehouse is filled at once",
            "2026-11-25 12:00",
            None,
            true,
            "run monthly 2026-11-25",
        ),
        (
            "whatever the day",
            "2026-11-22 12:00",
            None,
            true,
            "run monthly 2026-11-22",
        ),
        (
            "unless that is not wanted",
            "2026-11-25 12:00",
            None,
            false,
            "sleep 2026-11-26 03:00",
        ),
        (
            "today's cycle is done",
            "2026-11-25 12:00",
            Some("2026-11-25"),
            true,
            "sleep 2026-11-26 03:00",
        ),
        (
            "a start does not wait for daily_at",
            "2026-11-25 01:00",
            Some("2026-11-24"),
            true,
            "run daily 2026-11-25",
        ),
        (
            "unless that is not wanted",
            "2026-11-25 01:00",
            Some("2026-11-24"),
            false,
            "sleep 2026-11-25 03:00",
        ),
        (
            "a missed slot is caught up",
            "2026-11-25 12:00",
            Some("2026-11-24"),
            false,
            "run daily 2026-11-25",
        ),
        (
            "several missed slots make one cycle",
            "2026-11-25 12:00",
            Some("2026-11-10"),
            false,
            "run daily 2026-11-25",
        ),
        (
            "a missed slot even on a skipped day",
            "2026-11-22 12:00",
            Some("2026-11-20"),
            true,
            "run daily 2026-11-22",
        ),
        (
            "a skipped day misses nothing",
            "2026-11-22 12:00",
            Some("2026-11-21"),
            true,
            "sleep 2026-11-24 03:00",
        ),
        (
            "nor does the second one",
            "2026-11-23 04:00",
            Some("2026-11-21"),
            true,
            "sleep 2026-11-24 03:00",
        ),
        (
            "what was caught up on a skipped day serves its slot",
            "2026-11-22 20:00",
            Some("2026-11-22"),
            true,
            "sleep 2026-11-24 03:00",
        ),
    ] {
        assert_eq!(
            decide(now, last_daily, true, run_on_start),
            expected,
            "{why}"
        );
    }
}

#[test]
fn a_running_runner_keeps_to_its_slots() {
    for (why, now, last_daily, expected) in [
        (
            "before the slot",
            "2026-11-25 02:59",
            "2026-11-24",
            "sleep 2026-11-25 03:00",
        ),
        (
            "at the slot",
            "2026-11-25 03:00",
            "2026-11-24",
            "run daily 2026-11-25",
        ),
        (
            "a cycle that took the whole night",
            "2026-11-26 05:00",
            "2026-11-25",
            "run daily 2026-11-26",
        ),
        (
            "over the weekend",
            "2026-11-21 08:00",
            "2026-11-21",
            "sleep 2026-11-24 03:00",
        ),
        (
            "over a holiday",
            "2026-12-30 08:00",
            "2026-12-30",
            "sleep 2027-01-01 03:00",
        ),
        (
            "a new month is a monthly cycle",
            "2026-12-01 03:00",
            "2026-11-28",
            "run monthly 2026-12-01",
        ),
        (
            "the clock went back an hour after the cycle",
            "2026-11-25 02:10",
            "2026-11-25",
            "sleep 2026-11-25 03:00",
        ),
        (
            "and its slot comes again",
            "2026-11-25 03:00",
            "2026-11-25",
            "sleep 2026-11-26 03:00",
        ),
    ] {
        assert_eq!(
            decide(now, Some(last_daily), false, true),
            expected,
            "{why}"
        );
    }
}

#[test]
fn a_cycle_closed_under_a_clock_of_the_far_future_stops_nobody() {
    assert_eq!(
        decide("2026-11-25 03:00", Some("2099-01-01"), false, true),
        "run daily 2026-11-25"
    );
}

#[test]
fn an_open_cycle_is_gone_on_with_before_anything_else() {
    for (why, now, round_one_ended, expected) in [
        (
            "round one at once",
            "2026-11-25 03:10",
            false,
            "run daily 2026-11-25",
        ),
        (
            "also days later",
            "2026-11-29 12:00",
            false,
            "run daily 2026-11-25",
        ),
        (
            "round two waits for its time",
            "2026-11-25 05:00",
            true,
            "round two 2026-11-25 07:00",
        ),
        (
            "and then begins",
            "2026-11-25 07:00",
            true,
            "run daily 2026-11-25",
        ),
        (
            "late is no reason to wait again",
            "2026-11-26 01:00",
            true,
            "run daily 2026-11-25",
        ),
        (
            "a clock set back by days does not stop it",
            "2026-11-20 05:00",
            true,
            "run daily 2026-11-25",
        ),
    ] {
        let open = OpenCycle {
            kind: CycleKind::Daily,
            date: date(2026, 11, 25),
            round_one_ended,
        };
        let now = moment(now);
        let known = Known {
            closed: &[],
            open: Some(open),
            started_at: now.clone(),
            at_start: true,
        };
        assert_eq!(shown(&next(&settings(), &now, &known)), expected, "{why}");
    }
    let late = ScheduleSettings {
        daily_at: time(22, 0, 0, 0),
        retry_at: time(2, 0, 0, 0),
        ..settings()
    };
    assert_eq!(
        round_two_at(&late, date(2026, 11, 25)),
        moment("2026-11-26 02:00")
    );
}

#[test]
fn a_monthly_cycle_is_due_when_none_has_closed_in_the_calendar_month() {
    let cycles = [
        closed(CycleKind::Monthly, "2026-10-31"),
        closed(CycleKind::Daily, "2026-11-03"),
    ];
    for (day, kind) in [
        (date(2026, 10, 31), CycleKind::Daily),
        (date(2026, 11, 1), CycleKind::Monthly),
        (date(2026, 11, 30), CycleKind::Monthly),
        (date(2025, 10, 31), CycleKind::Monthly),
    ] {
        assert_eq!(kind_due(&cycles, day), kind, "{day}");
    }
}

/// A runner in a year: cycles take a while, the machine is off at times, the clock is set at times.
struct Year {
    settings: ScheduleSettings,
    now: Zoned,
    started_at: Zoned,
    at_start: bool,
    closed: Vec<ClosedCycle>,
    open: Option<OpenCycle>,
}

impl Year {
    fn new(settings: ScheduleSettings) -> Self {
        let now = moment("2026-01-06 12:00");
        Self {
            settings,
            started_at: now.clone(),
            now,
            at_start: true,
            closed: Vec::new(),
            open: None,
        }
    }

    fn pass(&mut self, minutes: i64) {
        self.now = self.now.saturating_add(Span::new().minutes(minutes));
    }

    /// One decision carried out; a cycle's rounds take `minutes` each.
    fn step(&mut self, minutes: i64) -> Next {
        let known = Known {
            closed: &self.closed,
            open: self.open,
            started_at: self.started_at.clone(),
            at_start: self.at_start,
        };
        let next = next(&self.settings, &self.now, &known);
        self.at_start = false;
        match &next {
            Next::SleepUntil(at) | Next::RoundTwoAt(at) => {
                assert!(*at > self.now, "a wait lies in the future");
                self.now = at.clone();
            }
            Next::RunNow { kind, date } => match self.open {
                Some(open) if open.round_one_ended => {
                    self.pass(minutes);
                    self.closed.push(ClosedCycle {
                        kind: *kind,
                        date: *date,
                    });
                    self.open = None;
                }
                Some(_) => {
                    self.pass(minutes);
                    self.open = Some(OpenCycle {
                        kind: *kind,
                        date: *date,
                        round_one_ended: true,
                    });
                }
                None => {
                    let repeated = self
                        .closed
                        .iter()
                        .any(|c| c.kind == *kind && c.date == *date);
                    assert!(!repeated, "{} of {date} was closed already", kind.as_str());
                    assert_eq!(
                        *date,
                        self.now.date(),
                        "a cycle is named by the day on which it begins"
                    );
                    self.open = Some(OpenCycle {
                        kind: *kind,
                        date: *date,
                        round_one_ended: false,
                    });
                }
            },
        }
        next
    }
}

#[test]
fn an_undisturbed_year_has_one_cycle_each_working_day_and_one_monthly_each_month() {
    let mut year = Year::new(settings());
    while year.now < moment("2026-12-31 00:00") {
        year.step(50);
    }
    let mut days: Vec<Date> = year.closed.iter().map(|cycle| cycle.date).collect();
    assert!(days.is_sorted());
    days.dedup();
    assert_eq!(days.len(), year.closed.len(), "one a day");
    let mut day = date(2026, 1, 6);
    while day < date(2026, 12, 31) {
        assert_eq!(
            days.contains(&day),
            !is_skipped(&year.settings, day),
            "{day}"
        );
        day = following(day);
    }
    let mut monthly: BTreeMap<i8, usize> = BTreeMap::new();
    for cycle in year
        .closed
        .iter()
        .filter(|cycle| cycle.kind == CycleKind::Monthly)
    {
        *monthly.entry(cycle.date.month()).or_default() += 1;
    }
    assert_eq!(monthly.len(), 12);
    assert!(monthly.values().all(|count| *count == 1), "{monthly:?}");
}

#[derive(Debug, Clone)]
enum Event {
    Cycle { minutes: i64 },
    Off { minutes: i64 },
    ClockSet { minutes: i64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (1_i64..600).prop_map(|minutes| Event::Cycle { minutes }),
        2 => (1_i64..14_400).prop_map(|minutes| Event::Off { minutes }),
        1 => (-4_320_i64..4_320).prop_map(|minutes| Event::ClockSet { minutes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, no closed cycle is repeated, none is named by another day than its own (both asserted in `step`),
    /// and the runner never sleeps longer than the longest run of skipped days.
    #[test]
    fn outages_and_wrong_clocks_never_repeat_a_cycle_nor_stop_the_work(
        events in prop::collection::vec(event(), 200..600),
        run_on_start: bool,
    ) {
        let mut year = Year::new(ScheduleSettings { run_on_start, ..settings() });
        for event in events {
            match event {
                Event::Cycle { minutes } => {
                    let before = year.now.clone();
                    if let Next::SleepUntil(at) = year.step(minutes) {
                        prop_assert!(at <= before.saturating_add(Span::new().hours(5 * 24)), "{at}");
                    }
                }
                Event::Off { minutes } => {
                    year.pass(minutes);
                    year.started_at = year.now.clone();
                    year.at_start = true;
                }
                Event::ClockSet { minutes } => year.pass(minutes),
            }
        }
        prop_assert!(!year.closed.is_empty());
    }
}
