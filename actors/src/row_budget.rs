//! The row budget: limits the memory of answers by their rows instead of their number (A5).

use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Maximum number of rows between parsing and commit, over all sources: two batches of the merge actor. Credits limit
/// the number of answers, not their size. A NAV history of twenty years has about 5,000 rows and most other answers
/// have a few, so the rows have a limit of their own.
pub const ROWS_UNDER_WAY: NonZeroU32 = match NonZeroU32::new(40_000) {
    Some(rows) => rows,
    None => NonZeroU32::MIN,
};

/// The row budget. Clones share it.
#[derive(Debug, Clone)]
pub struct RowBudget {
    rows: u32,
    free: Arc<Semaphore>,
}

impl RowBudget {
    /// Creates a budget of `rows` rows.
    #[must_use]
    pub fn new(rows: NonZeroU32) -> Self {
        Self {
            rows: rows.get(),
            free: Arc::new(Semaphore::new(rows.get() as usize)),
        }
    }

    /// Waits for room for `rows` rows; dropping the returned permit releases the room. An answer without rows needs no
    /// permit. An answer larger than the whole budget takes all of it. While a lane has room, it waits only for the
    /// merge actor and the database, so no deadlock is possible (A4).
    pub async fn take(&self, rows: usize) -> Option<OwnedSemaphorePermit> {
        let rows = u32::try_from(rows).map_or(self.rows, |rows| rows.min(self.rows));
        if rows == 0 {
            return None;
        }
        // The semaphore is never closed.
        Arc::clone(&self.free).acquire_many_owned(rows).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn room_is_given_up_to_its_bound_and_comes_back() {
        let row_budget = RowBudget::new(NonZeroU32::MIN.saturating_add(9));
        let taken = |rows| row_budget.clone().take(rows).now_or_never();
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
