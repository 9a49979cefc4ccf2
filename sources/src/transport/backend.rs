//! The interface of one exchange with a host (one request and its answer). Plain HTTP, the real browser, and a script
//! in tests implement it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

use crate::api_key::SecretHeader;
use crate::site::{BrowserVisit, InPageRequest, Request, Via};

use super::waiting::WaitingOn;

/// The maximum size of a document from the browser, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;

/// One request.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The URL to request; redirects change it.
    pub url: Url,
    /// `Some`: POST with this JSON text as the body.
    pub post_json: Option<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The header with a key.
    pub secret_header: Option<SecretHeader>,
    /// The maximum size of the decompressed body, in bytes.
    pub max_body_bytes: usize,
    /// Whether a good body must end in `</html>`.
    pub must_end_in_html: bool,
    /// How it is sent.
    pub way: Way,
}

/// How a request is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// By plain HTTP.
    Http,
    /// By opening the page in the browser.
    Visit(BrowserVisit),
    /// In the browser, from inside this page of the same host.
    FromPage(BrowserVisit),
}

impl Outgoing {
    pub(super) fn http(request: &Request) -> Self {
        Self {
            url: request.url.clone(),
            post_json: request.post_json.clone(),
            headers: request.headers.clone(),
            secret_header: request.secret_header.clone(),
            max_body_bytes: request.max_body_bytes,
            must_end_in_html: request.must_end_in_html,
            way: Way::Http,
        }
    }

    pub(super) fn visit(visit: &BrowserVisit) -> Self {
        Self {
            url: visit.url.clone(),
            post_json: None,
            headers: Vec::new(),
            secret_header: None,
            max_body_bytes: MAX_DOCUMENT_BYTES,
            must_end_in_html: false,
            way: Way::Visit(visit.clone()),
        }
    }

    pub(super) fn from_page(request: &InPageRequest) -> Self {
        Self {
            url: request.url.clone(),
            post_json: None,
            headers: vec![("Accept", request.accept.to_owned())],
            secret_header: None,
            max_body_bytes: request.max_body_bytes,
            must_end_in_html: false,
            way: Way::FromPage(request.page.clone()),
        }
    }

    pub(super) fn robots(url: Url) -> Self {
        Self {
            url,
            post_json: None,
            headers: vec![("accept", "text/plain, */*;q=0.1".to_owned())],
            secret_header: None,
            // The parser uses only the first bytes; a longer body is not a robots.txt.
            max_body_bytes: 8 * super::robots::MAX_BYTES,
            must_end_in_html: false,
            way: Way::Http,
        }
    }

    /// A hash of the request, equal for HTTP and browser.
    pub(super) fn question(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        (self.url.as_str(), &self.post_json).hash(&mut hash);
        hash.finish()
    }

    pub(super) const fn via(&self) -> Via {
        match self.way {
            Way::Http => Via::Http,
            Way::Visit(_) => Via::Browser,
            Way::FromPage(_) => Via::InPage,
        }
    }

    /// The URL of the page that the browser shows for it, if it uses the browser.
    pub(super) const fn shown_page(&self) -> Option<&Url> {
        match &self.way {
            Way::Http => None,
            Way::Visit(_) => Some(&self.url),
            Way::FromPage(page) => Some(&page.url),
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// HTTP status; in the browser that of the document.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// The parsed `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The decompressed body.
    pub body: Bytes,
}

/// The failure of an exchange: there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireFailure {
    /// What happened, for the operator.
    pub text: String,
    /// The cause.
    pub blame: Blame,
}

/// The cause of a failed exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The host: no answer, time-out, cut body. Recorded in the health of the host; another attempt is made.
    Host,
    /// The browser: it hung or died and is replaced. Another attempt is made; no evidence about the host.
    Browser,
    /// This machine: too few file descriptors. Another attempt is made; no evidence about the host.
    Machine,
    /// The browser, which does not work at present: another attempt now would fail for every page.
    OutOfOrder,
    /// The page (too large), or this machine (no browser installed): another attempt would fail in the same way.
    Final,
}

/// Makes exchanges with hosts.
#[async_trait]
pub trait Wire: Send + Sync {
    /// Acquires what the exchange of `outgoing` needs besides the host's permission, such as a tab of a browser.
    async fn prepare(
        &self,
        outgoing: &Outgoing,
        waiting: &WaitingOn,
    ) -> Result<Box<dyn Prepared>, WireFailure>;

    /// The reason why no exchange is possible on this machine, such as a program that is not installed. `None` if an
    /// exchange can be tried.
    fn missing(&self) -> Option<String> {
        None
    }

    /// The reason why no exchange is possible for some time, because the browser does not work. `None` if an exchange
    /// can be tried.
    fn out_of_order(&self) -> Option<String> {
        None
    }
}

/// What opening came to; see [`Prepared::open`].
#[derive(Debug)]
pub enum Opened {
    /// Nothing had to be opened by this call.
    Nothing,
    /// A page was requested and is open.
    Page,
    /// A page was requested and not served. Its answer takes the place of the answer to the exchange.
    Answered(Incoming),
}

/// Everything that one exchange needs.
#[async_trait]
pub trait Prepared: Send {
    /// Opens the page that the exchange is made from, if it needs one. May take long: another exchange may be opening
    /// the same page.
    async fn open(&mut self, _outgoing: &Outgoing) -> Result<Opened, WireFailure> {
        Ok(Opened::Nothing)
    }

    /// Makes the exchange. Dropping the future cancels it and frees its resources.
    async fn exchange(self: Box<Self>, outgoing: &Outgoing) -> Result<Incoming, WireFailure>;
}
