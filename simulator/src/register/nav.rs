//! `daily-info/nav`: the NAV and the prices of each class and day, ordered by day: those of one project the newest
//! first. The API promises no order.

use std::cmp::Reverse;

use jiff::civil::Date;

use super::class::{Class, classes};
use super::query::Query;
use super::records::company::COMPANIES;
use super::records::publication::{RegisterDay, Window, mixed, published};
use super::stamp::stamp;
use crate::generator::spelling::scaled;
use crate::json::Json;
use crate::market::Market;

/// The rows of a class that are published up to today, in the order of their dates.
pub(crate) fn days(market: &Market, class: &Class<'_>) -> Vec<RegisterDay> {
    let Some(nav) = class.nav else {
        return Vec::new();
    };
    let today = market.today;
    let window = Window {
        hole: market.register.hole,
        after: class.after,
        until: class.until.map_or(today, |until| until.min(today)),
    };
    published(nav, &class.data.publication, window)
}

pub(crate) fn rows(market: &Market, query: &Query) -> Vec<String> {
    let is = |wanted: &Option<String>, value: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == value)
    };
    let mut rows: Vec<(Date, String)> = classes(market)
        .iter()
        .filter(|class| {
            class.is_served
                && is(&query.proj_id, class.proj_id)
                && is(&query.class_name, class.name_spelt().trim())
        })
        .flat_map(|class| {
            days(market, class)
                .into_iter()
                .filter(|day| query.covers(&day.date.to_string()))
                .map(|day| (day.date, row(class, &day).to_string()))
                .collect::<Vec<_>>()
        })
        .collect();
    // Stable: within a day, the order of the classes and of duplicated rows stays.
    match query.proj_id {
        Some(_) => rows.sort_by_key(|(date, _)| Reverse(*date)),
        None => rows.sort_by_key(|(date, _)| *date),
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

fn row(class: &Class<'_>, day: &RegisterDay) -> Json {
    let swaps = mixed(class.data.seed).is_multiple_of(3);
    let swap = |price: i64| if swaps { price } else { 0 };
    Json::Object(vec![
        ("proj_id", Json::text(class.proj_id)),
        ("unique_id", Json::text(COMPANIES[class.project.company].0)),
        ("fund_class_name", Json::text(class.name_spelt())),
        ("nav_date", Json::text(day.date)),
        ("net_asset", Json::raw(float(day.net_asset, 2))),
        ("last_val", Json::raw(float(day.last_val, 4))),
        ("sell_price", Json::raw(float(day.sell, 4))),
        ("buy_price", Json::raw(float(day.buy, 4))),
        ("sell_swap_price", Json::raw(float(swap(day.buy), 4))),
        ("buy_swap_price", Json::raw(float(swap(day.sell), 4))),
        ("last_upd_date", stamp(day.updated, class.data.seed)),
    ])
}

/// A number as the API writes it: with a fraction always.
pub(crate) fn float(units: i64, places: u32) -> String {
    let number = scaled(units, places);
    if number.contains('.') {
        number
    } else {
        format!("{number}.0")
    }
}
