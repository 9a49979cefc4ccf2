//! Browser processes that die or freeze during a run.

use std::time::Duration;

use nix::sys::signal::Signal;
use simulator::{JavascriptPages, MarketConfig, Site};

use super::machine::{
    Process, browser_processes, ended_in, no_browser_runs, nothing_is_left, opened, start, until,
};
use crate::world::World;

/// Selects a browser's processes of one kind.
type Chosen = fn(&Process) -> bool;

const ONCE: [&str; 3] = ["--once", "--cycle", "monthly"];

async fn world(funds: usize) -> World {
    let mut world = World::new(MarketConfig {
        funds,
        days: 5,
        javascript: JavascriptPages::WealthMagik,
        ..MarketConfig::default()
    })
    .await;
    world.settings.transport = "Browser";
    world.settings.sec_transport = Some("Http");
    world.settings.more =
        "patience: (request_timeout_secs: 4, host_back_off_secs: (1, 1)),".to_owned();
    world
}

/// Sends a signal to all processes of this kind, as soon as there is one.
async fn signal_all(world: &World, kind: Chosen, signal: Signal) {
    until("the process is there", || {
        let processes = browser_processes(world);
        let found: Vec<&Process> = processes.iter().filter(|process| kind(process)).collect();
        for process in &found {
            process.signal(signal);
        }
        !found.is_empty()
    })
    .await;
}

/// Covers a crashed tab, a frozen Firefox and a frozen geckodriver, one after the other in one run.
#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_tab_and_a_frozen_firefox_or_geckodriver_cost_their_session_and_the_run_completes()
 {
    let world = world(6).await;
    let child = start(&world, &ONCE);
    let faults: [(usize, Chosen, Signal); 3] = [
        (2, Process::is_tab, Signal::SIGKILL),
        (6, Process::is_firefox, Signal::SIGSTOP),
        (10, Process::is_geckodriver, Signal::SIGSTOP),
    ];
    for (pages, kind, signal) in faults {
        until("enough pages were opened", || {
            opened(&world, Site::WealthMagik).len() >= pages
        })
        .await;
        signal_all(&world, kind, signal).await;
    }
    let run = ended_in(child, Duration::from_secs(150)).await;
    run.exits(0);
    world.assert_truth().await;
    nothing_is_left(&world);
    assert!(!run.output.contains("host is down"), "{}", run.output);
    assert!(world.simulator.log().webdriver_sessions() >= 3);
}

/// Firefox dies on every page: the runner gives the browser up after five failures and loads everything else. With a
/// working browser, the same command loads the missing pages.
#[tokio::test(flavor = "multi_thread")]
async fn a_firefox_that_dies_on_every_page_is_given_up() {
    // This takes a minute. The rule itself and browsers that do not start have their own, faster tests.
    if std::env::var_os("MASTER_RUNNER_SOAK_SECS").is_none() {
        return;
    }
    let mut world = world(5).await;
    world
        .settings
        .more
        .push_str("modes: (hybrid: (fetches_in_flight: 6)),");
    let child = start(&world, &ONCE);
    let mut opened_before = 0;
    let mut kills = 0;
    let run = ended_in(child, Duration::from_secs(150));
    tokio::pin!(run);
    let run = loop {
        tokio::select! {
            run = &mut run => break run,
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        // The list is a single page and may fail alone, but without it no other page would be requested.
        let opened_now = opened(&world, Site::WealthMagik)
            .iter()
            .filter(|path| *path != "/funds")
            .count();
        if opened_now > opened_before {
            opened_before = opened_now;
            kills += 1;
            for process in browser_processes(&world) {
                if process.is_firefox() || (kills % 2 == 0 && process.is_geckodriver()) {
                    process.kill_nine();
                }
            }
        }
    };
    run.exits(3)
        .says("the browser is out of order: it failed 5 times without showing a page");
    assert!((5..=20).contains(&kills), "{kills} kills:\n{}", run.output);
    nothing_is_left(&world);
    assert!(!run.output.contains("host is down"), "{}", run.output);
    let lines = run
        .output
        .lines()
        .filter(|line| line.contains("  wealthmagik: ") && line.contains("out of order"))
        .count();
    assert_eq!(lines, 1, "one line for all that waited:\n{}", run.output);
    let rows: i64 = world.one("SELECT count(*) FROM funds_statistics").await;
    assert!(rows > 0, "the SEC is disturbed");
    ended_in(start(&world, &ONCE), Duration::from_secs(150))
        .await
        .exits(0);
    world.assert_truth().await;
    no_browser_runs(&world, Duration::from_secs(3)).await;
    nothing_is_left(&world);
}
