//! Finnomena's JSON API, with the key sets, types and key order of the captured answers, and a bare `NaN` for the funds
//! with that edge case.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::ToSpan;
use jiff::civil::Date;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::edge_case::EdgeCase;
use crate::finnomena_performance::performance;
use crate::finnomena_portfolio::{fees, portfolio};
use crate::generator::spelling::{random_number, rfc3339};
use crate::hosts::Site;
use crate::html;
use crate::json::Json;
use crate::market::{Fund, Market, Standing};
use crate::mass_changes::PageKind;
use crate::nav_series::range_start;
use crate::site::{Answer, Asked, View, World};

/// The common prefix of all paths.
pub(crate) const BASE: &str = "/fn3/api/fund/v2/public";

/// The answer for an unknown fund.
pub(crate) fn not_found() -> Answer {
    Answer::json(
        404,
        "{\"status\":false,\"service_code\":\"51\",\"message\":\"fund not found\",\"data\":null}",
    )
}

pub(crate) fn answer(world: &World, asked: &Asked, view: View) -> Answer {
    let segments = asked.segments();
    let page = PageKind::of(Site::Finnomena, &segments);
    let market = world.shown(Site::Finnomena, page);
    if segments == ["fund"] {
        return Answer::html(200, site_page());
    }
    let ["fn3", "api", "fund", "v2", "public", rest @ ..] = segments.as_slice() else {
        return Answer::json(404, "{\"message\":\"no Route matched with those values\"}");
    };
    if view.empty && rest.len() > 1 {
        return envelope(&Json::Object(Vec::new()));
    }
    match rest {
        ["funds"] => envelope(&list(&market, view)),
        ["filter"] => filter(&market, asked, view),
        ["categories"] => envelope(&categories()),
        ["funds", fund_id, page @ ..] => {
            let fund = market
                .funds
                .iter()
                .find(|fund| fund.fund_id == *fund_id && fund.on_finnomena());
            fund.and_then(|fund| fund_answer(world, &market, fund, page, asked))
                .unwrap_or_else(not_found)
        }
        _ => not_found(),
    }
}

/// The site's page about funds.
fn site_page() -> String {
    html::Page {
        title: "กองทุนรวม",
        root: "<h1>กองทุนรวม</h1>",
        state: None,
        overlay: false,
        script: "",
    }
    .html()
}

fn fund_answer(
    world: &World,
    market: &Market,
    fund: &Fund,
    page: &[&str],
    asked: &Asked,
) -> Option<Answer> {
    let data = match page {
        [] => fund_page(world, market, fund)?,
        ["latest"] => latest(market, fund)?,
        ["nav", "q"] => {
            let range = asked.query.get("range").map_or("1Y", String::as_str);
            let short = range == "MAX" && world.mass_changes.shortens_histories(Site::Finnomena);
            return nav(market, fund, if short { "1M" } else { range });
        }
        ["performance"] => performance(market, fund),
        ["fee"] => fees(market, fund)?,
        ["dividend"] => dividend(market, fund),
        ["portfolio"] => portfolio(fund, fund.finnomena.portfolio.as_ref()?),
        _ => return None,
    };
    Some(envelope(&data))
}

fn envelope(data: &Json) -> Answer {
    Answer::json(
        200,
        &format!("{{\"status\":true,\"service_code\":\"51\",\"data\":{data}}}"),
    )
}

fn flag(value: bool) -> Json {
    Json::raw(value)
}

fn list(market: &Market, view: View) -> Json {
    let mut entries = Vec::new();
    for fund in market
        .funds
        .iter()
        .filter(|fund| fund.on_finnomena() && !fund.unlisted)
    {
        if fund.edge_cases.contains(&EdgeCase::ListedTwice) {
            let mut old = list_entry(fund, Json::text(&fund.code_spelt), false);
            old[0].1 = Json::text(format!("{}X", fund.fund_id));
            entries.push(Json::Object(old));
        }
        entries.push(Json::Object(list_entry(
            fund,
            Json::text(&fund.code_spelt),
            fund.standing == Standing::Active,
        )));
    }
    if let Some(first) = market.funds.first() {
        for (place, blank) in market.blank_entries.iter().enumerate() {
            let mut entry = list_entry(first, blank.clone(), true);
            entry[0].1 = Json::text(format!("F0BLANK{place:03}"));
            entries.insert(place.min(entries.len()), Json::Object(entry));
        }
    }
    if view.shrunk {
        entries.truncate(entries.len() / 3);
    }
    Json::List(entries)
}

