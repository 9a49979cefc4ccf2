//! `runner.news`: news is used only in the cycle that reported it, fills no table and changes no date.

use jiff::civil::date;
use schema::SourceName::{Finnomena, Wealthmagik};
use schema::observation::NavDigest;
use schema::{ObservationData, Outcome, TaskAnswer, TaskId};
use store::{Batch, ChangeRequest, CycleKind, FundState, PieceState, PlanningState};

use crate::server::{connect, fresh_database};
use crate::world::{TODAY, World, code, days, done, list, list_of, number, open, says, task};

fn told(key: &str, day: i8, nav: &str) -> NavDigest {
    NavDigest {
        source_key: key.to_owned(),
        nav_date: date(2026, 10, day),
        nav: number(nav),
    }
}

/// A page of news with its number, and the news of each fund.
fn page(page: &str, funds: &[(&str, NavDigest)]) -> TaskAnswer {
    let says = funds.iter().map(|(fund, news)| {
        says(
            fund,
            Finnomena,
            None,
            ObservationData::NavDigest(news.clone()),
        )
    });
    done(task(Finnomena, TaskId::PIECES, page), says.collect())
}

async fn state(world: &mut World) -> PlanningState {
    world.told_to_planner().await
}

fn of<'state>(state: &'state PlanningState, fund: &str) -> &'state FundState {
    let mut funds = state.funds.iter();
    funds.find(|known| known.fund_code == code(fund)).unwrap()
}

#[tokio::test]
async fn d1_a_digest_is_known_in_its_own_cycle_and_fills_no_table() {
    let mut world = World::new().await;
    world
        .commit(vec![
            list_of(&["A", "1"]),
            days(
                "A",
                Finnomena,
                &[(13, ["10.4", "5", "", ""]), (14, ["10.5", "6", "", ""])],
            ),
            days("1", Finnomena, &[(14, ["2", "", "", ""])]),
        ])
        .await;
    let before = world.versions().await;
    let report = world
        .commit(vec![page(
            "1",
            &[
                ("A", told("id-A", 15, "10.60")),
                ("UNKNOWN", told("x", 15, "1")),
            ],
        )])
        .await;
    assert!(report.tables.is_empty(), "{:?}", report.tables);
    assert_eq!(world.versions().await, before);
    assert_eq!(
        world
            .text("SELECT fund_code FROM runner.fund ORDER BY 1")
            .await,
        ["1", "A"],
        "a code that no list ever named is nobody's"
    );
    let known = state(&mut world).await;
    let fund = of(&known, "A");
    assert_eq!(fund.news, Some(told("id-A", 15, "10.6")));
    let newest = fund.newest_nav.unwrap();
    assert_eq!(
        (newest.nav_date, newest.nav, newest.has_aum),
        (date(2026, 10, 14), number("10.5"), true)
    );
    // The key `1` of a page is not the fund with the code `1`.
    let named_like_a_page = of(&known, "1");
    assert_eq!(named_like_a_page.answered.len(), 1);
    assert!(!named_like_a_page.newest_nav.unwrap().has_aum);
    let piece = PieceState {
        answered_cycle: Some(world.cycle.id),
        has_funds: Some(true),
    };
    assert_eq!(
        known.pieces[&(Finnomena, TaskId::PIECES.to_owned())][&1],
        piece
    );
    assert_eq!(known.listed[&Finnomena], 2);
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', fund_code, page, outcome) FROM runner.fund_freshness ORDER BY 1")
            .await,
        ["1 nav done", "A filter done", "A nav done"]
    );

    // The next cycle knows how the page was answered, but not its news.
    let first = world.cycle.id;
    world.next_cycle(date(2026, 10, 16), CycleKind::Daily).await;
    let absent = TaskAnswer::empty(task(Finnomena, TaskId::PIECES, "2"), Outcome::Absent, 1);
    world.plan(&[page("1", &[]), absent.clone()]).await;
    world
        .writer
        .commit(&world.cycle, &Batch::new(vec![absent]))
        .await
        .unwrap();
    let known = state(&mut world).await;
    assert_eq!(of(&known, "A").news, None);
    let pieces = &known.pieces[&(Finnomena, TaskId::PIECES.to_owned())];
    let piece = |answered_cycle, has_funds| PieceState {
        answered_cycle: Some(answered_cycle),
        has_funds: Some(has_funds),
    };
    assert_eq!(pieces[&1], piece(first, true));
    assert_eq!(pieces[&2], piece(world.cycle.id, false));
}

