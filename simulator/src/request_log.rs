//! The log of the requests to the simulator, with times and clients. End-to-end tests assert on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use serde::Serialize;

use crate::hosts::Site;

/// A request that starts this soon after a `Retry-After` was sent is not regarded as inside the window of that header:
/// the client may have sent it before the header arrived.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

/// The log keeps at most this many characters of a request's body.
const MOST_ASKED_CHARS: usize = 8_192;

/// One request. Times are counted from the simulator's start.
#[derive(Clone, Debug, Serialize)]
pub struct LoggedRequest {
    /// The host.
    pub site: Site,
    /// The method.
    pub method: String,
    /// Path and query as received.
    pub path: String,
    /// The request's body as text, cut at `MOST_ASKED_CHARS`; empty for a GET.
    pub asked: String,
    /// When the request's head was read.
    pub started: Duration,
    /// When the end of the answer was handed to the connection, or the client left; None if the request is still open.
    pub ended: Option<Duration>,
    /// The status; 0 before the answer.
    pub status: u16,
    /// The User-Agent; empty if the request has none.
    pub user_agent: String,
    /// Whether a browser sent the request.
    pub from_browser: bool,
    /// Whether the request started inside the window of a `Retry-After` that was sent before.
    pub inside_retry_after: bool,
}

/// A snapshot of the log.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestLog {
    /// All requests in the order of their start.
    pub requests: Vec<LoggedRequest>,
    /// Connections that a fault reset or disturbed before a request was read, with the time since the start.
    pub refused_connections: Vec<(Site, Duration)>,
    /// The browser sessions that the pages' script reported, and whether `navigator.webdriver` was true.
    pub browser_sessions: BTreeMap<String, bool>,
}

impl RequestLog {
    /// The requests to one host.
    pub fn of(&self, site: Site) -> impl Iterator<Item = &LoggedRequest> {
        self.requests
            .iter()
            .filter(move |request| request.site == site)
    }

    /// The number of requests for each URL of each host.
    pub fn counts(&self) -> BTreeMap<(Site, &str), usize> {
        let mut counts = BTreeMap::new();
        for request in &self.requests {
            *counts
                .entry((request.site, request.path.as_str()))
                .or_insert(0) += 1;
        }
        counts
    }

    /// The number of requests to one host whose path and query contain `part`.
    pub fn count(&self, site: Site, part: &str) -> usize {
        self.of(site)
            .filter(|request| request.path.contains(part))
            .count()
    }

    /// The largest number of requests to one host that started within any sliding second.
    pub fn most_in_a_second(&self, site: Site) -> usize {
        let starts: Vec<Duration> = self.of(site).map(|request| request.started).collect();
        let mut first = 0;
        let mut most = 0;
        for (place, start) in starts.iter().enumerate() {
            while *start - starts[first] >= Duration::from_secs(1) {
                first += 1;
            }
            most = most.max(place - first + 1);
        }
        most
    }

    /// The largest number of requests to one host that were in flight at one instant.
    pub fn most_at_once(&self, site: Site) -> usize {
        most_overlapping(
            self.of(site)
                .map(|request| (request.started, request.ended.unwrap_or(Duration::MAX))),
        )
    }

    /// The time from the start of a host's first request to the end of its last.
    pub fn span(&self, site: Site) -> Option<(Duration, Duration)> {
        let first = self.of(site).map(|request| request.started).min()?;
        let last = self
            .of(site)
            .map(|request| request.ended.unwrap_or(request.started))
            .max()?;
        Some((first, last))
    }

    /// The largest number of these hosts whose spans overlap at one instant. It is 1 if the runner requested them
    /// strictly one after another.
    pub fn sites_alive_at_once(&self, sites: &[Site]) -> usize {
        most_overlapping(sites.iter().filter_map(|site| self.span(*site)))
    }

    /// The number of requests that started inside the window of a `Retry-After`.
    pub fn inside_retry_after(&self, site: Site) -> usize {
        self.of(site)
            .filter(|request| request.inside_retry_after)
            .count()
    }

    /// The number of distinct browser sessions under the control of a driver.
    pub fn webdriver_sessions(&self) -> usize {
        self.browser_sessions
            .values()
            .filter(|webdriver| **webdriver)
            .count()
    }

    /// The distinct User-Agents.
    pub fn user_agents(&self) -> BTreeSet<&str> {
        self.requests
            .iter()
            .map(|request| request.user_agent.as_str())
            .collect()
    }
}

fn most_overlapping(spans: impl Iterator<Item = (Duration, Duration)>) -> usize {
    let mut edges: Vec<(Duration, bool)> = spans
        .flat_map(|(start, end)| [(start, true), (end, false)])
        .collect();
    // At one instant, ends sort before starts: intervals that only touch do not overlap.
    edges.sort_unstable();
    let (mut alive, mut most) = (0_usize, 0);
    for (_, opens) in edges {
        alive = if opens {
            alive + 1
        } else {
            alive.saturating_sub(1)
        };
        most = most.max(alive);
    }
    most
}

