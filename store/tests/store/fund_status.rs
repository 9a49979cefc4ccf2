//! D7, D8: which funds are active, which have rows, and which lists are not accepted.

use jiff::civil::date;
use schema::columns::ListingFields;
use schema::{ObservationData, Outcome, SourceName, TaskAnswer, TaskId};
use store::{BatchReport, ChangeRequest, Cycle, CycleKind, CycleRequest, Scope, TaskFilter};

use crate::world::{World, days, done, list, list_of, request, says, task};

async fn status(world: &World) -> Vec<String> {
    world
        .text("SELECT fund_code || ' ' || fund_status FROM funds_master_info ORDER BY 1")
        .await
}

async fn next_list(world: &mut World, day: i8, entries: &[(&str, bool, &str)]) -> BatchReport {
    world
        .next_cycle(date(2026, 11, day), CycleKind::Daily)
        .await;
    world.commit(vec![list(entries)]).await
}

#[tokio::test]
async fn an_explicit_word_and_a_rename_count_at_once_and_the_rows_stay() {
    let mut world = World::new().await;
    world
        .commit(vec![list(&[
            ("A", true, "a"),
            ("B", true, "b"),
            ("C", true, "c"),
            ("NEVER", false, "n"),
        ])])
        .await;
    assert_eq!(status(&world).await, ["A active", "B active", "C active"]);
    next_list(
        &mut world,
        1,
        &[
            ("A", false, "a"),
            ("B-NEW", true, "b"),
            ("C", true, "c"),
            ("NEVER", false, "n"),
        ],
    )
    .await;
    assert_eq!(
        status(&world).await,
        ["A inactive", "B inactive", "B-NEW active", "C active"]
    );
    assert_eq!(
        world.text("SELECT fund_code || old_value || new_value FROM history.change WHERE field = 'fund_status' ORDER BY 1").await,
        ["Aactiveinactive", "Bactiveinactive"]
    );
    next_list(
        &mut world,
        2,
        &[
            ("A", true, "a"),
            ("B-NEW", true, "b"),
            ("C", true, "c"),
            ("NEVER", true, "n"),
        ],
    )
    .await;
    assert_eq!(
        status(&world).await,
        [
            "A active",
            "B inactive",
            "B-NEW active",
            "C active",
            "NEVER active"
        ]
    );
}

