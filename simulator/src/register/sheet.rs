//! The factsheets that the datasets below `factsheet/` report: one a month, of a class or of a project.

use jiff::ToSpan;
use jiff::civil::Date;

use super::class::{Class, classes};
use super::query::Query;
use super::records::Status;
use super::stamp::stamp;
use crate::json::Json;
use crate::market::Market;

/// The number of factsheets that a class has had.
const SHEETS: i64 = 3;

/// The effective period of one factsheet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sheet {
    /// The as-of date: the last day of a month.
    pub(crate) start: Date,
    /// The day before the next factsheet; `None` for the current one.
    end: Option<Date>,
    kind: &'static str,
    /// 0 for the current factsheet.
    pub(crate) age: u64,
}

impl Sheet {
    /// The members that every row of a factsheet has, without `last_upd_date`.
    pub(crate) fn members(self) -> [(&'static str, Json); 3] {
        [
            ("start_date", Json::text(self.start)),
            ("end_date", Json::text_or_null(self.end)),
            ("prospectus_type", Json::text(self.kind)),
        ]
    }

    /// `last_upd_date`: some days after the as-of date.
    pub(crate) fn updated(self, draw: u64) -> (&'static str, Json) {
        (
            "last_upd_date",
            stamp(self.start.saturating_add(12.days()), draw),
        )
    }
}

/// The as-of date of the current factsheet.
pub(crate) fn current(market: &Market) -> Date {
    as_of(market.register.began, 0)
}

fn as_of(began: Date, age: i64) -> Date {
    began
        .first_of_month()
        .saturating_sub(age.months())
        .saturating_sub(1.day())
}

/// A class's factsheets, the current one first. A dead class has none.
pub(crate) fn sheets(market: &Market, class: &Class<'_>) -> Vec<Sheet> {
    if !has_sheets(class) {
        return Vec::new();
    }
    let began = market.register.began;
    let offered = class.status == Status::Ipo;
    (0..if offered { 1 } else { SHEETS })
        .zip(0..)
        .map(|(age, place)| Sheet {
            start: as_of(began, age),
            end: (age > 0).then(|| as_of(began, age - 1).saturating_sub(1.day())),
            kind: match (offered, class.data.seed.is_multiple_of(9)) {
                (true, _) => "IPO",
                (false, true) => "SignificantFactsheet",
                (false, false) => "Monthly",
            },
            age: place,
        })
        .collect()
}

pub(crate) fn has_sheets(class: &Class<'_>) -> bool {
    class.is_listed && !Status::DEAD.contains(&class.status)
}

/// The rows of a dataset of classes: `row_of` makes those of one factsheet. The oldest factsheet comes first in the
/// answers of some classes, and last in those of others.
pub(crate) fn class_rows(
    market: &Market,
    query: &Query,
    row_of: impl Fn(&Class<'_>, Sheet) -> Vec<Json>,
) -> Vec<String> {
    selected(market, query)
        .iter()
        .filter(|class| {
            query
                .class_name
                .as_deref()
                .is_none_or(|name| name == class.name_spelt().trim())
        })
        .flat_map(|class| rows_of(market, query, class, &row_of))
        .collect()
}

/// The rows of a dataset of projects.
pub(crate) fn project_rows(
    market: &Market,
    query: &Query,
    row_of: impl Fn(&Class<'_>, Sheet) -> Vec<Json>,
) -> Vec<String> {
    first_of_projects(selected(market, query))
        .iter()
        .flat_map(|class| rows_of(market, query, class, &row_of))
        .collect()
}

/// The first class of each project.
pub(crate) fn first_of_projects(mut classes: Vec<Class<'_>>) -> Vec<Class<'_>> {
    classes.dedup_by(|next, first| next.proj_id == first.proj_id);
    classes
}

/// The classes that have factsheets and belong to the project of the query, if it names one.
pub(crate) fn selected<'market>(market: &'market Market, query: &Query) -> Vec<Class<'market>> {
    classes(market)
        .into_iter()
        .filter(|class| has_sheets(class))
        .filter(|class| {
            query
                .proj_id
                .as_deref()
                .is_none_or(|id| id == class.proj_id)
        })
        .collect()
}

fn rows_of(
    market: &Market,
    query: &Query,
    class: &Class<'_>,
    row_of: &impl Fn(&Class<'_>, Sheet) -> Vec<Json>,
) -> Vec<String> {
    let mut sheets = sheets(market, class);
    sheets
        .retain(|sheet| !query.latest || sheet.age == 0 || (sheet.age == 1 && class.data.overlaps));
    if class.data.seed.is_multiple_of(2) {
        sheets.reverse();
    }
    sheets
        .into_iter()
        .flat_map(|sheet| row_of(class, sheet))
        .map(|row| row.to_string())
        .collect()
}
