//! What a source actor shows of itself while it runs: which tasks it has in hand, when it last got on, and whom it waits for.
//!
//! Shared rather than sent: the supervisor must be able to read it when the actor no longer answers (A2, A7).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schema::TaskId;
use sources::transport::WaitingOn;
use tokio::time::Instant;

/// What a lane is doing with the tasks it has in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for a credit: on merge and loader.
    AwaitingCredit,
    /// With the transport, which waits for hosts within its own bounds, or with the parser.
    Asking,
    /// Waiting for room in the merge's mailbox.
    Sending,
}

#[derive(Debug)]
struct Lane {
    tasks: Vec<TaskId>,
    phase: Phase,
    /// What the transport waits on for it.
    waiting: WaitingOn,
    /// Since when it has been at this without being seen to wait.
    since: Instant,
}

/// The shared state, one per incarnation.
#[derive(Debug, Default)]
pub struct Pulse {
    lanes: Mutex<BTreeMap<usize, Lane>>,
}

impl Pulse {
    /// Lane `lane` turns to `phase` with `tasks` in hand; `waiting` shows what the transport waits on for it.
    pub fn turn(&self, lane: usize, tasks: &[TaskId], phase: Phase, waiting: &WaitingOn) {
        self.lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(
                lane,
                Lane {
                    tasks: tasks.to_vec(),
                    phase,
                    waiting: waiting.clone(),
                    since: Instant::now(),
                },
            );
    }

    /// Lane `lane` has nothing in hand.
    pub fn rest(&self, lane: usize) {
        self.lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&lane);
    }

    /// The tasks that are being asked or read right now: those a death of the actor may be blamed on (D6).
    #[must_use]
    pub fn in_flight(&self) -> Vec<TaskId> {
        self.lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .filter(|lane| lane.phase == Phase::Asking)
            .flat_map(|lane| lane.tasks.iter().cloned())
            .collect()
    }

    /// How long the lane that asks longest has been at it without waiting on anybody (A2). A lane that waits for a
    /// credit, for the merge, or through the transport for a host, waits on somebody; it is taken to wait from one look
    /// to the next, so look often.
    #[must_use]
    pub fn longest_silence(&self, now: Instant) -> Duration {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// What the lanes wait on, in words, where all of them wait on the same kind of thing beyond their turn and pace.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        use sources::transport::Waiting;
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
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
