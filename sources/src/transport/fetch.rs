//! Drives one request until there is a whole answer or a final failure: waits, throttling, redirects, attempts (P1,
//! P3).

use std::sync::atomic::Ordering;
use std::time::Duration;

use schema::SourceName;
use tokio::time::Instant;
use url::Url;

use crate::site::{Answer, BrowserVisit, BrowserWay, InPageRequest, Request, StatusMeaning, Via};

use super::Transport;
use super::backend::{Incoming, Outgoing};
use super::exchange::Nothing;
use super::host_gate::HostGivenUp;
use super::redirect::{self, MAX_REDIRECTS, RedirectScope};
use super::retry::{self, MAX_ATTEMPTS};
use super::waiting::{Waiting, WaitingOn};

/// The parameters of a request besides its URL.
#[derive(Clone, Copy)]
pub struct Call<'call> {
    /// The source for which the request is sent.
    pub source: SourceName,
    /// The meaning of an HTTP status for the site: `ServerError` is retried, `Throttled` is waited out, any other is
    /// returned.
    pub meaning: &'call (dyn Fn(u16) -> StatusMeaning + Send + Sync),
    /// Attempts already made in this round.
    pub attempts_before: u32,
    /// Where redirects may lead.
    pub redirects: RedirectScope,
    /// Shows what the call waits for.
    pub waiting: &'call WaitingOn,
}

/// An answer and its cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The answer, of whatever status.
    pub answer: Answer,
    /// All attempts made in this round so far.
    pub attempts: u32,
}

/// The failure of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FetchFailure {
    /// The consequence for the tasks.
    pub kind: FailureKind,
    /// What happened, and at which URL or host.
    pub text: String,
    /// All attempts made in this round so far.
    pub attempts: u32,
}

impl From<schema::failpoint::Injected> for FetchFailure {
    fn from(injected: schema::failpoint::Injected) -> Self {
        Self {
            kind: FailureKind::Failed,
            text: injected.to_string(),
            attempts: 0,
        }
    }
}

/// The consequence of a failure for its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The tasks failed.
    Failed,
    /// The tasks cannot be fetched now: the host is down, or the browser is out of order. Round 2 requests them.
    Deferred,
}

/// How one attempt ended, after its redirects.
enum Attempt {
    Answered(Incoming),
    Throttled,
    Nothing(Nothing),
}

/// Counts a page as in the browser, for the progress display.
struct InBrowser<'transport> {
    transport: &'transport Transport,
    source: SourceName,
}

impl<'transport> InBrowser<'transport> {
    fn new(transport: &'transport Transport, source: SourceName) -> Self {
        transport.count(source, |counts| counts.in_browser += 1);
        Self { transport, source }
    }
}

impl Drop for InBrowser<'_> {
    fn drop(&mut self) {
        self.transport
            .count(self.source, |counts| counts.in_browser -= 1);
    }
}

impl Transport {
    /// Fetches a page over HTTP. Dropping the future cancels the request: its slot becomes free, and the host's health
    /// is not changed.
    ///
    /// # Errors
    /// [`FailureKind::Failed`] after all attempts of the round, or at once if another attempt would fail in the same
    /// way: robots.txt disallows the URL, the body is too large, a redirect leads to another host.
    /// [`FailureKind::Deferred`] if the host has been down for longer than the configured patience.
    pub async fn fetch(&self, request: &Request, call: &Call<'_>) -> Result<Fetched, FetchFailure> {
        self.ask(Outgoing::http(request), call).await
    }

    /// Gets a page by the real browser in the given way, under the same rules.
    ///
    /// # Errors
    /// As [`Transport::visit`].
    pub async fn by_browser(
        &self,
        way: &BrowserWay,
        call: &Call<'_>,
    ) -> Result<Fetched, FetchFailure> {
        match way {
            BrowserWay::Visit(visit) => self.visit(visit, call).await,
            BrowserWay::Request(request) => self.request_in_page(request, call).await,
        }
    }

