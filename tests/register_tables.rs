//! Dividends come from the official register and from Finnomena; performance and three columns of `funds_master_info`
//! from the register.

use simulator::{MarketConfig, Source};

use crate::world::World;
use crate::world::cells::{RANKED, Ranked, differences};

const MONTHLY: [&str; 5] = ["--once", "--cycle", "monthly", "--date", "2026-10-15"];
const AGAIN: [&str; 6] = [
    "--once",
    "--cycle",
    "monthly",
    "--date",
    "2026-10-15",
    "--fresh",
];
/// Compares dividends, performance and the columns that only the register has with what the register and Finnomena report about the active funds.
async fn assert_reported(world: &World) {
    let finnomena = world.simulator.reported_by(Source::Finnomena);
    let register = world.simulator.reported_by(Source::SecOpenApi);
    // The register's status decides before Finnomena's flag.
    let is_active = |code: &&str| {
        let status = register.cell("register_classes", code, "", "status");
        finnomena.cell("funds_master_info", code, "", "fund_status") == Some("active")
            && status.is_none_or(|status| status == "Registered")
    };
    let active = finnomena.codes("funds_master_info").into_iter();
    let funds: Vec<String> = active.filter(is_active).map(str::to_owned).collect();
    let is_compared = |ranked: &&Ranked| match ranked.table {
        "funds_dividends" | "funds_performance" => true,
        "funds_master_info" => ranked.rank == [Source::SecOpenApi],
        _ => false,
    };
    for ranked in RANKED.iter().filter(is_compared) {
        let expected = ranked.reported(world, &funds, &Source::ALL);
        assert!(
            !expected.is_empty(),
            "{}: nothing is reported",
            ranked.table
        );
        let mut stored = ranked.stored(world).await;
        stored.retain(|(fund, _, _), _| funds.contains(fund));
        let wrong = differences(ranked.table, &expected, &stored);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
async fn dividends_performance_and_the_new_columns_are_those_of_the_sources() {
    let world = World::with_register(MarketConfig {
        funds: 40,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await;
    world.run(&MONTHLY).await.exits(0);
    assert_reported(&world).await;
    let sources = "SELECT DISTINCT source FROM funds_dividends UNION SELECT source FROM funds_performance ORDER BY 1";
    assert_eq!(
        world.ask(sources).await,
        [
            [Some("finnomena".to_owned())],
            [Some("sec_open_api".to_owned())]
        ]
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
