//! `runner.fund_lineage` and `fund_nav_through_names`: the names of one fund.

use jiff::civil::date;
use schema::columns::ListingFields;
use schema::observation::{CodeType, DailyPoint, SecurityCode};
use schema::precedence::Precedence;
use schema::{ObservationData, SourceName, TaskAnswer, TaskId};
use store::{Cycle, CycleKind, CycleRequest, Reader, Scope};

use crate::world::{TODAY, World, code, days, done, list, number, says, task};

const SITE: SourceName = SourceName::Finnomena;
const REGISTER: SourceName = SourceName::SecOpenApi;

/// The page with the ISIN of a fund.
fn isin(fund: &str, isin: &str, cycle: &Cycle) -> TaskAnswer {
    let codes = vec![SecurityCode {
        code_type: CodeType::Isin,
        code: isin.to_owned(),
    }];
    let said = ObservationData::Codes(codes);
    done(
        task(SourceName::SecFundcheck, "factsheet", fund),
        vec![says(
            fund,
            SourceName::Finnomena,
            Some(cycle.cycle_date),
            said,
        )],
    )
}

/// The register's list: key and code of each registered class.
fn profiles(classes: &[(&str, &str)]) -> TaskAnswer {
    let entries = classes.iter().map(|(key, fund)| {
        let data = ObservationData::Listing {
            source_key: (*key).to_owned(),
            fields: ListingFields {
                status: Some("Registered".to_owned()),
                ..ListingFields::default()
            },
        };
        says(fund, REGISTER, None, data)
    });
    let id = task(REGISTER, TaskId::CLASSES, TaskId::WHOLE_MARKET);
    TaskAnswer {
        is_list_part: true,
        ..done(id, entries.collect())
    }
}

fn navs(fund: &str, points: &[(i8, &str)]) -> TaskAnswer {
    let points: Vec<(i8, [&str; 4])> = points
        .iter()
        .map(|(day, nav)| (*day, [*nav, "", "", ""]))
        .collect();
    days(fund, SITE, &points)
}

async fn links(world: &World) -> Vec<String> {
    world
        .text(
            "SELECT concat_ws(' ', old_code, CASE WHEN is_certain THEN '->' ELSE '?>' END, new_code, rule, cycle_id)
             FROM runner.fund_lineage ORDER BY old_code, new_code",
        )
        .await
}

/// The days of the view: current code, day, NAV, and the code that the row is stored under.
async fn through_names(world: &World) -> Vec<String> {
    world
        .text(
            "SELECT concat_ws(' ', fund_code, nav_date, nav_value, stored_under) FROM fund_nav_through_names
             ORDER BY fund_code, nav_date",
        )
        .await
}

/// Closes the cycle and commits the answers in the next one.
async fn next(world: &mut World, answers: Vec<TaskAnswer>) {
    let date = world.cycle.cycle_date.tomorrow().unwrap();
    world.next_cycle(date, CycleKind::Daily).await;
    world.commit(answers).await;
}

