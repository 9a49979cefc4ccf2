//! The rows of a portfolio, collected the same way from JSON and HTML (D3, D6).

use jiff::civil::Date;
use schema::observation::{Portfolio, PortfolioKind, PortfolioRow};
use schema::{Dataset, Number, ObservationData};

use crate::sites::findings::Findings;
use crate::text::name;

/// The maximum number of rows of one portfolio; a real one has at most a few thousand.
const MAX_ROWS: usize = 20_000;

/// Collects the rows of one portfolio in page order.
pub struct PortfolioRows {
    dataset: Dataset,
    portfolio: Portfolio,
    /// Whether there are more than [`MAX_ROWS`] rows; then the portfolio is not stored.
    too_many: bool,
}

impl PortfolioRows {
    /// Starts without rows.
    pub fn new(kind: PortfolioKind) -> Self {
        let none_yet = || Portfolio {
            kind,
            rows: Vec::new(),
            unreadable: 0,
        };
        Self {
            dataset: ObservationData::Portfolio(none_yet()).dataset(),
            portfolio: none_yet(),
            too_many: false,
        }
    }

    /// Adds one row. A row without a name is rejected; a row with an unreadable percentage is kept with `None`. Both
    /// are counted as unreadable. A row whose percentage is a missing-value word is not.
    pub fn take<E: ToString>(
        &mut self,
        findings: &mut Findings,
        row_name: Result<Option<String>, String>,
        percent: Result<Option<Number>, E>,
        sample: &str,
    ) {
        let dataset = self.dataset;
        if self.portfolio.rows.len() >= MAX_ROWS {
            if !self.too_many {
                self.too_many = true;
                findings.reject(
                    dataset,
                    "*",
                    format!("more than {MAX_ROWS} rows in one portfolio; not used"),
                    sample,
                );
            }
            return;
        }
        let row_name = match row_name {
            Ok(text) => text
                .map(|text| name::normalise(&text))
                .filter(|text| !text.is_empty()),
            Err(reason) => {
                self.portfolio.unreadable += 1;
                findings.reject(dataset, "name", reason, sample);
                return;
            }
        };
        let Some(row_name) = row_name.filter(|text| text.chars().count() <= name::MAX_CHARS) else {
            self.portfolio.unreadable += 1;
            let reason = format!("expected a name of at most {} characters", name::MAX_CHARS);
            findings.reject(dataset, "name", reason, sample);
            return;
        };
        let percent = match percent {
            Ok(percent) => percent,
            Err(reason) => {
                self.portfolio.unreadable += 1;
                findings.note(
                    dataset,
                    "percent",
                    format!("{}; kept without percent", reason.to_string()),
                    sample,
                );
                None
            }
        };
        self.portfolio.rows.push(PortfolioRow {
            name: row_name,
            percent,
        });
    }

    /// Adds the portfolio to the findings if it has at least one row and not too many.
    pub fn state(self, findings: &mut Findings, as_of_date: Option<Date>) {
        if let Some(portfolio) = self.into_portfolio() {
            findings.say(as_of_date, ObservationData::Portfolio(portfolio));
        }
    }

    /// The portfolio if it has at least one row and not too many.
    pub fn into_portfolio(self) -> Option<Portfolio> {
        (!self.portfolio.rows.is_empty() && !self.too_many).then_some(self.portfolio)
    }

    /// The dataset of these rows.
    pub const fn dataset(&self) -> Dataset {
        self.dataset
    }
}
