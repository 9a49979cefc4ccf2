//! A session with one browser: its tabs, and the visits of pages in them. A visit opens the page, closes its overlay,
//! scrolls its lazy list to the end, and returns the document.
//!
//! Over WebDriver BiDi a session has several tabs, each in its own window, because a page in a hidden tab gets no
//! frames and slow timers. A WebDriver server without BiDi shows one page at a time.

use std::time::Duration;

use fantoccini::Client;
use fantoccini::error::CmdError;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use url::Url;

use crate::site::BrowserVisit;

use super::bidi::{Bidi, BidiError};
use super::new_session;
use super::page_look::{DOCUMENT, LOOK, Look, PULSE, SCROLL, cut_short, taken};
use super::page_visit::{
    AT_REST_PATIENCE, EMPTY_PAGE, MAX_OVERLAY_CLICKS, Observation, PageVisit, Verdict,
};
use super::visit_failure::{VisitFailure, navigation_failure};

/// The interval between two looks at a page that becomes ready.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a tab may refuse scripts, as it does while it changes to another process.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(2);
/// The longest time for scrolling a list to its end.
const LIST_PATIENCE: Duration = Duration::from_secs(300);
/// The maximum number of items of a lazy list.
const MAX_ITEMS: u64 = 20_000;
/// How long after the browser's own time limit for a command this program still waits for the answer. After that the
/// browser is treated as hung.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// How long closing a session, or leaving a page, may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The script that returns the User-Agent that the browser sends to sites.
const INTRODUCTION: &str = "return navigator.userAgent";
/// The realm of this program's scripts in a page: the page cannot change what they see.
const SANDBOX: &str = "master_runner";

/// A session with one browser.
pub struct WebdriverSession {
    client: Client,
    /// `None`: one command at a time, one tab, no events.
    pub(super) bidi: Option<Bidi>,
    pub(super) page_timeout: Duration,
}

/// A tab of a session: its BiDi context, or `None` for the only tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tab(pub(super) Option<String>);

/// A page after its scripts ran.
pub struct Page {
    /// HTTP status of the document. For a page that shows no values, the status of the API answer that it needs.
    pub status: u16,
    /// The document.
    pub html: String,
}

impl WebdriverSession {
    /// Starts a session at a WebDriver server, with its first tab. A browser whose User-Agent is not `user_agent`
    /// ignores its capabilities, so the session is closed before it requests anything from a site (P4).
    pub async fn connect(
        server: &Url,
        capabilities: Map<String, Value>,
        user_agent: &str,
        page_timeout: Duration,
    ) -> Result<(Self, Tab), String> {
        let started = new_session::start(server, capabilities)
            .await
            .map_err(|error| format!("no session at {server}: {error}"))?;
        let mut session = Self {
            client: started.client,
            bidi: None,
            page_timeout,
        };
        let introduces = session.client.execute(INTRODUCTION, Vec::new()).await;
        if !matches!(&introduces, Ok(Value::String(agent)) if agent == user_agent) {
            session.close().await;
            return Err(format!(
                "the browser at {server} introduces itself as {introduces:?} instead of {user_agent:?}: the server did not pass on what the session should be"
            ));
        }
        let mut tab = Tab(None);
        if let Some(url) = started.bidi_url {
            match session.connect_bidi(&url).await {
                Ok(first) => tab = first,
                Err(error) => {
                    session.bidi = None;
                    tracing::info!(%url, error, "no WebDriver BiDi: this browser shows one page at a time");
                }
            }
        }
        Ok((session, tab))
    }

    async fn connect_bidi(&mut self, url: &str) -> Result<Tab, String> {
        let bidi = self.bidi.insert(Bidi::connect(url).await?);
        let tree = bidi
            .command("browsingContext.getTree", json!({"maxDepth": 0}))
            .await
            .map_err(|error| error.to_string())?;
        let first = tree.pointer("/contexts/0/context").and_then(Value::as_str);
        let first = first.ok_or("the browser has no tab")?;
        Ok(Tab(Some(first.to_owned())))
    }

