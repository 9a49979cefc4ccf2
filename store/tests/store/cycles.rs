//! Cycles: resuming, round 2, closing, and reopening for failed tasks.

use jiff::civil::date;
use schema::task::{Reject, Severity};
use schema::{Dataset, Outcome, SourceName, TaskAnswer};
use store::{CycleKind, CycleRequest, Retention, Scope, TaskFilter};

use crate::world::{TODAY, World, list_of, open, request, task};

fn failed(page: &str) -> TaskAnswer {
    TaskAnswer::empty(
        task(SourceName::Wealthmagik, page, "A"),
        Outcome::Failed("host answered 500".to_owned()),
        4,
    )
}

fn deferred(page: &str) -> TaskAnswer {
    TaskAnswer::empty(
        task(SourceName::Wealthmagik, page, "A"),
        Outcome::Deferred("host down".to_owned()),
        0,
    )
}

#[tokio::test]
async fn an_open_cycle_is_resumed_where_it_stood() {
    let mut world = World::new().await;
    world.plan(&[list_of(&["A"]), failed("port")]).await;
    world.commit(vec![list_of(&["A"])]).await;
    let open_cycle = world.cycle.clone();
    drop(world.writer);
    let mut writer = open(&world.database).await;
    let again = CycleRequest {
        fresh: false,
        ..request(TODAY, CycleKind::Daily)
    };
    let resumed = writer.begin_cycle(&again).await.unwrap();
    assert_eq!((resumed.id, resumed.resumed), (open_cycle.id, true));
    assert_eq!(
        writer
            .checkpoint(&resumed, &TaskFilter::WHOLE)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        writer
            .schedule_facts()
            .await
            .unwrap()
            .open
            .map(|cycle| cycle.id),
        Some(open_cycle.id)
    );
    let fresh = writer
        .begin_cycle(&request(TODAY, CycleKind::Daily))
        .await
        .unwrap();
    assert_ne!(fresh.id, open_cycle.id);
    assert!(
        writer
            .checkpoint(&fresh, &TaskFilter::WHOLE)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn round_two_asks_what_failed_and_what_is_left_ends_failed() {
    let mut world = World::new().await;
    world
        .commit(vec![list_of(&["A"]), failed("port"), deferred("fee")])
        .await;
    assert_eq!(
        world
            .writer
            .begin_round_two(&mut world.cycle)
            .await
            .unwrap(),
        2
    );
    assert_eq!(world.cycle.round, 2);
    let left = world
        .writer
        .checkpoint(&world.cycle, &TaskFilter::WHOLE)
        .await
        .unwrap();
    assert!(left.iter().all(|task| task.attempts == 0));
    world.commit(vec![deferred("fee")]).await;
    let totals = world
        .writer
        .close_cycle(&world.cycle, "not asked")
        .await
        .unwrap();
    totals.check_books().unwrap();
    let tasks = totals.tasks[&SourceName::Wealthmagik];
    assert_eq!(
        (tasks.planned, tasks.failed, tasks.deferred, tasks.open),
        (2, 2, 0, 0)
    );
    let reasons: Vec<&str> = totals
        .failures
        .iter()
        .map(|failure| failure.1.as_str())
        .collect();
    assert_eq!(reasons, ["host down", "not asked"]);
}

#[tokio::test]
async fn a_closed_cycle_with_failures_asks_just_these_once_more() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A"]), failed("port")]).await;
    world.writer.close_cycle(&world.cycle, "").await.unwrap();
    let once = CycleRequest {
        fresh: false,
        resume_closed_failures: true,
        ..request(TODAY, CycleKind::Daily)
    };
    let again = world.writer.begin_cycle(&once).await.unwrap();
    assert_eq!((again.id, again.round), (world.cycle.id, 2));
    let left = world
        .writer
        .checkpoint(&again, &TaskFilter::WHOLE)
        .await
        .unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id.page, "port");
    let absent = TaskAnswer::empty(left[0].id.clone(), Outcome::Absent, 1);
    world.cycle = again;
    world.commit(vec![absent]).await;
    assert!(
        world
            .writer
            .close_cycle(&world.cycle, "")
            .await
            .unwrap()
            .is_complete()
    );
    let new_pass = world.writer.begin_cycle(&once).await.unwrap();
    assert_ne!(
        new_pass.id, world.cycle.id,
        "a complete cycle leads to a new pass"
    );
}

