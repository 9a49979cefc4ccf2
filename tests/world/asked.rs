//! Which request asks for which task: by it a test can tell whether a page was asked again.

use replica::{LoggedRequest, Site};

/// Where Finnomena tells the newest NAVs of many funds.
const FILTER: &str = "/fn3/api/fund/v2/public/filter";

/// A page as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageAsked {
    /// A path of one of the hosts, without its query; with the number of the page where the market comes in pieces.
    Path(String),
    /// A code in a question to the SEC's API, which has one path for all.
    Code(String),
}

impl PageAsked {
    /// How the task's page is asked for; `None` where the test does not know.
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

    /// The pages a request asks for: several only by a question to the SEC's API.
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
