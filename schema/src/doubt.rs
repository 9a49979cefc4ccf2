//! Whether a change in many funds at once is believed (D11). Pure functions.
//!
//! Each answer is compared with what the same source reported before. A *doubt* is a change that would be a mass change
//! if many funds showed it: missing values, rewritten settled values, figures replaced by 0, replaced names or codes.
//! Doubts are counted per source, page and cycle, as a share of the funds requested. [`judge`] decides at the end of
//! the round whether the share is small enough to believe the change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::append::rows_of;
use crate::columns::{Fields, Value};
use crate::fold::{Content, StoredObservation};
use crate::merge_daily::Values;
use crate::observation::{CodeType, PortfolioRow};
use crate::{Dataset, Observation, ObservationData};

mod days;
mod rows;

pub use days::{DaysDoubt, KnownSeries, SeriesHash, examine_days, series_hash};

/// The kinds of change that are not believed when many funds show them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtKind {
    /// The source had values on this page and now has none: the outcome is absent, or the answer has no record.
    Absent,
    /// Values older than the look-back are rewritten, or the series contradicts what the source reported before. A
    /// known row of dividends or performance is settled from the first report on.
    Settled,
    /// Funds of different projects are answered with the same NAV series.
    Equal,
    /// Every figure is 0 where the source reported other figures before.
    Zeroed,
    /// A name, the AMC or the inception date is replaced.
    Names,
    /// An ISIN or Bloomberg code is replaced.
    Codes,
    /// The answer to a request for the whole history contains fewer days than are known.
    Shortened,
    /// The list calls active funds inactive, or inactive funds active.
    Status,
    /// The list shows known funds under other codes.
    Renamed,
    /// The pages about many funds report no news although the funds' own pages do.
    WithoutNews,
    /// The warehouse has no value of this page yet, and the source reports none for any fund.
    AllAbsent,
    /// The warehouse has no value of this page yet, and every figure of every fund is 0.
    AllZero,
}

impl DoubtKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Absent,
        Self::Settled,
        Self::Equal,
        Self::Zeroed,
        Self::Names,
        Self::Codes,
        Self::Shortened,
        Self::Status,
        Self::Renamed,
        Self::WithoutNews,
        Self::AllAbsent,
        Self::AllZero,
    ];

    /// The word in `runner.breach.kind`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Settled => "settled",
            Self::Equal => "equal",
            Self::Zeroed => "zeroed",
            Self::Names => "names",
            Self::Codes => "codes",
            Self::Shortened => "shortened",
            Self::Status => "status",
            Self::Renamed => "renamed",
            Self::WithoutNews => "without_news",
            Self::AllAbsent => "all_absent",
            Self::AllZero => "all_zero",
        }
    }

    /// Returns the kind for a word of `runner.breach.kind`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What the affected funds show, as the end of a log line: "41 of 60 funds …".
    #[must_use]
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Absent => "have no values any more",
            Self::Settled => "have settled values (older than the look-back) rewritten",
            Self::Equal => "of different projects are answered with one and the same NAV series",
            Self::Zeroed => "have every figure replaced by 0",
            Self::Names => "have their name, AMC or inception date replaced",
            Self::Codes => "have their ISIN or Bloomberg code replaced",
            Self::Shortened => "are answered with a part of their whole history",
            Self::Status => "have their status changed",
            Self::Renamed => "have another code",
            Self::WithoutNews => {
                "have news on their own page that the pages about many funds do not report"
            }
            Self::AllAbsent => "are absent, and no value of this page is known yet",
            Self::AllZero => "have no figure but 0, and no value of this page is known yet",
        }
    }
}

impl fmt::Display for DoubtKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The shares of the funds requested above which a change is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoubtLimits {
    /// Minimum number of funds requested. With fewer funds, every change is believed.
    pub min_funds: u32,
    /// Percent of the funds requested, for [`DoubtKind::Absent`].
    pub absent_percent: u8,
    /// Percent, for [`DoubtKind::Settled`], [`DoubtKind::Equal`] and [`DoubtKind::Shortened`].
    pub settled_percent: u8,
    /// Percent, for [`DoubtKind::Zeroed`].
    pub zeroed_percent: u8,
    /// Percent, for [`DoubtKind::Names`], [`DoubtKind::Codes`] and [`DoubtKind::Renamed`].
    pub identity_percent: u8,
    /// Percent, for [`DoubtKind::Status`].
    pub status_percent: u8,
}

