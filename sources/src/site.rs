//! What a site is to the rest of the program: pages to ask, how to ask them, how to read the answers. All pure.

use std::time::Duration;

use bytes::Bytes;
use jiff::civil::Date;
use schema::{Observation, PlannedTask, Reject, SourceName};
use url::Url;

use crate::page::PageSpec;

/// A site: three pure functions over plain data. Everything that moves is in the transport.
pub trait Site: Send + Sync + 'static {
    /// The source's name in tables and logs.
    fn name(&self) -> SourceName;

    /// The kinds of page it has.
    fn pages(&self) -> &'static [PageSpec];

    /// How to ask `tasks` (at most `page.tasks_per_request` of them, all of `page`) over HTTP.
    ///
    /// # Errors
    /// The task lacks what the page needs (a locator), or its locator leads to a host that is not allowed: a sentence for the reader.
    fn request(&self, page: &PageSpec, tasks: &[PlannedTask]) -> Result<Request, String>;

    /// How to see the same in a real browser; `None` where that makes no sense (Finnomena answers JSON, PDFs).
    ///
    /// # Errors
    /// As [`Site::request`].
    fn visit(&self, page: &PageSpec, task: &PlannedTask) -> Result<Option<BrowserVisit>, String>;

    /// What an HTTP status means here.
    fn meaning(&self, _page: &PageSpec, status: u16, tasks: usize) -> StatusMeaning {
        StatusMeaning::usual(status, tasks)
    }

    /// The part of a payload that the parser reads, for the payload hash (P2); the whole body unless a site knows better.
    fn hashed_part<'answer>(
        &self,
        _page: &PageSpec,
        answer: &'answer Answer,
    ) -> std::borrow::Cow<'answer, [u8]> {
        std::borrow::Cow::Borrowed(&answer.body)
    }

    /// Reads the answer to a page whose payload grows at its end, a history, without what ends within the first `known`
    /// bytes (0: the whole). These are a beginning that was read before, byte for byte. `None`: the page has no such part,
    /// or the payload cannot be taken apart there. Such a page is asked by one task a request, and hashed whole. Runs where
    /// [`Site::read`] does, and comes to the same as it where nothing is known.
    fn read_history(
        &self,
        _page: &PageSpec,
        _task: &PlannedTask,
        _answer: &Answer,
        _known: usize,
        _context: &ReadContext,
    ) -> Option<History> {
        None
    }

    /// Reads an answer: exactly one [`Reading`] for each of `tasks`, in their order. Runs in a blocking thread; a panic here is the tasks' failure.
    fn read(
        &self,
        page: &PageSpec,
        tasks: &[PlannedTask],
        answer: &Answer,
        context: &ReadContext,
    ) -> Vec<Reading>;
}

/// What a parser may know beside the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadContext {
    /// The cycle's Bangkok date; no row's date ever comes from it, it only bounds what can be believed (a NAV of 2099).
    pub cycle_date: Date,
}

/// One HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where.
    pub url: Url,
    /// `None`: GET. `Some(json)`: POST of this JSON text.
    pub post_json: Option<String>,
    /// Further headers (`Accept`, `Referer`, `Origin`); User-Agent belongs to the transport.
    pub headers: Vec<(&'static str, String)>,
    /// Most decompressed bytes taken; more is a failure.
    pub max_body_bytes: usize,
    /// Whether the body must end in `</html>` to be whole: else it was cut, a failed fetch.
    pub must_end_in_html: bool,
}

/// A page to open in a real browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserVisit {
    /// Where.
    pub url: Url,
    /// The page is ready when any of these CSS selectors matches.
    pub ready_css: Vec<&'static str>,
    /// An overlay that must be clicked away before anything else.
    pub overlay_css: Option<&'static str>,
    /// A lazy list: items to scroll to the end of (until their number no longer grows).
    pub lazy_items_css: Option<&'static str>,
    /// A lazy list is at its end when it has not grown for so long.
    pub lazy_rest: Duration,
    /// How long the page may take to become ready.
    pub patience: Duration,
    /// What names, in the URL of a request that the page makes, the thing it is about: a fund code, or a path that begins
    /// with `/`. Where the page comes to nothing, the status of such a request counts as the page's own.
    pub api_names: Vec<String>,
}

/// How an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// Plain HTTP.
    Http,
    /// The real browser: the body is the document after its scripts ran, as UTF-8 HTML.
    Browser,
}

