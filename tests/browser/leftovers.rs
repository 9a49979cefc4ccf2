//! Nothing of a browser stays: not after the end, not after a stop, not after any kill.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use replica::{JavascriptPages, MarketConfig, Site};
use tokio::process::Child;

use super::machine::{
    browser_processes, id_of, left_files, no_browser_runs, nothing_is_left, nothing_will_be_left,
    opened, run, start, until,
};
use crate::world::{World, ended};

const ONCE: [&str; 3] = ["--once", "--cycle", "monthly"];

/// A small market whose pages need the browser; `pages` have been opened there by the time this returns.
async fn in_the_middle(pages: usize) -> (World, Child) {
    let mut world = World::new(MarketConfig {
        funds: 4,
        days: 10,
        javascript: JavascriptPages::All,
        ..MarketConfig::default()
    })
    .await;
    world.settings.transport = "Browser";
    let child = start(&world, &ONCE);
    opened_so_many(&world, pages).await;
    (world, child)
}

async fn opened_so_many(world: &World, pages: usize) {
    until("enough pages were opened", || {
        opened(world, Site::WealthMagik).len() >= pages
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_closes_the_browser_and_the_same_command_goes_on() {
    let (world, child) = in_the_middle(3).await;
    let asked = Instant::now();
    kill(id_of(&child), Signal::SIGTERM).expect("signalled");
    ended(child).await.exits(4);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    no_browser_runs(&world, Duration::from_secs(3)).await;
    nothing_is_left(&world);
    run(&world, &ONCE).await.exits(0);
    world.assert_truth().await;
    nothing_is_left(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_runner_leaves_no_process_and_the_next_one_sweeps_its_folder() {
    let (world, mut child) = in_the_middle(3).await;
    assert!(
        browser_processes(&world)
            .iter()
            .any(super::machine::Process::is_firefox)
    );
    child.kill().await.expect("killed");
    no_browser_runs(&world, Duration::from_secs(5)).await;
    let left = left_files(&world);
    run(&world, &ONCE).await.exits(0);
    world.assert_truth().await;
    nothing_is_left(&world);
    assert!(left.len() <= 1, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_and_geckodriver_may_be_killed_in_the_middle_and_the_run_completes() {
    let (world, child) = in_the_middle(3).await;
    for (pages, which) in [(0, "firefox"), (7, "geckodriver")] {
        opened_so_many(&world, pages).await;
        until("the process is there", || {
            let processes = browser_processes(&world);
            let found = processes.iter().find(|process| match which {
                "firefox" => process.is_firefox(),
                _ => process.is_geckodriver(),
            });
            found.map(super::machine::Process::kill_nine).is_some()
        })
        .await;
    }
    ended(child).await.exits(0);
    world.assert_truth().await;
    nothing_is_left(&world);
    // A new session after Firefox; pages are driven past geckodriver, whose end they do not notice.
    assert!(world.replica.log().webdriver_sessions() >= 2);
}

/// The scheduled runner sleeps for most of the day: without a browser.
#[tokio::test(flavor = "multi_thread")]
async fn between_cycles_no_browser_waits() {
    let mut world = World::new(MarketConfig {
        funds: 3,
        days: 5,
        ..MarketConfig::default()
    })
    .await;
    world.settings.sec_transport = Some("Browser");
    world.settings.more = "schedule: (skip_weekdays: []),".to_owned();
    let child = start(&world, &[]);
    until("the browser was used", || {
        !opened(&world, Site::SecPage).is_empty()
    })
    .await;
    let client = world.database.connect().await;
    let began = Instant::now();
    loop {
        let closed: i64 = client
            .query_one(
                "SELECT count(*) FROM runner.cycle WHERE closed_at IS NOT NULL",
                &[],
            )
            .await
            .expect("runner.cycle answers")
            .get(0);
        if closed > 0 {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the cycle did not end"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The runner lives on: it may still be removing the profile of the browser that it has ended.
    nothing_will_be_left(&world, Duration::from_secs(8)).await;
    kill(id_of(&child), Signal::SIGTERM).expect("it still runs");
    ended(child).await.exits(0);
}
