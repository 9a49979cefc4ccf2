//! The gateway: keys, limits, parameters, cursors, and the faults of all of them.

use std::collections::BTreeSet;
use std::time::Duration;

use simulator::{Fault, FaultKind, RegisterLimits, RetryAfter, Simulator, Site, Source};

use crate::support::post;

use super::{all, get, get_with, market_of, text, with_cursor};

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

#[tokio::test]
async fn supplied_rows_replace_those_of_the_market() {
    let simulator = market_of(5).await;
    let row = |project: &str, date: &str| {
        format!(
            "{{\"proj_id\":\"{project}\",\"fund_class_name\":\"main\",\"nav_date\":\"{date}\",\"last_val\":1.5}}"
        )
    };
    let rows = [
        row("A", "2026-08-17"),
        row("A", "2026-08-18"),
        row("B", "2026-08-18"),
    ];
    simulator
        .replace_register_rows("daily-info/nav", &rows)
        .expect("a dataset");
    for (query, count) in [
        ("", 3),
        ("?page_size=2", 3),
        ("?proj_id=A", 2),
        ("?start_nav_date=2026-08-18", 2),
        ("?proj_id=B&end_nav_date=2026-08-17", 0),
    ] {
        let (served, _) = all(&simulator, &format!("daily-info/nav{query}")).await;
        assert_eq!(served.len(), count, "{query}");
    }
    assert!(
        simulator
            .replace_register_rows("daily-info/other", &rows)
            .is_err()
    );
    simulator.restore_register_rows();
    assert!(all(&simulator, "daily-info/nav").await.0.len() > 3);
}

#[tokio::test]
async fn the_control_endpoint_sets_keys_and_prints_reports() {
    let simulator = market_of(5).await;
    let control = |command: &str| format!("{}/__simulator/{command}", simulator.urls().documents);
    assert_eq!(
        post(&control("register-keys?keys=first,second"), "")
            .await
            .status,
        200
    );
    assert_eq!(get(&simulator, "general-info/amcs").await.status, 401);
    let second = get_with(
        &simulator,
        "general-info/amcs",
        "Ocp-Apim-Subscription-Key: second\r\n",
    )
    .await;
    assert_eq!(second.status, 200);
    let report = crate::support::get(&control("reported?source=sec_open_api"))
        .await
        .json();
    let own = simulator.reported_by(Source::SecOpenApi);
    assert_eq!(report, serde_json::to_value(&own).expect("JSON"));
    assert_eq!(
        crate::support::get(&control("reported?source=other"))
            .await
            .status,
        400
    );
}
