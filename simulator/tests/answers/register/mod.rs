//! Tests of the register, "SEC Open API v2".

mod reported;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use simulator::{
    EdgeCase, Fault, FaultKind, MarketConfig, RegisterLimits, RetryAfter, Simulator, Site,
};

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
    assert!(dates.contains("2026-08-21") && dates.contains("2026-09-07"));
    assert!(!dates.contains("2026-08-25") && !dates.contains("2026-09-01"));
}

/// Each dataset below `/v2/fund` with the members of its rows in the documented examples.
const DATASETS: &[(&str, &str)] = &[
    (
        "general-info/amcs",
        "unique_id comp_name_th comp_name_en last_upd_date",
    ),
    (
        "daily-info/nav",
        "proj_id unique_id fund_class_name nav_date net_asset last_val sell_price buy_price sell_swap_price \
         buy_swap_price last_upd_date",
    ),
    (
        "daily-info/dividend-history",
        "proj_id unique_id class_abbr_name book_close_date dividend_date dividend_value last_upd_date",
    ),
    (
        "factsheet/statistics",
        "proj_id fund_class_name start_date end_date prospectus_type portfolio_turnover_ratio recovering_period \
         portfolio_duration_period maximum_drawdown sharpe_ratio beta alpha fx_hedging tracking_error \
         yield_to_maturity last_upd_date",
    ),
    (
        "factsheet/fees",
        "proj_id fund_class_name start_date end_date prospectus_type fee_type_desc rate actual_value fee_other_desc \
         last_upd_date",
    ),
    (
        "factsheet/risk-spectrum",
        "proj_id start_date end_date prospectus_type risk_spectrum_desc risk_spectrum last_upd_date",
    ),
    (
        "factsheet/performance",
        "proj_id fund_class_name start_date end_date prospectus_type performance_type_desc reference_period \
         performance_value last_upd_date",
    ),
    (
        "factsheet/asset-allocation",
        "proj_id start_date end_date prospectus_type asset_seq asset_name asset_ratio last_upd_date",
    ),
    (
        "factsheet/top5-holdings",
        "proj_id start_date end_date prospectus_type asset_seq asset_name asset_ratio last_upd_date",
    ),
    (
        "factsheet/urls",
        "proj_id fund_class_name prospectus_type amc_url_factsheet pdf_factsheet as_of_date last_upd_date",
    ),
    (
        "factsheet/subscription-redemption-minimums",
        "proj_id fund_class_name start_date end_date prospectus_type minimum_sub_ipo minimum_sub_ipo_cur minimum_sub \
         minimum_sub_cur minimum_sub_unit minimum_redempt minimum_redempt_cur minimum_redempt_unit lowbal_val \
         lowbal_val_cur lowbal_unit last_upd_date",
    ),
    (
        "factsheet/dividend-policy",
        "proj_id fund_class_name start_date end_date prospectus_type dividend_policy last_upd_date",
    ),
    (
        "factsheet/benchmarks",
        "proj_id start_date end_date prospectus_type group_seq benchmark benchmark_remark last_upd_date",
    ),
    (
        "outstanding/portfolio",
        "proj_id period as_of_date assetliab_id assetliab_desc issue_code isin_code issuer assetliab_value \
         percent_nav last_upd_date",
    ),
];

#[tokio::test]
async fn every_dataset_has_the_members_of_its_documented_example() {
    let simulator = market_of(60).await;
    for (path, members) in DATASETS {
        let (rows, _) = all(&simulator, path).await;
        let wanted: BTreeSet<&str> = members.split_whitespace().collect();
        assert!(!rows.is_empty(), "{path}");
        for row in &rows {
            let own: BTreeSet<&str> = row
                .as_object()
                .expect("an object")
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(own, wanted, "{path}");
        }
        if path.starts_with("factsheet/") {
            let (latest, _) = all(&simulator, &format!("{path}?latest=true")).await;
            assert!(
                latest.len() < rows.len() && latest.len() * 3 >= rows.len(),
                "{path}"
            );
            assert_eq!(
                get(&simulator, &format!("{path}?latest=yes")).await.status,
                400
            );
            let ends = latest
                .iter()
                .filter(|row| !row["end_date"].is_null())
                .count();
            assert!(
                ends * 3 < latest.len(),
                "{path}: the current factsheet has no end"
            );
        }
    }
}

/// Spellings that occur in a large market's answers, by dataset.
const SPELLINGS: &[(&str, &[&str])] = &[
    (
        "general-info/profiles",
        &[
            "\"fund_class_name\":\"main\"",
            "\"fund_class_isin_code\":null",
            "\"fund_class_isin_code\":\"TH",
            "\"fund_class_tax_incentive_type\":\"TESGX\"",
            "\"fund_class_tax_incentive_type\":\"\"",
            "\"fund_status\":\"IPO\"",
            "\"fund_status\":\"Canceled\"",
            "\"fund_status\":\"Liquidated\"",
            "S&P 500 & ",
            "/25",
            "\u{200b}",
            "LIMITED \"",
        ],
    ),
    (
        "daily-info/nav",
        &[
            "\"sell_price\":0.0,",
            "\"net_asset\":0.0,",
            "\"fund_class_name\":\" ",
            "Z\"}",
        ],
    ),
    (
        "daily-info/dividend-history",
        &[" 00:00:00.0000000\"", "\"class_abbr_name\":\"-\""],
    ),
    (
        "factsheet/statistics",
        &[
            "\"sharpe_ratio\":\"0\"",
            "\"alpha\":\"0.00\"",
            "\"2026-01-05\"",
            " ปี ",
            "\"maximum_drawdown\":\"-",
        ],
    ),
    (
        "factsheet/fees",
        &[
            "(SWITCHING IN)",
            "(Transfer Fee)\",\"rate\":10,",
            "\"rate\":0,\"actual_value\":0,",
            "\"actual_value\":null",
            "\"rate\":999999,",
        ],
    ),
    (
        "factsheet/risk-spectrum",
        &["\"RS8\"", "\"RS81\"", "\"RS8+\"", "\"RS1\""],
    ),
    (
        "factsheet/performance",
        &[
            "\"performance_value\":\"-\"",
            "\"performance_value\":\"\"",
            "year to date",
        ],
    ),
    (
        "factsheet/urls",
        &["Q&A", ".pdf\",\"as_of_date\"", "\"pdf_factsheet\":null"],
    ),
    (
        "factsheet/subscription-redemption-minimums",
        &[
            "\"USD                                               \"",
            "\"THB                                               \"",
        ],
    ),
    ("factsheet/dividend-policy", &["\"Y\"", "\"N\""]),
    (
        "outstanding/portfolio",
        &[
            "\"assetliab_id\":\"903\"",
            "\"issue_code\":null",
            "\"issue_code\":\"\"",
            "\"percent_nav\":-",
        ],
    ),
];

