//! Merges the statements of several sources about one day of one fund into one row and its dissents (D4). Pure
//! functions.

use std::collections::BTreeMap;

use crate::precedence::{DayRank, DayRanks};
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
    /// All fields, in the order of [`Values`].
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

    /// The rank of the sources for this field.
    #[must_use]
    pub const fn rank(self, ranks: &DayRanks) -> &DayRank {
        match self {
            Self::Nav => &ranks.nav,
            Self::Bid => &ranks.bid,
            Self::Offer => &ranks.offer,
            Self::Aum => &ranks.aum,
        }
    }
}

/// NAV, bid, offer and AUM, in this order.
pub type Values = [Option<Number>; 4];

/// The row of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayRow {
    /// The values of the row.
    pub values: Values,
    /// For each value, the bits of the sources that reported exactly this value ([`SourceName::bit`]). The bits of a
    /// missing value have no meaning.
    pub said_by: [i16; 4],
}

/// The values that differ from those of the row, by the source that reported them.
pub type Dissents = BTreeMap<SourceName, Values>;

/// Merges new statements into a row and its dissents. A new value of a source replaces its earlier value. A value that
/// the new statement does not contain stays as the source reported it before. Without a new statement the result is the
/// row by `ranks`, which may have changed since it was merged.
#[must_use]
pub fn merge_day(
    ranks: &DayRanks,
    row: &DayRow,
    dissents: &Dissents,
    said: &[(SourceName, Values)],
) -> (DayRow, Dissents) {
    let mut merged = DayRow::default();
    let mut others = Dissents::new();
    for (at, field) in DayField::ALL.into_iter().enumerate() {
        let mut by_source: BTreeMap<SourceName, Number> = BTreeMap::new();
        if let Some(value) = row.values[at] {
            for source in SourceName::ALL.iter().copied() {
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
        // An adopted value is used only until a source reports a value for the same cell. The replaced value is then
        // kept in history, and not as a dissent: most adopted values differ only by rounding, and a dissent for every
        // row of an older warehouse would store them twice.
        if by_source.len() > 1 {
            by_source.remove(&SourceName::Adopted);
        }
        let winner = field
            .rank(ranks)
            .iter()
            .find_map(|source| by_source.get(source).copied());
        // A value without a known source (edited by hand) stays until a source reports one.
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

/// The row of a day that only one source has reported.
#[must_use]
pub fn first_said(source: SourceName, said: Values) -> DayRow {
    DayRow {
        values: said,
        said_by: said.map(|value| value.map_or(0, |_| source.bit())),
    }
}

/// Whether the row already contains the statement `said`: each of its values equals that of the row, and `source` is
/// recorded for that value.
/// Merging such a statement changes neither the row nor the dissents.
#[must_use]
pub fn stands_as_said(row: &DayRow, source: SourceName, said: &Values) -> bool {
    said.iter()
        .zip(row.values)
        .zip(row.said_by)
        .all(|((said, stands), said_by)| {
            said.is_none() || (*said == stands && said_by & source.bit() != 0)
        })
}

/// The value of the column `source`: the source of the NAV; without a NAV, the source of bid or offer; without these,
/// the source of the AUM.
#[must_use]
pub fn row_source(ranks: &DayRanks, row: &DayRow) -> Option<SourceName> {
    DayField::ALL
        .into_iter()
        .enumerate()
        .find_map(|(at, field)| {
            row.values[at]?;
            field
                .rank(ranks)
                .iter()
                .copied()
                .find(|source| row.said_by[at] & source.bit() != 0)
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::precedence::DAYS;
    use SourceName::{Adopted, Finnomena, Wealthmagik};

    fn said(values: [Option<i32>; 4]) -> Values {
        values.map(|value| value.map(Number::from))
    }

    #[test]
    fn the_higher_rank_wins_and_the_others_are_dissents() {
        let nav = |value| said([Some(value), None, None, None]);
        let (row, others) = merge_day(
            &DAYS,
            &DayRow::default(),
            &Dissents::new(),
            &[
                (Wealthmagik, nav(2)),
                (Finnomena, nav(1)),
                (Adopted, nav(1)),
            ],
        );
        assert_eq!(row.values, nav(1));
        assert_eq!(row.said_by[0], Finnomena.bit());
        assert_eq!(others, Dissents::from([(Wealthmagik, nav(2))]));
        assert_eq!(row_source(&DAYS, &row), Some(Finnomena));
        // Finnomena revises its value to that of WealthMagik, so both are recorded for it. The adopted value is only in
        // history.
        let (row, others) = merge_day(&DAYS, &row, &others, &[(Finnomena, nav(2))]);
        assert_eq!(row.values, nav(2));
        assert_eq!(row.said_by[0], Finnomena.bit() | Wealthmagik.bit());
        assert!(others.is_empty());
    }

    #[test]
    fn prices_are_wealthmagiks_and_name_the_row_only_without_a_nav() {
        let prices = said([None, Some(1), Some(2), Some(3)]);
        let (row, _) = merge_day(
            &DAYS,
            &DayRow::default(),
            &Dissents::new(),
            &[(Wealthmagik, prices)],
        );
        assert_eq!(row_source(&DAYS, &row), Some(Wealthmagik));
        let (row, _) = merge_day(
            &DAYS,
            &row,
            &Dissents::new(),
            &[(Finnomena, said([Some(9), None, None, Some(4)]))],
        );
        assert_eq!(row.values, said([Some(9), Some(1), Some(2), Some(4)]));
        assert_eq!(row_source(&DAYS, &row), Some(Finnomena));
        let aum_alone = merge_day(
            &DAYS,
            &DayRow::default(),
            &Dissents::new(),
            &[(Adopted, said([None, None, None, Some(0)]))],
        );
        assert_eq!(row_source(&DAYS, &aum_alone.0), Some(Adopted));
    }

    #[test]
    fn a_bit_of_a_missing_value_means_nothing() {
        let adopted = DayRow {
            values: said([Some(1), None, None, None]),
            said_by: [Adopted.bit(); 4],
        };
        let (row, others) = merge_day(
            &DAYS,
            &adopted,
            &Dissents::new(),
            &[(Finnomena, said([Some(1), None, None, Some(2)]))],
        );
        assert_eq!(row.said_by, [Finnomena.bit(), 0, 0, Finnomena.bit()]);
        assert!(others.is_empty());
    }

    fn statement() -> impl Strategy<Value = (SourceName, Values)> {
        let value = || proptest::option::of((0_i32..3).prop_map(Number::from));
        (
            proptest::sample::select(SourceName::ALL.to_vec()),
            [value(), value(), value(), value()],
        )
    }

    proptest! {
        /// D4: statements of different sources give the same row and dissents in any order and any batches.
        #[test]
        fn order_and_batching_do_not_matter(
            statements in proptest::collection::btree_map(
                proptest::sample::select(SourceName::ALL.to_vec()), statement().prop_map(|(_, values)| values), 1..4),
            cut in 0_usize..4,
        ) {
            let forward: Vec<_> = statements.into_iter().collect();
            let (row, others) = merge_day(&DAYS, &DayRow::default(), &Dissents::new(), &forward);
            let backward: Vec<_> = forward.iter().rev().copied().collect();
            let (first, second) = backward.split_at(cut.min(backward.len()));
            let (half, half_others) = merge_day(&DAYS, &DayRow::default(), &Dissents::new(), first);
            let merged = merge_day(&DAYS, &half, &half_others, second);
            prop_assert_eq!(&merged, &(row, others.clone()));
            // D2: repeating the statements changes nothing.
            prop_assert_eq!(merge_day(&DAYS, &row, &others, &forward), (row, others));
        }

        /// If the row already contains a statement, merging it has no effect.
        #[test]
        fn a_row_that_matches_its_statements_is_not_changed_by_merging(first in statement(), second in statement(), again in statement()) {
            let (row, _) = merge_day(&DAYS, &DayRow::default(), &Dissents::new(), &[first]);
            let (row, others) = merge_day(&DAYS, &row, &Dissents::new(), &[second]);
            let merged = merge_day(&DAYS, &row, &others, &[again]);
            if stands_as_said(&row, again.0, &again.1) {
                prop_assert_eq!(merged, (row, others));
            }
            prop_assert_eq!(merge_day(&DAYS, &DayRow::default(), &Dissents::new(), &[first]), (first_said(first.0, first.1), Dissents::new()));
        }

        /// D3: no statement makes a present value missing.
        #[test]
        fn no_value_is_lost(first in statement(), second in statement()) {
            let (row, others) = merge_day(&DAYS, &DayRow::default(), &Dissents::new(), &[first]);
            let (after, _) = merge_day(&DAYS, &row, &others, &[second]);
            for (before, after) in row.values.iter().zip(after.values) {
                prop_assert!(before.is_none() || after.is_some());
            }
        }
    }
}
