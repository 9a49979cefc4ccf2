//! Undisturbed days with revisions, launches, closures, renames, late NAVs, weekends and holidays.

use std::time::{Duration, Instant};

use jiff::civil::{Date, date};
use simulator::MarketEvent;

use super::living_market::LivingMarket;

/// The cycles of the test that always runs. They end in the next month, so two of them are monthly.
const CYCLES: usize = 30;
const YEAR: usize = 365;
const ACTIVE: usize = 45;
/// A seed whose first thirty days have every kind of event.
const SEED: u64 = 9;
/// Five days of holidays and weekends follow within the first week.
const BEGINS: Date = date(2026, 4, 8);
/// The same holds here, and the year ends before today, because the runner accepts no date later than tomorrow.
const YEAR_BEGINS: Date = date(2025, 4, 8);

/// D11: ordinary changes of a market are stored at once and raise no doubt.
#[tokio::test(flavor = "multi_thread")]
async fn thirty_undisturbed_days_raise_no_doubt() {
    let market = LivingMarket::new(ACTIVE, BEGINS, SEED).await;
    let days = market.run_undisturbed(CYCLES).await;
    let count = |is: fn(&MarketEvent) -> bool| {
        let events = days.iter().flat_map(|day| &day.events);
        events.filter(|event| is(event)).count()
    };
    // Otherwise the days would prove little.
    assert!(days.iter().any(|day| day.funds_with_news == 0));
    for (what, found) in [
        (
            "launch",
            count(|event| matches!(event, MarketEvent::Launched { .. })),
        ),
        (
            "closure",
            count(|event| matches!(event, MarketEvent::Closed { .. })),
        ),
        (
            "rename",
            count(|event| matches!(event, MarketEvent::Renamed { .. })),
        ),
        (
            "name",
            count(|event| matches!(event, MarketEvent::NameChanged { .. })),
        ),
        (
            "revision",
            count(|event| matches!(event, MarketEvent::NavRevised { .. })),
        ),
        (
            "settled revision",
            count(|event| matches!(event, MarketEvent::SettledNavRevised { .. })),
        ),
        (
            "fee",
            count(|event| matches!(event, MarketEvent::FeeChanged { .. })),
        ),
    ] {
        assert!(found > 0, "no {what} in {days:?}");
    }
}

/// D11 over whole years of several seeds, for `MASTER_RUNNER_SOAK_SECS` seconds.
#[tokio::test(flavor = "multi_thread")]
async fn undisturbed_years_raise_no_doubt() {
    let Ok(soak) = std::env::var("MASTER_RUNNER_SOAK_SECS") else {
        return;
    };
    let soak = Duration::from_secs(soak.parse().expect("MASTER_RUNNER_SOAK_SECS is a number"));
    let began = Instant::now();
    let mut cycles = 0;
    let mut seed = SEED + 1;
    while began.elapsed() < soak {
        println!("seed {seed}");
        let market = LivingMarket::new(ACTIVE, YEAR_BEGINS, seed).await;
        cycles += market.run_undisturbed(YEAR).await.len() + 1;
        seed += 1;
    }
    println!(
        "{cycles} cycles of the seeds from {} to {}",
        SEED + 1,
        seed - 1
    );
}
