//! The five hosts of the simulator: their names and their base URLs.

use serde::{Deserialize, Serialize};

/// One of the six hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Site {
    /// Finnomena's JSON API.
    Finnomena,
    /// WealthMagik's pages.
    #[serde(rename = "wealthmagik")]
    WealthMagik,
    /// The SEC's page.
    SecPage,
    /// The SEC's API.
    SecApi,
    /// Factsheets.
    Documents,
    /// The SEC's register: its Open API v2.
    SecOpenApi,
}

impl Site {
    /// All hosts.
    pub const ALL: [Site; 6] = [
        Site::Finnomena,
        Site::WealthMagik,
        Site::SecPage,
        Site::SecApi,
        Site::Documents,
        Site::SecOpenApi,
    ];

    /// The host's name in log output and messages.
    pub fn name(self) -> &'static str {
        match self {
            Site::Finnomena => "finnomena",
            Site::WealthMagik => "wealthmagik",
            Site::SecPage => "sec_page",
            Site::SecApi => "sec_api",
            Site::Documents => "documents",
            Site::SecOpenApi => "sec_open_api",
        }
    }

    pub(crate) fn place(self) -> usize {
        Site::ALL
            .iter()
            .position(|site| *site == self)
            .unwrap_or_default()
    }
}

/// The base URLs of the hosts: `http://127.0.0.1:PORT`, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Urls {
    /// Finnomena.
    pub finnomena: String,
    /// WealthMagik.
    pub wealthmagik: String,
    /// The SEC's page.
    pub sec_page: String,
    /// The SEC's API.
    pub sec_api: String,
    /// Factsheets and the control endpoint.
    pub documents: String,
    /// The SEC's register.
    pub sec_open_api: String,
}
