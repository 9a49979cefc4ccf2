//! The faults: failpoint, action, mode and moment, and the required end of a run with a fault.

use schema::failpoint::{self, Failpoint};

/// The action at a failpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The step panics.
    Panic,
    /// The step returns an error, or its actor ends with one.
    Error,
    /// The step reports a database outage although the database is available.
    Outage,
    /// The step is delayed.
    Delay,
    /// The process aborts.
    Abort,
}

impl Action {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Error => "error",
            Self::Outage => "outage",
            Self::Delay => "delay",
            Self::Abort => "abort",
        }
    }

    /// The actions that apply to a failpoint: only a step in the database can report an outage.
    pub fn at(point: Failpoint) -> impl Iterator<Item = Self> {
        let in_database = [
            "open",
            "begin",
            "plan",
            "checkpoint",
            "round_two",
            "close",
            "request",
            "batch",
        ]
        .contains(&group(point))
            || point == failpoint::STOP_TOTALS;
        [
            Self::Panic,
            Self::Error,
            Self::Delay,
            Self::Abort,
            Self::Outage,
        ]
        .into_iter()
        .filter(move |action| in_database || *action != Self::Outage)
    }
}

/// The first part of a failpoint's name.
pub fn group(point: Failpoint) -> &'static str {
    point.name().split("::").next().unwrap_or_default()
}

/// A run with one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    pub point: Failpoint,
    pub action: Action,
    pub mode: &'static str,
    /// How often the run passes the failpoint before the fault.
    pub after: usize,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} at {} (the {} time), {}",
            self.action.name(),
            self.point,
            self.after + 1,
            self.mode
        )
    }
}

/// The end of a run with a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Exit 0, and no actor was restarted.
    Unimpressed,
    /// Exit 0 after an actor was restarted.
    Restarted,
    /// Exit 1: this part has no supervisor that could restart it; the next start resumes the cycle.
    Failed,
    /// The process is killed.
    Dead,
    /// Exit 4, the exit code of a stop by a signal.
    Stopped,
    /// Exit 1 or 4: the part that received the stop failed during it.
    FailedOrStopped,
}

impl Case {
    /// The value of `FAILPOINTS`: the fault, and whatever makes the run reach its failpoint.
    pub fn failpoints(&self) -> String {
        let action = self.action.name();
        let fault = match self.after {
            0 => format!("{}=1*return({action})->off", self.point),
            after => format!("{}={after}*off->1*return({action})->off", self.point),
        };
        match provoked_by(self.point) {
            Some(other) => format!("{other};{fault}"),
            None => fault,
        }
    }

    /// Whether the test sends SIGTERM to the run.
    pub fn is_stopped(&self) -> bool {
        group(self.point) == "stop"
    }

    /// The required end of the run (O3).
    pub fn ending(&self) -> Ending {
        let fails = matches!(self.action, Action::Panic | Action::Error);
        match (group(self.point), self.action) {
            (_, Action::Abort) => Ending::Dead,
            ("stop", _) if self.point == failpoint::STOP_TOTALS => Ending::Stopped,
            ("stop", _) if fails => Ending::FailedOrStopped,
            ("stop", _) => Ending::Stopped,
            ("open" | "cycle" | "supervisor", _) if fails => Ending::Failed,
            ("supervisor", _) if provoked_by(self.point).is_some() => Ending::Restarted,
            (_, Action::Delay | Action::Outage) => Ending::Unimpressed,
            // D6: a task fails, and round 2 requests its page again.
            ("parse", _) => Ending::Unimpressed,
            ("fetch", Action::Error) if self.point != failpoint::FETCH_CREDITED => {
                Ending::Unimpressed
            }
            _ => Ending::Restarted,
        }
    }
}

/// The failpoint action that makes a run reach a point which an undisturbed run does not pass.
pub fn provoked_by(point: Failpoint) -> Option<&'static str> {
    [
        failpoint::SUPERVISOR_RESTARTING,
        failpoint::SUPERVISOR_RESTARTED,
        failpoint::SUPERVISOR_REVIVING,
    ]
    .contains(&point)
    .then_some("merge::received=9*off->1*return(panic)->off")
}

/// A small random number generator that its seed determines (SplitMix64).
#[derive(Debug, Clone, Copy)]
pub struct Draws(pub u64);

impl Draws {
    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let bound = u64::try_from(bound.max(1)).expect("a usize fits");
        usize::try_from(mixed % bound).expect("below a usize")
    }

    /// One of the elements.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// The seed in `MASTER_RUNNER_SEED`, or one from the clock.
pub fn seed() -> u64 {
    match std::env::var("MASTER_RUNNER_SEED") {
        Ok(seed) => seed.parse().expect("MASTER_RUNNER_SEED is a number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("the clock is right")
            .as_secs(),
    }
}
