//! The three run modes: the same actors, other sizes and another order (design, section 5). Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use schema::{PlannedTask, SourceName};

/// How much is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunMode {
    /// One source after another, critical pages first.
    Sequential,
    /// Critical pages of all sources first and awaited; then the heavy ones of all sources together.
    Hybrid,
    /// Everything at once.
    Parallel,
}

impl fmt::Display for RunMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sequential => "sequential",
            Self::Hybrid => "hybrid",
            Self::Parallel => "parallel",
        })
    }
}

/// The sizes of a mode. None may be zero: for actix a capacity of 0 means no bound at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeSizes {
    /// Fetches in flight per source (never above the host's own limit).
    pub fetches_in_flight: NonZeroUsize,
    /// Credits per source: its share of the merge mailbox (A4).
    pub credits: NonZeroUsize,
    /// Batches the loader may have waiting or in hand.
    pub loader_mailbox: NonZeroUsize,
}

/// One step of a pass: these tasks of these sources run together, and the next wave waits for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wave {
    /// What each source has to ask, in order.
    pub tasks: BTreeMap<SourceName, Vec<PlannedTask>>,
}

impl Wave {
    /// How many tasks it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.values().map(Vec::len).sum()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.values().all(Vec::is_empty)
    }
}

/// Puts the unacknowledged tasks of a stage into waves. Critical pages (as `is_critical` tells) come before heavy ones
/// in every mode; the order within is the order of `tasks`.
pub fn waves(
    mode: RunMode,
    tasks: Vec<PlannedTask>,
    is_critical: impl Fn(&PlannedTask) -> bool,
) -> Vec<Wave> {
    let (critical, heavy): (Vec<_>, Vec<_>) = tasks.into_iter().partition(is_critical);
    let mut waves = match mode {
        RunMode::Sequential => {
            let mut by_source: BTreeMap<SourceName, Wave> = BTreeMap::new();
            for task in critical.into_iter().chain(heavy) {
                let source = task.id.source;
                by_source
                    .entry(source)
                    .or_default()
                    .tasks
                    .entry(source)
                    .or_default()
                    .push(task);
            }
            by_source.into_values().collect()
        }
        RunMode::Hybrid => vec![together(critical), together(heavy)],
        RunMode::Parallel => vec![together(critical.into_iter().chain(heavy))],
    };
    waves.retain(|wave| !wave.is_empty());
    waves
}

fn together(tasks: impl IntoIterator<Item = PlannedTask>) -> Wave {
    let mut wave = Wave::default();
    for task in tasks {
        wave.tasks.entry(task.id.source).or_default().push(task);
    }
    wave
}

#[cfg(test)]
mod tests {
    use schema::TaskId;

    use super::*;

    fn task(source: SourceName, page: &str, key: &str) -> PlannedTask {
        PlannedTask {
            id: TaskId {
                source,
                page: page.into(),
                key: key.into(),
            },
            locator: None,
            extent: None,
            attempts: 0,
            known_payload: None,
        }
    }

    fn shape(mode: RunMode) -> Vec<Vec<String>> {
        let tasks = vec![
            task(SourceName::Wealthmagik, "port", "A"),
            task(SourceName::Finnomena, "fee", "A"),
            task(SourceName::Finnomena, "nav", "A"),
            task(SourceName::Wealthmagik, "profile", "A"),
        ];
        waves(mode, tasks, |task| {
            matches!(task.id.page.as_str(), "nav" | "profile")
        })
        .iter()
        .map(|wave| {
            wave.tasks
                .values()
                .flatten()
                .map(|task| task.id.to_string())
                .collect()
        })
        .collect()
    }

    #[test]
    fn sequential_asks_one_source_after_another_critical_pages_first() {
        assert_eq!(
            shape(RunMode::Sequential),
            [
                ["finnomena/nav/A", "finnomena/fee/A"],
                ["wealthmagik/profile/A", "wealthmagik/port/A"]
            ]
        );
    }

    #[test]
    fn hybrid_awaits_the_critical_pages_of_all_sources() {
        assert_eq!(
            shape(RunMode::Hybrid),
            [
                ["finnomena/nav/A", "wealthmagik/profile/A"],
                ["finnomena/fee/A", "wealthmagik/port/A"]
            ]
        );
    }

    #[test]
    fn parallel_has_everything_in_one_wave() {
        assert_eq!(
            shape(RunMode::Parallel),
            [[
                "finnomena/nav/A",
                "finnomena/fee/A",
                "wealthmagik/profile/A",
                "wealthmagik/port/A"
            ]]
        );
    }

    #[test]
    fn nothing_to_do_is_no_wave() {
        assert!(waves(RunMode::Hybrid, Vec::new(), |_| true).is_empty());
    }
}
