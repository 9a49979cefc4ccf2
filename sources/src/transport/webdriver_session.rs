//! One page in the real browser: opened, its overlay closed, its lazy list scrolled to the end, its document taken.

use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use url::Url;

use crate::site::BrowserVisit;

use super::host::HostKey;

/// How often a page is looked at while it becomes ready.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A document is at rest when it has not changed for so long.
const AT_REST: Duration = Duration::from_millis(300);
/// Longest wait for that, once it is ready.
const AT_REST_PATIENCE: Duration = Duration::from_secs(3);
/// Longest time for scrolling a list to its end.
const LIST_PATIENCE: Duration = Duration::from_secs(300);
/// Most items of a lazy list.
const MAX_ITEMS: u64 = 20_000;
/// Most clicks at an overlay; one that survives them is no overlay.
const MAX_OVERLAY_CLICKS: u32 = 5;
/// Most times a page may be seen to go over to another document in one visit; one that goes on loading itself anew asks
/// its host without anybody's pace (P1).
const MAX_CHANGES: u32 = 8;
/// The browser bounds each command itself, unless it hangs: so much later nothing is expected of it any more.
const GRACE: Duration = Duration::from_secs(3);
/// How long closing a session may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// What a session shows between two visits.
const EMPTY_PAGE: &str = "about:blank";

/// Looks at the page without touching more of it than the overlay.
const LOOK: &str = r"
const [ready, overlay, items, since] = arguments;
let clicked = false;
if (overlay) {
  const element = document.querySelector(overlay);
  if (element && element.getClientRects().length > 0) { element.click(); clicked = true; }
}
let lost = null;
if (items) {
  performance.setResourceTimingBufferSize(20000);
  const own = performance.getEntriesByType('resource').filter((entry) =>
    since !== null && entry.startTime >= since && entry.responseEnd > 0 && entry.name.startsWith(location.origin + '/')
    && (entry.initiatorType === 'fetch' || entry.initiatorType === 'xmlhttprequest'));
  const failed = own.find((entry) => entry.responseStatus >= 400 || entry.responseStatus === 0 || entry.redirectStart > 0);
  if (failed) { lost = failed.name + (failed.redirectStart > 0 ? ' was redirected' : ' was answered ' + failed.responseStatus); }
}
const navigation = performance.getEntriesByType('navigation')[0];
return {
  ready: document.readyState !== 'loading' && (ready.length === 0 || ready.some((css) => document.querySelector(css) !== null)),
  clicked,
  size: document.documentElement ? document.documentElement.outerHTML.length : 0,
  items: items ? document.querySelectorAll(items).length : 0,
  status: navigation && navigation.responseStatus ? navigation.responseStatus : 0,
  url: location.href,
  login: [...document.querySelectorAll('input[type=password]')].some((field) => field.getClientRects().length > 0),
  lost,
  now: performance.now(),
  born: performance.timeOrigin,
};";

/// Scrolls the nearest scrollable ancestor of the list's items, and the window, to the end.
const SCROLL: &str = r"
const items = document.querySelectorAll(arguments[0]);
const last = items[items.length - 1];
if (last) {
  last.scrollIntoView({block: 'end'});
  for (let box = last.parentElement; box; box = box.parentElement) {
    const overflow = getComputedStyle(box).overflowY;
    if (box.scrollHeight > box.clientHeight && (overflow === 'auto' || overflow === 'scroll')) {
      box.scrollTop = box.scrollHeight;
      box.dispatchEvent(new Event('scroll'));
      break;
    }
  }
}
window.scrollTo(0, document.documentElement.scrollHeight);
return null;";

/// The document, or, where it is longer than may be taken, its length alone: it does not leave the browser then. With
/// when it came to be.
const DOCUMENT: &str = r"
const html = document.documentElement.outerHTML;
return [performance.timeOrigin, html.length > arguments[0] ? html.length : html];";

/// Answers as soon as the page lets any script run.
const PULSE: &str = "return null;";

/// A session with one browser.
pub struct WebdriverSession {
    client: Client,
    page_timeout: Duration,
}