impl DoubtLimits {
    /// The defaults. Revisions, launches, closures and renames of single funds stay below these shares; a change of a
    /// quarter of the market exceeds them.
    pub const USUAL: Self = Self {
        min_funds: 20,
        absent_percent: 20,
        settled_percent: 15,
        zeroed_percent: 15,
        identity_percent: 15,
        status_percent: 10,
    };

    const fn percent(&self, kind: DoubtKind) -> u64 {
        let percent = match kind {
            DoubtKind::Absent => self.absent_percent,
            DoubtKind::Settled | DoubtKind::Equal | DoubtKind::Shortened => self.settled_percent,
            DoubtKind::Zeroed => self.zeroed_percent,
            DoubtKind::Names | DoubtKind::Codes | DoubtKind::Renamed => self.identity_percent,
            DoubtKind::Status => self.status_percent,
            DoubtKind::WithoutNews => CONTRADICTED_PERCENT,
            DoubtKind::AllAbsent | DoubtKind::AllZero => ALL_PERCENT,
        };
        percent as u64
    }
}

impl Default for DoubtLimits {
    fn default() -> Self {
        Self::USUAL
    }
}

/// Percent of the funds that is treated as "all": a few closed, new or rarely priced funds may differ.
const ALL_PERCENT: u8 = 90;
/// Percent of the control sample above which the pages about many funds are doubted. Some funds publish a NAV between
/// the two requests, but not a fifth of the sample.
const CONTRADICTED_PERCENT: u8 = 20;
/// Minimum number of affected funds for a mass change, however small the market is.
const MIN_AFFECTED: u64 = 5;
/// Minimum number of contradictions, and of control funds, for a doubt about the news. The control sample is small.
const MIN_CONTRADICTIONS: u64 = 3;
/// A share up to this factor times the largest one of the last 30 days is believed, within [`MOST_PERMILLE`], even if
/// the configured limit is lower.
const USUAL_TIMES: u64 = 2;
/// Upper bound of that product, in thousandths: half of the market never changes at once.
const MOST_PERMILLE: u64 = 500;

/// How many of the funds requested show a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Funds that were requested and answered.
    pub asked: u64,
    /// The number of these funds whose answer shows the change.
    pub affected: u64,
}

impl Share {
    /// The share in thousandths; 0 if no fund was requested.
    #[must_use]
    pub const fn permille(self) -> u64 {
        match self.asked {
            0 => 0,
            asked => self.affected.saturating_mul(1000) / asked,
        }
    }
}

/// The result of comparing a share with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the change is believed.
    pub believed: bool,
    /// The limit that was applied, in thousandths of the funds requested.
    pub limit_permille: u64,
}

/// Compares a share with its limit: the configured percentage, or twice the largest share of the last 30 days if that
/// is more. `usual_permille` is this largest share; `None` means that no cycle of the last 30 days was measured.
#[must_use]
pub fn judge(
    kind: DoubtKind,
    share: Share,
    usual_permille: Option<u64>,
    limits: &DoubtLimits,
) -> Verdict {
    let configured = limits.percent(kind) * 10;
    let grown = usual_permille.map_or(0, |usual| (usual * USUAL_TIMES).min(MOST_PERMILLE));
    let limit_permille = configured.max(grown);
    let (least_asked, least_affected) = match kind {
        DoubtKind::WithoutNews => (MIN_CONTRADICTIONS, MIN_CONTRADICTIONS),
        _ => (u64::from(limits.min_funds), MIN_AFFECTED),
    };
    let beyond = share.affected.saturating_mul(1000) > limit_permille.saturating_mul(share.asked);
    Verdict {
        believed: share.asked < least_asked || share.affected < least_affected || !beyond,
        limit_permille,
    }
}

/// The new values that identify a change in another cycle or at another source, by field or date.
pub type Evidence = BTreeMap<String, String>;

