//! Folding: merges a newer statement of a source into what the same source reported before, field by field (D3, D4).
//! Pure functions.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::append::{self, Rows};
use crate::columns::{Fields, Record, Value};
use crate::observation::{Portfolio, PortfolioRow};
use crate::portfolio::{Decision, StoredPortfolio, accept_portfolio};
use crate::{Dataset, Observation, ObservationData, SourceName};

/// The field in which a listing keeps the source's own key of the fund.
pub const SOURCE_KEY: &str = "source_key";

/// All statements of one source about one fund in one dataset, folded into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObservation {
    /// The newest as-of date that the source gave.
    pub as_of_date: Option<Date>,
    /// The folded content.
    pub content: Content,
    /// Fields that the newest statement does not contain, with the id of the first cycle in which they were missing.
    pub unsaid: BTreeMap<String, i64>,
    /// The URL of the page of the newest statement.
    pub url: String,
}

/// The content of a folded statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Fields by column name.
    Fields(Fields),
    /// A whole portfolio.
    Portfolio(Vec<PortfolioRow>),
    /// Codes, each with the factsheet it was last read from.
    Codes(Vec<StoredCode>),
    /// The rows of a table whose rows are only added and changed, by their key.
    Rows(Rows),
    /// Portfolios of an older warehouse (only for the source `adopted`).
    AdoptedPortfolios(Vec<AdoptedPortfolio>),
}

/// A stored code of a fund.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoredCode {
    /// The word in the column `type`. An older warehouse may contain types that the runner does not read.
    #[serde(rename = "type")]
    pub code_type: String,
    /// The code.
    pub code: String,
    /// The URL of the factsheet; `None` for a code of another page.
    pub url: Option<String>,
}

/// A portfolio that was in the warehouse before the runner took it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptedPortfolio {
    /// The value of the column `source` in the older warehouse.
    pub source: String,
    /// The date of the portfolio.
    pub as_of_date: Option<Date>,
    /// The rows in page order.
    pub rows: Vec<PortfolioRow>,
}

/// The effect of a new statement on the held one, which is the stored fold of all earlier statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folded {
    /// No effect: the new statement is older than the held one, or is a portfolio that may not replace it.
    Superseded,
    /// No effect: the new statement equals the held one.
    Unchanged,
    /// The new held statement.
    Changed(StoredObservation),
}

/// Folds `new` over `held`. `standing` is an adopted portfolio: the one that the table has under this source although
/// the source itself has not reported one yet. `cycle_id` is recorded for fields that `new` no longer contains.
///
/// Returns [`Folded::Unchanged`] for the daily series, which [`crate::merge_daily`] folds, and for news, which is not
/// held.
#[must_use]
pub fn fold(
    held: Option<&StoredObservation>,
    standing: Option<&StoredPortfolio<'_>>,
    new: &Observation,
    cycle_id: i64,
) -> Folded {
    match &new.data {
        ObservationData::Portfolio(portfolio) => fold_portfolio(held, standing, portfolio, new),
        ObservationData::Codes(codes) | ObservationData::ProfileCodes(codes) => {
            let is_on_factsheet = new.data.dataset() == Dataset::Codes;
            let said = codes.iter().map(|code| StoredCode {
                code_type: code.code_type.as_str().to_owned(),
                code: code.code.clone(),
                url: is_on_factsheet.then(|| new.url.clone()),
            });
            fold_codes(held, said.collect(), new)
        }
        ObservationData::Dividends(_) | ObservationData::Performance(_) => {
            fold_rows(held, append::rows_of(&new.data, &new.url), new)
        }
        ObservationData::Daily(_) | ObservationData::NavDigest(_) => Folded::Unchanged,
        said => fold_fields(held, fields_of(said), new, cycle_id),
    }
}

fn fields_of(said: &ObservationData) -> Fields {
    match said {
        ObservationData::Listing { source_key, fields } => {
            let mut fields = fields.clone().into_fields();
            fields.insert(SOURCE_KEY.to_owned(), Value::Text(source_key.clone()));
            fields
        }
        ObservationData::Master(fields)
        | ObservationData::Risk(fields)
        | ObservationData::DividendPolicy(fields) => fields.clone().into_fields(),
        ObservationData::Fees(fields) | ObservationData::Minimums(fields) => {
            fields.clone().into_fields()
        }
        ObservationData::Statistics(fields) => fields.clone().into_fields(),
        ObservationData::FactsheetLink(fields) => fields.clone().into_fields(),
        ObservationData::Codes(_)
        | ObservationData::ProfileCodes(_)
        | ObservationData::Portfolio(_)
        | ObservationData::Daily(_)
        | ObservationData::NavDigest(_)
        | ObservationData::Dividends(_)
        | ObservationData::Performance(_) => Fields::new(),
    }
}