    /// Opens a page in the real browser, under the same rules. The answer is the document after its scripts ran.
    ///
    /// # Errors
    /// The errors of [`Transport::fetch`]. [`FailureKind::Failed`] if no browser starts; if none is installed, no
    /// request is sent and the text is the same for every page. [`FailureKind::Deferred`], also without a request,
    /// while the browser is out of order.
    pub async fn visit(
        &self,
        visit: &BrowserVisit,
        call: &Call<'_>,
    ) -> Result<Fetched, FetchFailure> {
        self.in_browser(Outgoing::visit(visit), call).await
    }

    /// Requests a URL from inside an open page of its host, under the same rules. A browser session opens the page
    /// once; the rules of robots.txt and of the pace hold for the page as well. If the page is refused, its status is
    /// the status of the answer.
    ///
    /// # Errors
    /// As [`Transport::visit`]; also if the answer is a redirect.
    pub async fn request_in_page(
        &self,
        request: &InPageRequest,
        call: &Call<'_>,
    ) -> Result<Fetched, FetchFailure> {
        self.in_browser(Outgoing::from_page(request), call).await
    }

    async fn in_browser(
        &self,
        outgoing: Outgoing,
        call: &Call<'_>,
    ) -> Result<Fetched, FetchFailure> {
        if let Some(text) = self.no_browser() {
            if !self.0.told_no_browser.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    "{text}; pages that need it fail until then, all others are requested"
                );
            }
            return Err(FetchFailure {
                kind: FailureKind::Failed,
                text,
                attempts: call.attempts_before,
            });
        }
        let _counted = InBrowser::new(self, call.source);
        self.ask(outgoing, call).await
    }

    async fn ask(&self, outgoing: Outgoing, call: &Call<'_>) -> Result<Fetched, FetchFailure> {
        let asked = outgoing.url.clone();
        let via = outgoing.via();
        let mut attempts = call.attempts_before;
        let failure = |kind, text: String, attempts| FetchFailure {
            text: match kind {
                FailureKind::Failed => format!("{asked}: {text}"),
                // The cause is the host or the browser, so all of its tasks get the same sentence.
                FailureKind::Deferred => text,
            },
            kind,
            attempts,
        };
        let gate = self
            .gate(call.source, &asked)
            .map_err(|text| failure(FailureKind::Failed, text, attempts))?;
        if attempts >= MAX_ATTEMPTS {
            let text = format!("all {MAX_ATTEMPTS} attempts of this round had been spent before");
            return Err(failure(FailureKind::Failed, text, attempts));
        }
        loop {
            let text = match self.attempt(outgoing.clone(), call).await {
                Attempt::Answered(incoming) => {
                    self.count(call.source, |counts| match via {
                        Via::Http => counts.pages_by_http += 1,
                        Via::Browser | Via::InPage => counts.pages_by_browser += 1,
                    });
                    let answer = Answer {
                        url: asked,
                        status: incoming.status,
                        content_type: incoming.content_type,
                        body: incoming.body,
                        via,
                    };
                    return Ok(Fetched {
                        answer,
                        attempts: attempts + 1,
                    });
                }
                Attempt::Throttled => {
                    self.count(call.source, |counts| counts.throttled += 1);
                    match gate.throttled_out() {
                        Some(HostGivenUp(text)) => {
                            return Err(failure(FailureKind::Deferred, text, attempts));
                        }
                        None => continue,
                    }
                }
                Attempt::Nothing(Nothing::GivenUp(text)) => {
                    return Err(failure(FailureKind::Deferred, text, attempts));
                }
                Attempt::Nothing(Nothing::Forbidden(text)) => {
                    return Err(failure(FailureKind::Failed, text, attempts));
                }
                Attempt::Nothing(Nothing::Final(text)) => {
                    return Err(failure(FailureKind::Failed, text, attempts + 1));
                }
                Attempt::Nothing(Nothing::Failed(text)) => text,
            };
            attempts += 1;
            if attempts >= MAX_ATTEMPTS {
                let text = format!("{text} (attempt {attempts} of {MAX_ATTEMPTS})");
                return Err(failure(FailureKind::Failed, text, attempts));
            }
            let delay = retry::delay(attempts - call.attempts_before, rand::random());
            tracing::debug!(url = %asked, attempts, error = text, retry_in_secs = delay.as_secs_f64(), "attempt failed");
            gate.count_retry();
            self.count(call.source, |counts| counts.retries += 1);
            self.sleep(delay, call.waiting).await;
        }
    }

    pub(super) async fn sleep(&self, delay: Duration, waiting: &WaitingOn) {
        let at = Instant::now() + delay;
        waiting.set(Waiting::Retry { at });
        tokio::time::sleep_until(at).await;
        waiting.clear();
    }

    /// Makes one attempt: a request and the requests of its redirects, each through the gate of its host.
    async fn attempt(&self, mut outgoing: Outgoing, call: &Call<'_>) -> Attempt {
        for _ in 0..=MAX_REDIRECTS {
            let gate = match self.gate(call.source, &outgoing.url) {
                Ok(gate) => gate,
                Err(text) => return Attempt::Nothing(Nothing::Final(text)),
            };
            // The page to request from has the host of the request.
            let page = outgoing.shown_page().filter(|page| **page != outgoing.url);
            for url in std::iter::once(&outgoing.url).chain(page) {
                match self.allowed_by_robots(&gate, url, call).await {
                    Ok(true) => {}
                    Ok(false) => {
                        return Attempt::Nothing(Nothing::Forbidden(format!(
                            "not requested: robots.txt of {} disallows {url}",
                            gate.host
                        )));
                    }
                    Err(HostGivenUp(text)) => return Attempt::Nothing(Nothing::GivenUp(text)),
                }
            }
            let (incoming, started) = match self.exchange(&gate, &outgoing, call.waiting).await {
                Ok(exchanged) => exchanged,
                Err(nothing) => return Attempt::Nothing(nothing),
            };
            if is_redirect(incoming.status) {
                started.succeeded();
                match self.redirected(&outgoing, &incoming, call.redirects, call.source) {
                    Ok(to) => outgoing.url = to,
                    Err(text) => return Attempt::Nothing(Nothing::Final(text)),
                }
                continue;
            }
            return match (call.meaning)(incoming.status) {
                StatusMeaning::Throttled => {
                    started.throttled(incoming.retry_after);
                    Attempt::Throttled
                }
                StatusMeaning::ServerError
                    if incoming.status == 503 && incoming.retry_after.is_some() =>
                {
                    started.throttled(incoming.retry_after);
                    Attempt::Throttled
                }
                StatusMeaning::ServerError => {
                    let text = format!("the server answered {}", incoming.status);
                    started.failed(&text);
                    Attempt::Nothing(Nothing::Failed(text))
                }
                _ => {
                    started.succeeded();
                    Attempt::Answered(incoming)
                }
            };
        }
        Attempt::Nothing(Nothing::Final(format!(
            "more than {MAX_REDIRECTS} redirects"
        )))
    }

    pub(super) fn redirected(
        &self,
        outgoing: &Outgoing,
        incoming: &Incoming,
        scope: RedirectScope,
        source: SourceName,
    ) -> Result<Url, String> {
        let factsheet_hosts = self
            .0
            .config
            .sources
            .get(&source)
            .map_or(&[][..], |source| &source.factsheet_hosts);
        redirect::target(
            &outgoing.url,
            incoming.status,
            incoming.location.as_deref(),
            outgoing.post_json.is_some(),
            scope,
            factsheet_hosts,
        )
    }
}

pub(super) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}
