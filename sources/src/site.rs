//! The interface of a site to the rest of the program: its pages, their requests, and the parsers of their answers. All
//! functions are pure.

use std::time::Duration;

use bytes::Bytes;
use jiff::civil::Date;
use schema::observation::KeyedObservation;
use schema::{Observation, PlannedTask, Reject, SourceName};
use url::Url;

use crate::api_key::SecretHeader;
use crate::page::PageSpec;

/// A site: pure functions over plain data. The transport does all input and output.
pub trait Site: Send + Sync + 'static {
    /// The source's name in tables and logs.
    fn name(&self) -> SourceName;

    /// The kinds of page that the site has.
    fn pages(&self) -> &'static [PageSpec];

    /// Builds the HTTP request for `tasks`: at most `page.tasks_per_request` of them, all of `page`.
    ///
    /// # Errors
    /// A sentence for the operator, if a task lacks what the page needs (a locator), or if its locator leads to a host
    /// that is not allowed.
    fn request(&self, page: &PageSpec, tasks: &[PlannedTask]) -> Result<Request, String>;

    /// Describes how a real browser gets the same page. `None` where a browser is of no use: factsheets are PDFs.
    ///
    /// # Errors
    /// As [`Site::request`].
    fn by_browser(&self, page: &PageSpec, task: &PlannedTask)
    -> Result<Option<BrowserWay>, String>;

    /// The meaning of an HTTP status on this site.
    fn meaning(&self, _page: &PageSpec, status: u16, tasks: usize) -> StatusMeaning {
        StatusMeaning::usual(status, tasks)
    }

    /// The status that an answer means. Some gateways put an error status inside an answer with the HTTP status 200.
    fn status_of(&self, answer: &Answer) -> u16 {
        answer.status
    }

    /// Called when the key of a request was refused: takes the next key. Returns whether another key is used now.
    fn take_next_key(&self, _refused: &Request) -> bool {
        false
    }

    /// The part of a payload that the parser reads. The payload hash covers this part only (P2). The default is the
    /// whole body.
    fn hashed_part<'answer>(
        &self,
        _page: &PageSpec,
        answer: &'answer Answer,
    ) -> std::borrow::Cow<'answer, [u8]> {
        std::borrow::Cow::Borrowed(&answer.body)
    }

    /// Parses the answer to a history, a page whose payload grows at its end, and skips the elements that end within
    /// the first `known` bytes. These bytes equal a prefix that was parsed before; 0 parses the whole payload.
    ///
    /// Returns `None` if the page is not a history, or if the payload cannot be split there. A request for a history
    /// has exactly one task, and the payload hash covers the whole body. Runs in the same thread as [`Site::read`], and
    /// with `known` = 0 gives the same result.
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

    /// Parses an answer: exactly one [`Reading`] for each of `tasks`, in their order. Runs in a blocking thread; a
    /// panic fails the tasks.
    fn read(
        &self,
        page: &PageSpec,
        tasks: &[PlannedTask],
        answer: &Answer,
        context: &ReadContext,
    ) -> Vec<Reading>;
}

/// What a parser may use besides the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadContext {
    /// The cycle's date in Bangkok. It only limits which dates are plausible (a NAV of 2099 is not); it is not used as
    /// the date of any row.
    pub cycle_date: Date,
}

/// One HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The URL to request.
    pub url: Url,
    /// `None`: GET. `Some(json)`: POST with this JSON text as the body.
    pub post_json: Option<String>,
    /// Further headers (`Accept`, `Referer`, `Origin`). The transport sets User-Agent.
    pub headers: Vec<(&'static str, String)>,
    /// The header with the key of a source that demands one.
    pub secret_header: Option<SecretHeader>,
    /// The maximum size of the decompressed body, in bytes. A larger body is a failure.
    pub max_body_bytes: usize,
    /// Whether a whole body ends in `</html>`. If so, a body without it was cut off, and the fetch has failed.
    pub must_end_in_html: bool,
}

/// How a real browser gets a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrowserWay {
    /// It opens the page; the answer is the document after its scripts ran.
    Visit(BrowserVisit),
    /// It requests the URL from inside another page of the host; the answer is the response as it was sent.
    Request(InPageRequest),
}

impl BrowserWay {
    /// The URL whose answer is used.
    #[must_use]
    pub const fn url(&self) -> &Url {
        match self {
            Self::Visit(visit) => &visit.url,
            Self::Request(request) => &request.url,
        }
    }
}

/// A GET request that a browser sends with `fetch` from inside an open page of the same host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPageRequest {
    /// The page to open first. One page load serves all requests of a browser session.
    pub page: BrowserVisit,
    /// The URL to request, of the host of `page`. A redirect is not followed.
    pub url: Url,
    /// The header `Accept`. The browser sets all other headers.
    pub accept: &'static str,
    /// The largest decompressed body, in bytes. A larger one is a failure.
    pub max_body_bytes: usize,
}

