//! The operation of a run: exit codes (O3), one runner at a time (O2), stopping, partial-scope runs, `--fresh`, and
//! changes of a fund's status (D8).

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use simulator::{FaultKind, MarketConfig, Row, Site};

use crate::world::{World, ended};

const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];

fn row(cells: &[&str]) -> Row {
    cells.iter().map(|cell| Some((*cell).to_owned())).collect()
}

async fn status(world: &World, code: &str) -> String {
    let sql = format!("SELECT fund_status FROM funds_master_info WHERE fund_code = '{code}'");
    let rows = world.ask(&sql).await;
    assert_eq!(rows.len(), 1, "{code} has no row, or two");
    rows[0][0].clone().expect("a status")
}

#[tokio::test(flavor = "multi_thread")]
async fn o1_a_bad_configuration_exits_78_names_every_wrong_key_and_starts_nothing() {
    let mut world = World::plain(3).await;
    world.settings.more = "patience: (host_wait_secs: -5), browser: (sessions: -1), schedule: (daily_at: \"25:00\"), supervision: (max_restarts: -1),".to_owned();
    world.settings.requests_per_sec = -1.0;
    let run = world.run(&["--once"]).await;
    run.exits(78);
    for key in [
        "patience.host_wait_secs",
        "browser.sessions",
        "schedule.daily_at",
        "supervision.max_restarts",
        "sources.finnomena.requests_per_sec",
        "sources.sec_fundcheck.requests_per_sec",
    ] {
        run.says(key);
    }
    assert_eq!(world.simulator.log().requests.len(), 0);
    let schemas: i64 = world
        .one("SELECT count(*) FROM information_schema.schemata WHERE schema_name IN ('runner', 'history')")
        .await;
    assert_eq!(schemas, 0, "the database was touched");

    // An unreadable configuration is reported with its position.
    world.settings.requests_per_sec = 10.0;
    world.settings.more = "modus: Hybrid,".to_owned();
    world
        .run(&["--once"])
        .await
        .exits(78)
        .says("modus")
        .says("modes")
        .says("runner.ron:2");
}

