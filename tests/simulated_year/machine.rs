//! The simulated machine: its true time, its clock, its processes, and the work of the scheduler. No real time passes:
//! each sleep and each piece of work advances the true time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};
use master_runner::cycle_report::RunOutcome;
use master_runner::scheduler::{Clock, CycleOutcome, ScheduledWork, run_by_schedule};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use store::{CycleKind, ScheduleFacts};
use tokio::sync::Notify;

use super::plan::{Death, HOUR, Plan};
use super::store::CycleStore;

/// The real clock sleeps for at most this many seconds at once.
const PIECE: i64 = 30;

/// A moment in true time and on the machine's clock, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub truly: i64,
    pub clock: i64,
}

/// The history of one cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleRun {
    pub id: i64,
    pub kind: CycleKind,
    pub date: Date,
    pub began: Moment,
    /// Whether it was the first action of its process.
    pub at_start: bool,
    pub round_one_ended: Option<Moment>,
    /// One entry for each process that began round 2 of the cycle.
    pub round_two: Vec<Moment>,
    pub closed: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub cycles: Vec<CycleRun>,
    /// The start of each process (with its clock) and its end in true time.
    pub processes: Vec<(Moment, i64)>,
    /// Each time nothing was due: the moment, and the clock time until which the runner slept.
    pub sleeps: Vec<(Moment, i64)>,
}

/// The machine with its only process and the store.
struct Machine<'plan, S> {
    plan: &'plan Plan,
    store: &'plan S,
    truly: Cell<i64>,
    random: RefCell<ChaCha8Rng>,
    /// How many of the plan's deaths have happened.
    deaths: Cell<usize>,
    stopping: Cell<bool>,
    died: Notify,
    down_for: Cell<i64>,
    first_deed: Cell<bool>,
    /// The true time of the last request for the facts, unless a cycle has run since.
    asked_at: Cell<Option<i64>>,
    /// The remaining seconds of work of a round. A death keeps them, as acknowledged tasks are kept.
    work_left: RefCell<BTreeMap<(i64, i16), i64>>,
    history: RefCell<History>,
}

/// Simulates the year.
pub async fn live<S: CycleStore>(plan: &Plan, store: &S) -> History {
    let machine = Machine {
        plan,
        store,
        truly: Cell::new(plan.begins),
        random: RefCell::new(ChaCha8Rng::seed_from_u64(plan.seed ^ 0x5eed)),
        deaths: Cell::new(0),
        stopping: Cell::new(false),
        died: Notify::new(),
        down_for: Cell::new(0),
        first_deed: Cell::new(true),
        asked_at: Cell::new(None),
        work_left: RefCell::default(),
        history: RefCell::default(),
    };
    while machine.truly.get() < plan.ends {
        machine.stopping.set(false);
        machine.first_deed.set(true);
        machine.asked_at.set(None);
        let started = machine.moment();
        tokio::select! {
            biased;
            outcome = run_by_schedule(&plan.schedule, &machine, &machine) => {
                // The process ended by itself; the service manager restarts it.
                if !machine.stopping.get() {
                    assert_eq!(outcome, RunOutcome::Failed, "why did the process end?");
                    machine.down_for.set(machine.draw(1..600));
                }
            }
            () = machine.died.notified() => {}
        }
        store.lose_connection().await;
        let ended = machine.truly.get();
        machine
            .history
            .borrow_mut()
            .processes
            .push((started, ended));
        machine.truly.set(ended + machine.down_for.get());
        // Deaths that were planned while the process was down have no effect.
        while machine
            .next_death()
            .is_some_and(|(at, ..)| at <= machine.truly.get())
        {
            machine.deaths.set(machine.deaths.get() + 1);
        }
    }
    machine.history.into_inner()
}