/// A page to open in a real browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserVisit {
    /// The URL to open.
    pub url: Url,
    /// The page is ready when any of these CSS selectors matches. Empty: as soon as its document is parsed.
    pub ready_css: Vec<&'static str>,
    /// An overlay that the browser must click away first.
    pub overlay_css: Option<&'static str>,
    /// The items of a list that loads as it is scrolled. The browser scrolls to the last item until their number stops
    /// growing.
    pub lazy_items_css: Option<&'static str>,
    /// The list is regarded as complete when it has not grown for this long.
    pub lazy_rest: Duration,
    /// How long the page may take to become ready.
    pub patience: Duration,
    /// Strings that identify, in the URL of a request made by the page, the fund or document that the page shows: a
    /// fund code, or a path that begins with `/`. If the page shows no values, the status of such a request is
    /// used as the status of the page.
    pub api_names: Vec<String>,
}

/// How an answer was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// By plain HTTP.
    Http,
    /// By a real browser: the body is the document after its scripts ran, as UTF-8 HTML.
    Browser,
    /// By a real browser from inside an open page of the host: the body is the same as by plain HTTP.
    InPage,
}

/// A fetched answer: the body is whole and within its size limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The URL that was requested; the tables show it as `source_url`.
    pub url: Url,
    /// HTTP status (200 for a browser visit).
    pub status: u16,
    /// The header `Content-Type`, if present.
    pub content_type: Option<String>,
    /// The decompressed body.
    pub body: Bytes,
    /// How the answer was fetched.
    pub via: Via,
}

/// The meaning of an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusMeaning {
    /// The body can be parsed.
    Answer,
    /// The source reports that it does not have this page.
    Absent,
    /// One of several tasks makes the whole request fail: request each half separately.
    Split,
    /// The source does not accept the cursor any more: begin the list again.
    CursorRefused,
    /// The source does not accept the key: use the next one, or stop.
    KeyRefused,
    /// The requests are too fast: lower the rate, wait, request again. Not a failure.
    Throttled,
    /// The site refuses this client: lower the rate first, then change to the browser.
    Refused,
    /// The server failed: retry.
    ServerError,
    /// Any other status: the task fails.
    Unexpected,
}

impl StatusMeaning {
    /// The usual meaning: 2xx answer, 404 and 410 absent, 401 and 403 refused, 421 and 429 throttled, 408 and 5xx
    /// server error. The transport treats a 503 with `Retry-After` as throttling.
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

/// The parsed part of an answer that belongs to one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The page was parsed. If there are no observations and no rejects, the page itself stated that it has no data (an
    /// empty `navs`, an `.emptyData`). A page without such a statement is a [`Reading::Broken`] (D7).
    Observed {
        /// The observations.
        observations: Vec<Observation>,
        /// Records that could not be parsed, and notes.
        rejects: Vec<Reject>,
        /// Whether a date was rejected because it lies too far after the cycle date. A later cycle may accept the same
        /// payload in full, so its hash must not be stored (P2).
        refused_by_cycle_date: bool,
    },
    /// One page of a list with cursors ([`PageSpec::chain`]).
    Part(Box<ListPart>),
    /// The source reports that it does not have this page.
    Absent,
    /// The page exists only after JavaScript, or its rendering failed: retry, then use the browser (`Auto`).
    NeedsBrowser(Breach),
    /// The page does not meet its contract.
    Broken(Breach),
}

/// One page of a list with cursors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPart {
    /// The statements that name their fund.
    pub observations: Vec<Observation>,
    /// The statements under keys of the source's own.
    pub keyed: Vec<KeyedObservation>,
    /// Records that could not be parsed, and notes.
    pub rejects: Vec<Reject>,
    /// Number of records on the page, parsed or not.
    pub records: usize,
    /// The cursor of the next page; empty on the last page.
    pub cursor: String,
    /// What the parser of the next page needs of this one; it finds it in [`schema::task::ChainPosition::carry`].
    pub carry: Option<String>,
    /// The range with which the list goes on after this page, if it is the last page of its range. The next request
    /// finds it in [`schema::task::ChainPosition::range`].
    pub next_range: Option<String>,
    /// Whether the task ends in this cycle with this page. If the list goes on, a later cycle reads its next page.
    pub ends_turn: bool,
}

/// A parsed history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// What was parsed beyond the known prefix.
    pub reading: Reading,
    /// The prefix that need not be parsed next time; `None`: only the known prefix, if there is one.
    pub settled: Option<StablePrefix>,
}

/// A prefix of a payload. All its elements have earlier dates than the elements after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StablePrefix {
    /// The length in bytes. The prefix ends at the end of an element.
    pub bytes: usize,
    /// The last date in the prefix.
    pub until: Date,
}

/// What the contract of a page expected and what was found: the text of an error about a breach (D6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The field, selector or key.
    pub field: String,
    /// What was expected there.
    pub expected: String,
    /// What was found, shortened.
    pub found: String,
}

impl Breach {
    /// A breach. If `found` is itself a sentence of a parser, `expected A, found B` or `expected A: B`, its parts
    /// replace `expected` and `found`, because they are more exact.
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

    /// The breach that a rejected record is an example of. If its reason is a sentence of a parser,
    /// `expected A, found B`, the breach uses that sentence. Any other reason is added to the sample of the record.
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
