//! P2: if a NAV history begins with a known prefix, only the rest is parsed. A correction that is years old is still
//! found, and every cell equals the truth.

use simulator::MarketConfig;

use crate::world::World;

async fn cycle(world: &World, kind: &str, date: &str) {
    let args = ["--once", "--fresh", "--cycle", kind, "--date", date];
    world.run(&args).await.exits(0);
    world.assert_truth().await;
}

/// The number of daily records that the last cycle parsed.
async fn observed(world: &World) -> i64 {
    world
        .one(
            "SELECT observed FROM runner.cycle_count WHERE table_name = 'funds_daily'
             ORDER BY cycle_id DESC LIMIT 1",
        )
        .await
}

/// The most records per fund that a history with a known prefix costs: the days of the five weeks before its newest
/// known day, the new days, and bid and offer.
const KNOWN: i64 = 26 + 8 + 1;

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_second_month_reads_what_is_new_and_a_correction_years_old_is_found() {
    const DAYS: i64 = 700;
    let market = MarketConfig {
        funds: 12,
        days: 700,
        edge_cases: false,
        ..MarketConfig::default()
    };
    let world = World::new(market).await;
    let funds = world.simulator.market().codes().len() as i64;
    cycle(&world, "monthly", "2026-10-15").await;
    let whole = observed(&world).await;
    assert!(whole >= funds * DAYS, "{whole} records of {funds} funds");

    world.simulator.advance_days(5);
    cycle(&world, "monthly", "2026-10-20").await;
    let told = observed(&world).await;
    assert!(told <= funds * KNOWN, "{told} records of {funds} funds");

    // A short history between two whole ones does not change the known prefix.
    world.simulator.advance_days(1);
    cycle(&world, "daily", "2026-10-21").await;
    let code = world.active(1).remove(0);
    let first: String = world
        .one(&format!(
            "SELECT (min(nav_date) + 30)::text FROM funds_daily WHERE fund_code = '{code}'"
        ))
        .await;
    let revised: String = world
        .one(&format!(
            "SELECT min(nav_date)::text FROM funds_daily WHERE fund_code = '{code}' AND nav_date > '{first}'"
        ))
        .await;
    let day = revised.parse().expect("a date");
    world
        .simulator
        .revise_nav(&code, day, "4.3102")
        .expect("a known code");
    world.simulator.advance_days(2);
    cycle(&world, "monthly", "2026-10-23").await;
    let told = observed(&world).await;
    assert!(
        (DAYS..=DAYS + funds * KNOWN).contains(&told),
        "one history whole, the others beyond what is known: {told} records of {funds} funds"
    );
    let found: i64 = world
        .one(&format!(
            "SELECT count(*) FROM history.change WHERE fund_code = '{code}' AND key LIKE '%{revised}%'"
        ))
        .await;
    assert_eq!(found, 1);

    // From now on, the prefix of the corrected history is known.
    world.simulator.advance_days(1);
    cycle(&world, "monthly", "2026-10-24").await;
    let told = observed(&world).await;
    assert!(told <= funds * KNOWN, "{told} records of {funds} funds");
}

/// Covers duplicate, unordered, unreadable and missing days, with short histories between the whole ones.
#[tokio::test(flavor = "multi_thread")]
async fn awkward_histories_are_the_truth_month_after_month() {
    let market = MarketConfig {
        funds: 60,
        days: 130,
        ..MarketConfig::default()
    };
    let world = World::new(market).await;
    cycle(&world, "monthly", "2026-10-15").await;
    for (kind, days, date) in [
        ("monthly", 5, "2026-10-20"),
        ("daily", 1, "2026-10-21"),
        ("monthly", 35, "2026-11-25"),
        ("monthly", 2, "2026-11-27"),
    ] {
        world.simulator.advance_days(days);
        cycle(&world, kind, date).await;
    }
    let known: i64 = world
        .one("SELECT count(*) FROM runner.task WHERE beginning_hash IS NOT NULL")
        .await;
    assert!(known > 20, "{known} histories are known");
}
