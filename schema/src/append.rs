//! The rows of the tables whose rows are only added and changed: dividends and performance (D3). Pure functions.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::ObservationData;
use crate::columns::{Fields, Record};

/// The key of a row within its fund.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    /// The XD date or the as-of date.
    pub date: Date,
    /// The period; empty for a dividend.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub word: String,
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date.fmt(f)?;
        if self.word.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", self.word)
        }
    }
}

/// A row as one source reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// The present values.
    pub fields: Fields,
    /// The URL of the page that contained the row last.
    pub url: String,
}

/// Rows by key.
pub type Rows = BTreeMap<RowKey, StoredRow>;

/// The rows of a statement; none for a statement of another kind. A row without a value is left out. Of two values
/// under one key, the later one counts.
#[must_use]
pub fn rows_of(said: &ObservationData, url: &str) -> Rows {
    let mut rows = Rows::new();
    let mut put = |date: Date, word: &str, fields: Fields| {
        let key = RowKey {
            date,
            word: word.to_owned(),
        };
        let url = url.to_owned();
        add(&mut rows, Rows::from([(key, StoredRow { fields, url })]));
    };
    match said {
        ObservationData::Dividends(dividends) => {
            for dividend in dividends {
                put(dividend.xd_date, "", dividend.fields.clone().into_fields());
            }
        }
        ObservationData::Performance(performance) => {
            for row in performance {
                put(
                    row.as_of_date,
                    &row.period,
                    row.fields.clone().into_fields(),
                );
            }
        }
        _ => {}
    }
    rows
}

/// Adds rows to the ones of an earlier statement. A missing row or value never replaces one that is present.
pub fn add(rows: &mut Rows, said: Rows) {
    for (key, row) in said {
        if row.fields.is_empty() {
            continue;
        }
        match rows.get_mut(&key) {
            Some(known) => {
                known.fields.extend(row.fields);
                known.url = row.url;
            }
            None => {
                rows.insert(key, row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::columns::{PerformanceFields, Value};
    use crate::observation::PerformanceRow;

    #[test]
    fn a_performance_row_is_told_apart_by_its_date_and_period_and_needs_a_value() {
        let row = |period: &str, fund: Option<i32>| PerformanceRow {
            as_of_date: date(2026, 9, 30),
            period: period.to_owned(),
            fields: PerformanceFields {
                fund: fund.map(Into::into),
                ..PerformanceFields::default()
            },
        };
        let said = ObservationData::Performance(vec![
            row("1 year", Some(4)),
            row("3 years", None),
            row("1 year", Some(5)),
        ]);
        let rows = rows_of(&said, "u");
        let keys: Vec<String> = rows.keys().map(ToString::to_string).collect();
        assert_eq!(keys, ["2026-09-30 1 year"]);
        let values: Vec<&Value> = rows.values().flat_map(|row| row.fields.values()).collect();
        assert_eq!(values, [&Value::Number(5.into())]);
    }
}
