//! Credibility checks of lists, histories and days, and the counts of what a cycle changed.

use jiff::civil::{Date, date};
use std::ops::ControlFlow;

use schema::SourceName::Finnomena;
use schema::TaskAnswer;
use schema::columns::MasterFields;
use schema::task::{PayloadHash, WholeHistory};
use store::{CycleKind, MarketChange, NewTask};

use crate::world::{World, days, list, list_of, master};

fn codes(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("F{at:03}")).collect()
}

async fn list_of_first(world: &mut World, codes: &[String], count: usize) -> usize {
    let names: Vec<&str> = codes[..count].iter().map(String::as_str).collect();
    world.commit(vec![list_of(&names)]).await.breaches.len()
}

/// D7: many small losses add up to a breach. A list is not compared with lists older than 30 days.
#[tokio::test]
async fn a_list_is_compared_with_the_largest_of_thirty_days() {
    let mut world = World::new().await;
    let codes = codes(100);
    assert_eq!(list_of_first(&mut world, &codes, 100).await, 0);
    for (day, count, breaches) in [(1, 92, 0), (2, 91, 0), (3, 84, 1), (4, 90, 0), (5, 82, 1)] {
        world
            .next_cycle(date(2026, 11, day), CycleKind::Daily)
            .await;
        assert_eq!(
            list_of_first(&mut world, &codes, count).await,
            breaches,
            "{day}"
        );
    }
    // A month later only the newest list counts.
    world.next_cycle(date(2027, 1, 15), CycleKind::Daily).await;
    assert_eq!(list_of_first(&mut world, &codes, 82).await, 0);
}

/// D8: a company that disappears in one night is a breach. A renamed or small company is not.
#[tokio::test]
async fn a_company_that_disappears_is_a_breach() {
    let mut world = World::new().await;
    let codes = codes(60);
    list_of_first(&mut world, &codes, 60).await;
    let companies = codes.iter().enumerate().map(|(at, code)| {
        let amc = match at {
            0..=2 => "THREE",
            3..=4 => "TWO",
            _ => "REST",
        };
        let fields = MasterFields {
            amc: Some(amc.to_owned()),
            ..MasterFields::default()
        };
        master(code, Finnomena, fields)
    });
    world.commit(companies.collect()).await;
    let entries = |skip: &[usize], rename: Option<usize>| -> Vec<(String, bool, String)> {
        codes
            .iter()
            .enumerate()
            .filter(|(at, _)| !skip.contains(at))
            .map(|(at, code)| {
                let shown = if rename == Some(at) {
                    "NEW"
                } else {
                    code.as_str()
                };
                (shown.to_owned(), true, format!("id-{code}"))
            })
            .collect()
    };
    for (day, skip, rename, breach) in [
        (1, &[0, 1, 2][..], None, true),
        (2, &[1, 2][..], Some(0), false),
    ] {
        world
            .next_cycle(date(2026, 11, day), CycleKind::Daily)
            .await;
        let entries = entries(skip, rename);
        let entries: Vec<(&str, bool, &str)> = entries
            .iter()
            .map(|(code, active, key)| (code.as_str(), *active, key.as_str()))
            .collect();
        let report = world.commit(vec![list(&entries)]).await;
        assert_eq!(report.breaches.len(), usize::from(breach), "{day}");
        for (_, words) in report.breaches {
            assert!(words.contains("3 active funds of THREE"), "{words}");
        }
    }
    // Two funds may end in one night.
    world.next_cycle(date(2026, 11, 3), CycleKind::Daily).await;
    let entries = entries(&[1, 2, 3, 4], Some(0));
    let entries: Vec<(&str, bool, &str)> = entries
        .iter()
        .map(|(code, active, key)| (code.as_str(), *active, key.as_str()))
        .collect();
    assert!(world.commit(vec![list(&entries)]).await.breaches.is_empty());
}

