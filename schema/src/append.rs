//! The rows of the tables whose rows are only added and changed: dividends and performance (D3). Pure functions.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::ObservationData;
use crate::columns::{Fields, Record};
use crate::dividends::{self, DividendRow, DividendRows};

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
    /// The records that a dividend is derived from; none for performance, and for a dividend that was stored by a
    /// program without them.
    pub dividends: DividendRows,
}

impl StoredRow {
    /// Adds a row of the same key. The values of a dividend are derived from all records. A missing value replaces no
    /// present one.
    fn add(&mut self, said: Self) {
        if said.dividends.is_empty() {
            self.fields.extend(said.fields);
        } else {
            if self.dividends.is_empty() {
                self.dividends.insert(DividendRow::of_stored(&self.fields));
            }
            dividends::add(&mut self.dividends, &said.dividends);
            self.fields
                .extend(dividends::of_day(&self.dividends).into_fields());
        }
        self.url = said.url;
    }
}

/// Rows by key.
pub type Rows = BTreeMap<RowKey, StoredRow>;

/// The rows of a statement; none for a statement of another kind. A row without a value is left out. Of two values of
/// performance under one key, the later one counts; the dividends of one day are put together by [`crate::dividends`].
#[must_use]
pub fn rows_of(said: &ObservationData, url: &str) -> Rows {
    let mut rows = Rows::new();
    match said {
        ObservationData::Dividends(said) => {
            let mut days: BTreeMap<Date, DividendRows> = BTreeMap::new();
            for dividend in said {
                let row = DividendRow::of(&dividend.fields, dividend.changed_on);
                days.entry(dividend.xd_date).or_default().insert(row);
            }
            for (date, said) in days {
                let mut dividends = DividendRows::new();
                dividends::add(&mut dividends, &said);
                let key = RowKey {
                    date,
                    word: String::new(),
                };
                let row = StoredRow {
                    fields: dividends::of_day(&dividends).into_fields(),
                    url: url.to_owned(),
                    dividends,
                };
                add(&mut rows, Rows::from([(key, row)]));
            }
        }
        ObservationData::Performance(performance) => {
            for said in performance {
                let key = RowKey {
                    date: said.as_of_date,
                    word: said.period.clone(),
                };
                let row = StoredRow {
                    fields: said.fields.clone().into_fields(),
                    url: url.to_owned(),
                    dividends: DividendRows::new(),
                };
                add(&mut rows, Rows::from([(key, row)]));
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
            Some(known) => known.add(row),
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
