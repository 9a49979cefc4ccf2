//! One page in the real browser: opened, its overlay closed, its lazy list scrolled to the end, its document taken.

use std::time::Duration;

use fantoccini::Client;
use fantoccini::error::CmdError;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use url::Url;

use crate::site::BrowserVisit;

use super::new_session;
use super::page_look::{DOCUMENT, LOOK, Look, PULSE, SCROLL, cut_short, taken};
use super::visit_failure::{VisitFailure, is_error_page, led_away, navigation_failure};

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
/// What a browser tells sites that it is.
const INTRODUCTION: &str = "return navigator.userAgent";
/// What a session shows between two visits.
const EMPTY_PAGE: &str = "about:blank";

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

impl WebdriverSession {
    /// Starts a session at a WebDriver server. A browser that does not introduce itself as `user_agent` is not what was
    /// asked for, whatever the server says: it asks no site for anything (P4).
    pub async fn connect(
        server: &Url,
        capabilities: Map<String, Value>,
        user_agent: &str,
        page_timeout: Duration,
    ) -> Result<Self, String> {
        let client = new_session::start(server, capabilities)
            .await
            .map_err(|error| format!("no session at {server}: {error}"))?;
        let session = Self {
            client,
            page_timeout,
        };
        let introduces = session.client.execute(INTRODUCTION, Vec::new()).await;
        match introduces {
            Ok(Value::String(agent)) if agent == user_agent => Ok(session),
            other => {
                session.close().await;
                Err(format!(
                    "the browser at {server} introduces itself as {other:?} instead of {user_agent:?}: the server did not pass on what the session should be"
                ))
            }
        }
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
                navigation_failure(&error, &visit.url)
            });
        }
        let look = self.until_ready(visit).await?;
        if let Some(elsewhere) = led_away(&look.url, &visit.url) {
            return Err(elsewhere);
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
            if is_error_page(&look.url) {
                return Ok(look);
            }
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
