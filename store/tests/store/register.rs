//! D8: the official register decides about status and existence, page by page of its list.

use jiff::civil::date;
use schema::columns::ListingFields;
use schema::observation::{CodeType, DailyPoint, KeyedObservation, SecurityCode};
use schema::task::ChainPosition;
use schema::{ObservationData, Outcome, SourceName, TaskAnswer, TaskId};
use store::{BatchReport, ChangeRequest, CycleKind};

use crate::world::{World, done, list_of, number, says, task};

const REGISTER: SourceName = SourceName::SecOpenApi;

/// A page of the register's list: key, code and status of each class. `more`: a page follows.
fn page(classes: &[(&str, &str, &str)], more: bool) -> TaskAnswer {
    let entries = classes.iter().map(|(key, fund, status)| {
        let data = ObservationData::Listing {
            source_key: (*key).to_owned(),
            fields: ListingFields {
                status: Some((*status).to_owned()),
                ..ListingFields::default()
            },
        };
        says(fund, REGISTER, None, data)
    });
    let next = more.then(|| ChainPosition {
        cursor: "next".to_owned(),
        pages: 1,
        seen: vec![1],
        restarted: false,
        carry: None,
        range: None,
        turn: 1,
    });
    TaskAnswer {
        next,
        is_list_part: true,
        ..done(
            task(REGISTER, TaskId::CLASSES, TaskId::WHOLE_MARKET),
            entries.collect(),
        )
    }
}

/// The NAV of a day under keys of the register.
fn navs(keys: &[&str]) -> TaskAnswer {
    let keyed = keys.iter().map(|key| KeyedObservation {
        source_key: (*key).to_owned(),
        fund_code: None,
        as_of_date: None,
        url: "https://register.example".to_owned(),
        data: ObservationData::Daily(vec![DailyPoint {
            nav_date: date(2026, 10, 14),
            nav: Some(number("10")),
            aum: None,
            bid: None,
            offer: None,
        }]),
    });
    TaskAnswer {
        keyed: keyed.collect(),
        is_list_part: true,
        ..done(task(REGISTER, TaskId::DAYS, "*2026-10-14"), Vec::new())
    }
}

async fn status(world: &World) -> Vec<String> {
    world
        .text("SELECT fund_code || ' ' || fund_status FROM funds_master_info ORDER BY 1")
        .await
}

async fn next_list(world: &mut World, day: i8, pages: Vec<TaskAnswer>) -> BatchReport {
    world
        .next_cycle(date(2026, 11, day), CycleKind::Daily)
        .await;
    world.commit(pages).await
}

#[tokio::test]
async fn the_status_is_taken_over_when_the_last_page_is_read_even_an_empty_one() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A", "B", "C"])]).await;
    let first = page(
        &[("M1/A", "A", "Expired"), ("M2/B", "B", "Registered")],
        true,
    );
    world.commit(vec![first]).await;
    assert_eq!(status(&world).await, ["A active", "B active", "C active"]);
    let chain = "SELECT chain ->> 'cursor' FROM runner.task WHERE page = 'profiles' AND acked_cycle IS NULL";
    assert_eq!(world.text(chain).await, ["next"]);
    world.commit(vec![page(&[], false)]).await;
    assert_eq!(status(&world).await, ["A inactive", "B active", "C active"]);
    assert_eq!(
        world
            .text("SELECT entries::text FROM runner.list_size WHERE source = 'sec_open_api'")
            .await,
        ["2"]
    );
    assert_eq!(
        world
            .text("SELECT outcome FROM runner.task WHERE page = 'profiles' AND chain IS NULL")
            .await,
        ["done"]
    );
}

#[tokio::test]
async fn a_mass_change_of_statuses_waits_until_it_is_accepted() {
    let mut world = World::new().await;
    let codes: Vec<String> = (0..30).map(|n| format!("F{n:02}")).collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    world.commit(vec![list_of(&codes)]).await;
    let keys: Vec<String> = codes.iter().map(|code| format!("M/{code}")).collect();
    let classes = |ended: usize| -> Vec<(&str, &str, &str)> {
        (0..codes.len())
            .map(|at| {
                let status = if at < ended { "Expired" } else { "Registered" };
                (keys[at].as_str(), codes[at], status)
            })
            .collect()
    };
    world.commit(vec![page(&classes(1), false)]).await;
    assert_eq!(
        status(&world).await[0],
        "F00 inactive",
        "one fund is no mass"
    );
    let report = next_list(&mut world, 1, vec![page(&classes(20), false)]).await;
    assert!(
        matches!(report.tasks[0].outcome(), Outcome::Failed(why) if why.contains("master_runner accept")),
        "{report:?}"
    );
    let inactive = "SELECT count(*)::text FROM funds_master_info WHERE fund_status = 'inactive'";
    assert_eq!(world.text(inactive).await, ["1"]);
    let id = world
        .text("SELECT max(breach_id)::text FROM runner.breach")
        .await;
    world
        .request(ChangeRequest::Accept(id[0].parse().unwrap()))
        .await;
    next_list(&mut world, 2, vec![page(&classes(20), false)]).await;
    assert_eq!(world.text(inactive).await, ["20"]);
}