#[tokio::test]
async fn absence_makes_inactive_only_after_three_closed_cycles_of_three_dates() {
    let mut world = World::new().await;
    let names: Vec<String> = (0..20).map(|n| format!("F{n:02}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.commit(vec![list_of(&names)]).await;
    names.pop();
    for (cycle_day, listed_day, expected) in [
        (1, 1, "active"),
        (2, 1, "active"),
        (3, 2, "active"),
        (4, 3, "inactive"),
    ] {
        // The cycle that closes here has the date with which it was begun.
        world
            .next_cycle(date(2026, 11, listed_day), CycleKind::Daily)
            .await;
        world.commit(vec![list_of(&names)]).await;
        world.writer.close_cycle(&world.cycle, "").await.unwrap();
        assert_eq!(
            world
                .text("SELECT fund_status FROM funds_master_info WHERE fund_code = 'F19'")
                .await,
            [expected],
            "cycle {cycle_day}"
        );
    }
}

#[tokio::test]
async fn a_shrunken_list_is_no_answer() {
    let mut world = World::new().await;
    world
        .commit(vec![list(&[
            ("A", true, "a"),
            ("B", true, "b"),
            ("C", true, "c"),
        ])])
        .await;
    let report = next_list(&mut world, 1, &[("A", false, "a"), ("B", true, "b")]).await;
    assert_eq!(report.breaches.len(), 1);
    assert!(
        matches!(report.tasks[0].outcome(), Outcome::Failed(why) if why.contains("the list shrank"))
    );
    let master = report.tables["funds_master_info"].records;
    assert_eq!((master.observed, master.rejected), (2, 2));
    assert_eq!(status(&world).await, ["A active", "B active", "C active"]);
    // Lists are compared only with those that a closed cycle accepted.
    let report = next_list(&mut world, 2, &[("A", true, "a"), ("B", true, "b")]).await;
    assert_eq!(report.breaches.len(), 1);
    let reset = ChangeRequest::ResetSource(schema::SourceName::Finnomena);
    world.request(reset).await;
    let report = next_list(&mut world, 3, &[("A", true, "a"), ("B", true, "b")]).await;
    assert!(report.breaches.is_empty());
}

#[tokio::test]
async fn a_partial_cycle_never_changes_status() {
    let mut world = World::new().await;
    world
        .commit(vec![list(&[("A", true, "a"), ("B", true, "b")])])
        .await;
    world.writer.close_cycle(&world.cycle, "").await.unwrap();
    let partial = CycleRequest {
        scope: Scope::Partial,
        ..request(date(2026, 11, 1), CycleKind::Daily)
    };
    world.cycle = world.writer.begin_cycle(&partial).await.unwrap();
    let mut answer = list(&[("A", false, "a"), ("B", true, "b")]);
    answer.payload = Some((schema::task::PayloadHash([1; 32]), 1));
    answer.known_prefix = Some(schema::task::KnownPrefix {
        bytes: 1,
        hash: schema::task::PayloadHash([1; 32]),
        until: date(2026, 10, 1),
    });
    world.commit(vec![answer]).await;
    world.writer.close_cycle(&world.cycle, "").await.unwrap();
    assert_eq!(status(&world).await, ["A active", "B active"]);
    // The next full cycle reads the list again, because its payload hash was not stored.
    world.next_cycle(date(2026, 11, 2), CycleKind::Daily).await;
    world.plan(&[list(&[])]).await;
    let left = world
        .writer
        .checkpoint(&world.cycle, &TaskFilter::WHOLE)
        .await
        .unwrap();
    assert_eq!(left[0].known_payload, None);
    assert_eq!(left[0].known_prefix, None);
    world
        .commit(vec![list(&[("A", false, "a"), ("B", true, "b")])])
        .await;
    assert_eq!(status(&world).await, ["A inactive", "B active"]);
}

/// A list of WealthMagik with these codes.
fn other_list(codes: &[&str]) -> TaskAnswer {
    let entry = |code: &&str| {
        let data = ObservationData::Listing {
            source_key: format!("/funds/{code}"),
            fields: ListingFields::default(),
        };
        says(code, SourceName::Wealthmagik, None, data)
    };
    done(
        task(SourceName::Wealthmagik, "list", TaskId::WHOLE_MARKET),
        codes.iter().map(entry).collect(),
    )
}

async fn provisional(world: &World) -> Vec<String> {
    world
        .text("SELECT fund_code FROM runner.fund WHERE provisional ORDER BY 1")
        .await
}

#[tokio::test]
async fn another_list_is_the_universe_until_the_deciding_list_is_read() {
    let mut world = World::new().await;
    world.commit(vec![other_list(&["A", "B", "ONLY"])]).await;
    assert_eq!(status(&world).await, [""; 0], "not before it is asked for");
    let cycle = world.cycle.clone();
    let entered = world.writer.enter_provisional_universe(&cycle).await;
    assert_eq!(entered.unwrap(), 3);
    assert_eq!(
        status(&world).await,
        ["A active", "B active", "ONLY active"]
    );
    assert_eq!(provisional(&world).await, ["A", "B", "ONLY"]);
    // The next cycle's list has another fund; nothing changes for the known ones.
    world.next_cycle(date(2026, 11, 1), CycleKind::Daily).await;
    world
        .commit(vec![other_list(&["A", "B", "ONLY", "D"])])
        .await;
    let cycle = world.cycle.clone();
    let entered = world.writer.enter_provisional_universe(&cycle).await;
    assert_eq!(entered.unwrap(), 1);
    world
        .commit(vec![
            days(
                "ONLY",
                SourceName::Wealthmagik,
                &[(14, ["10.5", "", "10.4", ""])],
            ),
            days(
                "ONLY",
                SourceName::SecFundcheck,
                &[(14, ["10.6", "7", "", ""])],
            ),
        ])
        .await;
    let days_of_only = "SELECT concat_ws(' ', nav_date, nav_value, bid, aum, source) FROM funds_daily WHERE fund_code = 'ONLY'";
    let before = world.text(days_of_only).await;
    assert_eq!(before.len(), 1);
    next_list(
        &mut world,
        2,
        &[("A", true, "a"), ("B", false, "b"), ("C", true, "c")],
    )
    .await;
    assert_eq!(status(&world).await, ["A active", "C active"]);
    assert_eq!(provisional(&world).await, [""; 0]);
    assert_eq!(world.text(days_of_only).await, [""; 0]);
    next_list(
        &mut world,
        3,
        &[
            ("A", true, "a"),
            ("B", false, "b"),
            ("C", true, "c"),
            ("ONLY", true, "o"),
        ],
    )
    .await;
    assert_eq!(
        status(&world).await,
        ["A active", "C active", "ONLY active"]
    );
    assert_eq!(
        world.text(days_of_only).await,
        before,
        "what was reported is kept for the day on which a list calls it active"
    );
    let cycle = world.cycle.clone();
    world.commit(vec![other_list(&["A", "E"])]).await;
    let entered = world.writer.enter_provisional_universe(&cycle).await;
    assert_eq!(entered.unwrap(), 0, "the deciding list was read");
}

#[tokio::test]
async fn a_partial_cycle_and_a_known_market_need_no_provisional_universe() {
    let mut world = World::new().await;
    world.commit(vec![list(&[("A", true, "a")])]).await;
    world.commit(vec![other_list(&["A", "ONLY"])]).await;
    let cycle = world.cycle.clone();
    let entered = world.writer.enter_provisional_universe(&cycle).await;
    assert_eq!(entered.unwrap(), 0);

    let mut world = World::new().await;
    world.commit(vec![other_list(&["A"])]).await;
    let partial = Cycle {
        scope: Scope::Partial,
        ..world.cycle.clone()
    };
    let entered = world.writer.enter_provisional_universe(&partial).await;
    assert_eq!(entered.unwrap(), 0);
    assert_eq!(status(&world).await, [""; 0]);
}

#[tokio::test]
async fn what_was_reported_before_a_fund_enters_provisionally_is_not_lost() {
    let mut world = World::new().await;
    world.commit(vec![other_list(&["A"])]).await;
    world
        .commit(vec![days(
            "A",
            SourceName::Wealthmagik,
            &[(14, ["10.5", "", "", ""])],
        )])
        .await;
    let cycle = world.cycle.clone();
    world
        .writer
        .enter_provisional_universe(&cycle)
        .await
        .unwrap();
    assert_eq!(
        world
            .text("SELECT fund_code || ' ' || nav_date || ' ' || nav_value FROM funds_daily")
            .await,
        ["A 2026-10-14 10.5"]
    );
}
