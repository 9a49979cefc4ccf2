//! Merges the statements of several sources about one fund into one row of a small table, and into its codes (D4). Pure
//! functions: the result depends only on the statements and on which monthly cycles are closed.

use std::collections::BTreeMap;

use crate::SourceName;
use crate::columns::{Fields, Value};
use crate::fold::{Content, StoredCode, StoredObservation};
use crate::precedence::{RowTable, STALE_AFTER_MONTHLY_CYCLES, StatementKey};

/// All folded statements about one fund, by source and dataset.
pub type Statements = BTreeMap<StatementKey, StoredObservation>;

/// A merged row, with the statement that supplied each field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergedRow {
    /// The present values by column, including the as-of date and the URL of the page.
    pub fields: Fields,
    /// The statement that supplied each value.
    pub winners: BTreeMap<String, StatementKey>,
}

/// Merges one row; `None` if no statement reports anything for the table. `closed_monthly` contains the ids of the
/// closed full monthly cycles, from which [`is_stale`] decides whether a field that its source no longer reports is
/// stale.
#[must_use]
pub fn merge_row(
    table: &RowTable,
    statements: &Statements,
    closed_monthly: &[i64],
) -> Option<MergedRow> {
    let mut row = MergedRow::default();
    for column in table.columns {
        let says = |statement_key: &&StatementKey| {
            field(statements, **statement_key, column.name).is_some()
        };
        let still_says = |statement_key: &&StatementKey| {
            says(statement_key)
                && !is_stale(&statements[*statement_key], column.name, closed_monthly)
        };
        let rank = table.rank(column.name);
        let winner = rank
            .iter()
            .find(still_says)
            .or_else(|| rank.iter().find(says));
        if let Some(statement_key) = winner
            && let Some(value) = field(statements, *statement_key, column.name)
        {
            row.fields.insert(column.name.to_owned(), value.clone());
            row.winners.insert(column.name.to_owned(), *statement_key);
        }
    }
    let spoke = |statement_key: &&StatementKey| {
        statements.get(*statement_key).is_some_and(|held| {
            let said = matches!(&held.content, Content::Fields(fields) if !fields.is_empty());
            said || (table.dated && held.as_of_date.is_some())
        })
    };
    let first = table.url_rank.iter().find(spoke);
    if first.is_none() && !table.always {
        return None;
    }
    if let Some(statement_key) = first {
        let url = &statements[statement_key].url;
        if !url.is_empty() {
            row.fields
                .insert(table.url_column.to_owned(), Value::Text(url.clone()));
            row.winners
                .insert(table.url_column.to_owned(), *statement_key);
        }
    }
    if table.dated {
        let dated = table.value_rank.iter().find_map(|statement_key| {
            let as_of_date = statements.get(statement_key)?.as_of_date?;
            Some((statement_key, as_of_date))
        });
        if let Some((statement_key, as_of_date)) = dated {
            row.fields
                .insert("as_of_date".to_owned(), Value::Date(as_of_date));
            row.winners.insert("as_of_date".to_owned(), *statement_key);
        }
    }
    Some(row)
}

fn field<'held>(
    statements: &'held Statements,
    statement_key: StatementKey,
    name: &str,
) -> Option<&'held Value> {
    match &statements.get(&statement_key)?.content {
        Content::Fields(fields) => fields.get(name),
        _ => None,
    }
}

/// Whether the source has not reported the field for [`STALE_AFTER_MONTHLY_CYCLES`] closed monthly cycles.
#[must_use]
pub fn is_stale(held: &StoredObservation, name: &str, closed_monthly: &[i64]) -> bool {
    held.unsaid.get(name).is_some_and(|since| {
        let passed = closed_monthly.iter().filter(|cycle| *cycle >= since);
        passed.count() >= STALE_AFTER_MONTHLY_CYCLES
    })
}

