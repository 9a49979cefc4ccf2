//! Tests of the register, "SEC Open API v2".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use simulator::{EdgeCase, MarketConfig, RegisterLimits, Simulator, Site};

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

#[tokio::test]
async fn pages_end_with_an_empty_cursor_and_hold_every_class_once() {
    let simulator = market_of(300).await;
    let (whole, pages) = all(&simulator, "general-info/profiles").await;
    assert_eq!(pages, whole.len().div_ceil(100));
    let (by_seven, pages) = all(&simulator, "general-info/profiles?page_size=7").await;
    assert_eq!(pages, whole.len().div_ceil(7));
    assert_eq!(whole, by_seven);
    let codes: BTreeSet<String> = whole.iter().map(code).collect();
    assert_eq!(codes.len(), whole.len());
    let market = simulator.market();
    let own = market.codes_with(EdgeCase::RegisterOnlyDead);
    assert!(!own.is_empty() && own.iter().all(|code| codes.contains(*code)));
    let lacking = market.codes_with(EdgeCase::RegisterLacks);
    assert!(lacking.iter().all(|code| !codes.contains(*code)));
    let renamed = market.codes_with(EdgeCase::RegisterRenamed);
    for code in market.codes() {
        let is_listed = codes.contains(code);
        assert_eq!(
            !is_listed,
            lacking.contains(&code) || renamed.contains(&code),
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_cursor_is_bound_to_its_query() {
    let simulator = market_of(60).await;
    let first = get(&simulator, "general-info/profiles?page_size=10")
        .await
        .json();
    let cursor = text(&first, "next_cursor");
    for (query, status) in [
        ("general-info/profiles?page_size=10", 200),
        ("general-info/profiles?page_size=20", 400),
        (
            "general-info/profiles?page_size=10&fund_status=Registered",
            400,
        ),
        ("daily-info/nav?page_size=10", 400),
    ] {
        assert_eq!(
            get(&simulator, &with_cursor(query, cursor)).await.status,
            status,
            "{query}"
        );
    }
    simulator.expire_register_cursors();
    let later = get(
        &simulator,
        &with_cursor("general-info/profiles?page_size=10", cursor),
    )
    .await;
    assert_eq!(later.status, 400);
}

#[tokio::test]
async fn parameters_are_checked_and_unknown_names_are_ignored() {
    let simulator = market_of(30).await;
    for (query, status) in [
        ("general-info/amcs", 200),
        ("general-info/amcs?page_size=0", 400),
        ("general-info/amcs?page_size=101", 400),
        ("general-info/amcs?page_size=x", 400),
        ("general-info/amcs?next_cursor=bm8%3D", 400),
        ("daily-info/nav?start_nav_date=15%2F10%2F2026", 400),
        ("daily-info/nav?start_nav_date=2030-01-01", 204),
        ("daily-info/nav?proj_id=M0000_0000", 204),
        ("daily-info/no-such-dataset", 404),
    ] {
        assert_eq!(get(&simulator, query).await.status, status, "{query}");
    }
    let range = "start_nav_date=2026-10-07&end_nav_date=2026-10-12";
    let (asked, _) = all(&simulator, &format!("daily-info/nav?{range}")).await;
    let dates: BTreeSet<&str> = asked.iter().map(|row| text(row, "nav_date")).collect();
    assert_eq!(
        dates,
        BTreeSet::from(["2026-10-07", "2026-10-08", "2026-10-09", "2026-10-12"])
    );
    let misspelt = range.replace("nav_date", "date");
    let (everything, _) = all(&simulator, &format!("daily-info/nav?{misspelt}")).await;
    assert!(everything.len() > 5 * asked.len());
    let project = text(&asked[0], "proj_id");
    let (own, _) = all(&simulator, &format!("daily-info/nav?proj_id={project}")).await;
    assert!(!own.is_empty() && own.iter().all(|row| text(row, "proj_id") == project));
}

#[tokio::test]
async fn only_accepted_keys_are_answered_and_the_log_holds_no_key() {
    let simulator = market_of(5).await;
    let path = "general-info/amcs";
    let missing = get_with(&simulator, path, "").await;
    assert_eq!(missing.status, 401);
    assert_eq!(missing.json()["statusCode"], 401);
    assert!(
        text(&missing.json(), "message")
            .starts_with("Access denied due to missing subscription key")
    );
    let wrong = get_with(&simulator, path, "Ocp-Apim-Subscription-Key: other\r\n").await;
    assert_eq!(wrong.status, 401);
    assert!(
        text(&wrong.json(), "message").starts_with("Access denied due to invalid subscription key")
    );
    assert_eq!(get(&simulator, path).await.status, 200);
    simulator.set_register_keys(&["second"]);
    assert_eq!(get(&simulator, path).await.status, 401);
    let second = get_with(&simulator, path, "ocp-apim-subscription-key: second\r\n").await;
    assert_eq!(second.status, 200);
    let log = simulator.log();
    let statuses: Vec<u16> = log
        .of(Site::SecOpenApi)
        .map(|request| request.status)
        .collect();
    assert_eq!(statuses, [401, 401, 200, 401, 200]);
    assert!(!format!("{log:?}").contains("simulated-key"));
}

#[tokio::test]
async fn calls_over_the_limit_get_421_with_retry_after() {
    let simulator = market_of(5).await;
    simulator.set_register_limits(RegisterLimits {
        calls: 2,
        window: Duration::from_secs(60),
    });
    for status in [200, 200, 421] {
        let answer = get(&simulator, "general-info/amcs").await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.head.to_lowercase().contains("retry-after: "),
            status == 421
        );
    }
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(get(&simulator, "general-info/amcs").await.status, 421);
    assert_eq!(simulator.log().inside_retry_after(Site::SecOpenApi), 1);
}

#[tokio::test]
async fn navs_are_published_days_later_and_some_prices_are_zero() {
    let simulator = market_of(200).await;
    let (rows, _) = all(&simulator, "daily-info/nav").await;
    let share_of_zeros = |member: &str| {
        let zeros = rows.iter().filter(|row| row[member] == 0.0).count();
        zeros * 100 / rows.len()
    };
    for member in ["sell_price", "buy_price"] {
        assert!(
            (9..=16).contains(&share_of_zeros(member)),
            "{member}: {}",
            share_of_zeros(member)
        );
    }
    let mut newest: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for row in &rows {
        newest.insert(
            (text(row, "proj_id"), text(row, "fund_class_name")),
            text(row, "nav_date"),
        );
    }
    // The market's date is 2026-10-15, a Thursday.
    let count = |date: &str| newest.values().filter(|newest| **newest == date).count();
    assert!(count("2026-10-14") > 2 * count("2026-10-13") && count("2026-10-13") > 0);
    assert!(count("2026-10-08") > 0 && count("2026-10-15") == 0);
    // A market-wide hole: no class has a day of it.
    let dates: BTreeSet<&str> = rows.iter().map(|row| text(row, "nav_date")).collect();
    assert!(dates.contains("2026-08-21") && dates.contains("2026-09-04"));
    assert!(!dates.contains("2026-08-25") && !dates.contains("2026-09-01"));
}
