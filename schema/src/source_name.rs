//! The names of the sources, as used in tables, options and logs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A source of statements about funds. The order of the variants is the order of display only; precedence is declared
/// in [`crate::precedence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceName {
    /// `https://www.finnomena.com`: JSON.
    Finnomena,
    /// `https://www.wealthmagik.com`: HTML and JavaScript pages.
    Wealthmagik,
    /// `https://fundcheck.sec.or.th`: risk statistics.
    SecFundcheck,
    /// Rows that were in the warehouse before the runner took it over: the lowest rank.
    Adopted,
}

impl SourceName {
    /// Every source, in the order of display.
    pub const ALL: [Self; 4] = [
        Self::Finnomena,
        Self::Wealthmagik,
        Self::SecFundcheck,
        Self::Adopted,
    ];

    /// The sources that are requested: all but [`Self::Adopted`].
    pub const REQUESTED: [Self; 3] = [Self::Finnomena, Self::Wealthmagik, Self::SecFundcheck];

    /// The name in tables, options and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finnomena => "finnomena",
            Self::Wealthmagik => "wealthmagik",
            Self::SecFundcheck => "sec_fundcheck",
            Self::Adopted => "adopted",
        }
    }

    /// The bit of this source in the `*_said_by` columns of `funds_daily`. It is stored, so it must never be
    /// renumbered.
    #[must_use]
    pub const fn bit(self) -> i16 {
        match self {
            Self::Finnomena => 1,
            Self::Wealthmagik => 2,
            Self::SecFundcheck => 4,
            Self::Adopted => 8,
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error for a text that is not the name of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a source; the sources are {names}", names = SourceName::ALL.map(SourceName::as_str).join(", "))]
pub struct UnknownSource(pub String);

impl FromStr for SourceName {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| UnknownSource(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_but_the_adopted_rows_is_requested() {
        let mut all = SourceName::REQUESTED.to_vec();
        all.push(SourceName::Adopted);
        assert_eq!(all, SourceName::ALL);
    }

    #[test]
    fn an_unknown_source_is_answered_with_all_names() {
        let error = "sec"
            .parse::<SourceName>()
            .expect_err("unknown")
            .to_string();
        assert_eq!(
            error,
            "`sec` is not a source; the sources are finnomena, wealthmagik, sec_fundcheck, adopted"
        );
    }
}