/// A page after its scripts ran.
pub struct Page {
    /// HTTP status of the document.
    pub status: u16,
    /// The document.
    pub html: String,
}

/// Why there is none.
#[derive(Debug)]
pub enum VisitFailure {
    /// The host did not answer; the session is well.
    Host(String),
    /// The page is not what may be taken; the session is well.
    Page(String),
    /// The page's list did not come to its end: perhaps the session's cookies have expired.
    CutShort(String),
    /// The page keeps its browser busy without end. The session is of no more use, nor is another attempt.
    Busy(String),
    /// The browser hangs, or the page in it. The session is of no more use.
    Hung(String),
    /// The session, or its tab, is gone.
    Lost(String),
}

#[derive(Deserialize)]
struct Look {
    ready: bool,
    clicked: bool,
    size: u64,
    items: u64,
    status: u16,
    url: String,
    /// A password is asked for.
    login: bool,
    /// What a script asked of the page's own host in vain while the list was scrolled.
    lost: Option<String>,
    /// The page's clock, in milliseconds.
    now: f64,
    /// When the document came to be: another one, another time. For comparison alone.
    born: serde_json::Number,
}

impl WebdriverSession {
    /// Starts a session at a WebDriver server.
    pub async fn connect(
        server: &Url,
        capabilities: Map<String, Value>,
        page_timeout: Duration,
    ) -> Result<Self, String> {
        let mut builder =
            ClientBuilder::rustls().map_err(|error| format!("TLS cannot be set up: {error}"))?;
        let client = builder
            .capabilities(capabilities)
            .connect(server.as_str())
            .await
            .map_err(|error| format!("no session at {server}: {error}"))?;
        Ok(Self {
            client,
            page_timeout,
        })
    }

