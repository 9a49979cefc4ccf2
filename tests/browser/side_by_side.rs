//! Two runners on one machine that share a temporary folder. The next runner removes what a killed one left, and
//! touches no file of a live runner or of another program.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use simulator::{JavascriptPages, MarketConfig, Site};
use tokio::process::Child;

use super::machine::{Process, browser_processes_in, command, ended_in, opened, temporary, until};
use crate::world::World;

const ONCE: [&str; 3] = ["--once", "--cycle", "monthly"];

async fn world(requests_per_sec: f64) -> World {
    let mut world = World::new(MarketConfig {
        funds: 4,
        days: 5,
        javascript: JavascriptPages::WealthMagik,
        ..MarketConfig::default()
    })
    .await;
    world.settings.transport = "Browser";
    world.settings.sec_transport = Some("Http");
    world.settings.requests_per_sec = requests_per_sec;
    world
}

fn start_in(world: &World, folder: &Path) -> Child {
    command(world, &ONCE)
        .env("TMPDIR", folder)
        .spawn()
        .expect("the runner starts")
}

fn profiles(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

async fn opened_some(world: &World) {
    until("pages were opened", || {
        opened(world, Site::WealthMagik).len() >= 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_ends_neither_a_living_runner_nor_a_reader_of_a_profile() {
    let (killed, living) = (world(1000.0).await, world(3.0).await);
    let folder = temporary(&living);
    let mut first = start_in(&killed, &folder);
    opened_some(&killed).await;
    let [left] = profiles(&folder).try_into().expect("one profile");
    until("its Firefox runs", || {
        browser_processes_in(&folder)
            .iter()
            .any(Process::is_firefox)
    })
    .await;
    // Kill the watchdog and the runner, then freeze Firefox: after that, only the next runner's cleanup can end it. If
    // Firefox were frozen before the runner dies, the kernel would end it: it sends SIGHUP and SIGCONT to the stopped
    // processes of an orphaned process group.
    for process in browser_processes_in(&folder) {
        if process.is_watchdog() {
            process.kill_nine();
        }
    }
    first.kill().await.expect("killed");
    for process in browser_processes_in(&folder) {
        if process.is_firefox() {
            process.signal(Signal::SIGSTOP);
        }
    }
    let orphans = browser_processes_in(&folder);
    assert!(orphans.iter().any(Process::is_firefox), "{orphans:?}");
    // One process reads a file in the profile; another program has a directory with a similar name.
    let mut reader = std::process::Command::new("tail")
        .args(["-f", "/dev/null"])
        .arg(left.join("in-use"))
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    let foreign = folder.join("firefox-of-somebody-else");
    std::fs::create_dir(&foreign).expect("made");

    let second = start_in(&living, &folder);
    opened_some(&living).await;
    assert!(!left.exists(), "what was left behind is swept");
    assert!(
        reader.try_wait().expect("a state").is_none(),
        "a reader was killed"
    );
    reader.kill().expect("ended");
    reader.wait().expect("reaped");
    let its_own: Vec<PathBuf> = profiles(&folder);
    assert_eq!(its_own.len(), 2, "{its_own:?}");

    // The third runner cleans up while the second one works; both end with the truth.
    let third = start_in(&killed, &folder);
    until("beside the living one's there is its own", || {
        profiles(&folder).len() == 3
    })
    .await;
    ended_in(third, Duration::from_secs(120)).await.exits(0);
    ended_in(second, Duration::from_secs(120)).await.exits(0);
    for world in [&killed, &living] {
        world.assert_truth().await;
    }
    assert_eq!(
        living.simulator.log().webdriver_sessions(),
        1,
        "its browser was ended under it"
    );
    let processes = browser_processes_in(&folder);
    assert!(processes.is_empty(), "{processes:?}");
    assert_eq!(profiles(&folder), [foreign]);
}
