//! The unattended runner's loop: asks the schedule what is due, runs it, sleeps until the next.
//!
//! All it needs of the world are a clock and the work, so that a simulated year goes through the very loop, the waits
//! for round 2 included, that production runs.

use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Zoned};
use store::{CycleKind, ScheduleFacts};
use tokio::sync::watch;

use crate::cycle_report::RunOutcome;
use crate::schedule::{Next, Schedule, Uptime};

/// The longest sleep in one piece: a clock that is set is noticed within it.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// `retry_at` is at most two days after the first moment of a cycle's date, the hours by which clocks are set (daylight
/// saving, corrections) beside: a longer wait means that the clock was set back by days, and is not waited for.
const LONGEST_WAIT_FOR_ROUND_TWO: SignedDuration = SignedDuration::from_hours(52);

/// Where the time comes from.
pub trait Clock {
    /// The clock on the wall: it may be set, forth and back.
    fn now(&self) -> Zoned;

    /// Sleeps until `moment`, or less: it returns early when the program is to stop, and often enough that a clock that
    /// was set is noticed.
    fn sleep_towards(&self, moment: &Zoned) -> impl Future<Output = ()>;
}

/// What is done by the schedule.
pub trait ScheduledWork {
    /// Whether the program is to stop.
    fn stopping(&self) -> bool;

    /// What the schedule decides by.
    ///
    /// # Errors
    /// How the run ends when it cannot be had: the writer is over its restart budget, or the program stops.
    fn facts(&self) -> impl Future<Output = Result<ScheduleFacts, RunOutcome>>;

    /// Runs this cycle: begins it, or goes on with it where it is open. `until_round_two` is awaited between its rounds.
    fn cycle(
        &self,
        kind: CycleKind,
        cycle_date: Date,
        until_round_two: impl Future<Output = ()>,
    ) -> impl Future<Output = CycleOutcome>;
}

/// Whether a cycle came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CycleOutcome {
    /// It is closed, however its tasks ended.
    Closed(RunOutcome),
    /// It was stopped, or cannot go on: the next start goes on with it.
    Open(RunOutcome),
    /// It was not begun; the work has waited, and the schedule decides again.
    NotBegun,
}

/// Works by the schedule until the program is to stop, a cycle cannot go on, or nothing will ever be due.
pub async fn run_by_schedule(
    schedule: &Schedule,
    clock: &impl Clock,
    work: &impl ScheduledWork,
) -> RunOutcome {
    let mut uptime = Uptime {
        since: clock.now(),
        just_started: true,
    };
    let mut announced: Option<Zoned> = None;
    while !work.stopping() {
        let facts = match work.facts().await {
            Ok(facts) => facts,
            Err(outcome) => return outcome,
        };
        let now = clock.now();
        // A clock that was ahead at the start, and was set right since, must not make every slot one before the start.
        uptime.since = uptime.since.min(now.clone());
        match schedule.next(&now, &facts, &uptime) {
            Next::Run { kind, cycle_date } => {
                announced = None;
                let until_round_two = until_round_two(schedule, clock, work, cycle_date);
                match work.cycle(kind, cycle_date, until_round_two).await {
                    // Unbalanced books are reported; the cycle is closed and the next one may be sound.
                    CycleOutcome::Closed(_) => {}
                    CycleOutcome::Open(outcome) => return outcome,
                    // The start is not over: `run_on_start` still counts.
                    CycleOutcome::NotBegun => continue,
                }
            }
            Next::SleepUntil(until) => {
                if announced.as_ref() != Some(&until) {
                    tracing::info!(%until, "nothing is due before");
                    announced = Some(until.clone());
                }
                clock.sleep_towards(&until).await;
            }
            Next::Never => {
                tracing::error!(
                    "the schedule skips every day: there is never anything to do; correct schedule.skip_weekdays"
                );
                return RunOutcome::Failed;
            }
        }
        uptime.just_started = false;
    }
    // Nothing was under way.
    RunOutcome::Complete
}

/// Waits for the moment from which on round 2 of the cycle of this date may start, or for the program to stop.
async fn until_round_two(
    schedule: &Schedule,
    clock: &impl Clock,
    work: &impl ScheduledWork,
    cycle_date: Date,
) {
    while let Some(moment) = schedule.round_two_at(cycle_date) {
        let left = clock.now().duration_until(&moment);
        if work.stopping() || !left.is_positive() || left > LONGEST_WAIT_FOR_ROUND_TWO {
            return;
        }
        clock.sleep_towards(&moment).await;
    }
}

/// The machine's own clock.
pub struct WallClock {
    /// Becomes true when the program is to stop.
    pub stop: watch::Receiver<bool>,
}

impl Clock for WallClock {
    fn now(&self) -> Zoned {
        Zoned::now()
    }

    async fn sleep_towards(&self, moment: &Zoned) {
        // A moment that has passed is not slept for.
        let Ok(left) = Duration::try_from(self.now().duration_until(moment)) else {
            return;
        };
        let mut stop = self.stop.clone();
        tokio::select! {
            Ok(_) = stop.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
        }
    }
}
