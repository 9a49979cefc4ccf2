//! Tests of the market and its truth that use no parser.

use std::collections::BTreeSet;

use simulator::{EdgeCase, MarketConfig, Simulator, TABLES, Truth};

async fn market_of(funds: usize, days: usize) -> Simulator {
    Simulator::start(MarketConfig {
        funds,
        days,
        ..MarketConfig::default()
    })
    .await
    .expect("the simulator starts")
}

fn text_of(config: &MarketConfig) -> String {
    let mut text = Vec::new();
    Simulator::write_truth_of(config, &mut text).expect("memory takes it");
    String::from_utf8(text).expect("UTF-8")
}

/// The cells of one column of one table.
fn column<'a>(truth: &'a Truth, table: &str, column: &str) -> Vec<&'a str> {
    let table = truth.table(table).expect("a table");
    let place = table
        .columns
        .iter()
        .position(|name| *name == column)
        .expect("a column");
    table
        .rows
        .iter()
        .filter_map(|row| row[place].as_deref())
        .collect()
}

#[test]
fn equal_seeds_make_equal_markets() {
    let config = MarketConfig {
        funds: 60,
        ..MarketConfig::default()
    };
    assert_eq!(text_of(&config), text_of(&config));
    assert_ne!(
        text_of(&config),
        text_of(&MarketConfig { seed: 2, ..config })
    );
}

#[tokio::test]
async fn a_large_market_holds_every_awkward_value() {
    let simulator = market_of(500, 60).await;
    let missing: Vec<EdgeCase> = EdgeCase::ALL
        .iter()
        .copied()
        .filter(|kind| !simulator.market().holds(*kind))
        .collect();
    assert_eq!(missing, []);
}

#[tokio::test]
async fn a_plain_market_has_one_row_a_day_for_every_active_fund() {
    let config = MarketConfig {
        edge_cases: false,
        ..MarketConfig::default()
    };
    let simulator = Simulator::start(config)
        .await
        .expect("the simulator starts");
    let active = simulator.market().codes().len();
    assert_eq!(
        simulator
            .truth()
            .table("funds_daily")
            .expect("a table")
            .rows
            .len(),
        active * 60
    );
}

#[tokio::test]
async fn the_truth_is_canonical_text() {
    let simulator = market_of(300, 40).await;
    let truth = simulator.truth();
    let codes: BTreeSet<String> = simulator
        .market()
        .codes()
        .into_iter()
        .map(str::to_owned)
        .collect();
    for table in &truth.tables {
        assert!(table.rows.is_sorted(), "{}", table.name);
        for row in &table.rows {
            assert!(
                codes.contains(row[0].as_deref().expect("a code")),
                "{row:?}"
            );
            for cell in row.iter().flatten() {
                let folded = cell.split_whitespace().collect::<Vec<_>>().join(" ");
                assert_eq!(*cell, folded, "white space in {}", table.name);
                assert!(
                    !cell.contains([
                        '\u{200b}', '\u{200c}', '\u{200d}', '\u{feff}', '\u{e4d}', '\u{301}'
                    ]),
                    "{cell:?}"
                );
                assert!(!cell.is_empty());
            }
        }
    }
    let numbers = [
        ("funds_daily", "nav_value"),
        ("funds_daily", "aum"),
        ("funds_daily", "bid"),
        ("funds_holding", "percent"),
    ]
    .into_iter()
    .chain(
        [
            "sharpe_ratio",
            "max_drawdown",
            "recovering_period",
            "turnover_ratio",
        ]
        .map(|name| ("funds_statistics", name)),
    )
    .chain(["front_end_max", "ter_actual", "min_initial_buy"].map(|name| ("funds_fee", name)));
    for (table, name) in numbers {
        for number in column(&truth, table, name) {
            let magnitude = number.strip_prefix('-').unwrap_or(number);
            let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, "1"));
            assert!(
                whole == "0" || !whole.starts_with('0'),
                "{table}.{name}: {number}"
            );
            assert!(
                !fraction.ends_with('0') && fraction.len() <= 10 && number != "-0",
                "{table}.{name}: {number}"
            );
            assert!(
                whole
                    .chars()
                    .chain(fraction.chars())
                    .all(|digit| digit.is_ascii_digit()),
                "{table}.{name}: {number}"
            );
        }
    }
    assert!(
        column(&truth, "funds_daily", "nav_value")
            .iter()
            .all(|nav| *nav != "0")
    );
    assert!(
        column(&truth, "funds_daily", "nav_date")
            .iter()
            .all(|date| ("2026-01-01".."2026-10-16").contains(date))
    );
    assert!(
        column(&truth, "funds_master_info", "fund_status")
            .iter()
            .all(|status| *status == "active")
    );
}