fn list_entry(fund: &Fund, short_code: Json, active: bool) -> Vec<(&'static str, Json)> {
    let described = fund.fund_id.ends_with(['1', '5', '9']);
    let category = fund
        .finnomena
        .page
        .as_ref()
        .and_then(|page| page.iter().find(|(key, _)| *key == "aimc_category_id"));
    vec![
        ("fund_id", Json::text(&fund.fund_id)),
        ("short_code", short_code),
        ("name_th", fund.finnomena.list_name_th.clone()),
        (
            "aimc_category_id",
            category.map_or(Json::Null, |(_, id)| id.clone()),
        ),
        (
            "short_desc",
            Json::text_or_null(described.then_some("กองทุนแนะนำ")),
        ),
        ("is_finnomena_pick", flag(false)),
        ("credit_card_allowed", flag(described)),
        ("is_in_trending", flag(false)),
        ("sec_is_active", flag(active)),
        ("promotions", Json::List(Vec::new())),
    ]
}

fn fund_page(world: &World, market: &Market, fund: &Fund) -> Option<Json> {
    let mut members = vec![
        ("fund_id", Json::text(&fund.fund_id)),
        ("short_code", Json::text(&fund.code_spelt)),
    ];
    members.extend(fund.finnomena.page.clone()?);
    let factsheet = fund
        .factsheet
        .finnomena_path
        .as_ref()
        .map(|path| format!("{}{path}", world.urls().documents));
    let active = fund.standing == Standing::Active;
    members.extend([
        (
            "investment_strategy",
            Json::text("มุ่งหวังให้ผลประกอบการเคลื่อนไหวตามดัชนีชี้วัด"),
        ),
        (
            "fund_fact_sheet",
            factsheet.map_or_else(
                || {
                    if fund.fund_id.ends_with('2') {
                        Json::text("")
                    } else {
                        Json::Null
                    }
                },
                Json::text,
            ),
        ),
        ("main_feeder_fund", Json::Null),
        ("feeder_fund_link", Json::Null),
        (
            "fund_tax_type",
            if fund.code.contains("RMF") {
                Json::text("RMF")
            } else {
                Json::Null
            },
        ),
        ("net_expense_ratio", Json::Null),
        // The fee page has the fees; these figures are of another date and are not used.
        ("real_front_end_fee", Json::text("9.99")),
        ("maximum_front_end_fee", Json::text("9.99")),
        ("real_back_end_fee", Json::text("9.99")),
        ("maximum_back_end_fee", Json::text("9.99")),
        ("real_management_fee", Json::text("9.99")),
        ("maximum_management_fee", Json::text("9.99")),
        ("data_date", Json::text(rfc3339(market.today))),
        (
            "sec_fund_status",
            Json::text(if active { "RG" } else { "EX" }),
        ),
        ("sec_is_active", flag(active)),
    ]);
    Some(Json::Object(members))
}

fn latest(market: &Market, fund: &Fund) -> Option<Json> {
    let series = fund.nav.series(market.today);
    let day = series.days.last()?;
    let entry = series
        .entries
        .iter()
        .rfind(|entry| entry.date == rfc3339(day.date))?;
    let mut random = ChaCha8Rng::seed_from_u64(fund.nav.seed);
    Some(Json::Object(vec![
        ("fund_id", Json::text(&fund.fund_id)),
        ("short_code", Json::text(&fund.code_spelt)),
        ("is_in_trending", flag(false)),
        ("date", Json::text(&entry.date)),
        ("value", Json::raw(&entry.value)),
        ("amount", Json::raw(&entry.amount)),
        (
            "d_change",
            Json::raw(random_number(&mut random, -400, 400, 2)),
        ),
        ("is_finnomena_pick", flag(false)),
        ("credit_card_allowed", flag(false)),
        ("performance_ready", flag(true)),
        ("operation_ready", flag(true)),
        ("sec_fund_status", Json::text("RG")),
        ("sec_is_active", flag(fund.standing == Standing::Active)),
    ]))
}

fn nav(market: &Market, fund: &Fund, range: &str) -> Option<Answer> {
    let navs = match fund.nav.quirk {
        Some(EdgeCase::NavAbsent) => return None,
        Some(EdgeCase::NullNavs) => "null".to_owned(),
        _ => nav_list(fund, market.today, range_start(range, market.today)),
    };
    let (fund_id, short_code) = (Json::text(&fund.fund_id), Json::text(&fund.code_spelt));
    let data = Json::raw(format!(
        "{{\"fund_id\":{fund_id},\"short_code\":{short_code},\"navs\":{navs}}}"
    ));
    Some(envelope(&data))
}

/// The entries from a date on. Dates are compared as text because some of them are not valid dates.
fn nav_list(fund: &Fund, today: Date, start: Option<Date>) -> String {
    let start = start.map(rfc3339).unwrap_or_default();
    let mut list = String::from("[");
    for entry in fund
        .nav
        .series(today)
        .entries
        .iter()
        .filter(|entry| entry.date >= start)
    {
        let comma = if list.len() == 1 { "" } else { "," };
        let _ = write!(
            list,
            "{comma}{{\"date\":\"{}\",\"value\":{},\"amount\":{}}}",
            shown_date(fund, &entry.date),
            entry.value,
            entry.amount
        );
    }
    list.push(']');
    list
}

