//! Faults of the hosts that are set and cleared while the simulator runs: errors, delays, cut bodies, broken
//! connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::hosts::Site;
use crate::strange_answers::{Packing, with_first_text, with_first_value};

/// A connection fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strangeness {
    /// The host speaks TLS with a self-signed certificate.
    SelfSigned,
    /// The connection ends after the client's first byte: during the handshake, if the client uses TLS.
    HangsUpAtOnce,
    /// The connection ends where the answer should begin.
    HangsUp,
    /// The host sends header lines without end.
    EndlessHead,
    /// The host sends one header line of eight mebibytes, then a body.
    GiantHeader,
    /// The first line of the answer is not HTTP.
    NoStatusLine,
    /// The status is not a number.
    NonsenseStatus,
}

impl Strangeness {
    /// Whether the fault acts before a request is read, for every path.
    pub(crate) const fn is_before_the_request(self) -> bool {
        matches!(self, Strangeness::SelfSigned | Strangeness::HangsUpAtOnce)
    }
}

/// The form of a `Retry-After` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// As a number of seconds.
    Seconds(u64),
    /// As the HTTP date that is this many seconds in the future.
    DateInSeconds(u64),
    /// No such header.
    Unsaid,
}

/// The effect of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Answers with this status and an HTML error page: 500, 502, 403 …
    Status(u16),
    /// Answers with a throttling status (429, 421, 503) and a `Retry-After`.
    Throttle {
        /// The status.
        status: u16,
        /// The header.
        retry_after: RetryAfter,
    },
    /// Delays the answer by this many milliseconds.
    Slow(u64),
    /// Sends the headers and then nothing.
    Stalled,
    /// Sends a `Content-Length` that is larger than the body, then closes the connection.
    CutBody,
    /// Sends a complete HTTP answer whose body lacks its end (`</html>` or the closing brackets).
    CutText,
    /// Answers every request with an HTML page and status 200.
    HtmlInsteadOfJson,
    /// Replaces the first number of the JSON with a bare `NaN`.
    BareNan,
    /// Renames a JSON key, or an element's id or class.
    RenamedField {
        /// The correct name.
        from: String,
        /// The name that is sent instead.
        to: String,
    },
    /// Resets all connections.
    Down,
    /// Answers with status 200 and the site's frame without any value: neither rows nor a text that there are none.
    EmptyPage,
    /// Answers with status 200 and an error heading, without `.fundName`.
    ErrorPage,
    /// Shortens lists of funds to a third of their entries.
    ShrunkList,
    /// Redirects to this address with status 302.
    Redirect(String),
    /// Redirects this many times, with status 302, to the same page with `hop=N` in the query, then serves the page.
    RedirectChain(u32),
    /// Sends this answer to every request.
    Body {
        /// The status.
        status: u16,
        /// `Content-Type`.
        content_type: String,
        /// The body.
        body: String,
    },
    /// Replaces the first value of a JSON key with this text: a number, `"text"`, `null`.
    FirstValue {
        /// The key.
        key: String,
        /// The new value.
        value: String,
    },
    /// Replaces the text of the first element whose class attribute equals `class`.
    FirstText {
        /// The whole class attribute.
        class: String,
        /// The new text, as HTML.
        text: String,
    },
    /// Sends this text before the body.
    Before(String),
    /// Replaces the `Content-Type`; the body stays.
    ContentType(String),
    /// Encodes Thai letters in one byte each; the `Content-Type` names that encoding.
    Tis620,
    /// Sends this many mebibytes of white space before the body.
    Huge {
        /// The number of mebibytes.
        mebibytes: usize,
        /// Whether there is a `Content-Length`.
        says_length: bool,
    },
    /// Sends a hundred mebibytes of white space, compressed to some kilobytes.
    Bomb(Packing),
    /// Sends one byte of the body each time this many milliseconds have passed.
    Dripping(u64),
    /// Shows only this many rows of WealthMagik's full holdings; scrolling loads the next ones.
    LazyRows(usize),
    /// Disturbs the connection before there is an HTTP answer, or in place of one.
    Strange(Strangeness),
    /// Inserts this HTML at the start of the page's body: an endless script, an alert, a `meta` redirect.
    Insert(String),
    /// Adds `Content-Disposition: attachment`: a browser downloads the file instead of showing the page.
    Attachment,
    /// Shifts the `Date` header by this many days; the body is not changed.
    ClockOff(i32),
    /// Repeats the register's cursors: after this many pages that a cursor leads to, the first of them follows again.
    /// The cursors are A, A with 1 and A, B, A with 2.
    CursorRepeats {
        /// How many pages.
        pages: usize,
    },
    /// Answers with a page of the register that has a cursor and no rows.
    EmptyPageWithCursor,
    /// Serves the register's rows again and again, with a new cursor on each page.
    EndlessChain,
    /// Serves the register's rows of all dates, whatever the range of the query.
    RowsOutsideRange,
}

