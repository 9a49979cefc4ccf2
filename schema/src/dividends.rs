//! What a source reports about the dividends of one XD date. Pure functions.
//!
//! A list may have several rows of one class and XD date: two dividends that are paid on one day, a dividend and its
//! correction, or one row on two pages. The rows arrive in any order, and a source never takes a row back. So all of
//! them are held, and the dividend of the day is a function of the set:
//!
//! - Equal rows are one row. Of rows that differ only in the day of their last change, the latest one is held.
//! - A row is corrected by another one that has the same pay date or the same value, and was changed on a later day.
//!   The days are compared and not the times: the rows of one announcement are entered one after another, and a
//!   correction within a day replaces its row before the list is read again.
//! - The value of the day is the sum of the rows that are not corrected. The sum over all rows of `funds_dividends` is
//!   therefore what a holder of one unit received: a correction counts once, and two dividends of one day count both.
//!
//! The limit of the rule: a second dividend with the same pay date, entered on a later day than the first one, looks
//! like a correction and replaces it. The opposite choice would count every corrected dividend twice.
//!
//! A source without days of change cannot tell a correction from a second dividend. It has to report the dividends of
//! an XD date in one statement; a later statement replaces them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::Number;
use crate::columns::{DividendFields, Fields, Value};

/// One row about a dividend of an XD date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DividendRow {
    /// The day of the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_date: Option<Date>,
    /// Per unit, in the fund's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
    /// The day on which the source last changed the row; `None` if it gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_on: Option<Date>,
}

/// The rows of one XD date.
pub type DividendRows = BTreeSet<DividendRow>;

impl DividendRow {
    /// The row with these fields.
    #[must_use]
    pub fn of(fields: &DividendFields, changed_on: Option<Date>) -> Self {
        Self {
            pay_date: fields.pay_date,
            value: fields.value,
            changed_on,
        }
    }

    /// The row that was stored as fields, by a program that held one row for each XD date.
    #[must_use]
    pub fn of_stored(fields: &Fields) -> Self {
        Self {
            pay_date: match fields.get("pay_date") {
                Some(Value::Date(date)) => Some(*date),
                _ => None,
            },
            value: match fields.get("value") {
                Some(Value::Number(value)) => Some(*value),
                _ => None,
            },
            changed_on: None,
        }
    }

    fn is_corrected_by(&self, other: &Self) -> bool {
        let has_same_day = self.pay_date.is_some() && self.pay_date == other.pay_date;
        let has_same_value = self.value.is_some() && self.value == other.value;
        other.changed_on > self.changed_on && (has_same_day || has_same_value)
    }
}

/// Adds the rows of a statement to the held ones.
pub fn add(held: &mut DividendRows, said: &DividendRows) {
    if said.iter().any(|row| row.changed_on.is_none()) {
        held.retain(|row| row.changed_on.is_some());
    }
    held.extend(said);
    let mut newest: BTreeMap<(Option<Date>, Option<Number>), Option<Date>> = BTreeMap::new();
    for row in held.iter() {
        let changed_on = newest.entry((row.pay_date, row.value)).or_default();
        *changed_on = row.changed_on.max(*changed_on);
    }
    held.retain(|row| newest[&(row.pay_date, row.value)] == row.changed_on);
}