    /// The maximum number of tabs.
    pub const fn most_tabs(&self) -> usize {
        if self.bidi.is_some() { usize::MAX } else { 1 }
    }

    /// Opens another tab, which shows the empty page.
    pub async fn open_tab(&self) -> Result<Tab, VisitFailure> {
        let lost = |why: String| VisitFailure::Lost(format!("no further tab: {why}"));
        let Some(bidi) = &self.bidi else {
            return Err(lost("the session has one alone".to_owned()));
        };
        let opening = bidi.command("browsingContext.create", json!({"type": "window"}));
        let bound = self.page_timeout + GRACE;
        let opened = tokio::time::timeout(bound, opening)
            .await
            .map_err(|_| lost(format!("no answer within {} s", bound.as_secs())))?
            .map_err(|error| lost(error.to_string()))?;
        let context = opened.get("context").and_then(Value::as_str);
        let context = context.ok_or_else(|| lost("it has no context".to_owned()))?;
        Ok(Tab(Some(context.to_owned())))
    }

    /// Closes the tab of an abandoned page without waiting, so that the page sends no further requests.
    pub fn abandon_tab(&self, tab: &Tab) {
        if let (Some(bidi), Some(context)) = (&self.bidi, &tab.0) {
            bidi.tell("browsingContext.close", &json!({"context": context}));
            bidi.unwatch(context);
        }
    }

