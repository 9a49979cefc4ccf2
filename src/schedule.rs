//! When the scheduled runner works: a pure decision over the settings, the clock and the cycles that were (DESIGN section 3).
//!
//! The caller asks, does what is said, and asks again; while it sleeps it asks at least once a minute, because the clock may be
//! set. Only one thing is ever said at a time, so two cycles never run at once.

use jiff::civil::{Date, Time};
use jiff::{Span, Zoned};

use crate::runner_settings::ScheduleSettings;

/// What a cycle asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CycleKind {
    /// What changes daily.
    Daily,
    /// Everything.
    Monthly,
}

impl CycleKind {
    /// The name in tables and options.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Monthly => "monthly",
        }
    }
}

/// A closed cycle of full scope, whatever its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedCycle {
    /// What it asked for.
    pub kind: CycleKind,
    /// Its cycle_date.
    pub date: Date,
}

/// A cycle of full scope that has begun and is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenCycle {
    /// What it asks for.
    pub kind: CycleKind,
    /// Its cycle_date.
    pub date: Date,
    /// Whether only round 2 is left.
    pub round_one_ended: bool,
}

/// What is known when the question is asked.
#[derive(Debug, Clone)]
pub struct Known<'cycles> {
    /// Closed cycles, in any order; those of the last two months suffice.
    pub closed: &'cycles [ClosedCycle],
    /// The open one, if any.
    pub open: Option<OpenCycle>,
    /// When this process started: a slot before it was not its own to serve.
    pub started_at: Zoned,
    /// Whether this is the first question after the start.
    pub at_start: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Begin this cycle, or go on with it (both rounds as they are due).
    RunNow {
        /// What it asks for.
        kind: CycleKind,
        /// Its cycle_date.
        date: Date,
    },
    /// Round 1 of the open cycle has ended; round 2 not before this.
    RoundTwoAt(Zoned),
    /// Nothing is due before this.
    SleepUntil(Zoned),
}

/// Decides.
///
/// - An open cycle is gone on with before anything else.
/// - A slot is the time `daily_at` of a day that is not skipped. It is due when no cycle of its date or a later one (up to
///   today) has closed; several missed slots make one cycle, with today's date.
/// - At the start a missed slot is caught up even on a skipped day; with `run_on_start` today's cycle is not waited for, and an
///   empty warehouse is filled at once whatever the day.
/// - A closed cycle dated later than today was made under a wrong clock and counts for nothing until its day has come.
#[must_use]
pub fn next(settings: &ScheduleSettings, now: &Zoned, known: &Known<'_>) -> Next {
    let now = now.with_time_zone(settings.timezone.clone());
    let today = now.date();
    if let Some(open) = known.open {
        return go_on(settings, &now, open);
    }
    let last_closed = known
        .closed
        .iter()
        .map(|cycle| cycle.date)
        .filter(|date| *date <= today)
        .max();
    if is_due(settings, &now, known, last_closed) {
        return Next::RunNow {
            kind: kind_due(known.closed, today),
            date: today,
        };
    }
    Next::SleepUntil(next_slot(settings, &now))
}

/// What a cycle of `date` has to be: monthly when no monthly cycle has closed in its calendar month.
#[must_use]
pub fn kind_due(closed: &[ClosedCycle], date: Date) -> CycleKind {
    let month = |date: Date| (date.year(), date.month());
    let done = closed
        .iter()
        .any(|cycle| cycle.kind == CycleKind::Monthly && month(cycle.date) == month(date));
    if done {
        CycleKind::Daily
    } else {
        CycleKind::Monthly
    }
}

/// When round 2 of a cycle may begin: the first `retry_at` after the `daily_at` of its date.
#[must_use]
pub fn round_two_at(settings: &ScheduleSettings, cycle_date: Date) -> Zoned {
    if settings.retry_at > settings.daily_at {
        at(settings, cycle_date, settings.retry_at)
    } else {
        at(settings, following(cycle_date), settings.retry_at)
    }
}

fn go_on(settings: &ScheduleSettings, now: &Zoned, open: OpenCycle) -> Next {
    let resume = Next::RunNow {
        kind: open.kind,
        date: open.date,
    };
    if !open.round_one_ended {
        return resume;
    }
    let round_two = round_two_at(settings, open.date);
    // A wait of more than a day and a half means that the clock was set back behind the cycle's own date: do not wait for that.
    let too_far = now.saturating_add(Span::new().hours(36));
    if now < round_two && round_two < too_far {
        Next::RoundTwoAt(round_two)
    } else {
        resume
    }
}

fn is_due(
    settings: &ScheduleSettings,
    now: &Zoned,
    known: &Known<'_>,
    last_closed: Option<Date>,
) -> bool {
    let today = now.date();
    let slot = last_slot(settings, now);
    match last_closed {
        Some(closed) => {
            let unserved = slot.is_some_and(|slot| slot.date() > closed);
            let early = known.at_start
                && settings.run_on_start
                && closed < today
                && !is_skipped(settings, today);
            unserved || early
        }
        // Nothing was ever closed: no slot was missed, the first one that comes is ours.
        None => {
            let come = slot.is_some_and(|slot| slot > known.started_at);
            come || settings.run_on_start
        }
    }
}

fn is_skipped(settings: &ScheduleSettings, date: Date) -> bool {
    settings.skip_weekdays.contains(&date.weekday().into()) || settings.holidays.contains(&date)
}

/// How many days are looked through for a slot: more than a year of listed holidays would be.
const HORIZON_DAYS: usize = 400;

/// The latest slot that has come.
fn last_slot(settings: &ScheduleSettings, now: &Zoned) -> Option<Zoned> {
    let days = std::iter::successors(Some(now.date()), |date| date.yesterday().ok());
    days.take(HORIZON_DAYS)
        .filter(|date| !is_skipped(settings, *date))
        .map(|date| at(settings, date, settings.daily_at))
        .find(|slot| slot <= now)
}

/// The first slot to come; a day away at the latest if every day of the horizon is a holiday.
fn next_slot(settings: &ScheduleSettings, now: &Zoned) -> Zoned {
    let days = std::iter::successors(Some(now.date()), |date| date.tomorrow().ok());
    days.take(HORIZON_DAYS)
        .filter(|date| !is_skipped(settings, *date))
        .map(|date| at(settings, date, settings.daily_at))
        .find(|slot| slot > now)
        .unwrap_or_else(|| now.saturating_add(Span::new().hours(24)))
}

fn following(date: Date) -> Date {
    date.saturating_add(Span::new().days(1))
}

/// A time of a day in the schedule's zone; where the clocks jump over it, as much later.
fn at(settings: &ScheduleSettings, date: Date, time: Time) -> Zoned {
    settings
        .timezone
        .to_ambiguous_zoned(date.to_datetime(time))
        .compatible()
        .unwrap_or_else(|_| jiff::Timestamp::MAX.to_zoned(settings.timezone.clone()))
}

#[cfg(test)]
mod tests;
