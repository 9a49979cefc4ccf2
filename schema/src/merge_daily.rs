//! One day of one fund: what several sources say becomes one row, and what the others said is kept apart (D4). Pure.

use std::collections::BTreeMap;

use crate::precedence::{NAV_AND_AUM, PRICES};
use crate::{Number, SourceName};

/// The four values of a day, in the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayField {
    /// `nav_value`
    Nav,
    /// `bid`
    Bid,
    /// `offer`
    Offer,
    /// `aum`
    Aum,
}

impl DayField {
    /// All of them, in the order of [`Values`].
    pub const ALL: [Self; 4] = [Self::Nav, Self::Bid, Self::Offer, Self::Aum];

    /// The column in `funds_daily`.
    #[must_use]
    pub const fn column(self) -> &'static str {
        match self {
            Self::Nav => "nav_value",
            Self::Bid => "bid",
            Self::Offer => "offer",
            Self::Aum => "aum",
        }
    }

    const fn rank(self) -> [SourceName; 4] {
        match self {
            Self::Nav | Self::Aum => NAV_AND_AUM,
            Self::Bid | Self::Offer => PRICES,
        }
    }
}

/// NAV, bid, offer and AUM, in this order.
pub type Values = [Option<Number>; 4];

/// What stands for a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayRow {
    /// The values that stand.
    pub values: Values,
    /// For each value the bits of the sources that said exactly it ([`SourceName::bit`]); of no meaning where the
    /// value is missing.
    pub said_by: [i16; 4],
}

/// What sources say other than what stands: only the values that differ.
pub type Dissents = BTreeMap<SourceName, Values>;

/// Merges new statements into what stands. A source that says a value anew replaces its own earlier one; a value it
/// does not say stays as it said it before.
#[must_use]
pub fn merge_day(
    row: &DayRow,
    dissents: &Dissents,
    said: &[(SourceName, Values)],
) -> (DayRow, Dissents) {
    let mut merged = DayRow::default();
    let mut others = Dissents::new();
    for (at, field) in DayField::ALL.into_iter().enumerate() {
        let mut by_source: BTreeMap<SourceName, Number> = BTreeMap::new();
        if let Some(value) = row.values[at] {
            for source in SourceName::ALL {
                if row.said_by[at] & source.bit() != 0 {
                    by_source.insert(source, value);
                }
            }
        }
        for (source, values) in dissents.iter().map(|(source, values)| (*source, values)) {
            if let Some(value) = values[at] {
                by_source.insert(source, value);
            }
        }
        for (source, values) in said {
            if let Some(value) = values[at] {
                by_source.insert(*source, value);
            }
        }
        let winner = field
            .rank()
            .into_iter()
            .find_map(|source| by_source.get(&source).copied());
        // A value of which no source is known (an edit by hand) stands until one speaks.
        merged.values[at] = winner.or(row.values[at]);
        for (source, value) in by_source {
            if Some(value) == winner {
                merged.said_by[at] |= source.bit();
            } else {
                others.entry(source).or_default()[at] = Some(value);
            }
        }
    }
    (merged, others)
}

/// The `source` of a row: whose NAV stands; without a NAV, whose prices, else whose AUM.
#[must_use]
pub fn row_source(row: &DayRow) -> Option<SourceName> {
    DayField::ALL
        .into_iter()
        .enumerate()
        .find_map(|(at, field)| {
            row.values[at]?;
            field
                .rank()
                .into_iter()
                .find(|source| row.said_by[at] & source.bit() != 0)
        })
}
