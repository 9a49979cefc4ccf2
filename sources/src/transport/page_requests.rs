//! Tracks the requests of one page by the browser's network events: how many are in flight, how long they have been
//! quiet, and how the API requests of the page were answered. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio::time::Instant;
use url::Url;

/// The maximum number of answers stored for one page; later answers are ignored.
const MOST_ANSWERS: usize = 500;
/// A body of at most this many bytes (`[]`, `{}`, `null`) contains no data.
const EMPTY_BODY_BYTES: u64 = 4;
/// Separators between the parts of a URL that can contain a fund code.
const SEPARATORS: [char; 8] = ['/', '?', '&', '=', ';', ',', '#', '|'];

/// The answer to one request of a page; status 0: no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PageAnswer {
    url: String,
    status: u16,
    body_bytes: Option<u64>,
}

/// The requests of one page since its navigation began.
#[derive(Debug, Default)]
pub struct PageRequests {
    open: BTreeSet<String>,
    /// The request for the document itself. Its status is the page's own and is not an API answer.
    document: Option<String>,
    moved_at: Option<Instant>,
    answers: Vec<PageAnswer>,
    download: Option<String>,
}

/// How busy a page is with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Requests sent and not answered.
    pub in_flight: usize,
    /// How long no request has started or ended.
    pub quiet: Duration,
}

impl PageRequests {
    /// Records a request. A request for the page's document begins a new page.
    pub fn started(&mut self, id: &str, is_document: bool, at: Instant) {
        if is_document {
            self.open.clear();
            self.answers.clear();
            self.document = Some(id.to_owned());
        }
        self.open.insert(id.to_owned());
        self.moved_at = Some(at);
    }

    /// Records the answer to a request; `status` 0: it failed. `body_bytes`: the size as sent.
    pub fn ended(
        &mut self,
        id: &str,
        url: &str,
        status: u16,
        body_bytes: Option<u64>,
        at: Instant,
    ) {
        if !self.open.remove(id) {
            return;
        }
        self.moved_at = Some(at);
        let is_document = self.document.as_deref() == Some(id);
        if !is_document && self.answers.len() < MOST_ANSWERS {
            self.answers.push(PageAnswer {
                url: url.to_owned(),
                status,
                body_bytes,
            });
        }
    }

    /// Records that a download began.
    pub fn downloads(&mut self, file: &str) {
        self.download = Some(file.chars().take(100).collect());
    }

    /// The file that the page offers for download.
    pub fn download(&self) -> Option<&str> {
        self.download.as_deref()
    }

    /// How busy the page is at `now`; `since`: when its navigation began.
    pub fn traffic(&self, since: Instant, now: Instant) -> Traffic {
        Traffic {
            in_flight: self.open.len(),
            quiet: now.saturating_duration_since(self.moved_at.unwrap_or(since)),
        }
    }

    /// The status by which the API of a page without content answered. Only requests that match one of `names` are
    /// used: a fund code in the request's URL, or a path that begins with `/`. A throttled, failed or refused request
    /// takes precedence over an answer without data. An empty body is treated as 204. `None`: the API returned data, or
    /// was not requested.
    pub fn api_status(&self, names: &[String]) -> Option<u16> {
        let speaking: Vec<u16> = self
            .answers
            .iter()
            .filter(|answer| names.iter().any(|name| speaks_of(&answer.url, name)))
            .map(|answer| match (answer.status, answer.body_bytes) {
                (0, _) => 502,
                (200..=299, Some(0..=EMPTY_BODY_BYTES)) => 204,
                (status, _) => status,
            })
            .collect();
        let first = |wanted: fn(u16) -> bool| speaking.iter().copied().find(|one| wanted(*one));
        first(|status| status == 429 || status == 421)
            .or_else(|| first(|status| status >= 500))
            .or_else(|| first(|status| matches!(status, 401 | 403)))
            .or_else(|| {
                let says_nothing = |status: &u16| *status == 204 || *status >= 400;
                speaking
                    .last()
                    .copied()
                    .filter(|_| speaking.iter().all(says_nothing))
            })
    }
}

/// Whether the URL of a request contains `name`. A code may be percent-encoded once or twice, as in a path that is
/// itself a parameter.
fn speaks_of(url: &str, name: &str) -> bool {
    if name.starts_with('/') {
        return Url::parse(url).is_ok_and(|url| url.path() == name);
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    url.split(SEPARATORS).any(|part| {
        let once = decoded(part);
        let is_named = |part: &str| part.trim() == name || decoded(part).trim() == name;
        is_named(&once) || once.split(SEPARATORS).any(is_named)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_from_its_start_to_its_end_and_a_new_document_begins_anew() {
        let zero = Instant::now();
        let at = |millis| zero + Duration::from_millis(millis);
        let mut requests = PageRequests::default();
        let busy = |requests: &PageRequests, millis| {
            let traffic = requests.traffic(zero, at(millis));
            (traffic.in_flight, traffic.quiet.as_millis())
        };
        assert_eq!(busy(&requests, 50), (0, 50));
        requests.started("document", true, at(10));
        requests.started("api", false, at(100));
        requests.ended("document", "http://a.th/", 200, None, at(120));
        assert_eq!(
            busy(&requests, 5_120),
            (1, 5_000),
            "a slow answer is in flight"
        );
        requests.ended("api", "http://a.th/api", 200, None, at(6_000));
        requests.ended(
            "of the page before",
            "http://a.th/api",
            200,
            None,
            at(6_500),
        );
        assert_eq!(busy(&requests, 7_000), (0, 1_000));
        requests.started("api 2", false, at(7_100));
        requests.started("next document", true, at(7_200));
        assert_eq!(busy(&requests, 7_200), (1, 0));
    }

    #[test]
    fn the_status_of_an_empty_pages_api_counts_if_its_url_names_the_fund() {
        let names = ["K-USA(A)".to_owned(), "/api/funds".to_owned()];
        let own = "http://a.th/api/detail?code=K-USA%28A%29";
        let twice = "http://a.th/api/page?path=%2Ffunds%2FK-USA%2528A%2529%2Ffee";
        let posted = "http://a.th/api/funds";
        let other = "http://a.th/api/detail?code=K-USA%28A%29-D";
        for (answers, expected) in [
            (vec![(own, 404, Some(90))], Some(404)),
            (vec![(twice, 410, None)], Some(410)),
            (vec![(posted, 400, None)], Some(400)),
            (vec![(posted, 204, Some(0))], Some(204)),
            (vec![(posted, 200, Some(2))], Some(204)),
            (vec![(own, 200, Some(700))], None),
            (vec![(own, 200, Some(700)), (own, 404, None)], None),
            (vec![(own, 404, None), (posted, 503, None)], Some(503)),
            (vec![(own, 404, None), (posted, 429, None)], Some(429)),
            (vec![(own, 404, None), (posted, 403, None)], Some(403)),
            (vec![(own, 0, None)], Some(502)),
            (vec![(other, 404, None)], None),
            (vec![("http://a.th/api/menu", 404, None)], None),
            (Vec::new(), None),
        ] {
            let mut requests = PageRequests::default();
            let now = Instant::now();
            let document = "http://a.th/fund/K-USA%28A%29";
            requests.started(document, true, now);
            requests.ended(document, document, 200, Some(9_000), now);
            for (url, status, bytes) in &answers {
                requests.started(url, false, now);
                requests.ended(url, url, *status, *bytes, now);
            }
            assert_eq!(requests.api_status(&names), expected, "{answers:?}");
        }
    }
}
