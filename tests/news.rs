//! News (P2): a daily cycle reads the pages with the newest NAVs of many funds and requests only the funds that have
//! something new. If one of these pages is faulty, the funds are requested one by one, and every cell still equals the
//! truth.

use simulator::{FaultKind, MarketConfig, Site};

use crate::world::{Run, World};

// Dates on the market's own calendar.
const MONTHLY: [&str; 5] = ["--once", "--cycle", "monthly", "--date", "2026-10-15"];
const DAILY: [&str; 6] = [
    "--once",
    "--cycle",
    "daily",
    "--fresh",
    "--date",
    "2026-10-16",
];

/// A market of plain funds that is loaded completely.
async fn known(funds: usize) -> World {
    let world = World::plain(funds).await;
    world.run(&MONTHLY).await.exits(0);
    world
}

/// Runs a daily cycle. Returns the run and its requests to Finnomena: the numbers of the pages of news, and the paths
/// of the NAV histories.
async fn daily(world: &World) -> (Run, Vec<String>, Vec<String>) {
    let skip = world.simulator.log().requests.len();
    let run = world.run(&DAILY).await;
    let (mut pages, mut navs) = (Vec::new(), Vec::new());
    for path in world.asked_since(skip, Site::Finnomena) {
        if let Some((_, query)) = path.split_once("/public/filter?page=") {
            pages.push(query.trim_end_matches("&limit=100").to_owned());
        } else if path.contains("/nav/q?") {
            navs.push(path);
        } else {
            assert!(path.ends_with("/public/funds"), "{path}");
        }
    }
    navs.sort_unstable();
    (run, pages, navs)
}

/// The request paths of these funds' short histories.
fn short(world: &World, codes: &[String]) -> Vec<String> {
    let api = "/fn3/api/fund/v2/public";
    let mut paths: Vec<String> = codes
        .iter()
        .map(|code| format!("{api}{}", world.finnomena_path(code, "/nav/q?range=1M")))
        .collect();
    paths.sort_unstable();
    paths
}

fn all(world: &World) -> Vec<String> {
    world.active(world.simulator.market().codes().len())
}

