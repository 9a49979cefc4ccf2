//! The declaration of a source: name, hosts, default rate, pages, and the function that builds it. `runner.ron`, the
//! command line, the planner and the list of sites are derived from these declarations.

use std::sync::Arc;

use schema::SourceName;
use url::Url;

use crate::api_key::ApiKey;
use crate::page::PageSpec;
use crate::site::Site;

/// The declaration of a source. Each folder of a source in [`crate::sites`] has one.
#[derive(Debug, Clone, Copy)]
pub struct SourceSpec {
    /// The name in tables, options, logs and `runner.ron`.
    pub name: SourceName,
    /// The hosts. The first one is the root: `check` requests it, and its clock is compared.
    pub hosts: &'static [HostSetting],
    /// The default of `requests_per_sec`: maximum mean request rate, per host.
    pub requests_per_sec: f64,
    /// The default of `concurrent_requests`: maximum number of concurrent requests, per host.
    pub concurrent_requests: u8,
    /// The highest rate that the source allows. A higher one in `runner.ron` is reduced to it.
    pub max_requests_per_sec: Option<f64>,
    /// `Some`: the source demands a key. Without one it is not requested.
    pub api_key: Option<KeySetting>,
    /// `Some`: the source has histories that are read page by page over several cycles
    /// ([`crate::page::Stage::Histories`]). The default of `history_pages`: the largest number of pages of all of them
    /// in a cycle.
    pub history_pages: Option<u32>,
    /// Whether the browser can fetch pages of the source. If so, `transport` is one of its keys; otherwise the source
    /// is always requested over HTTP.
    pub has_browser_pages: bool,
    /// The default of `factsheet_hosts`: hosts besides the source's own to which its factsheet links may lead. `None`
    /// for a source without links to factsheets; the key does not exist then.
    pub factsheet_hosts: Option<&'static [&'static str]>,
    /// The pages, for the planner.
    pub pages: &'static [PageSpec],
    /// Builds the site at an address.
    pub build: fn(&SiteAddress) -> Arc<dyn Site>,
}

/// Two specs are equal if they have the same name: there is one per source.
impl PartialEq for SourceSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// A key of `runner.ron` that holds the address of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSetting {
    /// The key, such as `base_url`.
    pub key: &'static str,
    /// The default value: scheme, host name and port.
    pub default: &'static str,
}

/// The names of the environment variables that hold the keys of a source: the defaults of `key_env` and
/// `secondary_key_env`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySetting {
    /// The key that is used first.
    pub primary: &'static str,
    /// The key that is used if the first one is refused.
    pub secondary: &'static str,
    /// Where keys are issued.
    pub portal: &'static str,
}

/// The SEC's document storage: Finnomena, WealthMagik and the register link their factsheets there.
pub(crate) const SEC_DOCUMENTS: &[&str] = &["https://secdocumentstorage.blob.core.windows.net"];

/// The address of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteAddress {
    /// The first host.
    pub root: Url,
    /// The other hosts, in the order of [`SourceSpec::hosts`].
    pub others: Vec<Url>,
    /// Hosts (`name` or `name:port`) that factsheet links may lead to; empty for a source without such links.
    pub factsheet_hosts: Vec<String>,
    /// The keys of a source that demands one, in the order of their use.
    pub keys: Vec<ApiKey>,
}

impl SiteAddress {
    /// The source's own hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &Url> {
        std::iter::once(&self.root).chain(&self.others)
    }
}

impl SourceSpec {
    /// The keys of the source in `runner.ron`, in the order of its documentation.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        let hosts = self.hosts.iter().map(|host| host.key);
        std::iter::once("enabled")
            .chain(hosts)
            .chain(
                self.api_key
                    .into_iter()
                    .flat_map(|_| ["key_env", "secondary_key_env"]),
            )
            .chain(self.has_browser_pages.then_some("transport"))
            .chain(["requests_per_sec", "concurrent_requests"])
            .chain(self.history_pages.map(|_| "history_pages"))
            .chain(self.factsheet_hosts.map(|_| "factsheet_hosts"))
    }
}