/// What came back: a whole body, within its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The URL that was asked: what `source_url` shows.
    pub url: Url,
    /// HTTP status (200 for a browser visit).
    pub status: u16,
    /// `Content-Type`, if said.
    pub content_type: Option<String>,
    /// The decompressed body.
    pub body: Bytes,
    /// How it came.
    pub via: Via,
}

/// What an HTTP status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusMeaning {
    /// A body to read.
    Answer,
    /// The source says that it does not have this.
    Absent,
    /// One of several tasks spoils the request: ask each half by itself.
    Split,
    /// Too fast: slow down, wait, ask again. Not a failure.
    Throttled,
    /// The site does not want to answer this client: reason to slow down, then to change to the browser.
    Refused,
    /// The server failed: retry.
    ServerError,
    /// Anything else: the task fails.
    Unexpected,
}

impl StatusMeaning {
    /// The usual reading: 2xx answer, 404 and 410 absent, 403 and 401 refused, 421 and 429 throttled, 5xx server error
    /// (503 with `Retry-After` is throttling, which the transport sees).
    #[must_use]
    pub const fn usual(status: u16, _tasks: usize) -> Self {
        match status {
            200..=299 => Self::Answer,
            404 | 410 => Self::Absent,
            401 | 403 => Self::Refused,
            421 | 429 => Self::Throttled,
            408 | 500..=599 => Self::ServerError,
            _ => Self::Unexpected,
        }
    }
}

/// What one task's part of an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The page was read. With no observations and no rejects the page itself must have said that there is nothing
    /// (an empty `navs`, an `.emptyData`); silence is a [`Reading::Broken`] (D7).
    Said {
        /// What was said.
        observations: Vec<Observation>,
        /// What could not be read, and what is worth noting.
        rejects: Vec<Reject>,
        /// Whether a date was refused because it lies too far after the cycle's date. A later cycle may take the same
        /// payload whole, so this one must not be remembered (P2).
        refused_by_cycle_date: bool,
    },
    /// The source says that it does not have this.
    Absent,
    /// The page exists only after JavaScript, or its render failed: worth a retry, then the browser (`Auto`).
    NeedsBrowser(Breach),
    /// The page is not what its contract says.
    Broken(Breach),
}

/// A history as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// What it says, beyond what was known.
    pub reading: Reading,
    /// How much of it will be old enough next time; `None`: no more than what was known.
    pub settled: Option<Settled>,
}

/// A beginning of a payload: every element in it speaks of an earlier day than every element beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// How many bytes it has: up to the end of an element.
    pub bytes: usize,
    /// The last day it speaks of.
    pub until: Date,
}

/// What a page's contract expected and what was found: the words of D6's error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Field, selector or key.
    pub field: String,
    /// What was expected there.
    pub expected: String,
    /// What was found, bounded.
    pub found: String,
}

impl Breach {
    /// A breach from what was expected and what was found there. `found` may be a reader's own sentence, `expected A, found
    /// B` or `expected A: B`, which says it more exactly.
    #[must_use]
    pub fn new(field: &str, expected: &str, found: &str) -> Self {
        let inner = found.strip_prefix("expected ").and_then(|reason| {
            reason
                .split_once(", found ")
                .or_else(|| reason.split_once(": "))
        });
        let (expected, found) = inner.unwrap_or((expected, found));
        Self {
            field: field.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }

    /// The breach that a rejected record stands for. Its reason is a reader's sentence, `expected A, found B`, or another
    /// one, which then explains the record shown.
    #[must_use]
    pub fn of_reject(reject: &Reject) -> Self {
        let field = format!("{} {}", reject.dataset, reject.field);
        let sample = crate::text::excerpt(reject.sample.trim());
        let shown = if sample.is_empty() {
            "nothing".to_owned()
        } else {
            format!("`{sample}`")
        };
        match reject.reason.strip_prefix("expected ") {
            Some(reason) if reason.contains(", found ") || reason.contains(": ") => {
                Self::new(&field, "", &reject.reason)
            }
            Some(reason) => Self::new(&field, reason, &shown),
            None => {
                let found = format!("{shown}: {}", reject.reason);
                Self::new(&field, "a record that can be read", &found)
            }
        }
    }
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: expected {}, found {}",
            self.field, self.expected, self.found
        )
    }
}
