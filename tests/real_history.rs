//! Loads the real NAV histories if they are available: 531,419 daily rows of 793 Thai share classes, 1992 to 2025.

use std::path::{Path, PathBuf};

use simulator::{MarketConfig, last_real_date};

use crate::world::World;

/// The folder of the captured data: `REAL_DIR`, or a folder beside the project.
fn real_dir() -> Option<PathBuf> {
    let named = std::env::var_os("REAL_DIR").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/real");
    named
        .into_iter()
        .chain([beside])
        .find(|dir| dir.join("nav_history.csv.gz").is_file())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_real_row_ends_in_funds_daily_exactly() {
    let Some(real) = real_dir() else {
        println!("skipped: no captured data here (REAL_DIR)");
        return;
    };
    let last = last_real_date(&real)
        .expect("the histories can be read")
        .expect("they have rows");
    let world = World::new(MarketConfig {
        real: Some(real),
        today: last.tomorrow().expect("there is a day after"),
        ..MarketConfig::default()
    })
    .await;
    world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
    assert_eq!(
        world.one::<i64>("SELECT count(*) FROM funds_daily").await,
        531_419
    );
    assert_eq!(
        world
            .one::<i64>("SELECT count(DISTINCT fund_code) FROM funds_daily")
            .await,
        793
    );
    world.assert_truth().await;
    let before = world.written().await;
    world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
    assert_eq!(
        world.written().await,
        before,
        "a second pass over unchanged histories wrote rows"
    );
}
