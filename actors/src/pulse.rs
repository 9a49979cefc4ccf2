//! What a source actor shows of itself while it runs: which tasks it has in hand, when it last got on, and whom it waits for.
//!
//! Shared rather than sent: the supervisor must be able to read it when the actor no longer answers (A2, A7).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schema::TaskId;
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
    since: Instant,
}

/// The shared state, one per incarnation.
#[derive(Debug, Default)]
pub struct Pulse {
    lanes: Mutex<BTreeMap<usize, Lane>>,
}

impl Pulse {
    /// Lane `lane` turns to `phase` with `tasks` in hand.
    pub fn turn(&self, lane: usize, tasks: &[TaskId], phase: Phase) {
        self.lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(
                lane,
                Lane {
                    tasks: tasks.to_vec(),
                    phase,
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

    /// How long the lane that asks longest has been at it without the transport saying, through `excused_since`, that
    /// it waits on a host. A lane that waits for a credit or for the merge waits on somebody.
    #[must_use]
    pub fn longest_unexcused(&self, excused_until: Option<Instant>, now: Instant) -> Duration {
        self.lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .filter(|lane| lane.phase == Phase::Asking)
            .map(|lane| {
                let from = excused_until.map_or(lane.since, |until| lane.since.max(until));
                now.saturating_duration_since(from)
            })
            .max()
            .unwrap_or(Duration::ZERO)
    }
}