/// The dividend of the day: the sum of the rows that are not corrected, paid on the first of their pay dates. A pay
/// date that only a corrected row has is kept.
#[must_use]
pub fn of_day(rows: &DividendRows) -> DividendFields {
    let is_valid = |row: &&DividendRow| !rows.iter().any(|other| row.is_corrected_by(other));
    let valid: Vec<&DividendRow> = rows.iter().filter(is_valid).collect();
    let values = valid.iter().filter_map(|row| row.value);
    let largest = values.clone().max();
    let sum = values
        .map(Number::decimal)
        .try_fold(rust_decimal::Decimal::ZERO, |sum, value| {
            sum.checked_add(value)
        });
    // A sum that is out of range cannot be right; the largest of the values is stored.
    let sum = sum.and_then(|sum| Number::try_from(sum).ok()).or(largest);
    let dated = rows.iter().filter(|row| row.pay_date.is_some());
    let known = dated.max_by_key(|row| (row.changed_on, row.pay_date));
    DividendFields {
        pay_date: valid
            .iter()
            .filter_map(|row| row.pay_date)
            .min()
            .or(known.and_then(|row| row.pay_date)),
        value: largest.and(sum),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    /// A row: pay day of September, value, day of October on which it was changed; 0 for none.
    fn row((pay, value, changed): (i8, i32, i8)) -> DividendRow {
        DividendRow {
            pay_date: (pay > 0).then(|| date(2026, 9, pay)),
            value: (value > 0).then(|| value.into()),
            changed_on: (changed > 0).then(|| date(2026, 10, changed)),
        }
    }

    /// The rows after these statements.
    fn held(statements: &[Vec<(i8, i32, i8)>]) -> DividendRows {
        let mut rows = DividendRows::new();
        for statement in statements {
            add(&mut rows, &statement.iter().copied().map(row).collect());
        }
        rows
    }

    #[test]
    fn the_sum_counts_each_dividend_once_and_no_corrected_one() {
        for (what, statements, pay, value) in [
            ("one row", vec![vec![(5, 15, 1)]], 5, 15),
            (
                "the same row on two pages",
                vec![vec![(5, 15, 1)], vec![(5, 15, 1)]],
                5,
                15,
            ),
            (
                "a corrected value",
                vec![vec![(5, 15, 1)], vec![(5, 16, 3)]],
                5,
                16,
            ),
            (
                "a corrected pay date",
                vec![vec![(5, 15, 1)], vec![(6, 15, 3)]],
                6,
                15,
            ),
            (
                "corrected back",
                vec![vec![(5, 15, 1)], vec![(5, 16, 3)], vec![(5, 15, 4)]],
                5,
                15,
            ),
            (
                "two dividends of one announcement",
                vec![vec![(5, 10, 1), (5, 20, 1)]],
                5,
                30,
            ),
            (
                "two dividends with two pay dates, the second entered later",
                vec![vec![(5, 10, 1)], vec![(8, 20, 4)]],
                5,
                30,
            ),
            (
                "all rows changed at once, on two pages",
                vec![
                    vec![(5, 10, 1), (5, 20, 1)],
                    vec![(5, 10, 7)],
                    vec![(5, 20, 7)],
                ],
                5,
                30,
            ),
            (
                "a correction without a pay date",
                vec![vec![(5, 15, 1)], vec![(0, 15, 3)]],
                5,
                15,
            ),
            (
                "without days of change, a later statement replaces",
                vec![vec![(5, 10, 0), (5, 20, 0)], vec![(5, 12, 0)]],
                5,
                12,
            ),
            (
                "a row with a day replaces one without",
                vec![vec![(5, 15, 0)], vec![(5, 16, 1)]],
                5,
                16,
            ),
        ] {
            let fields = of_day(&held(&statements));
            let expected = row((pay, value, 0));
            assert_eq!(
                (fields.pay_date, fields.value),
                (expected.pay_date, expected.value),
                "{what}"
            );
        }
    }

    #[test]
    fn a_sum_that_is_out_of_range_is_the_largest_value() {
        let most = Number::parse("9999999999999999").unwrap();
        let rows = [1, 2].map(|day| DividendRow {
            value: Some(most),
            ..row((day, 0, 1))
        });
        assert_eq!(of_day(&rows.into()).value, Some(most));
    }

    proptest! {
        #[test]
        fn any_order_of_pages_gives_the_same_rows_and_a_second_pass_changes_nothing(
            mut pages in proptest::collection::vec(
                proptest::collection::vec((0_i8..4, 1_i32..4, 1_i8..4), 0..4), 1..5),
            turn in 0_usize..5,
        ) {
            let first = held(&pages);
            let again = [pages.clone(), pages.clone()].concat();
            prop_assert_eq!(&held(&again), &first);
            let turn = turn % pages.len();
            pages.rotate_left(turn);
            prop_assert_eq!(&held(&pages), &first);
            pages.reverse();
            prop_assert_eq!(&held(&pages), &first);
            // All rows on one page, and each row on a page of its own.
            let rows = pages.concat();
            let single: Vec<_> = rows.iter().map(|row| vec![*row]).collect();
            prop_assert_eq!(&held(&[rows]), &first);
            prop_assert_eq!(&held(&single), &first);
        }

        #[test]
        fn the_dividend_of_a_day_is_at_least_one_row_and_at_most_the_sum_of_all(
            rows in proptest::collection::btree_set((1_i8..4, 1_i32..4, 1_i8..4), 1..6),
        ) {
            let rows: DividendRows = rows.into_iter().map(row).collect();
            let found = of_day(&rows).value.map(Number::decimal);
            let values = rows.iter().filter_map(|row| row.value).map(Number::decimal);
            prop_assert!(found >= values.clone().min());
            prop_assert!(found <= Some(values.sum()));
        }
    }
}
