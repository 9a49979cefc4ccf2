//! Types for days of funds: the statements of a batch about them, and the stored rows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use schema::SourceName;
use schema::merge_daily::{DayRow, Values};

/// A day of a fund.
pub(super) type Day = (String, Date);

/// What sources report about days, by fund: at most one statement per source and day.
pub(super) type Statements = BTreeMap<String, BTreeMap<Date, DaySaid>>;

/// The statements about one day. Most days have one source.
pub(super) type DaySaid = Vec<(SourceName, Values)>;

/// Adds a statement. If the same source reports a day twice in one batch, each value of the later report replaces that
/// of the earlier one.
pub(super) fn add(said: &mut DaySaid, source: SourceName, values: Values) {
    match said.iter_mut().find(|(by, _)| *by == source) {
        Some((_, before)) => {
            for (before, value) in before.iter_mut().zip(values) {
                *before = value.or(*before);
            }
        }
        None => said.push((source, values)),
    }
}

/// The stored rows, by fund.
pub(super) type Standing = BTreeMap<String, BTreeMap<Date, DayRow>>;

/// Days that sources are recorded to leave out: fund, day and source.
pub(super) type Unreported = BTreeSet<(String, Date, SourceName)>;
