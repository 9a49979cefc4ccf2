//! Finnomena's fee and portfolio answers.

use crate::json::Json;
use crate::market::{Block, Emptiness, FeeAnswer, FeeRow, FinnomenaPortfolio, Fund, Market};

/// Colours of the site's charts.
const COLOURS: [&str; 5] = ["#005125", "#007f3b", "#00ad50", "#00e76b", "#80f3b5"];

pub(crate) fn fees(market: &Market, fund: &Fund) -> Option<Json> {
    let rows: Vec<&FeeRow> = match &fund.finnomena.fees {
        FeeAnswer::Absent => return None,
        FeeAnswer::Null => return Some(fee_answer(fund, Json::Null)),
        FeeAnswer::Rows(rows) => rows.iter().collect(),
        FeeAnswer::Shared(_) => {
            let siblings = market
                .funds
                .iter()
                .filter(|other| other.proj_id == fund.proj_id && other.on_finnomena());
            siblings
                .flat_map(|other| match &other.finnomena.fees {
                    FeeAnswer::Shared(rows) => rows.as_slice(),
                    _ => &[],
                })
                .collect()
        }
    };
    Some(fee_answer(
        fund,
        Json::List(rows.into_iter().map(fee_row).collect()),
    ))
}

fn fee_answer(fund: &Fund, fees: Json) -> Json {
    Json::Object(vec![
        ("fund_id", Json::text(&fund.fund_id)),
        ("short_code", Json::text(&fund.code_spelt)),
        ("fees", fees),
    ])
}

fn fee_row(row: &FeeRow) -> Json {
    let text = |text: &str| Json::text(text);
    Json::Object(vec![
        ("last_update", Json::Null),
        ("class_abbr_name", text(&row.class)),
        ("description", text(&row.description)),
        ("rate", row.rate.clone()),
        ("rate_unit", text(row.rate_unit)),
        ("actual_value", row.actual.clone()),
        ("actual_value_unit", text("")),
        ("other_description", text(row.note)),
        ("unit", text(row.unit)),
    ])
}

pub(crate) fn portfolio(fund: &Fund, said: &FinnomenaPortfolio) -> Json {
    let sectors = if said.sectors_old_name {
        "sector_allocation"
    } else {
        "global_stock_sector"
    };
    Json::Object(vec![
        ("fund_id", Json::text(&fund.fund_id)),
        ("short_code", Json::text(&fund.code_spelt)),
        (
            "top_holdings",
            block(&said.top_holdings, &["short_code", "link_url", "color"]),
        ),
        (sectors, block(&said.sectors, &["color"])),
        ("asset_allocation", block(&said.assets, &["color"])),
        ("regional_exposure", block(&said.regions, &[])),
    ])
}

/// A block as JSON; its elements have the members `more` after name and percent.
fn block(block: &Block, more: &[&'static str]) -> Json {
    if block.rows.is_empty() && block.emptiness == Emptiness::Null {
        return Json::Null;
    }
    let elements = block.rows.iter().enumerate().map(|(place, row)| {
        let mut members = vec![
            ("name", Json::text(&row.name.spelt)),
            ("percent", Json::raw(&row.percent_spelt)),
        ];
        members.extend(more.iter().map(|key| {
            let value = match *key {
                "color" => COLOURS[place % COLOURS.len()],
                "link_url" => "https://www.google.com/search?q=",
                _ => "",
            };
            (*key, Json::text(value))
        }));
        Json::Object(members)
    });
    Json::Object(vec![
        ("data_date", Json::text_or_null(block.as_of_spelt.as_ref())),
        ("elements", Json::List(elements.collect())),
    ])
}
