//! The parameters of a query.
//!
//! The gateway ignores parameters whose name it does not know, so a misspelt filter selects everything. It refuses
//! known parameters with an unusable value.

use std::collections::HashMap;

use jiff::civil::Date;

use super::dataset::{Dataset, Filters};

/// The largest page, and the page of a query that sets no size.
const MOST_ROWS: usize = 100;

/// A query, with the filters that its dataset knows.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) dataset: Dataset,
    pub(crate) proj_id: Option<String>,
    /// The exact `fund_class_name`.
    pub(crate) class_name: Option<String>,
    pub(crate) status: Option<String>,
    /// The project's exact `proj_id`, or a part of one of its names.
    pub(crate) project_info: Option<String>,
    /// NAV dates, or periods of a portfolio: the first and the last one.
    pub(crate) from: Option<String>,
    pub(crate) until: Option<String>,
    /// Only the current factsheet.
    pub(crate) latest: bool,
    pub(crate) page_size: usize,
    pub(crate) cursor: Option<String>,
    pub(crate) epoch: u64,
}

impl Query {
    pub(crate) fn parse(
        dataset: Dataset,
        given: &HashMap<String, String>,
        epoch: u64,
    ) -> Result<Self, String> {
        let text = |name: &str| given.get(name).filter(|value| !value.is_empty()).cloned();
        let known = |filter: Filters, name: &str| {
            dataset
                .filters()
                .contains(&filter)
                .then(|| text(name))
                .flatten()
        };
        let page_size = match text("page_size") {
            None => MOST_ROWS,
            Some(size) => size
                .parse()
                .ok()
                .filter(|size| (1..=MOST_ROWS).contains(size))
                .ok_or_else(|| format!("page_size is 1 to {MOST_ROWS}"))?,
        };
        let latest = match known(Filters::Latest, "latest").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err("latest is true or false".to_owned()),
        };
        let mut query = Query {
            dataset,
            proj_id: known(Filters::Project, "proj_id"),
            class_name: known(Filters::Class, "fund_class_name"),
            status: known(Filters::Profile, "fund_status"),
            project_info: known(Filters::Profile, "project_info"),
            from: None,
            until: None,
            latest,
            page_size,
            cursor: text("next_cursor"),
            epoch,
        };
        if dataset.filters().contains(&Filters::NavDates) {
            query.from = date(text("start_nav_date"), "start_nav_date")?;
            query.until = date(text("end_nav_date"), "end_nav_date")?;
        }
        if dataset.filters().contains(&Filters::Periods) {
            query.from = period(text("start_period"), "start_period")?;
            query.until = period(text("end_period"), "end_period")?;
        }
        Ok(query)
    }

    /// The query without its range of dates or periods.
    pub(crate) fn without_range(&self) -> Self {
        Query {
            from: None,
            until: None,
            ..self.clone()
        }
    }

    /// Names the selected rows.
    pub(crate) fn selection_name(&self) -> String {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {}",
            self.dataset,
            self.proj_id,
            self.class_name,
            self.status,
            self.project_info,
            self.from,
            self.until,
            self.latest
        )
    }

    /// Names the query that a cursor is bound to.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.selection_name(), self.page_size)
    }

    /// Whether a date or period of the row's own spelling lies within the range.
    pub(crate) fn covers(&self, value: &str) -> bool {
        self.from.as_deref().is_none_or(|from| from <= value)
            && self.until.as_deref().is_none_or(|until| value <= until)
    }
}

fn date(text: Option<String>, name: &str) -> Result<Option<String>, String> {
    text.map(|text| {
        text.parse::<Date>()
            .map(|date| date.to_string())
            .map_err(|_| format!("{name} is YYYY-MM-DD"))
    })
    .transpose()
}

fn period(text: Option<String>, name: &str) -> Result<Option<String>, String> {
    let is_period =
        |text: &str| text.len() == 6 && text.bytes().all(|digit| digit.is_ascii_digit());
    match text {
        Some(text) if !is_period(&text) => Err(format!("{name} is YYYYMM")),
        usable => Ok(usable),
    }
}