#[tokio::test]
async fn a_large_market_spells_the_registers_awkward_values_out() {
    let simulator = market_of(500).await;
    for (path, needles) in SPELLINGS {
        let mut answers = String::new();
        let mut page = (*path).to_owned();
        loop {
            let answer = get(&simulator, &page).await;
            answers += &answer.text();
            match answer.json()["next_cursor"].as_str() {
                Some("") | None => break,
                Some(cursor) => page = with_cursor(path, cursor),
            }
        }
        let missing: Vec<_> = needles
            .iter()
            .filter(|needle| !answers.contains(**needle))
            .collect();
        assert!(missing.is_empty(), "{path}: {missing:?}");
    }
}

/// The cursors of the first pages of a chain.
async fn cursors(simulator: &Simulator, query: &str, pages: usize) -> Vec<String> {
    let mut cursors = Vec::new();
    let mut path = query.to_owned();
    while cursors.len() < pages {
        let page = get(simulator, &path).await.json();
        let cursor = text(&page, "next_cursor").to_owned();
        path = with_cursor(query, &cursor);
        cursors.push(cursor);
    }
    cursors
}

#[tokio::test]
async fn cursors_repeat_and_chains_have_no_end_while_a_fault_is_set() {
    let simulator = market_of(60).await;
    let query = "general-info/profiles?page_size=10";
    let set = |kind: FaultKind| {
        simulator.faults().clear();
        simulator.faults().set(Fault::of(Site::SecOpenApi, kind));
    };
    set(FaultKind::CursorRepeats { pages: 1 });
    let twice = cursors(&simulator, query, 4).await;
    assert!(twice.iter().all(|cursor| *cursor == twice[0]));
    set(FaultKind::CursorRepeats { pages: 2 });
    let [a, b, again] = cursors(&simulator, query, 3)
        .await
        .try_into()
        .expect("three cursors");
    assert!(a != b && a == again);
    set(FaultKind::EndlessChain);
    let many: BTreeSet<String> = cursors(&simulator, query, 40).await.into_iter().collect();
    assert!(many.len() == 40 && !many.contains(""));
    set(FaultKind::EmptyPageWithCursor);
    let empty = get(&simulator, query).await.json();
    assert!(empty["items"].as_array().is_some_and(Vec::is_empty));
    assert_ne!(text(&empty, "next_cursor"), "");
    simulator.faults().clear();
    let (classes, _) = all(&simulator, query).await;
    assert!(classes.len() > 40);
}

#[tokio::test]
async fn other_faults_of_the_register_are_served_as_set() {
    let simulator = market_of(60).await;
    let fault = |path: &str, kind: FaultKind| {
        simulator
            .faults()
            .set(Fault::of(Site::SecOpenApi, kind).on_path(path).times(1));
    };
    let body = |status: u16, body: &str| FaultKind::Body {
        status,
        content_type: "application/json".to_owned(),
        body: body.to_owned(),
    };
    let nav = "daily-info/nav?start_nav_date=2026-10-12&end_nav_date=2026-10-12";
    fault("nav", FaultKind::RowsOutsideRange);
    let outside = get(&simulator, nav).await.json();
    assert!(
        outside["items"]
            .as_array()
            .expect("items")
            .iter()
            .all(|row| text(row, "nav_date") < "2026-10-12")
    );
    fault(
        "amcs",
        body(200, "{\"StatusCode\":401,\"message\":\"Access denied\"}"),
    );
    let inside = get(&simulator, "general-info/amcs").await;
    assert_eq!(
        (inside.status, inside.json()["StatusCode"].as_u64()),
        (200, Some(401))
    );
    fault("amcs", FaultKind::HtmlInsteadOfJson);
    let html = get(&simulator, "general-info/amcs").await;
    assert!(html.status == 200 && html.text().contains("<html"));
    fault("fees", body(204, ""));
    let nothing = get(&simulator, "factsheet/fees").await;
    assert!(nothing.status == 204 && nothing.body.is_empty());
    fault("fees", FaultKind::Status(404));
    assert_eq!(get(&simulator, "factsheet/fees").await.status, 404);
    for status in [421, 429] {
        let retry_after = RetryAfter::Seconds(0);
        fault(
            "amcs",
            FaultKind::Throttle {
                status,
                retry_after,
            },
        );
        let throttled = get(&simulator, "general-info/amcs").await;
        assert_eq!(throttled.status, status);
        assert!(throttled.head.to_lowercase().contains("retry-after: 0"));
    }
    for path in [nav, "general-info/amcs", "factsheet/fees"] {
        assert_eq!(
            get(&simulator, path).await.status,
            200,
            "the faults are used up"
        );
    }
}
