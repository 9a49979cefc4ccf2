//! Pages from the browser equal the truth, are requested as politely as over HTTP, and the run reports each page's
//! transport.

use std::collections::BTreeSet;
use std::time::Duration;

use simulator::{JavascriptPages, MarketConfig, Site};

use super::machine::{archived, changes_to_the_browser, nothing_is_left, opened, pages, run};
use crate::world::World;

pub const MONTHLY: [&str; 5] = ["--once", "--mode", "parallel", "--cycle", "monthly"];

/// The pages of WealthMagik that a browser can show, beside the list.
const FUND_PAGES: [&str; 4] = ["profile", "port", "allocation", "fee"];

async fn world(funds: usize, javascript: JavascriptPages) -> World {
    World::new(MarketConfig {
        funds,
        days: 10,
        javascript,
        ..MarketConfig::default()
    })
    .await
}

/// P1, P4: asserts that HTTP and the browser send the same User-Agent, and that no browser session hides its driver.
pub fn is_truthful(world: &World) {
    let log = world.simulator.log();
    let agents = log.user_agents();
    let program = concat!("master_runner/", env!("CARGO_PKG_VERSION"));
    assert_eq!(agents, BTreeSet::from([program]));
    assert!(
        log.browser_sessions.values().all(|webdriver| *webdriver),
        "{:?}",
        log.browser_sessions
    );
    for site in [Site::Finnomena, Site::WealthMagik, Site::SecPage] {
        if let Some(first) = log.of(site).next() {
            assert_eq!(first.path, "/robots.txt", "{site:?}: before anything else");
        }
    }
}

/// Transport `Browser`: every suitable page is opened in the browser, and sessions are recycled.
#[tokio::test(flavor = "multi_thread")]
async fn with_transport_browser_every_cell_is_the_truth() {
    let mut world = world(8, JavascriptPages::None).await;
    world.settings.transport = "Browser";
    world.settings.more = "browser: (sessions: 2, pages_per_session: 8),".to_owned();
    let run = run(&world, &MONTHLY).await;
    run.exits(0);
    world.assert_truth().await;
    nothing_is_left(&world);
    is_truthful(&world);

    let by_browser = opened(&world, Site::WealthMagik);
    assert!(by_browser.len() >= 20, "{by_browser:?}");
    assert_eq!(pages(&run, "wealthmagik").1, by_browser.len());
    assert_eq!(
        pages(&run, "sec_fundcheck"),
        (0, opened(&world, Site::SecPage).len())
    );
    let log = world.simulator.log();
    let by_api: Vec<&str> = log
        .of(Site::SecApi)
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(
        by_api,
        ["/robots.txt"],
        "the clock is asked, the API is not"
    );
    let by_http: Vec<&str> = log
        .of(Site::WealthMagik)
        .filter(|request| !request.from_browser)
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(by_http, ["/robots.txt"]);

    let visits = by_browser.len() + opened(&world, Site::SecPage).len();
    let least = visits.div_ceil(8);
    let sessions = log.webdriver_sessions();
    assert!(
        (least..=least + 1).contains(&sessions),
        "{sessions} sessions for {visits} pages of at most 8 each"
    );
}

