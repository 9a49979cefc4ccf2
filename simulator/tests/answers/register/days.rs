//! The days on which the register publishes NAVs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use simulator::{EdgeCase, MarketConfig, Simulator, Source};

use super::{all, market_of, text};

#[tokio::test]
async fn navs_are_published_days_later_and_some_prices_are_zero() {
    let simulator = market_of(200).await;
    let (rows, _) = all(&simulator, "daily-info/nav").await;
    let share_of_zeros = |member: &str| {
        let zeros = rows.iter().filter(|row| row[member] == 0.0).count();
        zeros * 100 / rows.len()
    };
    for member in ["sell_price", "buy_price"] {
        assert!(
            (9..=16).contains(&share_of_zeros(member)),
            "{member}: {}",
            share_of_zeros(member)
        );
    }
    let mut newest: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for row in &rows {
        newest.insert(
            (text(row, "proj_id"), text(row, "fund_class_name")),
            text(row, "nav_date"),
        );
    }
    // The market's date is 2026-10-15, a Thursday.
    let count = |date: &str| newest.values().filter(|newest| **newest == date).count();
    assert!(count("2026-10-14") > 2 * count("2026-10-13") && count("2026-10-13") > 0);
    assert!(count("2026-10-08") > 0 && count("2026-10-15") == 0);
    // A market-wide hole: no class has a day of it.
    let dates: BTreeSet<&str> = rows.iter().map(|row| text(row, "nav_date")).collect();
    assert!(dates.contains("2026-08-21") && dates.contains("2026-09-07"));
    assert!(!dates.contains("2026-08-25") && !dates.contains("2026-09-01"));
}

/// A class of a fund that the register publishes, by code.
async fn days_of(simulator: &Simulator, code: &str) -> BTreeSet<String> {
    let report = simulator.reported_by(Source::SecOpenApi);
    let rows = report
        .rows("funds_daily", code)
        .cloned()
        .unwrap_or_default();
    rows.into_keys().collect()
}

/// The market's date is 2026-10-15, a Thursday.
#[tokio::test]
async fn late_and_monthly_publishers_show_each_nav_on_its_day() {
    let simulator = market_of(300).await;
    let (late, monthly) = {
        let market = simulator.market();
        let first = |kind: EdgeCase| market.codes_with(kind)[0].to_owned();
        (
            first(EdgeCase::RegisterLate),
            first(EdgeCase::RegisterMonthly),
        )
    };
    let newest = days_of(&simulator, &late).await.pop_last().expect("a day");
    assert_eq!(newest, "2026-10-08");
    simulator.advance_days(1);
    assert_eq!(
        days_of(&simulator, &late).await.pop_last().expect("a day"),
        "2026-10-09"
    );
    let months = days_of(&simulator, &monthly).await;
    assert_eq!(months.last().map(String::as_str), Some("2026-09-30"));
    // 30 October is the last business day of the month, and is published five days later.
    simulator.advance_days(18);
    assert!(!days_of(&simulator, &monthly).await.contains("2026-10-30"));
    simulator.advance_days(1);
    assert!(days_of(&simulator, &monthly).await.contains("2026-10-30"));
}

/// The NAV of each class and day.
async fn navs(simulator: &Simulator) -> BTreeMap<(String, String, String), Value> {
    let (rows, _) = all(simulator, "daily-info/nav?start_nav_date=2026-09-20").await;
    let key = |row: &Value| {
        let [project, class, date] =
            ["proj_id", "fund_class_name", "nav_date"].map(|member| text(row, member).to_owned());
        (project, class, date)
    };
    rows.iter()
        .map(|row| (key(row), row["last_val"].clone()))
        .collect()
}

#[tokio::test]
async fn some_navs_are_corrected_within_a_week_and_some_later() {
    let simulator = market_of(200).await;
    let mut known = navs(&simulator).await;
    let (mut soon, mut late) = (0, 0);
    for _ in 0..30 {
        simulator.advance_days(1);
        let today = simulator.market().today();
        let now = navs(&simulator).await;
        for (key, value) in &now {
            let date: jiff::civil::Date = key.2.parse().expect("a date");
            match known.get(key) {
                Some(before) if before != value && (today - date).get_days() <= 14 => soon += 1,
                Some(before) if before != value => late += 1,
                _ => {}
            }
        }
        known = now;
    }
    assert!(soon > 20 && late > 2, "{soon} soon, {late} late");
}

#[tokio::test]
async fn a_renamed_class_leaves_its_rows_under_its_former_name_or_takes_all_along() {
    let simulator = Simulator::start(MarketConfig {
        funds: 60,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await
    .expect("the simulator starts");
    let codes: Vec<String> = simulator
        .market()
        .codes()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let (profiles, _) = all(&simulator, "general-info/profiles?fund_status=Registered").await;
    let name_of = |profiles: &[Value], code: &str| {
        let own = profiles.iter().find(|profile| super::code(profile) == code);
        own.map(|profile| text(profile, "fund_class_name").to_owned())
    };
    for code in &codes {
        simulator
            .rename(code, &format!("{code}-NEW"))
            .expect("a known code");
    }
    simulator.advance_days(14);
    let (later, _) = all(&simulator, "general-info/profiles?fund_status=Registered").await;
    let report = simulator.reported_by(Source::SecOpenApi);
    let mut ways = BTreeMap::new();
    for code in &codes {
        let new_code = format!("{code}-NEW");
        assert_eq!(name_of(&later, code), None);
        let was_main = name_of(&profiles, code).expect("a profile") == "main";
        let is_main = name_of(&later, &new_code).expect("a profile") == "main";
        let days = |code: &str| {
            report
                .rows("funds_daily", code)
                .cloned()
                .unwrap_or_default()
        };
        let (former, new) = (days(code), days(&new_code));
        let takes_all_along = former.keys().all(|day| new.contains_key(day));
        assert!(
            takes_all_along || former.keys().all(|day| !new.contains_key(day)),
            "{code}"
        );
        assert_eq!(takes_all_along, is_main, "{code}");
        *ways.entry((was_main, is_main)).or_insert(0) += 1;
    }
    let ways: Vec<(bool, bool)> = ways.into_keys().collect();
    assert_eq!(ways, [(false, false), (true, false), (true, true)]);
}