#[tokio::test]
async fn a_fund_is_followed_through_three_names_and_a_listing_of_the_old_one_withdraws_its_link() {
    let mut world = World::new().await;
    world
        .commit(vec![list(&[("A", true, "F1"), ("X", true, "F9")])])
        .await;
    world
        .commit(vec![
            navs("A", &[(1, "10"), (2, "11")]),
            navs("X", &[(2, "7")]),
        ])
        .await;
    let first = world.cycle.id;
    next(
        &mut world,
        vec![list(&[("B", true, "F1"), ("X", true, "F9")])],
    )
    .await;
    // A full history under the new code, with a revised day.
    world
        .commit(vec![navs("B", &[(1, "10"), (2, "11.5"), (3, "12")])])
        .await;
    assert_eq!(links(&world).await, [""; 0], "the cycle is open");
    next(
        &mut world,
        vec![list(&[("C", true, "F1"), ("X", true, "F9")])],
    )
    .await;
    world.commit(vec![navs("C", &[(4, "13")])]).await;
    next(&mut world, vec![]).await;
    let of_b = format!("A -> B finnomena_id {}", first + 1);
    let of_c = format!("B -> C finnomena_id {}", first + 2);
    assert_eq!(links(&world).await, [of_b.clone(), of_c]);
    assert_eq!(
        through_names(&world).await,
        [
            "C 2026-10-01 10 B",
            "C 2026-10-02 11.5 B",
            "C 2026-10-03 12 B",
            "C 2026-10-04 13 C",
            "X 2026-10-02 7 X",
        ]
    );
    let reader = Reader::new(&world.database, 1).unwrap();
    for name in ["A", "B", "C"] {
        let explained = reader
            .explain(&code(name), &Precedence::default())
            .await
            .unwrap()
            .unwrap();
        let names: Vec<String> = explained
            .names
            .iter()
            .map(|link| format!("{} {} {}", link.old, link.new, link.evidence))
            .collect();
        let evidence = r#"{"finnomena_ids": ["F1"]}"#;
        assert_eq!(
            names,
            [format!("A B {evidence}"), format!("B C {evidence}")]
        );
    }
    let explained = reader
        .explain(&code("X"), &Precedence::default())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(explained.names, []);
    // The list shows B again: the link to C is no longer true.
    next(
        &mut world,
        vec![list(&[("B", true, "F1"), ("X", true, "F9")])],
    )
    .await;
    next(&mut world, vec![]).await;
    let back = format!("C -> B finnomena_id {}", first + 4);
    assert_eq!(
        links(&world).await,
        [format!("A -> C finnomena_id {}", first + 4), back]
    );
}

#[tokio::test]
async fn a_second_pass_writes_no_row_and_a_partial_cycle_changes_no_link() {
    let mut world = World::new().await;
    world.commit(vec![list(&[("A", true, "F1")])]).await;
    next(&mut world, vec![list(&[("B", true, "F1")])]).await;
    next(&mut world, vec![list(&[("B", true, "F1")])]).await;
    let versions = "SELECT ctid || ' ' || xmin FROM runner.fund_lineage";
    let before = world.text(versions).await;
    assert_eq!(before.len(), 1);
    next(&mut world, vec![list(&[("B", true, "F1")])]).await;
    assert_eq!(world.text(versions).await, before);
    world
        .writer
        .close_cycle(&world.cycle, "the cycle ended")
        .await
        .unwrap();
    let partial = CycleRequest {
        cycle_date: TODAY,
        kind: CycleKind::Daily,
        scope: Scope::Partial,
        fresh: true,
        resume_closed_failures: false,
    };
    world.cycle = world.writer.begin_cycle(&partial).await.unwrap();
    world.commit(vec![list(&[("C", true, "F1")])]).await;
    world
        .writer
        .close_cycle(&world.cycle, "the cycle ended")
        .await
        .unwrap();
    assert_eq!(world.text(versions).await, before);
}

