//! One exchange with a host, whoever makes it: plain HTTP, the real browser, or a script in a test.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

use crate::site::{BrowserVisit, Request, Via};

use super::waiting::WaitingOn;

/// One thing to ask.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where; redirects change it.
    pub url: Url,
    /// `Some`: POST of this JSON text.
    pub post_json: Option<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Most decompressed bytes taken.
    pub max_body_bytes: usize,
    /// Whether a good body must end in `</html>`.
    pub must_end_in_html: bool,
    /// `Some`: to be seen in the browser.
    pub visit: Option<BrowserVisit>,
}

impl Outgoing {
    pub(super) fn http(request: &Request) -> Self {
        Self {
            url: request.url.clone(),
            post_json: request.post_json.clone(),
            headers: request.headers.clone(),
            max_body_bytes: request.max_body_bytes,
            must_end_in_html: request.must_end_in_html,
            visit: None,
        }
    }

    pub(super) fn visit(visit: &BrowserVisit) -> Self {
        Self {
            url: visit.url.clone(),
            post_json: None,
            headers: Vec::new(),
            max_body_bytes: super::browser::MAX_DOCUMENT_BYTES,
            must_end_in_html: false,
            visit: Some(visit.clone()),
        }
    }

    pub(super) fn robots(url: Url) -> Self {
        Self {
            url,
            post_json: None,
            headers: vec![("accept", "text/plain, */*;q=0.1".to_owned())],
            // The reader cuts it; what is longer than this is no robots.txt.
            max_body_bytes: 8 * super::robots::MAX_BYTES,
            must_end_in_html: false,
            visit: None,
        }
    }

    /// A hash of what is asked, whichever way.
    pub(super) fn question(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        (self.url.as_str(), &self.post_json).hash(&mut hash);
        hash.finish()
    }

    pub(super) const fn via(&self) -> Via {
        if self.visit.is_some() {
            Via::Browser
        } else {
            Via::Http
        }
    }
}

/// What came back, whole.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// HTTP status; in the browser that of the document.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `Retry-After`, read.
    pub retry_after: Option<Duration>,
    /// The decompressed body.
    pub body: Bytes,
}

/// Why nothing whole came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireFailure {
    /// What happened, for the reader.
    pub text: String,
    /// Whose doing it was.
    pub blame: Blame,
}

/// Whose doing a failed exchange was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The host's: no answer, time-out, cut body. Counts for its health; worth another attempt.
    Host,
    /// The browser's own: it hung or died and is built anew. Worth another attempt; says nothing about the host.
    Browser,
    /// This machine's: too few file descriptors. Worth another attempt; says nothing about the host.
    Machine,
    /// The browser's, and it is out of order: no use in another attempt now, nor for other pages.
    OutOfOrder,
    /// The page's (too large), or ours (no browser installed): another attempt would end the same.
    Final,
}

/// Something that can make exchanges.
#[async_trait]
pub trait Wire: Send + Sync {
    /// Waits for what the exchange of `outgoing` needs beside the host's leave, such as a tab of a browser.
    async fn prepare(
        &self,
        outgoing: &Outgoing,
        waiting: &WaitingOn,
    ) -> Result<Box<dyn Prepared>, WireFailure>;

    /// Why there is no use in asking at all: a program that is not installed. `None`: it can be tried.
    fn missing(&self) -> Option<String> {
        None
    }

    /// Why nothing is to be had for some time: what exchanges are made with is out of order. `None`: it can be tried.
    fn out_of_order(&self) -> Option<String> {
        None
    }
}

/// All that one exchange needs, in hand.
#[async_trait]
pub trait Prepared: Send {
    /// Asks once. Dropping the future abandons the exchange and frees what it held.
    async fn exchange(self: Box<Self>, outgoing: &Outgoing) -> Result<Incoming, WireFailure>;
}
