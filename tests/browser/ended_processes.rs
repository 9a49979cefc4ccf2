//! Processes of a browser that die or freeze under a run.

use std::time::Duration;

use nix::sys::signal::Signal;
use replica::{JavascriptPages, MarketConfig, Site};

use super::machine::{Process, browser_processes, ended_in, nothing_is_left, opened, start, until};
use crate::world::World;

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

/// Signals all processes of this kind, as soon as there is one.
async fn signal_all(world: &World, kind: fn(&Process) -> bool, signal: Signal) {
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

/// A tab that crashed, a Firefox that froze, a geckodriver that froze: one after the other in one run.
#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_tab_and_a_frozen_firefox_or_geckodriver_cost_their_session_and_the_run_completes()
 {
    let world = world(6).await;
    let child = start(&world, &ONCE);
    let faults: [(usize, fn(&Process) -> bool, Signal); 3] = [
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
    assert!(!run.said.contains("host is down"), "{}", run.said);
    assert!(world.replica.log().webdriver_sessions() >= 3);
}
