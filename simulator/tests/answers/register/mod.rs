//! Tests of the register, "SEC Open API v2".

mod datasets;
mod days;
mod gateway;
mod parsed;
mod reported;

use serde_json::Value;
use simulator::{MarketConfig, Simulator};

use crate::support::{Answer, ask};

/// The key that a new simulator accepts.
const KEY: &str = "Ocp-Apim-Subscription-Key: simulated-key\r\n";

async fn market_of(funds: usize) -> Simulator {
    Simulator::start(MarketConfig {
        funds,
        ..MarketConfig::default()
    })
    .await
    .expect("the simulator starts")
}

fn url(simulator: &Simulator, path: &str) -> String {
    format!("{}/v2/fund/{path}", simulator.urls().sec_open_api)
}

async fn get_with(simulator: &Simulator, path: &str, headers: &str) -> Answer {
    let url = url(simulator, path);
    ask("GET", &url, headers, "")
        .await
        .unwrap_or_else(|error| panic!("{url}: {error}"))
}

async fn get(simulator: &Simulator, path: &str) -> Answer {
    get_with(simulator, path, KEY).await
}

/// The query with a cursor, percent-encoded.
fn with_cursor(query: &str, cursor: &str) -> String {
    let encoded = cursor
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    let joint = if query.contains('?') { '&' } else { '?' };
    format!("{query}{joint}next_cursor={encoded}")
}

/// All rows of a query, and the number of its pages.
async fn all(simulator: &Simulator, query: &str) -> (Vec<Value>, usize) {
    let mut rows = Vec::new();
    let mut path = query.to_owned();
    for pages in 1.. {
        let answer = get(simulator, &path).await;
        if answer.status == 204 {
            assert!(answer.body.is_empty());
            return (rows, pages);
        }
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let page = answer.json();
        let items = page["items"].as_array().expect("items").clone();
        assert!(!items.is_empty(), "{path}");
        rows.extend(items);
        match page["next_cursor"].as_str().expect("a cursor") {
            "" => return (rows, pages),
            cursor => path = with_cursor(query, cursor),
        }
    }
    unreachable!("the loop ends at an empty cursor")
}

fn text<'row>(row: &'row Value, member: &str) -> &'row str {
    row[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member}: {row}"))
}

/// The code of a profile's class: its name, or the project's short name for `main`.
fn code(profile: &Value) -> String {
    let name = text(profile, "fund_class_name").trim();
    let code = if name == "main" {
        text(profile, "proj_abbr_name").trim()
    } else {
        name
    };
    code.to_owned()
}
