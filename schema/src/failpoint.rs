//! Failpoints: places at which tests inject a fault. There is one before and after each step of a task from its plan to
//! its acknowledgement. The steps of the cycle, the supervisor and the shutdown have failpoints as well.
//!
//! They are active only with the feature `failpoints`, which only tests enable. In every other build reaching a
//! failpoint does nothing, and the crate `fail` is not linked. All failpoints are listed here. The tests check that
//! each of them is reached.

/// A place at which a fault can be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Failpoint(&'static str);

/// A fault that was injected as an error of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an error injected at {point}")]
pub struct Injected {
    /// The failpoint.
    pub point: Failpoint,
    /// Whether the fault simulates a database outage, rather than a failure of the step.
    pub outage: bool,
}

impl Failpoint {
    /// The name: the group of steps, then the step.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl std::fmt::Display for Failpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! failpoints {
    ($($constant:ident $name:literal $meaning:literal)*) => {
        $(#[doc = $meaning] pub const $constant: Failpoint = Failpoint($name);)*

        /// All failpoints.
        pub const ALL: &[Failpoint] = &[$($constant),*];
    };
}

failpoints! {
    // Session of the writer.
    OPEN_CONNECTED "open::connected" "The writer is connected and does not hold the lock yet."
    OPEN_LOCKED "open::locked" "The lock is held, the schema is not checked yet."
    OPEN_MIGRATED "open::migrated" "The schema is migrated, the writer is not returned yet."

    // Steps of the cycle, in the order in which they run.
    BEGIN_OPENED "begin::opened" "In the transaction that begins a cycle, before the first write."
    BEGIN_WRITTEN "begin::written" "Before its COMMIT."
    BEGIN_COMMITTED "begin::committed" "After its COMMIT."
    CYCLE_BEGAN "cycle::began" "The cycle is begun or resumed."
    PLAN_OPENED "plan::opened" "In the transaction that plans a stage, before the first write."
    PLAN_WRITTEN "plan::written" "Before its COMMIT."
    PLAN_COMMITTED "plan::committed" "After its COMMIT."
    CYCLE_PLANNED "cycle::planned" "A stage is planned."
    CHECKPOINT_ASKED "checkpoint::asked" "Before the unacknowledged tasks are read."
    CHECKPOINT_READ "checkpoint::read" "The unacknowledged tasks are read, not returned yet."
    CYCLE_ASKING "cycle::asking" "Before a source's tasks are sent to the supervisor."
    CYCLE_ASKED "cycle::asked" "The supervisor has reported that a source's tasks have ended."
    JUDGE_OPENED "judge::opened" "In the transaction that judges the doubts, before the first write."
    JUDGE_WRITTEN "judge::written" "Before its COMMIT."
    JUDGE_COMMITTED "judge::committed" "After its COMMIT."
    ROUND_TWO_OPENED "round_two::opened" "In the transaction that begins round 2, before the first write."
    ROUND_TWO_WRITTEN "round_two::written" "Before its COMMIT."
    ROUND_TWO_COMMITTED "round_two::committed" "After its COMMIT."
    CYCLE_ROUND_TWO "cycle::round_two" "The store has returned whether there is a round 2."
    CLOSE_OPENED "close::opened" "In the transaction that closes the cycle, before the first write."
    CLOSE_WRITTEN "close::written" "Before its COMMIT."
    CLOSE_COMMITTED "close::committed" "After its COMMIT."
    CYCLE_CLOSED "cycle::closed" "The cycle is closed, its report is not returned yet."

    // A request of a command.
    REQUEST_OPENED "request::opened" "In the transaction that answers a request, before the first read."
    REQUEST_WRITTEN "request::written" "The request is applied, not marked as answered yet."
    REQUEST_COMMITTED "request::committed" "After its COMMIT, before the answer is returned."

    // Steps of a task: source.
    SOURCE_STARTED "source::started" "An incarnation of a source has its tasks and has sent no request."
    FETCH_CREDITED "fetch::credited" "A lane has its credit and has sent no request."
    FETCH_ASKING "fetch::asking" "Before the request is sent."
    FETCH_ANSWERED "fetch::answered" "The site has answered."
    PARSE_BEGINS "parse::begins" "In the parser's thread, before parsing."
    PARSE_ENDED "parse::ended" "In the parser's thread, after parsing."
    SEND_BEFORE "send::before" "Before an answer is sent to the merge actor."
    SEND_AFTER "send::after" "An answer is in the merge actor's mailbox."
    SOURCE_ACKNOWLEDGED "source::acknowledged" "The source has received which of its tasks are committed."

    // Merge.
    MERGE_RECEIVED "merge::received" "The merge actor has received an answer."
    MERGE_VALIDATED "merge::validated" "An answer is validated, not queued yet."
    MERGE_BATCHED "merge::batched" "A batch is built, not sent yet."
    MERGE_SENT "merge::sent" "A batch is in the loader's mailbox."
    MERGE_SETTLED "merge::settled" "The merge actor has received that a batch is settled."

    // Loader, and each step of its transaction.
    LOADER_RECEIVED "loader::received" "The loader has received a batch."
    BATCH_BEFORE "batch::before" "Before BEGIN."
    BATCH_BEGUN "batch::begun" "After BEGIN."
    BATCH_LOOKED_UP "batch::looked_up" "The last committed batch is read, and it is another one."
    BATCH_LISTS_CHECKED "batch::lists_checked" "Whole lists are compared with earlier lists."
    BATCH_FUNDS_ENSURED "batch::funds_ensured" "The funds have their identities and listings."
    BATCH_OBSERVED "batch::observed" "The observations are folded and written."
    BATCH_ROWS_DERIVED "batch::rows_derived" "The small tables are derived except portfolios and codes."
    BATCH_PORTFOLIOS_WRITTEN "batch::portfolios_written" "Portfolios are written, codes are not."
    BATCH_DERIVED "batch::derived" "All small tables are derived."
    BATCH_DAYS_COMPARED "batch::days_compared" "The days are compared with the stored ones, none is written."
    BATCH_DAYS_WRITTEN "batch::days_written" "The days are written."
    BATCH_REJECTS_WRITTEN "batch::rejects_written" "The rejects are written."
    BATCH_ACKNOWLEDGED "batch::acknowledged" "The tasks are acknowledged, in the transaction."
    BATCH_COUNTED "batch::counted" "The counts of the cycle are written."
    BATCH_NAMED "batch::named" "The batch's id and report are written: before COMMIT."
    BATCH_COMMITTED "batch::committed" "After COMMIT, before the report is returned."
    LOADER_COMMITTED "loader::committed" "The loader has the report and has sent no acknowledgement."
    LOADER_ACKNOWLEDGED "loader::acknowledged" "The acknowledgements are sent to the sources, not to the merge actor."
    LOADER_SETTLED "loader::settled" "All acknowledgements are sent."

    // Supervisor.
    SUPERVISOR_ASKED "supervisor::asked" "The supervisor has received tasks for a source and has not started it."
    SUPERVISOR_EXITED "supervisor::exited" "The supervisor has received that an actor has ended."
    SUPERVISOR_RESTARTING "supervisor::restarting" "The restart delay is over, nothing is restarted yet."
    SUPERVISOR_RESTARTED "supervisor::restarted" "The merge actor and the loader are restarted, the sources are not."
    SUPERVISOR_REVIVING "supervisor::reviving" "The unacknowledged tasks of a source are read, its actor is not started."

    // Shutdown.
    STOP_ASKED "stop::asked" "The supervisor has received the order to stop, no actor is informed yet."
    STOP_TOLD "stop::told" "The actors are informed of the stop."
    STOP_TOTALS "stop::totals" "Before the totals of a cycle are read."
}

#[cfg(feature = "failpoints")]
mod injection {
    use std::io::Write as _;
    use std::time::Duration;