#[tokio::test(flavor = "multi_thread")]
async fn o3_a_wrong_command_line_exits_2() {
    let world = World::plain(3).await;
    for args in [
        &["--onze"][..],
        &["--once", "--cycle", "weekly"],
        &["--once", "--only", "bloomberg"],
        &["--once", "--limit", "0"],
        &["--once", "--date", "2026-02-30"],
        &["--date", "2026-10-15"],
        &["--once", "--mode", "4"],
        &["explain"],
    ] {
        world.run(args).await.exits(2);
    }
    world.run(&["--help"]).await.exits(0).says("Examples");
    assert_eq!(world.simulator.log().requests.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn o2_a_second_runner_names_the_holder_of_the_database_and_exits_1() {
    let world = World::new(MarketConfig {
        funds: 20,
        latency_ms: 150,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await;
    let first = world.spawn(&["--once", "--cycle", "monthly", "--mode", "sequential"]);
    while world.simulator.log().requests.len() < 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    let second = world.run(&MONTHLY).await;
    second
        .exits(1)
        .says("another runner holds this database")
        .says("server process")
        .says("--standby");
    assert!(
        (Duration::from_secs(5)..Duration::from_secs(20)).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    let errors: Vec<&str> = second
        .output
        .lines()
        .filter(|line| line.contains("ERROR"))
        .collect();
    assert_eq!(errors.len(), 1, "one sentence: {errors:?}");
    // The first runner was not disturbed.
    ended(first).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_stop_in_mid_cycle_exits_4_and_the_same_command_completes_the_cycle() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let world = World::new(MarketConfig {
            funds: 30,
            latency_ms: 20,
            edge_cases: false,
            ..MarketConfig::default()
        })
        .await;
        let child = world.spawn(&MONTHLY);
        while world.simulator.log().requests.len() < 60 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let began = Instant::now();
        let pid = i32::try_from(child.id().expect("it runs")).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("it can be told to stop");
        let run = ended(child).await;
        run.exits(4).says("stopped");
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        let state = world.ask("SELECT state FROM runner.cycle").await;
        assert_eq!(state, [row(&["open"])]);
        let done: i64 = world
            .one("SELECT count(*) FROM runner.task WHERE acked_cycle = planned_cycle")
            .await;
        assert!(done > 0, "the batch in hand was not flushed");

        let skip = world.simulator.log().requests.len();
        world.run(&MONTHLY).await.exits(0);
        world.assert_truth().await;
        let lists = world
            .asked_since(skip, Site::WealthMagik)
            .into_iter()
            .filter(|path| path.contains("fundSearch"))
            .count();
        assert_eq!(lists, 0, "the list had been acknowledged");
        assert_eq!(
            world.ask("SELECT state FROM runner.cycle").await,
            [row(&["closed"])],
            "it went on with the same cycle"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_a_host_is_waited_for_is_prompt() {
    let world = World::plain(6).await;
    world.fault(Site::Finnomena, FaultKind::Down);
    let child = world.spawn(&MONTHLY);
    while world.simulator.log().refused_connections.len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    let pid = i32::try_from(child.id().expect("it runs")).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it can be told to stop");
    ended(child).await.exits(4);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_run_loads_but_never_satisfies_the_schedule() {
    let world = World::plain(12).await;
    let code = world.active(3)[2].clone();
    world
        .run(&[
            "--once",
            "--cycle",
            "monthly",
            "--funds",
            &code,
            "--date",
            "2026-10-15",
        ])
        .await
        .exits(0);
    for table in [
        "funds_master_info",
        "funds_daily",
        "funds_fee",
        "funds_holding",
        "funds_codes",
    ] {
        world.assert_truth_of(table, &[code.as_str()]).await;
        let others: i64 = world
            .one(&format!(
                "SELECT count(*) FROM {table} WHERE fund_code <> '{code}'"
            ))
            .await;
        assert!(
            others == 0 || table == "funds_master_info",
            "{table} has {others} rows of others"
        );
    }
    world
        .run(&[
            "--once",
            "--cycle",
            "monthly",
            "--only",
            "finnomena",
            "--date",
            "2026-10-15",
        ])
        .await
        .exits(0);
    assert_eq!(
        world
            .asked_since(0, Site::WealthMagik)
            .iter()
            .filter(|path| path.contains("/profile"))
            .count(),
        1
    );
    world
        .run(&[
            "--once",
            "--cycle",
            "monthly",
            "--limit",
            "2",
            "--date",
            "2026-10-15",
        ])
        .await
        .exits(0);
    let scopes = world.ask("SELECT DISTINCT scope FROM runner.cycle").await;
    assert_eq!(scopes, [row(&["partial"])]);
    // The complete monthly pass is therefore still due.
    world
        .run(&["--once", "--date", "2026-10-15"])
        .await
        .exits(0);
    let last = world
        .ask("SELECT kind, scope, state FROM runner.cycle ORDER BY cycle_id DESC LIMIT 1")
        .await;
    assert_eq!(last, [row(&["monthly", "full", "closed"])]);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_no_fund_is_named_and_is_no_success() {
    let world = World::plain(5).await;
    let code = world.active(1)[0].clone();
    let run = world
        .run(&["--once", "--funds", &format!("{code},NO-SUCH-FUND")])
        .await;
    run.exits(3)
        .says("NO-SUCH-FUND is no active fund")
        .says("partial");
    assert!(!run.output.contains(&format!("{code} is no active")));
    world.assert_truth_of("funds_daily", &[code.as_str()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_run_never_changes_a_status() {
    let world = World::plain(12).await;
    world.run(&MONTHLY).await.exits(0);
    let [ended, gone, renamed] = world.active(3).try_into().expect("three codes");
    world
        .simulator
        .set_active(&ended, false)
        .expect("a known code");
    world
        .simulator
        .set_listed(&gone, false)
        .expect("a known code");
    world
        .simulator
        .rename(&renamed, "RENAMED-A")
        .expect("a known code");
    for (day, narrowing) in [
        ("--funds", ended.as_str()),
        ("--only", "finnomena"),
        ("--limit", "4"),
        ("--only", "sec_fundcheck"),
    ]
    .into_iter()
    .enumerate()
    {
        let date = format!("2026-11-2{day}");
        world
            .run(&[
                "--once",
                "--cycle",
                "daily",
                narrowing.0,
                narrowing.1,
                "--date",
                &date,
            ])
            .await
            .exits(0);
        for code in [&ended, &gone, &renamed] {
            assert_eq!(
                status(&world, code).await,
                "active",
                "{code} after {narrowing:?}"
            );
        }
    }
    // The next complete pass changes the status.
    world
        .run(&["--once", "--cycle", "daily", "--date", "2026-11-25"])
        .await
        .exits(0);
    assert_eq!(status(&world, &ended).await, "inactive");
    assert_eq!(status(&world, &renamed).await, "inactive");
    assert_eq!(status(&world, &gone).await, "active");
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_on_a_closed_cycle_asks_what_failed_and_on_a_complete_one_everything() {
    let world = World::plain(8).await;
    let codes = world.active(2);
    let failing = [
        world.finnomena_path(&codes[0], "/nav"),
        world.finnomena_path(&codes[1], "/fee"),
    ];
    for path in &failing {
        world.fault_on(Site::Finnomena, path, FaultKind::HtmlInsteadOfJson);
    }
    world.run(&MONTHLY).await.exits(3);
    world.simulator.faults().clear();
    let skip = world.simulator.log().requests.len();
    world.run(&MONTHLY).await.exits(0);
    let asked = world.asked_since(skip, Site::Finnomena);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        failing
            .iter()
            .all(|path| asked.iter().any(|asked| asked.contains(path))),
        "{asked:?}"
    );
    assert_eq!(
        world.one::<i64>("SELECT count(*) FROM runner.cycle").await,
        1
    );
    world.assert_truth().await;

    // The cycle is closed, so the same command starts a new pass.
    let skip = world.simulator.log().requests.len();
    world.run(&MONTHLY).await.exits(0);
    assert_eq!(
        world.one::<i64>("SELECT count(*) FROM runner.cycle").await,
        2
    );
    assert!(world.asked_since(skip, Site::Finnomena).len() > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_makes_a_new_pass_in_any_case() {
    let world = World::plain(6).await;
    let path = world.finnomena_path(&world.active(1)[0], "/fee");
    world.fault_on(Site::Finnomena, &path, FaultKind::HtmlInsteadOfJson);
    world.run(&MONTHLY).await.exits(3);
    world.simulator.faults().clear();
    let skip = world.simulator.log().requests.len();
    world
        .run(&["--once", "--cycle", "monthly", "--fresh"])
        .await
        .exits(0);
    assert_eq!(
        world.one::<i64>("SELECT count(*) FROM runner.cycle").await,
        2
    );
    assert!(
        world.asked_since(skip, Site::Finnomena).len() > 10,
        "just what failed was asked"
    );
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_an_explicit_false_makes_inactive_in_the_same_cycle_and_true_active_again() {
    let world = World::plain(10).await;
    world.run(&MONTHLY).await.exits(0);
    let code = &world.active(1)[0];
    let rows: i64 = world
        .one(&format!(
            "SELECT count(*) FROM funds_daily WHERE fund_code = '{code}'"
        ))
        .await;
    world
        .simulator
        .set_active(code, false)
        .expect("a known code");
    world.run(&["--once", "--cycle", "daily"]).await.exits(0);
    assert_eq!(status(&world, code).await, "inactive");
    world.assert_truth().await;
    let kept: i64 = world
        .one(&format!(
            "SELECT count(*) FROM funds_daily WHERE fund_code = '{code}'"
        ))
        .await;
    assert_eq!(kept, rows, "an inactive fund keeps its rows");
    let changes = world.ask(&format!("SELECT old_value, new_value FROM history.change WHERE fund_code = '{code}' AND field = 'fund_status'")).await;
    assert_eq!(changes, [row(&["active", "inactive"])]);
    // No page of an inactive fund is requested.
    let path = world.finnomena_path(code, "/");
    let skip = world.simulator.log().requests.len();
    world
        .run(&["--once", "--cycle", "monthly", "--fresh"])
        .await
        .exits(0);
    assert!(
        world
            .asked_since(skip, Site::Finnomena)
            .iter()
            .all(|asked| !asked.contains(&path))
    );

    world
        .simulator
        .set_active(code, true)
        .expect("a known code");
    world
        .run(&["--once", "--cycle", "daily", "--fresh"])
        .await
        .exits(0);
    assert_eq!(status(&world, code).await, "active");
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_absence_makes_inactive_only_after_three_closed_cycles_of_three_dates() {
    let world = World::plain(30).await;
    let cycle = async |date: &str| {
        world
            .run(&["--once", "--cycle", "daily", "--date", date, "--fresh"])
            .await
            .exits(0);
    };
    cycle("2026-11-20").await;
    let code = &world.active(1)[0];
    world
        .simulator
        .set_listed(code, false)
        .expect("a known code");
    // Several cycles on the same date count once.
    for date in ["2026-11-21", "2026-11-21", "2026-11-21", "2026-11-22"] {
        cycle(date).await;
        assert_eq!(status(&world, code).await, "active", "after {date}");
    }
    cycle("2026-11-23").await;
    assert_eq!(status(&world, code).await, "inactive");
    // A fund that is listed again becomes active again, and the count restarts.
    world
        .simulator
        .set_listed(code, true)
        .expect("a known code");
    cycle("2026-11-24").await;
    assert_eq!(status(&world, code).await, "active");
    world
        .simulator
        .set_listed(code, false)
        .expect("a known code");
    cycle("2026-11-25").await;
    cycle("2026-11-26").await;
    assert_eq!(status(&world, code).await, "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_a_rename_makes_the_old_code_inactive_and_the_new_one_a_new_fund_with_its_history() {
    let world = World::plain(10).await;
    world.run(&MONTHLY).await.exits(0);
    let code = &world.active(1)[0];
    world
        .simulator
        .rename(code, "ASP-INDIA-A")
        .expect("a known code");
    world.simulator.advance_days(1);
    world
        .run(&["--once", "--cycle", "daily", "--fresh"])
        .await
        .exits(0);
    assert_eq!(status(&world, code).await, "inactive");
    assert_eq!(status(&world, "ASP-INDIA-A").await, "active");
    world.assert_truth().await;
    let days = world
        .ask(&format!("SELECT (SELECT count(*) FROM funds_daily WHERE fund_code = 'ASP-INDIA-A') > (SELECT count(*) FROM funds_daily WHERE fund_code = '{code}')"))
        .await;
    assert_eq!(
        days,
        [row(&["t"])],
        "the new code has the full history and a day more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_date_names_the_cycle_and_no_row() {
    let world = World::plain(5).await;
    // Cycles on the market's last day and long after it.
    for date in ["2026-10-15", "2026-11-20"] {
        world
            .run(&["--once", "--cycle", "monthly", "--date", date])
            .await
            .exits(0);
        world.assert_truth().await;
    }
    let cycles = world
        .ask("SELECT cycle_date FROM runner.cycle ORDER BY cycle_id")
        .await;
    assert_eq!(cycles, [row(&["2026-10-15"]), row(&["2026-11-20"])]);
}
