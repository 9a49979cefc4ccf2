//! Doubts about daily values: compares the daily series of one fund from one source with what the same source reported
//! before. Pure functions.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use sha2::{Digest as _, Sha256};

use crate::Number;
use crate::merge_daily::{DayField, Values};
use crate::observation::DailyPoint;

use super::{DoubtKind, Evidence, shown_values};

/// What the source reported about a fund before this answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownSeries {
    /// The values that it reported for the days that the answer covers.
    pub days: BTreeMap<Date, Values>,
    /// The first and the last day that the source ever reported; `None` if it reported none.
    pub span: Option<(Date, Date)>,
    /// Whether the source reports each day in an answer of its own. The days then arrive in any order, so a day between
    /// known ones is only late.
    pub comes_day_by_day: bool,
}

/// The days of a fund that are set aside until the judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaysDoubt {
    /// The kind of the doubt.
    pub kind: DoubtKind,
    /// The values that are set aside.
    pub waiting: BTreeMap<Date, Values>,
    /// The newest settled days that the answer rewrites or adds, with their new values.
    pub evidence: Evidence,
}

/// Number of days kept as evidence. The next two cycles request a later range of days, which must still contain some of
/// these days.
const EVIDENCE_DAYS: usize = 10;
/// Minimum number of days for a doubt about a first AUM series that is 0 on every day.
const ZERO_DAYS: usize = 2;

/// Compares an answer with what the source reported before. The answer is doubtful if it rewrites a day before
/// `settled_before`, or adds such a day between the first and the last known day. Every rewritten or added day is then
/// set aside. Days after the last known day are new. They are accepted unless the answer looks like another series, and
/// except for the fields that the answer replaces by 0.
#[must_use]
pub fn examine_days(
    known: &KnownSeries,
    said: &BTreeMap<Date, Values>,
    settled_before: Date,
) -> Option<DaysDoubt> {
    let Some((first_known, last_known)) = known.span else {
        return only_zero_aum(known, said);
    };
    let compared = compare(known, said);
    let added: BTreeSet<Date> = said
        .range(first_known..settled_before.min(last_known).max(first_known))
        .map(|(date, _)| *date)
        .filter(|date| !known.comes_day_by_day && !compared.days.contains(date))
        .collect();
    let changed: BTreeSet<Date> = compared.rewritten.union(&added).copied().collect();
    let settled: Vec<Date> = changed.range(..settled_before).copied().collect();
    if settled.is_empty() {
        return only_zero_aum(known, said);
    }
    let evidence = settled
        .iter()
        .rev()
        .take(EVIDENCE_DAYS)
        .filter_map(|date| Some((date.to_string(), shown_values(said.get(date)?))))
        .collect();
    let new: Vec<Date> = said
        .keys()
        .copied()
        .filter(|date| *date > last_known)
        .collect();
    let is_other_series = is_other_series(known, said, &compared.days, &new, settled_before);
    let zeroed = zeroed_fields(known, said, &compared.rewritten);
    let waiting = said
        .iter()
        .filter_map(|(date, values)| {
            let waits: Values = if is_other_series || changed.contains(date) {
                *values
            } else {
                std::array::from_fn(|at| values[at].filter(|value| zeroed[at] && value.is_zero()))
            };
            (waits != Values::default()).then_some((*date, waits))
        })
        .collect();
    Some(DaysDoubt {
        kind: DoubtKind::Settled,
        waiting,
        evidence,
    })
}

/// The days for which the answer and the known series have a field in common, and those of them that the answer
/// rewrites.
struct Comparison {
    days: BTreeSet<Date>,
    rewritten: BTreeSet<Date>,
}

fn compare(known: &KnownSeries, said: &BTreeMap<Date, Values>) -> Comparison {
    let mut comparison = Comparison {
        days: BTreeSet::new(),
        rewritten: BTreeSet::new(),
    };
    for (date, values) in said {
        let Some(before) = known.days.get(date) else {
            continue;
        };
        let pairs = before.iter().zip(values);
        let mut both = pairs.filter_map(|(before, now)| Some(((*before)?, (*now)?)));
        if both.clone().next().is_some() {
            comparison.days.insert(*date);
            if both.any(|(before, now)| before != now) {
                comparison.rewritten.insert(*date);
            }
        }
    }
    comparison
}

const fn nav(values: &Values) -> Option<Number> {
    values[DayField::Nav as usize]
}