#[tokio::test]
async fn one_isin_under_another_code_is_certain_once_the_old_code_has_left_the_list() {
    let mut world = World::new().await;
    world
        .commit(vec![list(&[("A", true, "F1"), ("B", true, "F2")])])
        .await;
    let cycle = world.cycle.clone();
    for fund in ["A", "B"] {
        world.commit(vec![isin(fund, "TH0001010009", &cycle)]).await;
    }
    next(&mut world, vec![]).await;
    assert_eq!(links(&world).await, [""; 0], "both are listed");
    world
        .commit(vec![list(&[("B", true, "F2"), ("X", true, "F9")])])
        .await;
    let found = world.cycle.id;
    next(&mut world, vec![]).await;
    assert_eq!(links(&world).await, [format!("A -> B isin {found}")]);
    let evidence = "SELECT evidence::text FROM runner.fund_lineage";
    assert_eq!(
        world.text(evidence).await,
        [r#"{"isins": ["TH0001010009"]}"#]
    );
    // An old code that the list calls inactive has left it, too.
    world
        .commit(vec![list(&[("A", false, "F1"), ("B", true, "F2")])])
        .await;
    next(&mut world, vec![]).await;
    assert_eq!(links(&world).await, [format!("A -> B isin {found}")]);
}

#[tokio::test]
async fn a_hand_over_is_proposed_for_one_project_of_the_register_alone() {
    let mut world = World::new().await;
    let all = [
        ("A", true, "F1"),
        ("C", true, "F3"),
        ("E", true, "F5"),
        ("Z", true, "F9"),
    ];
    world.commit(vec![list(&all)]).await;
    // The register does not know E.
    world
        .commit(vec![profiles(&[
            ("M1/A", "A"),
            ("M2/C", "C"),
            ("M9/Z", "Z"),
        ])])
        .await;
    for fund in ["A", "C", "E"] {
        world.commit(vec![navs(fund, &[(1, "9"), (8, "10")])]).await;
    }
    next(
        &mut world,
        vec![list(&[
            ("B", true, "F2"),
            ("D", true, "F4"),
            ("G", true, "F6"),
            ("Z", true, "F9"),
        ])],
    )
    .await;
    let later = [("M1/B", "B"), ("M3/D", "D"), ("M4/G", "G"), ("M9/Z", "Z")];
    world.commit(vec![profiles(&later)]).await;
    for fund in ["B", "D", "G"] {
        world
            .commit(vec![navs(fund, &[(9, "10.1"), (12, "11")])])
            .await;
    }
    let found = world.cycle.id;
    next(&mut world, vec![]).await;
    assert_eq!(links(&world).await, [format!("A ?> B hand_over {found}")]);
    let evidence = "SELECT string_agg(key || '=' || value, ' ' ORDER BY key)
                    FROM runner.fund_lineage, jsonb_each_text(evidence -> 'hand_over')";
    assert_eq!(
        world.text(evidence).await,
        [
            "change_percent=1 first_day=2026-10-09 first_nav=10.1 gap_days=1 last_day=2026-10-08 last_nav=10 project=M1"
        ]
    );
    // No view follows a proposal.
    let days = through_names(&world).await;
    assert!(days.contains(&"A 2026-10-08 10 A".to_owned()), "{days:?}");
    assert!(days.contains(&"B 2026-10-09 10.1 B".to_owned()), "{days:?}");
    // The facts change: the same pair becomes certain, and the proposal does not stay.
    let cycle = world.cycle.clone();
    for fund in ["A", "B"] {
        world.commit(vec![isin(fund, "TH0001010009", &cycle)]).await;
    }
    next(&mut world, vec![]).await;
    assert_eq!(links(&world).await, [format!("A -> B isin {}", found + 1)]);
}

#[tokio::test]
async fn a_day_that_two_names_have_is_the_newer_ones_even_without_a_nav() {
    let mut world = World::new().await;
    world.commit(vec![list(&[("A", true, "F1")])]).await;
    world.commit(vec![navs("A", &[(1, "10"), (2, "11")])]).await;
    next(&mut world, vec![list(&[("B", true, "F1")])]).await;
    let of_b = ObservationData::Daily(vec![DailyPoint {
        nav_date: date(2026, 10, 2),
        nav: None,
        aum: Some(number("500")),
        bid: None,
        offer: None,
    }]);
    world
        .commit(vec![done(
            task(SITE, "nav", "B"),
            vec![says("B", SITE, None, of_b)],
        )])
        .await;
    next(&mut world, vec![]).await;
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', fund_code, nav_date, nav_value, aum, stored_under) FROM fund_nav_through_names ORDER BY 1")
            .await,
        ["B 2026-10-01 10 A", "B 2026-10-02 500 B"]
    );
}
