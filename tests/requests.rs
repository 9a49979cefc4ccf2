//! Commands that change data while a runner holds the lock: the runner applies them within seconds, in any state.
//! Without a runner, the command applies them itself. Each request is applied exactly once.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use simulator::{FaultKind, MarketConfig, Row, Site};
use store::Writer;

use crate::shutdown::running::{Running, wait_until};
use crate::shutdown::waiting::zone_of_the_forenoon;
use crate::world::World;

const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];
/// The time within which a runner answers, with some time for the start of the command.
const ANSWERED_WITHIN: Duration = Duration::from_secs(12);

async fn small() -> World {
    of_funds(8).await
}

async fn of_funds(funds: usize) -> World {
    World::new(MarketConfig {
        funds,
        days: 20,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await
}

fn schedule(retry_at: &str) -> String {
    format!(
        "schedule: (timezone: {:?}, daily_at: \"03:00\", retry_at: {retry_at:?}, skip_weekdays: []),",
        zone_of_the_forenoon()
    )
}

/// Writes a row that differs from the observations; `remerge` corrects it.
async fn damage(world: &World) {
    world
        .database
        .connect()
        .await
        .batch_execute("UPDATE funds_master_info SET amc = 'by hand' WHERE fund_code = (SELECT min(fund_code) FROM funds_master_info WHERE amc IS NOT NULL)")
        .await
        .expect("a row is damaged");
}

async fn requests(world: &World) -> Vec<Row> {
    world
        .ask("SELECT command, state FROM runner.request ORDER BY id")
        .await
}

fn row(command: &str, state: &str) -> Row {
    vec![Some(command.to_owned()), Some(state.to_owned())]
}

/// Asserts that both commands are answered in time and that the damaged row is corrected.
async fn both_are_answered(world: &World) {
    damage(world).await;
    for (args, words) in [
        (&["remerge"][..], "1 row differed"),
        (
            &["reset-source", "wealthmagik"],
            "pages of wealthmagik are forgotten",
        ),
    ] {
        let began = Instant::now();
        world.run(args).await.exits(0).says(words);
        assert!(
            began.elapsed() < ANSWERED_WITHIN,
            "{args:?}: {:?}",
            began.elapsed()
        );
    }
    let damaged: i64 = world
        .one("SELECT count(*) FROM funds_master_info WHERE amc = 'by hand'")
        .await;
    assert_eq!(damaged, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_sleeps_until_the_next_cycle_answers() {
    let mut world = small().await;
    world.settings.more = schedule("03:01");
    let running = Running::start(&world, &[]).await;
    running.says("nothing is due before").await;
    both_are_answered(&world).await;
    running.says("request answered").await;
    assert_eq!(
        requests(&world).await,
        [row("remerge", "done"), row("reset-source", "done")]
    );
    // No cycle is open, so the reset has already taken effect.
    let remembered: i64 = world
        .one("SELECT count(payload_hash) FROM runner.task WHERE source = 'wealthmagik'")
        .await;
    assert_eq!(remembered, 0);
    running.stop(&world, Signal::SIGTERM).await.run.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_waits_for_round_two_answers() {
    let mut world = small().await;
    world.settings.more = schedule("23:00");
    let code = world.active(1)[0].clone();
    let path = world.finnomena_path(&code, "/nav");
    world.fault_on(Site::Finnomena, &path, FaultKind::Status(500));
    let running = Running::start(&world, &[]).await;
    running.says("round 2 requests what failed").await;
    both_are_answered(&world).await;
    running.stop(&world, Signal::SIGTERM).await.run.exits(4);
    // The open cycle keeps the hashes and extents that it was planned with, and completes.
    world.simulator.faults().clear();
    world.settings.more = schedule("03:01");
    let running = Running::start(&world, &[]).await;
    running.says("nothing is due before").await;
    running.stop(&world, Signal::SIGTERM).await.run.exits(0);
    world.assert_truth().await;
}

/// A request is applied between two batches, and the cycle still reaches the truth. A reset takes effect at the end of
/// the cycle.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_in_mid_cycle_answers_and_the_cycle_comes_to_the_truth() {
    let mut world = of_funds(16).await;
    world.settings.requests_per_sec = 2.0;
    let running = Running::start(&world, &MONTHLY).await;
    wait_until("rows are there", async || {
        let begun: bool = world
            .one("SELECT to_regclass('public.funds_master_info') IS NOT NULL")
            .await;
        begun
            && world
                .one::<i64>("SELECT count(amc) FROM funds_master_info")
                .await
                > 0
    })
    .await;
    both_are_answered(&world).await;
    for source in ["finnomena", "sec_fundcheck"] {
        world.run(&["reset-source", source]).await.exits(0);
    }
    let open: i64 = world
        .one("SELECT count(*) FROM runner.cycle WHERE state = 'open'")
        .await;
    assert_eq!(open, 1, "the cycle ended too early to prove anything");
    running.ended(&world).await.exits(0);
    world.assert_truth().await;
    let remembered: i64 = world
        .one("SELECT count(payload_hash) + count(*) FILTER (WHERE extents <> '{}') FROM runner.task WHERE source <> 'adopted'")
        .await;
    assert_eq!(remembered, 0, "the sources were reset");
    world.settings.requests_per_sec = 1000.0;
    let again = world
        .run(&["--once", "--fresh", "--cycle", "monthly"])
        .await;
    again.exits(0);
    world.assert_truth().await;
}

/// The runner is frozen when the request is placed, and then dies: the command applies the request itself, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_runner_that_dies_is_applied_once_by_the_command() {
    let mut world = small().await;
    world.run(&MONTHLY).await.exits(0);
    damage(&world).await;
    world.settings.more = schedule("03:01");
    let mut running = Running::start(&world, &[]).await;
    running.says("nothing is due before").await;
    running.signal(Signal::SIGSTOP);
    let mut command = Running::start(&world, &["remerge"]).await;
    wait_until("the request is placed", async || {
        !requests(&world).await.is_empty()
    })
    .await;
    running.signal(Signal::SIGKILL);
    running.end().await;
    let run = command.end().await;
    run.exits(0).says("1 row differed");
    assert_eq!(requests(&world).await, [row("remerge", "done")]);
    let corrections: i64 = world
        .one("SELECT count(*) FROM history.change WHERE field = 'amc' AND old_value = 'by hand'")
        .await;
    assert!(corrections <= 1, "{corrections} corrections of one row");
    world.settings.more.clear();
    world.assert_truth().await;
}

/// The runner dies while it applies the request: no part of it is stored, and the next lock holder applies it once.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_dies_while_it_applies_a_request_leaves_nothing_of_it() {
    let mut world = small().await;
    world.run(&MONTHLY).await.exits(0);
    damage(&world).await;
    world.settings.more = schedule("03:01");
    let mut running = Running::start(&world, &[]).await;
    running.says("nothing is due before").await;
    let mut somebody = world.database.connect().await;
    let held = somebody.transaction().await.expect("a transaction");
    held.batch_execute("LOCK TABLE public.funds_master_info IN SHARE MODE")
        .await
        .expect("locked");
    let mut command = Running::start(&world, &["remerge"]).await;
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'master_runner' AND wait_event_type = 'Lock')";
    wait_until("the runner is in the middle of it", async || {
        world.one::<bool>(waits).await
    })
    .await;
    running.signal(Signal::SIGKILL);
    running.end().await;
    held.rollback().await.expect("let go");
    command.end().await.exits(0).says("1 row differed");
    assert_eq!(requests(&world).await, [row("remerge", "done")]);
    world.assert_truth().await;
}

/// Ctrl-C ends the wait, but not the request: the next runner applies it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_wait_and_the_request_stays() {
    let world = small().await;
    world.run(&MONTHLY).await.exits(0);
    damage(&world).await;
    let holder = Writer::open(&world.database.url(), Duration::from_secs(1))
        .await
        .expect("the lock is free");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let placed = requests(&world).await.len();
        let mut command = Running::start(&world, &["remerge"]).await;
        wait_until("the request is placed", async || {
            requests(&world).await.len() > placed
        })
        .await;
        let stopped = command.stop_unseen(signal).await;
        stopped
            .run
            .exits(4)
            .says("stopped by a signal")
            .says("stays in runner.request");
    }
    assert_eq!(requests(&world).await, vec![row("remerge", "waiting"); 2]);
    drop(holder);
    world.run(&MONTHLY).await.exits(0);
    assert_eq!(requests(&world).await, vec![row("remerge", "done"); 2]);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_refuses_an_unknown_request_and_continues() {
    let mut world = small().await;
    world.settings.more = schedule("03:01");
    let running = Running::start(&world, &[]).await;
    running.says("nothing is due before").await;
    world
        .database
        .connect()
        .await
        .batch_execute(
            "INSERT INTO runner.request (requested_by, command, arguments) VALUES
                 ('hand', 'truncate', '{}'), ('hand', 'reset-source', '{\"source\": \"bloomberg\"}')",
        )
        .await
        .expect("written by hand");
    wait_until("both are refused", async || {
        requests(&world).await == [row("truncate", "refused"), row("reset-source", "refused")]
    })
    .await;
    both_are_answered(&world).await;
    running.stop(&world, Signal::SIGTERM).await.run.exits(0);
}