    use super::{Failpoint, Injected};

    /// Duration of an injected delay.
    const DELAY: Duration = Duration::from_millis(300);

    /// The action at a failpoint, from the argument of `return(…)` in `FAILPOINTS`.
    enum Action {
        Pass,
        Delay,
        Fail { outage: bool },
    }

    impl Failpoint {
        /// Reaches the failpoint in synchronous code.
        ///
        /// # Errors
        /// The injected error.
        pub fn reach(self) -> Result<(), Injected> {
            match self.action() {
                Action::Pass => {}
                Action::Delay => std::thread::sleep(DELAY),
                Action::Fail { outage } => return Err(self.injected(outage)),
            }
            Ok(())
        }

        /// Reaches the failpoint in asynchronous code. A delay blocks only this step.
        ///
        /// # Errors
        /// The injected error.
        pub async fn pass(self) -> Result<(), Injected> {
            match self.action() {
                Action::Pass => {}
                Action::Delay => tokio::time::sleep(DELAY).await,
                Action::Fail { outage } => return Err(self.injected(outage)),
            }
            Ok(())
        }

        const fn injected(self, outage: bool) -> Injected {
            Injected {
                point: self,
                outage,
            }
        }

        fn action(self) -> Action {
            fail::fail_point!(self.0, |argument| self.act(argument.as_deref()));
            Action::Pass
        }

        /// Applies an action and prints it to standard error, so that a test can see that the fault was injected.
        fn act(self, argument: Option<&str>) -> Action {
            let what = argument.unwrap_or("error");
            // The line is written with one call, because the log thread writes to the same stream. An error, such as a
            // closed stream, is ignored.
            let line = format!("failpoint {self}: {what}\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            match what {
                "note" => Action::Pass,
                "delay" => Action::Delay,
                "panic" => panic!("a panic injected at {self}"),
                "abort" => std::process::abort(),
                "outage" => Action::Fail { outage: true },
                "error" => Action::Fail { outage: false },
                other => panic!("no failpoint knows the action `{other}`"),
            }
        }
    }

    /// Reads `FAILPOINTS`. The syntax is that of the crate `fail`, with the actions above as `return(…)`. The faults
    /// are active until the returned value is dropped.
    #[must_use]
    pub fn from_environment() -> impl Sized {
        fail::FailScenario::setup()
    }
}

#[cfg(not(feature = "failpoints"))]
mod injection {
    use super::{Failpoint, Injected};

    impl Failpoint {
        /// Does nothing: see the module documentation.
        ///
        /// # Errors
        /// None.
        #[inline]
        pub const fn reach(self) -> Result<(), Injected> {
            Ok(())
        }

        /// Does nothing: see the module documentation.
        ///
        /// # Errors
        /// None.
        #[inline]
        pub fn pass(self) -> std::future::Ready<Result<(), Injected>> {
            std::future::ready(Ok(()))
        }
    }

    /// Does nothing: see the module documentation.
    pub const fn from_environment() -> impl Sized {}
}

pub use injection::from_environment;
