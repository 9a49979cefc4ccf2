//! The loop of the unattended runner: reads from the schedule what is due, runs it, and sleeps until the next slot.
//!
//! Its only dependencies are a clock and the work. A simulated year in a test therefore runs the same loop as
//! production, including the waits for round 2.

use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Zoned};
use store::{CycleKind, ScheduleFacts};
use tokio::sync::watch;

use crate::cycle_report::RunOutcome;
use crate::schedule::{Next, Schedule, Uptime};

/// The longest sleep in one piece, so that a change of the system clock is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Longest plausible wait for round 2. `retry_at` is at most two days after the first moment of a cycle's date; some
/// hours are added for clock changes (daylight saving, corrections). A longer wait means that the clock was set back by
/// days; round 2 then starts without a wait.
const LONGEST_WAIT_FOR_ROUND_TWO: SignedDuration = SignedDuration::from_hours(52);

/// The source of the time.
pub trait Clock {
    /// The system clock; it may be set forwards or backwards.
    fn now(&self) -> Zoned;

    /// Sleeps until `moment`, or for a shorter time: it returns early when the program stops, and after some time in
    /// any case, so that a change of the clock is noticed.
    fn sleep_towards(&self, moment: &Zoned) -> impl Future<Output = ()>;
}

/// The work that the schedule starts.
pub trait ScheduledWork {
    /// Whether the program is stopping.
    fn stopping(&self) -> bool;

    /// Reads the facts that the schedule needs for its decision.
    ///
    /// # Errors
    /// The outcome of the run if they cannot be read: the writer is over its restart budget, or the program stops.
    fn facts(&self) -> impl Future<Output = Result<ScheduleFacts, RunOutcome>>;

    /// Runs this cycle: begins it, or continues it if it is open. `until_round_two` is awaited between its rounds.
    fn cycle(
        &self,
        kind: CycleKind,
        cycle_date: Date,
        until_round_two: impl Future<Output = ()>,
    ) -> impl Future<Output = CycleOutcome>;
}

/// Whether a cycle was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CycleOutcome {
    /// The cycle is closed, whatever the outcomes of its tasks.
    Closed(RunOutcome),
    /// The cycle is still open, because it was stopped or this run cannot go on with it. The next start of the program
    /// resumes it.
    Open(RunOutcome),
    /// The cycle was not begun, because the clock is doubted. A pause has passed, and the schedule decides again.
    NotBegun,
}

/// Runs cycles by the schedule until the program stops, a cycle is left open, or the schedule has no slot.
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
        // If the clock was fast at the start and was corrected since, every slot would seem to lie before the start.
        uptime.since = uptime.since.min(now.clone());
        match schedule.next(&now, &facts, &uptime) {
            Next::Run { kind, cycle_date } => {
                announced = None;
                let until_round_two = until_round_two(schedule, clock, work, cycle_date);
                match work.cycle(kind, cycle_date, until_round_two).await {
                    // A cycle whose counts do not add up was reported and is closed. The next one may be correct.
                    CycleOutcome::Closed(_) => {}
                    CycleOutcome::Open(outcome) => return outcome,
                    // `just_started` stays true, so `run_on_start` still applies.
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
    // No cycle was running.
    RunOutcome::Complete
}

/// Waits until round 2 of the cycle of this date may start, or until the program stops.
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

/// The system clock.
pub struct WallClock {
    /// Becomes true when the program stops.
    pub stop: watch::Receiver<bool>,
}

impl Clock for WallClock {
    fn now(&self) -> Zoned {
        Zoned::now()
    }

    async fn sleep_towards(&self, moment: &Zoned) {
        // The moment has passed: no sleep.
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
