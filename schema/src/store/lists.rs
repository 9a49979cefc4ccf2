//! Whole lists: one that shrank is no answer (D7).

use crate::{Observation, Outcome, Said, TaskAnswer, TaskId};

use super::connection::{Queries as _, Transaction};
use super::cycles::{Cycle, Scope};
use super::error::StoreError;

/// A list may lose at most this many percent of its entries between two closed full cycles.
pub(super) const MAX_SHRINKAGE_PERCENT: u64 = 10;

/// Entries of a list, and how many of them are said to be active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListSize {
    pub entries: u64,
    pub active: u64,
}

impl ListSize {
    fn of(observations: &[Observation]) -> Self {
        let listings = observations
            .iter()
            .filter_map(|observation| match &observation.said {
                Said::Listing { fields, .. } => Some(fields.sec_is_active == Some(true)),
                _ => None,
            });
        let mut size = Self {
            entries: 0,
            active: 0,
        };
        for active in listings {
            size.entries += 1;
            size.active += u64::from(active);
        }
        size
    }
}

/// What is wrong with a list of size `found` where the last closed full cycle saw `before`.
pub(super) fn breach(before: ListSize, found: ListSize) -> Option<String> {
    let kept_percent = 100 - MAX_SHRINKAGE_PERCENT;
    if found.entries * 100 < before.entries * kept_percent {
        let least = (before.entries * kept_percent).div_ceil(100);
        return Some(format!(
            "the list shrank: expected at least {least} entries ({kept_percent} % of the {} of the last closed full cycle), found {}",
            before.entries, found.entries
        ));
    }
    if before.active > 0 && found.active == 0 {
        return Some(format!(
            "the list names no active fund: expected about {}, as in the last closed full cycle, found 0",
            before.active
        ));
    }
    None
}

/// Checks a whole list against the last closed full cycle; a breach is a sentence for the reader. In a full cycle the
/// size of a list without breach becomes a yard-stick once the cycle is closed.
pub(super) async fn check(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answer: &TaskAnswer,
) -> Result<Option<String>, StoreError> {
    if answer.id.key != TaskId::WHOLE_MARKET || answer.outcome != Outcome::Done {
        return Ok(None);
    }
    let found = ListSize::of(&answer.observations);
    let source = answer.id.source.as_str();
    let before = tx
        .query_opt(
            "SELECT s.entries, s.active_entries FROM runner.list_size s JOIN runner.cycle c USING (cycle_id)
             WHERE s.source = $1 AND s.page = $2 AND c.state = 'closed' AND c.scope = 'full'
             ORDER BY cycle_id DESC LIMIT 1",
            &[&source, &answer.id.page],
        )
        .await?;
    if let Some(row) = before {
        let (entries, active): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let before = ListSize {
            entries: entries.unsigned_abs(),
            active: active.unsigned_abs(),
        };
        if let Some(breach) = breach(before, found) {
            return Ok(Some(format!(
                "{breach}; nothing of it was taken, what was loaded before stands; if the market really shrank so far: master_runner reset-source {source}"
            )));
        }
    }
    if cycle.scope == Scope::Full && found.entries > 0 {
        tx.execute(
            "INSERT INTO runner.list_size (source, page, cycle_id, entries, active_entries)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (source, page, cycle_id) DO UPDATE SET
                 entries = EXCLUDED.entries, active_entries = EXCLUDED.active_entries",
            &[
                &source,
                &answer.id.page,
                &cycle.id,
                &i64::try_from(found.entries).unwrap_or(i64::MAX),
                &i64::try_from(found.active).unwrap_or(i64::MAX),
            ],
        )
        .await?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_shrinks_by_more_than_a_tenth_is_a_breach() {
        let size = |entries, active| ListSize { entries, active };
        for (before, found, is_breach) in [
            (size(100, 60), size(90, 50), false),
            (size(100, 60), size(89, 60), true),
            (size(100, 60), size(140, 80), false),
            (size(100, 60), size(100, 0), true),
            (size(100, 0), size(100, 0), false),
            (size(5, 5), size(4, 4), true),
            (size(0, 0), size(0, 0), false),
        ] {
            assert_eq!(
                breach(before, found).is_some(),
                is_breach,
                "{before:?} {found:?}"
            );
        }
    }
}
