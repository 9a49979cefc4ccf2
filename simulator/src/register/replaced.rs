//! Rows that a test supplies in place of the market's: captured answers, or a dataset without a company.

use std::collections::BTreeMap;
use std::io;

use parking_lot::Mutex;
use serde_json::Value;

use super::dataset::Dataset;
use super::query::Query;

/// The supplied rows by dataset.
#[derive(Debug, Default)]
pub(crate) struct Replaced(Mutex<BTreeMap<Dataset, Vec<Row>>>);

/// A row and the values that queries select by.
#[derive(Debug)]
struct Row {
    json: String,
    proj_id: Option<String>,
    class_name: Option<String>,
    nav_date: Option<String>,
}

impl Replaced {
    /// Replaces the rows of a dataset, which is named by its path below `/v2/fund/`. Each row is a JSON object.
    pub(crate) fn set(&self, path: &str, rows: &[String]) -> io::Result<()> {
        let dataset = path
            .split_once('/')
            .and_then(|(group, name)| Dataset::of(group, name))
            .ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("no dataset {path}"))
            })?;
        let rows = rows
            .iter()
            .map(|row| Row::of(row))
            .collect::<io::Result<_>>()?;
        self.0.lock().insert(dataset, rows);
        Ok(())
    }

    /// Serves the market's own rows again.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// The supplied rows that a query selects; `None` if its dataset has none.
    pub(crate) fn rows(&self, query: &Query) -> Option<Vec<String>> {
        let replaced = self.0.lock();
        let is = |wanted: &Option<String>, own: &Option<String>| wanted.is_none() || wanted == own;
        let selected = replaced.get(&query.dataset)?.iter().filter(|row| {
            is(&query.proj_id, &row.proj_id)
                && is(&query.class_name, &row.class_name)
                && row
                    .nav_date
                    .as_deref()
                    .is_none_or(|date| query.covers(date))
        });
        Some(selected.map(|row| row.json.clone()).collect())
    }
}

impl Row {
    fn of(json: &str) -> io::Result<Self> {
        let row: Value = serde_json::from_str(json)?;
        let text = |member: &str| row[member].as_str().map(|text| text.trim().to_owned());
        Ok(Row {
            json: json.to_owned(),
            proj_id: text("proj_id"),
            class_name: text("fund_class_name"),
            nav_date: text("nav_date"),
        })
    }
}
