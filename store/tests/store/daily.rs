//! `funds_daily`: precedence, dissents, revisions and history (D3, D4, D10).

use schema::SourceName::{Finnomena, Wealthmagik};

use crate::world::{World, days, list_of};

#[tokio::test]
async fn a_day_is_merged_by_precedence_and_dissent_is_kept() {
    let mut world = World::new().await;
    world
        .commit(vec![
            list_of(&["A"]),
            days("A", Wealthmagik, &[(1, ["10.6", "5", "10.4", "10.8"])]),
        ])
        .await;
    assert_eq!(
        world.text("SELECT source FROM funds_daily").await,
        ["wealthmagik"]
    );
    let report = world
        .commit(vec![days(
            "A",
            Finnomena,
            &[(1, ["10.5", "5", "", ""]), (2, ["10.7", "", "", ""])],
        )])
        .await;
    let records = report.tables["funds_daily"].records;
    assert_eq!((records.inserted, records.updated), (1, 1));
    assert_eq!(
        world
            .text(
                "SELECT concat_ws(' ', nav_date, nav_value, bid, offer, aum, source, nav_said_by, aum_said_by, bid_said_by)
                 FROM funds_daily ORDER BY nav_date"
            )
            .await,
        [
            "2026-10-01 10.5 10.4 10.8 5 finnomena 1 3 2",
            "2026-10-02 10.7 finnomena 1 0 0"
        ]
    );
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', source, nav_value, aum) FROM runner.daily_dissent")
            .await,
        ["wealthmagik 10.6"]
    );
    assert_eq!(
        world.text("SELECT concat_ws(' ', table_name, fund_code, key, field, old_value, new_value, source) FROM history.change").await,
        ["funds_daily A 2026-10-01 nav_value 10.6 10.5 finnomena"]
    );
    assert_eq!(
        world.text("SELECT concat_ws(' ', field, source, says, stands) FROM runner.conflict WHERE table_name = 'funds_daily'").await,
        ["nav_value wealthmagik 10.6 10.5"]
    );
}

#[tokio::test]
async fn a_source_that_revises_its_value_replaces_its_own() {
    let mut world = World::new().await;
    world
        .commit(vec![
            list_of(&["A"]),
            days("A", Finnomena, &[(1, ["10.5", "7", "", ""])]),
        ])
        .await;
    world
        .commit(vec![days("A", Wealthmagik, &[(1, ["10.6", "", "", ""])])])
        .await;
    let again = |world: World| async move {
        let mut world = world;
        world
            .next_cycle(crate::world::TODAY, store::CycleKind::Daily)
            .await;
        world
    };
    world = again(world).await;
    world
        .commit(vec![days("A", Finnomena, &[(1, ["10.6", "", "", ""])])])
        .await;
    world.judge().await;
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', nav_value, aum, nav_said_by) FROM funds_daily")
            .await,
        ["10.6 7 3"],
        "a missing AUM does not overwrite"
    );
    assert!(
        world
            .text("SELECT source FROM runner.daily_dissent")
            .await
            .is_empty()
    );
    assert_eq!(
        world.text("SELECT old_value FROM history.change").await,
        ["10.5"]
    );
}

#[tokio::test]
async fn confirming_a_value_leaves_the_time_of_change() {
    let mut world = World::new().await;
    world
        .commit(vec![
            list_of(&["A"]),
            days("A", Finnomena, &[(1, ["10.5", "7", "", ""])]),
        ])
        .await;
    let before = world.text("SELECT scraped_at::text FROM funds_daily").await;
    let report = world
        .commit(vec![days("A", Wealthmagik, &[(1, ["10.50", "", "", ""])])])
        .await;
    assert_eq!(report.tables["funds_daily"].records.unchanged, 1);
    assert_eq!(report.tables["funds_daily"].rows_updated, 0);
    assert_eq!(
        world.text("SELECT scraped_at::text FROM funds_daily").await,
        before
    );
    assert_eq!(
        world
            .text("SELECT nav_said_by::text FROM funds_daily")
            .await,
        ["3"]
    );
}

#[tokio::test]
async fn days_reported_before_the_list_wait_for_it() {
    let mut world = World::new().await;
    world
        .commit(vec![
            days("A", Finnomena, &[(1, ["10.5", "", "", ""])]),
            days("ONLY-WM", Wealthmagik, &[(1, ["9", "", "", ""])]),
        ])
        .await;
    assert!(world.table("funds_daily").await.is_empty());
    world.commit(vec![list_of(&["A"])]).await;
    assert_eq!(world.text("SELECT fund_code FROM funds_daily").await, ["A"]);
    assert_eq!(
        world
            .text("SELECT fund_code FROM runner.daily_waiting")
            .await,
        ["ONLY-WM"]
    );
    world
        .writer
        .totals(&world.cycle)
        .await
        .unwrap()
        .check_books()
        .unwrap();
}