/// A date in the fund page's spelling: midnight UTC of the Thai calendar date. For ids that end in 25 it is the instant
/// at which that day begins in Bangkok, 17:00 UTC of the day before.
fn shown_date(fund: &Fund, date: &str) -> String {
    let begins_in_bangkok = fund.fund_id.ends_with("25");
    let day = date
        .strip_suffix("T00:00:00Z")
        .and_then(|day| day.parse::<Date>().ok())
        .filter(|day| begins_in_bangkok && day.year() > 1);
    match day.and_then(|day| day.yesterday().ok()) {
        Some(before) => format!("{before}T17:00:00Z"),
        None => date.to_owned(),
    }
}

/// One dividend of a fund.
pub(crate) struct Dividend {
    pub(crate) xd_date: Date,
    pub(crate) pay_date: Date,
    pub(crate) value: &'static str,
}

/// The dividends of a fund, the newest first. They stay the same on every day of a market.
pub(crate) fn dividends(market: &Market, fund: &Fund) -> Vec<Dividend> {
    let is_payer = fund.fund_id.bytes().map(u32::from).sum::<u32>() % 2 == 0;
    let count = if is_payer { 4 } else { 0 };
    (1..=count)
        .map(|years| {
            let pay_date = market.register.began.saturating_sub(years.years());
            Dividend {
                xd_date: pay_date.saturating_sub(11.days()),
                pay_date,
                value: "0.25",
            }
        })
        .collect()
}

fn dividend(market: &Market, fund: &Fund) -> Json {
    let dividends = dividends(market, fund).into_iter().map(|dividend| {
        Json::Object(vec![
            ("xd_date", Json::text(rfc3339(dividend.xd_date))),
            ("value", Json::text(dividend.value)),
            ("pay_date", Json::text(rfc3339(dividend.pay_date))),
        ])
    });
    Json::Object(vec![
        ("fund", Json::text(&fund.fund_id)),
        ("short_code", Json::text(&fund.code_spelt)),
        ("dividends", Json::List(dividends.collect())),
    ])
}

/// The filter pages: the newest NAV of each fund of the market, without AUM.
fn filter(market: &Market, asked: &Asked, view: View) -> Answer {
    let number = |key: &str, otherwise: usize| {
        asked
            .query
            .get(key)
            .and_then(|text| text.parse().ok())
            .filter(|number| *number > 0)
            .unwrap_or(otherwise)
    };
    let (page, limit) = (number("page", 1), number("limit", 100).min(100));
    let mut funds: Vec<&Fund> = market
        .funds
        .iter()
        .filter(|fund| fund.standing == Standing::Active)
        .collect();
    if view.shrunk {
        funds.truncate(funds.len() / 3);
    }
    let pages = funds.len().div_ceil(limit);
    let rows = funds
        .into_iter()
        .skip((page - 1) * limit)
        .take(limit)
        .map(|fund| filter_row(market, fund))
        .collect();
    let pagination = Json::Object(vec![
        ("page_total", Json::raw(pages)),
        ("last_page", Json::raw(pages)),
    ]);
    envelope(&Json::Object(vec![
        ("funds", Json::List(rows)),
        ("pagination", pagination),
    ]))
}

fn filter_row(market: &Market, fund: &Fund) -> Json {
    let series = fund.nav.series(market.today);
    let last = series.days.last().and_then(|day| {
        series
            .entries
            .iter()
            .rfind(|entry| entry.date == rfc3339(day.date))
    });
    Json::Object(vec![
        ("fund_id", Json::text(&fund.fund_id)),
        ("short_code", Json::text(&fund.code_spelt)),
        ("amc_name", Json::text_or_null(fund.master.get("amc"))),
        (
            "nav",
            last.map_or(Json::Null, |entry| Json::raw(&entry.value)),
        ),
        (
            "nav_date",
            Json::text_or_null(last.map(|entry| &entry.date)),
        ),
        ("return_1y", Json::Null),
        ("fees", Json::List(Vec::new())),
        ("fund_fact_sheet", Json::Null),
    ])
}

fn categories() -> Json {
    let sub = |id: &str, th: &str, en: &str, risk: u8| {
        Json::Object(vec![
            ("aimc_category_id", Json::text(id)),
            ("name_th", Json::text(th)),
            ("name_en", Json::text(en)),
            ("risk_level", Json::raw(risk)),
        ])
    };
    let group = |id: &str, th: &str, sub_categories: Vec<Json>| {
        Json::Object(vec![
            ("aimc_category_id", Json::text(id)),
            ("name_th", Json::text(th)),
            ("sub_categories", Json::List(sub_categories)),
        ])
    };
    let groups: BTreeMap<&str, Json> = BTreeMap::from([
        (
            "equity",
            group(
                "BC00000001",
                "ตราสารทุน",
                vec![sub("LC00002470", "หุ้นขนาดใหญ่", "Equity Large Cap", 6)],
            ),
        ),
        (
            "money",
            group(
                "BC00000002",
                "ตลาดเงิน",
                vec![sub("LC00002469", "ตลาดเงิน", "Money Market General", 1)],
            ),
        ),
    ]);
    Json::List(groups.into_values().collect())
}