/// Whether two cycles report the same change of one fund: at least one field in common, and equal values in all common
/// fields. A change without a new value, such as an absence, has no evidence; two empty sets are the same change.
#[must_use]
pub fn is_same_change(one: &Evidence, other: &Evidence) -> bool {
    if one.is_empty() && other.is_empty() {
        return true;
    }
    let mut in_common = 0;
    for (field, value) in one {
        match other.get(field) {
            Some(said) if said == value => in_common += 1,
            Some(_) => return false,
            None => {}
        }
    }
    in_common > 0
}

/// The fields of a master record that identify the fund.
const IDENTITY: [&str; 4] = ["full_name_th", "full_name_en", "amc", "inception_date"];

/// Returns the doubt about a statement, compared with `held`, which the same source reported before. `None` for a
/// daily series, which [`examine_days`] examines, and for an entry of a list, because lists are examined as a whole.
#[must_use]
pub fn examine(
    held: Option<&StoredObservation>,
    new: &Observation,
) -> Option<(DoubtKind, Evidence)> {
    match &new.data {
        ObservationData::Master(fields) => {
            let said = crate::columns::Record::into_fields(fields.clone());
            replaced_identity(held_fields(held?)?, &said)
        }
        ObservationData::Fees(fields) | ObservationData::Minimums(fields) => {
            let said = crate::columns::Record::into_fields(fields.clone());
            zeroed_fields(held, new.data.dataset(), &said)
        }
        ObservationData::Statistics(fields) => {
            let said = crate::columns::Record::into_fields(fields.clone());
            zeroed_fields(held, new.data.dataset(), &said)
        }
        ObservationData::Portfolio(portfolio) => zeroed_portfolio(held, &portfolio.rows),
        ObservationData::Codes(codes) | ObservationData::ProfileCodes(codes) => {
            let said = codes
                .iter()
                .map(|code| (code.code_type, code.code.as_str()));
            replaced_codes(held?, said)
        }
        ObservationData::Dividends(_) | ObservationData::Performance(_) => {
            rows::examine_rows(held, rows_of(&new.data, &new.url))
        }
        ObservationData::Listing { .. }
        | ObservationData::Risk(_)
        | ObservationData::DividendPolicy(_)
        | ObservationData::FactsheetLink(_)
        | ObservationData::Daily(_)
        | ObservationData::NavDigest(_) => None,
    }
}

const fn held_fields(held: &StoredObservation) -> Option<&Fields> {
    match &held.content {
        Content::Fields(fields) => Some(fields),
        _ => None,
    }
}

fn replaced_identity(before: &Fields, said: &Fields) -> Option<(DoubtKind, Evidence)> {
    let replaced = |field: &&&str| {
        let (before, now) = (before.get(**field), said.get(**field));
        before.is_some() && now.is_some() && before != now
    };
    let evidence: Evidence = IDENTITY
        .iter()
        .filter(replaced)
        .filter_map(|field| Some(((*field).to_owned(), said.get(*field)?.to_string())))
        .collect();
    (!evidence.is_empty()).then_some((DoubtKind::Names, evidence))
}

fn is_zero(value: &Value) -> Option<bool> {
    match value {
        Value::Number(number) => Some(number.is_zero()),
        Value::Int(int) => Some(*int == 0),
        Value::Text(_) | Value::Date(_) | Value::Flag(_) => None,
    }
}

/// The minimum number of figures, all 0, that makes a first statement doubtful. A first statement about minimum
/// purchases is never doubtful: there are real funds without a minimum.
const FIGURES_OF_A_FIRST_STATEMENT: usize = 3;

