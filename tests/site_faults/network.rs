//! Failing connections: TLS, names, refused connections, invalid response heads (P1, P3).

use std::time::Instant;

use simulator::{FaultKind, Site, Strangeness, Urls};

use super::{FRESH, costs_their_own_tasks, failed_tasks, hit, loaded, wealthmagik_path};

const NAV: &str = "finnomena/nav/failed";
const WM_PORT: &str = "wealthmagik/port/failed";

/// Asserts the effect of a host without any answer: its tasks end with one common line, no stored row changes, and the
/// other hosts are read.
async fn is_down(strange: Option<Strangeness>, url: impl Fn(&Urls) -> String, words: &[&str]) {
    let (mut world, before) = loaded(4).await;
    let urls = world.simulator.urls();
    if let Some(strange) = strange {
        world.fault(Site::SecApi, FaultKind::Strange(strange));
    }
    world.settings.urls = Some(Urls {
        sec_api: url(&urls),
        ..urls
    });
    let began = Instant::now();
    let run = world.run(&FRESH).await;
    run.exits(3);
    let lines: Vec<&str> = run
        .output
        .lines()
        .filter(|line| line.contains("ERROR") && line.contains("host down"))
        .collect();
    assert_eq!(lines.len(), 1, "{}", run.output);
    for words in words {
        assert!(lines[0].contains(words), "`{words}`: {}", lines[0]);
    }
    let failed = failed_tasks(&world).await;
    assert!(!failed.is_empty(), "{}", run.output);
    assert!(
        failed
            .iter()
            .all(|task| task == "sec_fundcheck/statistics/failed"),
        "{failed:?}"
    );
    assert_eq!(world.seven_tables().await, before);
    assert!(began.elapsed().as_secs() < 40, "{:?}", began.elapsed());
    world.simulator.faults().clear();
    world.settings.urls = None;
    world.run(&super::MONTHLY).await.exits(0);
    world.assert_truth().await;
}

fn https(url: &str) -> String {
    url.replace("http://", "https://")
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_tls_that_fails_is_a_host_down_with_the_reason() {
    tokio::join!(
        is_down(
            None,
            |urls| https(&urls.sec_api),
            &["https://127.0.0.1", "InvalidContentType"]
        ),
        is_down(
            Some(Strangeness::SelfSigned),
            |urls| https(&urls.sec_api),
            &["https://127.0.0.1", "certificate"]
        ),
        is_down(
            Some(Strangeness::HangsUpAtOnce),
            |urls| https(&urls.sec_api),
            &["https://127.0.0.1", "client error (Connect)"]
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_an_unknown_name_and_a_closed_port_are_a_host_down() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let refusing = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    tokio::join!(
        is_down(
            None,
            |_| "http://nothing.invalid".to_owned(),
            &["http://nothing.invalid", "dns error"]
        ),
        is_down(None, |_| refusing.clone(), &["refused"]),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_answers_that_are_no_http_cost_their_page_and_not_their_host() {
    let (world, before) = loaded(5).await;
    let code = &world.active(1)[0];
    let nav = world.finnomena_path(code, "/nav");
    let port = wealthmagik_path(code, "port");
    let strange = FaultKind::Strange;
    // One page of each host only: a good answer for another page would interrupt the row of failures.
    for (of_nav, of_port) in [
        (
            (strange(Strangeness::EndlessHead), "no answer: "),
            (strange(Strangeness::GiantHeader), "no answer: "),
        ),
        (
            (strange(Strangeness::NoStatusLine), "no answer: "),
            (strange(Strangeness::NonsenseStatus), "no answer: "),
        ),
        (
            (strange(Strangeness::HangsUp), "no answer: "),
            (FaultKind::Dripping(1_000), "no whole answer within 2 s"),
        ),
    ] {
        let hits = [
            hit(Site::Finnomena, nav.clone(), of_nav.0, NAV, of_nav.1),
            hit(
                Site::WealthMagik,
                port.clone(),
                of_port.0,
                WM_PORT,
                of_port.1,
            ),
        ];
        let run = costs_their_own_tasks(&world, &before, &hits).await;
        // P3: a single page that fails in each round does not mark its host as down.
        assert!(
            !run.output.contains("host is down") && !run.output.contains("host down"),
            "{}",
            run.output
        );
        run.says("(attempt 4 of 4)");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_challenge_page_costs_its_task_and_no_cookie_is_made_up() {
    let (world, before) = loaded(5).await;
    let codes = world.active(2);
    let challenge = FaultKind::Body {
        status: 403,
        content_type: "text/html".to_owned(),
        body: "<html><h1>Checking your browser</h1><script>location.reload()</script></html>"
            .to_owned(),
    };
    let hits = [
        hit(
            Site::Finnomena,
            world.finnomena_path(&codes[0], "/nav"),
            challenge.clone(),
            NAV,
            "403, refused",
        ),
        hit(
            Site::WealthMagik,
            wealthmagik_path(&codes[1], "port"),
            challenge,
            WM_PORT,
            "403, refused",
        ),
    ];
    costs_their_own_tasks(&world, &before, &hits).await;
    assert!(
        world
            .simulator
            .log()
            .requests
            .iter()
            .all(|request| !request.from_browser)
    );
}
