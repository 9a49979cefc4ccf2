//! `factsheet/statistics`: all values are texts.

use super::class::Class;
use super::query::Query;
use super::records::publication::mixed;
use super::records::statistic::VALUES;
use super::sheet::{Sheet, class_rows};
use crate::generator::spelling::scaled;
use crate::json::Json;
use crate::market::Market;

pub(crate) fn rows(market: &Market, query: &Query) -> Vec<String> {
    class_rows(market, query, |class, sheet| vec![row(class, sheet)])
}

fn row(class: &Class<'_>, sheet: Sheet) -> Json {
    let statistics = &class.data.statistics;
    // Earlier factsheets had other values.
    let text = |text: &str| match sheet.age {
        0 => Json::text(text),
        age => Json::text(scaled(
            i64::try_from(mixed(class.data.seed ^ age) % 900).unwrap_or_default(),
            2,
        )),
    };
    let mut members = vec![
        ("proj_id", Json::text(class.proj_id)),
        ("fund_class_name", Json::text(class.name_spelt())),
    ];
    members.extend(sheet.members());
    members.extend([
        ("recovering_period", Json::text(&statistics.recovering)),
        ("portfolio_duration_period", Json::text("1 เดือน 13 วัน")),
    ]);
    let values = VALUES.iter().zip(&statistics.texts);
    members.extend(values.map(|((member, ..), value)| (*member, text(value))));
    members.extend([
        (
            "yield_to_maturity",
            Json::text(statistics.yield_to_maturity),
        ),
        sheet.updated(class.data.seed),
    ]);
    Json::Object(members)
}
