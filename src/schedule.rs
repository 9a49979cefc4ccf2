//! The schedule of the unattended runner. Pure: the time is an argument, so a test can run through a year in moments.
//!
//! A *slot* is `daily_at` of a day that is neither a skipped weekday nor a holiday. The newest slot that has passed is
//! due until a full cycle of its date or a later one has closed. Therefore a night during which the machine was off is
//! caught up once at the next start, and a clock that is set back repeats nothing. An open cycle is continued before
//! anything else.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};
use store::{CycleKind, ScheduleFacts};

/// Upper bound for consecutive days without a slot. A configuration with more such days is treated as one without any
/// slot.
const LONGEST_PAUSE_DAYS: usize = 400;

/// The schedule as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The time zone of the times below.
    pub timezone: TimeZone,
    /// When a day's cycle begins.
    pub daily_at: Time,
    /// The earliest start of round 2.
    pub retry_at: Time,
    /// Days of the week without a slot.
    pub skip_weekdays: Vec<Weekday>,
    /// Dates without a slot.
    pub holidays: BTreeSet<Date>,
    /// Whether a start runs a cycle although no slot is due: on a new warehouse, and on a working day before its slot.
    pub run_on_start: bool,
}

/// How long the process has been running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uptime {
    /// The start of the process, by the clock of the schedule.
    pub since: Zoned,
    /// True only for the first decision after the start.
    pub just_started: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Run this cycle now.
    Run {
        /// Daily or monthly.
        kind: CycleKind,
        /// The cycle date.
        cycle_date: Date,
    },
    /// Nothing is due before this moment.
    SleepUntil(Zoned),
    /// Every day is skipped, so nothing is ever due.
    Never,
}

impl Schedule {
    /// Decides what to do at `now`.
    #[must_use]
    pub fn next(&self, now: &Zoned, facts: &ScheduleFacts, uptime: &Uptime) -> Next {
        let now = now.with_time_zone(self.timezone.clone());
        if let Some(open) = &facts.open {
            return Next::Run {
                kind: open.kind,
                cycle_date: open.cycle_date,
            };
        }
        let today = now.date();
        let last_closed = facts.last_closed_daily.max(facts.last_closed_monthly);
        let missed = match (self.newest_slot(&now), last_closed) {
            (Some((date, _)), Some(closed)) => closed < date,
            // A new warehouse has missed no slot: only a slot that passes while the runner is up is due.
            (Some((_, slot)), None) => slot > uptime.since,
            (None, _) => false,
        };
        let wanted_at_start = uptime.just_started
            && self.run_on_start
            && (last_closed.is_none() || (self.is_working_day(today) && last_closed < Some(today)));
        if missed || wanted_at_start {
            return Next::Run {
                kind: self.due_kind(today, facts),
                cycle_date: today,
            };
        }
        self.next_slot(&now).map_or(Next::Never, Next::SleepUntil)
    }

    /// Monthly if no monthly cycle has closed in the calendar month of `today`, otherwise daily.
    #[must_use]
    pub fn due_kind(&self, today: Date, facts: &ScheduleFacts) -> CycleKind {
        let closed_this_month = facts
            .last_closed_monthly
            .is_some_and(|closed| (closed.year(), closed.month()) >= (today.year(), today.month()));
        if closed_this_month {
            CycleKind::Daily
        } else {
            CycleKind::Monthly
        }
    }

    /// The earliest start of round 2 of the cycle of this date: `retry_at` of that day, or of the next day if
    /// `retry_at` is not later than `daily_at`. In a gap of daylight saving it is the moment after the gap. `None`
    /// beyond the end of the calendar.
    #[must_use]
    pub fn round_two_at(&self, cycle_date: Date) -> Option<Zoned> {
        let date = if self.retry_at > self.daily_at {
            cycle_date
        } else {
            cycle_date.tomorrow().ok()?
        };
        date.to_datetime(self.retry_at)
            .to_zoned(self.timezone.clone())
            .ok()
    }

    fn is_working_day(&self, date: Date) -> bool {
        !self.skip_weekdays.contains(&date.weekday()) && !self.holidays.contains(&date)
    }

