//! The rule that decides whether a new portfolio replaces the stored one (D3). Pure functions.

use jiff::civil::Date;

use crate::observation::{Portfolio, PortfolioRow};

/// The stored portfolio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPortfolio<'rows> {
    /// The as-of date of the portfolio.
    pub as_of_date: Option<Date>,
    /// The rows in page order.
    pub rows: &'rows [PortfolioRow],
}

/// What is done with a new portfolio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The new portfolio is stored; the replaced one goes to history.
    Take,
    /// The new portfolio equals the stored one.
    Same,
    /// The stored portfolio is kept, for this reason.
    Keep(&'static str),
}

/// Number of readable rows required for each unreadable row of a portfolio that replaces another. At most one row in
/// five may be unreadable (D3).
const READABLE_FOR_ONE_UNREADABLE: usize = 4;

/// Applies D3 to a new portfolio:
/// * An empty page changes nothing.
/// * A first portfolio is accepted whatever its share of unreadable rows.
/// * Another portfolio is accepted only if at most 20 % of its rows are unreadable. It must also be newer, or have the
///   same date and other rows. Values that are only missing or unreadable are not other rows.
/// * A portfolio without a date is accepted only if the stored one has no date either.
#[must_use]
pub fn accept_portfolio(
    held: Option<&StoredPortfolio<'_>>,
    new: &Portfolio,
    as_of_date: Option<Date>,
) -> Decision {
    if new.rows.is_empty() {
        return Decision::Keep("the new one is empty");
    }
    let Some(held) = held else {
        return Decision::Take;
    };
    match (held.as_of_date, as_of_date) {
        (Some(_), None) => return Decision::Keep("the new one has no date, the held one has"),
        (Some(held), Some(new)) if new < held => return Decision::Keep("the held one is newer"),
        _ => {}
    }
    if held.as_of_date == as_of_date && held.rows == new.rows {
        return Decision::Same;
    }
    if held.as_of_date == as_of_date && says_nothing_else(held.rows, new) {
        return Decision::Keep("the held one says the same where the new one can be read");
    }
    if too_many_unreadable(new) {
        return Decision::Keep("more than a fifth of the new one cannot be read");
    }
    Decision::Take
}

/// Whether every row that can be read is already stored, in the same order. The new portfolio would then only remove
/// good values: those that are unreadable or missing in it.
fn says_nothing_else(held: &[PortfolioRow], new: &Portfolio) -> bool {
    // Of the unreadable rows only those without a name are missing in `rows`. Any other difference in length is a
    // change by the site.
    let may_lack_rows = nameless(new) > 0;
    if !may_lack_rows && held.len() != new.rows.len() {
        return false;
    }
    let mut held = held.iter();
    new.rows.iter().all(|row| {
        held.any(|stands| {
            stands.name == row.name && (row.percent.is_none() || row.percent == stands.percent)
        })
    })
}

/// Number of rows that were lost because their name is unreadable.
fn nameless(portfolio: &Portfolio) -> usize {
    let without_percent = portfolio.rows.iter().filter(|row| row.percent.is_none());
    portfolio.unreadable.saturating_sub(without_percent.count())
}

