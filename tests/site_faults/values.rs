//! Impossible values (D5, D6): each is rejected on its own with a reason and overwrites no good value.

use std::collections::BTreeMap;

use simulator::{FaultKind, Site};

use super::{FRESH, loaded, next_of, run_with, wealthmagik_path};

/// The most cases of one page; each uses another fund.
const MOST_OF_A_PAGE: usize = 13;

/// A page's path below the fund, a key, its absurd value, and the words of the reject; empty if the value is read as
/// missing.
type Case = (&'static str, &'static str, String, &'static str);

fn first(key: &str, value: &str) -> FaultKind {
    FaultKind::FirstValue {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn text(class: &str, text: &str) -> FaultKind {
    FaultKind::FirstText {
        class: class.to_owned(),
        text: text.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_an_absurd_value_costs_itself_and_overwrites_nothing() {
    let (world, before) = loaded(24).await;
    let long = |length: usize| format!("\"{}\"", "ก".repeat(length));
    let nines = |digits: usize| "9".repeat(digits);
    let finnomena: Vec<Case> = vec![
        ("/nav", "value", "1e40".to_owned(), "out of range"),
        ("/nav", "value", nines(400), "out of range"),
        ("/nav", "value", "NaN".to_owned(), ""),
        ("/nav", "value", "Infinity".to_owned(), ""),
        ("/nav", "value", "-Infinity".to_owned(), ""),
        ("/nav", "value", "\"NaN\"".to_owned(), ""),
        ("/nav", "amount", "NaN".to_owned(), ""),
        ("/nav", "amount", "1e999999".to_owned(), "out of range"),
        (
            "/nav",
            "date",
            "\"2099-01-01T00:00:00Z\"".to_owned(),
            "not after the cycle's date",
        ),
        (
            "/nav",
            "date",
            "\"1900-01-01T00:00:00Z\"".to_owned(),
            "expected a NAV date since",
        ),
        (
            "/nav",
            "date",
            "\"0001-01-01T00:00:00Z\"".to_owned(),
            "no date",
        ),
        (
            "/nav",
            "date",
            "\"2026-02-30T00:00:00Z\"".to_owned(),
            "expected a date",
        ),
        ("/nav", "date", "[[[[]]]]".to_owned(), "expected text"),
        (
            "/portfolio",
            "percent",
            "1e15".to_owned(),
            "at most 1000000",
        ),
        ("/portfolio", "percent", "NaN".to_owned(), ""),
        (
            "/portfolio",
            "name",
            long(1_000_000),
            "at most 2000 characters",
        ),
        ("/fee", "rate", "\"1e15\"".to_owned(), "at most 1000000"),
        (
            "/fee",
            "actual_value",
            format!("\"{}\"", nines(400)),
            "expected a number",
        ),
        (
            "",
            "inception_date",
            "\"2099-12-31T00:00:00Z\"".to_owned(),
            "expected a first day since",
        ),
        (
            "",
            "inception_date",
            "\"1900-01-01T00:00:00Z\"".to_owned(),
            "expected a first day since",
        ),
        (
            "",
            "inception_date",
            "\"2569-02-30\"".to_owned(),
            "expected a date",
        ),
        (
            "",
            "inception_date",
            "\"0001-01-01T00:00:00Z\"".to_owned(),
            "",
        ),
        (
            "",
            "name_th",
            long(1_000_000),
            "longer than 2000 characters",
        ),
        ("", "name_en", "NaN".to_owned(), ""),
        (
            "",
            "risk_level",
            "99999999999999999999".to_owned(),
            "1 to 8",
        ),
    ];
    let codes = world.active(MOST_OF_A_PAGE);
    let mut hits = Vec::new();
    let mut of_page = BTreeMap::new();
    for (page, key, value, words) in &finnomena {
        let code = next_of(&mut of_page, page, &codes);
        let path = world.finnomena_path(code, page);
        hits.push(super::hit(
            Site::Finnomena,
            path,
            first(key, value),
            "",
            words,
        ));
    }
    let wealthmagik = [
        (
            "port",
            text("ratio-text", &format!("{}%", nines(40))),
            "expected a number",
        ),
        (
            "port",
            text("ratio-text", "1000000000000000%"),
            "at most 1000000",
        ),
        ("port", text("ratio-text", "NaN"), ""),
        (
            "port",
            text("name-text", &"ก".repeat(1_000_000)),
            "at most 2000 characters",
        ),
        (
            "port",
            text("date-detail-text", "ข้อมูล ณ วันที่ 1 ม.ค. 2099"),
            "after the cycle's date",
        ),
        (
            "allocation",
            text(
                "mat-cell cdk-cell cdk-column-ratio mat-column-ratio",
                "1e15",
            ),
            "at most 1000000",
        ),
        (
            "profile",
            FaultKind::RenamedField {
                from: "text.bidPrice.".to_owned(),
                to: format!("text.bidPrice.{}", nines(60)),
            },
            "bidPrice",
        ),
        (
            "profile",
            FaultKind::RenamedField {
                from: "text.inceptionDate.".to_owned(),
                to: "text.inceptionDate.20990101 ".to_owned(),
            },
            "inceptionDate",
        ),
    ];
    let mut of_page = BTreeMap::new();
    for (page, kind, words) in wealthmagik {
        let code = next_of(&mut of_page, page, &codes);
        hits.push(super::hit(
            Site::WealthMagik,
            wealthmagik_path(code, page),
            kind,
            "",
            words,
        ));
    }
    world.fault(Site::SecApi, first("sharpRatio", "1e40"));
    let (run, most) = run_with(&world, &hits).await;
    // Rejected values do not make a cycle partial (O3); they are counted and kept for inspection.
    run.exits(0);
    assert!(most <= super::MOST_MEBIBYTES, "{most} MiB");
    assert_eq!(world.seven_tables().await, before, "{}", run.output);
    let set_aside = world
        .ask("SELECT reason || ' ' || field || ' ' || sample FROM runner.rejected")
        .await;
    let set_aside: Vec<&str> = set_aside
        .iter()
        .flatten()
        .flatten()
        .map(String::as_str)
        .collect();
    for hit in hits.iter().filter(|hit| !hit.words.is_empty()) {
        assert!(
            set_aside.iter().any(|line| line.contains(hit.words)),
            "{}: `{}` is not among {set_aside:#?}",
            hit.part,
            hit.words
        );
    }
    assert!(
        set_aside.iter().all(|line| line.len() < 8_000),
        "a sample is not bounded"
    );
    world.simulator.faults().clear();
    world.run(&FRESH).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_a_hundred_thousand_holdings_are_no_portfolio() {
    let (world, before) = loaded(4).await;
    let code = &world.active(1)[0];
    let row = "<div class=\"portallocation-list\"><span class=\"name-text\">A</span><span class=\"ratio-text\">0.01%</span></div>";
    let body = format!(
        "<html><body><div class=\"fundName\"><h1>{code}</h1></div><div class=\"date-detail-text\">31/12/2569</div>{}</body></html>",
        row.repeat(22_000)
    );
    let elements = vec!["{\"name\":\"A\",\"percent\":0.01}"; 100_000].join(",");
    let portfolio = format!(
        "{{\"status\":true,\"data\":{{\"top_holdings\":{{\"data_date\":\"2026-10-31T00:00:00Z\",\"elements\":[{elements}]}},\"asset_allocation\":null,\"global_stock_sector\":null}}}}"
    );
    let answer = |content_type: &str, body: String| FaultKind::Body {
        status: 200,
        content_type: content_type.to_owned(),
        body,
    };
    let hits = [
        super::hit(
            Site::WealthMagik,
            wealthmagik_path(code, "port"),
            answer("text/html", body),
            "",
            "more than 20000 rows",
        ),
        super::hit(
            Site::Finnomena,
            world.finnomena_path(code, "/portfolio"),
            answer("application/json", portfolio),
            "",
            "more than 20000 rows",
        ),
    ];
    let (run, most) = run_with(&world, &hits).await;
    run.exits(0);
    assert!(most <= 2 * super::MOST_MEBIBYTES, "{most} MiB");
    assert_eq!(world.seven_tables().await, before);
    let rejects: i64 = world
        .one("SELECT count(*) FROM runner.rejected WHERE reason LIKE 'more than 20000 rows%'")
        .await;
    assert_eq!(rejects, 2, "one for each page");
    world.simulator.faults().clear();
    world.run(&FRESH).await.exits(0);
    world.assert_truth().await;
}
