//! The report of the register against its answers.

use std::collections::BTreeSet;

use simulator::{MarketConfig, Reported, Simulator, Source};

use super::parsed::Parsed;

async fn assert_agrees(simulator: &Simulator, what: &str) {
    let parsed = Parsed::from(simulator).await;
    let Reported { tables } = simulator.reported_by(Source::SecOpenApi);
    let names: BTreeSet<&str> = tables.keys().copied().collect();
    assert_eq!(names, parsed.tables.keys().copied().collect(), "{what}");
    for (table, codes) in &tables {
        let served = &parsed.tables[table];
        for code in codes.keys().chain(served.keys()) {
            // A former code keeps the rows that it had; the register may serve them under the new code.
            let is_listed = tables["register_classes"].contains_key(code);
            let (reported, served) = (codes.get(code), served.get(code));
            if is_listed || served.is_some() {
                assert_eq!(reported, served, "{what}: {table} {code:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_report_of_the_register_agrees_with_its_answers() {
    for (seed, funds, edge_cases) in [(1, 200, true), (2, 60, true), (3, 60, false)] {
        let simulator = Simulator::start(MarketConfig {
            funds,
            seed,
            edge_cases,
            ..MarketConfig::default()
        })
        .await
        .expect("the simulator starts");
        assert_agrees(&simulator, &format!("seed {seed}")).await;
    }
}

#[tokio::test]
async fn the_report_of_the_register_follows_the_days() {
    let simulator = Simulator::start(MarketConfig {
        funds: 60,
        lives: true,
        ..MarketConfig::default()
    })
    .await
    .expect("the simulator starts");
    for day in 0..40 {
        simulator.next_day();
        if day % 10 == 9 {
            assert_agrees(&simulator, &format!("day {day}")).await;
        }
    }
}
