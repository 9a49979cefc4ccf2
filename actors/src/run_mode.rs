//! The three run modes: the same actors with different sizes and a different order of pages (docs/architecture.md).
//! Pure.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// How much of the work runs concurrently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunMode {
    /// One source after another, critical pages first.
    Sequential,
    /// All sources concurrently. Each source finishes its critical pages before it starts the heavy ones.
    Hybrid,
    /// All sources and all pages concurrently.
    Parallel,
}

impl RunMode {
    /// The modes by their numbers 1, 2, 3.
    pub const ALL: [Self; 3] = [Self::Sequential, Self::Hybrid, Self::Parallel];

    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sequential => "Sequential",
            Self::Hybrid => "Hybrid",
            Self::Parallel => "Parallel",
        }
    }

    /// The default sizes of this mode; `sessions` is `browser.sessions`.
    #[must_use]
    pub const fn default_sizes(self, sessions: NonZeroUsize) -> ModeSizes {
        const fn at_least_one(number: usize) -> NonZeroUsize {
            match NonZeroUsize::new(number) {
                Some(number) => number,
                None => NonZeroUsize::MIN,
            }
        }
        let (fetches_in_flight, credits, loader_mailbox, browser_sessions) = match self {
            Self::Sequential => (1, 1, 1, NonZeroUsize::MIN),
            Self::Hybrid => (3, 4, 2, NonZeroUsize::MIN),
            Self::Parallel => (6, 64, 2, sessions),
        };
        ModeSizes {
            fetches_in_flight: at_least_one(fetches_in_flight),
            credits: at_least_one(credits),
            loader_mailbox: at_least_one(loader_mailbox),
            browser_sessions,
        }
    }
}

impl fmt::Display for RunMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Error: the text does not name a run mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the modes are sequential (1), hybrid (2), parallel (3)")]
pub struct UnknownMode;

impl FromStr for RunMode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .zip(["1", "2", "3"])
            .find(|(mode, number)| text == *number || text.eq_ignore_ascii_case(mode.as_str()))
            .map(|(mode, _)| mode)
            .ok_or(UnknownMode)
    }
}

/// The sizes of one mode. The limits of each host apply in addition, in every mode. No size may be zero, because actix
/// treats a mailbox capacity of 0 as unbounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeSizes {
    /// Fetches in flight per source.
    pub fetches_in_flight: NonZeroUsize,
    /// Credits per source: the number of its requests whose answers are not committed yet. The merge actor's mailbox
    /// has this size for each source.
    pub credits: NonZeroUsize,
    /// Batches that may be sent to the loader and not settled. The actix mailbox has four more places, for calls of the
    /// cycle and the supervisor.
    pub loader_mailbox: NonZeroUsize,
    /// Browser sessions.
    pub browser_sessions: NonZeroUsize,
}

impl fmt::Display for ModeSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fetches in flight per source {}, credits per source {}, loader mailbox {}, browser sessions {}",
            self.fetches_in_flight, self.credits, self.loader_mailbox, self.browser_sessions
        )
    }
}

/// The sizes of all modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes {
    /// Mode 1.
    pub sequential: ModeSizes,
    /// Mode 2.
    pub hybrid: ModeSizes,
    /// Mode 3.
    pub parallel: ModeSizes,
}

impl Modes {
    /// The sizes of one mode.
    #[must_use]
    pub const fn of(&self, mode: RunMode) -> ModeSizes {
        match mode {
            RunMode::Sequential => self.sequential,
            RunMode::Hybrid => self.hybrid,
            RunMode::Parallel => self.parallel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_named_by_word_in_any_case_or_by_number() {
        for (text, mode) in [
            ("1", Some(RunMode::Sequential)),
            ("2", Some(RunMode::Hybrid)),
            ("3", Some(RunMode::Parallel)),
            ("parallel", Some(RunMode::Parallel)),
            ("Hybrid", Some(RunMode::Hybrid)),
            ("4", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), mode, "{text}");
        }
    }

    #[test]
    fn the_modes_have_the_documented_sizes() {
        let three = NonZeroUsize::MIN.saturating_add(2);
        let sizes = RunMode::ALL.map(|mode| mode.default_sizes(three).to_string());
        insta::assert_snapshot!(sizes.join("\n"));
    }
}
