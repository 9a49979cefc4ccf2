//! Lists that shrink, grow or never end (D7, D8): a breach in every cycle, and no fund becomes inactive because of it.

use simulator::{FaultKind, Site};

use super::{FRESH, failed_tasks, loaded};

#[tokio::test(flavor = "multi_thread")]
async fn d8_both_lists_at_a_third_for_four_cycles_make_no_fund_inactive() {
    let (world, before) = loaded(12).await;
    world.fault(Site::Finnomena, FaultKind::ShrunkList);
    world.fault(Site::WealthMagik, FaultKind::ShrunkList);
    for date in ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23"] {
        let run = world
            .run(&["--once", "--fresh", "--cycle", "monthly", "--date", date])
            .await;
        run.exits(3).says("the list shrank");
        let breaches = run
            .output
            .lines()
            .filter(|line| line.contains("ERROR") && line.contains("the list shrank"))
            .count();
        assert!(breaches >= 2, "both sources say so:\n{}", run.output);
    }
    assert_eq!(world.seven_tables().await, before);
    world.simulator.faults().clear();
    world.run(&FRESH).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_a_list_of_absurd_length_is_a_breach_and_plans_nothing() {
    let (world, before) = loaded(5).await;
    let funds: Vec<String> = (0..60_000)
        .map(|n| format!("{{\"fund_id\":\"F{n}\",\"short_code\":\"X{n}\",\"sec_is_active\":true}}"))
        .collect();
    let body = |data: &str, entries: String| FaultKind::Body {
        status: 200,
        content_type: "application/json".to_owned(),
        body: format!("{{\"status\":true,\"{data}\":[{entries}]}}"),
    };
    world.fault_on(
        Site::Finnomena,
        "/public/funds",
        body("data", funds.join(",")),
    );
    let found: Vec<String> = (0..60_000)
        .map(|n| format!("{{\"v\":\"X{n}---x\",\"u\":\"/funds/X{n}\"}}"))
        .collect();
    world.fault_on(
        Site::WealthMagik,
        "fundSearch.json",
        body("data", found.join(",")),
    );
    let tasks: i64 = world.one("SELECT count(*) FROM runner.task").await;
    let run = world.run(&FRESH).await;
    run.exits(3)
        .says("expected at most 50000 funds, found 60000");
    assert_eq!(
        world.one::<i64>("SELECT count(*) FROM runner.task").await,
        tasks
    );
    assert_eq!(world.seven_tables().await, before);
    let failed = failed_tasks(&world).await;
    for list in ["finnomena/list/failed", "wealthmagik/list/failed"] {
        assert!(failed.iter().any(|task| task == list), "{failed:?}");
    }
    world.simulator.faults().clear();
    world.run(&FRESH).await.exits(0);
    world.assert_truth().await;
}