    fn slot(&self, date: Date) -> Option<Zoned> {
        if !self.is_working_day(date) {
            return None;
        }
        date.to_datetime(self.daily_at)
            .to_zoned(self.timezone.clone())
            .ok()
    }

    /// The newest slot that has passed, with its date.
    fn newest_slot(&self, now: &Zoned) -> Option<(Date, Zoned)> {
        let mut date = now.date();
        for _ in 0..LONGEST_PAUSE_DAYS {
            if let Some(slot) = self.slot(date).filter(|slot| slot <= now) {
                return Some((date, slot));
            }
            date = date.checked_sub(1.day()).ok()?;
        }
        None
    }

    fn next_slot(&self, now: &Zoned) -> Option<Zoned> {
        let mut date = now.date();
        for _ in 0..LONGEST_PAUSE_DAYS {
            if let Some(slot) = self.slot(date).filter(|slot| slot > now) {
                return Some(slot);
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};
    use store::{Cycle, Scope};

    use super::*;

    fn schedule() -> Schedule {
        Schedule {
            timezone: TimeZone::get("Asia/Bangkok").expect("the time zone database has Bangkok"),
            daily_at: time(3, 0, 0, 0),
            retry_at: time(7, 0, 0, 0),
            skip_weekdays: Vec::from([Weekday::Sunday, Weekday::Monday]),
            holidays: BTreeSet::from([date(2026, 10, 13)]),
            run_on_start: true,
        }
    }

    fn at(text: &str) -> Zoned {
        format!("{text}[Asia/Bangkok]").parse().expect("a moment")
    }

    fn closed(daily: Option<Date>, monthly: Option<Date>) -> ScheduleFacts {
        ScheduleFacts {
            last_closed_daily: daily,
            last_closed_monthly: monthly,
            open: None,
            failed: None,
        }
    }

    /// The uptime of a process that started at this time: just now if `just_started`, otherwise some time ago.
    fn up(since: &str, just_started: bool) -> Uptime {
        Uptime {
            since: at(since),
            just_started,
        }
    }

    fn run(kind: CycleKind, cycle_date: Date) -> Next {
        Next::Run { kind, cycle_date }
    }

    // October 2026: the 15th is a Thursday, the 13th (Tuesday) a holiday here.
    #[test]
    fn slots_skipped_days_holidays_and_missed_nights() {
        let october_done = Some(date(2026, 10, 1));
        for (now, daily, started, next) in [
            (
                "2026-10-15T02:59",
                date(2026, 10, 14),
                false,
                Next::SleepUntil(at("2026-10-15T03:00")),
            ),
            (
                "2026-10-15T03:00",
                date(2026, 10, 14),
                false,
                run(CycleKind::Daily, date(2026, 10, 15)),
            ),
            (
                "2026-10-15T12:00",
                date(2026, 10, 15),
                false,
                Next::SleepUntil(at("2026-10-16T03:00")),
            ),
            // Off for three nights: caught up once, with today's date.
            (
                "2026-10-15T12:00",
                date(2026, 10, 10),
                true,
                run(CycleKind::Daily, date(2026, 10, 15)),
            ),
            // Saturday's cycle closed: Sunday and Monday are skipped, Tuesday is a holiday.
            (
                "2026-10-11T12:00",
                date(2026, 10, 10),
                true,
                Next::SleepUntil(at("2026-10-14T03:00")),
            ),
            // Saturday's was missed: caught up on Sunday although Sunday itself is skipped.
            (
                "2026-10-11T12:00",
                date(2026, 10, 9),
                true,
                run(CycleKind::Daily, date(2026, 10, 11)),
            ),
            // Before the slot of a working day, a fresh start runs a cycle; a long-running process sleeps.
            (
                "2026-10-16T01:00",
                date(2026, 10, 15),
                true,
                run(CycleKind::Daily, date(2026, 10, 16)),
            ),
            (
                "2026-10-16T01:00",
                date(2026, 10, 15),
                false,
                Next::SleepUntil(at("2026-10-16T03:00")),
            ),
            // The clock was set back before the date of a closed cycle.
            (
                "2026-10-14T12:00",
                date(2026, 10, 15),
                false,
                Next::SleepUntil(at("2026-10-15T03:00")),
            ),
        ] {
            let facts = closed(Some(daily), october_done);
            assert_eq!(
                schedule().next(&at(now), &facts, &up(now, started)),
                next,
                "{now} {daily} {started}"
            );
        }
    }

    #[test]
    fn the_monthly_cycle_is_due_until_one_has_closed_in_the_month() {
        let schedule = schedule();
        for (monthly, kind) in [
            (None, CycleKind::Monthly),
            (Some(date(2026, 9, 30)), CycleKind::Monthly),
            (Some(date(2026, 10, 1)), CycleKind::Daily),
        ] {
            let facts = closed(Some(date(2026, 10, 14)), monthly);
            assert_eq!(
                schedule.next(
                    &at("2026-10-15T04:00"),
                    &facts,
                    &up("2026-10-15T01:00", false)
                ),
                run(kind, date(2026, 10, 15))
            );
        }
    }

    #[test]
    fn a_new_warehouse_runs_on_start_or_waits_for_its_first_slot() {
        let mut schedule = schedule();
        let new = closed(None, None);
        assert_eq!(
            schedule.next(&at("2026-10-11T12:00"), &new, &up("2026-10-11T12:00", true)),
            run(CycleKind::Monthly, date(2026, 10, 11))
        );
        schedule.run_on_start = false;
        // Started at noon: today's slot passed before that, and does not become due a minute later.
        for (now, just_started) in [
            ("2026-10-15T12:00", true),
            ("2026-10-15T12:01", false),
            ("2026-10-16T02:59", false),
        ] {
            assert_eq!(
                schedule.next(&at(now), &new, &up("2026-10-15T12:00", just_started)),
                Next::SleepUntil(at("2026-10-16T03:00")),
                "{now}"
            );
        }
        // Due once it has passed, and still due on the next day.
        for (now, date) in [
            ("2026-10-16T03:00", date(2026, 10, 16)),
            ("2026-10-17T01:00", date(2026, 10, 17)),
        ] {
            assert_eq!(
                schedule.next(&at(now), &new, &up("2026-10-15T12:00", false)),
                run(CycleKind::Monthly, date),
                "{now}"
            );
        }
    }

    #[test]
    fn an_open_cycle_is_resumed_first() {
        let mut facts = closed(Some(date(2026, 10, 15)), Some(date(2026, 10, 1)));
        facts.open = Some(Cycle {
            id: 7,
            cycle_date: date(2026, 10, 14),
            kind: CycleKind::Monthly,
            scope: Scope::Full,
            round: 1,
            resumed: true,
        });
        let next = schedule().next(
            &at("2026-10-15T12:00"),
            &facts,
            &up("2026-10-15T12:00", true),
        );
        assert_eq!(next, run(CycleKind::Monthly, date(2026, 10, 14)));
    }

    #[test]
    fn round_two_waits_for_the_first_retry_at_after_daily_at() {
        let mut schedule = schedule();
        for (daily_at, retry_at, moment) in [
            (time(3, 0, 0, 0), time(7, 0, 0, 0), "2026-10-31T07:00"),
            (time(20, 0, 0, 0), time(2, 0, 0, 0), "2026-11-01T02:00"),
        ] {
            (schedule.daily_at, schedule.retry_at) = (daily_at, retry_at);
            assert_eq!(
                schedule.round_two_at(date(2026, 10, 31)),
                Some(at(moment)),
                "{daily_at} {retry_at}"
            );
        }
        assert_eq!(schedule.round_two_at(Date::MAX), None);
    }

    #[test]
    fn a_schedule_that_skips_every_day_never_runs() {
        let mut schedule = schedule();
        schedule.skip_weekdays = (1..=7)
            .filter_map(|day| Weekday::from_monday_one_offset(day).ok())
            .collect();
        let facts = closed(Some(date(2026, 10, 1)), None);
        assert_eq!(
            schedule.next(
                &at("2026-10-15T12:00"),
                &facts,
                &up("2026-10-15T12:00", false)
            ),
            Next::Never
        );
    }
}