/// Merges the codes of a fund: for each code type, all codes of the highest-ranked statement that has any. A code
/// without the URL of a factsheet has that of the highest-ranked statement that has the same code from a factsheet.
#[must_use]
pub fn merge_codes(
    rank: &[StatementKey],
    statements: &Statements,
) -> BTreeMap<(String, String), (SourceName, StoredCode)> {
    let mut merged: BTreeMap<(String, String), (SourceName, StoredCode)> = BTreeMap::new();
    let mut settled: BTreeMap<&str, StatementKey> = BTreeMap::new();
    for statement_key in rank.iter().copied() {
        let Some(StoredObservation {
            content: Content::Codes(codes),
            ..
        }) = statements.get(&statement_key)
        else {
            continue;
        };
        for code in codes {
            let place = (code.code_type.clone(), code.code.clone());
            if *settled.entry(&code.code_type).or_insert(statement_key) == statement_key {
                merged.insert(place, (statement_key.0, code.clone()));
            } else if let Some((_, chosen)) = merged.get_mut(&place)
                && chosen.url.is_none()
            {
                chosen.url.clone_from(&code.url);
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use SourceName::{Adopted, Finnomena, SecFundcheck, Wealthmagik};
    use jiff::civil::date;

    use super::*;
    use crate::Dataset;
    use std::borrow::Cow;

    use crate::precedence::{CODES, FEE, MASTER, STATISTICS};

    fn held(url: &str, fields: &[(&str, &str)]) -> StoredObservation {
        StoredObservation {
            as_of_date: None,
            content: Content::Fields(
                fields
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), Value::Text((*value).to_owned())))
                    .collect(),
            ),
            unsaid: BTreeMap::new(),
            url: url.to_owned(),
        }
    }

    fn text(row: &MergedRow, name: &str) -> Option<String> {
        row.fields.get(name).map(ToString::to_string)
    }

    #[test]
    fn a_column_may_have_a_rank_of_its_own() {
        let table = RowTable {
            column_ranks: Cow::Borrowed(&[(
                "amc",
                Cow::Borrowed(&[
                    (Wealthmagik, Dataset::Master),
                    (SecFundcheck, Dataset::Master),
                ]),
            )]),
            ..MASTER
        };
        let both = [("amc", "one"), ("risk_level", "two")];
        let statements = Statements::from([
            ((Finnomena, Dataset::Master), held("f", &both)),
            (
                (SecFundcheck, Dataset::Master),
                held("s", &[("amc", "three"), ("risk_level", "four")]),
            ),
        ]);
        let row = merge_row(&table, &statements, &[]).expect("a row");
        assert_eq!(
            text(&row, "amc").as_deref(),
            Some("three"),
            "Finnomena has no rank in it"
        );
        assert_eq!(text(&row, "risk_level").as_deref(), Some("two"));
        assert_eq!(row.winners["amc"], (SecFundcheck, Dataset::Master));
        assert!(table.is_supplied_by((SecFundcheck, Dataset::Master)));
        assert!(!MASTER.is_supplied_by((SecFundcheck, Dataset::Master)));
    }

    #[test]
    fn each_field_is_from_the_first_statement_in_rank_that_has_it() {
        let statements = Statements::from([
            (
                (Finnomena, Dataset::Listing),
                held("list", &[("full_name_th", "list")]),
            ),
            (
                (Wealthmagik, Dataset::Master),
                held(
                    "wm",
                    &[("full_name_th", "wm"), ("amc", "wm"), ("category", "wm")],
                ),
            ),
            (
                (Adopted, Dataset::Master),
                held("old", &[("amc", "old"), ("country", "old")]),
            ),
        ]);
        let row = merge_row(&MASTER, &statements, &[]).unwrap();
        assert_eq!(text(&row, "full_name_th").as_deref(), Some("list"));
        assert_eq!(text(&row, "amc").as_deref(), Some("wm"));
        assert_eq!(text(&row, "country").as_deref(), Some("old"));
        assert_eq!(text(&row, "source_url").as_deref(), Some("list"));
        assert_eq!(row.winners["amc"], (Wealthmagik, Dataset::Master));
    }

    #[test]
    fn a_stale_field_ranks_below_any_reported_one_and_is_never_lost() {
        let mut quiet = held("fn", &[("amc", "fn")]);
        quiet.unsaid.insert("amc".to_owned(), 5);
        let mut statements = Statements::from([
            ((Finnomena, Dataset::Master), quiet),
            ((Wealthmagik, Dataset::Master), held("wm", &[("amc", "wm")])),
        ]);
        let amc = |statements: &Statements, closed: &[i64]| {
            merge_row(&MASTER, statements, closed)
                .and_then(|row| text(&row, "amc"))
                .unwrap()
        };
        assert_eq!(amc(&statements, &[1, 2, 3, 4, 5, 6]), "fn");
        assert_eq!(amc(&statements, &[5, 6, 7]), "wm");
        statements.remove(&(Wealthmagik, Dataset::Master));
        assert_eq!(amc(&statements, &[5, 6, 7]), "fn");
    }

    #[test]
    fn a_row_exists_where_a_value_was_reported() {
        let empty = Statements::from([((Finnomena, Dataset::Fees), held("fee", &[]))]);
        assert_eq!(merge_row(&FEE, &empty, &[]), None);
        let mut dated = held("sec", &[]);
        dated.as_of_date = Some(date(2026, 9, 30));
        let dated = Statements::from([((SecFundcheck, Dataset::Statistics), dated)]);
        let row = merge_row(&STATISTICS, &dated, &[]).unwrap();
        assert_eq!(text(&row, "as_of_date").as_deref(), Some("2026-09-30"));
        let other = Statements::from([(
            (Wealthmagik, Dataset::Statistics),
            held("wm", &[("alpha", "1")]),
        )]);
        assert_eq!(merge_row(&STATISTICS, &other, &[]), None);
    }

    #[test]
    fn a_code_of_a_profile_has_the_factsheet_that_prints_it() {
        use Dataset::{Codes, ProfileCodes};
        use SourceName::SecOpenApi;
        let says = |codes: &[(&str, Option<&str>)]| StoredObservation {
            as_of_date: None,
            content: Content::Codes(
                codes
                    .iter()
                    .map(|(code, url)| StoredCode {
                        code_type: "ISIN".to_owned(),
                        code: (*code).to_owned(),
                        url: url.map(str::to_owned),
                    })
                    .collect(),
            ),
            unsaid: BTreeMap::new(),
            url: String::new(),
        };
        let merged = |statements: &Statements| -> Vec<(SourceName, String, Option<String>)> {
            merge_codes(CODES, statements)
                .into_values()
                .map(|(source, code)| (source, code.code, code.url))
                .collect()
        };
        let mut statements = Statements::from([
            ((SecOpenApi, ProfileCodes), says(&[("X", None)])),
            ((SecOpenApi, Codes), says(&[("X", Some("register.pdf"))])),
        ]);
        let at = |url: &str| vec![(SecOpenApi, "X".to_owned(), Some(url.to_owned()))];
        assert_eq!(merged(&statements), at("register.pdf"));
        statements.insert((Wealthmagik, Codes), says(&[("X", Some("wm.pdf"))]));
        assert_eq!(merged(&statements), at("wm.pdf"));
        // Another code is not that of the profile, so its factsheet is not either.
        statements.insert((Finnomena, Codes), says(&[("Y", Some("fn.pdf"))]));
        assert_eq!(merged(&statements), at("wm.pdf"));
    }

    #[test]
    fn codes_are_believed_by_type() {
        let codes = |codes: &[(&str, &str)]| StoredObservation {
            as_of_date: None,
            content: Content::Codes(
                codes
                    .iter()
                    .map(|(code_type, code)| StoredCode {
                        code_type: (*code_type).to_owned(),
                        code: (*code).to_owned(),
                        url: None,
                    })
                    .collect(),
            ),
            unsaid: BTreeMap::new(),
            url: String::new(),
        };
        let statements = Statements::from([
            ((Finnomena, Dataset::Codes), codes(&[("ISIN", "F")])),
            (
                (Wealthmagik, Dataset::Codes),
                codes(&[("ISIN", "W"), ("Bloomberg", "W TB")]),
            ),
            ((Adopted, Dataset::Codes), codes(&[("Morningstar", "M")])),
        ]);
        let merged: Vec<(String, String)> = merge_codes(CODES, &statements).into_keys().collect();
        let expected = [("Bloomberg", "W TB"), ("ISIN", "F"), ("Morningstar", "M")];
        assert_eq!(
            merged,
            expected.map(|(code_type, code)| (code_type.to_owned(), code.to_owned()))
        );
    }
}
