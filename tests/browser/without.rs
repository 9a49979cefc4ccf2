//! A machine without a browser: the run reports it in one sentence, and everything else is loaded.

use std::os::unix::fs::symlink;

use simulator::{Fault, FaultKind, JavascriptPages, MarketConfig, Site};

use super::machine::{command, nothing_is_left, run, temporary};
use crate::world::{Run, World, ended};

const ONCE: [&str; 3] = ["--once", "--cycle", "monthly"];

/// Runs with a PATH that contains only `programs`.
async fn run_with(world: &World, programs: &[&str]) -> Run {
    let bin = world.dir().join("bin");
    std::fs::create_dir_all(&bin).expect("a folder");
    let path = std::env::var_os("PATH").expect("a PATH");
    for program in programs {
        let found = std::env::split_paths(&path)
            .map(|folder| folder.join(program))
            .find(|candidate| candidate.is_file());
        symlink(found.expect(program), bin.join(program)).expect("a link");
    }
    let mut command = command(world, &ONCE);
    command
        .env("PATH", &bin)
        .env("CARGO_HOME", temporary(world));
    ended(command.spawn().expect("it starts")).await
}

async fn world(transport: &'static str, javascript: JavascriptPages) -> World {
    let mut world = World::new(MarketConfig {
        funds: 8,
        days: 10,
        javascript,
        ..MarketConfig::default()
    })
    .await;
    world.settings.transport = transport;
    world
}

async fn names_what_is_missing(programs: &[&str], advice: &str) -> World {
    let world = world("Browser", JavascriptPages::None).await;
    let run = run_with(&world, programs).await;
    run.exits(3).says("no browser: ").says(advice);
    let about = run
        .output
        .lines()
        .filter(|line| line.contains(advice))
        .count();
    assert!(about <= 3, "said {about} times:\n{}", run.output);
    let rows: i64 = world
        .one("SELECT count(*) FROM funds_daily WHERE source = 'finnomena'")
        .await;
    assert!(rows > 0, "Finnomena is disturbed");
    nothing_is_left(&world);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn without_firefox_the_run_names_what_to_install() {
    let world =
        names_what_is_missing(&["pdftotext", "geckodriver"], "apt-get install firefox-esr").await;
    // With a browser, the same command loads the missing pages.
    run(&world, &ONCE).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_geckodriver_the_run_names_what_to_install() {
    names_what_is_missing(
        &["pdftotext", "firefox"],
        "cargo install geckodriver --locked",
    )
    .await;
}

/// `Auto` needs no browser as long as plain HTTP returns the values.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_browser_auto_is_plain_http() {
    let world = world("Auto", JavascriptPages::None).await;
    run_with(&world, &["pdftotext"]).await.exits(0);
    world.assert_truth().await;
}

/// Two pages without values make `Auto` change to the browser. Without a browser it continues over plain HTTP and loses
/// no value.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_browser_auto_continues_over_plain_http() {
    let world = world("Auto", JavascriptPages::None).await;
    let empty = Fault::of(Site::WealthMagik, FaultKind::EmptyPage);
    world
        .simulator
        .faults()
        .set(empty.on_path("/port").times(2));
    let run = run_with(&world, &["pdftotext"]).await;
    run.exits(0).says("there is no browser: ");
    world.assert_truth().await;
}

/// Pages that only a browser can build fail with the name of the missing program; all others are loaded.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_browser_auto_fails_only_what_needs_one() {
    let world = world("Auto", JavascriptPages::WealthMagik).await;
    let run = run_with(&world, &["pdftotext"]).await;
    run.exits(3).says("cargo install geckodriver --locked");
    let statistics: i64 = world.one("SELECT count(*) FROM funds_statistics").await;
    assert!(statistics > 0, "the SEC's API is disturbed");
}