fn is_older(held: &StoredObservation, new: &Observation) -> bool {
    matches!((held.as_of_date, new.as_of_date), (Some(held), Some(new)) if new < held)
}

fn settle(held: Option<&StoredObservation>, folded: StoredObservation) -> Folded {
    if held == Some(&folded) {
        Folded::Unchanged
    } else {
        Folded::Changed(folded)
    }
}

fn fold_fields(
    held: Option<&StoredObservation>,
    said: Fields,
    new: &Observation,
    cycle_id: i64,
) -> Folded {
    let Some(before) = held else {
        return Folded::Changed(StoredObservation {
            as_of_date: new.as_of_date,
            content: Content::Fields(said),
            unsaid: BTreeMap::new(),
            url: new.url.clone(),
        });
    };
    if is_older(before, new) {
        return Folded::Superseded;
    }
    let mut fields = Fields::new();
    let mut unsaid = BTreeMap::new();
    if let Content::Fields(known) = &before.content {
        for (name, value) in known {
            if !said.contains_key(name) {
                let since = before.unsaid.get(name).copied().unwrap_or(cycle_id);
                unsaid.insert(name.clone(), since);
                fields.insert(name.clone(), value.clone());
            }
        }
    }
    fields.extend(said);
    settle(
        held,
        StoredObservation {
            as_of_date: new.as_of_date.or(before.as_of_date),
            content: Content::Fields(fields),
            unsaid,
            url: new.url.clone(),
        },
    )
}

fn fold_portfolio(
    held: Option<&StoredObservation>,
    standing: Option<&StoredPortfolio<'_>>,
    portfolio: &Portfolio,
    new: &Observation,
) -> Folded {
    let own = held.and_then(|held| match &held.content {
        Content::Portfolio(rows) => Some(StoredPortfolio {
            as_of_date: held.as_of_date,
            rows,
        }),
        _ => None,
    });
    match accept_portfolio(own.as_ref().or(standing), portfolio, new.as_of_date) {
        Decision::Keep(_) => Folded::Superseded,
        Decision::Same if own.is_some() => Folded::Unchanged,
        Decision::Same | Decision::Take => settle(
            held,
            StoredObservation {
                as_of_date: new.as_of_date,
                content: Content::Portfolio(portfolio.rows.clone()),
                unsaid: BTreeMap::new(),
                url: new.url.clone(),
            },
        ),
    }
}

/// Folds the codes of a newer factsheet over the held ones. A code that is missing stays (D3), unless the factsheet has
/// a new code of the same type, which replaces it.
fn fold_codes(
    held: Option<&StoredObservation>,
    said: Vec<StoredCode>,
    new: &Observation,
) -> Folded {
    if held.is_some_and(|held| is_older(held, new)) {
        return Folded::Superseded;
    }
    let known = match held.map(|held| &held.content) {
        Some(Content::Codes(codes)) => codes.as_slice(),
        _ => &[],
    };
    let names_another = |code_type: &str| {
        said.iter().any(|new| {
            new.code_type == code_type
                && !known
                    .iter()
                    .any(|old| old.code_type == new.code_type && old.code == new.code)
        })
    };
    let stays = |old: &&StoredCode| {
        !names_another(&old.code_type)
            && !said
                .iter()
                .any(|new| new.code_type == old.code_type && new.code == old.code)
    };
    let mut codes: Vec<StoredCode> = known.iter().filter(stays).cloned().collect();
    codes.extend(said);
    codes.sort();
    codes.dedup();
    settle(
        held,
        StoredObservation {
            as_of_date: new
                .as_of_date
                .or_else(|| held.and_then(|held| held.as_of_date)),
            content: Content::Codes(codes),
            unsaid: BTreeMap::new(),
            url: new.url.clone(),
        },
    )
}

/// Adds the rows of a newer statement to the held ones. A row that is missing stays (D3): a statement may contain only
/// some of the rows. A statement without a row changes nothing.
fn fold_rows(held: Option<&StoredObservation>, said: Rows, new: &Observation) -> Folded {
    if said.is_empty() {
        return Folded::Unchanged;
    }
    let mut rows = match held.map(|held| &held.content) {
        Some(Content::Rows(rows)) => rows.clone(),
        _ => Rows::new(),
    };
    append::add(&mut rows, said);
    settle(
        held,
        StoredObservation {
            as_of_date: new.as_of_date.max(held.and_then(|held| held.as_of_date)),
            content: Content::Rows(rows),
            unsaid: BTreeMap::new(),
            url: new.url.clone(),
        },
    )
}

