//! Whether a change of the market is believed (D11: a whole market does not change at one stroke). Pure.
//!
//! Each answer is compared with what the same source reported before. A change that would be a mass change if many funds
//! showed it (values gone, settled values rewritten, figures zeroed, names or codes replaced) is a *doubt*. Doubts are
//! counted per source, page and cycle, in funds against the funds asked; [`judge`] decides once the round has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::columns::{Fields, Value};
use crate::fold::{Content, Held};
use crate::merge_daily::Values;
use crate::observation::{CodeType, PortfolioRow};
use crate::{Dataset, Observation, Said};

mod days;

pub use days::{DaysDoubt, KnownSeries, SeriesHash, examine_days, series_hash};

/// What many funds may not show at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtKind {
    /// The source had values on this page and now has none: absent, or an answer without a record.
    Absent,
    /// Values older than the look-back are rewritten, or the series contradicts what the source reported before.
    Settled,
    /// Funds of different projects are answered with one NAV series.
    Equal,
    /// Every figure is 0 where the source reported others.
    Zeroed,
    /// Names, AMC or inception date are replaced.
    Names,
    /// ISIN or Bloomberg codes are replaced.
    Codes,
    /// The whole history is answered with less than is known of it.
    Shortened,
    /// The list calls active funds inactive, or inactive funds active.
    Status,
    /// The list shows known funds under other codes.
    Renamed,
    /// The pages about many funds report no news where the funds' own pages do.
    WithoutNews,
    /// In a warehouse that has no value of this page yet: the source has none for any fund.
    AllAbsent,
    /// In a warehouse that has no value of this page yet: every figure of every fund is 0.
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

    /// The kind with this word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What the funds show, for a log line: "41 of 60 funds …".
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

/// From which share of the funds asked a change is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoubtLimits {
    /// With fewer funds asked than this nothing is doubted.
    pub min_funds: u32,
    /// Percent of the funds asked, for [`DoubtKind::Absent`].
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
    /// Shares that revisions, launches, closures and renames of single funds do not reach, and that a change of a quarter
    /// of the market exceeds.
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

/// "All" funds: a few closed, new or rarely priced ones may differ.
const ALL_PERCENT: u8 = 90;
/// Of the control sample: some funds may publish between the two requests, a fifth of them do not.
const CONTRADICTED_PERCENT: u8 = 20;
/// Fewer funds than this never make a mass change, however small the market.
const MIN_AFFECTED: u64 = 5;
/// A control sample is small: so many contradictions are enough.
const MIN_CONTRADICTIONS: u64 = 3;
/// The limit grows with the largest share of the last 30 days, times this…
const USUAL_TIMES: u64 = 2;
/// …but half of the market never changes at one stroke.
const MOST_PERMILLE: u64 = 500;

/// How many of the funds asked show a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Funds that were asked for and answered.
    pub asked: u64,
    /// Those of them whose answer shows the change.
    pub affected: u64,
}

impl Share {
    /// The share in thousandths; 0 without funds.
    #[must_use]
    pub const fn permille(self) -> u64 {
        match self.asked {
            0 => 0,
            asked => self.affected.saturating_mul(1000) / asked,
        }
    }
}

/// What a share comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the change is believed.
    pub believed: bool,
    /// The limit it was compared with, in thousandths of the funds asked.
    pub limit_permille: u64,
}

/// Compares a share with its limit: the configured percentage, or twice the largest share of the last 30 days where that
/// is more. `usual_permille` is `None` where no cycle of the last 30 days was measured.
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

/// The new values by which a change is recognised in another cycle, or at another source: field (or date) to value.
pub type Evidence = BTreeMap<String, String>;

/// Whether two cycles report the same change of one fund: they agree in everything both speak of, and that is something
/// (a change that has no new value, such as an absence, is the same wherever it shows).
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

/// The fields of a master record that tell which fund it is about.
const IDENTITY: [&str; 4] = ["full_name_th", "full_name_en", "amc", "inception_date"];

/// What is doubtful about a statement, in the light of what the same source `held` before. The daily series is examined by
/// [`examine_days`], lists as a whole.
#[must_use]
pub fn examine(held: Option<&Held>, new: &Observation) -> Option<(DoubtKind, Evidence)> {
    match &new.said {
        Said::Master(fields) => {
            let said = crate::columns::Record::into_fields(fields.clone());
            replaced_identity(held_fields(held?)?, &said)
        }
        Said::Fees(fields) | Said::Minimums(fields) => {
            let said = crate::columns::Record::into_fields(fields.clone());
            zeroed_fields(held, new.said.dataset(), &said)
        }
        Said::Statistics(fields) => {
            let said = crate::columns::Record::into_fields(fields.clone());
            zeroed_fields(held, new.said.dataset(), &said)
        }
        Said::Portfolio(portfolio) => zeroed_portfolio(held, &portfolio.rows),
        Said::Codes(codes) => {
            let said = codes
                .iter()
                .map(|code| (code.code_type, code.code.as_str()));
            replaced_codes(held?, said)
        }
        Said::Listing { .. } | Said::FactsheetLink(_) | Said::Daily(_) | Said::News(_) => None,
    }
}

const fn held_fields(held: &Held) -> Option<&Fields> {
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

/// Figures without a statement before them are doubtful only where several of them are 0, and never minimum purchases:
/// real funds have no minimum.
const FIGURES_OF_A_FIRST_STATEMENT: usize = 3;

fn zeroed_fields(
    held: Option<&Held>,
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

fn zeroed_portfolio(held: Option<&Held>, rows: &[PortfolioRow]) -> Option<(DoubtKind, Evidence)> {
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

/// A code that another of its type takes the place of.
fn replaced_codes<'said>(
    held: &Held,
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

/// Most control funds a night.
const MOST_CONTROLS: usize = 50;
/// Fewest, in a market that has as many.
const LEAST_CONTROLS: usize = 20;

/// How many funds of a market of this size are asked for themselves whatever the pages about many funds report: 2 %, at
/// least 20, at most 50; none in a market with fewer funds, where nothing is doubted.
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
    /// The newest NAV date that a page about many funds reported of it in this cycle.
    pub reported: Date,
    /// The newest NAV date that its own page is known to have reported.
    pub own: Date,
}

/// The share of the control sample whose own page has a newer day than the page about many funds reports.
#[must_use]
pub fn contradicted(sample: &[ControlFund]) -> Share {
    let contradicted = sample.iter().filter(|fund| fund.own > fund.reported);
    Share {
        asked: sample.len() as u64,
        affected: contradicted.count() as u64,
    }
}

/// A day's four values as evidence.
fn shown_values(values: &Values) -> String {
    values
        .map(|value| value.map_or_else(String::new, |value| value.to_string()))
        .join("/")
}

#[cfg(test)]
mod tests;