impl<S: CycleStore> Machine<'_, S> {
    fn draw(&self, range: std::ops::Range<i64>) -> i64 {
        self.random.borrow_mut().random_range(range)
    }

    fn chance(&self, probability: f64) -> bool {
        self.random.borrow_mut().random_bool(probability)
    }

    fn clock(&self) -> i64 {
        let truly = self.truly.get();
        let steps = &self.plan.clock_steps;
        let wrong = steps.iter().rev().find(|(at, _)| *at <= truly);
        truly + wrong.map_or(0, |(_, wrong)| *wrong)
    }

    fn moment(&self) -> Moment {
        Moment {
            truly: self.truly.get(),
            clock: self.clock(),
        }
    }

    fn next_death(&self) -> Option<(i64, Death, i64)> {
        self.plan.deaths.get(self.deaths.get()).copied()
    }

    /// Kills the process at this moment: nothing after it is executed.
    async fn die<T>(&self, down_for: i64) -> T {
        self.down_for.set(down_for);
        self.died.notify_one();
        std::future::pending().await
    }

    /// Lets true time pass, in which the process may die. Returns false if the program is to stop.
    async fn pass(&self, seconds: i64) -> bool {
        let until = self.truly.get() + seconds;
        if let Some((at, death, down_for)) = self.next_death().filter(|(at, ..)| *at <= until) {
            self.truly.set(at.max(self.truly.get()));
            self.deaths.set(self.deaths.get() + 1);
            self.down_for.set(down_for);
            if death == Death::Crash {
                self.die::<()>(down_for).await;
            }
            self.stopping.set(true);
            return false;
        }
        if until >= self.plan.ends {
            self.truly.set(self.plan.ends);
            self.die::<()>(0).await;
        }
        self.truly.set(until);
        true
    }

    /// May crash at the most critical instants of a cycle: right before or after a write.
    async fn may_die(&self) {
        if self.chance(0.01) {
            let down_for = if self.chance(0.1) {
                3 * 24 * HOUR
            } else {
                self.draw(1..900)
            };
            self.die::<()>(down_for).await;
        }
    }

    /// Continues the work of a round. Returns the reason if the round did not end.
    async fn work(&self, id: i64, round: i16) -> Result<(), RunOutcome> {
        let drawn = match self.draw(0..20) {
            0 => self.draw(10 * HOUR..30 * HOUR),
            1..4 => self.draw(2 * HOUR..10 * HOUR),
            _ => self.draw(60..90 * 60),
        };
        let mut left = *self
            .work_left
            .borrow_mut()
            .entry((id, round))
            .or_insert(drawn);
        while left > 0 {
            let piece = left.min(self.draw(60..HOUR));
            let stopped = !self.pass(piece).await;
            if stopped {
                return Err(RunOutcome::Stopped);
            }
            left -= piece;
            self.work_left.borrow_mut().insert((id, round), left);
        }
        if self.chance(0.02) {
            return Err(RunOutcome::Failed);
        }
        Ok(())
    }

    fn note(&self, id: i64, what: impl FnOnce(&mut CycleRun)) {
        let mut history = self.history.borrow_mut();
        let run = history.cycles.iter_mut().rev().find(|run| run.id == id);
        what(run.expect("it was begun"));
    }

    async fn both_rounds(
        &self,
        kind: CycleKind,
        date: Date,
        until_round_two: impl Future<Output = ()>,
    ) -> Result<(), RunOutcome> {
        self.may_die().await;
        let began = self.moment();
        let mut cycle = self.store.begin(kind, date).await;
        let id = cycle.id;
        let known = self.history.borrow().cycles.iter().any(|run| run.id == id);
        if !known {
            self.history.borrow_mut().cycles.push(CycleRun {
                id,
                kind,
                date,
                began,
                at_start: self.first_deed.get(),
                round_one_ended: None,
                round_two: Vec::new(),
                closed: None,
            });
        }
        self.first_deed.set(false);
        self.may_die().await;
        if cycle.round < 2 {
            self.work(id, 1).await?;
            let ended = self.moment();
            self.note(id, |run| run.round_one_ended = Some(ended));
            // Derived from the cycle, so that a repetition after a crash gets the same answers.
            let fails = (id * 7919) % 10 < 7;
            let left = self.store.begin_round_two(&mut cycle, fails).await;
            self.may_die().await;
            if !left {
                return self.close(&cycle).await;
            }
        }
        until_round_two.await;
        if self.stopping.get() {
            return Err(RunOutcome::Stopped);
        }
        let begins = self.moment();
        self.note(id, |run| run.round_two.push(begins));
        self.work(id, 2).await?;
        self.close(&cycle).await
    }

    async fn close(&self, cycle: &store::Cycle) -> Result<(), RunOutcome> {
        self.may_die().await;
        self.store.close(cycle).await;
        let now = self.truly.get();
        self.note(cycle.id, |run| {
            assert_eq!(run.closed, None, "cycle {} is closed twice", run.id);
            run.closed = Some(now);
        });
        self.may_die().await;
        Ok(())
    }
}

impl<S: CycleStore> Clock for Machine<'_, S> {
    fn now(&self) -> Zoned {
        Timestamp::from_second(self.clock())
            .expect("within the calendar")
            .to_zoned(self.plan.schedule.timezone.clone())
    }

    /// Sleeps in pieces like the real clock, but passes all pieces without an event at once.
    async fn sleep_towards(&self, moment: &Zoned) {
        let Moment { truly, clock } = self.moment();
        let until = moment.timestamp().as_second();
        if self.asked_at.get().is_some() {
            let now = Moment { truly, clock };
            self.history.borrow_mut().sleeps.push((now, until));
            self.first_deed.set(false);
        }
        if until <= clock {
            return;
        }
        let steps = self.plan.clock_steps.iter().map(|(at, _)| *at);
        let deaths = self.next_death().map(|(at, ..)| at);
        let happens = steps.filter(|at| *at > truly).chain(deaths).min();
        let quiet = happens.map_or(i64::MAX, |at| (at - truly) / PIECE * PIECE);
        self.pass((until - clock).min(quiet.max(PIECE))).await;
    }
}

impl<S: CycleStore> ScheduledWork for Machine<'_, S> {
    fn stopping(&self) -> bool {
        self.stopping.get()
    }

    async fn facts(&self) -> Result<ScheduleFacts, RunOutcome> {
        let now = self.truly.get();
        assert_ne!(
            self.asked_at.replace(Some(now)),
            Some(now),
            "MASTER_RUNNER_SEED={}: a busy loop: asked again without a cycle or a sleep between",
            self.plan.seed
        );
        Ok(self.store.facts().await)
    }

    async fn cycle(
        &self,
        kind: CycleKind,
        cycle_date: Date,
        until_round_two: impl Future<Output = ()>,
    ) -> CycleOutcome {
        self.asked_at.set(None);
        match self.both_rounds(kind, cycle_date, until_round_two).await {
            Ok(()) => CycleOutcome::Closed(RunOutcome::Partial),
            Err(outcome) => CycleOutcome::Open(outcome),
        }
    }
}