/// Returns the portfolio that an older warehouse had under the name of `source`.
#[must_use]
pub fn adopted_portfolio(
    held: &StoredObservation,
    source: SourceName,
) -> Option<&AdoptedPortfolio> {
    match &held.content {
        Content::AdoptedPortfolios(portfolios) => portfolios
            .iter()
            .find(|portfolio| portfolio.source == source.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::FundCode;
    use crate::columns::StatisticsFields;
    use crate::observation::{CodeType, SecurityCode};

    fn says(as_of_date: Option<Date>, url: &str, said: ObservationData) -> Observation {
        Observation {
            fund_code: FundCode::parse("A").unwrap(),
            source: SourceName::SecFundcheck,
            as_of_date,
            url: url.to_owned(),
            data: said,
        }
    }

    fn statistics(as_of: Option<i8>, alpha: Option<i32>, beta: Option<i32>) -> Observation {
        let fields = StatisticsFields {
            alpha: alpha.map(Into::into),
            beta: beta.map(Into::into),
            ..StatisticsFields::default()
        };
        says(
            as_of.map(|day| date(2026, 9, day)),
            "u",
            ObservationData::Statistics(fields),
        )
    }

    fn changed(folded: Folded) -> StoredObservation {
        match folded {
            Folded::Changed(held) => held,
            other => panic!("{other:?}"),
        }
    }

    fn fields(held: &StoredObservation) -> &Fields {
        match &held.content {
            Content::Fields(fields) => fields,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_unreported_field_stays_and_is_marked_with_its_first_cycle() {
        let first = changed(fold(None, None, &statistics(Some(1), Some(1), Some(2)), 7));
        assert!(first.unsaid.is_empty());
        let second = changed(fold(
            Some(&first),
            None,
            &statistics(Some(2), Some(5), None),
            8,
        ));
        assert_eq!(fields(&second)["alpha"], Value::Number(5.into()));
        assert_eq!(fields(&second)["beta"], Value::Number(2.into()));
        assert_eq!(second.unsaid, BTreeMap::from([("beta".to_owned(), 8)]));
        // Later statements do not change the recorded cycle. The field's entry is removed when it is reported again.
        assert_eq!(
            fold(Some(&second), None, &statistics(Some(2), Some(5), None), 9),
            Folded::Unchanged
        );
        let again = changed(fold(
            Some(&second),
            None,
            &statistics(Some(2), Some(5), Some(2)),
            9,
        ));
        assert!(again.unsaid.is_empty());
    }

    #[test]
    fn an_older_statement_is_superseded_whole() {
        let held = changed(fold(None, None, &statistics(Some(2), Some(1), None), 1));
        assert_eq!(
            fold(Some(&held), None, &statistics(Some(1), Some(9), Some(9)), 2),
            Folded::Superseded
        );
        let undated = changed(fold(Some(&held), None, &statistics(None, Some(3), None), 2));
        assert_eq!(
            undated.as_of_date,
            Some(date(2026, 9, 2)),
            "a date is not forgotten"
        );
    }

    #[test]
    fn a_code_stays_until_another_of_its_type_is_reported() {
        let codes = |url: &str, codes: &[&str]| {
            let codes = codes.iter().map(|code| SecurityCode {
                code_type: CodeType::Isin,
                code: (*code).to_owned(),
            });
            says(None, url, ObservationData::Codes(codes.collect()))
        };
        let held_codes = |held: &StoredObservation| match &held.content {
            Content::Codes(codes) => codes
                .iter()
                .map(|code| code.code.clone())
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let both = changed(fold(None, None, &codes("1", &["X", "Y"]), 1));
        assert_eq!(
            fold(Some(&both), None, &codes("1", &["X", "Y"]), 2),
            Folded::Unchanged
        );
        assert_eq!(
            fold(Some(&both), None, &codes("1", &[]), 2),
            Folded::Unchanged
        );
        assert_eq!(
            fold(Some(&both), None, &codes("1", &["X"]), 2),
            Folded::Unchanged
        );
        let other = changed(fold(Some(&both), None, &codes("2", &["Z"]), 3));
        assert_eq!(held_codes(&other), ["Z"]);
    }

    proptest! {
        /// D2, D3: a repetition is unchanged, and no field is lost.
        #[test]
        fn folding_is_idempotent_and_loses_nothing(
            statements in proptest::collection::vec(
                (proptest::option::of(1_i8..5), proptest::option::of(0..3), proptest::option::of(0..3)), 1..8),
        ) {
            let mut held: Option<StoredObservation> = None;
            for (cycle, (as_of, alpha, beta)) in (1..).zip(statements) {
                let said = statistics(as_of, alpha, beta);
                let before = held.clone();
                if let Folded::Changed(now) = fold(held.as_ref(), None, &said, cycle) {
                    prop_assert_eq!(fold(Some(&now), None, &said, cycle + 1), Folded::Unchanged);
                    held = Some(now);
                }
                if let (Some(before), Some(now)) = (&before, &held) {
                    prop_assert!(fields(before).keys().all(|name| fields(now).contains_key(name)));
                }
            }
        }
    }
}
