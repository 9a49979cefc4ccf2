//! Retention: deletes old explanatory data, such as rejects and counts, so that its size is bounded (O6).

use super::connection::{Queries as _, Transaction};
use super::counted;
use super::error::StoreError;
use super::requests;

/// How much explanatory data is kept (O6). The fund tables and `history` are never shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Number of rejected and noted records that are kept, the newest first.
    pub rejected_rows: u32,
    /// Number of cycles whose counts are kept.
    pub cycles: u32,
}

impl Retention {
    /// About a year of daily cycles, and the rejects of some weeks.
    pub const USUAL: Self = Self {
        rejected_rows: 100_000,
        cycles: 400,
    };

    pub(super) async fn apply(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        tx.execute_counted(
            "runner.rejected",
            &counted::delete(
                "runner.rejected",
                "",
                "t.reject_id <= (SELECT reject_id FROM runner.rejected ORDER BY reject_id DESC OFFSET $1 LIMIT 1)",
            ),
            &[&i64::from(self.rejected_rows)],
        )
        .await?;
        let old = "t.cycle_id <= (SELECT cycle_id FROM runner.cycle ORDER BY cycle_id DESC OFFSET $1 LIMIT 1)";
        // The newest stored size of a list is kept whatever its age, because the next list is compared with it.
        let old_lists = format!(
            "{old} AND t.cycle_id < (SELECT max(newest.cycle_id) FROM runner.list_size newest
                 WHERE newest.source = t.source AND newest.page = t.page)"
        );
        for (table, condition) in [
            ("runner.cycle_count", old),
            ("runner.cycle_task_count", old),
            ("runner.list_size", &old_lists),
        ] {
            let deleting = counted::delete(table, "", condition);
            tx.execute_counted(table, &deleting, &[&i64::from(self.cycles)])
                .await?;
        }
        requests::forget_old(tx).await
    }
}