#[tokio::test]
async fn a_code_under_two_keys_of_the_list_keeps_its_status_and_gets_no_values() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A", "B"])]).await;
    let classes = [
        ("M1/main", "A", "Expired"),
        ("M9/main", "A", "Registered"),
        ("M2/main", "B", "Registered"),
    ];
    world.commit(vec![page(&classes, false)]).await;
    assert_eq!(status(&world).await, ["A active", "B active"]);
    world
        .commit(vec![navs(&["M1/main", "M2/main", "M7/main"])])
        .await;
    assert_eq!(world.text("SELECT fund_code FROM funds_daily").await, ["B"]);
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', source_key, reason, candidates) FROM runner.unmatched ORDER BY 1")
            .await,
        [
            "M1/main the source's list has the code under several keys {A}",
            "M7/main no list has the key or its code {}"
        ]
    );
}

#[tokio::test]
async fn a_registered_class_with_a_nav_enters_unless_it_is_a_known_fund_under_another_code() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A"])]).await;
    let isin = |fund: &str, source| {
        let codes = vec![SecurityCode {
            code_type: CodeType::Isin,
            code: "TH0001021819".to_owned(),
        }];
        let said = if source == REGISTER {
            ObservationData::ProfileCodes(codes)
        } else {
            ObservationData::Codes(codes)
        };
        says(fund, source, None, said)
    };
    world
        .commit(vec![done(
            task(SourceName::Finnomena, "factsheet", "A"),
            vec![isin("A", SourceName::Finnomena)],
        )])
        .await;
    let mut listed = page(
        &[
            ("M1/main", "NEW", "Registered"),
            ("M2/main", "IPO", "IPO"),
            ("M3/main", "ENDED", "Liquidated"),
            ("M4/main", "OTHER", "Registered"),
            ("M5/main", "WITHOUT-NAV", "Registered"),
        ],
        false,
    );
    listed.observations.push(isin("OTHER", REGISTER));
    world.commit(vec![listed]).await;
    world
        .commit(vec![navs(&["M1/main", "M2/main", "M3/main", "M4/main"])])
        .await;
    let cycle = world.cycle.clone();
    let entered = world.writer.enter_registered_funds(&cycle).await.unwrap();
    assert_eq!(entered, 1);
    assert_eq!(status(&world).await, ["A active", "NEW active"]);
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', fund_code, nav_value, source) FROM funds_daily")
            .await,
        ["NEW 10 sec_open_api"]
    );
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', source_key, candidates) FROM runner.unmatched")
            .await,
        ["M4/main {A}"]
    );
}

#[tokio::test]
async fn the_register_settles_a_provisional_universe_as_well() {
    let mut world = World::new().await;
    let other = ["A", "B"].map(|fund| {
        let data = ObservationData::Listing {
            source_key: format!("/funds/{fund}"),
            fields: ListingFields::default(),
        };
        says(fund, SourceName::Wealthmagik, None, data)
    });
    let whole = task(SourceName::Wealthmagik, "list", TaskId::WHOLE_MARKET);
    world.commit(vec![done(whole, other.to_vec())]).await;
    let cycle = world.cycle.clone();
    let entered = world.writer.enter_provisional_universe(&cycle).await;
    assert_eq!(entered.unwrap(), 2);
    let pages = vec![page(&[("M1/main", "A", "Registered")], false)];
    next_list(&mut world, 1, pages).await;
    assert_eq!(status(&world).await, ["A active"]);
    assert_eq!(
        world
            .text("SELECT fund_code FROM runner.fund WHERE provisional")
            .await,
        [""; 0]
    );
}

#[tokio::test]
async fn a_list_is_judged_alike_whether_its_pages_are_in_one_batch_or_in_several() {
    let pages = || {
        [
            (
                &[("M1/A", "A", "Registered"), ("M2/B", "B", "Registered")][..],
                true,
            ),
            (
                &[("M3/C", "C", "Expired"), ("M4/D", "D", "Registered")],
                true,
            ),
            (&[("M5/E", "E", "Registered")], false),
        ]
        .map(|(classes, more)| page(classes, more))
    };
    let size = "SELECT entries::text FROM runner.list_size WHERE source = 'sec_open_api' ORDER BY cycle_id";
    let mut sizes = Vec::new();
    for pages_a_batch in [1, 3] {
        let mut world = World::new().await;
        world
            .commit(vec![list_of(&["A", "B", "C", "D", "E"])])
            .await;
        for day in [3, 4] {
            for batch in pages().chunks(pages_a_batch) {
                let report = world.commit(batch.to_vec()).await;
                assert_eq!(report.breaches, [], "{pages_a_batch} pages a batch");
            }
            sizes.push((world.text(size).await, status(&world).await));
            world
                .next_cycle(date(2026, 11, day), CycleKind::Daily)
                .await;
        }
    }
    assert_eq!(sizes[..2], sizes[2..]);
    assert_eq!(sizes[1].0, ["5", "5"]);
    assert_eq!(sizes[1].1[2], "C inactive");
}