/// A cycle that was closed while the clock was fast does not hide earlier cycles.
#[tokio::test]
async fn a_cycle_closed_in_the_future_can_be_left_out_of_the_schedule() {
    let mut world = World::new().await;
    world
        .next_cycle(date(2026, 10, 16), CycleKind::Monthly)
        .await;
    world.next_cycle(date(2026, 12, 20), CycleKind::Daily).await;
    world.next_cycle(date(2026, 12, 21), CycleKind::Daily).await;
    let facts = world.writer.schedule_facts().await.unwrap();
    assert_eq!(facts.last_closed_daily, Some(date(2026, 12, 20)));
    let until = date(2026, 10, 18);
    let facts = world.writer.schedule_facts_until(until).await.unwrap();
    assert_eq!(facts.last_closed_daily, Some(TODAY));
    assert_eq!(facts.last_closed_monthly, Some(date(2026, 10, 16)));
    let facts = world.writer.schedule_facts_until(TODAY).await.unwrap();
    assert_eq!(facts.last_closed_monthly, None);
}

#[tokio::test]
async fn a_partial_cycle_never_satisfies_the_schedule() {
    let mut world = World::new().await;
    world
        .next_cycle(date(2026, 10, 16), CycleKind::Monthly)
        .await;
    let partial = CycleRequest {
        scope: Scope::Partial,
        ..request(date(2026, 10, 17), CycleKind::Daily)
    };
    let cycle = world.writer.begin_cycle(&partial).await.unwrap();
    world.writer.close_cycle(&cycle, "").await.unwrap();
    let facts = world.writer.schedule_facts().await.unwrap();
    assert_eq!(facts.last_closed_daily, Some(TODAY));
    assert_eq!(facts.last_closed_monthly, None);
    assert_eq!(
        facts.open.map(|cycle| cycle.cycle_date),
        Some(date(2026, 10, 16))
    );
}

#[tokio::test]
async fn the_planner_learns_what_was_answered_before() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A", "B"])]).await;
    world
        .commit(vec![crate::world::days(
            "A",
            SourceName::Finnomena,
            &[(14, ["1", "", "", ""]), (16, ["2", "", "", ""])],
        )])
        .await;
    let state = world.told_to_planner().await;
    assert_eq!(state.funds.len(), 2);
    let fund = &state.funds[0];
    assert_eq!(
        fund.newest_nav.map(|newest| newest.nav_date),
        Some(date(2026, 10, 14)),
        "never after the cycle's date"
    );
    assert!(fund.active);
    let listing = &fund.listings[&SourceName::Finnomena];
    assert_eq!(listing.changed_cycle, world.cycle.id);
    assert_eq!(listing.source_key, "id-A");
    assert_eq!(
        fund.answered[&(SourceName::Finnomena, "nav".to_owned())].last_answered,
        Some(TODAY)
    );
    assert!(state.lists[&(SourceName::Finnomena, "list".to_owned())].answered_in_this_cycle);
    world.next_cycle(date(2026, 10, 16), CycleKind::Daily).await;
    world.commit(vec![list_of(&["A", "B"])]).await;
    let state = world.told_to_planner().await;
    assert!(state.funds[0].listings[&SourceName::Finnomena].changed_cycle < world.cycle.id);
}

#[tokio::test]
async fn rejected_records_are_bounded_and_the_newest_stay() {
    let mut world = World::new().await;
    world.writer.set_retention(Retention {
        rejected_rows: 2,
        cycles: 1,
    });
    let mut answer = failed("port");
    answer.rejects = (0..5)
        .map(|n| Reject {
            fund_code: Some("A".to_owned()),
            dataset: Dataset::FullHoldings,
            field: "percent".to_owned(),
            reason: format!("reason {n}"),
            sample: "x".repeat(5_000),
            severity: Severity::Noted,
        })
        .collect();
    world.commit(vec![list_of(&["A"]), answer]).await;
    for day in 16..20 {
        world
            .next_cycle(date(2026, 10, day), CycleKind::Daily)
            .await;
    }
    assert_eq!(
        world
            .text("SELECT reason || ' ' || length(sample) FROM runner.rejected ORDER BY 1")
            .await,
        ["reason 3 300", "reason 4 300"]
    );
    assert_eq!(
        world
            .text("SELECT entries::text FROM runner.list_size")
            .await,
        ["1"],
        "the yard-stick stays"
    );
}