    /// Ends the session and its browser, waiting at most some seconds.
    pub async fn close(self) {
        match tokio::time::timeout(CLOSE_TIMEOUT, self.client.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "browser session did not close in order"),
            Err(_) => tracing::debug!("browser session did not close in time"),
        }
    }

    /// Sees a page. Each command is bounded by the page time-out, the whole by that, the visit's patience and, for a list,
    /// the list's.
    pub async fn visit(
        &self,
        visit: &BrowserVisit,
        max_bytes: usize,
    ) -> Result<Page, VisitFailure> {
        let list = if visit.lazy_items_css.is_some() {
            LIST_PATIENCE
        } else {
            Duration::ZERO
        };
        // The script that takes the document gets a page time-out of its own.
        let bound = (self.page_timeout + GRACE) * 2 + visit.patience + AT_REST_PATIENCE + list;
        match tokio::time::timeout(bound, self.see(visit, max_bytes)).await {
            Ok(result) => result,
            Err(_) => Err(VisitFailure::Hung(format!(
                "the page hung in the browser for {} s",
                bound.as_secs()
            ))),
        }
    }

    /// Leaves the page for an empty one: what it still runs must neither ask its host nor hold memory while nobody
    /// looks. Whether that went well; if not, the session is of no more use.
    pub async fn leave(&self) -> bool {
        let leaving = self.client.goto(EMPTY_PAGE);
        let left = tokio::time::timeout(CLOSE_TIMEOUT, leaving).await;
        let is_empty = matches!(left, Ok(Ok(())));
        if !is_empty {
            tracing::debug!(?left, "a page cannot be left: its browser is ended");
        }
        is_empty
    }

    async fn see(&self, visit: &BrowserVisit, max_bytes: usize) -> Result<Page, VisitFailure> {
        let navigation = self.client.goto(visit.url.as_str());
        if let Err(error) = self.in_time("a navigation", navigation).await? {
            return Err(if error.is_timeout() {
                self.whose_time_out().await
            } else {
                navigation_failure(&error)
            });
        }
        let look = self.until_ready(visit).await?;
        let arrived = Url::parse(&look.url).ok();
        if arrived.as_ref().and_then(HostKey::of) != HostKey::of(&visit.url) {
            return Err(VisitFailure::Page(format!(
                "the page led the browser to another host, which was not asked: {}",
                wanted_url(&look.url)
            )));
        }
        if let Some(items) = visit.lazy_items_css
            && look.ready
        {
            self.scroll_to_the_end(visit, items, &look).await?;
        }
        let document = self.run(DOCUMENT, vec![json!(max_bytes)]).await?;
        Ok(Page {
            status: if look.status == 0 { 200 } else { look.status },
            html: taken(document, &look, max_bytes)?,
        })
    }

    /// A page that did not load in time waits for its host, unless it lets no script run: then it keeps its browser busy
    /// itself, and its host has done its part.
    async fn whose_time_out(&self) -> VisitFailure {
        let waited = self.page_timeout.as_secs();
        let pulse = self.client.execute(PULSE, Vec::new());
        match tokio::time::timeout(GRACE, pulse).await {
            Ok(Ok(_)) => VisitFailure::Host(format!(
                "the page did not load within {waited} s in the browser"
            )),
            Ok(Err(error)) => VisitFailure::Lost(error.to_string()),
            Err(_) => VisitFailure::Busy(format!(
                "the page hangs in the browser: after {waited} s one of its scripts still runs"
            )),
        }
    }

    /// Looks until a ready selector matches and the document is at rest. A page that never gets there is handed to its
    /// reader as it is after the visit's patience: it may be the site's way to say that there is nothing.
    async fn until_ready(&self, visit: &BrowserVisit) -> Result<Look, VisitFailure> {
        let started = Instant::now();
        let mut clicks = 0;
        let mut ready_since = None;
        let mut last_change = (Instant::now(), 0);
        let mut born = None;
        let mut changes = 0;
        loop {
            let look = self.look(visit, clicks < MAX_OVERLAY_CLICKS, None).await?;
            let now = Instant::now();
            if look.is_none() || look.as_ref().map(|look| &look.born) != born.as_ref() {
                changes += 1;
                born = look.as_ref().map(|look| look.born.clone());
                (ready_since, last_change.0) = (None, now);
            }
            if changes > MAX_CHANGES {
                return Err(VisitFailure::Page(format!(
                    "the page loads itself anew again and again: {changes} times within {} ms",
                    (now - started).as_millis()
                )));
            }
            let Some(look) = look else {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            };
            clicks += u32::from(look.clicked);
            if last_change.1 != look.size || look.clicked {
                last_change = (now, look.size);
            }
            if look.ready {
                let since = *ready_since.get_or_insert(now);
                let at_rest = now - last_change.0 >= AT_REST;
                if at_rest || now - since >= AT_REST_PATIENCE {
                    return Ok(look);
                }
            }
            // An error page need not become ready.
            let is_error = look.status >= 400;
            if (is_error && now - started >= AT_REST) || now - started >= visit.patience {
                return Ok(look);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Scrolls a lazy list until it grows no more. A list whose next part was asked for in vain, that lost rows, or that
    /// gave way to a login has not come to its end: what is there is a part of it (D3).
    async fn scroll_to_the_end(
        &self,
        visit: &BrowserVisit,
        items_css: &str,
        first: &Look,
    ) -> Result<(), VisitFailure> {
        let started = Instant::now();
        let mut count = first.items;
        let mut grew_at = started;
        let mut clicks = 0;
        while grew_at.elapsed() < visit.lazy_rest {
            if count > MAX_ITEMS || started.elapsed() > LIST_PATIENCE {
                return Err(VisitFailure::Page(format!(
                    "the list had not come to its end after {count} items and {} s",
                    started.elapsed().as_secs()
                )));
            }
            self.run(SCROLL, vec![json!(items_css)]).await?;
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(look) = self
                .look(visit, clicks < MAX_OVERLAY_CLICKS, Some(first.now))
                .await?
            else {
                return Err(VisitFailure::CutShort(format!(
                    "the list was cut short after {count} items: the page went on to another document; what it showed was not taken"
                )));
            };
            clicks += u32::from(look.clicked);
            if let Some(why) = cut_short(first, &look, count) {
                return Err(VisitFailure::CutShort(format!(
                    "the list was cut short after {count} items: {why}; what it showed was not taken"
                )));
            }
            if look.items > count || look.clicked {
                (count, grew_at) = (look.items.max(count), Instant::now());
            }
        }
        Ok(())
    }

    /// `None`: the document was on its way out.
    async fn look(
        &self,
        visit: &BrowserVisit,
        click: bool,
        scrolling_since: Option<f64>,
    ) -> Result<Option<Look>, VisitFailure> {
        let overlay = visit.overlay_css.filter(|_| click);
        let arguments = vec![
            json!(visit.ready_css),
            json!(overlay),
            json!(visit.lazy_items_css),
            json!(scrolling_since),
        ];
        let seen = self.run(LOOK, arguments).await?;
        serde_json::from_value(seen)
            .map_err(|error| VisitFailure::Lost(format!("the browser answers nonsense: {error}")))
    }

    async fn run(&self, script: &str, arguments: Vec<Value>) -> Result<Value, VisitFailure> {
        let answered = self.client.execute(script, arguments);
        self.in_time("a script", answered)
            .await?
            .map_err(|error| match &error {
                CmdError::Standard(standard) if error.is_script_timeout() => VisitFailure::Hung(
                    format!("the page does not let scripts run: {}", standard.message),
                ),
                // The page went on to another document while it was looked at.
                CmdError::Standard(standard) if error.is_javascript_error() => {
                    VisitFailure::Page(format!("the page breaks scripts: {}", standard.message))
                }
                _ => VisitFailure::Lost(error.to_string()),
            })
    }

    /// What a command came to. A browser that hangs does not bound its commands.
    async fn in_time<T>(
        &self,
        what: &str,
        command: impl Future<Output = Result<T, CmdError>>,
    ) -> Result<Result<T, CmdError>, VisitFailure> {
        let bound = self.page_timeout + GRACE;
        tokio::time::timeout(bound, command).await.map_err(|_| {
            VisitFailure::Hung(format!(
                "the browser hangs: no answer to {what} within {} s",
                bound.as_secs()
            ))
        })
    }
}

/// The URL that the browser shows; of its own error page, the one it was to show.
fn wanted_url(shown: &str) -> String {
    let wanted = Url::parse(shown)
        .ok()
        .filter(|url| url.scheme() == "about")
        .and_then(|url| {
            url.query_pairs()
                .find_map(|(name, value)| (name == "u").then(|| value.into_owned()))
        });
    let wanted = wanted.as_deref().unwrap_or(shown);
    wanted.chars().take(200).collect()
}

/// What [`DOCUMENT`] brought, if it is the document that was looked at, and no longer than `max_bytes`.
fn taken(document: Value, looked_at: &Look, max_bytes: usize) -> Result<String, VisitFailure> {
    let too_large =
        |size: String| format!("the document has {size}; at most {max_bytes} bytes are taken");
    let why = match serde_json::from_value(document) {
        Ok((born, _)) if looked_at.born != born => {
            "the page went on to another document, which was not taken".to_owned()
        }
        Ok((_, Value::String(html))) if html.len() <= max_bytes => return Ok(html),
        Ok((_, Value::String(html))) => too_large(format!("{} bytes", html.len())),
        Ok((_, Value::Number(letters))) => too_large(format!("{letters} letters")),
        Ok(_) | Err(_) => "the browser holds no document".to_owned(),
    };
    Err(VisitFailure::Page(why))
}

/// Why a list that showed `count` items has not come to its end, by the page as it was when it was ready and as it is now.
fn cut_short(first: &Look, now: &Look, count: u64) -> Option<String> {
    let shown = |text: &str| text.chars().take(200).collect::<String>();
    let without_fragment = |url: &str| url.split('#').next().map(str::to_owned);
    if without_fragment(&first.url) != without_fragment(&now.url) {
        return Some(format!("the page went on to {}", shown(&now.url)));
    }
    // Another document of the same name: its list begins anew, and its clock too.
    if first.born != now.born {
        return Some("the page loaded itself anew".to_owned());
    }
    if let Some(lost) = &now.lost {
        return Some(shown(lost));
    }
    if now.login && !first.login {
        return Some("the page asks for a password".to_owned());
    }
    (now.items < count).then(|| format!("{} items are left", now.items))
}

/// A navigation that failed: Firefox shows `about:neterror` where the host does not answer.
fn navigation_failure(error: &CmdError) -> VisitFailure {
    match error {
        CmdError::Standard(standard) if standard.message.contains("about:neterror") => {
            let reason = standard
                .message
                .split("e=")
                .nth(1)
                .and_then(|rest| rest.split('&').next())
                .unwrap_or("unknown reason");
            VisitFailure::Host(format!("no answer in the browser: {reason}"))
        }
        CmdError::Standard(standard) if error.is_insecure_certificate() => {
            VisitFailure::Host(format!("certificate refused: {}", standard.message))
        }
        _ => VisitFailure::Lost(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(url: &str, items: u64) -> Look {
        Look {
            ready: true,
            clicked: false,
            size: 0,
            items,
            status: 200,
            url: url.to_owned(),
            login: false,
            lost: None,
            now: 0.0,
            born: 0.into(),
        }
    }

    #[test]
    fn d3_a_list_that_stops_for_a_reason_is_no_whole_list() {
        let first = look("https://a.th/port", 20);
        let lost = Look {
            lost: Some("https://a.th/api?offset=20 was answered 401".to_owned()),
            ..look("https://a.th/port", 20)
        };
        let login = Look {
            login: true,
            ..look("https://a.th/port", 20)
        };
        let anew = Look {
            born: 1.into(),
            ..look("https://a.th/port", 20)
        };
        for (now, words) in [
            (look("https://a.th/port", 20), None),
            (anew, Some("loaded itself anew")),
            (look("https://a.th/port#row-20", 40), None),
            (
                look("https://a.th/login", 0),
                Some("went on to https://a.th/login"),
            ),
            (look("https://a.th/port", 19), Some("19 items are left")),
            (lost, Some("answered 401")),
            (login, Some("password")),
        ] {
            let why = cut_short(&first, &now, 20);
            assert_eq!(why.is_some(), words.is_some(), "{why:?}");
            assert!(
                words.is_none_or(|words| why.is_some_and(|why| why.contains(words))),
                "{words:?}"
            );
        }
        // A page that always shows a login form says nothing by it.
        let always = Look {
            login: true,
            ..look("https://a.th/port", 20)
        };
        assert_eq!(cut_short(&always, &always, 20), None);
    }

    #[test]
    fn only_the_document_that_was_looked_at_is_taken_and_no_more_than_may_be() {
        let seen = look("https://a.th/port", 0);
        for (document, outcome) in [
            (json!([0, "<p>"]), Ok("<p>")),
            (json!([1, "<p>"]), Err("went on to another document")),
            (json!([0, "<pp>"]), Err("has 4 bytes; at most 3 bytes")),
            (json!([0, 4]), Err("has 4 letters; at most 3 bytes")),
            (json!([0, null]), Err("holds no document")),
            (json!(null), Err("holds no document")),
        ] {
            match (taken(document, &seen, 3), outcome) {
                (Ok(html), Ok(expected)) => assert_eq!(html, expected),
                (Err(VisitFailure::Page(why)), Err(words)) => assert!(why.contains(words), "{why}"),
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn an_error_page_of_the_browser_names_what_it_was_to_show() {
        let shown = "about:neterror?e=proxyConnectFailure&u=http%3A//b.th/x%3Fy%3D1&c=UTF-8&d=%20";
        assert_eq!(wanted_url(shown), "http://b.th/x?y=1");
        for other in ["about:blank", "http://b.th/?u=c", "no URL"] {
            assert_eq!(wanted_url(other), other);
        }
        assert_eq!(wanted_url(&"x".repeat(999)).len(), 200);
    }
}
