//! Maps requests and tasks to pages, so that a test can check whether a page was requested again.

use simulator::{LoggedRequest, Site};

/// The path of Finnomena's filter pages, which have the newest NAVs of many funds.
const FILTER: &str = "/fn3/api/fund/v2/public/filter";

/// A page, identified by its request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageAsked {
    /// A path of one of the hosts without its query, except for the page number of a filter page.
    Path(String),
    /// A code in a request to the SEC's API, which has one path for all codes.
    Code(String),
}

impl PageAsked {
    /// The page of a task; `None` for a kind of page that this helper does not know.
    pub fn of_task(source: &str, page: &str, key: &str, locator: &str) -> Option<Self> {
        let finnomena = "/fn3/api/fund/v2/public/funds";
        let path = match (source, page) {
            ("sec_fundcheck", _) => return Some(Self::Code(key.to_owned())),
            (_, "factsheet") => format!("/{}", locator.splitn(4, '/').nth(3)?),
            ("finnomena", "list") => finnomena.to_owned(),
            ("finnomena", "filter") => format!("{FILTER}?page={key}"),
            ("finnomena", "fund") => format!("{finnomena}/{locator}"),
            ("finnomena", "nav") => format!("{finnomena}/{locator}/nav/q"),
            ("finnomena", page) => format!("{finnomena}/{locator}/{page}"),
            ("wealthmagik", "list") => "/json-search/fundSearch.json".to_owned(),
            ("wealthmagik", page) => format!("/{}/{page}", locator.trim_start_matches('/')),
            _ => return None,
        };
        Some(Self::Path(path))
    }

    /// The pages of a request. Only a request to the SEC's API has several.
    pub fn of_request(request: &LoggedRequest) -> Vec<Self> {
        if request.site == Site::SecApi {
            let codes: Vec<String> = serde_json::from_str(&request.asked).unwrap_or_default();
            return codes.into_iter().map(Self::Code).collect();
        }
        let end = if request.path.starts_with(FILTER) {
            '&'
        } else {
            '?'
        };
        let path = request.path.split(end).next().unwrap_or_default();
        vec![Self::Path(path.to_owned())]
    }
}
