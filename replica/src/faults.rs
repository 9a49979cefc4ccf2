//! What goes wrong on purpose: faults that are set and cleared while the replica runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::strange_answers::{Packing, with_first_text, with_first_value};
use crate::strange_connections::Strangeness;

/// One of the five hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Site {
    /// Finnomena's JSON API.
    Finnomena,
    /// WealthMagik's pages.
    #[serde(rename = "wealthmagik")]
    WealthMagik,
    /// The SEC's page.
    SecPage,
    /// The SEC's API.
    SecApi,
    /// Factsheets.
    Documents,
}

impl Site {
    /// All hosts.
    pub const ALL: [Site; 5] = [
        Site::Finnomena,
        Site::WealthMagik,
        Site::SecPage,
        Site::SecApi,
        Site::Documents,
    ];

    /// The host's name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Site::Finnomena => "finnomena",
            Site::WealthMagik => "wealthmagik",
            Site::SecPage => "sec_page",
            Site::SecApi => "sec_api",
            Site::Documents => "documents",
        }
    }

    fn place(self) -> usize {
        Site::ALL
            .iter()
            .position(|site| *site == self)
            .unwrap_or_default()
    }
}

/// How a `Retry-After` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// As a number of seconds.
    Seconds(u64),
    /// As the HTTP date that many seconds from now.
    DateInSeconds(u64),
    /// No such header.
    Unsaid,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// This status with an HTML error page: 500, 502, 403 …
    Status(u16),
    /// A throttling status (429, 421, 503) with a `Retry-After`.
    Throttle {
        /// The status.
        status: u16,
        /// The header.
        retry_after: RetryAfter,
    },
    /// The answer comes this many milliseconds later.
    Slow(u64),
    /// Headers, then nothing.
    Stalled,
    /// `Content-Length` is larger than what is sent before the connection ends.
    CutBody,
    /// The body ends early and says so: a whole answer without its end (`</html>` or the closing brackets).
    CutText,
    /// An HTML page with status 200 whatever was asked for.
    HtmlInsteadOfJson,
    /// The first number of the JSON is a bare `NaN`.
    BareNan,
    /// A JSON key, or an element's id or class, has another name.
    RenamedField {
        /// The name it should have.
        from: String,
        /// The name it has.
        to: String,
    },
    /// Connections are reset.
    Down,
    /// Status 200 and the site's frame without any value: neither rows nor a word that there are none.
    EmptyPage,
    /// Status 200, a heading that something went wrong, and no `.fundName`.
    ErrorPage,
    /// Lists of funds have a third of their entries.
    ShrunkList,
    /// Status 302 to this address.
    Redirect(String),
    /// Status 302 to the same page with `hop=N` behind it, so many times, then the page.
    RedirectChain(u32),
    /// This answer, whatever was asked for.
    Body {
        /// The status.
        status: u16,
        /// `Content-Type`.
        content_type: String,
        /// The body.
        body: String,
    },
    /// The first value of a JSON key is this text: a number, `"text"`, `null`.
    FirstValue {
        /// The key.
        key: String,
        /// What stands behind it.
        value: String,
    },
    /// The text of the first element with exactly this class attribute is another.
    FirstText {
        /// The attribute.
        class: String,
        /// The text, as HTML.
        text: String,
    },
    /// This text stands before the answer.
    Before(String),
    /// Another `Content-Type`; the body stays.
    ContentType(String),
    /// Thai letters take one byte each, and the `Content-Type` says so.
    Tis620,
    /// So many mebibytes of white space stand before the answer.
    Huge {
        /// How many.
        mebibytes: usize,
        /// Whether there is a `Content-Length`.
        says_length: bool,
    },
    /// A hundred mebibytes of white space in some kilobytes.
    Bomb(Packing),
    /// One byte of the body each so many milliseconds.
    Dripping(u64),
    /// WealthMagik's full holdings show so many rows; scrolling brings the next ones.
    LazyRows(usize),
    /// What happens to the connection before there is any HTTP answer, or in place of one.
    Strange(Strangeness),
    /// This HTML stands first in the body of the page: a script that never ends, an alert, a `meta` that leads elsewhere.
    Insert(String),
    /// `Content-Disposition: attachment`: a file for download instead of a page.
    Attachment,
    /// The `Date` header is so many days off; the answer stays.
    ClockOff(i32),
}

/// A fault: where, how often, what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The host; None = all.
    #[serde(default)]
    pub site: Option<Site>,
    /// Only for requests whose path and query contain this.
    #[serde(default)]
    pub path_contains: Option<String>,
    /// Only this many times; None = until cleared.
    #[serde(default)]
    pub times: Option<u64>,
    /// How likely a matching request is hit, 0 to 1; drawn from the replica's seed.
    #[serde(default = "always")]
    pub probability: f64,
    /// What goes wrong.
    pub kind: FaultKind,
}

fn always() -> f64 {
    1.0
}

impl Fault {
    /// A fault of the whole host, until cleared.
    pub fn of(site: Site, kind: FaultKind) -> Self {
        Fault {
            site: Some(site),
            path_contains: None,
            times: None,
            probability: always(),
            kind,
        }
    }

    /// Only where path and query contain `part`.
    pub fn on_path(mut self, part: &str) -> Self {
        self.path_contains = Some(part.to_owned());
        self
    }

    /// Only this many times.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Only with this probability.
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

/// The faults of a running replica. Clones are handles to the same faults.
#[derive(Clone, Debug)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    /// Read at each read and write of a connection, so it is not behind the lock.
    down: Arc<[AtomicBool; 5]>,
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

    /// Sets one more fault.
    pub fn set(&self, fault: Fault) {
        let mut state = self.lock();
        state.faults.push(fault);
        self.note_who_is_down(&state);
    }

    /// Clears all faults.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.faults.clear();
        self.note_who_is_down(&state);
    }

    /// The faults that are set, with the times they have left.
    pub fn list(&self) -> Vec<Fault> {
        self.lock().faults.clone()
    }

    /// The kinds that hit this request. Each counts once.
    pub(crate) fn hit(&self, site: Site, path_and_query: &str) -> Vec<FaultKind> {
        let mut state = self.lock();
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

    /// What happens to a connection on which this is asked; `None` for the path: before anything is asked. Each counts once.
    pub(crate) fn strangeness(
        &self,
        site: Site,
        path_and_query: Option<&str>,
    ) -> Option<Strangeness> {
        let mut state = self.lock();
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

    /// May something strange happen to connections of this host?
    pub(crate) fn is_strange(&self, site: Site) -> bool {
        self.lock().faults.iter().any(|fault| {
            matches!(fault.kind, FaultKind::Strange(_))
                && fault.site.is_none_or(|wanted| wanted == site)
                && fault.times != Some(0)
        })
    }

    /// Is a new connection to this host to be reset? Each reset counts.
    pub(crate) fn refuse_connection(&self, site: Site) -> bool {
        if !self.is_down(site) {
            return false;
        }
        let mut state = self.lock();
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

    /// Are the connections of this host dead?
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the faults panics")
    }
}

/// Spoils a body in the way of a fault that leaves status and headers alone.
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

/// Where the first bare number of a JSON text stands.
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
