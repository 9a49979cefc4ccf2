//! A task, which is one page to request of one source, and the answer to it.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::observation::KeyedObservation;
use crate::{Dataset, FundCode, Observation, ObservationData, SourceName};

/// The identity of a task: (source, page, key). The key is a fund code, `*` for a page about the whole market, `*` and
/// the name of a part for a part of it, or the page number of a piece of the market.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The source to request from.
    pub source: SourceName,
    /// The page's name within the source, such as `nav` or `profile`.
    pub page: String,
    /// A fund code; or [`TaskId::WHOLE_MARKET`]; or a part of the market ([`TaskId::part_key`]); or a page number from
    /// 1 for the page [`TaskId::PIECES`].
    pub key: String,
}

impl TaskId {
    /// The key of a page about the whole market.
    pub const WHOLE_MARKET: &str = "*";
    /// The page that returns the market in numbered pieces. Its keys are always page numbers, never fund codes.
    pub const PIECES: &str = "filter";
    /// The page of the official register with the list of all share classes.
    pub const CLASSES: &str = "profiles";
    /// The page of the official register with the daily values of all classes, one list for each day.
    pub const DAYS: &str = "daily";
    /// The page of the official register with the newest daily values of one project. Its key is a part of the market:
    /// the project.
    pub const PROJECT_DAYS: &str = "project_days";
    /// The page of the official register with the whole history of one project. Its list goes on over several cycles.
    pub const PROJECT_HISTORY: &str = "project_history";
    /// The page with the dividends of one fund. Most funds have none, so a page without values is not a doubt, even if it
    /// is the answer of nearly all funds.
    pub const DIVIDENDS: &str = "dividend";
    /// The page with the NAV series of one fund, at the source that has [`Self::PIECES`].
    pub const SERIES: &str = "nav";

    /// The first character of the key of a page about many funds. No fund code begins with it.
    pub const MARKET_PREFIX: char = FundCode::RESERVED_FIRST;

    /// The key of a part of the market, such as one day: `*2026-11-27`.
    #[must_use]
    pub fn part_key(part: &str) -> String {
        format!("{}{part}", Self::MARKET_PREFIX)
    }

    /// The part of the market that the key names; `None` for the whole market and for one fund.
    #[must_use]
    pub fn part(&self) -> Option<&str> {
        self.key
            .strip_prefix(Self::MARKET_PREFIX)
            .filter(|part| !part.is_empty())
    }

    /// Whether the page is about one fund. The key is then the fund code.
    #[must_use]
    pub fn is_of_one_fund(&self) -> bool {
        !self.key.starts_with(Self::MARKET_PREFIX) && self.page != Self::PIECES
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

/// The known prefix of a payload that grows at its end, from the last time it was parsed without breach or reject. If a
/// new payload begins with the same bytes, only the rest is parsed (P2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPrefix {
    /// Length in bytes, up to the end of an element.
    pub bytes: u32,
    /// SHA-256 over these bytes and everything that affects how they are read: page, key, locator, extent, parser
    /// version.
    pub hash: PayloadHash,
    /// The last day in the prefix. The prefix is valid only while no other answer reports any day up to this one.
    pub until: Date,
}

/// The position in a list that a source returns page by page. Each page names the next one by a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPosition {
    /// The cursor of the next page; empty for the first page.
    pub cursor: String,
    /// Number of pages that were read.
    pub pages: u32,
    /// A hash of each cursor so far. A cursor that is seen twice would lead to an endless chain.
    pub seen: Vec<u64>,
    /// Whether the chain was begun again because the source refused a cursor, since the task was last read from the
    /// checkpoint.
    pub restarted: bool,
    /// What the parser of the page keeps for the parser of the next page: the records of a group that may go on there.
    #[serde(default)]
    pub carry: Option<String>,
    /// The range that the cursor belongs to, for a list that is read range by range ([`crate::DayRange`]). `pages`,
    /// `seen` and `restarted` are about this range.
    #[serde(default)]
    pub range: Option<String>,
    /// Number of pages that were read since the task was planned in its present cycle.
    #[serde(default)]
    pub turn: u32,
}

/// The length of the answer to a request for a whole history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeHistory {
    /// The first day in the answer; `None` if it has no day.
    pub first_day: Option<Date>,
}

/// A planned task as the store returns it, with everything a source needs to request it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTask {
    /// The identity of the task.
    pub id: TaskId,
    /// The source's own key of the fund, from its list (Finnomena `fund_id`, WealthMagik page path), the URL to request
    /// (factsheets), or the days to request ([`crate::DayRange`] or [`crate::day_range::HistoryTurn`], values of a
    /// project).
    /// `None` if the key of the task is enough.
    pub locator: Option<String>,
    /// How much to request, in the page's own word (NAV range `1M`, `MAX`); `None` if the page has only one extent.
    pub extent: Option<String>,
    /// Number of requests sent for it so far in this round.
    pub attempts: u32,
    /// Hash and parser version of the last payload that was parsed without breach or reject.
    pub known_payload: Option<(PayloadHash, i32)>,
    /// The known prefix of the last complete payload, for a page with a history.
    pub known_prefix: Option<KnownPrefix>,
    /// The next page of a list that was read in part; `None` for the first page.
    pub chain: Option<ChainPosition>,
}

