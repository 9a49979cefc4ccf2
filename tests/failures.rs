//! Failing sites: the tables, the exit code and the messages for each kind of failure.

use std::time::Duration;

use simulator::{FaultKind, Site};

use crate::world::{Run, World, ended};

/// A world with back-offs that are short enough for a test.
async fn impatient(funds: usize) -> World {
    let mut world = World::plain(funds).await;
    world.settings.more =
        "patience: (request_timeout_secs: 1, host_back_off_secs: (1, 1), host_wait_secs: 2),"
            .to_owned();
    world
}

const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];
const FRESH: [&str; 4] = ["--once", "--cycle", "monthly", "--fresh"];

/// Asserts that another attempt in round 1 was enough and round 2 was not needed.
#[track_caller]
fn in_round_one(run: &Run) {
    assert!(
        !run.output.contains("round 2"),
        "round 2 was needed:\n{}",
        run.output
    );
}

/// Asserts that a fault of one page of one fund has no effect if it goes away by itself.
async fn is_borne(page: &str, kind: FaultKind) {
    let world = impatient(5).await;
    let path = world.finnomena_path(&world.active(2)[1], page);
    world.fault_times(Site::Finnomena, &path, 1, kind.clone());
    let run = world.run(&MONTHLY).await;
    run.exits(0);
    in_round_one(&run);
    world.assert_truth().await;
    let asked = world
        .asked_since(0, Site::Finnomena)
        .into_iter()
        .filter(|asked| asked.contains(&path))
        .count();
    assert!(asked >= 2, "{kind:?}: {path} was asked {asked} times");
    assert!(
        world
            .simulator
            .faults()
            .list()
            .iter()
            .all(|fault| fault.times == Some(0)),
        "{kind:?} did not happen"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_error_is_tried_again() {
    is_borne("/nav", FaultKind::Status(500)).await;
    is_borne("/fee", FaultKind::Status(502)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_answer_is_tried_again() {
    is_borne("/nav", FaultKind::Stalled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_tried_again() {
    is_borne("/portfolio", FaultKind::Slow(3_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_is_tried_again() {
    is_borne("/nav", FaultKind::CutBody).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_its_end_is_tried_again() {
    let world = impatient(5).await;
    world.fault_times(Site::WealthMagik, "/port", 2, FaultKind::CutText);
    world.fault_times(Site::WealthMagik, "/profile", 1, FaultKind::CutText);
    let run = world.run(&MONTHLY).await;
    run.exits(0);
    in_round_one(&run);
    world.assert_truth().await;
    let attempts: i32 = world
        .one("SELECT max(attempts) FROM runner.task WHERE source = 'wealthmagik'")
        .await;
    assert!(attempts > 1, "nothing was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_tasks_of_round_one_are_requested_in_round_two() {
    let world = impatient(5).await;
    let path = world.finnomena_path(&world.active(1)[0], "/fee");
    world.fault_times(Site::Finnomena, &path, 1, FaultKind::CutText);
    let run = world.run(&MONTHLY).await;
    run.exits(0).says("round 2");
    world.assert_truth().await;
    // Round 1 requested everything; round 2 requested only that page.
    let log = world.simulator.log();
    assert_eq!(log.count(Site::Finnomena, &path), 2);
    let last = log
        .of(Site::Finnomena)
        .last()
        .map(|request| request.path.clone());
    assert!(last.is_some_and(|last| last.contains(&path)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_down_for_the_whole_run_costs_its_own_pages_alone() {
    let world = impatient(8).await;
    world.fault(Site::WealthMagik, FaultKind::Down);
    let run = world.run(&MONTHLY).await;
    run.exits(3).says("host down");
    assert_eq!(
        lines_about_a_host_down(&run),
        1,
        "one line for the host:\n{}",
        run.output
    );
    let others = world
        .ask("SELECT DISTINCT source FROM runner.task WHERE outcome NOT IN ('done', 'absent', 'unchanged')")
        .await;
    assert_eq!(others, [vec![Some("wealthmagik".to_owned())]]);
    let codes = world.active(4);
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    world.assert_truth_of("funds_statistics", &codes).await;
    world.assert_truth_of("funds_master_info", &codes).await;

    world.simulator.faults().clear();
    let skip = world.simulator.log().requests.len();
    world.run(&MONTHLY).await.exits(0);
    world.assert_truth().await;
    for site in [Site::Finnomena, Site::SecApi] {
        let again: Vec<String> = world.asked_since(skip, site);
        assert_eq!(again, [""; 0], "{site:?} had answered everything");
    }

    // The host is down again after all its pages were stored: the run still prints one error line and keeps every
    // stored row.
    let before = world.seven_tables().await;
    world.fault(Site::WealthMagik, FaultKind::Down);
    let run = world.run(&FRESH).await;
    run.exits(3);
    assert_eq!(lines_about_a_host_down(&run), 1, "{}", run.output);
    // P3: all tasks of the host end with one common line.
    let ended: Vec<&str> = run
        .output
        .lines()
        .filter(|line| line.contains(" x host down: "))
        .collect();
    assert!(ended.len() == 1 && !ended[0].contains(" 1 x "), "{ended:?}");
    assert_eq!(world.seven_tables().await, before);
}

fn lines_about_a_host_down(run: &Run) -> usize {
    let is_about = |line: &&str| line.contains("ERROR") && line.contains("host down");
    run.output.lines().filter(is_about).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_fails_in_round_one_is_had_in_round_two_and_its_funds_with_it() {
    for (site, list, times) in [
        // An answer that is a page instead of a list may call for the browser. The runner requests it twice before it
        // is treated as broken.
        (Site::Finnomena, "/public/funds", 2),
        (Site::WealthMagik, "fundSearch.json", 2),
    ] {
        let world = impatient(6).await;
        world.fault_times(site, list, times, FaultKind::HtmlInsteadOfJson);
        let run = world.run(&MONTHLY).await;
        run.exits(0).says("contract breach").says("round 2");
        world.assert_truth().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_portfolio_replaces_the_held_one_whole_and_history_keeps_that() {
    let world = impatient(8).await;
    world.run(&MONTHLY).await.exits(0);
    let code = world.active(1)[0].clone();
    let held = format!(
        "SELECT row_no, name, trim_scale(percent) FROM funds_holding WHERE fund_code = '{code}' AND source = 'wealthmagik' ORDER BY row_no"
    );
    let before = world.ask(&held).await;
    assert!(before.len() > 1, "{code} has no full holdings");
    world
        .simulator
        .publish_holdings(&code)
        .expect("a known code");
    world.run(&FRESH).await.exits(0);
    world.assert_truth().await;
    assert_eq!(world.ask(&held).await.len(), before.len() - 1);
    let history = world
        .ask(
            "SELECT fund_code, source, jsonb_array_length(rows) FROM history.portfolio
             WHERE table_name = 'funds_holding'",
        )
        .await;
    let one = [
        Some(code),
        Some("wealthmagik".to_owned()),
        Some(before.len().to_string()),
    ];
    assert_eq!(history, [one.to_vec()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_critical_host_that_is_down_leaves_the_others_at_work() {
    let world = impatient(6).await;
    world.run(&MONTHLY).await.exits(0);
    let before = world.seven_tables().await;
    world.fault(Site::Finnomena, FaultKind::Down);
    let run = world.run(&FRESH).await;
    run.exits(3).says("host down");
    assert_eq!(world.seven_tables().await, before);
    let others: i64 = world
        .one("SELECT count(*) FROM runner.task WHERE source <> 'finnomena' AND outcome NOT IN ('done', 'unchanged', 'absent')")
        .await;
    assert_eq!(others, 0, "{}", run.output);
    world.simulator.faults().clear();
    world.run(&FRESH).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_goes_down_in_the_middle_and_comes_back_is_waited_for() {
    let mut world = World::new(simulator::MarketConfig {
        funds: 20,
        edge_cases: false,
        latency_ms: 10,
        ..simulator::MarketConfig::default()
    })
    .await;
    world.settings.more =
        "patience: (request_timeout_secs: 2, host_back_off_secs: (1, 1), host_wait_secs: 60),"
            .to_owned();
    let child = world.spawn(&MONTHLY);
    while world.simulator.log().of(Site::Finnomena).count() < 15 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    world.fault(Site::Finnomena, FaultKind::Down);
    while world.simulator.log().refused_connections.len() < 6 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.simulator.faults().clear();
    let run = ended(child).await;
    run.exits(0).says("host answers again");
    world.assert_truth().await;
}

/// Asserts the effect of a persistent fault on one page of one fund: its task fails with `words`, everything else is
/// loaded, and no stored row is lost. The next run without the fault requests that page.
async fn costs_one_task(page: &str, kind: FaultKind, words: &[&str]) {
    let world = impatient(6).await;
    let path = world.finnomena_path(&world.active(1)[0], page);
    world.fault_on(Site::Finnomena, &path, kind.clone());
    let run = world.run(&MONTHLY).await;
    run.exits(3).says(&path);
    for words in words {
        run.says(words);
    }
    let failed = world
        .ask("SELECT key FROM runner.task WHERE outcome = 'failed'")
        .await;
    assert_eq!(failed, [vec![Some(world.active(1)[0].clone())]], "{kind:?}");
    world.simulator.faults().clear();
    world.run(&MONTHLY).await.exits(0);
    world.assert_truth().await;
    // The stored rows stay when the same fault happens again.
    let before = world.seven_tables().await;
    world.fault_on(Site::Finnomena, &path, kind);
    world.run(&FRESH).await.exits(3);
    assert_eq!(world.seven_tables().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_json_costs_one_task() {
    costs_one_task("/nav", FaultKind::CutText, &["JSON"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn html_instead_of_json_costs_one_task() {
    costs_one_task(
        "/fee",
        FaultKind::HtmlInsteadOfJson,
        &["JSON", "payload kept at"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_costs_one_task() {
    costs_one_task("/portfolio", FaultKind::EmptyPage, &["expected", "found"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_nan_costs_one_value() {
    let world = impatient(5).await;
    let code = world.active(1)[0].clone();
    world.fault_on(
        Site::Finnomena,
        &world.finnomena_path(&code, "/nav"),
        FaultKind::BareNan,
    );
    world.run(&MONTHLY).await.exits(0);
    let truth = world.simulator.truth();
    let truth = truth.table("funds_daily").expect("the daily table");
    let days = truth
        .rows
        .iter()
        .filter(|row| row[0].as_deref() == Some(&code))
        .count();
    let found = world
        .ask(&format!("SELECT count(*), count(*) FILTER (WHERE nav_value IS NULL) FROM funds_daily WHERE fund_code = '{code}'"))
        .await;
    assert_eq!(found, [vec![Some(days.to_string()), Some("1".to_owned())]]);
    world.simulator.faults().clear();
    world.run(&FRESH).await.exits(0);
    world.assert_truth().await;
}

fn breach(run: &Run) -> &str {
    run.output
        .lines()
        .find(|line| line.contains("contract breach"))
        .unwrap_or_else(|| panic!("no breach was reported:\n{}", run.output))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_field_of_the_list_is_a_breach_that_names_it() {
    let world = impatient(6).await;
    world.run(&MONTHLY).await.exits(0);
    let before = world.seven_tables().await;
    let renamed = FaultKind::RenamedField {
        from: "\"short_code\"".to_owned(),
        to: "\"code\"".to_owned(),
    };
    world.fault_on(Site::Finnomena, "/public/funds", renamed);
    let run = world.run(&FRESH).await;
    run.exits(3);
    let line = breach(&run);
    let url = format!(
        "{}/fn3/api/fund/v2/public/funds",
        world.simulator.urls().finnomena
    );
    for words in [
        url.as_str(),
        "short_code",
        "expected",
        "found",
        "payload kept at",
    ] {
        assert!(line.contains(words), "`{words}` is not in: {line}");
    }
    // O6: the payload is in the file that the line names.
    let kept = line
        .split("payload kept at ")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    let kept = world.dir().join(kept.expect("a path"));
    assert!(kept.is_file(), "{} is not there", kept.display());
    assert_eq!(world.seven_tables().await, before);
    world.simulator.faults().clear();
    world.run(&MONTHLY).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_field_of_many_pages_stops_the_source_for_the_round() {
    let world = impatient(80).await;
    let renamed = FaultKind::RenamedField {
        from: "\"navs\"".to_owned(),
        to: "\"points\"".to_owned(),
    };
    world.fault_on(Site::Finnomena, "/nav/q", renamed);
    let run = world
        .run(&["--once", "--cycle", "daily", "--mode", "sequential"])
        .await;
    run.exits(3);
    let line = breach(&run);
    for words in ["/nav/q", "data.navs", "expected", "found"] {
        assert!(line.contains(words), "`{words}` is not in: {line}");
    }
    // D6: the source stops after twenty pages in each of the two rounds; it does not request every fund.
    let asked = world.simulator.log().count(Site::Finnomena, "/nav/q");
    assert!((20..=42).contains(&asked), "{asked} NAV pages were asked");
    // The pages of the other sources are loaded.
    let others: i64 = world
        .one("SELECT count(*) FROM runner.task WHERE source <> 'finnomena' AND outcome NOT IN ('done', 'absent')")
        .await;
    assert_eq!(others, 0);
    world.simulator.faults().clear();
    world.run(&["--once", "--cycle", "daily"]).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_shrank_is_a_breach_and_makes_no_fund_inactive() {
    for site in [Site::Finnomena, Site::WealthMagik] {
        let world = impatient(20).await;
        world.run(&MONTHLY).await.exits(0);
        let before = world.seven_tables().await;
        world.fault(site, FaultKind::ShrunkList);
        for date in ["2026-11-20", "2026-11-21", "2026-11-22"] {
            let run = world
                .run(&["--once", "--cycle", "daily", "--date", date])
                .await;
            run.exits(3).says("the list shrank");
        }
        assert_eq!(world.seven_tables().await, before);
        let inactive: i64 = world
            .one("SELECT count(*) FROM funds_master_info WHERE fund_status <> 'active'")
            .await;
        assert_eq!(inactive, 0, "{site:?}");
        // A list is compared with the last complete list, not with the last list that was read.
        world.simulator.faults().clear();
        world
            .run(&["--once", "--cycle", "daily", "--date", "2026-11-23"])
            .await
            .exits(0);
        world.assert_truth().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_pages_and_error_pages_with_status_200_change_nothing() {
    for kind in [FaultKind::EmptyPage, FaultKind::ErrorPage] {
        let world = impatient(8).await;
        world.run(&MONTHLY).await.exits(0);
        let before = world.seven_tables().await;
        world.fault_on(Site::WealthMagik, "/funds/", kind.clone());
        let run = world.run(&FRESH).await;
        run.exits(3).says("expected");
        assert_eq!(world.seven_tables().await, before, "{kind:?}");
        let good = world
            .ask("SELECT DISTINCT page FROM runner.task WHERE source = 'wealthmagik' AND outcome IN ('done', 'unchanged', 'absent')")
            .await;
        assert_eq!(
            good,
            [vec![Some("list".to_owned())]],
            "{kind:?} passed for an answer"
        );
        world.simulator.faults().clear();
        world.run(&MONTHLY).await.exits(0);
        world.assert_truth().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sec_batch_that_fails_loses_no_other() {
    let world = impatient(10).await;
    world.fault_times(Site::SecApi, "/api/funds", 1, FaultKind::CutText);
    world.run(&MONTHLY).await.exits(0).says("round 2");
    world.assert_truth().await;
    // Only the codes of the failed batch were requested twice.
    let log = world.simulator.log();
    let asked = log.count(Site::SecApi, "/api/funds");
    let funds = world.simulator.market().codes().len();
    assert!(
        asked <= funds.div_ceil(2) + 1,
        "{asked} requests for {funds} codes"
    );
}
