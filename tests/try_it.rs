use replica::MarketConfig;
use crate::world::World;
#[tokio::test(flavor = "multi_thread")]
async fn try_it() {
    let mode = std::env::var("MODE").unwrap_or("parallel".into());
    let world = World::new(MarketConfig { funds: 60, days: 100, ..MarketConfig::default() }).await;
    let run = world.run(&["--once", "--mode", &mode, "--cycle", "monthly"]).await;
    println!("{:?}\n{}", run.code, run.said);
    world.assert_truth().await;
}
