//! Stops while the runner waits: a stop interrupts every wait.

use std::time::Duration;

use nix::sys::signal::Signal;
use simulator::{FaultKind, MarketConfig, RetryAfter, Site};

use super::running::{PROMPTLY, Running, goes_on_to_the_truth, wait_until};
use crate::world::World;

const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];

async fn small() -> World {
    World::new(MarketConfig {
        funds: 6,
        days: 20,
        latency_ms: 2,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await
}

/// A time zone in which the time is now between ten and eleven in the morning.
pub fn zone_of_the_forenoon() -> String {
    let hour = i32::from(
        jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .hour(),
    );
    let ahead = 10 - hour;
    match if ahead < -12 { ahead + 24 } else { ahead } {
        0 => "Etc/GMT".to_owned(),
        ahead if ahead > 0 => format!("Etc/GMT-{ahead}"),
        behind => format!("Etc/GMT+{}", -behind),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_a_host_a_retry_after_and_a_retrys_back_off_are_cut_short() {
    let cases = [
        ("host down", FaultKind::Down),
        (
            "Retry-After",
            FaultKind::Throttle {
                status: 429,
                retry_after: RetryAfter::Seconds(3600),
            },
        ),
        ("back-off", FaultKind::Status(500)),
        ("stalled", FaultKind::Stalled),
        ("slow", FaultKind::Slow(20_000)),
    ];
    let stopping = cases.map(|(name, fault)| async move {
        let world = small().await;
        // The lists succeed; the funds' pages meet the fault.
        world.fault_on(Site::Finnomena, "/nav/", fault.clone());
        if fault == FaultKind::Down {
            world.fault(Site::WealthMagik, fault);
        }
        let running = Running::start(&world, &MONTHLY).await;
        wait_until(name, async || {
            let log = world.simulator.log();
            log.count(Site::Finnomena, "/nav/") >= 1 || log.refused_connections.len() >= 2
        })
        .await;
        running.stops_promptly(&world, Signal::SIGTERM).await;
        world.simulator.faults().clear();
        goes_on_to_the_truth(&world, &MONTHLY).await;
    });
    futures_util::future::join_all(stopping).await;
}

/// A2, A5: the database is unavailable and does not come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_not_waited_for() {
    let mut world = small().await;
    world.settings.requests_per_sec = 30.0;
    let mut running = Running::start(&world, &MONTHLY).await;
    wait_until("it works", async || {
        world.simulator.log().requests.len() > 15
    })
    .await;
    world.database.allow_connections(false).await;
    world.database.end_sessions().await;
    running.says("the database").await;
    wait_until("it waits", async || running.said().contains("waiting")).await;
    let stopped = running.stop_unseen(Signal::SIGTERM).await;
    world.database.allow_connections(true).await;
    stopped.run.exits(4);
    assert!(stopped.took < PROMPTLY, "{:?}", stopped.took);
    goes_on_to_the_truth(&world, &MONTHLY).await;
}

/// A3: the loader has failed and waits for its restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_loader_that_waits_for_its_restart_is_not_waited_for() {
    let mut world = small().await;
    world.settings.more =
        "supervision: (max_writer_restarts: 50, restart_delay_secs: (60, 300)),".to_owned();
    world.settings.failpoints = "loader::received=1*off->return(panic)".to_owned();
    let running = Running::start(&world, &MONTHLY).await;
    running.says("an actor failed").await;
    running.stops_promptly(&world, Signal::SIGTERM).await;
    world.settings.failpoints.clear();
    goes_on_to_the_truth(&world, &MONTHLY).await;
}

/// The scheduled runner waits for round 2, and later sleeps until the next slot. In that sleep no cycle is open, so a
/// stop ends with exit code 0.
#[tokio::test(flavor = "multi_thread")]
async fn the_wait_for_round_two_and_the_sleep_until_the_next_cycle_are_cut_short() {
    let mut world = small().await;
    let schedule = |retry_at: &str| {
        format!(
            "schedule: (timezone: {:?}, daily_at: \"03:00\", retry_at: {retry_at:?}, skip_weekdays: []),",
            zone_of_the_forenoon()
        )
    };
    world.settings.more = schedule("23:00");
    let code = world.active(1)[0].clone();
    let path = world.finnomena_path(&code, "/nav");
    world.fault_on(Site::Finnomena, &path, FaultKind::Status(500));
    let running = Running::start(&world, &[]).await;
    running.says("round 2 requests what failed").await;
    running.stops_promptly(&world, Signal::SIGTERM).await;
    world.simulator.faults().clear();
    // The same command after `retry_at`: the cycle completes, and the runner sleeps.
    world.settings.more = schedule("03:01");
    let running = Running::start(&world, &[]).await;
    running.says("nothing is due before").await;
    let stopped = running.stop(&world, Signal::SIGTERM).await;
    stopped.run.exits(0);
    assert!(stopped.took < PROMPTLY, "{:?}", stopped.took);
    world.assert_truth().await;
}

/// Additional signals change only the log output.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_and_a_third_signal_do_no_harm() {
    let mut world = small().await;
    world.settings.requests_per_sec = 20.0;
    let running = Running::start(&world, &MONTHLY).await;
    wait_until("it works", async || {
        world.simulator.log().requests.len() > 10
    })
    .await;
    running.signal(Signal::SIGTERM);
    running.signal(Signal::SIGINT);
    let stopped = running.stop(&world, Signal::SIGTERM).await;
    stopped.run.exits(4);
    assert!(stopped.took < PROMPTLY, "{:?}", stopped.took);
    world.settings.requests_per_sec = 1000.0;
    goes_on_to_the_truth(&world, &MONTHLY).await;
}

/// A stop closes Firefox and geckodriver, both while the session starts and while it is used.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_closes_the_browser() {
    let mut world = small().await;
    world.settings.transport = "Browser";
    world.settings.sec_transport = Some("Http");
    for moment in ["starting", "visiting"] {
        let asked_before = world.simulator.log().count(Site::WealthMagik, "/profile");
        let running = Running::start(&world, &MONTHLY).await;
        match moment {
            "starting" => {
                wait_until("geckodriver", async || running.has_child("geckodriver")).await;
            }
            _ => {
                wait_until("a page", async || {
                    world.simulator.log().count(Site::WealthMagik, "/profile") > asked_before
                })
                .await;
            }
        }
        let stopped = running.stop(&world, Signal::SIGTERM).await;
        stopped.run.exits(4);
        assert!(stopped.took < Duration::from_secs(10), "{:?}", stopped.took);
    }
    world.settings.transport = "Http";
    goes_on_to_the_truth(&world, &MONTHLY).await;
}
