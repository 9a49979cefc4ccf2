//! D8: a first run on a day on which some source cannot be read loads what the other sources report.

use std::collections::BTreeSet;

use simulator::{FaultKind, Row, Site};

use crate::world::World;

const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];
const DAILY: [&str; 3] = ["--once", "--cycle", "daily"];

/// The ways in which a source is away from the first run on.
fn ways_to_be_away() -> [FaultKind; 3] {
    [
        FaultKind::Status(403),
        FaultKind::Down,
        FaultKind::HtmlInsteadOfJson,
    ]
}

async fn impatient(funds: usize) -> World {
    let mut world = World::plain(funds).await;
    world.settings.more =
        "patience: (request_timeout_secs: 1, host_back_off_secs: (1, 1), host_wait_secs: 2),"
            .to_owned();
    world
}

/// The true rows that one source supplies alone, by its name in the column `source`.
fn of_source(world: &World, table: &str, source: &str) -> Vec<Row> {
    let truth = world.simulator.truth();
    let truth = truth.table(table).expect("one of the seven tables");
    let place = truth.columns.iter().position(|name| *name == "source");
    let place = place.expect("a table with a source");
    truth
        .rows
        .iter()
        .filter(|row| row[place].as_deref() == Some(source))
        .cloned()
        .collect()
}

/// Asserts that the tables with one row set per source have all true rows of WealthMagik, and that every fund in its
/// list has its master row, its prices and its statistics.
async fn has_what_the_others_know(world: &World, way: &FaultKind) {
    for table in ["funds_holding", "funds_allocations"] {
        let expected = of_source(world, table, "wealthmagik");
        assert!(!expected.is_empty(), "{table}");
        let tables = world.seven_tables().await;
        let found: BTreeSet<&Row> = tables[table].iter().collect();
        let missing: Vec<&Row> = expected.iter().filter(|row| !found.contains(row)).collect();
        assert!(missing.is_empty(), "{way:?}: {table} lacks {missing:?}");
    }
    let listed: i64 = world
        .one("SELECT count(*) FROM runner.alias WHERE source = 'wealthmagik'")
        .await;
    for (what, sql) in [
        (
            "master rows",
            "SELECT count(*) FROM funds_master_info WHERE fund_status = 'active'",
        ),
        (
            "prices",
            "SELECT count(DISTINCT fund_code) FROM funds_daily WHERE bid IS NOT NULL",
        ),
        (
            "provisional funds",
            "SELECT count(*) FROM runner.fund WHERE provisional",
        ),
    ] {
        let found: i64 = world.one(sql).await;
        assert_eq!(found, listed, "{way:?}: {what}");
    }
    let codes = world.active(4);
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    world.assert_truth_of("funds_statistics", &codes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_deciding_list_another_list_serves_until_it_is_read() {
    for way in ways_to_be_away() {
        let world = impatient(6).await;
        world.fault(Site::Finnomena, way.clone());
        let run = world.run(&MONTHLY).await;
        run.exits(3)
            .says("the list of finnomena was never read; until it is");
        has_what_the_others_know(&world, &way).await;
        // Another day without it changes nothing.
        world.simulator.advance_days(1);
        world.run(&DAILY).await.exits(3);
        has_what_the_others_know(&world, &way).await;

        world.simulator.faults().clear();
        world
            .run(&["--once", "--cycle", "monthly", "--fresh"])
            .await
            .exits(0);
        world.assert_truth().await;
        let left: i64 = world
            .one("SELECT count(*) FROM runner.fund WHERE provisional")
            .await;
        assert_eq!(left, 0, "the deciding list confirmed every fund");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_source_that_does_not_decide_the_first_run_loads_the_rest() {
    for (site, source) in [
        (Site::WealthMagik, "wealthmagik"),
        (Site::SecApi, "sec_fundcheck"),
    ] {
        for way in ways_to_be_away() {
            let world = impatient(5).await;
            world.fault(site, way.clone());
            world.run(&MONTHLY).await.exits(3);
            let failed = world
                .ask("SELECT DISTINCT source FROM runner.task WHERE outcome NOT IN ('done', 'absent', 'unchanged')")
                .await;
            assert_eq!(failed, [vec![Some(source.to_owned())]], "{way:?}");
            let codes = world.active(4);
            let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
            world.assert_truth_of("funds_master_info", &codes).await;
            world.simulator.faults().clear();
            world.run(&MONTHLY).await.exits(0);
            world.assert_truth().await;
        }
    }
}