/// The newest day of a fund's series.
async fn newest_day(world: &World, code: &str) -> jiff::civil::Date {
    let day: String = world
        .one(&format!(
            "SELECT max(nav_date)::text FROM funds_daily WHERE fund_code = '{code}' AND nav_said_by & 1 = 1"
        ))
        .await;
    day.parse().expect("a date")
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_news_lead_to_one_short_request_each_and_no_news_to_none() {
    let world = known(12).await;
    // Without news, no history is requested.
    let (run, pages, navs) = daily(&world).await;
    run.exits(0);
    assert_eq!((pages, navs), (vec!["1".to_owned()], vec![]));
    world.assert_truth().await;

    // One fund's newest NAV changes while its date stays the same.
    let code = world.active(3)[2].clone();
    let day = newest_day(&world, &code).await;
    world
        .simulator
        .revise_nav(&code, day, "4.3102")
        .expect("a known code");
    let (run, pages, navs) = daily(&world).await;
    run.exits(0);
    assert_eq!(pages, ["1"]);
    assert_eq!(navs, short(&world, &[code]));
    world.assert_truth().await;

    // A day later every fund has news, once.
    world.simulator.advance_days(1);
    let (run, pages, navs) = daily(&world).await;
    run.exits(0);
    assert_eq!(pages, ["1"]);
    assert_eq!(navs, short(&world, &all(&world)));
    world.assert_truth().await;
    let written = world.written().await;
    let (run, _, navs) = daily(&world).await;
    run.exits(0);
    assert_eq!(navs, [""; 0]);
    assert_eq!(world.written().await, written, "D2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_pages_of_news_is_requested_fund_by_fund() {
    let world = known(8).await;
    world.fault_on(Site::Finnomena, "/filter", FaultKind::Status(404));
    world.simulator.advance_days(1);
    let (run, pages, navs) = daily(&world).await;
    run.exits(0);
    assert_eq!(pages, ["1"]);
    assert_eq!(navs, short(&world, &all(&world)));
    world.assert_truth().await;
    let outcome: String = world
        .one("SELECT outcome FROM runner.task WHERE page = 'filter'")
        .await;
    assert_eq!(outcome, "absent");
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_pages_of_news_of_another_shape_cost_themselves_alone() {
    for (kind, words) in [
        (
            FaultKind::RenamedField {
                from: "\"funds\"".to_owned(),
                to: "\"items\"".to_owned(),
            },
            "data.funds: expected an array of funds",
        ),
        (
            FaultKind::RenamedField {
                from: "\"nav_date\"".to_owned(),
                to: "\"date\"".to_owned(),
            },
            "data.funds[].nav_date: expected the key",
        ),
        (FaultKind::HtmlInsteadOfJson, "expected JSON"),
        (FaultKind::CutText, "expected JSON"),
    ] {
        let world = known(6).await;
        world.fault_on(Site::Finnomena, "/filter", kind.clone());
        world.simulator.advance_days(1);
        let (run, pages, navs) = daily(&world).await;
        // The failure is reported (D7) and the page is requested once more in round 2; the source continues. A page
        // instead of JSON may call for the browser, so each round requests it twice.
        let requests = match kind {
            FaultKind::HtmlInsteadOfJson => 4,
            _ => 2,
        };
        run.exits(3).says(words);
        assert!(!run.output.contains("contract breach"), "{}", run.output);
        assert_eq!(pages, vec!["1"; requests], "{kind:?}");
        assert_eq!(navs, short(&world, &all(&world)), "{kind:?}");
        world.assert_truth().await;
        let failed = world
            .ask("SELECT page, key FROM runner.task WHERE outcome NOT IN ('done', 'unchanged', 'absent')")
            .await;
        assert_eq!(failed.len(), 1, "{kind:?}: {failed:?}");
        // After the fault is cleared, the page is used again.
        world.simulator.faults().clear();
        let (run, pages, navs) = daily(&world).await;
        run.exits(0);
        assert_eq!((pages.len(), navs.len()), (1, 0), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_missing_old_or_unreadable_costs_its_fund_one_request() {
    let world = known(12).await;
    let active = all(&world).len();
    let first = |key: &str, value: &str| FaultKind::FirstValue {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    for (kind, asked) in [
        (first("nav_date", "\"2020-01-02T00:00:00Z\""), 1),
        (first("nav_date", "\"2099-01-01T00:00:00Z\""), 1),
        (first("nav_date", "\"soon\""), 1),
        (first("nav", "null"), 1),
        (first("nav", "NaN"), 1),
        (first("nav", "\"ten\""), 1),
        (first("nav", "0.0001"), 1),
        (first("fund_id", "\"F0OTHER\""), 1),
        (first("short_code", "\"NOBODY\""), 1),
        (FaultKind::ShrunkList, active - active / 3),
    ] {
        world.simulator.faults().clear();
        world.fault_on(Site::Finnomena, "/filter", kind.clone());
        let (run, pages, navs) = daily(&world).await;
        run.exits(0);
        assert_eq!((pages.len(), navs.len()), (1, asked), "{kind:?}");
        assert!(
            navs.iter().all(|path| path.ends_with("range=1M")),
            "{navs:?}"
        );
        world.assert_truth().await;
    }
    // D8: no fund becomes inactive because of such a page.
    let inactive: i64 = world
        .one("SELECT count(*) FROM funds_master_info WHERE fund_status <> 'active'")
        .await;
    assert_eq!(inactive, 0);
    let strangers: i64 = world
        .one("SELECT count(*) FROM runner.fund WHERE fund_code = 'NOBODY'")
        .await;
    assert_eq!(strangers, 0);
}

/// Each page is requested once: those with entries, and the one after them.
#[tokio::test(flavor = "multi_thread")]
async fn p2_every_page_of_news_is_read_once_however_many_there_are() {
    let world = World::new(MarketConfig {
        funds: 400,
        // Longer than the shortest range; otherwise the histories count as cut short.
        days: 30,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await;
    let only = ["--only", "finnomena"];
    world
        .run(&[&["--once", "--cycle", "daily"], &only[..]].concat())
        .await
        .exits(0);
    let asked = |skip: usize| {
        let mut asked = world.asked_since(skip, Site::Finnomena);
        asked.retain(|path| !path.ends_with("/public/funds"));
        asked.sort_unstable();
        asked
    };
    assert!(
        asked(0).iter().all(|path| !path.contains("/filter")),
        "a new market has no news"
    );
    let active = world.simulator.market().codes().len();
    let listed: i64 = world
        .one("SELECT count(*) FROM runner.observation WHERE source = 'finnomena' AND dataset = 'listing'")
        .await;
    let listed = usize::try_from(listed).expect("a count");
    let last = (active.div_ceil(100) + 1).min(listed.div_ceil(100));
    assert!(last > 2, "{active} active funds of {listed}");
    let pages: Vec<String> = (1..=last)
        .map(|number| format!("/fn3/api/fund/v2/public/filter?page={number}&limit=100"))
        .collect();
    for _ in 0..2 {
        let skip = world.simulator.log().requests.len();
        world.run(&[&DAILY[..], &only[..]].concat()).await.exits(0);
        let (news, own): (Vec<String>, Vec<String>) = asked(skip)
            .into_iter()
            .partition(|path| path.contains("/filter"));
        assert_eq!(news, pages);
        assert_eq!(own.len(), 20, "the control sample: {own:?}");
    }
}

/// P3: a failed page is requested again in round 2. By then every fund has been requested, so no further page is.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_news_that_fails_in_round_one_is_the_only_one_requested_again() {
    let world = known(6).await;
    world.fault_times(Site::Finnomena, "/filter", 4, FaultKind::Status(500));
    world.simulator.advance_days(1);
    let (run, pages, navs) = daily(&world).await;
    run.exits(0);
    assert_eq!(pages, ["1"; 5], "four attempts, then round 2");
    assert_eq!(navs, short(&world, &all(&world)));
    world.assert_truth().await;
}
