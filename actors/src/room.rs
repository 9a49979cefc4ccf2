//! Room for rows: what answers hold in memory is bounded by their rows, not by their number (A5).

use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most rows that are on their way from all sources together to their commit: two batches of the merge. A source's credits
/// bound how many requests have answers under way; ten thousand pages without news weigh less than one history of twenty
/// years.
pub const ROWS_UNDER_WAY: NonZeroU32 = match NonZeroU32::new(40_000) {
    Some(rows) => rows,
    None => NonZeroU32::MIN,
};

/// The room; a clone is the same room.
#[derive(Debug, Clone)]
pub struct Room {
    rows: u32,
    free: Arc<Semaphore>,
}

impl Room {
    /// Room for so many rows.
    #[must_use]
    pub fn new(rows: NonZeroU32) -> Self {
        Self {
            rows: rows.get(),
            free: Arc::new(Semaphore::new(rows.get() as usize)),
        }
    }

    /// Waits for room for `rows`; it comes back when what is returned is dropped. An answer without rows needs none, one
    /// larger than all the room takes all of it. Who holds room waits for nobody but the merge and the database: there is no
    /// cycle of waits (A4).
    pub async fn take(&self, rows: usize) -> Option<OwnedSemaphorePermit> {
        let rows = u32::try_from(rows).map_or(self.rows, |rows| rows.min(self.rows));
        if rows == 0 {
            return None;
        }
        // Never closed.
        Arc::clone(&self.free).acquire_many_owned(rows).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn room_is_given_up_to_its_bound_and_comes_back() {
        let room = Room::new(NonZeroU32::MIN.saturating_add(9));
        let taken = |rows| room.clone().take(rows).now_or_never();
        assert!(taken(0).is_some_and(|held| held.is_none()));
        let six = taken(6).expect("there is room");
        let four = taken(4).expect("there is room");
        assert!(taken(1).is_none(), "the room is full");
        assert!(taken(0).is_some(), "what has no rows needs none");
        drop(six);
        assert!(taken(7).is_none());
        assert!(taken(6).is_some());
        assert!(taken(1_000_000).is_none(), "not all of it is free");
        drop(four);
        assert!(
            taken(1_000_000).is_some_and(|held| held.is_some_and(|held| held.num_permits() == 10)),
            "the largest answer goes alone"
        );
    }
}