/// A fault of a chain of the register's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChainFault {
    /// After this many pages that a cursor leads to, the first of them follows again.
    Repeats { pages: usize },
    /// The page is empty and has a cursor.
    EmptyPage,
    /// The chain has no end: after the last rows the first ones follow, with new cursors.
    Endless,
}

/// A fault: the requests that it matches, how often it hits them, and its effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The host; None means all hosts.
    #[serde(default)]
    pub site: Option<Site>,
    /// Matches only requests whose path and query contain this.
    #[serde(default)]
    pub path_contains: Option<String>,
    /// How many more requests the fault hits; None means until it is cleared.
    #[serde(default)]
    pub times: Option<u64>,
    /// The probability that a matching request is hit, 0 to 1; drawn from the simulator's seed.
    #[serde(default = "always")]
    pub probability: f64,
    /// The effect.
    pub kind: FaultKind,
}

fn always() -> f64 {
    1.0
}

impl Fault {
    /// A fault of every request of the host, until cleared.
    pub fn of(site: Site, kind: FaultKind) -> Self {
        Fault {
            site: Some(site),
            path_contains: None,
            times: None,
            probability: always(),
            kind,
        }
    }

    /// Restricts the fault to requests whose path and query contain `part`.
    pub fn on_path(mut self, part: &str) -> Self {
        self.path_contains = Some(part.to_owned());
        self
    }

    /// Restricts the fault to this many hits.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Sets the probability that a matching request is hit.
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    fn concerns(&self, site: Site, path_and_query: &str) -> bool {
        self.times != Some(0)
            && self.site.is_none_or(|wanted| wanted == site)
            && self
                .path_contains
                .as_deref()
                .is_none_or(|part| path_and_query.contains(part))
    }
}

/// The faults of a running simulator. Clones are handles to the same faults.
#[derive(Clone, Debug)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    /// A copy outside the lock, because each read and write of a connection checks it.
    down: Arc<[AtomicBool; 6]>,
}

