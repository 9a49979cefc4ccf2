//! Dividends, performance and three columns of `funds_master_info` come from the official register.

use std::collections::BTreeMap;

use simulator::{MarketConfig, Source};

use crate::world::World;

const MONTHLY: [&str; 5] = ["--once", "--cycle", "monthly", "--date", "2026-10-15"];
const AGAIN: [&str; 6] = [
    "--once",
    "--cycle",
    "monthly",
    "--date",
    "2026-10-15",
    "--fresh",
];
const DIVIDENDS: [&str; 2] = ["value", "pay_date"];
const PERFORMANCE: [&str; 4] = ["fund", "benchmark", "peer_average", "volatility"];
const MASTER: [&str; 3] = ["fund_tax_type", "feeder_master_fund", "management_style"];

/// The value of each cell, by fund, key within the fund, and column.
type Cells = BTreeMap<(String, String, String), String>;

/// What the register reports about the funds of the warehouse.
fn expected(world: &World, table: &str, columns: &[&str], funds: &[String]) -> Cells {
    let report = world.simulator.reported_by(Source::SecOpenApi);
    let mut cells = Cells::new();
    for fund in funds {
        for (key, row) in report.rows(table, fund).into_iter().flatten() {
            for column in columns {
                if let Some(value) = row.get(column) {
                    let place = (fund.clone(), key.clone(), (*column).to_owned());
                    cells.insert(place, value.clone());
                }
            }
        }
    }
    cells
}

/// What the table has. The columns of `key` are joined by a space.
async fn found(world: &World, table: &str, key: &[&str], columns: &[&str]) -> Cells {
    let all: Vec<&str> = ["fund_code"]
        .into_iter()
        .chain(key.iter().copied())
        .chain(columns.iter().copied())
        .collect();
    let mut cells = Cells::new();
    for row in world.rows(table, &all).await {
        let text = |at: usize| row[at].clone().unwrap_or_default();
        let words: Vec<String> = (1..=key.len()).map(text).collect();
        for (at, column) in columns.iter().enumerate() {
            if let Some(value) = &row[1 + key.len() + at] {
                let place = (text(0), words.join(" "), (*column).to_owned());
                cells.insert(place, value.clone());
            }
        }
    }
    cells
}

fn assert_same(table: &str, found: &Cells, expected: &Cells) {
    let differ = |one: &Cells, other: &Cells| -> Vec<String> {
        one.iter()
            .filter(|(place, value)| other.get(*place) != Some(value))
            .map(|(place, value)| format!("{place:?} {value}"))
            .take(10)
            .collect()
    };
    assert!(
        !expected.is_empty(),
        "{table}: the register reports nothing"
    );
    assert_eq!(
        (differ(found, expected), differ(expected, found)),
        (Vec::new(), Vec::new()),
        "{table}: found only, expected only"
    );
}

async fn assert_reported(world: &World) {
    let funds: Vec<String> = world
        .ask("SELECT fund_code FROM funds_master_info ORDER BY 1")
        .await
        .into_iter()
        .filter_map(|row| row[0].clone())
        .collect();
    for (table, key, columns) in [
        (
            "funds_dividends",
            ["xd_date"].as_slice(),
            DIVIDENDS.as_slice(),
        ),
        (
            "funds_performance",
            ["as_of_date", "period"].as_slice(),
            PERFORMANCE.as_slice(),
        ),
        ("funds_master_info", [].as_slice(), MASTER.as_slice()),
    ] {
        let found = found(world, table, key, columns).await;
        let expected = expected(world, table, columns, &funds);
        assert_same(table, &found, &expected);
    }
}

/// The rows of the two tables and of their history, with the transaction that wrote each.
async fn versions(world: &World) -> Vec<String> {
    let mut versions = Vec::new();
    for table in [
        "public.funds_dividends",
        "public.funds_performance",
        "public.funds_master_info",
        "runner.observation",
        "history.change",
    ] {
        let rows = world
            .ask(&format!(
                "SELECT '{table} ' || ctid || ' ' || xmin FROM {table} ORDER BY 1"
            ))
            .await;
        versions.extend(rows.into_iter().filter_map(|row| row[0].clone()));
    }
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn dividends_performance_and_the_new_columns_are_the_registers() {
    let world = World::with_register(MarketConfig {
        funds: 40,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await;
    world.run(&MONTHLY).await.exits(0);
    assert_reported(&world).await;
    let sources =
        "SELECT DISTINCT source FROM funds_dividends UNION SELECT source FROM funds_performance";
    assert_eq!(
        world.ask(sources).await,
        [[Some("sec_open_api".to_owned())]]
    );
    let before = versions(&world).await;
    world.run(&AGAIN).await.exits(0);
    assert_eq!(versions(&world).await, before, "the second pass wrote rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn awkward_rows_of_the_register_end_in_the_tables_as_well() {
    let world = World::with_register(MarketConfig {
        funds: 60,
        ..MarketConfig::default()
    })
    .await;
    let run = world.run(&MONTHLY).await;
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output);
    assert_reported(&world).await;
}
