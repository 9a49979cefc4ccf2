//! Checks a simulated year against the operator's expectations, using only the calendar and the history, not the
//! schedule.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use store::CycleKind;

use super::machine::{CycleRun, History, Moment};
use super::plan::{HOUR, Plan};

/// What was checked, so that a check without any case does not count as passed.
#[derive(Debug, Default)]
pub struct Counts {
    years: usize,
    cycles: usize,
    monthly: usize,
    /// Slots at which the machine was up and idle and its clock was right.
    plain_slots: usize,
    /// Cycles that began at another time than their slot.
    caught_up: usize,
    /// Second rounds that waited for `retry_at`.
    waited: usize,
    processes: usize,
    sleeps: usize,
    clock_steps: usize,
    leap_days: usize,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.years += other.years;
        self.cycles += other.cycles;
        self.monthly += other.monthly;
        self.plain_slots += other.plain_slots;
        self.caught_up += other.caught_up;
        self.waited += other.waited;
        self.processes += other.processes;
        self.sleeps += other.sleeps;
        self.clock_steps += other.clock_steps;
        self.leap_days += other.leap_days;
    }

    pub fn assert_nothing_was_checked_in_vain(&self) {
        let enough = self.monthly >= 10 * self.years
            && self.plain_slots >= 90 * self.years
            && self.caught_up >= 8 * self.years
            && self.waited >= 20 * self.years
            && self.processes >= 20 * self.years
            && self.clock_steps >= 6 * self.years
            && self.leap_days > 2;
        assert!(enough, "the years were too quiet: {self:?}");
    }
}

struct Year<'a> {
    plan: &'a Plan,
    history: &'a History,
    slots: Vec<(Date, i64)>,
}

/// Returns the counts, or a description of the broken rule.
pub fn check(plan: &Plan, history: &History) -> Result<Counts, String> {
    let year = Year {
        plan,
        history,
        slots: plan.slots(),
    };
    year.one_after_the_other()?;
    year.no_cycle_without_reason()?;
    year.the_first_of_a_month_is_monthly()?;
    year.nothing_due_is_slept_over()?;
    year.bounded_wake_ups()?;
    let plain = year.plain_slots_run_on_their_day()?;
    year.months_with_a_plain_slot_have_their_monthly_cycle(&plain)?;
    let cycles = &history.cycles;
    let leap_day = jiff::civil::date(2028, 2, 29);
    Ok(Counts {
        years: 1,
        cycles: cycles.len(),
        monthly: cycles
            .iter()
            .filter(|run| run.kind == CycleKind::Monthly)
            .count(),
        plain_slots: plain.len(),
        caught_up: cycles
            .iter()
            .filter(|run| !plain.contains(&run.date))
            .count(),
        waited: year.round_two_waits_for_round_one_and_retry_at()?,
        processes: history.processes.len(),
        sleeps: history.sleeps.len(),
        clock_steps: plan.clock_steps.len(),
        leap_days: cycles.iter().filter(|run| run.date == leap_day).count(),
    })
}

