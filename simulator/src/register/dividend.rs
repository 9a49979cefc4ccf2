//! `daily-info/dividend-history` and `factsheet/dividend-policy`.

use jiff::civil::Date;

use super::class::{Class, classes};
use super::query::Query;
use super::records::company::COMPANIES;
use super::records::dividend::Dividend;
use super::sheet::class_rows;
use super::stamp::stamp;
use crate::json::Json;
use crate::market::Market;

pub(crate) fn rows(market: &Market, query: &Query) -> Vec<String> {
    let mut rows: Vec<(Date, String)> = classes(market)
        .iter()
        .filter(|class| class.is_listed)
        .filter(|class| {
            query
                .proj_id
                .as_deref()
                .is_none_or(|id| id == class.proj_id)
        })
        .flat_map(|class| {
            let paid = class.data.dividends.paid.iter();
            paid.map(|dividend| (dividend.book_closed, row(class, dividend).to_string()))
                .collect::<Vec<_>>()
        })
        .collect();
    rows.sort_by_key(|(date, _)| *date);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn row(class: &Class<'_>, dividend: &Dividend) -> Json {
    let moment = |date: Date| Json::text(format!("{date} 00:00:00.0000000"));
    let name = if class.data.dividends.unnamed && class.data.is_main {
        "-"
    } else {
        &class.code
    };
    Json::Object(vec![
        ("proj_id", Json::text(class.proj_id)),
        ("unique_id", Json::text(COMPANIES[class.project.company].0)),
        ("class_abbr_name", Json::text(name)),
        ("book_close_date", moment(dividend.book_closed)),
        ("dividend_date", moment(dividend.paid)),
        ("dividend_value", Json::raw(&dividend.value)),
        ("last_upd_date", stamp(dividend.paid, class.data.seed)),
    ])
}

pub(crate) fn policy_rows(market: &Market, query: &Query) -> Vec<String> {
    class_rows(market, query, |class, sheet| {
        let mut members = vec![
            ("proj_id", Json::text(class.proj_id)),
            ("fund_class_name", Json::text(class.name_spelt())),
        ];
        members.extend(sheet.members());
        let pays = if class.data.dividends.pays { "Y" } else { "N" };
        members.extend([
            ("dividend_policy", Json::text(pays)),
            sheet.updated(class.data.seed),
        ]);
        vec![Json::Object(members)]
    })
}