/// Transport `Auto`: covers pages that a script builds and an API that refuses other clients.
#[tokio::test(flavor = "multi_thread")]
async fn with_transport_auto_pages_built_by_script_go_over_to_the_browser_once() {
    let mut world = world(12, JavascriptPages::WealthMagik).await;
    world.settings.transport = "Auto";
    world.settings.more = "browser: (sessions: 2),".to_owned();
    let run = run(&world, &MONTHLY).await;
    run.exits(0);
    world.assert_truth().await;
    nothing_is_left(&world);
    is_truthful(&world);
    assert!(opened(&world, Site::WealthMagik).len() >= 30);
    assert_eq!(
        pages(&run, "wealthmagik").1,
        opened(&world, Site::WealthMagik).len()
    );
    assert_eq!(
        pages(&run, "sec_fundcheck").1,
        0,
        "the API answers: no browser"
    );
    let log = world.simulator.log();
    for page in FUND_PAGES {
        assert_eq!(
            changes_to_the_browser(&run, "wealthmagik", page),
            1,
            "{page}: {}",
            run.output
        );
        let by_http = log
            .of(Site::WealthMagik)
            .filter(|request| !request.from_browser && request.path.ends_with(page))
            .count();
        assert!((2..=2 + 6).contains(&by_http), "{page}: {by_http} by HTTP");
    }
    assert_eq!(changes_to_the_browser(&run, "wealthmagik", "list"), 0);
    assert!(!run.output.contains('\u{1b}'), "colours without a terminal");
    assert_eq!(
        run.output.matches("changing to the browser").count(),
        FUND_PAGES.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_transport_browser_or_auto_thirty_pages_of_the_sec_are_the_truth() {
    for transport in ["Browser", "Auto"] {
        let mut world = world(48, JavascriptPages::Sec).await;
        world.settings.sec_transport = Some(transport);
        world.settings.more = "browser: (sessions: 2),".to_owned();
        let run = run(&world, &MONTHLY).await;
        run.exits(0);
        world.assert_truth().await;
        nothing_is_left(&world);
        is_truthful(&world);
        let by_browser = opened(&world, Site::SecPage);
        assert!(by_browser.len() >= 30, "{transport}: {by_browser:?}");
        let (by_http, in_browser) = pages(&run, "sec_fundcheck");
        assert_eq!(in_browser, by_browser.len());
        let changes = changes_to_the_browser(&run, "sec_fundcheck", "statistics");
        if transport == "Auto" {
            assert_eq!(changes, 1, "{}", run.output);
            assert!((2..=2 + 6).contains(&by_http), "{by_http} by HTTP");
        } else {
            assert_eq!((changes, by_http), (0, 0));
        }
        assert_eq!(pages(&run, "wealthmagik").1, 0);
    }
}

/// Sites that answer 403 to clients other than a browser: the list is also read in the browser and scrolled to its end.
#[tokio::test(flavor = "multi_thread")]
async fn sites_that_refuse_other_clients_are_read_in_the_browser() {
    let mut world = world(5, JavascriptPages::None).await;
    world.settings.transport = "Auto";
    world.settings.more = "browser: (sessions: 2),".to_owned();
    for site in [Site::WealthMagik, Site::SecApi, Site::SecPage] {
        world.simulator.set_browser_only(site, true);
    }
    let run = run(&world, &MONTHLY).await;
    run.exits(0);
    world.assert_truth().await;
    nothing_is_left(&world);
    is_truthful(&world);
    for page in FUND_PAGES.into_iter().chain(["list"]) {
        assert_eq!(
            changes_to_the_browser(&run, "wealthmagik", page),
            1,
            "{page}: {}",
            run.output
        );
    }
    assert_eq!(
        changes_to_the_browser(&run, "sec_fundcheck", "statistics"),
        1
    );
    let log = world.simulator.log();
    let refused: Vec<_> = log
        .requests
        .iter()
        .filter(|request| request.status == 403)
        .collect();
    assert!(refused.iter().all(|request| !request.from_browser));
    let most = 6 * (2 + 6);
    assert!(
        refused.len() <= most,
        "{} refusals: two are enough",
        refused.len()
    );
}

/// P1: documents are opened in the browser at the host's rate, evenly, for any number of sessions.
#[tokio::test(flavor = "multi_thread")]
async fn the_browser_keeps_the_rate_of_the_host() {
    const RATE: f64 = 2.0;
    let mut world = world(4, JavascriptPages::WealthMagik).await;
    world.settings.transport = "Browser";
    world.settings.requests_per_sec = RATE;
    world.settings.more = "browser: (sessions: 3),".to_owned();
    run(&world, &MONTHLY).await.exits(0);
    world.assert_truth().await;
    let log = world.simulator.log();
    let starts: Vec<Duration> = log
        .of(Site::WealthMagik)
        .filter(|request| request.from_browser && request.path.starts_with("/funds"))
        .map(|request| request.started)
        .collect();
    assert!(starts.len() > 10, "{starts:?}");
    let span = starts[starts.len() - 1] - starts[0];
    let most = span.as_secs_f64() * RATE + 1.0;
    assert!(
        starts.len() as f64 <= most + 0.5,
        "{} pages in {span:?}",
        starts.len()
    );
    // The site sees a page some time after the runner opened it, later on a busy machine: six pages in a row take 2.5 s
    // at this rate, and without one the three sessions open six at once.
    for window in starts.windows(6) {
        assert!(
            window[5] - window[0] >= Duration::from_secs(1),
            "six pages within a second: {window:?}"
        );
    }
}

/// The page's lazy list has the same funds as the JSON list: its overlay is closed and it is scrolled to its end.
#[tokio::test(flavor = "multi_thread")]
async fn the_lazy_list_is_scrolled_to_its_end_with_its_overlay_closed() {
    let mut found = Vec::new();
    for (transport, javascript) in [
        ("Http", JavascriptPages::None),
        ("Browser", JavascriptPages::None),
        ("Browser", JavascriptPages::WealthMagik),
    ] {
        let mut world = world(90, javascript).await;
        world.settings.transport = transport;
        let only = ["--only", "finnomena,wealthmagik", "--limit", "1"];
        run(&world, &[&MONTHLY[..], &only].concat()).await.exits(0);
        let listed = world
            .database
            .connect()
            .await
            .query(
                "SELECT source_key, fund_code FROM runner.alias JOIN runner.fund USING (fund_id) WHERE source = 'wealthmagik' ORDER BY 1, 2",
                &[],
            )
            .await
            .expect("runner.alias answers");
        let listed: Vec<(String, String)> = listed
            .into_iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        found.push(listed);
        if transport == "Browser" {
            let lists = archived(&world, "wealthmagik/list");
            let [list] = lists.as_slice() else {
                panic!("one list, not {}", lists.len());
            };
            assert!(
                !list.contains("id=\"popupAdsClose\""),
                "the overlay was not closed"
            );
        }
    }
    // The list is several times longer than its first visible part.
    assert!(found[0].len() > 60, "{found:?}");
    assert_eq!(found[1], found[0]);
    assert_eq!(found[2], found[0]);
}