    /// Ends the session and its browser, waiting at most some seconds.
    pub async fn close(&self) {
        match tokio::time::timeout(CLOSE_TIMEOUT, self.client.clone().close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "browser session did not close in order"),
            Err(_) => tracing::debug!("browser session did not close in time"),
        }
    }

    /// Visits a page. The page time-out limits each command. The limit of the whole visit is the sum of several such
    /// time-outs, the visit's patience and, for a list, [`LIST_PATIENCE`].
    pub async fn visit(
        &self,
        tab: &Tab,
        visit: &BrowserVisit,
        max_bytes: usize,
    ) -> Result<Page, VisitFailure> {
        let list = if visit.lazy_items_css.is_some() {
            LIST_PATIENCE
        } else {
            Duration::ZERO
        };
        self.bounded(tab, visit, list, self.see(tab, visit, max_bytes))
            .await
    }

    /// Limits the time of a whole visit. `more`: what it may take besides loading and returning the document.
    pub(super) async fn bounded<T>(
        &self,
        tab: &Tab,
        visit: &BrowserVisit,
        more: Duration,
        visiting: impl Future<Output = Result<T, VisitFailure>>,
    ) -> Result<T, VisitFailure> {
        // The script that returns the document has a page time-out of its own.
        let bound = (self.page_timeout + GRACE) * 3 + visit.patience + AT_REST_PATIENCE + more;
        let seen = tokio::time::timeout(bound, visiting).await;
        seen.unwrap_or_else(|_| {
            let text = format!("the page hung in the browser for {} s", bound.as_secs());
            Err(match tab.0 {
                Some(_) => VisitFailure::TabLost(text),
                None => VisitFailure::Hung(text),
            })
        })
    }

    /// Replaces the page by the empty page: an idle tab must neither send requests nor use memory. Returns whether that
    /// succeeded; if not, the tab cannot be used again.
    pub async fn leave(&self, tab: &Tab) -> bool {
        let leaving = async {
            match (&self.bidi, &tab.0) {
                (Some(bidi), Some(context)) => {
                    let params = json!({"context": context, "url": EMPTY_PAGE, "wait": "complete"});
                    let left = bidi.command("browsingContext.navigate", params).await;
                    bidi.unwatch(context);
                    left.map(|_| ()).map_err(|error| error.to_string())
                }
                _ => self
                    .client
                    .goto(EMPTY_PAGE)
                    .await
                    .map_err(|error| error.to_string()),
            }
        };
        let left = tokio::time::timeout(CLOSE_TIMEOUT, leaving).await;
        let is_empty = matches!(left, Ok(Ok(())));
        if !is_empty {
            tracing::debug!(?left, "a page cannot be left: its browser is ended");
        }
        is_empty
    }

    async fn see(
        &self,
        tab: &Tab,
        visit: &BrowserVisit,
        max_bytes: usize,
    ) -> Result<Page, VisitFailure> {
        let began = Instant::now();
        self.navigate(tab, &visit.url).await?;
        let (look, is_ready) = self.until_decided(tab, visit, began).await?;
        let api_status = match (&self.bidi, &tab.0) {
            (Some(bidi), Some(context)) if !is_ready => bidi.api_status(context, &visit.api_names),
            _ => None,
        };
        if let Some(items) = visit.lazy_items_css
            && look.ready
            && look.items > 0
        {
            self.scroll_to_the_end(tab, visit, items, &look, began)
                .await?;
        }
        let document = self.run(tab, DOCUMENT, vec![json!(max_bytes)]).await?;
        let status = if look.status == 0 { 200 } else { look.status };
        Ok(Page {
            status: api_status.filter(|_| status < 300).unwrap_or(status),
            html: taken(document, &look, max_bytes)?,
        })
    }

    pub(super) async fn navigate(&self, tab: &Tab, url: &Url) -> Result<(), VisitFailure> {
        if let (Some(bidi), Some(context)) = (&self.bidi, &tab.0) {
            bidi.watch(context);
            let params = json!({"context": context, "url": url.as_str(), "wait": "none"});
            let navigating = bidi.command("browsingContext.navigate", params);
            return match tokio::time::timeout(self.page_timeout, navigating).await {
                // If a navigation fails at once, the browser shows its error page, and the next look detects that.
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => refused(error).map_or(Ok(()), Err),
                Err(_) => Err(self.whose_silence(bidi).await),
            };
        }
        match self
            .in_time("a navigation", self.client.goto(url.as_str()))
            .await?
        {
            Ok(()) => Ok(()),
            Err(error) if error.is_timeout() => Err(self.whose_time_out().await),
            Err(error) => Err(navigation_failure(&error, url)),
        }
    }

    /// The cause of a page load time-out. If the page runs scripts, it waits for its host. If not, the page itself
    /// keeps the browser busy, and the host is not at fault.
    async fn whose_time_out(&self) -> VisitFailure {
        let waited = self.page_timeout.as_secs();
        let pulse = self.client.execute(PULSE, Vec::new());
        match tokio::time::timeout(GRACE, pulse).await {
            Ok(Ok(_)) => VisitFailure::Host(format!(
                "the page did not load within {waited} s in the browser"
            )),
            Ok(Err(error)) => VisitFailure::Lost(error.to_string()),
            Err(_) => self.busy(),
        }
    }

    /// The cause of a missing answer from a tab. If the browser itself still answers, the page keeps the tab busy.
    pub(super) async fn whose_silence(&self, bidi: &Bidi) -> VisitFailure {
        let waited = self.page_timeout.as_secs();
        match tokio::time::timeout(GRACE, bidi.command("session.status", json!({}))).await {
            Ok(Ok(_)) => self.busy(),
            Ok(Err(error)) => VisitFailure::Lost(error.to_string()),
            Err(_) => VisitFailure::Hung(format!(
                "the browser hangs: no answer to a command within {waited} s"
            )),
        }
    }

    fn busy(&self) -> VisitFailure {
        VisitFailure::Busy(format!(
            "the page hangs in the browser: after {} s one of its scripts still runs",
            self.page_timeout.as_secs()
        ))
    }

    /// Looks at the page until it is ready or finished without the expected content. Returns whether it is ready.
    pub(super) async fn until_decided(
        &self,
        tab: &Tab,
        visit: &BrowserVisit,
        began: Instant,
    ) -> Result<(Look, bool), VisitFailure> {
        let mut page = PageVisit::new(visit, self.page_timeout, began);
        let mut refused_since = None;
        loop {
            let looked = self.look(tab, visit, page.may_click(), None).await;
            self.offers_download(tab)?;
            let look = match looked {
                Err(VisitFailure::TabLost(why)) => {
                    let since: Instant = *refused_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= REFUSAL_PATIENCE {
                        return Err(VisitFailure::TabLost(why));
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                }
                looked => looked?,
            };
            refused_since = None;
            let traffic = match (&self.bidi, &tab.0) {
                (Some(bidi), Some(context)) => bidi.traffic(context, began),
                _ => None,
            };
            let at = Instant::now();
            match page.observe(Observation { at, look, traffic }) {
                Verdict::Loading => tokio::time::sleep(LOOK_EVERY).await,
                Verdict::Ready(look) => return Ok((look, true)),
                Verdict::Nothing(look) => return Ok((look, false)),
                Verdict::Failed(failure) => return Err(failure),
            }
        }
    }

    /// Fails if the page starts a download: files are never downloaded, whatever their size.
    fn offers_download(&self, tab: &Tab) -> Result<(), VisitFailure> {
        let file = match (&self.bidi, &tab.0) {
            (Some(bidi), Some(context)) => bidi.download(context),
            _ => None,
        };
        match file {
            Some(file) => Err(VisitFailure::Page(format!(
                "the page offers a file for download ({file}); it was not used"
            ))),
            None => Ok(()),
        }
    }

    /// Scrolls a lazy list until it stops growing. The list is incomplete (D3), and the visit fails, if a request for
    /// its next part failed, if it lost rows, or if a login replaced it.
    ///
    /// The list is scrolled when it has grown, and once more in the middle of each pause. Some pages request the next
    /// part only after scrolling has stopped, so scrolling at each look would block them. If the page's requests are
    /// known and none is in flight, half the pause is enough.
    async fn scroll_to_the_end(
        &self,
        tab: &Tab,
        visit: &BrowserVisit,
        items_css: &str,
        first: &Look,
        began: Instant,
    ) -> Result<(), VisitFailure> {
        let started = Instant::now();
        let mut count = first.items;
        let mut rests_since = started;
        let mut scrolls = 0;
        let mut clicks = 0;
        loop {
            let traffic = match (&self.bidi, &tab.0) {
                (Some(bidi), Some(context)) => bidi.traffic(context, began),
                _ => None,
            };
            let rest = if traffic.is_some() {
                visit.lazy_rest / 2
            } else {
                visit.lazy_rest
            };
            let is_idle =
                traffic.is_none_or(|traffic| traffic.in_flight == 0 && traffic.quiet >= rest);
            // A page that never stops its requests gets at most twice the pause.
            let rested = rests_since.elapsed();
            if (rested >= rest && is_idle) || rested >= visit.lazy_rest * 2 {
                return Ok(());
            }
            if count > MAX_ITEMS || started.elapsed() > LIST_PATIENCE {
                return Err(VisitFailure::Page(format!(
                    "the list had not come to its end after {count} items and {} s",
                    started.elapsed().as_secs()
                )));
            }
            if scrolls == 0 || (scrolls == 1 && rested >= rest / 2) {
                scrolls += 1;
                self.run(tab, SCROLL, vec![json!(items_css)]).await?;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let may_click = clicks < MAX_OVERLAY_CLICKS;
            let Some(look) = self.look(tab, visit, may_click, Some(first.now)).await? else {
                return Err(VisitFailure::CutShort(format!(
                    "the list was cut short after {count} items: the page went on to another document; what it showed was not used"
                )));
            };
            clicks += u32::from(look.clicked);
            if let Some(why) = cut_short(first, &look, count) {
                return Err(VisitFailure::CutShort(format!(
                    "the list was cut short after {count} items: {why}; what it showed was not used"
                )));
            }
            if look.items > count || look.clicked {
                (count, rests_since, scrolls) = (look.items.max(count), Instant::now(), 0);
            }
        }
    }

    /// Takes one look at the page. `None`: the document was being replaced.
    async fn look(
        &self,
        tab: &Tab,
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
        let seen = self.run(tab, LOOK, arguments).await?;
        serde_json::from_value(seen)
            .map_err(|error| VisitFailure::Lost(format!("the browser answers nonsense: {error}")))
    }

    /// Runs a script, the body of a function, in the tab's page.
    async fn run(
        &self,
        tab: &Tab,
        script: &str,
        arguments: Vec<Value>,
    ) -> Result<Value, VisitFailure> {
        if let (Some(bidi), Some(context)) = (&self.bidi, &tab.0) {
            return self.run_in(bidi, context, script, &arguments).await;
        }
        let answered = self.client.execute(script, arguments);
        self.in_time("a script", answered)
            .await?
            .map_err(|error| match &error {
                CmdError::Standard(standard) if error.is_script_timeout() => VisitFailure::Hung(
                    format!("the page does not let scripts run: {}", standard.message),
                ),
                CmdError::Standard(standard) if error.is_javascript_error() => {
                    broken_script(&standard.message)
                }
                _ => VisitFailure::Lost(error.to_string()),
            })
    }

    async fn run_in(
        &self,
        bidi: &Bidi,
        context: &str,
        script: &str,
        arguments: &[Value],
    ) -> Result<Value, VisitFailure> {
        let function = format!(
            "(given) => JSON.stringify((function () {{ {script} }}).apply(null, JSON.parse(given)))"
        );
        self.call_in(bidi, context, &function, arguments, self.page_timeout)
            .await
    }

    /// Calls a function of one argument, the arguments as JSON text, in the tab's page. It returns JSON text, or a
    /// promise of it.
    pub(super) async fn call_in(
        &self,
        bidi: &Bidi,
        context: &str,
        function: &str,
        arguments: &[Value],
        bound: Duration,
    ) -> Result<Value, VisitFailure> {
        let params = json!({
            "functionDeclaration": function,
            "awaitPromise": true,
            "target": {"context": context, "sandbox": SANDBOX},
            "arguments": [{"type": "string", "value": json!(arguments).to_string()}],
        });
        let running = bidi.command("script.callFunction", params);
        let ran = match tokio::time::timeout(bound, running).await {
            Ok(Ok(ran)) => ran,
            Ok(Err(error)) => {
                return Err(refused(error).unwrap_or_else(|| {
                    VisitFailure::TabLost("the tab does not run scripts".to_owned())
                }));
            }
            Err(_) => return Err(self.whose_silence(bidi).await),
        };
        if let Some(why) = ran
            .pointer("/exceptionDetails/text")
            .and_then(Value::as_str)
        {
            return Err(broken_script(why));
        }
        match ran.pointer("/result/value").and_then(Value::as_str) {
            Some(json) => serde_json::from_str(json).map_err(|error| {
                VisitFailure::Lost(format!("the browser answers nonsense: {error}"))
            }),
            None => Ok(Value::Null),
        }
    }

    /// Waits for a command, with a time limit. A browser that hangs does not apply its own limit.
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

fn broken_script(why: &str) -> VisitFailure {
    let why: String = why.chars().take(200).collect();
    VisitFailure::Page(format!("the page breaks scripts: {why}"))
}

/// The meaning of a refused command for its tab. `None`: the next look shows the state of the page.
fn refused(error: BidiError) -> Option<VisitFailure> {
    match error {
        BidiError::Closed => Some(VisitFailure::Lost(error.to_string())),
        BidiError::Refused { error, message } => match error.as_str() {
            "no such frame" | "no such window" => {
                Some(VisitFailure::TabLost(format!("the tab is gone: {message}")))
            }
            "invalid session id" => Some(VisitFailure::Lost(format!("{error}: {message}"))),
            _ => None,
        },
    }
}