impl PlannedTask {
    /// A task about which nothing but its identity is known.
    #[must_use]
    pub const fn new(id: TaskId) -> Self {
        Self {
            id,
            locator: None,
            extent: None,
            attempts: 0,
            known_payload: None,
            known_prefix: None,
            chain: None,
        }
    }
}

/// How a task ended. There is no default: a task has failed unless its answer proves otherwise (D7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The page was parsed.
    Done,
    /// The payload equals the one that was parsed before.
    Unchanged,
    /// The source reports that it does not have this page.
    Absent,
    /// The page could not be fetched or parsed. The text describes what happened, for the operator.
    Failed(String),
    /// The page was not requested, because its host is down or its source is in breach. Round 2 requests it.
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

    /// Whether the task needs no further request in this cycle.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Done | Self::Unchanged | Self::Absent)
    }
}

/// One record that could not be parsed (D6). Only this record is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The fund that the record is about, if it could be parsed.
    pub fund_code: Option<String>,
    /// The dataset of the record.
    pub dataset: Dataset,
    /// The field, or `*` for the whole record.
    pub field: String,
    /// The reason, with what was expected.
    pub reason: String,
    /// The text that was found, cut to [`Reject::SAMPLE_CHARS`] characters.
    pub sample: String,
    /// Whether the record is lost (`Rejected`) or kept with a remark (`Noted`). Only lost records count against the
    /// page's contract.
    pub severity: Severity,
}

/// The effect of a reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// The record or field was not stored.
    Rejected,
    /// The record was stored with a remark, such as a doubled date or an unreadable percent kept as NULL.
    Noted,
}

impl Reject {
    /// The largest length of a sample, in characters.
    pub const SAMPLE_CHARS: usize = 300;

    /// Makes a sample of untrusted text: limited in length, without NUL.
    #[must_use]
    pub fn sample_of(text: &str) -> String {
        text.chars()
            .filter(|c| *c != '\0')
            .take(Self::SAMPLE_CHARS)
            .collect()
    }
}

/// The answer to one task. It is committed in one transaction with the task's acknowledgement (D1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskAnswer {
    /// The task.
    pub id: TaskId,
    /// How the task ended.
    pub outcome: Outcome,
    /// The observations; empty unless the outcome is [`Outcome::Done`].
    pub observations: Vec<Observation>,
    /// Statements under the source's own keys, which the store resolves to funds.
    #[serde(default)]
    pub keyed: Vec<KeyedObservation>,
    /// `Some`: the answer is one page of a list, and the task goes on with the next page. The outcome is
    /// [`Outcome::Done`].
    #[serde(default)]
    pub next: Option<ChainPosition>,
    /// Whether the answer is one page of a list with cursors. What of it waits for the judgement of the round does not
    /// hold up the task.
    #[serde(default)]
    pub is_list_part: bool,
    /// Whether the task ends in this cycle although its list goes on: the next cycle that plans it reads the next page.
    #[serde(default)]
    pub is_paused: bool,
    /// The records that could not be parsed, and remarks.
    pub rejects: Vec<Reject>,
    /// Payload hash and parser version, to recognise the payload next time; `None` after a failure, a breach or a
    /// reject (P2).
    pub payload: Option<(PayloadHash, i32)>,
    /// The known prefix, which need not be parsed next time. `None` deletes the stored one.
    pub known_prefix: Option<KnownPrefix>,
    /// `Some` if the whole history was requested and parsed from its first day; `None` leaves what is stored about it.
    pub whole_history: Option<WholeHistory>,
    /// Number of requests sent for it in this round, including those of earlier incarnations.
    pub attempts: u32,
}

impl TaskAnswer {
    /// An answer without observations.
    #[must_use]
    pub const fn empty(id: TaskId, outcome: Outcome, attempts: u32) -> Self {
        Self {
            id,
            outcome,
            observations: Vec::new(),
            keyed: Vec::new(),
            next: None,
            is_list_part: false,
            is_paused: false,
            rejects: Vec::new(),
            payload: None,
            known_prefix: None,
            whole_history: None,
            attempts,
        }
    }

    /// Whether the task ends with this answer.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.next.is_none() || self.is_paused
    }

    /// The number of rows of its observations: its weight in memory and in a transaction.
    #[must_use]
    pub fn rows(&self) -> usize {
        let observed = self
            .observations
            .iter()
            .map(|observation| &observation.data);
        let keyed = self.keyed.iter().map(|keyed| &keyed.data);
        observed.chain(keyed).map(ObservationData::rows).sum()
    }

    /// Whether the source reports no value: the outcome is absent, or the page was parsed and has no record.
    #[must_use]
    pub fn is_without_values(&self) -> bool {
        match self.outcome {
            Outcome::Absent => true,
            Outcome::Done => self.rows() == 0 && self.rejects.is_empty(),
            Outcome::Unchanged | Outcome::Failed(_) | Outcome::Deferred(_) => false,
        }
    }

    /// The same answer without observations, rejects and whole history.
    #[must_use]
    pub fn without_content(&self) -> Self {
        Self {
            id: self.id.clone(),
            outcome: self.outcome.clone(),
            observations: Vec::new(),
            keyed: Vec::new(),
            next: self.next.clone(),
            is_list_part: self.is_list_part,
            is_paused: self.is_paused,
            rejects: Vec::new(),
            payload: self.payload,
            known_prefix: self.known_prefix,
            whole_history: None,
            attempts: self.attempts,
        }
    }
}
