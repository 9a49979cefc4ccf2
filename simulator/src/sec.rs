//! SEC FundCheck: the page, which is a JavaScript application, and the API on another host.

use std::fmt::Write;

use crate::generator::spelling::slashes;
use crate::hosts::Site;
use crate::html::{escaped, packed, scripted_page, with_navigation};
use crate::json::Json;
use crate::market::{Fund, Market, SecAnswer, SecSays};
use crate::mass_changes::PageKind;
use crate::site::{Answer, Asked, View, World};

/// The address of the encoded values, computed from the page's own path.
const DETAIL: &str = "'/api/fund-detail?code=' + encodeURIComponent(decodeURIComponent((location.pathname.match(/;funds=([^;]*)/) || ['', ''])[1]))";

pub(crate) fn page_answer(world: &World, asked: &Asked, view: View) -> Answer {
    let market = world.shown(Site::SecPage, Some(PageKind::Statistics));
    match asked.segments().as_slice() {
        ["api", "fund-detail"] => {
            let code = asked.query.get("code").map_or("", String::as_str);
            let Some((fund, said)) = known(&market, code) else {
                return match market.by_code(code).map(|fund| &fund.sec) {
                    Some(SecSays::SpoilsBatch) => bad_request(),
                    _ => Answer::json(404, "{\"message\":\"not found\"}"),
                };
            };
            let content = if view.empty {
                String::new()
            } else {
                cards(fund, said)
            };
            Answer::json(200, &packed(&with_navigation(&content)))
        }
        // The application is the same for every code; only its API knows which codes exist.
        [page] if page.starts_with("fund-detail;funds=") => {
            Answer::html(200, scripted_page("SEC Fund Check", DETAIL, "null", ""))
        }
        _ => Answer::not_found(),
    }
}

fn bad_request() -> Answer {
    Answer::json(400, "{\"statusCode\":400,\"message\":\"Bad Request\"}")
}

fn known<'a>(market: &'a Market, code: &str) -> Option<(&'a Fund, &'a SecAnswer)> {
    let code = code.trim();
    let fund = market
        .funds
        .iter()
        .find(|fund| fund.code == code && fund.on_finnomena())?;
    match &fund.sec {
        SecSays::Knows(said) => Some((fund, said)),
        SecSays::Unknown | SecSays::SpoilsBatch => None,
    }
}

fn cards(fund: &Fund, said: &SecAnswer) -> String {
    let as_of = said.as_of.map_or_else(|| "-".to_owned(), slashes);
    let mut rows = String::new();
    for value in said
        .values
        .iter()
        .filter(|value| value.element != "fx-hedging")
    {
        let text = escaped(&value.text);
        let _ = write!(
            rows,
            "<div class=\"row\"><div id=\"{0}\" class=\"col label\">{0}</div><div class=\"col value\"> {text} </div></div><!---->",
            value.element
        );
    }
    let recovering = escaped(&recovering_text(said.recovering));
    let _ = write!(
        rows,
        "<div class=\"row\"><div id=\"recovering-period\" class=\"col label\">Recovering Period</div><div class=\"col value\">{recovering}</div></div>"
    );
    let hedging = said
        .values
        .iter()
        .find(|value| value.element == "fx-hedging")
        .map_or("-", |value| value.text.as_str());
    let _ = write!(
        rows,
        "<div class=\"row\"><div class=\"col label\">FX Hedging</div><div class=\"col block\"><div class=\"progress\"><div class=\"progress-bar\" role=\"progressbar\">{}</div></div></div></div>",
        escaped(hedging)
    );
    format!(
        "<app-fund-detail _nghost-ng-c22=\"\"><div class=\"card\"><div class=\"card-body\"><h4 class=\"card-title\">{}</h4><p class=\"date\">ข้อมูล ณ วันที่ {as_of}</p>{rows}</div></div></app-fund-detail>",
        escaped(&fund.code)
    )
}

/// "1 ปี 2 เดือน 3 วัน", without the unknown parts; "-" if all are unknown.
fn recovering_text(parts: [Option<u32>; 3]) -> String {
    let said: Vec<String> = parts
        .into_iter()
        .zip(["ปี", "เดือน", "วัน"])
        .filter_map(|(part, unit)| Some(format!("{} {unit}", part?)))
        .collect();
    if said.is_empty() {
        "-".to_owned()
    } else {
        said.join(" ")
    }
}

pub(crate) fn api_answer(world: &World, asked: &Asked, view: View) -> Answer {
    if asked.segments() != ["api", "funds"] {
        return Answer::json(404, "{\"message\":\"Not Found\"}");
    }
    if asked.method != "POST" {
        return Answer::json(405, "{\"message\":\"Method Not Allowed\"}");
    }
    let Ok(codes) = serde_json::from_slice::<Vec<String>>(&asked.body) else {
        return bad_request();
    };
    let market = world.shown(Site::SecApi, Some(PageKind::Statistics));
    let spoils = |code: &String| {
        market
            .by_code(code)
            .is_some_and(|fund| matches!(fund.sec, SecSays::SpoilsBatch))
    };
    if codes.iter().any(spoils) {
        return bad_request();
    }
    if view.empty {
        return Answer::json(200, "[]");
    }
    // The answer's order differs from the request's.
    let mut found: Vec<Json> = codes
        .iter()
        .rev()
        .filter_map(|code| known(&market, code))
        .map(|(fund, said)| api_object(fund, said))
        .collect();
    if view.shrunk {
        found.truncate(found.len() / 3);
    }
    Answer::json(200, &Json::List(found))
}

fn api_object(fund: &Fund, said: &SecAnswer) -> Json {
    let mut members = vec![
        ("abbrName", Json::text(&fund.code_spelt)),
        ("representDate", said.as_of_json.clone()),
    ];
    members.extend(
        said.values
            .iter()
            .map(|value| (value.member, value.json.clone())),
    );
    let part = |number: Option<u32>| number.map_or(Json::Null, Json::raw);
    let [year, month, day] = said.recovering;
    members.push((
        "recoveringPeriod",
        Json::Object(vec![
            ("year", part(year)),
            ("month", part(month)),
            ("day", part(day)),
        ]),
    ));
    Json::Object(members)
}
