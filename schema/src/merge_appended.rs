//! Merges the rows of dividends and performance by the rank of their sources (D4). Pure functions.

use std::collections::BTreeMap;

use crate::SourceName;
use crate::append::RowKey;
use crate::columns::{Fields, Value};
use crate::fold::Content;
use crate::merge_funds::Statements;
use crate::precedence::AppendTable;

/// The column for the source that reports a row.
pub const SOURCE_COLUMN: &str = "source";
/// The column for the URL of the page that contains a row.
pub const URL_COLUMN: &str = "source_url";

/// A row of a table with the source that supplied each value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergedEntry {
    /// The present values by column, including [`SOURCE_COLUMN`] and [`URL_COLUMN`].
    pub fields: Fields,
    /// The source of each value.
    pub winners: BTreeMap<String, SourceName>,
}

/// Merges the rows of a fund: each row is that of the first source in rank that reports it, and a value that it lacks
/// is that of the next one. [`SOURCE_COLUMN`] and [`URL_COLUMN`] belong to the first one.
#[must_use]
pub fn merge_appended(
    table: &AppendTable,
    statements: &Statements,
) -> BTreeMap<RowKey, MergedEntry> {
    let mut merged: BTreeMap<RowKey, MergedEntry> = BTreeMap::new();
    for source in table.rank.iter().copied() {
        let held = statements.get(&(source, table.dataset));
        let Some(Content::Rows(rows)) = held.map(|held| &held.content) else {
            continue;
        };
        for (key, row) in rows {
            let entry = merged.entry(key.clone()).or_default();
            let mut values = row.fields.clone();
            if entry.fields.is_empty() {
                let name = source.as_str().to_owned();
                values.insert(SOURCE_COLUMN.to_owned(), Value::Text(name));
                if !row.url.is_empty() {
                    values.insert(URL_COLUMN.to_owned(), Value::Text(row.url.clone()));
                }
            }
            for (column, value) in values {
                if !entry.fields.contains_key(&column) {
                    entry.winners.insert(column.clone(), source);
                    entry.fields.insert(column, value);
                }
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::columns::DividendFields;
    use crate::fold::{Folded, StoredObservation, fold};
    use crate::observation::Dividend;
    use crate::precedence::DIVIDENDS;
    use crate::{Dataset, FundCode, Observation, ObservationData};

    fn says(source: SourceName, dividends: &[(i8, Option<i8>, i32)]) -> Observation {
        let dividends = dividends.iter().map(|(day, pay_day, value)| Dividend {
            xd_date: date(2026, 8, *day),
            fields: DividendFields {
                pay_date: pay_day.map(|day| date(2026, 9, day)),
                value: Some((*value).into()),
            },
            changed_on: None,
        });
        Observation {
            fund_code: FundCode::parse("A").unwrap(),
            source,
            as_of_date: None,
            url: source.as_str().to_owned(),
            data: ObservationData::Dividends(dividends.collect()),
        }
    }

    fn changed(folded: Folded) -> StoredObservation {
        match folded {
            Folded::Changed(held) => held,
            other => panic!("{other:?}"),
        }
    }

    fn shown(rows: &BTreeMap<RowKey, MergedEntry>) -> Vec<String> {
        rows.iter()
            .map(|(key, entry)| {
                let fields = entry.fields.iter();
                let fields: Vec<String> = fields
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                format!("{key} {}", fields.join(" "))
            })
            .collect()
    }

    fn merged(statements: &[(SourceName, &StoredObservation)]) -> Vec<String> {
        let statements = statements
            .iter()
            .map(|(source, held)| ((*source, Dataset::Dividends), (*held).clone()))
            .collect();
        shown(&merge_appended(&DIVIDENDS, &statements))
    }

    #[test]
    fn a_row_that_is_no_longer_reported_stays_and_a_changed_value_replaces_the_old_one() {
        let register = SourceName::SecOpenApi;
        let first = changed(fold(
            None,
            None,
            &says(register, &[(1, Some(1), 3), (2, Some(2), 4)]),
            1,
        ));
        let later = says(register, &[(2, None, 5), (3, Some(3), 6)]);
        let second = changed(fold(Some(&first), None, &later, 2));
        assert_eq!(
            merged(&[(register, &second)]),
            [
                "2026-08-01 pay_date=2026-09-01 source=sec_open_api source_url=sec_open_api value=3",
                "2026-08-02 pay_date=2026-09-02 source=sec_open_api source_url=sec_open_api value=5",
                "2026-08-03 pay_date=2026-09-03 source=sec_open_api source_url=sec_open_api value=6",
            ]
        );
        assert_eq!(fold(Some(&second), None, &later, 3), Folded::Unchanged);
        let empty = says(register, &[]);
        assert_eq!(fold(Some(&second), None, &empty, 3), Folded::Unchanged);
        assert_eq!(fold(None, None, &empty, 3), Folded::Unchanged);
    }

    #[test]
    fn a_row_is_the_first_sources_and_a_lacking_value_the_next_ones() {
        let (register, site) = (SourceName::SecOpenApi, SourceName::Finnomena);
        let of_register = changed(fold(None, None, &says(register, &[(1, None, 3)]), 1));
        let of_site = changed(fold(
            None,
            None,
            &says(site, &[(1, Some(9), 4), (2, None, 8)]),
            1,
        ));
        assert_eq!(
            merged(&[(site, &of_site), (register, &of_register)]),
            [
                "2026-08-01 pay_date=2026-09-09 source=sec_open_api source_url=sec_open_api value=3",
                "2026-08-02 source=finnomena source_url=finnomena value=8",
            ]
        );
    }
}