#[tokio::test]
async fn contradictory_digests_of_one_cycle_are_not_used_in_any_order() {
    let (one, other) = (told("id-A", 14, "10.5"), told("id-A", 15, "10.6"));
    let other_key = told("id-B", 14, "10.5");
    for pages in [
        vec![vec![("1", &one), ("2", &other)]],
        vec![vec![("1", &other), ("2", &one)]],
        vec![vec![("1", &one)], vec![("2", &other)], vec![("3", &other)]],
        vec![vec![("1", &other)], vec![("2", &one)], vec![("3", &one)]],
        vec![vec![("1", &one)], vec![("2", &other_key)]],
    ] {
        let mut world = World::new().await;
        world.commit(vec![list_of(&["A"])]).await;
        for batch in pages {
            let answers = batch
                .into_iter()
                .map(|(number, news)| page(number, &[("A", news.clone())]));
            world.commit(answers.collect()).await;
        }
        assert_eq!(of(&state(&mut world).await, "A").news, None);
        // In the next cycle all pages agree again.
        world.next_cycle(date(2026, 10, 16), CycleKind::Daily).await;
        for number in ["1", "2", "3"] {
            world
                .commit(vec![page(number, &[("A", one.clone())])])
                .await;
        }
        assert_eq!(of(&state(&mut world).await, "A").news, Some(one.clone()));
    }
}

/// Only a NAV that Finnomena itself reported is compared with its news.
#[tokio::test]
async fn the_newest_nav_is_the_one_that_finnomena_reported() {
    let mut world = World::new().await;
    world
        .commit(vec![
            list_of(&["A", "B"]),
            days(
                "A",
                Finnomena,
                &[(13, ["10.4", "5", "", ""]), (14, ["", "6", "", ""])],
            ),
            days("A", Wealthmagik, &[(14, ["10.5", "6", "", ""])]),
            days("B", Finnomena, &[(13, ["7", "", "", ""])]),
            days("B", Wealthmagik, &[(13, ["7", "9", "", ""])]),
        ])
        .await;
    let known = state(&mut world).await;
    let newest = of(&known, "A").newest_nav.unwrap();
    assert_eq!(
        (newest.nav_date, newest.has_aum),
        (date(2026, 10, 13), true)
    );
    assert!(
        !of(&known, "B").newest_nav.unwrap().has_aum,
        "the AUM is another source's"
    );
}

/// D8: news does not change the status of a fund.
#[tokio::test]
async fn d8_news_change_no_status() {
    let mut world = World::new().await;
    world
        .commit(vec![list(&[("A", true, "id-A"), ("B", false, "id-B")])])
        .await;
    let status = "SELECT fund_code || ' ' || fund_status FROM public.funds_master_info ORDER BY 1";
    let before = world.text(status).await;
    let news = [("B", told("id-B", 14, "1")), ("C", told("id-C", 14, "1"))];
    world.commit(vec![page("1", &news)]).await;
    for day in 16..20 {
        world
            .next_cycle(date(2026, 10, day), CycleKind::Daily)
            .await;
        world.commit(vec![page("1", &news)]).await;
    }
    assert_eq!(world.text(status).await, before);
}

#[tokio::test]
async fn a_source_that_is_reset_forgets_how_many_pages_there_were() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A"]), page("1", &[])]).await;
    let reset = ChangeRequest::ResetSource(Finnomena);
    world.request(reset).await;
    world.next_cycle(TODAY, CycleKind::Daily).await;
    let known = state(&mut world).await;
    let piece = known.pieces[&(Finnomena, TaskId::PIECES.to_owned())][&1];
    assert_eq!(piece, PieceState::default());
}

/// O7: a database of the first version is migrated and keeps all its rows.
#[tokio::test]
async fn o7_a_database_of_the_first_version_is_migrated_and_keeps_its_rows() {
    let database = fresh_database().await;
    let sql = connect(&database).await;
    sql.batch_execute(
        "CREATE SCHEMA runner;
         CREATE TABLE runner.schema_version (
             version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
             applied_at TIMESTAMPTZ NOT NULL DEFAULT now());
         INSERT INTO runner.schema_version (version, name, checksum) VALUES (1, 'warehouse', '0');",
    )
    .await
    .unwrap();
    sql.batch_execute(include_str!("../../../schema/migrations/V1__warehouse.sql"))
        .await
        .unwrap();
    sql.batch_execute(
        "INSERT INTO runner.cycle (cycle_date, kind, scope) VALUES ('2026-10-14', 'daily', 'full');
         INSERT INTO runner.task (source, page, key, planned_cycle, acked_cycle, outcome, answered_cycle, last_answer_at)
         VALUES ('finnomena', 'nav', 'A', 1, 1, 'done', 1, now());
         INSERT INTO public.funds_master_info (fund_code) VALUES ('A');
         INSERT INTO runner.fund (fund_code, in_universe) VALUES ('A', true);",
    )
    .await
    .unwrap();
    drop(open(&database).await);
    let mut world = World::on(database).await;
    assert_eq!(
        world
            .text("SELECT v.version::text FROM runner.schema_version v ORDER BY v.version")
            .await,
        crate::world::versions_of_the_schema()
    );
    assert_eq!(
        world
            .text("SELECT fund_code || ' ' || page FROM runner.fund_freshness")
            .await,
        ["A nav"]
    );
    world
        .commit(vec![page("1", &[("A", told("id-A", 14, "1"))])])
        .await;
    assert!(of(&state(&mut world).await, "A").news.is_some());
}
