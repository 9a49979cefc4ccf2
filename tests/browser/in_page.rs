//! Finnomena behind a front door that refuses plain clients: the browser opens the site's fund page once per session
//! and requests the JSON from inside it.

use simulator::{FaultKind, MarketConfig, Site};

use super::machine::{changes_to_the_browser, nothing_is_left, opened, pages, run};
use super::pages::{MONTHLY, is_truthful};
use crate::world::World;

/// The pages of Finnomena that a monthly cycle requests as JSON.
const JSON_PAGES: [&str; 5] = ["list", "nav", "fund", "fee", "portfolio"];

async fn world(funds: usize, transport: &'static str) -> World {
    let mut world = World::new(MarketConfig {
        funds,
        days: 10,
        ..MarketConfig::default()
    })
    .await;
    world.settings.finnomena_transport = transport;
    world
}

/// The paths of Finnomena that were requested by plain HTTP, without those that were refused.
fn by_http(world: &World) -> Vec<String> {
    let log = world.simulator.log();
    log.of(Site::Finnomena)
        .filter(|request| !request.from_browser && request.status != 403)
        .map(|request| request.path.clone())
        .collect()
}

/// Transport `Auto`, a first load: each page changes to the browser after two refusals.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_door_that_refuses_plain_clients_is_passed_from_inside_the_fund_page() {
    let mut world = world(6, "Auto").await;
    world.settings.more = "browser: (pages_per_session: 8),".to_owned();
    world.simulator.set_browser_only(Site::Finnomena, true);
    let run = run(&world, &MONTHLY).await;
    run.exits(0);
    world.assert_truth().await;
    nothing_is_left(&world);
    is_truthful(&world);
    assert_eq!(by_http(&world), ["/robots.txt"]);
    let log = world.simulator.log();
    for page in JSON_PAGES {
        let changes = changes_to_the_browser(&run, "finnomena", page);
        assert_eq!(changes, 1, "{page}: {}", run.output);
    }
    let refused = log
        .of(Site::Finnomena)
        .filter(|request| request.status == 403);
    let refused: Vec<_> = refused.collect();
    assert!(refused.iter().all(|request| !request.from_browser));
    assert!(
        refused.len() <= JSON_PAGES.len() * (2 + 6),
        "{} refusals",
        refused.len()
    );

    // One page load per session, and a session serves at most eight requests.
    let asked = pages(&run, "finnomena").1;
    assert!(asked >= 16, "{asked} requests");
    let sessions = log.webdriver_sessions();
    assert_eq!(opened(&world, Site::Finnomena), vec!["/fund"; sessions]);
    let least = asked.div_ceil(8);
    assert!(
        (least..=least + 1).contains(&sessions),
        "{sessions} sessions for {asked} requests of at most 8 each"
    );
}

/// P1: rate and concurrency of the host hold for the page load and the requests from inside the page.
#[tokio::test(flavor = "multi_thread")]
async fn requests_from_inside_a_page_keep_the_rate_of_the_host() {
    const RATE: usize = 5;
    let mut world = world(12, "Browser").await;
    world.settings.requests_per_sec = RATE as f64;
    world.settings.concurrent_requests = 2;
    run(&world, &[&MONTHLY[..], &["--only", "finnomena"]].concat())
        .await
        .exits(0);
    assert_eq!(by_http(&world), ["/robots.txt"]);
    let log = world.simulator.log();
    assert_eq!(opened(&world, Site::Finnomena), ["/fund"]);
    let asked = log.of(Site::Finnomena).count();
    assert!(asked > 4 * RATE, "{asked} requests show no rate");
    let most = log.most_in_a_second(Site::Finnomena);
    assert!(most <= RATE + 1, "{most} requests in a second at {RATE}/s");
    assert!(log.most_at_once(Site::Finnomena) <= 2);
}

/// Refused to the browser as well, at the page or at the JSON: the source is down, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_door_that_refuses_the_browser_too_stops_finnomena_alone() {
    let mut world = world(6, "Http").await;
    run(&world, &MONTHLY).await.exits(0);
    world.assert_truth().await;
    world.settings.finnomena_transport = "Auto";
    world.simulator.set_browser_only(Site::Finnomena, true);
    let again = [&MONTHLY[..], &["--fresh"]].concat();
    let mut before = world.simulator.log().of(Site::WealthMagik).count();
    for refused in ["/fund", "/fn3/"] {
        world.simulator.faults().clear();
        world.fault_on(Site::Finnomena, refused, FaultKind::Status(403));
        let run = run(&world, &again).await;
        run.exits(3)
            .says("source down: ")
            .says("is refused (403) in the browser, too");
        nothing_is_left(&world);
        let missing: i64 = world
            .one("SELECT count(*) FROM runner.task WHERE source <> 'finnomena' AND outcome NOT IN ('done', 'unchanged', 'absent')")
            .await;
        assert_eq!(missing, 0, "{}", run.output);
        let asked = world.simulator.log().of(Site::WealthMagik).count();
        assert!(asked > before + 10, "{asked} requests after {before}");
        before = asked;
    }
    // The front door opens for browsers: the next cycle loads everything.
    world.simulator.faults().clear();
    run(&world, &again).await.exits(0);
    world.assert_truth().await;
}
