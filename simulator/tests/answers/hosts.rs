//! Tests of the hosts' answers: every page of every site, faults, the log, and factsheets that a PDF reader accepts.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{ask, get, post};
use simulator::{
    EdgeCase, Fault, FaultKind, JavascriptPages, MarketConfig, RetryAfter, Robots, Simulator, Site,
};

async fn small() -> Simulator {
    Simulator::start(MarketConfig::default())
        .await
        .expect("the simulator starts")
}

fn finnomena(simulator: &Simulator, path: &str) -> String {
    format!(
        "{}/fn3/api/fund/v2/public{path}",
        simulator.urls().finnomena
    )
}

#[tokio::test]
async fn finnomena_lists_funds_and_answers_404_for_others() {
    let simulator = small().await;
    let list = get(&finnomena(&simulator, "/funds")).await.json();
    let codes: Vec<&str> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|fund| fund["short_code"].as_str())
        .collect();
    assert!(codes.contains(&" SCBGLOW") && codes.contains(&"007") && codes.contains(&""));
    assert_eq!(
        get(&finnomena(&simulator, "/funds/F0NOSUCH")).await.status,
        404
    );
    assert_eq!(
        get(&finnomena(&simulator, "/filter?page=1&limit=10"))
            .await
            .json()["data"]["funds"]
            .as_array()
            .map(Vec::len),
        Some(10)
    );
}

#[tokio::test]
async fn a_bare_nan_appears_in_the_navs_chosen_for_it() {
    let simulator = Simulator::start(MarketConfig {
        funds: 100,
        ..MarketConfig::default()
    })
    .await
    .expect("the simulator starts");
    let fund_id = {
        let market = simulator.market();
        let code = market
            .codes_with(EdgeCase::AmountNan)
            .first()
            .copied()
            .expect("a dealt NaN")
            .to_owned();
        market.fund_id(&code).expect("an id").to_owned()
    };
    assert!(
        get(&finnomena(
            &simulator,
            &format!("/funds/{fund_id}/nav/q?range=MAX")
        ))
        .await
        .text()
        .contains("\"amount\":NaN")
    );
    assert_eq!(
        get(&finnomena(
            &simulator,
            &format!("/funds/{fund_id}/nav/q?range=1W")
        ))
        .await
        .status,
        200
    );
}

#[tokio::test]
async fn wealthmagik_pages_are_whole_and_find_encoded_codes() {
    let simulator = Simulator::start(MarketConfig {
        funds: 100,
        ..MarketConfig::default()
    })
    .await
    .expect("the simulator starts");
    let base = simulator.urls().wealthmagik;
    let (odd, without_pages) = {
        let market = simulator.market();
        let all = |kinds: &[EdgeCase]| -> Vec<String> {
            kinds
                .iter()
                .flat_map(|kind| market.codes_with(*kind))
                .map(str::to_owned)
                .collect()
        };
        (
            all(&[
                EdgeCase::CodeSpecialCharacters,
                EdgeCase::CodeSlashTwin,
                EdgeCase::CodeDecomposed,
                EdgeCase::CodeApostrophe,
            ]),
            all(&[EdgeCase::WealthMagikMissing, EdgeCase::WealthMagikAbsent]),
        )
    };
    for code in &odd {
        let encoded: String = code
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
        for page in ["profile", "port", "allocation", "fee"] {
            let answer = get(&format!("{base}/funds/{encoded}/{page}")).await;
            if without_pages.contains(code) {
                assert_eq!(answer.status, 404, "{code}/{page}");
                continue;
            }
            assert_eq!(answer.status, 200, "{code}/{page}");
            assert!(
                answer.text().ends_with("</html>") && answer.text().contains("class=\"fundName\""),
                "{code}/{page}"
            );
        }
    }
    assert_eq!(
        get(&format!("{base}/funds/NO-SUCH/profile")).await.status,
        404
    );
    assert!(
        get(&format!("{base}/json-search/fundSearch.json"))
            .await
            .json()["data"]
            .as_array()
            .is_some_and(|list| list.len() > 10)
    );
}