fn zeroed_fields(
    held: Option<&StoredObservation>,
    dataset: Dataset,
    said: &Fields,
) -> Option<(DoubtKind, Evidence)> {
    let figures: Vec<(&String, bool)> = said
        .iter()
        .filter_map(|(field, value)| Some((field, is_zero(value)?)))
        .collect();
    if figures.is_empty() || figures.iter().any(|(_, zero)| !zero) {
        return None;
    }
    let evidence = || -> Evidence {
        figures
            .iter()
            .map(|(field, _)| ((*field).clone(), "0".to_owned()))
            .collect()
    };
    let Some(before) = held.and_then(held_fields) else {
        let is_first = held.is_none()
            && dataset != Dataset::Minimums
            && figures.len() >= FIGURES_OF_A_FIRST_STATEMENT;
        return is_first.then(|| (DoubtKind::AllZero, evidence()));
    };
    let had_another = figures
        .iter()
        .any(|(field, _)| before.get(*field).and_then(is_zero) == Some(false));
    had_another.then(|| (DoubtKind::Zeroed, evidence()))
}

fn zeroed_portfolio(
    held: Option<&StoredObservation>,
    rows: &[PortfolioRow],
) -> Option<(DoubtKind, Evidence)> {
    let all_zero = |rows: &[PortfolioRow]| {
        let mut figures = rows.iter().filter_map(|row| row.percent).peekable();
        figures.peek().is_some() && figures.all(crate::Number::is_zero)
    };
    if !all_zero(rows) {
        return None;
    }
    let evidence = Evidence::from([("percent".to_owned(), "0".to_owned())]);
    match held.map(|held| &held.content) {
        None => {
            (rows.len() >= FIGURES_OF_A_FIRST_STATEMENT).then_some((DoubtKind::AllZero, evidence))
        }
        Some(Content::Portfolio(before)) => {
            let had_another = before
                .iter()
                .filter_map(|row| row.percent)
                .any(|percent| !percent.is_zero());
            had_another.then_some((DoubtKind::Zeroed, evidence))
        }
        Some(_) => None,
    }
}

/// Returns the code types for which none of the known codes is reported any more and another code is.
fn replaced_codes<'said>(
    held: &StoredObservation,
    said: impl Iterator<Item = (CodeType, &'said str)>,
) -> Option<(DoubtKind, Evidence)> {
    let Content::Codes(before) = &held.content else {
        return None;
    };
    let mut now: BTreeMap<&'static str, BTreeSet<&str>> = BTreeMap::new();
    for (code_type, code) in said {
        now.entry(code_type.as_str()).or_default().insert(code);
    }
    let mut evidence = Evidence::new();
    for (code_type, codes) in now {
        let mut known = before
            .iter()
            .filter(|code| code.code_type == code_type)
            .peekable();
        if known.peek().is_some() && !known.any(|code| codes.contains(code.code.as_str())) {
            let codes: Vec<&str> = codes.into_iter().collect();
            evidence.insert(code_type.to_owned(), codes.join(" "));
        }
    }
    (!evidence.is_empty()).then_some((DoubtKind::Codes, evidence))
}

/// Largest size of the control sample in one cycle.
const MOST_CONTROLS: usize = 50;
/// Smallest size of the control sample, and the smallest market that has one.
const LEAST_CONTROLS: usize = 20;

/// The size of the control sample: the funds whose own page is requested whatever the pages about many funds report. It
/// is 2 % of the active funds, at least 20 and at most 50; 0 in a market with fewer than 20 funds, where nothing is
/// doubted.
#[must_use]
pub fn control_funds(active: usize) -> usize {
    if active < LEAST_CONTROLS {
        return 0;
    }
    (active / 50).clamp(LEAST_CONTROLS, MOST_CONTROLS)
}

/// A fund of the control sample whose own page was answered in this cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlFund {
    /// The newest NAV date that a page about many funds reported for the fund in this cycle.
    pub reported: Date,
    /// The newest NAV date that the fund's own page has reported.
    pub own: Date,
}

/// The share of the control sample whose own page has a newer day than the page about many funds.
#[must_use]
pub fn contradicted(sample: &[ControlFund]) -> Share {
    let contradicted = sample.iter().filter(|fund| fund.own > fund.reported);
    Share {
        asked: sample.len() as u64,
        affected: contradicted.count() as u64,
    }
}

/// Formats the four values of a day for [`Evidence`]: separated by `/`, empty for a missing value.
fn shown_values(values: &Values) -> String {
    values
        .map(|value| value.map_or_else(String::new, |value| value.to_string()))
        .join("/")
}

#[cfg(test)]
mod tests;