/// Without a runner, the commands take the lock one after another.
#[tokio::test(flavor = "multi_thread")]
async fn commands_at_the_same_time_are_each_applied_once() {
    let world = small().await;
    world.run(&MONTHLY).await.exits(0);
    damage(&world).await;
    let runs = futures_util::future::join_all([
        world.run(&["remerge"]),
        world.run(&["reset-source", "finnomena"]),
        world.run(&["remerge"]),
    ])
    .await;
    for run in &runs {
        run.exits(0);
    }
    let corrected = runs
        .iter()
        .filter(|run| run.output.contains("1 row differed"));
    assert_eq!(corrected.count(), 1, "{runs:?}");
    let states = requests(&world).await;
    assert_eq!(states.len(), 3);
    assert!(
        states.iter().all(|row| row[1].as_deref() == Some("done")),
        "{states:?}"
    );
    world.assert_truth().await;
}

/// A runner that holds the lock and never answers. Runs only with `MASTER_RUNNER_SOAK_SECS` because it takes five
/// minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_never_answers_is_waited_for_five_minutes() {
    if std::env::var_os("MASTER_RUNNER_SOAK_SECS").is_none() {
        return;
    }
    let world = small().await;
    world.run(&MONTHLY).await.exits(0);
    let mut holder = Writer::open(&world.database.url(), Duration::from_secs(1))
        .await
        .expect("the lock is free");
    let living = async {
        loop {
            holder
                .heartbeat("waiting")
                .await
                .expect("it keeps the lock");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let run = tokio::select! {
        run = world.run(&["remerge"]) => run,
        () = living => unreachable!("it lives on"),
    };
    run.exits(1)
        .says("no answer within 300 s from the runner that holds the database")
        .says("stays in runner.request");
    assert_eq!(requests(&world).await, [row("remerge", "waiting")]);
}
