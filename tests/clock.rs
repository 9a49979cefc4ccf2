//! O9: a run whose system clock is wrong opens no cycle. The tests shift the sites' clocks instead of this machine's.

use std::time::Duration;

use simulator::{FaultKind, Site};

use crate::shutdown::running::{Running, cycle_is_closed, wait_until};
use crate::world::World;

const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];

fn move_sites(world: &World, days: i32) {
    for site in [
        Site::Finnomena,
        Site::WealthMagik,
        Site::SecPage,
        Site::SecApi,
    ] {
        world.fault(site, FaultKind::ClockOff(days));
    }
}

async fn cycles(world: &World) -> i64 {
    world.one("SELECT count(*) FROM runner.cycle").await
}

/// O9: covers slow and fast clocks. A given `--date` is not compared with the sites' clocks.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_the_sites_contradict_opens_no_cycle() {
    for days in [60, 14, -60] {
        let world = World::plain(3).await;
        move_sites(&world, days);
        world
            .run(&MONTHLY)
            .await
            .exits(1)
            .says("the clock of this machine shows");
        assert_eq!(cycles(&world).await, 0, "{days}");
        let today: String = world
            .one("SELECT (now() AT TIME ZONE 'Asia/Bangkok')::date::text")
            .await;
        let dated = [&MONTHLY[..], &["--date", &today]].concat();
        world.run(&dated).await.exits(0);
        world.assert_truth().await;
    }
}

/// O9: the scheduled runner reports that it waits, and starts the cycle as soon as the clock is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_runner_waits_for_the_clock_to_be_set() {
    let world = World::plain(3).await;
    move_sites(&world, 30);
    let running = Running::start(&world, &[]).await;
    running.says("the clock is compared again in 10 s").await;
    assert_eq!(cycles(&world).await, 0);
    world.simulator.faults().clear();
    wait_until("the cycle is closed", async || {
        cycle_is_closed(&world).await
    })
    .await;
    running
        .stop(&world, nix::sys::signal::Signal::SIGTERM)
        .await
        .run
        .exits(0);
    world.assert_truth().await;
}

/// O9: a cycle that was closed while the clock was fast does not suppress the cycle that is due now.
#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_closed_in_the_future_does_not_suppress_the_one_due_now() {
    let world = World::plain(3).await;
    world.run(&MONTHLY).await.exits(0);
    let client = world.database.connect().await;
    client
        .execute("UPDATE runner.cycle SET cycle_date = cycle_date + 60", &[])
        .await
        .expect("moved");
    let running = Running::start(&world, &[]).await;
    running.says("lies in the future").await;
    let closed = "SELECT count(*) FROM runner.cycle WHERE state = 'closed'";
    wait_until("today's cycle is closed", async || {
        world.one::<i64>(closed).await == 2
    })
    .await;
    running
        .stop(&world, nix::sys::signal::Signal::SIGTERM)
        .await
        .run
        .exits(0);
    world.assert_truth().await;
}

/// A given `--date` is only checked against its range: 2000-01-01 to tomorrow.
#[tokio::test(flavor = "multi_thread")]
async fn a_date_outside_its_range_is_a_wrong_command_line() {
    let world = World::plain(3).await;
    for date in ["1999-12-31", "1970-01-01", "2569-11-27", "9999-12-31"] {
        let args = [&MONTHLY[..], &["--date", date]].concat();
        world.run(&args).await.exits(2).says("--date");
    }
    assert_eq!(world.simulator.log().requests.len(), 0);
}

/// O9: a file descriptor limit that is too low is reported at the start, before any request.
#[tokio::test(flavor = "multi_thread")]
async fn too_few_file_descriptors_are_named_at_the_start() {
    let world = World::plain(3).await;
    for limit in [20, 60, 100] {
        let runner = world.command(&[]).as_std().get_program().to_owned();
        let script = format!("ulimit -n {limit}; exec {} --once", runner.display());
        let output = tokio::time::timeout(
            Duration::from_secs(60),
            tokio::process::Command::new("/bin/sh")
                .args(["-c", &script])
                .current_dir(world.dir())
                .env("DATABASE_URL", world.database.url())
                .output(),
        );
        let output = output.await.expect("it ends").expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("file descriptors") && said.contains("ulimit -n"),
            "{said}"
        );
    }
    assert_eq!(world.simulator.log().requests.len(), 0);
}
