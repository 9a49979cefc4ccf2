//! `outstanding/portfolio`, the quarterly full portfolio, and `factsheet/asset-allocation` and
//! `factsheet/top5-holdings`: rows of projects.

use jiff::ToSpan;
use jiff::civil::Date;

use super::class::{Class, classes};
use super::query::Query;
use super::records::portfolio::Holding;
use super::sheet::{Sheet, first_of_projects, has_sheets, project_rows};
use super::stamp::stamp;
use crate::generator::spelling::scaled;
use crate::json::Json;
use crate::market::Market;

/// The id of the row that sums up the others.
const TOTAL: &str = "903";
/// Quarters that the API serves.
const QUARTERS: i32 = 2;
/// The days from the end of a quarter to its publication.
const PUBLISHED_AFTER_DAYS: i64 = 45;

/// The last day of the newest quarter that is published on the market's first date.
pub(crate) fn newest_quarter(market: &Market) -> Date {
    let latest = market
        .register
        .began
        .saturating_sub(PUBLISHED_AFTER_DAYS.days());
    let months_into_quarter = i64::from((latest.month() - 1) % 3);
    latest
        .first_of_month()
        .saturating_sub(months_into_quarter.months())
        .saturating_sub(1.day())
}

pub(crate) fn rows(market: &Market, query: &Query) -> Vec<String> {
    let listed: Vec<Class<'_>> = classes(market)
        .into_iter()
        .filter(|class| has_sheets(class) && class.nav.is_some())
        .filter(|class| {
            query
                .proj_id
                .as_deref()
                .is_none_or(|id| id == class.proj_id)
        })
        .collect();
    let newest = newest_quarter(market);
    let mut rows = Vec::new();
    for class in first_of_projects(listed) {
        for age in (0..QUARTERS).rev() {
            let as_of = newest
                .first_of_month()
                .saturating_sub((3 * age).months())
                .last_of_month();
            let period = as_of.strftime("%Y%m").to_string();
            if query.covers(&period) {
                rows.extend(quarter(&class, as_of, &period, age));
            }
        }
    }
    rows
}

fn quarter(class: &Class<'_>, as_of: Date, period: &str, age: i32) -> Vec<String> {
    let holdings = &class.project.portfolio.holdings;
    let total = Holding {
        instrument: (TOTAL, "รวมทรัพย์สินสุทธิ", None, None, ""),
        value: holdings.iter().map(|holding| holding.value).sum(),
        percent: 10_000_000,
    };
    let row = |holding: &Holding| {
        let (id, kind, code, isin, issuer) = holding.instrument;
        let blank_or_null = |text: Option<&str>| match text {
            Some(text) => Json::text(text),
            None if class.data.seed.is_multiple_of(2) => Json::text(""),
            None => Json::Null,
        };
        Json::Object(vec![
            ("proj_id", Json::text(class.proj_id)),
            ("period", Json::raw(period)),
            ("as_of_date", Json::text(as_of)),
            ("assetliab_id", Json::text(id)),
            ("assetliab_desc", Json::text(kind)),
            ("issue_code", blank_or_null(code)),
            ("isin_code", blank_or_null(isin)),
            ("issuer", Json::text(issuer)),
            ("assetliab_value", Json::raw(scaled(holding.value, 2))),
            (
                "percent_nav",
                Json::raw(scaled(holding.percent + i64::from(age), 5)),
            ),
            (
                "last_upd_date",
                stamp(as_of.saturating_add(4.days()), class.data.seed),
            ),
        ])
        .to_string()
    };
    // The total is one of the rows.
    let middle = holdings.len() / 2;
    let (before, after) = holdings.split_at(middle);
    before
        .iter()
        .chain([&total])
        .chain(after)
        .map(row)
        .collect()
}

pub(crate) fn allocation_rows(market: &Market, query: &Query) -> Vec<String> {
    project_rows(market, query, |class, sheet| {
        let assets = class.project.portfolio.assets.iter();
        assets
            .map(|(seq, name, ratio)| asset(class, sheet, *seq, name, ratio))
            .collect()
    })
}

pub(crate) fn top_rows(market: &Market, query: &Query) -> Vec<String> {
    project_rows(market, query, |class, sheet| {
        let holdings = class.project.portfolio.holdings.iter().take(5);
        (1..)
            .zip(holdings)
            .map(|(seq, holding)| asset(class, sheet, seq, holding.name(), &holding.percent()))
            .collect()
    })
}

fn asset(class: &Class<'_>, sheet: Sheet, seq: usize, name: &str, ratio: &str) -> Json {
    let mut members = vec![("proj_id", Json::text(class.proj_id))];
    members.extend(sheet.members());
    let ratio = if sheet.age == 0 { ratio } else { "9.99" };
    members.extend([
        ("asset_seq", Json::raw(seq)),
        ("asset_name", Json::text(name)),
        ("asset_ratio", Json::raw(ratio)),
        sheet.updated(class.data.seed),
    ]);
    Json::Object(members)
}
