//! A5: a market of any size is planned completely, in parts and in one transaction.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use jiff::civil::date;
use schema::SourceName::{Finnomena, SecFundcheck, Wealthmagik};
use store::{CycleKind, FUNDS_A_PART, FundState, NewTask, PartPlan, PlanningState, plan_by};

use crate::world::{World, code, days, list, list_of, task};

fn page_of(fund: &FundState) -> NewTask {
    NewTask {
        id: task(SecFundcheck, "statistics", fund.fund_code.as_str()),
        locator: None,
        extent: None,
    }
}

/// Codes in byte order, which differs from the order of a language collation.
fn codes(funds: usize) -> Vec<String> {
    let words = ["A-", "B", "a", "b", "ก"];
    let mut codes: Vec<String> = (0..funds)
        .map(|fund| format!("{}{fund:04}", words[fund % words.len()]))
        .collect();
    codes.sort();
    codes
}

async fn with_funds(funds: usize) -> (World, Vec<String>) {
    let mut world = World::new().await;
    let codes = codes(funds);
    let names: Vec<&str> = codes.iter().map(String::as_str).collect();
    world.commit(vec![list_of(&names)]).await;
    (world, codes)
}

/// Plans one page of every fund. Returns the number of new tasks, and for each part its number of funds and whether it
/// was the last.
async fn plan_all(world: &mut World) -> (usize, Vec<(usize, bool)>) {
    let mut parts = Vec::new();
    let planned = world
        .writer
        .plan(
            &world.cycle,
            &mut plan_by(|part| {
                parts.push((part.funds.len(), part.last_part));
                ControlFlow::Continue(part.funds.iter().map(page_of).collect())
            }),
        )
        .await
        .unwrap();
    (planned, parts)
}

#[tokio::test]
async fn a5_a_market_of_more_than_one_part_is_planned_whole_and_in_one_transaction() {
    let funds = 2 * FUNDS_A_PART + 100;
    let (mut world, codes) = with_funds(funds).await;
    let (planned, parts) = plan_all(&mut world).await;
    assert_eq!(planned, funds);
    let whole = FUNDS_A_PART;
    assert_eq!(
        parts,
        [(0, false), (whole, false), (whole, false), (100, true)]
    );
    assert_eq!(
        world
            .text("SELECT key FROM runner.task WHERE page = 'statistics' ORDER BY key")
            .await,
        codes,
        "each fund's page once"
    );
    assert_eq!(
        world
            .text(
                "SELECT count(DISTINCT xmin::text)::text FROM runner.task WHERE page = 'statistics'"
            )
            .await,
        ["1"]
    );
    assert_eq!(plan_all(&mut world).await.0, 0, "planned once");
}

#[tokio::test]
async fn a5_the_funds_of_every_part_are_known_alike() {
    let funds = FUNDS_A_PART + 3;
    let (mut world, codes) = with_funds(funds).await;
    // The first and the last fund of each part.
    let borders = [0, FUNDS_A_PART - 1, FUNDS_A_PART, funds - 1];
    for fund in borders {
        let point = [(14, ["1", "2", "", ""])];
        world
            .commit(vec![days(&codes[fund], Finnomena, &point)])
            .await;
    }
    let first = world.cycle.id;
    world.next_cycle(date(2026, 10, 16), CycleKind::Daily).await;
    let known = world.told_to_planner().await;
    let told: Vec<&str> = known
        .funds
        .iter()
        .map(|fund| fund.fund_code.as_str())
        .collect();
    assert_eq!(told, codes, "in the order of the codes");
    assert_eq!(known.listed[&Finnomena], funds);
    for (place, fund) in known.funds.iter().enumerate() {
        let listing = &fund.listings[&Finnomena];
        assert_eq!(listing.source_key, format!("id-{}", fund.fund_code));
        assert_eq!(listing.changed_cycle, first);
        let is_border = borders.contains(&place);
        assert_eq!(fund.newest_nav.is_some(), is_border, "{}", fund.fund_code);
        let answered = fund.answered.get(&(Finnomena, "nav".to_owned()));
        assert_eq!(
            answered.and_then(|answered| answered.answered_cycle),
            is_border.then_some(first),
            "{}",
            fund.fund_code
        );
    }
}