#[derive(Debug)]
struct State {
    faults: Vec<Fault>,
    random: ChaCha8Rng,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            faults: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(seed),
        };
        Faults {
            state: Arc::new(Mutex::new(state)),
            down: Arc::default(),
        }
    }

    /// Adds a fault.
    pub fn set(&self, fault: Fault) {
        let mut state = self.state.lock();
        state.faults.push(fault);
        self.note_who_is_down(&state);
    }

    /// Clears all faults.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        state.faults.clear();
        self.note_who_is_down(&state);
    }

    /// The faults that are set, each with the number of hits that are left.
    pub fn list(&self) -> Vec<Fault> {
        self.state.lock().faults.clone()
    }

    /// The effects of the faults that hit this request. Each fault then has one hit less left.
    pub(crate) fn hit(&self, site: Site, path_and_query: &str) -> Vec<FaultKind> {
        let mut state = self.state.lock();
        let State { faults, random } = &mut *state;
        let mut kinds = Vec::new();
        for fault in faults.iter_mut().filter(|fault| {
            !matches!(fault.kind, FaultKind::Down | FaultKind::Strange(_))
                && fault.concerns(site, path_and_query)
        }) {
            if random.random_bool(fault.probability.clamp(0.0, 1.0)) {
                fault.times = fault.times.map(|times| times - 1);
                kinds.push(fault.kind.clone());
            }
        }
        kinds
    }

    /// The connection fault that hits a connection, or `None`.
    ///
    /// `path_and_query` is that of the request; it is `None` before a request has been read. The fault then has one hit
    /// less left.
    pub(crate) fn strangeness(
        &self,
        site: Site,
        path_and_query: Option<&str>,
    ) -> Option<Strangeness> {
        let mut state = self.state.lock();
        state.faults.iter_mut().find_map(|fault| match &fault.kind {
            FaultKind::Strange(strangeness)
                if strangeness.is_before_the_request() == path_and_query.is_none()
                    && fault.concerns(site, path_and_query.unwrap_or_default()) =>
            {
                let strangeness = *strangeness;
                fault.times = fault.times.map(|times| times - 1);
                Some(strangeness)
            }
            _ => None,
        })
    }

    /// Whether any connection fault of this host is set.
    pub(crate) fn is_strange(&self, site: Site) -> bool {
        self.state.lock().faults.iter().any(|fault| {
            matches!(fault.kind, FaultKind::Strange(_))
                && fault.site.is_none_or(|wanted| wanted == site)
                && fault.times != Some(0)
        })
    }

    /// Whether to reset a new connection to this host. After each reset the fault has one hit less left.
    pub(crate) fn refuse_connection(&self, site: Site) -> bool {
        if !self.is_down(site) {
            return false;
        }
        let mut state = self.state.lock();
        let hit = state
            .faults
            .iter_mut()
            .find(|fault| fault.kind == FaultKind::Down && fault.concerns(site, ""));
        if let Some(fault) = hit {
            fault.times = fault.times.map(|times| times - 1);
        }
        self.note_who_is_down(&state);
        true
    }

    /// Whether open connections of this host are to be closed.
    pub(crate) fn is_down(&self, site: Site) -> bool {
        self.down[site.place()].load(Ordering::Relaxed)
    }

    fn note_who_is_down(&self, state: &State) {
        for site in Site::ALL {
            let down = state
                .faults
                .iter()
                .any(|fault| fault.kind == FaultKind::Down && fault.concerns(site, ""));
            self.down[site.place()].store(down, Ordering::Relaxed);
        }
    }
}

/// The body as a fault changes it, for the faults that leave status and headers alone.
pub(crate) fn spoil(kind: &FaultKind, body: &str) -> Option<String> {
    match kind {
        FaultKind::CutText => {
            let half = body.floor_char_boundary(body.len() / 2);
            Some(body[..half].to_owned())
        }
        FaultKind::RenamedField { from, to } => Some(body.replace(from.as_str(), to)),
        FaultKind::Insert(html) => {
            let body_tag = body.find("<body")?;
            let inside = body_tag + body[body_tag..].find('>')? + 1;
            Some(format!("{}{html}{}", &body[..inside], &body[inside..]))
        }
        FaultKind::BareNan => first_number(body)
            .map(|number| format!("{}NaN{}", &body[..number.start], &body[number.end..])),
        FaultKind::FirstValue { key, value } => with_first_value(body, key, value),
        FaultKind::FirstText { class, text } => with_first_text(body, class, text),
        FaultKind::Before(text) => Some(format!("{text}{body}")),
        _ => None,
    }
}

/// The range of the first bare number of a JSON text.
fn first_number(body: &str) -> Option<std::ops::Range<usize>> {
    let starts_number =
        |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    let start = body
        .match_indices("\":")
        .map(|(place, colon)| place + colon.len())
        .find(|place| starts_number(&body[*place..]))?;
    let length = body[start..].find([',', '}', ']'])?;
    Some(start..start + length)
}
