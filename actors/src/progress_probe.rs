//! The progress of a source actor while it runs: the tasks in flight, the time of the last progress, and what each lane
//! waits for.
//!
//! This is shared state rather than a message: the supervisor must be able to read it when the actor no longer responds
//! (A2, A7).

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use schema::TaskId;
use sources::transport::WaitingOn;
use tokio::time::Instant;

/// What a lane is doing with its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for a credit or for room, and so for the merge actor and the loader.
    AwaitingCredit,
    /// In the transport, where waits for hosts have their own limits, or in the parser.
    Asking,
    /// Waiting for space in the merge actor's mailbox.
    Sending,
}

#[derive(Debug)]
struct Lane {
    tasks: Vec<TaskId>,
    phase: Phase,
    /// What the transport waits for on behalf of this lane.
    waiting: WaitingOn,
    /// Start of this phase, or the last time the lane was seen waiting.
    since: Instant,
}

/// The shared progress of one incarnation of a source actor.
#[derive(Debug, Default)]
pub struct ProgressProbe {
    lanes: Mutex<BTreeMap<usize, Lane>>,
}

impl ProgressProbe {
    /// Records that lane `lane` enters `phase` with `tasks`; `waiting` shows what the transport waits for.
    pub fn turn(&self, lane: usize, tasks: &[TaskId], phase: Phase, waiting: &WaitingOn) {
        self.lanes.lock().insert(
            lane,
            Lane {
                tasks: tasks.to_vec(),
                phase,
                waiting: waiting.clone(),
                since: Instant::now(),
            },
        );
    }

    /// Records that lane `lane` has no tasks.
    pub fn rest(&self, lane: usize) {
        self.lanes.lock().remove(&lane);
    }

    /// The tasks that are being requested or parsed now. A death of the actor is counted against them (D6).
    #[must_use]
    pub fn in_flight(&self) -> Vec<TaskId> {
        self.lanes
            .lock()
            .values()
            .filter(|lane| lane.phase == Phase::Asking)
            .flat_map(|lane| lane.tasks.iter().cloned())
            .collect()
    }

    /// The longest time a lane has been requesting or parsing without waiting (A2). A lane that waits for a credit, for
    /// the merge actor, or in the transport for a host, is not included. Each call samples the waits: the time of a
    /// lane that waits at that moment starts again from zero. Therefore call this often.
    #[must_use]
    pub fn longest_silence(&self, now: Instant) -> Duration {
        let mut lanes = self.lanes.lock();
        let asking = lanes
            .values_mut()
            .filter(|lane| lane.phase == Phase::Asking);
        asking
            .map(|lane| {
                if lane.waiting.current().is_some() {
                    lane.since = now;
                }
                now.saturating_duration_since(lane.since)
            })
            .max()
            .unwrap_or(Duration::ZERO)
    }

    /// If all lanes wait, describes the first wait that is not for a turn, a slot or the pace of a host.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        use sources::transport::Waiting;
        let lanes = self.lanes.lock();
        let waits: Vec<Waiting> = lanes
            .values()
            .filter_map(|lane| lane.waiting.current())
            .collect();
        if waits.len() < lanes.len() {
            return None;
        }
        waits
            .iter()
            .find(|waiting| !matches!(waiting, Waiting::Turn | Waiting::Slot | Waiting::Pace))
            .map(ToString::to_string)
    }
}
