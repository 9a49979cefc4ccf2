//! The official register as a source: with a key, its values are in the tables, and an ordinary day needs few requests.

use std::collections::BTreeMap;

use simulator::{MarketConfig, Site, Source};

use crate::world::World;
use crate::world::cells::{RANKED, differences};

const MONTHLY: [&str; 5] = ["--once", "--cycle", "monthly", "--date", "2026-10-15"];
/// The day after, in the same week.
const DAILY: [&str; 5] = ["--once", "--cycle", "daily", "--date", "2026-10-16"];

fn plain(funds: usize) -> MarketConfig {
    MarketConfig {
        funds,
        edge_cases: false,
        ..MarketConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_the_daily_values_are_the_registers() {
    let world = World::with_register(plain(40)).await;
    world.run(&MONTHLY).await.exits(0);
    let codes: Vec<String> = world
        .ask("SELECT fund_code FROM funds_master_info ORDER BY 1")
        .await
        .into_iter()
        .filter_map(|row| row[0].clone())
        .collect();
    let active = world.active(1);
    assert!(codes.contains(&active[0]));
    let said: i64 = world
        .one("SELECT count(*) FROM funds_daily WHERE nav_said_by & 16 <> 0")
        .await;
    assert!(said > 0, "the register has said nothing");
    assert_days(&world).await;
}

/// Asserts that each cell of `funds_daily` is that of the first source in rank that reports it.
pub async fn assert_days(world: &World) {
    let codes: Vec<String> = world
        .ask("SELECT fund_code FROM funds_master_info ORDER BY 1")
        .await
        .into_iter()
        .filter_map(|row| row[0].clone())
        .collect();
    for days in RANKED.iter().filter(|ranked| ranked.table == "funds_daily") {
        let expected = days.reported(world, &codes, &Source::ALL);
        let found = days.stored(world).await;
        let wrong: Vec<_> = found
            .iter()
            .filter(|(cell, value)| expected.get(*cell) != Some(value))
            .map(|(cell, value)| (cell, value, expected.get(cell)))
            .take(10)
            .collect();
        assert!(wrong.is_empty(), "found, expected: {wrong:?}");
    }
}

/// Runs a monthly cycle, and compares all cells that the register can supply with the reports of the sources. Without
/// the `absent` ones, the register alone reports some cell of each of the `tables`.
async fn check_merged(config: MarketConfig, only: &[&str], absent: &[Source], tables: &[&str]) {
    let world = World::with_register(config).await;
    world.run(&[&MONTHLY, only].concat()).await.exits(0);
    let codes: Vec<String> = {
        let market = world.simulator.market();
        market.codes().into_iter().map(str::to_owned).collect()
    };
    let present = |absent: &[Source]| -> Vec<Source> {
        let sources = Source::ALL.into_iter();
        sources.filter(|source| !absent.contains(source)).collect()
    };
    let mut wrong = Vec::new();
    // The lists of days do not reach back as far as the histories do.
    for ranked in RANKED.iter().filter(|ranked| ranked.table != "funds_daily") {
        let expected = ranked.reported(&world, &codes, &present(absent));
        let mut found = ranked.stored(&world).await;
        let others = [absent, &[Source::SecOpenApi]].concat();
        let of_others = ranked.reported(&world, &codes, &present(&others));
        assert!(
            !tables.contains(&ranked.table)
                || expected.keys().any(|cell| !of_others.contains_key(cell)),
            "the register alone reports no cell of {}",
            ranked.table
        );
        found.retain(|(fund, _, _), _| codes.contains(fund));
        wrong.extend(differences(ranked.table, &expected, &found));
    }
    let count = wrong.len();
    wrong.truncate(40);
    assert_eq!(count, 0, "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_the_register_supplies_what_the_other_sources_lack() {
    let tables = ["funds_holding", "funds_allocations"];
    check_merged(plain(40), &[], &[], &tables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_the_register_takes_the_place_of_sources_that_are_not_requested() {
    let absent = [Source::WealthMagik, Source::SecFundCheck];
    let only = ["--only", "finnomena,sec_open_api"];
    let tables = ["funds_statistics", "funds_holding"];
    check_merged(plain(40), &only, &absent, &tables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_every_edge_case_of_the_register_is_read_right() {
    let tables: Vec<&str> = RANKED.iter().map(|ranked| ranked.table).collect();
    check_merged(MarketConfig::default(), &[], &[], &tables).await;
}

/// A code has the URL of the factsheet that prints it, whichever source links to it; some have only the register's link.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_the_factsheet_at_the_registers_link_is_read_where_no_other_source_has_one() {
    let config = MarketConfig {
        funds: 80,
        days: 30,
        ..MarketConfig::default()
    };
    let world = World::with_register(config).await;
    world.run(&MONTHLY).await.exits(0);
    let reports = [Source::Factsheet, Source::RegisterFactsheet]
        .map(|source| world.simulator.reported_by(source));
    let columns = ["fund_code", "type", "code", "factsheet_url"];
    let mut found = BTreeMap::new();
    for row in world.rows("funds_codes", &columns).await {
        let text = |at: usize| row[at].clone().unwrap_or_default();
        found.insert((text(0), text(1), text(2)), row[3].clone());
    }
    let (mut compared, mut of_register) = (0, 0);
    for code in world.simulator.market().codes() {
        let mut rows = reports
            .iter()
            .filter_map(|report| report.rows("funds_codes", code));
        for (kind, row) in rows.next().into_iter().flatten() {
            let place = (code.to_owned(), kind.clone(), row["code"].clone());
            // Another code of the register's profile may rank above that of the factsheet.
            if let Some(url) = found.get(&place) {
                assert_eq!(url.as_ref(), row.get("factsheet_url"), "{place:?}");
                compared += 1;
                of_register += usize::from(row["factsheet_url"].contains("/register/"));
            }
        }
    }
    assert!(
        compared > 50 && of_register > 0,
        "{compared}, {of_register}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_a_second_pass_over_unchanged_sources_writes_no_row() {
    let world = World::with_register(plain(40)).await;
    world.run(&MONTHLY).await.exits(0);
    let before = world.written().await;
    let again = [&MONTHLY[..], &["--fresh"]].concat();
    world.run(&again).await.exits(0);
    assert_eq!(world.written().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_an_ordinary_day_asks_no_page_of_a_single_fund() {
    let world = World::with_register(plain(60)).await;
    world.run(&MONTHLY).await.exits(0);
    world.simulator.advance_days(1);
    let skip = world.simulator.log().requests.len();
    world.run(&DAILY).await.exits(0);
    let of_site = |site: Site| world.asked_since(skip, site);
    assert_eq!(
        of_site(Site::WealthMagik).len(),
        1,
        "the list alone: {:?}",
        of_site(Site::WealthMagik)
    );
    let finnomena = of_site(Site::Finnomena);
    let single: Vec<&String> = finnomena
        .iter()
        .filter(|path| path.contains("/funds/"))
        .collect();
    assert_eq!(single, [""; 0]);
    assert!(of_site(Site::SecOpenApi).len() >= 6);
    let newest: i64 = world
        .one("SELECT count(*) FROM funds_daily WHERE cycle_id = (SELECT max(cycle_id) FROM runner.cycle) AND source = 'sec_open_api'")
        .await;
    assert!(newest > 0, "nothing of the new day was loaded");
}

/// The chains of the register under a fault of its pages.
async fn ends_with(fault: simulator::Fault, code: i32) -> (World, crate::world::Run) {
    let world = World::with_register(plain(12)).await;
    world.simulator.faults().set(fault);
    let run = world.run(&MONTHLY).await;
    run.exits(code);
    (world, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_the_register_is_off_and_one_line_tells_how_to_get_one() {
    let mut world = World::with_register(plain(5)).await;
    world.settings.register_keys = &[];
    let run = world.run(&MONTHLY).await;
    run.exits(0).says("SEC_API_KEY holds no key");
    assert_eq!(run.output.matches("holds no key").count(), 1);
    assert_eq!(world.asked_since(0, Site::SecOpenApi), [""; 0]);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_a_source_that_is_down_and_is_never_shown() {
    let mut world = World::with_register(plain(5)).await;
    world.settings.register_keys = &["wrong-key-1", "wrong-key-2"];
    let run = world.run(&MONTHLY).await;
    run.exits(3)
        .says("the next key is used")
        .says("sec_open_api: the key was refused (status 401)");
    assert!(!run.output.contains("wrong-key"), "{}", run.output);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_first_key_gives_way_to_the_second_one() {
    let mut world = World::with_register(plain(5)).await;
    world.settings.register_keys = &["expired-key", "simulated-key"];
    let run = world.run(&MONTHLY).await;
    run.exits(0).says("the next key is used");
    let said: i64 = world
        .one("SELECT count(*) FROM funds_daily WHERE nav_said_by & 16 <> 0")
        .await;
    assert!(said > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_end_is_a_breach_and_the_other_sources_go_on() {
    use simulator::{Fault, FaultKind};
    for kind in [
        FaultKind::CursorRepeats { pages: 1 },
        FaultKind::CursorRepeats { pages: 2 },
        FaultKind::EmptyPageWithCursor,
        FaultKind::EndlessChain,
    ] {
        let fault = Fault::of(Site::SecOpenApi, kind.clone()).on_path("profiles");
        let (world, run) = ends_with(fault, 3).await;
        run.says("next_cursor: expected a cursor that leads on");
        let asked = world.asked_since(0, Site::SecOpenApi).len();
        assert!(asked < 2_100, "{kind:?}: {asked} requests");
        let failed = world
            .ask("SELECT DISTINCT source FROM runner.task WHERE outcome NOT IN ('done', 'absent', 'unchanged')")
            .await;
        assert_eq!(failed, [vec![Some("sec_open_api".to_owned())]], "{kind:?}");
        let codes = world.active(4);
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        world.assert_truth_of("funds_statistics", &codes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_other_days_and_errors_inside_an_answer_are_no_data() {
    use simulator::{Fault, FaultKind};
    let nav = |kind| Fault::of(Site::SecOpenApi, kind).on_path("daily-info/nav");
    let error = r#"{"StatusCode":401,"message":"Access denied due to invalid subscription key."}"#;
    for (fault, words) in [
        (
            nav(FaultKind::RowsOutsideRange),
            "items[].nav_date: expected records of",
        ),
        (nav(FaultKind::HtmlInsteadOfJson), "expected JSON"),
        (
            nav(FaultKind::Body {
                status: 200,
                content_type: "application/json".to_owned(),
                body: error.to_owned(),
            }),
            "the key was refused (status 401)",
        ),
    ] {
        let (world, run) = ends_with(fault, 3).await;
        run.says(words);
        let said: i64 = world
            .one("SELECT count(*) FROM funds_daily WHERE nav_said_by & 16 <> 0")
            .await;
        assert_eq!(said, 0, "{words}");
    }
}

/// Kills a run after it has acknowledged this many pages of the register's list of classes.
async fn kill_after_pages(world: &World, args: &[&str], pages: i32) {
    let client = world.database.connect().await;
    let mut child = world.spawn(args);
    loop {
        let read = client
            .query_opt(
                "SELECT COALESCE(max((chain ->> 'pages')::integer), 0) FROM runner.task WHERE page = 'profiles'",
                &[],
            )
            .await;
        // Before the first migration there is no table.
        if let Ok(Some(row)) = read
            && row.get::<_, i32>(0) >= pages
        {
            break;
        }
        let ended = child.try_wait().expect("the runner can be watched");
        assert!(
            ended.is_none(),
            "the run ended before its list had {pages} pages"
        );
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    child.kill().await.expect("the runner is killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_runner_goes_on_with_the_next_page_of_a_list() {
    let mut world = World::with_register(plain(320)).await;
    world.settings.requests_per_sec = 3.0;
    kill_after_pages(&world, &MONTHLY, 2).await;
    let skip = world.simulator.log().requests.len();
    world.settings.requests_per_sec = 1000.0;
    world.run(&MONTHLY).await.exits(0);
    let again = world.asked_since(skip, Site::SecOpenApi);
    let profiles: Vec<&String> = again
        .iter()
        .filter(|path| path.contains("profiles"))
        .collect();
    assert!(
        profiles[0].contains("next_cursor="),
        "the list was begun again: {profiles:?}"
    );

    // A cursor that the source no longer accepts: the list is read again from its first page.
    let fresh = [
        "--once",
        "--cycle",
        "monthly",
        "--date",
        "2026-10-15",
        "--fresh",
    ];
    world.settings.requests_per_sec = 3.0;
    kill_after_pages(&world, &fresh, 2).await;
    world.simulator.expire_register_cursors();
    world.settings.requests_per_sec = 1000.0;
    let run = world.run(&MONTHLY).await;
    run.exits(0).says("the source refused the cursor");
}