/// The time is linear in the number of funds: a part costs only what its own funds cost. Market data is read once per
/// plan.
#[tokio::test]
async fn a5_no_part_reads_a_whole_table() {
    let (mut world, codes) = with_funds(3 * FUNDS_A_PART).await;
    plan_all(&mut world).await;
    let mut read = Vec::new();
    for parts in [1, 4] {
        let before;
        (world, before) = rows_scanned(world).await;
        let mut told = 0;
        let mut planner = |_: &PlanningState| -> PartPlan {
            told += 1;
            if told == parts {
                ControlFlow::Break(Vec::new())
            } else {
                ControlFlow::Continue(Vec::new())
            }
        };
        world
            .writer
            .plan(&world.cycle, &mut plan_by(&mut planner))
            .await
            .unwrap();
        let after;
        (world, after) = rows_scanned(world).await;
        read.push(after - before);
    }
    let funds = i64::try_from(codes.len()).unwrap();
    assert!(read[0] <= funds, "{read:?}");
    assert_eq!(
        read[0], read[1],
        "what is read before any fund, and no more"
    );
}

/// Counts the rows read by sequential scans of tables that grow with the market. A session reports its statistics at
/// its end at the latest.
async fn rows_scanned(world: World) -> (World, i64) {
    let world = world.reopened().await;
    let scanned = world
        .text(
            "SELECT sum(seq_tup_read)::text FROM pg_stat_user_tables
             WHERE relname IN ('task', 'observation', 'alias', 'fund', 'news', 'funds_master_info', 'funds_daily')",
        )
        .await;
    (world, scanned[0].parse().unwrap())
}

#[tokio::test]
async fn a5_the_last_part_is_marked_once_for_any_number_of_funds() {
    let whole = FUNDS_A_PART;
    for (funds, expected) in [
        (0, vec![(0, false), (0, true)]),
        (1, vec![(0, false), (1, true)]),
        (whole, vec![(0, false), (whole, false), (0, true)]),
    ] {
        let (mut world, _) = with_funds(funds).await;
        assert_eq!(plan_all(&mut world).await, (funds, expected));
    }
}

#[tokio::test]
async fn a_planner_that_has_enough_receives_no_more_funds() {
    let (mut world, codes) = with_funds(FUNDS_A_PART + 1).await;
    for (most_parts, expected) in [(1, 0), (2, 1)] {
        let mut told = 0;
        let mut planner = |part: &PlanningState| -> PartPlan {
            told += 1;
            let tasks = part.funds.iter().take(1).map(page_of).collect();
            if told == most_parts {
                ControlFlow::Break(tasks)
            } else {
                ControlFlow::Continue(tasks)
            }
        };
        let planned = world
            .writer
            .plan(&world.cycle, &mut plan_by(&mut planner))
            .await
            .unwrap();
        assert_eq!((told, planned), (most_parts, expected));
    }
    assert_eq!(
        world
            .text("SELECT key FROM runner.task WHERE page = 'statistics'")
            .await,
        codes[..1],
        "what it said last is planned"
    );
}

/// A code listed under two keys is counted once. A code outside the universe is counted as well.
#[tokio::test]
async fn the_planner_learns_how_many_codes_each_source_ever_listed() {
    let mut world = World::new().await;
    world
        .commit(vec![list(&[("A", true, "id-A"), ("B", false, "id-B")])])
        .await;
    world
        .commit(vec![list(&[("A", true, "id-new"), ("B", false, "id-B")])])
        .await;
    let known = world.told_to_planner().await;
    assert_eq!(known.funds.len(), 1);
    assert_eq!(known.listed[&Finnomena], 2);
    assert_eq!(known.listed.get(&Wealthmagik), None);
    assert_eq!(known.funds[0].listings[&Finnomena].source_key, "id-new");
}

/// D7: the store reports which of the requested codes are active funds.
#[tokio::test]
async fn d7_it_is_known_who_of_the_market_is_active() {
    let mut world = World::new().await;
    let asked = BTreeSet::from(["A", "B", "C", "a"].map(code));
    let active = world.writer.active_funds(&asked).await.unwrap();
    assert_eq!((active.any, active.asked), (false, BTreeSet::new()));
    world
        .commit(vec![list(&[
            ("A", true, "1"),
            ("B", false, "2"),
            ("D", true, "3"),
        ])])
        .await;
    let active = world.writer.active_funds(&asked).await.unwrap();
    assert_eq!(
        (active.any, active.asked),
        (true, BTreeSet::from([code("A")]))
    );
    let nobody = world.writer.active_funds(&BTreeSet::new()).await.unwrap();
    assert_eq!((nobody.any, nobody.asked), (true, BTreeSet::new()));
}
