//! `factsheet/performance`: one row for each figure and period.

use super::class::Class;
use super::query::Query;
use super::records::performance::{FIGURES, PERIODS};
use super::sheet::{Sheet, class_rows};
use crate::json::Json;
use crate::market::Market;

pub(crate) fn rows(market: &Market, query: &Query) -> Vec<String> {
    class_rows(market, query, |class, sheet| {
        let texts = class.data.performance.texts.iter();
        texts
            .map(|(figure, period, text)| {
                row(class, sheet, FIGURES[*figure].1, PERIODS[*period], text)
            })
            .collect()
    })
}

fn row(class: &Class<'_>, sheet: Sheet, figure: &str, period: &str, text: &str) -> Json {
    let mut members = vec![
        ("proj_id", Json::text(class.proj_id)),
        ("fund_class_name", Json::text(class.name_spelt())),
    ];
    members.extend(sheet.members());
    let text = if sheet.age == 0 { text } else { "1.11" };
    members.extend([
        ("performance_type_desc", Json::text(figure)),
        ("reference_period", Json::text(period)),
        ("performance_value", Json::text(text)),
        sheet.updated(class.data.seed),
    ]);
    Json::Object(members)
}
