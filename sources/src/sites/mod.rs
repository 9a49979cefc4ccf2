//! The sites, one folder each: their pages, requests and parsers.
//!
//! A new site needs:
//!
//! | what | where |
//! |---|---|
//! | its code: pages and their contract, requests, parsers | a folder here that implements [`Site`] |
//! | its name in tables, options and logs, and its number | [`SourceName`] (`schema/src/source_name.rs`) |
//! | its rank for each field | `schema/src/precedence.rs` |
//! | the mapping from its name to its code | a variant of [`SiteAddress`] and an arm of [`pages`], in this file |
//! | its keys in `runner.ron`, and their check | `src/runner_config.rs`, `src/runner_settings.rs`, `src/runner_settings/check.rs` |
//! | its address, hosts and limits from the settings | `entries` in `src/sites.rs` |
//! | its properties under fuzzing | `fuzz/properties/src/pages.rs` |
//! | its simulator, for the tests of the whole program | `simulator/src/` |

use std::sync::Arc;

use schema::SourceName;
use url::Url;

use crate::page::PageSpec;
use crate::site::Site;

#[cfg(test)]
pub(crate) mod asked;
#[cfg(test)]
mod breach_texts;
pub mod factsheet;
mod findings;
pub mod finnomena;
mod locate;
mod plausible;
mod portfolio_rows;
pub mod sec_fundcheck;
pub mod wealthmagik;

/// The maximum length of a link or page path of a site, in characters. Longer ones are not used.
pub const MAX_LINK_CHARS: usize = 2_000;

pub use finnomena::Finnomena;
pub use sec_fundcheck::SecFundcheck;
pub use wealthmagik::Wealthmagik;

/// The configured address of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteAddress {
    /// Finnomena.
    Finnomena {
        /// Its root, such as `https://www.finnomena.com`.
        base_url: Url,
        /// Hosts (`name` or `name:port`) that factsheet links may lead to, besides its own.
        factsheet_hosts: Vec<String>,
    },
    /// WealthMagik.
    Wealthmagik {
        /// Its root.
        base_url: Url,
        /// As for Finnomena.
        factsheet_hosts: Vec<String>,
    },
    /// The SEC's FundCheck.
    SecFundcheck {
        /// The root of its pages.
        page_url: Url,
        /// The root of its API.
        api_url: Url,
    },
}

impl SiteAddress {
    /// The source at this address.
    #[must_use]
    pub const fn source(&self) -> SourceName {
        match self {
            Self::Finnomena { .. } => SourceName::Finnomena,
            Self::Wealthmagik { .. } => SourceName::Wealthmagik,
            Self::SecFundcheck { .. } => SourceName::SecFundcheck,
        }
    }

    /// The site.
    #[must_use]
    pub fn build(self) -> Arc<dyn Site> {
        match self {
            Self::Finnomena {
                base_url,
                factsheet_hosts,
            } => Arc::new(Finnomena::new(&base_url, factsheet_hosts)),
            Self::Wealthmagik {
                base_url,
                factsheet_hosts,
            } => Arc::new(Wealthmagik::new(&base_url, factsheet_hosts)),
            Self::SecFundcheck { page_url, api_url } => {
                Arc::new(SecFundcheck::new(&page_url, &api_url))
            }
        }
    }
}

/// The pages of a source, for the planner; empty for a source without requests.
#[must_use]
pub const fn pages(source: SourceName) -> &'static [PageSpec] {
    match source {
        SourceName::Finnomena => &finnomena::contract::PAGES,
        SourceName::Wealthmagik => &wealthmagik::contract::PAGES,
        SourceName::SecFundcheck => &sec_fundcheck::contract::PAGES,
        SourceName::Adopted => &[],
    }
}