/// Whether an answer that rewrites settled days contains the series of another fund, so that its new days are not
/// credible either. If there are known days that are not settled yet, they decide: a revision changes some of them,
/// another series changes most. Otherwise, as for a fund with one NAV a month, the new days decide: the answer is
/// another series if it has no new day, or a new NAV is nearer to its value of the last common day than to the known
/// one.
fn is_other_series(
    known: &KnownSeries,
    said: &BTreeMap<Date, Values>,
    compared: &BTreeSet<Date>,
    new: &[Date],
    settled_before: Date,
) -> bool {
    let navs = |date: &Date| {
        Some((
            known.days.get(date).and_then(nav)?,
            said.get(date).and_then(nav)?,
        ))
    };
    let unsettled: Vec<_> = compared.range(settled_before..).filter_map(navs).collect();
    if !unsettled.is_empty() {
        let rewritten = unsettled.iter().filter(|(before, now)| before != now);
        return rewritten.count() * 2 > unsettled.len();
    }
    let Some((before, now)) = compared.iter().rev().find_map(navs) else {
        return true;
    };
    let is_nearer = |date: &Date| is_nearer(said.get(date).and_then(nav), now, before);
    before != now && (new.is_empty() || new.iter().any(is_nearer))
}

/// Whether a new NAV is nearer to `this` than to `that`; `true` for a missing NAV.
fn is_nearer(new: Option<Number>, this: Number, that: Number) -> bool {
    let Some(new) = new else {
        return true;
    };
    let distance = |other: Number| (new.decimal() - other.decimal()).abs();
    distance(this) < distance(that)
}

/// For each of the four fields, whether the answer changes it and replaces it by 0 on every changed day.
fn zeroed_fields(
    known: &KnownSeries,
    said: &BTreeMap<Date, Values>,
    rewritten: &BTreeSet<Date>,
) -> [bool; 4] {
    std::array::from_fn(|at| {
        let mut replaced = rewritten
            .iter()
            .filter_map(|date| Some((known.days.get(date)?[at]?, said.get(date)?[at]?)))
            .filter(|(before, now)| before != now)
            .peekable();
        replaced.peek().is_some() && replaced.all(|(_, now)| now.is_zero())
    })
}

/// Sets the AUM aside if it is 0 on every day of the answer and no AUM is known.
fn only_zero_aum(known: &KnownSeries, said: &BTreeMap<Date, Values>) -> Option<DaysDoubt> {
    let at = DayField::Aum as usize;
    if known.days.values().any(|values| values[at].is_some()) {
        return None;
    }
    let mut figures = said.values().filter_map(|values| values[at]);
    if said.len() < ZERO_DAYS || !figures.all(Number::is_zero) {
        return None;
    }
    let waiting: BTreeMap<Date, Values> = said
        .iter()
        .filter_map(|(date, values)| {
            let mut waits = Values::default();
            waits[at] = values[at];
            waits[at].map(|_| (*date, waits))
        })
        .collect();
    (waiting.len() >= ZERO_DAYS).then(|| DaysDoubt {
        kind: DoubtKind::AllZero,
        waiting,
        evidence: Evidence::from([(DayField::Aum.column().to_owned(), "0".to_owned())]),
    })
}

/// SHA-256 over the newest days of a NAV series.
pub type SeriesHash = [u8; 32];

/// Number of newest days in a series hash.
const HASHED_DAYS: usize = 5;
/// Minimum number of different values in a series hash. Fewer could be equal by chance: the NAV of a new fund or a
/// money market fund may stay constant.
const DIFFERENT_VALUES: usize = 3;

/// The hash of the newest days of a series; `None` if they have too few different values to distinguish funds.
#[must_use]
pub fn series_hash(points: &[DailyPoint]) -> Option<SeriesHash> {
    let navs: BTreeMap<Date, _> = points
        .iter()
        .filter_map(|point| Some((point.nav_date, point.nav?)))
        .collect();
    let newest: Vec<_> = navs.iter().rev().take(HASHED_DAYS).collect();
    let values: BTreeSet<_> = newest.iter().map(|(_, nav)| **nav).collect();
    if values.len() < DIFFERENT_VALUES {
        return None;
    }
    let mut hash = Sha256::new();
    for (date, nav) in newest {
        hash.update(format!("{date} {nav}\n"));
    }
    Some(hash.finalize().into())
}
