//! The names of the sources, as used in tables, options and logs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares the sources: variant, name in tables, options and logs, and bit in the `*_said_by` columns of
/// `funds_daily`. The bit is stored, so it must never be renumbered. The order is the order of display only; precedence
/// is declared in [`crate::precedence`].
macro_rules! sources {
    (requested { $($(#[$doc:meta])* $variant:ident = $name:literal, bit $bit:literal;)* }
     other { $($(#[$other_doc:meta])* $other:ident = $other_name:literal, bit $other_bit:literal;)* }) => {
        /// A source of statements about funds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum SourceName {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
            $($(#[$other_doc])* #[serde(rename = $other_name)] $other,)*
        }

        impl SourceName {
            /// Every source, in the order of display.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)* $(Self::$other,)*];

            /// The sources that are requested: all but [`Self::Adopted`].
            pub const REQUESTED: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in tables, options and logs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    $(Self::$other => $other_name,)*
                }
            }

            /// The bit of this source in the `*_said_by` columns of `funds_daily`.
            #[must_use]
            pub const fn bit(self) -> i16 {
                match self {
                    $(Self::$variant => $bit,)*
                    $(Self::$other => $other_bit,)*
                }
            }
        }
    };
}

sources! {
    requested {
        /// `https://www.finnomena.com`: JSON.
        Finnomena = "finnomena", bit 1;
        /// `https://www.wealthmagik.com`: HTML and JavaScript pages.
        Wealthmagik = "wealthmagik", bit 2;
        /// `https://fundcheck.sec.or.th`: risk statistics.
        SecFundcheck = "sec_fundcheck", bit 4;
        /// `https://api.sec.or.th`: the official register, for holders of a free key.
        SecOpenApi = "sec_open_api", bit 16;
    }
    other {
        /// Rows that were in the warehouse before the runner adopted it. They have the lowest rank.
        Adopted = "adopted", bit 8;
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error for a text that is not the name of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a source; the sources are {names}", names = names())]
pub struct UnknownSource(pub String);

fn names() -> String {
    let names: Vec<&str> = SourceName::ALL
        .iter()
        .map(|source| source.as_str())
        .collect();
    names.join(", ")
}

impl FromStr for SourceName {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| UnknownSource(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_its_own_bit() {
        let mut bits = 0;
        for source in SourceName::ALL {
            assert_eq!(source.bit().count_ones(), 1, "{source}");
            assert_eq!(bits & source.bit(), 0, "{source}");
            bits |= source.bit();
        }
    }

    #[test]
    fn an_unknown_source_is_answered_with_all_names() {
        let error = "sec"
            .parse::<SourceName>()
            .expect_err("unknown")
            .to_string();
        assert_eq!(
            error,
            "`sec` is not a source; the sources are finnomena, wealthmagik, sec_fundcheck, sec_open_api, adopted"
        );
    }
}
