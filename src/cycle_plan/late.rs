//! Decides which projects of the official register are requested by themselves, because they usually publish later than
//! the lists of the market reach back. Pure.
//!
//! The lists of a daily cycle show the days of a window of six days. A class that usually publishes within the window
//! needs no request of its own. The project of any other class is requested when a NAV that the window does not show
//! may have been published: one request brings the new days of all its classes. A class that publishes once a month is
//! due when its next month is over, not every day.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan as _;
use jiff::civil::Date;
use schema::{DayRange, SourceName, TaskId};
use sources::page::{DayWindow, PageSpec};
use store::{CycleKind, FundState, LOOK_BACK_DAYS, NewTask, PlanningState, ProjectState};

use super::task;

/// Largest number of projects that are requested by themselves in a cycle. The most overdue ones are requested first,
/// the others in the next cycle.
pub(super) const MOST_PROJECTS: usize = 90;
/// A class without a NAV for longer than this number of days is not expected to publish on a certain day.
const LONGEST_SILENCE: i32 = 200;
/// A project of which no NAV is expected is requested at most once in this number of days.
const DAYS_BETWEEN_TRIALS: i32 = 7;
/// The number of days that are requested of such a project: enough to see how often it publishes.
const DAYS_OF_A_TRIAL: i32 = 100;

/// The date of a cycle and the days that its lists of the market show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    /// The date of the cycle, which is the last day that the lists show.
    pub today: Date,
    /// The first day that the lists of this cycle show.
    pub first_day: Date,
    /// The number of days back in an ordinary cycle.
    pub nightly: i32,
}

impl Shown {
    /// The days that the lists with this window show in a cycle.
    pub fn of(window: DayWindow, state: &PlanningState) -> Self {
        let (today, previous) = (state.cycle.cycle_date, state.previous_date);
        let monthly = state.cycle.kind == CycleKind::Monthly;
        Self {
            today,
            first_day: window.first_day(today, previous, monthly),
            nightly: i32::from(window.nightly),
        }
    }
}

/// Why a project is requested. The order is that of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// A NAV is due since this date, or has been missing since the request of this date.
    Due(Date),
    /// The register has no NAV of a class that it lists. The date is that of the last request.
    Unknown(Option<Date>),
}

/// A request for a project because of one of its classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub reason: Reason,
    /// The first day to request.
    pub from: Date,
}

/// Whether a project is requested because of one of its classes.
pub(super) fn wanted(class: &ProjectState, shown: Shown) -> Option<Wanted> {
    let days_since = |date: Date| (shown.today - date).get_days();
    let last_asked = class.days.last_answered;
    let newest = class.nav_dates.first().copied();
    let Some(newest) = newest.filter(|newest| days_since(*newest) <= LONGEST_SILENCE) else {
        let may_be_tried = last_asked.is_none_or(|last| days_since(last) >= DAYS_BETWEEN_TRIALS);
        return may_be_tried.then(|| Wanted {
            reason: Reason::Unknown(last_asked),
            from: shown.today.saturating_sub(DAYS_OF_A_TRIAL.days()),
        });
    };
    let lag = usual(&class.lags).unwrap_or_else(|| days_since(newest));
    if lag <= shown.nightly {
        return None;
    }
    let expected = newest.saturating_add(smallest_step(&class.nav_dates).days());
    if expected >= shown.first_day {
        return None;
    }
    let due = expected.saturating_add(lag.days());
    let reason = Reason::Due(last_asked.map_or(due, |last| last.max(due)));
    // The newest days may have been revised since.
    let from = newest.saturating_sub(LOOK_BACK_DAYS.days());
    Some(Wanted { reason, from })
}

/// The median of the samples, of an even number the smaller one; `None` without a sample.
fn usual(lags: &[i16]) -> Option<i32> {
    let mut sorted = lags.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len().checked_sub(1)? / 2;
    sorted.get(middle).copied().map(i32::from)
}

/// The smallest number of days from one NAV date to the next one, less an eighth: months have 28 to 31 days. 1 if it is
/// not known.
fn smallest_step(newest_first: &[Date]) -> i32 {
    let steps = newest_first
        .windows(2)
        .map(|pair| (pair[0] - pair[1]).get_days());
    let smallest = steps.filter(|step| *step > 0).min().unwrap_or(1);
    smallest - smallest / 8
}

/// Collects the projects to request, over all parts of the market.
#[derive(Debug, Default)]
pub(super) struct Projects {
    /// The projects that are requested in this cycle already.
    planned: BTreeSet<String>,
    wanted: BTreeMap<String, Wanted>,
}

impl Projects {
    /// Adds the projects of these funds.
    pub fn add(&mut self, shown: Shown, funds: &[&FundState]) {
        for class in funds.iter().filter_map(|fund| fund.project.as_ref()) {
            if class.days.is_planned {
                self.planned.insert(class.id.clone());
                continue;
            }
            let Some(new) = wanted(class, shown) else {
                continue;
            };
            let known = self.wanted.entry(class.id.clone()).or_insert(new);
            known.reason = known.reason.min(new.reason);
            known.from = known.from.min(new.from);
        }
    }

    /// The tasks of this plan, and the number of projects that are left for the next cycle.
    pub fn tasks(&self, source: SourceName, spec: &PageSpec, today: Date) -> (Vec<NewTask>, usize) {
        let mut order: Vec<(&String, &Wanted)> = self.wanted.iter().collect();
        order.sort_by_key(|(id, wanted)| (wanted.reason, *id));
        let room = MOST_PROJECTS.saturating_sub(self.planned.len());
        let tasks = order.iter().take(room).map(|(id, wanted)| NewTask {
            locator: Some(
                DayRange {
                    first: wanted.from,
                    last: today,
                }
                .to_string(),
            ),
            ..task(source, spec, &TaskId::part_key(id))
        });
        (tasks.collect(), order.len().saturating_sub(room))
    }
}

#[cfg(test)]
mod tests;
