//! One question, until there is a whole answer or none to be had: waiting, throttling, redirects, attempts (P1, P3).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use schema::SourceName;
use tokio::time::Instant;
use url::Url;

use crate::site::{Answer, BrowserVisit, Request, StatusMeaning, Via};

use super::Transport;
use super::host_gate::{HostGate, HostGivenUp, Started};
use super::redirect::{self, MAX_REDIRECTS, RedirectScope};
use super::retry::{self, MAX_ATTEMPTS};
use super::waiting::{Waiting, WaitingOn};
use super::wire::{Blame, Incoming, Outgoing, WireFailure};

/// Waiting for a tab of a browser for longer than this moves the start.
const PROMPT: Duration = Duration::from_millis(20);

/// The circumstances of a question.
#[derive(Clone, Copy)]
pub struct Call<'call> {
    /// Who asks.
    pub source: SourceName,
    /// What an HTTP status means to the site: `ServerError` is tried again, `Throttled` waited out, all else handed back.
    pub meaning: &'call (dyn Fn(u16) -> StatusMeaning + Send + Sync),
    /// Attempts this round has already spent on it.
    pub attempts_before: u32,
    /// Where redirects may lead.
    pub redirects: RedirectScope,
    /// Shows what the call waits on.
    pub waiting: &'call WaitingOn,
}

/// An answer, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The answer, of whatever status.
    pub answer: Answer,
    /// Attempts this round has spent on it, earlier ones included.
    pub attempts: u32,
}

/// No answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FetchFailure {
    /// What that means for the tasks.
    pub kind: FailureKind,
    /// What happened and what it was asked of, for the reader.
    pub text: String,
    /// Attempts this round has spent on it, earlier ones included.
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

/// What a failure means for the tasks that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// They failed.
    Failed,
    /// They were not to be had now: the host is down, or the browser out of order. Round 2 asks.
    Deferred,
}

/// How one attempt ended, redirects followed.
enum Attempt {
    Answered(Incoming),
    Throttled,
    Nothing(Nothing),
}

/// Why an attempt brought nothing.
pub(super) enum Nothing {
    /// Worth another attempt.
    Failed(String),
    /// Another attempt would end the same.
    Final(String),
    /// It may not be asked at all.
    Forbidden(String),
    /// The host has been down for too long, or the browser is out of order.
    GivenUp(String),
}

/// A page on its way through the browser, for those who look.
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
    /// Asks over HTTP. Dropping the future cancels it: no slot is kept, nothing is counted against the host.
    ///
    /// # Errors
    /// After the round's attempts, or at once where another attempt would end the same (robots.txt forbids it, too
    /// large, a redirect to a foreign host): [`FailureKind::Failed`]. The host has been down for longer than the
    /// configured patience: [`FailureKind::Deferred`].
    pub async fn fetch(&self, request: &Request, call: &Call<'_>) -> Result<Fetched, FetchFailure> {
        self.ask(Outgoing::http(request), call).await
    }

    /// Opens a page in the real browser, under the same rules; the answer is the document after its scripts ran.
    ///
    /// # Errors
    /// As [`Transport::fetch`], and [`FailureKind::Failed`] where no browser can be had; where none is installed, the host
    /// is not asked, and the text is the same for every page; likewise, but [`FailureKind::Deferred`], while the browser
    /// is out of order.
    pub async fn visit(
        &self,
        visit: &BrowserVisit,
        call: &Call<'_>,
    ) -> Result<Fetched, FetchFailure> {
        if let Some(text) = self.no_browser() {
            if !self.0.told_no_browser.swap(true, Ordering::Relaxed) {
                tracing::error!("{text}; pages that need it fail until then, all others are asked");
            }
            return Err(FetchFailure {
                kind: FailureKind::Failed,
                text,
                attempts: call.attempts_before,
            });
        }
        let _counted = InBrowser::new(self, call.source);
        self.ask(Outgoing::visit(visit), call).await
    }

    async fn ask(&self, outgoing: Outgoing, call: &Call<'_>) -> Result<Fetched, FetchFailure> {
        let asked = outgoing.url.clone();
        let via = outgoing.via();
        let mut attempts = call.attempts_before;
        let failure = |kind, text: String, attempts| FetchFailure {
            text: match kind {
                FailureKind::Failed => format!("{asked}: {text}"),
                // It is the host's or the browser's: one sentence for all of its tasks.
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
                        Via::Browser => counts.pages_by_browser += 1,
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

    /// One attempt: a request, and those its redirects lead to, each at its host's gate.
    async fn attempt(&self, mut outgoing: Outgoing, call: &Call<'_>) -> Attempt {
        for _ in 0..=MAX_REDIRECTS {
            let gate = match self.gate(call.source, &outgoing.url) {
                Ok(gate) => gate,
                Err(text) => return Attempt::Nothing(Nothing::Final(text)),
            };
            match self.allowed_by_robots(&gate, &outgoing.url, call).await {
                Ok(true) => {}
                Ok(false) => {
                    return Attempt::Nothing(Nothing::Forbidden(format!(
                        "not asked: robots.txt of {} disallows {}",
                        gate.host, outgoing.url
                    )));
                }
                Err(HostGivenUp(text)) => return Attempt::Nothing(Nothing::GivenUp(text)),
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

    /// One exchange at a gate. A failure has been told to the gate; an answer has not, because only its status tells.
    pub(super) async fn exchange(
        &self,
        gate: &Arc<HostGate>,
        outgoing: &Outgoing,
        waiting: &WaitingOn,
    ) -> Result<(Incoming, Started), Nothing> {
        let wire = match outgoing.via() {
            Via::Http => &self.0.http,
            Via::Browser => &self.0.browser,
        };
        // Asked before the host is: it has nothing to do with it.
        if let Some(text) = wire.out_of_order() {
            return Err(Nothing::GivenUp(text));
        }
        let mut started = gate
            .start(outgoing.question(), waiting)
            .await
            .map_err(|HostGivenUp(text)| Nothing::GivenUp(text))?;
        let asked_at = Instant::now();
        let prepared = wire
            .prepare(outgoing, waiting)
            .await
            .map_err(blamed_on_us)?;
        if asked_at.elapsed() > PROMPT {
            gate.pace_again(&mut started, waiting).await;
        }
        // Last of all: whatever came before may have taken long, and a process may have been asleep in it.
        while !self.0.lease.is_fresh() {
            self.0.lease.granted(waiting).await;
            gate.pace_again(&mut started, waiting).await;
        }
        waiting.set(Waiting::Answer {
            since: Instant::now(),
        });
        let exchanged = prepared.exchange(outgoing).await;
        waiting.clear();
        match exchanged {
            Ok(incoming) => Ok((incoming, started)),
            Err(WireFailure { text, blame }) => Err(match blame {
                Blame::Host => {
                    started.failed(&text);
                    Nothing::Failed(text)
                }
                Blame::Browser | Blame::Machine => Nothing::Failed(text),
                Blame::OutOfOrder => Nothing::GivenUp(text),
                Blame::Final => {
                    started.succeeded();
                    Nothing::Final(text)
                }
            }),
        }
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

fn blamed_on_us(WireFailure { text, blame }: WireFailure) -> Nothing {
    match blame {
        Blame::Final => Nothing::Final(text),
        Blame::Host | Blame::Browser | Blame::Machine => Nothing::Failed(text),
        Blame::OutOfOrder => Nothing::GivenUp(text),
    }
}