impl Year<'_> {
    fn steps_between(&self, from: i64, to: i64) -> bool {
        self.plan
            .clock_steps
            .iter()
            .any(|(at, _)| (from..=to).contains(at))
    }

    fn wrong_at(&self, truly: i64) -> i64 {
        let steps = self.plan.clock_steps.iter().rev();
        steps
            .into_iter()
            .find(|(at, _)| *at <= truly)
            .map_or(0, |(_, wrong)| *wrong)
    }

    fn previous(&self, index: usize) -> Option<&CycleRun> {
        self.history.cycles.get(index.checked_sub(1)?)
    }

    /// The process that was up at this true time: its start and its end.
    fn process(&self, truly: i64) -> Option<(Moment, i64)> {
        let mut processes = self.history.processes.iter().rev();
        processes
            .find(|(started, ended)| started.truly <= truly && truly <= *ended)
            .copied()
    }

    /// Whether a slot counts on a new warehouse: only slots after the start of the process do. None if the clock was
    /// set meanwhile and the slot is within an hour of the start.
    fn counts_on_a_new_warehouse(&self, slot: i64, now: Moment) -> Option<bool> {
        let (started, _) = self.process(now.truly)?;
        if self.steps_between(started.truly, now.truly) && (slot - started.clock).abs() <= HOUR {
            return None;
        }
        Some(slot > started.clock)
    }

    fn one_after_the_other(&self) -> Result<(), String> {
        for pair in self.history.cycles.windows(2) {
            let [before, after] = pair else { continue };
            if before
                .closed
                .is_none_or(|closed| closed > after.began.truly)
            {
                return Err(format!("{after:?} began before {before:?} was closed"));
            }
            if before.date >= after.date {
                return Err(format!(
                    "{after:?} repeats a date, or goes back behind {before:?}"
                ));
            }
        }
        Ok(())
    }

    fn no_cycle_without_reason(&self) -> Result<(), String> {
        for (index, run) in self.history.cycles.iter().enumerate() {
            if self.plan.date_at(run.began.clock) != run.date {
                return Err(format!(
                    "{run:?} is not dated with the day on which it began"
                ));
            }
            let before = self.previous(index).map(|before| before.date);
            let kept = self.slots.iter().any(|(day, _)| *day == run.date);
            let wish =
                run.at_start && self.plan.schedule.run_on_start && (before.is_none() || kept);
            let slot = self.slots.iter().any(|(day, slot)| {
                *slot <= run.began.clock
                    && match before {
                        Some(before) => before < *day,
                        None => self.counts_on_a_new_warehouse(*slot, run.began) != Some(false),
                    }
            });
            if !wish && !slot {
                return Err(format!(
                    "{run:?} began although no slot asked for it; before it {before:?}"
                ));
            }
        }
        Ok(())
    }

    fn the_first_of_a_month_is_monthly(&self) -> Result<(), String> {
        let month = |run: &CycleRun| (run.date.year(), run.date.month());
        for (index, run) in self.history.cycles.iter().enumerate() {
            let first = self
                .previous(index)
                .is_none_or(|before| month(before) != month(run));
            if first != (run.kind == CycleKind::Monthly) {
                return Err(format!("{run:?}: is it the first of its month? {first}"));
            }
        }
        Ok(())
    }

    fn nothing_due_is_slept_over(&self) -> Result<(), String> {
        for (now, until) in &self.history.sleeps {
            let begun = self.history.cycles.iter().rev();
            let last = begun.into_iter().find(|run| run.began.truly <= now.truly);
            if let Some(open) =
                last.filter(|run| run.closed.is_none_or(|closed| closed > now.truly))
            {
                return Err(format!("slept at {now:?} although {open:?} is open"));
            }
            let passed = self.slots.iter().rev().find(|(_, slot)| *slot <= now.clock);
            if let Some((day, slot)) = passed {
                let due = match last {
                    Some(closed) => closed.date < *day,
                    None => self.counts_on_a_new_warehouse(*slot, *now) == Some(true),
                };
                if due {
                    return Err(format!(
                        "slept at {now:?} although {day} was due; last {last:?}"
                    ));
                }
            }
            let next = self.slots.iter().find(|(_, slot)| *slot > now.clock);
            if next.is_none_or(|(_, slot)| slot < until) {
                return Err(format!(
                    "at {now:?} a sleep until {until} goes past the slot {next:?}"
                ));
            }
        }
        Ok(())
    }

    /// Checks that the number of sleeps is bounded. Pieces of 30 s without an event count as one sleep.
    fn bounded_wake_ups(&self) -> Result<(), String> {
        let sleeps = self.history.sleeps.len();
        let disturbances = self.plan.clock_steps.len() + self.plan.deaths.len();
        let most = 2
            * (self.slots.len() + self.history.processes.len() + self.history.cycles.len())
            + 6 * disturbances;
        if sleeps > most {
            return Err(format!(
                "{sleeps} sleeps in a year, at most {most} were expected"
            ));
        }
        Ok(())
    }

    /// Checks that a slot at which the machine is up and idle begins its own cycle at once. Returns the days of such
    /// slots.
    fn plain_slots_run_on_their_day(&self) -> Result<BTreeSet<Date>, String> {
        let mut plain = BTreeSet::new();
        for (day, slot) in &self.slots {
            let truly = slot - self.wrong_at(*slot);
            let up = self
                .process(truly)
                .is_some_and(|(started, ended)| started.truly < truly && truly + 60 <= ended);
            let right = !self.steps_between(truly - 2 * HOUR, truly + 2 * HOUR);
            let idle = self.history.cycles.iter().all(|run| {
                let over = run.closed.is_some_and(|closed| closed < truly) && run.date < *day;
                over || run.began.truly >= truly
            });
            if !(up && right && idle) {
                continue;
            }
            let own = self.history.cycles.iter().find(|run| run.date == *day);
            let late = own.map(|own| own.began.truly - truly);
            // A process may die at this very moment; the next process then begins the cycle.
            if late.is_none_or(|late| late > 31) {
                return Err(format!(
                    "the slot of {day} found the machine idle, and its cycle is {own:?}"
                ));
            }
            plain.insert(*day);
        }
        Ok(plain)
    }

    fn months_with_a_plain_slot_have_their_monthly_cycle(
        &self,
        plain: &BTreeSet<Date>,
    ) -> Result<(), String> {
        let mut monthly: BTreeMap<(i16, i8), usize> = BTreeMap::new();
        for run in &self.history.cycles {
            if run.kind == CycleKind::Monthly {
                *monthly
                    .entry((run.date.year(), run.date.month()))
                    .or_default() += 1;
            }
        }
        for day in plain {
            let found = monthly.get(&(day.year(), day.month())).copied();
            if found != Some(1) {
                return Err(format!("{found:?} monthly cycles in the month of {day}"));
            }
        }
        Ok(())
    }

    /// Checks that round 2 waits for the end of round 1 and for `retry_at`. Returns how many second rounds waited for
    /// `retry_at`.
    fn round_two_waits_for_round_one_and_retry_at(&self) -> Result<usize, String> {
        let mut waited = 0;
        for run in &self.history.cycles {
            let retry = self.plan.retry_moment(run.date);
            for round_two in &run.round_two {
                let Some(ended) = run
                    .round_one_ended
                    .filter(|ended| ended.truly <= round_two.truly)
                else {
                    return Err(format!("round 2 before round 1 had ended: {run:?}"));
                };
                if round_two.clock < retry {
                    return Err(format!("round 2 before retry_at ({retry}): {run:?}"));
                }
                let undisturbed = self.process(round_two.truly).is_some_and(|(started, _)| {
                    started.truly <= ended.truly
                        && !self.steps_between(ended.truly, round_two.truly)
                });
                if undisturbed {
                    if round_two.clock > retry.max(ended.clock) {
                        return Err(format!(
                            "round 2 later than retry_at ({retry}) asks for: {run:?}"
                        ));
                    }
                    waited += usize::from(ended.clock < retry);
                }
            }
        }
        Ok(waited)
    }
}
