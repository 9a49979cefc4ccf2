//! The sites, one folder each: their pages, requests and parsers.
//!
//! Each folder declares a [`SourceSpec`], which is listed in [`SPECS`]. docs/adding-a-source.md names every step.

use crate::source_spec::SourceSpec;

#[cfg(test)]
pub(crate) mod asked;
#[cfg(test)]
mod breach_texts;
pub mod factsheet;
mod fee_kind;
mod findings;
pub mod finnomena;
mod locate;
mod plausible;
mod portfolio_rows;
pub mod sec_fundcheck;
pub mod sec_open_api;
pub mod wealthmagik;

/// The maximum length of a link or page path of a site, in characters. Longer ones are not used.
pub const MAX_LINK_CHARS: usize = 2_000;

pub use finnomena::Finnomena;
pub use sec_fundcheck::SecFundcheck;
pub use sec_open_api::SecOpenApi;
pub use wealthmagik::Wealthmagik;

/// The sources that are requested, in the order of display.
pub const SPECS: &[&SourceSpec] = &[
    &finnomena::SPEC,
    &wealthmagik::SPEC,
    &sec_fundcheck::SPEC,
    &sec_open_api::SPEC,
];

#[cfg(test)]
mod tests {
    use schema::SourceName;

    use super::*;

    #[test]
    fn every_requested_source_has_a_spec() {
        let names: Vec<SourceName> = SPECS.iter().map(|spec| spec.name).collect();
        assert_eq!(names, SourceName::REQUESTED);
    }

    #[test]
    fn the_defaults_are_addresses_of_hosts_and_no_key_appears_twice() {
        for spec in SPECS {
            let hosts = spec.hosts.iter().map(|host| host.default);
            for host in hosts.chain(spec.factsheet_hosts.into_iter().flatten().copied()) {
                let url = url::Url::parse(host).expect("a URL");
                assert_eq!((url.scheme(), url.path()), ("https", "/"), "{host}");
            }
            let mut keys: Vec<&str> = spec.keys().collect();
            keys.sort_unstable();
            let all = keys.len();
            keys.dedup();
            assert_eq!(keys.len(), all, "{}", spec.name);
            assert!(!spec.hosts.is_empty(), "{} has no root", spec.name);
        }
    }
}
