//! No process and no file of a browser remains after the end of a run, after a stop, or after any kill.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use simulator::{JavascriptPages, MarketConfig, Site};
use tokio::process::Child;

use super::machine::{
    Process, browser_processes, id_of, left_files, no_browser_runs, nothing_is_left,
    nothing_will_be_left, opened, run, start, until,
};
use crate::world::{World, ended};

const ONCE: [&str; 3] = ["--once", "--cycle", "monthly"];

/// Starts a run on a small market whose pages need the browser, and returns when the browser has opened `pages` pages.
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
async fn a_stop_closes_the_browser_and_the_same_command_resumes() {
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
    assert!(browser_processes(&world).iter().any(Process::is_firefox));
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
    let first = firefox_sessions(&world);
    kill_one(&world, Process::is_firefox).await;
    // Another session replaces it and opens pages.
    let mut second = BTreeSet::new();
    until("a Firefox of another session runs alone", || {
        second = firefox_sessions(&world);
        let is_of_first = |process: &Process| {
            process
                .session()
                .is_some_and(|session| first.contains(session))
        };
        second.len() == 1 && !browser_processes(&world).iter().any(is_of_first)
    })
    .await;
    let before = opened(&world, Site::WealthMagik).len();
    opened_so_many(&world, before + 1).await;
    kill_one(&world, Process::is_geckodriver).await;
    let all_pages =
        || opened(&world, Site::WealthMagik).len() + opened(&world, Site::SecPage).len();
    let before = all_pages();
    let mut seen = BTreeSet::new();
    let run = ended(child);
    tokio::pin!(run);
    let run = loop {
        tokio::select! {
            run = &mut run => break run,
            () = tokio::time::sleep(Duration::from_millis(20)) => seen.extend(firefox_sessions(&world)),
        }
    };
    run.exits(0);
    world.assert_truth().await;
    nothing_is_left(&world);
    // When geckodriver ends, its Firefox closes the connection. A third session, the last one, opens the remaining
    // pages.
    assert!(seen.is_superset(&second), "{seen:?} {second:?}");
    assert!(seen.is_disjoint(&first), "{seen:?} {first:?}");
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(all_pages() > before);
}

/// Kills the first process of this kind, as soon as there is one.
async fn kill_one(world: &World, kind: fn(&Process) -> bool) {
    until("the process is there", || {
        let processes = browser_processes(world);
        let found = processes.iter().find(|process| kind(process));
        found.map(Process::kill_nine).is_some()
    })
    .await;
}

/// The sessions that have a running Firefox.
fn firefox_sessions(world: &World) -> BTreeSet<String> {
    let processes = browser_processes(world);
    let firefox = processes.iter().filter(|process| process.is_firefox());
    firefox
        .filter_map(|process| process.session().map(str::to_owned))
        .collect()
}

/// The scheduled runner keeps no browser open while it sleeps between cycles.
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
    // The runner is still alive and may still be removing the profile of the browser that it closed.
    nothing_will_be_left(&world, Duration::from_secs(8)).await;
    kill(id_of(&child), Signal::SIGTERM).expect("it still runs");
    ended(child).await.exits(0);
}
