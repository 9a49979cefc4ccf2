//! `daily-info/dividend-history` and `factsheet/dividend-policy`.

use jiff::ToSpan;
use jiff::civil::Date;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::amc::COMPANIES;
use super::class::{Class, classes};
use super::nav::stamp;
use super::query::Query;
use super::sheet::class_rows;
use crate::generator::spelling::scaled;
use crate::json::Json;
use crate::market::Market;

/// The days from the book closing to the payment.
const PAID_AFTER_DAYS: i64 = 11;

/// The dividends of a class, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dividends {
    pub(crate) pays: bool,
    pub(crate) paid: Vec<Dividend>,
    /// The class name in the history is `-`.
    pub(crate) unnamed: bool,
}

/// One dividend.
#[derive(Clone, Debug)]
pub(crate) struct Dividend {
    pub(crate) book_closed: Date,
    pub(crate) paid: Date,
    /// Baht a unit.
    pub(crate) value: String,
}

pub(crate) fn deal(pays: bool, began: Date, random: &mut ChaCha8Rng) -> Dividends {
    let count = if pays {
        random.random_range(0..=6_i64)
    } else {
        0
    };
    let paid = (1..=count)
        .rev()
        .map(|age| {
            let book_closed = began.saturating_sub((age * 91 + random.random_range(0..20)).days());
            Dividend {
                book_closed,
                paid: book_closed.saturating_add(PAID_AFTER_DAYS.days()),
                value: scaled(random.random_range(5..9_000), 4),
            }
        })
        .collect();
    Dividends {
        pays,
        paid,
        unnamed: false,
    }
}

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
