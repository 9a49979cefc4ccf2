//! Complete pages that show no values. If the page or its API states that there are none, the fund has none;
//! an empty page is requested once more.

use std::time::{Duration, Instant};

use simulator::{FaultKind, JavascriptPages, MarketConfig, Site};

use super::machine::{ended_in, nothing_is_left, opened, start};
use crate::world::World;

const MONTHLY: [&str; 5] = ["--once", "--mode", "hybrid", "--cycle", "monthly"];

/// Covers three states of the SEC's page: an application that never sends a request, one that reports an unknown fund,
/// and one that works. Each is decided within seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_shows_nothing_is_requested_once_more_at_the_end_of_the_round() {
    let mut world = World::new(MarketConfig {
        funds: 12,
        days: 5,
        edge_cases: false,
        javascript: JavascriptPages::Sec,
        ..MarketConfig::default()
    })
    .await;
    world.settings.sec_transport = Some("Browser");
    world.settings.concurrent_requests = 2;
    // Funds with statistics of the SEC, so that the runner requests them.
    let truth = world.simulator.truth();
    let table = truth.table("funds_statistics").expect("a table");
    let mut codes: Vec<String> = table.rows.iter().filter_map(|row| row[0].clone()).collect();
    codes.dedup();
    let page = |code: &str| format!("/fund-detail;funds={code}");
    let shell = |root: &str| FaultKind::Body {
        status: 200,
        content_type: "text/html; charset=utf-8".to_owned(),
        body: format!("<!doctype html><html><body><app-root>{root}</app-root></body></html>"),
    };
    let is_plain = |code: &str| {
        code.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
            && !codes
                .iter()
                .any(|other| other != code && other.contains(code))
    };
    let plain: Vec<&String> = codes.iter().filter(|code| is_plain(code)).collect();
    let [silent, unknown] = [plain[0], plain[1]];
    world.fault_on(Site::SecPage, &page(silent), shell("<nav>menu</nav>"));
    world.fault_on(Site::SecPage, &page(unknown), shell("<p>ไม่พบกองทุน</p>"));
    let began = Instant::now();
    let only = ["--only", "finnomena,sec_fundcheck"];
    let run = ended_in(
        start(&world, &[&MONTHLY[..], &only].concat()),
        Duration::from_secs(200),
    )
    .await;
    run.exits(3);
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "four waits of 30 s: {:?}",
        began.elapsed()
    );
    let outcome = async |code: &str| -> String {
        world
            .one(&format!(
                "SELECT outcome FROM runner.task WHERE source = 'sec_fundcheck' AND key = '{code}'"
            ))
            .await
    };
    assert_eq!(outcome(silent).await, "failed", "{}", run.output);
    assert_eq!(outcome(unknown).await, "absent", "{}", run.output);
    let opened = opened(&world, Site::SecPage);
    let places = |code: &str| -> Vec<usize> {
        let wanted = page(code);
        let found = opened.iter().enumerate();
        found
            .filter(|(_, path)| **path == wanted)
            .map(|(place, _)| place)
            .collect()
    };
    assert_eq!(places(unknown).len(), 1, "{opened:?}");
    let silent_at = places(silent);
    // Two visits in each of the two rounds; the second one comes after every other fund of the round.
    assert_eq!(silent_at.len(), 4, "{opened:?}");
    let others_after_the_retry = opened[silent_at[1]..]
        .iter()
        .filter(|path| **path != page(silent))
        .count();
    // With two requests at once, one other page may be in progress already and be opened a moment later.
    assert!(
        others_after_the_retry <= 1,
        "the retry comes after all others: {opened:?}"
    );
    nothing_is_left(&world);
}