#[tokio::test]
async fn scripted_pages_hold_no_values() {
    let config = MarketConfig {
        javascript: JavascriptPages::All,
        ..MarketConfig::default()
    };
    let simulator = Simulator::start(config)
        .await
        .expect("the simulator starts");
    let urls = simulator.urls();
    let page = get(&format!("{}/funds/007/profile", urls.wealthmagik))
        .await
        .text();
    assert!(
        !page.contains("fundName\"")
            && !page.contains("wmg.funddetailinfo")
            && page.ends_with("</html>")
    );
    assert_eq!(
        post(&format!("{}/api/funds", urls.sec_api), "[\"007\"]")
            .await
            .status,
        403
    );
    let browser = ask(
        "POST",
        &format!("{}/api/funds", urls.sec_api),
        "Sec-Fetch-Mode: cors\r\n",
        "[\"007\"]",
    )
    .await
    .expect("an answer");
    assert_eq!(browser.status, 200);
}

#[tokio::test]
async fn the_sec_answers_known_codes_and_a_bad_one_spoils_its_batch() {
    let simulator = Simulator::start(MarketConfig {
        funds: 100,
        ..MarketConfig::default()
    })
    .await
    .expect("the simulator starts");
    let (spoiler, unknown) = {
        let market = simulator.market();
        let first = |kind| {
            market
                .codes_with(kind)
                .first()
                .copied()
                .expect("a dealt kind")
                .to_owned()
        };
        (first(EdgeCase::SecSpoilsBatch), first(EdgeCase::SecUnknown))
    };
    let url = format!("{}/api/funds", simulator.urls().sec_api);
    let batch = |codes: &[&str]| serde_json::to_string(codes).expect("JSON");
    assert_eq!(post(&url, &batch(&[&spoiler, &unknown])).await.status, 400);
    assert_eq!(post(&url, &batch(&[&spoiler])).await.status, 400);
    assert_eq!(
        post(&url, &batch(&[&unknown, "NO SUCH"])).await.text(),
        "[]"
    );
    // The application is the same for every code; its API knows which exist.
    let page = simulator.urls().sec_page;
    for (path, status) in [
        ("fund-detail;funds=NO-SUCH", 200),
        ("api/fund-detail?code=NO-SUCH", 404),
        ("no-such-page", 404),
    ] {
        assert_eq!(
            get(&format!("{page}/{path}")).await.status,
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn factsheets_are_read_by_a_pdf_reader() {
    if Command::new("pdftotext")
        .arg("-v")
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("skipped: pdftotext is not installed");
        return;
    }
    let simulator = small().await;
    let truth = simulator.truth();
    let codes = &truth.table("funds_codes").expect("a table").rows;
    assert!(!codes.is_empty());
    for row in codes {
        let (code, url) = (
            row[2].as_deref().expect("a code"),
            row[3].as_deref().expect("a URL"),
        );
        let pdf = get(url).await;
        let mut reader = Command::new("pdftotext")
            .args(["-layout", "-", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("pdftotext starts");
        reader
            .stdin
            .take()
            .expect("a pipe")
            .write_all(&pdf.body)
            .expect("the pipe takes it");
        let text = reader.wait_with_output().expect("pdftotext ends").stdout;
        // A ticker is printed as `X TB`, `X:TB` or `X TB Equity`.
        let printed = String::from_utf8_lossy(&text).replace(":TB", " TB");
        assert!(printed.contains(code), "{url} prints {code}");
    }
}

#[tokio::test]
async fn faults_hit_where_and_as_often_as_they_are_set() {
    let simulator = small().await;
    let url = finnomena(&simulator, "/funds");
    simulator.faults().set(
        Fault::of(Site::Finnomena, FaultKind::Status(502))
            .on_path("/funds")
            .times(2),
    );
    assert_eq!(get(&url).await.status, 502);
    assert_eq!(get(&finnomena(&simulator, "/categories")).await.status, 200);
    assert_eq!(get(&url).await.status, 502);
    assert_eq!(get(&url).await.status, 200);
    let list = || async { get(&url).await };
    let whole = list().await.body.len();

    let set = |kind| {
        simulator.faults().clear();
        simulator.faults().set(Fault::of(Site::Finnomena, kind));
    };
    set(FaultKind::CutBody);
    assert!(list().await.is_cut());
    set(FaultKind::CutText);
    let cut = list().await;
    assert!(!cut.is_cut() && cut.body.len() < whole);
    set(FaultKind::HtmlInsteadOfJson);
    assert!(list().await.text().starts_with("<!DOCTYPE html>"));
    set(FaultKind::RenamedField {
        from: "sec_is_active".to_owned(),
        to: "is_active".to_owned(),
    });
    assert!(!list().await.text().contains("sec_is_active"));
    set(FaultKind::BareNan);
    assert!(
        get(&finnomena(&simulator, "/funds/F000000000/nav/q?range=MAX"))
            .await
            .text()
            .contains("NaN")
    );
    set(FaultKind::ShrunkList);
    assert!(list().await.body.len() < whole / 2);
    set(FaultKind::Slow(300));
    let began = Instant::now();
    list().await;
    assert!(began.elapsed() >= Duration::from_millis(300));
    set(FaultKind::Stalled);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), list())
            .await
            .is_err()
    );
    set(FaultKind::Down);
    assert!(ask("GET", &url, "", "").await.is_err());
    assert_eq!(simulator.log().refused_connections.len(), 1);
    simulator.faults().clear();
    assert_eq!(list().await.status, 200);
}

#[tokio::test]
async fn pages_can_come_empty_or_as_errors() {
    let simulator = small().await;
    let url = format!("{}/funds/007/port", simulator.urls().wealthmagik);
    simulator
        .faults()
        .set(Fault::of(Site::WealthMagik, FaultKind::EmptyPage));
    let empty = get(&url).await.text();
    assert!(
        empty.contains("fundName")
            && !empty.contains("portallocation-list")
            && !empty.contains("emptyData")
    );
    simulator.faults().clear();
    simulator
        .faults()
        .set(Fault::of(Site::WealthMagik, FaultKind::ErrorPage));
    let error = get(&url).await;
    assert!(
        error.status == 200
            && !error.text().contains("fundName")
            && error.text().ends_with("</html>")
    );
}

#[tokio::test]
async fn throttling_hands_out_a_window_and_the_log_knows_who_broke_it() {
    let simulator = small().await;
    let throttle = FaultKind::Throttle {
        status: 429,
        retry_after: RetryAfter::DateInSeconds(30),
    };
    simulator
        .faults()
        .set(Fault::of(Site::Finnomena, throttle).times(1));
    let throttled = get(&finnomena(&simulator, "/funds")).await;
    assert!(
        throttled.status == 429
            && throttled.head.to_lowercase().contains("retry-after: ")
            && throttled.head.contains("GMT")
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    get(&finnomena(&simulator, "/funds")).await;
    assert_eq!(simulator.log().inside_retry_after(Site::Finnomena), 1);
}

#[tokio::test]
async fn robots_are_as_they_were_set_and_requests_are_logged() {
    let simulator = small().await;
    let urls = simulator.urls();
    assert_eq!(
        get(&format!("{}/robots.txt", urls.finnomena)).await.status,
        200
    );
    assert_eq!(
        get(&format!("{}/robots.txt", urls.sec_api)).await.status,
        404
    );
    simulator.set_robots(
        Site::Finnomena,
        Robots::Text("User-agent: *\nDisallow: /".to_owned()),
    );
    assert!(
        get(&format!("{}/robots.txt", urls.finnomena))
            .await
            .text()
            .ends_with("Disallow: /")
    );
    let log = simulator.log();
    assert_eq!(log.counts()[&(Site::Finnomena, "/robots.txt")], 2);
    assert!(log.of(Site::Finnomena).all(|request| request.status == 200
        && request.user_agent == "test"
        && request.ended.is_some()));
    post(
        &format!("{}/__simulator/beacon", urls.wealthmagik),
        r#"{"session":"a","webdriver":true,"path":"/funds"}"#,
    )
    .await;
    assert_eq!(simulator.log().webdriver_sessions(), 1);
}

#[tokio::test]
async fn a_simulator_in_another_process_is_steered_by_its_control_endpoint() {
    let simulator = small().await;
    let control = format!("{}/__simulator", simulator.urls().documents);
    assert_eq!(
        post(&format!("{control}/advance?days=1"), "").await.status,
        200
    );
    assert_eq!(
        get(&format!("{control}/stats")).await.json()["today"],
        "2026-10-16"
    );
    let fault = r#"{"site":"finnomena","times":1,"kind":{"throttle":{"status":503,"retry_after":{"seconds":7}}}}"#;
    assert_eq!(post(&format!("{control}/faults"), fault).await.status, 200);
    assert_eq!(get(&finnomena(&simulator, "/funds")).await.status, 503);
    assert_eq!(
        get(&format!("{control}/truth")).await.text(),
        simulator.truth().to_string()
    );
    assert_eq!(post(&format!("{control}/faults"), "{}").await.status, 400);
}
