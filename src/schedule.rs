//! When the unattended runner does what. Pure: the clock is handed in, so a year can be tested in a moment.
//!
//! A *slot* is `daily_at` of a day that is neither a skipped weekday nor a holiday. The newest slot that has passed is
//! due until a full cycle of its date or a later one has closed; so a night the machine was off is caught up at the next
//! start, once, and a clock that steps back repeats nothing. A cycle that is open is gone on with before anything else.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};
use schema::store::{CycleKind, ScheduleFacts};

/// No calendar skips more days than this in a row; a configuration that does has no slot at all.
const LONGEST_PAUSE_DAYS: usize = 400;

/// The schedule as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Where the times below are meant.
    pub timezone: TimeZone,
    /// When a day's cycle begins.
    pub daily_at: Time,
    /// Round 2 does not begin before this.
    pub retry_at: Time,
    /// Days of the week without a slot.
    pub skip_weekdays: Vec<Weekday>,
    /// Dates without a slot.
    pub holidays: BTreeSet<Date>,
    /// Whether a start runs a cycle that no slot asks for yet: on a new warehouse, and on a working day before its slot.
    pub run_on_start: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Run this cycle now.
    Run {
        /// Daily or monthly.
        kind: CycleKind,
        /// Its date.
        cycle_date: Date,
    },
    /// Nothing before this moment.
    SleepUntil(Zoned),
    /// Every day is skipped: there never is anything to do.
    Never,
}

impl Schedule {
    /// What to do at `now`; `just_started` is true for the first question of a process.
    #[must_use]
    pub fn next(&self, now: &Zoned, facts: &ScheduleFacts, just_started: bool) -> Next {
        let now = now.with_time_zone(self.timezone.clone());
        if let Some(open) = &facts.open {
            return Next::Run {
                kind: open.kind,
                cycle_date: open.cycle_date,
            };
        }
        let today = now.date();
        let last_closed = facts.last_closed_daily.max(facts.last_closed_monthly);
        let newest_slot = self.newest_slot_date(&now);
        let missed = match (newest_slot, last_closed) {
            (Some(slot), Some(closed)) => closed < slot,
            // A new warehouse has missed nothing; a slot that passes while the runner is up is not missed either.
            (Some(slot), None) => slot == today && !just_started,
            (None, _) => false,
        };
        let wanted_at_start = just_started
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

    /// Monthly where none has closed in the calendar month of `today`, else daily.
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

    /// From when on round 2 of the cycle of this date may start: `retry_at` of that day.
    #[must_use]
    pub fn round_two_at(&self, cycle_date: Date) -> Zoned {
        let retry_at = cycle_date.to_datetime(self.retry_at);
        // Without such a moment (a gap of daylight saving) the moment after the gap; beyond the calendar, now.
        retry_at
            .to_zoned(self.timezone.clone())
            .unwrap_or_else(|_| Zoned::now())
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

    fn newest_slot_date(&self, now: &Zoned) -> Option<Date> {
        let mut date = now.date();
        for _ in 0..LONGEST_PAUSE_DAYS {
            if self.slot(date).is_some_and(|slot| slot <= *now) {
                return Some(date);
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
    use proptest::prelude::*;
    use schema::store::{Cycle, Scope};

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
            // Before the slot of a working day a start runs, a long-running process sleeps.
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
            // The clock stepped back over a closed cycle's date.
            (
                "2026-10-14T12:00",
                date(2026, 10, 15),
                false,
                Next::SleepUntil(at("2026-10-15T03:00")),
            ),
        ] {
            let facts = closed(Some(daily), october_done);
            assert_eq!(
                schedule().next(&at(now), &facts, started),
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
                schedule.next(&at("2026-10-15T04:00"), &facts, false),
                run(kind, date(2026, 10, 15))
            );
        }
    }

    #[test]
    fn a_new_warehouse_runs_on_start_or_waits_for_its_first_slot() {
        let mut schedule = schedule();
        let new = closed(None, None);
        assert_eq!(
            schedule.next(&at("2026-10-11T12:00"), &new, true),
            run(CycleKind::Monthly, date(2026, 10, 11))
        );
        schedule.run_on_start = false;
        assert_eq!(
            schedule.next(&at("2026-10-15T12:00"), &new, true),
            Next::SleepUntil(at("2026-10-16T03:00"))
        );
        assert_eq!(
            schedule.next(&at("2026-10-16T03:00"), &new, false),
            run(CycleKind::Monthly, date(2026, 10, 16))
        );
    }

    #[test]
    fn an_open_cycle_is_gone_on_with_first() {
        let mut facts = closed(Some(date(2026, 10, 15)), Some(date(2026, 10, 1)));
        facts.open = Some(Cycle {
            id: 7,
            cycle_date: date(2026, 10, 14),
            kind: CycleKind::Monthly,
            scope: Scope::Full,
            round: 1,
            resumed: true,
        });
        let next = schedule().next(&at("2026-10-15T12:00"), &facts, true);
        assert_eq!(next, run(CycleKind::Monthly, date(2026, 10, 14)));
    }

    #[test]
    fn round_two_waits_for_retry_at_of_the_cycles_day() {
        assert_eq!(
            schedule().round_two_at(date(2026, 10, 15)),
            at("2026-10-15T07:00")
        );
    }

    #[test]
    fn a_schedule_that_skips_every_day_never_runs() {
        let mut schedule = schedule();
        schedule.skip_weekdays = (1..=7)
            .filter_map(|day| Weekday::from_monday_one_offset(day).ok())
            .collect();
        let facts = closed(Some(date(2026, 10, 1)), None);
        assert_eq!(
            schedule.next(&at("2026-10-15T12:00"), &facts, false),
            Next::Never
        );
    }

    proptest! {
        /// Over a year, asked at random moments by a process that is now and then restarted: every working day's slot is
        /// served at most once, and none is left unserved by the time of the next one.
        #[test]
        fn over_a_year_no_slot_is_served_twice(steps in proptest::collection::vec((1_i64..40, any::<bool>()), 300)) {
            let mut schedule = schedule();
            schedule.run_on_start = false;
            let mut now = at("2026-01-01T00:00");
            let mut facts = closed(Some(date(2025, 12, 31)), Some(date(2025, 12, 31)));
            let mut ran: Vec<(Date, CycleKind)> = Vec::new();
            for (hours, restarted) in steps {
                now = now.checked_add(hours.hours()).expect("within the calendar");
                if let Next::Run { kind, cycle_date } = schedule.next(&now, &facts, restarted) {
                    ran.push((cycle_date, kind));
                    match kind {
                        CycleKind::Daily => facts.last_closed_daily = Some(cycle_date),
                        CycleKind::Monthly => facts.last_closed_monthly = Some(cycle_date),
                    }
                    let again = schedule.next(&now, &facts, false);
                    prop_assert!(!matches!(again, Next::Run { .. }), "asked again at once: {again:?}");
                }
            }
            prop_assert!(ran.windows(2).all(|pair| pair[0].0 < pair[1].0), "dates rise: {ran:?}");
            let monthly: Vec<_> = ran.iter().filter(|(_, kind)| *kind == CycleKind::Monthly).map(|(date, _)| (date.year(), date.month())).collect();
            let distinct: BTreeSet<_> = monthly.iter().copied().collect();
            prop_assert_eq!(distinct.len(), monthly.len(), "one monthly cycle a month");
        }
    }
}
