//! The precedence of `runner.ron`: printed by `check`, refused with exit code 78, and applied to all rows by `remerge`.

use nix::sys::signal::Signal;
use simulator::MarketConfig;

use crate::shutdown::running::Running;
use crate::shutdown::waiting::zone_of_the_forenoon;
use crate::world::World;

const CHANGED: &str =
    r#"precedence: {"funds_fee": ["wealthmagik"], "funds_daily.nav_value": ["wealthmagik"]},"#;
const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];
/// The beginning of the line about ranks that were not applied to all rows.
const TO_REMERGE: &str = "the precedence of funds_daily.nav_value, funds_fee was changed";

async fn small() -> World {
    World::new(MarketConfig {
        funds: 8,
        days: 20,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await
}

/// The numbers of rows of fees and of days that are Finnomena's although WealthMagik has them, too.
async fn of_finnomena(world: &World) -> (i64, i64) {
    let fees = world
        .one(
            "SELECT count(*) FROM funds_fee JOIN runner.fund USING (fund_code)
             JOIN runner.observation o USING (fund_id)
             WHERE o.source = 'wealthmagik' AND o.dataset = 'fees' AND funds_fee.source_url <> o.url",
        )
        .await;
    let days = world
        .one("SELECT count(*) FROM funds_daily WHERE nav_said_by & 2 <> 0 AND source <> 'wealthmagik'")
        .await;
    (fees, days)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_precedence_exits_78_and_every_wrong_entry_is_named() {
    let mut world = World::plain(3).await;
    world.settings.more = r#"precedence: {
        "funds_fees": ["finnomena"],
        "funds_daily.bid": ["finnomena"],
        "funds_fee": ["wealthmagik", "bloomberg", "wealthmagik"],
    },"#
    .to_owned();
    for args in [&["check"][..], &["--once"], &["remerge"]] {
        world
            .run(args)
            .await
            .exits(78)
            .says("4 values are wrong")
            .says(r#"precedence["funds_fees"] is not the name of a table"#)
            .says(r#"precedence["funds_daily.bid"][0] is "finnomena", which never supplies"#)
            .says(r#"precedence["funds_fee"][1] is "bloomberg", which is not a source"#)
            .says(r#"precedence["funds_fee"][2] is "wealthmagik" for the second time"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_precedence_is_shown_and_named_until_remerge_has_applied_it() {
    let mut world = small().await;
    let run = world.run(&MONTHLY).await;
    run.exits(0);
    assert!(!run.output.contains("the precedence of"), "{}", run.output);
    let (fees, days) = of_finnomena(&world).await;
    assert!(fees > 0 && days > 0, "{fees} fees, {days} days");

    world.settings.more = CHANGED.to_owned();
    world
        .run(&["check"])
        .await
        .says("precedence             funds_master_info: finnomena, wealthmagik, sec_open_api, adopted\n")
        .says("funds_fee: wealthmagik, finnomena, sec_open_api, adopted (configured)\n")
        .says("funds_daily.nav_value: wealthmagik, sec_open_api, finnomena, adopted (configured)\n")
        .says("funds_daily.aum: sec_open_api, finnomena, wealthmagik, adopted\n");
    for _ in 0..2 {
        world.run(&MONTHLY).await.exits(0).says(TO_REMERGE);
    }
    let code = world.active(1)[0].clone();
    world
        .run(&["explain", &code])
        .await
        .exits(0)
        .says(TO_REMERGE);
    world
        .run(&["remerge"])
        .await
        .exits(0)
        .says("rows differed and were corrected");
    assert_eq!(of_finnomena(&world).await, (0, 0));
    let run = world.run(&MONTHLY).await;
    run.exits(0);
    assert!(!run.output.contains("the precedence of"), "{}", run.output);
    world
        .run(&["remerge"])
        .await
        .exits(0)
        .says("no row was written");

    // The way back.
    world.settings.more = String::new();
    world.run(&["remerge"]).await.exits(0);
    world.assert_truth().await;
}

/// A runner merges by the precedence that it started with.
#[tokio::test(flavor = "multi_thread")]
async fn remerge_beside_a_runner_with_another_precedence_names_the_remedy() {
    let mut world = small().await;
    let schedule = format!(
        "schedule: (timezone: {:?}, daily_at: \"03:00\", retry_at: \"03:01\", skip_weekdays: []),",
        zone_of_the_forenoon()
    );
    world.settings.more.clone_from(&schedule);
    let running = Running::start(&world, &[]).await;
    running.says("nothing is due before").await;
    world.settings.more = format!("{schedule}\n{CHANGED}");
    world
        .run(&["remerge"])
        .await
        .exits(1)
        .says("started with another precedence of funds_daily.nav_value, funds_fee")
        .says("restart that runner");
    running.stop(&world, Signal::SIGTERM).await.run.exits(0);
    world.run(&["remerge"]).await.exits(0);
    assert_eq!(of_finnomena(&world).await, (0, 0));
}
