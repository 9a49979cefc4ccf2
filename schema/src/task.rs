//! One page to ask of one source, and the answer to it.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Dataset, Observation, SourceName};

/// The name of a task: (source, page, key). The key is a fund code; `*` for a page that speaks for the whole market; a page
/// number for one that brings the market in pieces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The source asked.
    pub source: SourceName,
    /// The page's name within the source, such as `nav` or `profile`.
    pub page: String,
    /// A fund code, [`TaskId::WHOLE_MARKET`] or, of [`TaskId::PIECES`], a page number from 1.
    pub key: String,
}

impl TaskId {
    /// The key of a page that speaks for the whole market.
    pub const WHOLE_MARKET: &str = "*";
    /// The page that brings the market in numbered pieces. Its keys are page numbers, whatever codes there are.
    pub const PIECES: &str = "filter";
    /// The page of one fund's NAV series, at the source that has [`Self::PIECES`].
    pub const SERIES: &str = "nav";

    /// Whether its page is about one fund, whose code is the key.
    #[must_use]
    pub fn is_of_one_fund(&self) -> bool {
        self.key != Self::WHOLE_MARKET && self.page != Self::PIECES
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.source, self.page, self.key)
    }
}

/// SHA-256 over the part of a payload that the parser reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PayloadHash(pub [u8; 32]);

/// The beginning of a payload that grows at its end, as it was when it was read without breach or reject: a payload that
/// begins so again need only be read beyond it (P2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// How many bytes it has: up to the end of an element.
    pub bytes: u32,
    /// SHA-256 over these bytes and all that they depend on: page, key, locator, extent, parser version.
    pub hash: PayloadHash,
    /// The last day it speaks of. It holds what the source says of the days until then only as long as no other answer
    /// speaks of one of them.
    pub until: Date,
}

/// What an answer to the question for a whole history says about its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeHistory {
    /// The first day it speaks of; `None` where it has no day.
    pub first_day: Option<Date>,
}

/// A planned task as the store hands it out: everything a source needs to ask it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTask {
    /// Its name.
    pub id: TaskId,
    /// The source's own key of the fund, from its list (Finnomena `fund_id`, WealthMagik page path) or the URL to ask
    /// (factsheets); `None` where the fund code alone is enough.
    pub locator: Option<String>,
    /// How much to ask for, in the page's own words (NAV range `1M`, `MAX`); `None` where the page knows only one way.
    pub extent: Option<String>,
    /// Requests spent on it so far in this round.
    pub attempts: u32,
    /// Hash and parser version of the last payload that was read without breach or reject.
    pub known_payload: Option<(PayloadHash, i32)>,
    /// The beginning of the last payload that told everything, where the page has a history.
    pub known_beginning: Option<Beginning>,
}

/// How a task ended. There is no default: a task is failed until proven otherwise (D7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The page was read.
    Done,
    /// The payload is the one that was read before.
    Unchanged,
    /// The source says that it does not have this.
    Absent,
    /// The page could not be had or not be read: what happened, for the reader.
    Failed(String),
    /// Not asked: its host is down or its source in breach. Round 2 asks.
    Deferred(String),
}

impl Outcome {
    /// The word in `runner.task.outcome`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Absent => "absent",
            Self::Failed(_) => "failed",
            Self::Deferred(_) => "deferred",
        }
    }

    /// Whether the task need not be asked again in this cycle.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Done | Self::Unchanged | Self::Absent)
    }
}

/// One record that could not be read (D6): it costs itself alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The fund it speaks of, as far as that could be read.
    pub fund_code: Option<String>,
    /// The dataset it would have belonged to.
    pub dataset: Dataset,
    /// The field, or `*` for the whole record.
    pub field: String,
    /// Why, with what was expected.
    pub reason: String,
    /// What was found, cut to [`Reject::SAMPLE_CHARS`] characters.
    pub sample: String,
    /// Whether the record is lost (`Rejected`) or was kept with something noted (`Noted`); only lost ones count
    /// against the page's contract.
    pub severity: Severity,
}

/// What a reject cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// The record or field was not taken.
    Rejected,
    /// The record was taken; something about it is worth knowing (a doubled date, an unreadable percent kept as NULL).
    Noted,
}

impl Reject {
    /// Longest sample kept, in characters.
    pub const SAMPLE_CHARS: usize = 300;

    /// A sample of hostile text: bounded, without NUL.
    #[must_use]
    pub fn sample_of(text: &str) -> String {
        text.chars()
            .filter(|c| *c != '\0')
            .take(Self::SAMPLE_CHARS)
            .collect()
    }
}

/// What one task came to: committed in one transaction with its acknowledgement (D1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskAnswer {
    /// Which task.
    pub id: TaskId,
    /// How it ended.
    pub outcome: Outcome,
    /// What it said; empty unless the outcome is [`Outcome::Done`].
    pub observations: Vec<Observation>,
    /// What could not be read.
    pub rejects: Vec<Reject>,
    /// To be recognised next time; `None` after a failure, a breach or a reject (P2).
    pub payload: Option<(PayloadHash, i32)>,
    /// The beginning that need not be read next time; `None` forgets the one that was known.
    pub beginning: Option<Beginning>,
    /// `Some` where the whole history was asked for and read from its first day on; `None` leaves what is known of it.
    pub whole_history: Option<WholeHistory>,
    /// Requests spent on it in this round, those of earlier incarnations included.
    pub attempts: u32,
}

impl TaskAnswer {
    /// A task that ended without observations.
    #[must_use]
    pub const fn empty(id: TaskId, outcome: Outcome, attempts: u32) -> Self {
        Self {
            id,
            outcome,
            observations: Vec::new(),
            rejects: Vec::new(),
            payload: None,
            beginning: None,
            whole_history: None,
            attempts,
        }
    }

    /// How many rows its observations have: what it weighs in memory and in a transaction.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.observations
            .iter()
            .map(|observation| observation.said.rows())
            .sum()
    }

    /// Whether the source reports no value: absent, or read without any record.
    #[must_use]
    pub fn is_without_values(&self) -> bool {
        match self.outcome {
            Outcome::Absent => true,
            Outcome::Done => self.rows() == 0 && self.rejects.is_empty(),
            Outcome::Unchanged | Outcome::Failed(_) | Outcome::Deferred(_) => false,
        }
    }

    /// The same answer without observations, rejects and the report of a whole history.
    #[must_use]
    pub fn without_content(&self) -> Self {
        Self {
            id: self.id.clone(),
            outcome: self.outcome.clone(),
            observations: Vec::new(),
            rejects: Vec::new(),
            payload: self.payload,
            beginning: self.beginning,
            whole_history: None,
            attempts: self.attempts,
        }
    }
}