/// Whether more than 20 % of the page's rows are unreadable. `rows` includes rows without a readable percent, but not
/// rows without a name, so the page had at least `rows` and the nameless rows together.
fn too_many_unreadable(portfolio: &Portfolio) -> bool {
    let on_page = portfolio.rows.len() + nameless(portfolio);
    portfolio.unreadable * (READABLE_FOR_ONE_UNREADABLE + 1) > on_page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Number;
    use crate::observation::PortfolioKind;
    use jiff::civil::date;

    fn row(name: &str, percent: Option<i32>) -> PortfolioRow {
        PortfolioRow {
            name: name.to_owned(),
            percent: percent.map(Number::from),
        }
    }

    fn page(rows: &[PortfolioRow], unreadable: usize) -> Portfolio {
        Portfolio {
            kind: PortfolioKind::FullHoldings,
            rows: rows.to_vec(),
            unreadable,
        }
    }

    #[test]
    fn a_portfolio_is_replaced_only_by_a_whole_newer_one() {
        let (jan, feb) = (Some(date(2026, 1, 31)), Some(date(2026, 2, 28)));
        let five: Vec<_> = (0..5).map(|n| row(&format!("n{n}"), Some(n))).collect();
        let other: Vec<_> = (0..5).map(|n| row(&format!("n{n}"), Some(n + 1))).collect();
        let held = |as_of_date| StoredPortfolio {
            as_of_date,
            rows: &five,
        };
        let empty = "the new one is empty";
        let undated = "the new one has no date, the held one has";
        let older = "the held one is newer";
        let unreadable = "more than a fifth of the new one cannot be read";
        for (what, held, new, as_of, decision) in [
            ("first", None, page(&five, 0), jan, Decision::Take),
            (
                "first, unreadable",
                None,
                page(&five, 5),
                jan,
                Decision::Take,
            ),
            (
                "first, empty",
                None,
                page(&[], 0),
                jan,
                Decision::Keep(empty),
            ),
            (
                "empty",
                Some(held(jan)),
                page(&[], 0),
                feb,
                Decision::Keep(empty),
            ),
            (
                "newer",
                Some(held(jan)),
                page(&other, 0),
                feb,
                Decision::Take,
            ),
            (
                "newer, same rows",
                Some(held(jan)),
                page(&five, 0),
                feb,
                Decision::Take,
            ),
            ("same", Some(held(jan)), page(&five, 0), jan, Decision::Same),
            (
                "same date, other rows",
                Some(held(jan)),
                page(&other, 0),
                jan,
                Decision::Take,
            ),
            (
                "older",
                Some(held(feb)),
                page(&other, 0),
                jan,
                Decision::Keep(older),
            ),
            (
                "no date over a date",
                Some(held(jan)),
                page(&other, 0),
                None,
                Decision::Keep(undated),
            ),
            (
                "no date over no date",
                Some(held(None)),
                page(&other, 0),
                None,
                Decision::Take,
            ),
            (
                "a date over no date",
                Some(held(None)),
                page(&other, 0),
                jan,
                Decision::Take,
            ),
            (
                "a fifth nameless",
                Some(held(jan)),
                page(&other[..4], 1),
                feb,
                Decision::Take,
            ),
            (
                "over a fifth nameless",
                Some(held(jan)),
                page(&other[..3], 1),
                feb,
                Decision::Keep(unreadable),
            ),
        ] {
            assert_eq!(
                accept_portfolio(held.as_ref(), &new, as_of),
                decision,
                "{what}"
            );
        }
        let mut one_null = other;
        one_null[4].percent = None;
        assert_eq!(
            accept_portfolio(Some(&held(jan)), &page(&one_null, 1), feb),
            Decision::Take
        );
        assert_eq!(
            accept_portfolio(Some(&held(jan)), &page(&one_null, 2), feb),
            Decision::Keep(unreadable)
        );
        // At the same date, unreadable or missing values remove nothing from the stored portfolio.
        let nothing_else = "the held one says the same where the new one can be read";
        let mut unsaid = five.clone();
        unsaid[0].percent = None;
        for (what, new) in [
            ("percent not said", page(&unsaid, 0)),
            ("percent unreadable", page(&unsaid, 1)),
            ("a row lost", page(&five[1..], 1)),
            ("most rows lost", page(&five[4..], 4)),
        ] {
            assert_eq!(
                accept_portfolio(Some(&held(jan)), &new, jan),
                Decision::Keep(nothing_else),
                "{what}"
            );
        }
        assert_eq!(
            accept_portfolio(Some(&held(jan)), &page(&five[1..], 0), jan),
            Decision::Take,
            "a row that the site took out"
        );
        // Equal rows are counted separately: a page that lists a row twice differs from a page that lists it once.
        let doubled: Vec<_> = five.iter().cloned().chain([five[4].clone()]).collect();
        assert_eq!(
            accept_portfolio(Some(&held(jan)), &page(&doubled, 0), jan),
            Decision::Take
        );
    }
}