#[test]
fn the_smallest_markets_can_be_made() {
    for (funds, days) in [(0, 0), (1, 0), (1, 1), (40, 1), (40, 3)] {
        assert!(
            text_of(&MarketConfig {
                funds,
                days,
                ..MarketConfig::default()
            })
            .starts_with("# funds_master_info")
        );
    }
}

#[tokio::test]
async fn keys_are_unique_and_every_table_has_rows() {
    let simulator = market_of(300, 40).await;
    let truth = simulator.truth();
    let keys = [1, 2, 1, 1, 4, 4, 3];
    for ((table, key), (name, _)) in truth.tables.iter().zip(keys).zip(TABLES) {
        assert_eq!(table.name, name);
        assert!(!table.rows.is_empty());
        let distinct: BTreeSet<_> = table.rows.iter().map(|row| &row[..key]).collect();
        assert_eq!(distinct.len(), table.rows.len(), "{name}");
    }
}

#[tokio::test]
async fn the_truth_is_the_same_written_and_displayed() {
    let simulator = market_of(60, 30).await;
    let mut written = Vec::new();
    simulator
        .write_truth(&mut written)
        .expect("memory takes it");
    assert_eq!(
        String::from_utf8(written).expect("UTF-8"),
        simulator.truth().to_string()
    );
}

#[tokio::test]
async fn a_day_later_there_are_only_more_rows_and_prices() {
    let simulator = market_of(60, 30).await;
    let before = simulator.truth();
    simulator.advance_days(1);
    let after = simulator.truth();
    for (table, later) in before.tables.iter().zip(&after.tables) {
        if table.name != "funds_daily" {
            assert_eq!(table, later);
        }
    }
    let known: BTreeSet<_> = before
        .table("funds_daily")
        .expect("a table")
        .rows
        .iter()
        .map(|row| (&row[0], &row[1]))
        .collect();
    let later: BTreeSet<_> = after
        .table("funds_daily")
        .expect("a table")
        .rows
        .iter()
        .map(|row| (&row[0], &row[1]))
        .collect();
    assert!(later.len() > known.len());
}

#[tokio::test]
async fn prices_that_were_served_stay_true() {
    let simulator = market_of(30, 30).await;
    let with_prices =
        |simulator: &Simulator| column(&simulator.truth(), "funds_daily", "bid").len();
    let quoted = with_prices(&simulator);
    simulator.advance_days(1);
    assert_eq!(
        with_prices(&simulator),
        quoted,
        "nobody asked for the first day's prices"
    );
    crate::support::get(&format!(
        "{}/funds/007/profile",
        simulator.urls().wealthmagik
    ))
    .await;
    simulator.advance_days(1);
    assert_eq!(with_prices(&simulator), quoted + 1);
}

#[tokio::test]
async fn revisions_activity_and_renames_change_the_truth() {
    let simulator = market_of(30, 30).await;
    let date = "2026-09-15".parse().expect("a date");
    simulator
        .revise_nav("007", date, "99.5")
        .expect("a known code");
    simulator.set_active("NA", false).expect("a known code");
    let rows_before = simulator
        .truth()
        .table("funds_daily")
        .expect("a table")
        .rows
        .iter()
        .filter(|row| row[0].as_deref() == Some("A/B"))
        .count();
    simulator.rename("A/B", "A/B-NEW").expect("a known code");
    simulator
        .move_factsheet("TwinCase-A")
        .expect("a known code");
    simulator
        .publish_holdings("O'HARA-A")
        .expect("a known code");
    assert!(simulator.set_active("NO SUCH CODE", true).is_err());
    let truth = simulator.truth();
    let daily = &truth.table("funds_daily").expect("a table").rows;
    assert!(
        daily
            .iter()
            .any(|row| row[0].as_deref() == Some("007") && row[2].as_deref() == Some("99.5"))
    );
    let status = |code: &str| {
        let master = truth.table("funds_master_info").expect("a table");
        master
            .rows
            .iter()
            .find(|row| row[0].as_deref() == Some(code))
            .and_then(|row| row[10].clone())
    };
    assert_eq!(status("NA").as_deref(), Some("inactive"));
    assert_eq!(status("A/B").as_deref(), Some("inactive"));
    assert_eq!(status("A/B-NEW").as_deref(), Some("active"));
    for code in ["A/B", "A/B-NEW"] {
        assert_eq!(
            daily
                .iter()
                .filter(|row| row[0].as_deref() == Some(code))
                .count(),
            rows_before
        );
    }
}