/// The log that the running hosts write to.
#[derive(Debug)]
pub(crate) struct LogBook {
    began: Instant,
    began_at: SystemTime,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    log: RequestLog,
    /// The `Retry-After` windows of each host: start and end.
    windows: HashMap<Site, Vec<(Duration, Duration)>>,
}

impl LogBook {
    pub(crate) fn new() -> Self {
        LogBook {
            began: Instant::now(),
            began_at: SystemTime::now(),
            book: Mutex::default(),
        }
    }

    /// Records the start of a request and returns its number.
    pub(crate) fn start(
        &self,
        site: Site,
        method: &str,
        path: &str,
        user_agent: &str,
        from_browser: bool,
    ) -> usize {
        let started = self.began.elapsed();
        let mut book = self.book.lock();
        let inside_retry_after = book.windows.get(&site).is_some_and(|windows| {
            windows
                .iter()
                .any(|(since, until)| started > *since + ON_ITS_WAY && started < *until)
        });
        book.log.requests.push(LoggedRequest {
            site,
            method: method.to_owned(),
            path: path.to_owned(),
            asked: String::new(),
            started,
            ended: None,
            status: 0,
            user_agent: user_agent.to_owned(),
            from_browser,
            inside_retry_after,
        });
        book.log.requests.len() - 1
    }

    /// The wall-clock time that the log's times are counted from.
    pub(crate) fn began_at(&self) -> SystemTime {
        self.began_at
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn asks(&self, number: usize, body: &[u8]) {
        let asked = String::from_utf8_lossy(body);
        self.book.lock().log.requests[number].asked =
            asked.chars().take(MOST_ASKED_CHARS).collect();
    }

    pub(crate) fn answered(&self, number: usize, status: u16) {
        self.book.lock().log.requests[number].status = status;
    }

    pub(crate) fn ended(&self, number: usize) {
        let now = self.began.elapsed();
        self.book.lock().log.requests[number].ended = Some(now);
    }

    pub(crate) fn hand_out_retry_after(&self, site: Site, wait: Duration) {
        let now = self.began.elapsed();
        self.book
            .lock()
            .windows
            .entry(site)
            .or_default()
            .push((now, now + wait));
    }

    pub(crate) fn refuse(&self, site: Site) {
        let now = self.began.elapsed();
        self.book.lock().log.refused_connections.push((site, now));
    }

    /// Records a browser session that a page's script reported, and marks the page's latest request as sent by a
    /// browser.
    pub(crate) fn beacon(&self, site: Site, path: &str, session: &str, webdriver: bool) {
        let mut book = self.book.lock();
        book.log
            .browser_sessions
            .insert(session.to_owned(), webdriver);
        if let Some(request) = book
            .log
            .requests
            .iter_mut()
            .rfind(|request| request.site == site && request.path == path)
        {
            request.from_browser = true;
        }
    }

    pub(crate) fn snapshot(&self) -> RequestLog {
        self.book.lock().log.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(site: Site, started: u64, ended: u64) -> LoggedRequest {
        LoggedRequest {
            site,
            method: "GET".to_owned(),
            path: "/a".to_owned(),
            asked: String::new(),
            started: Duration::from_millis(started),
            ended: Some(Duration::from_millis(ended)),
            status: 200,
            user_agent: String::new(),
            from_browser: false,
            inside_retry_after: false,
        }
    }

    #[test]
    fn aggregates_count_what_overlaps() {
        let requests = vec![
            request(Site::Finnomena, 0, 300),
            request(Site::Finnomena, 100, 200),
            request(Site::Finnomena, 300, 400),
            request(Site::Finnomena, 1_050, 1_100),
            request(Site::WealthMagik, 350, 900),
            request(Site::SecApi, 1_200, 1_300),
        ];
        let log = RequestLog {
            requests,
            ..RequestLog::default()
        };
        assert_eq!(log.most_at_once(Site::Finnomena), 2);
        assert_eq!(log.most_in_a_second(Site::Finnomena), 3);
        assert_eq!(log.sites_alive_at_once(&Site::ALL), 2);
        assert_eq!(log.counts()[&(Site::Finnomena, "/a")], 4);
    }

    #[test]
    fn a_request_inside_a_retry_after_window_is_marked() {
        let book = LogBook::new();
        book.start(Site::Finnomena, "GET", "/a", "", false);
        book.hand_out_retry_after(Site::Finnomena, Duration::from_secs(60));
        std::thread::sleep(ON_ITS_WAY * 2);
        book.start(Site::Finnomena, "GET", "/a", "", false);
        book.start(Site::WealthMagik, "GET", "/a", "", false);
        let log = book.snapshot();
        assert_eq!(
            (
                log.inside_retry_after(Site::Finnomena),
                log.inside_retry_after(Site::WealthMagik)
            ),
            (1, 0)
        );
    }
}