/// Commits an answer to a request for the whole history. Returns whether it is marked as read, and whether its hash is
/// kept.
async fn whole(world: &mut World, mut answer: TaskAnswer, first_day: Date) -> (bool, bool) {
    answer.whole_history = Some(WholeHistory {
        first_day: Some(first_day),
    });
    answer.payload = Some((PayloadHash([7; 32]), 1));
    let task = NewTask {
        id: answer.id.clone(),
        locator: None,
        extent: Some("MAX".to_owned()),
    };
    world
        .writer
        .plan(
            &world.cycle,
            &mut store::plan_by(|_| ControlFlow::Break(vec![task.clone()])),
        )
        .await
        .unwrap();
    world.commit(vec![answer]).await;
    world.judge().await;
    let told = world
        .text("SELECT (extents ? 'MAX')::text || ' ' || (payload_hash IS NOT NULL)::text FROM runner.task WHERE page = 'nav'")
        .await;
    match told[0].as_str() {
        "true true" => (true, true),
        "false false" => (false, false),
        other => panic!("{other}"),
    }
}

/// D12: one month in answer to `range=MAX` is loaded, does not count as the whole history, and is requested again.
#[tokio::test]
async fn a_whole_history_counts_only_if_it_reaches_back() {
    let mut world = World::new().await;
    let fields = MasterFields {
        inception_date: Some(date(2010, 5, 3)),
        ..MasterFields::default()
    };
    world
        .commit(vec![list_of(&["A"]), master("A", Finnomena, fields)])
        .await;
    let answer = || {
        days(
            "A",
            Finnomena,
            &[(1, ["10", "", "", ""]), (2, ["11", "", "", ""])],
        )
    };
    for (day, first_day, ticked) in [
        (1, date(2026, 10, 1), false),
        // One month again: a repetition of the shortest range proves nothing.
        (2, date(2026, 10, 1), false),
        (3, date(2010, 5, 4), true),
        // Shorter than the previous answer.
        (4, date(2026, 10, 10), false),
    ] {
        world
            .next_cycle(date(2026, 11, day), CycleKind::Monthly)
            .await;
        assert_eq!(
            whole(&mut world, answer(), first_day).await,
            (ticked, ticked),
            "{day}"
        );
    }
    // Begins before every known day.
    world
        .next_cycle(date(2026, 11, 5), CycleKind::Monthly)
        .await;
    assert!(whole(&mut world, answer(), date(2025, 3, 1)).await.0);
    let notes = world
        .text("SELECT severity FROM runner.rejected WHERE reason LIKE 'the whole history was asked for%'")
        .await;
    assert_eq!(notes, ["noted", "noted"]);
}

async fn marks(world: &World) -> Vec<String> {
    world
        .text("SELECT concat_ws(' ', fund_code, nav_date, source, since, nav_value) FROM runner.unreported_day ORDER BY 1")
        .await
}

/// D2, D3: a day that its source leaves out stays, and is recorded once until it is reported again.
#[tokio::test]
async fn a_day_that_is_left_out_stays_and_is_marked() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A"])]).await;
    let nav = |day| (day, ["10", "", "", ""]);
    let whole = [nav(1), nav(2), nav(5), nav(6)];
    world.commit(vec![days("A", Finnomena, &whole)]).await;
    assert_eq!(marks(&world).await, Vec::<String>::new());
    for day in [1, 2] {
        world
            .next_cycle(date(2026, 11, day), CycleKind::Daily)
            .await;
        world
            .commit(vec![days("A", Finnomena, &[nav(1), nav(5), nav(6)])])
            .await;
        // The record names the first cycle that left the day out. Outside its first and last day an answer covers
        // nothing.
        assert_eq!(
            marks(&world).await,
            ["A 2026-10-02 finnomena 2026-11-01 10"]
        );
    }
    world.next_cycle(date(2026, 11, 3), CycleKind::Daily).await;
    world
        .commit(vec![days("A", Finnomena, &[nav(5), nav(6)])])
        .await;
    assert_eq!(marks(&world).await.len(), 1);
    // A day that the parser rejected may be the missing one.
    let mut lost = days("A", Finnomena, &[nav(1), nav(6)]);
    lost.rejects.push(schema::Reject {
        fund_code: None,
        dataset: schema::Dataset::Daily,
        field: "value".to_owned(),
        reason: "no number".to_owned(),
        sample: String::new(),
        severity: schema::task::Severity::Rejected,
    });
    world.next_cycle(date(2026, 11, 4), CycleKind::Daily).await;
    world.commit(vec![lost]).await;
    assert_eq!(marks(&world).await.len(), 1);
    world.next_cycle(date(2026, 11, 5), CycleKind::Daily).await;
    world.commit(vec![days("A", Finnomena, &whole)]).await;
    assert_eq!(marks(&world).await, Vec::<String>::new());
    assert_eq!(world.table("funds_daily").await.len(), 4);
}

