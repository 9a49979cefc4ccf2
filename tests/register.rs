//! The official register as a source: with a key, its values are in the tables, and an ordinary day needs few requests.

use std::collections::BTreeMap;

use simulator::{MarketConfig, Reported, Site, Source};

use crate::world::World;

const MONTHLY: [&str; 5] = ["--once", "--cycle", "monthly", "--date", "2026-10-15"];
/// The day after, in the same week.
const DAILY: [&str; 5] = ["--once", "--cycle", "daily", "--date", "2026-10-16"];
const KEY: &[&str] = &["simulated-key"];

async fn with_register(config: MarketConfig) -> World {
    let mut world = World::new(config).await;
    world.settings.register_keys = KEY;
    world.settings.more =
        "patience: (request_timeout_secs: 1, host_back_off_secs: (1, 1), host_wait_secs: 2),"
            .to_owned();
    world
}

fn plain(funds: usize) -> MarketConfig {
    MarketConfig {
        funds,
        edge_cases: false,
        ..MarketConfig::default()
    }
}

/// A cell of `funds_daily`: fund, day, column.
type Cell = (String, String, String);

/// The daily values of the active funds, by the first source in the rank of the column that reports one.
fn expected_days(world: &World, codes: &[String]) -> BTreeMap<Cell, String> {
    let by = |source| world.simulator.reported_by(source);
    let register = by(Source::SecOpenApi);
    let finnomena = by(Source::Finnomena);
    let wealthmagik = by(Source::WealthMagik);
    let ranks: [(&str, [&Reported; 3]); 4] = [
        ("nav_value", [&register, &finnomena, &wealthmagik]),
        ("aum", [&register, &finnomena, &wealthmagik]),
        ("bid", [&wealthmagik, &register, &finnomena]),
        ("offer", [&wealthmagik, &register, &finnomena]),
    ];
    let mut cells = BTreeMap::new();
    for code in codes {
        for (column, rank) in &ranks {
            for source in rank.iter().rev() {
                for (day, row) in source.rows("funds_daily", code).into_iter().flatten() {
                    if let Some(value) = row.get(column) {
                        let cell = (code.clone(), day.clone(), (*column).to_owned());
                        cells.insert(cell, value.clone());
                    }
                }
            }
        }
    }
    cells
}

async fn found_days(world: &World) -> BTreeMap<Cell, String> {
    let columns = ["fund_code", "nav_date", "nav_value", "aum", "bid", "offer"];
    let mut cells = BTreeMap::new();
    for row in world.rows("funds_daily", &columns).await {
        let text = |at: usize| row[at].clone().unwrap_or_default();
        for (at, column) in columns.iter().enumerate().skip(2) {
            if let Some(value) = &row[at] {
                cells.insert((text(0), text(1), (*column).to_owned()), value.clone());
            }
        }
    }
    cells
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_the_daily_values_are_the_registers() {
    let world = with_register(plain(40)).await;
    world.run(&MONTHLY).await.exits(0);
    let codes: Vec<String> = world
        .ask("SELECT fund_code FROM funds_master_info ORDER BY 1")
        .await
        .into_iter()
        .filter_map(|row| row[0].clone())
        .collect();
    let active = world.active(1);
    assert!(codes.contains(&active[0]));
    let said: i64 = world
        .one("SELECT count(*) FROM funds_daily WHERE nav_said_by & 16 <> 0")
        .await;
    assert!(said > 0, "the register has said nothing");
    let expected = expected_days(&world, &codes);
    let found = found_days(&world).await;
    let wrong: Vec<_> = found
        .iter()
        .filter(|(cell, value)| expected.get(*cell) != Some(value))
        .map(|(cell, value)| (cell, value, expected.get(cell)))
        .take(10)
        .collect();
    assert!(wrong.is_empty(), "found, expected: {wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_an_ordinary_day_asks_no_page_of_a_single_fund() {
    let world = with_register(plain(60)).await;
    world.run(&MONTHLY).await.exits(0);
    world.simulator.advance_days(1);
    let skip = world.simulator.log().requests.len();
    world.run(&DAILY).await.exits(0);
    let of_site = |site: Site| world.asked_since(skip, site);
    assert_eq!(
        of_site(Site::WealthMagik).len(),
        1,
        "the list alone: {:?}",
        of_site(Site::WealthMagik)
    );
    let finnomena = of_site(Site::Finnomena);
    let single: Vec<&String> = finnomena
        .iter()
        .filter(|path| path.contains("/funds/"))
        .collect();
    assert_eq!(single, [""; 0]);
    assert!(of_site(Site::SecOpenApi).len() >= 6);
    let newest: i64 = world
        .one("SELECT count(*) FROM funds_daily WHERE cycle_id = (SELECT max(cycle_id) FROM runner.cycle) AND source = 'sec_open_api'")
        .await;
    assert!(newest > 0, "nothing of the new day was loaded");
}
