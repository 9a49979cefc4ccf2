//! Tests of `accept`: the next cycle stores what was refused before.

use jiff::civil::{Date, date};
use simulator::{MassChange, MassKind, Site};

use super::living_market::LivingMarket;

const BEGINS: Date = date(2026, 8, 31);
const SHARPE: &str = "SELECT count(*) FROM funds_statistics WHERE sharpe_ratio <> 0";

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_breach_is_taken_by_the_next_cycle_and_an_unknown_one_changes_nothing() {
    let market = LivingMarket::new(40, BEGINS, 5).await;
    market.run_undisturbed(1).await;
    let before: i64 = market.world.one(SHARPE).await;
    assert!(before > 0);
    market
        .world
        .simulator
        .set_mass_change(MassChange::of(Site::SecApi, MassKind::StatisticsZero));
    market.cycle_of("monthly").await.run.exits(3);
    assert_eq!(market.world.one::<i64>(SHARPE).await, before);
    let breach: i64 = market
        .world
        .one("SELECT max(breach_id) FROM runner.breach WHERE kind = 'zeroed'")
        .await;
    market
        .world
        .run(&["status"])
        .await
        .exits(0)
        .says(&format!("breach {breach}: sec_fundcheck/statistics"));
    let unknown = (breach + 100).to_string();
    market
        .world
        .run(&["accept", &unknown])
        .await
        .exits(1)
        .says("no open breach has the number");
    let requests = market.world.simulator.log().requests.len();
    market
        .world
        .run(&["accept", &breach.to_string()])
        .await
        .exits(0)
        .says("is accepted");
    assert_eq!(
        market.world.simulator.log().requests.len(),
        requests,
        "nothing is fetched"
    );
    assert_eq!(market.world.one::<i64>(SHARPE).await, before);
    market.cycle_of("monthly").await.run.exits(0);
    assert_eq!(market.world.one::<i64>(SHARPE).await, 0);
}