#[tokio::test]
async fn what_a_cycle_changed_is_counted_with_examples() {
    let mut world = World::new().await;
    world
        .commit(vec![list(&[
            ("A", true, "a"),
            ("B", true, "b"),
            ("C", true, "c"),
        ])])
        .await;
    let totals = world.next_cycle(date(2026, 11, 1), CycleKind::Daily).await;
    assert_eq!(totals.changes[&MarketChange::New].examples, ["A", "B", "C"]);
    world
        .commit(vec![list(&[
            ("A", false, "a"),
            ("B-NEW", true, "b"),
            ("C", true, "c"),
        ])])
        .await;
    let totals = world.next_cycle(date(2026, 11, 2), CycleKind::Daily).await;
    assert_eq!(totals.changes[&MarketChange::Inactive].examples, ["A", "B"]);
    assert_eq!(
        totals.changes[&MarketChange::Renamed].examples,
        ["B (now B-NEW)"]
    );
    assert_eq!(totals.changes[&MarketChange::New].examples, ["B-NEW"]);
    world
        .commit(vec![list(&[
            ("A", true, "a"),
            ("B-NEW", true, "b"),
            ("C", true, "c"),
        ])])
        .await;
    let totals = world.next_cycle(date(2026, 11, 3), CycleKind::Daily).await;
    assert_eq!(totals.changes[&MarketChange::Active].examples, ["A"]);
    assert_eq!(totals.changes.len(), 1);
    assert_eq!(
        totals.tasks.values().map(|tasks| tasks.failed).sum::<u64>(),
        0
    );
}

#[tokio::test]
async fn a_daily_fund_without_new_navs_is_behind_and_a_weekly_one_is_not() {
    let mut world = World::new().await;
    world
        .commit(vec![list_of(&["D1", "D2", "D3", "STILL", "WEEK"])])
        .await;
    let nav = |day| (day, ["10", "", "", ""]);
    let daily: Vec<_> = [1, 2, 5, 6, 7, 8, 9, 12, 13, 14].map(nav).to_vec();
    let still: Vec<_> = [1, 2, 5, 6, 7].map(nav).to_vec();
    let week: Vec<_> = [1, 8].map(nav).to_vec();
    let mut answers: Vec<_> = ["D1", "D2", "D3"]
        .map(|fund| days(fund, Finnomena, &daily))
        .to_vec();
    answers.push(days("STILL", Finnomena, &still));
    answers.push(days("WEEK", Finnomena, &week));
    world.commit(answers).await;
    assert_eq!(
        world
            .text(
                "SELECT concat_ws(' ', fund_code, newest_nav, market_days) FROM runner.fund_behind"
            )
            .await,
        ["STILL 2026-10-07 5"]
    );
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', fund_code, newest_nav, rhythm) FROM runner.fund_rhythm WHERE fund_code IN ('D1', 'WEEK') ORDER BY 1")
            .await,
        ["D1 2026-10-14 daily", "WEEK 2026-10-08"]
    );
}
