//! Whole histories come from the register by project where Finnomena does not have them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use simulator::{FaultKind, MarketConfig, Reported, Site, Source};

use crate::world::{Run, World};

/// The day of the market.
const TODAY: Date = date(2026, 10, 15);
/// About three years of business days.
const DAYS: usize = 800;
/// The first cycles after the monthly one have later dates, but the market does not move.
const MOST_CYCLES: i64 = 14;

fn market(funds: usize, edge_cases: bool) -> MarketConfig {
    MarketConfig {
        funds,
        days: DAYS,
        edge_cases,
        today: TODAY,
        ..MarketConfig::default()
    }
}

/// A market whose Finnomena refuses every request from the first run on.
async fn without_finnomena(config: MarketConfig, history_pages: u32) -> World {
    let mut world = World::with_register(config).await;
    world.fault(Site::Finnomena, FaultKind::Status(403));
    world.settings.history_pages = history_pages;
    world
}

/// Runs a cycle of the day after so many days.
async fn cycle(world: &World, kind: &str, days: i64) -> Run {
    let date = TODAY.saturating_add(days.days()).to_string();
    world
        .run(&["--once", "--cycle", kind, "--date", &date])
        .await
}

/// The requests for histories after the first `skip` requests: path and query.
fn histories_since(world: &World, skip: usize) -> Vec<String> {
    let mut paths = world.asked_since(skip, Site::SecOpenApi);
    paths.retain(|path| {
        let day = |name: &str| {
            let (_, after) = path.split_once(name)?;
            after.get(..10)?.parse::<Date>().ok()
        };
        let days = day("start_nav_date=").zip(day("end_nav_date="));
        path.contains("proj_id=")
            && days.is_some_and(|(first, last)| (last - first).get_days() > 200)
    });
    paths
}

/// The paths that occur more than once.
fn repeated(paths: &[String]) -> BTreeSet<&String> {
    let mut seen = BTreeSet::new();
    paths.iter().filter(|path| !seen.insert(*path)).collect()
}

/// A cell of `funds_daily`: fund, day, column.
type Cell = (String, String, &'static str);

const COLUMNS: [&str; 4] = ["nav_value", "aum", "bid", "offer"];

/// The cells of all funds of the warehouse by the first of these sources that reports one; prices are WealthMagik's
/// first.
async fn expected(world: &World) -> BTreeMap<Cell, String> {
    let by = |source| world.simulator.reported_by(source);
    let (register, wealthmagik) = (by(Source::SecOpenApi), by(Source::WealthMagik));
    let mut cells = BTreeMap::new();
    for row in world.ask("SELECT fund_code FROM funds_master_info").await {
        let code = row[0].clone().unwrap_or_default();
        for column in COLUMNS {
            let rank: [&Reported; 2] = match column {
                "bid" | "offer" => [&register, &wealthmagik],
                _ => [&wealthmagik, &register],
            };
            // The last one in rank is first overwritten.
            for source in rank {
                for (day, row) in source.rows("funds_daily", &code).into_iter().flatten() {
                    if let Some(value) = row.get(column) {
                        cells.insert((code.clone(), day.clone(), column), value.clone());
                    }
                }
            }
        }
    }
    cells
}

async fn found(world: &World) -> BTreeMap<Cell, String> {
    let columns = ["fund_code", "nav_date", "nav_value", "aum", "bid", "offer"];
    let mut cells = BTreeMap::new();
    for row in world.rows("funds_daily", &columns).await {
        let text = |at: usize| row[at].clone().unwrap_or_default();
        for (at, column) in COLUMNS.into_iter().enumerate() {
            if let Some(value) = &row[2 + at] {
                cells.insert((text(0), text(1), column), value.clone());
            }
        }
    }
    cells
}

/// Asserts that the table has exactly the cells that register and WealthMagik report, some of them years old.
async fn assert_whole(world: &World) {
    let (expected, found) = (expected(world).await, found(world).await);
    let differ = |one: &BTreeMap<Cell, String>, other: &BTreeMap<Cell, String>| -> Vec<String> {
        one.iter()
            .filter(|(cell, value)| other.get(*cell) != Some(value))
            .map(|(cell, value)| format!("{cell:?} {value}"))
            .take(8)
            .collect()
    };
    assert_eq!(
        (differ(&expected, &found), differ(&found, &expected)),
        (Vec::new(), Vec::new()),
        "expected only, found only"
    );
    let oldest = found.keys().map(|(_, day, _)| day).min();
    let years_ago = TODAY.saturating_sub(2.years()).to_string();
    assert!(
        oldest.is_some_and(|oldest| *oldest < years_ago),
        "{oldest:?}"
    );
}

const LEFT: &str = "not read to their beginning";

#[tokio::test(flavor = "multi_thread")]
async fn without_finnomena_every_history_is_read_from_the_register() {
    let world = without_finnomena(market(14, true), 2_000).await;
    let run = cycle(&world, "monthly", 0).await;
    run.exits(3);
    assert!(!run.output.contains(LEFT), "{}", run.output);
    assert_whole(&world).await;
    let asked = histories_since(&world, 0);
    assert!(!asked.is_empty());
    assert_eq!(repeated(&asked), BTreeSet::new());

    // A history that was read is not read again, until the next monthly cycle.
    let skip = world.simulator.log().requests.len();
    cycle(&world, "daily", 1).await.exits(3);
    assert_eq!(histories_since(&world, skip), [""; 0]);
    cycle(&world, "monthly", 2).await.exits(3);
    let projects = |paths: &[String]| -> BTreeSet<String> {
        let projects = paths.iter().filter_map(|path| {
            let (_, after) = path.split_once("proj_id=")?;
            Some(after.split('&').next()?.to_owned())
        });
        projects.collect()
    };
    let again = histories_since(&world, skip);
    assert_eq!(projects(&again), projects(&asked));
    assert_whole(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_number_of_pages_is_spread_over_cycles_without_a_repetition() {
    const PAGES: u32 = 16;
    let world = without_finnomena(market(10, false), PAGES).await;
    let mut days = 0;
    loop {
        let skip = world.simulator.log().requests.len();
        let kind = if days == 0 { "monthly" } else { "daily" };
        let run = cycle(&world, kind, days).await;
        run.exits(3);
        let asked = histories_since(&world, skip).len();
        assert!(asked <= PAGES as usize, "{asked} pages on day {days}");
        let is_left = run.output.contains(LEFT);
        // Once in the log, once in the summary.
        assert_eq!(
            run.output.matches(LEFT).count(),
            if is_left { 2 } else { 0 }
        );
        if !is_left {
            break;
        }
        days += 1;
        assert!(days < MOST_CYCLES, "{}", run.output);
    }
    assert!(days >= 3, "the histories need several cycles: {days}");
    assert_eq!(repeated(&histories_since(&world, 0)), BTreeSet::new());
    assert_whole(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_that_are_left_do_not_decide_the_exit_code() {
    let mut world = World::with_register(market(8, false)).await;
    world.settings.history_pages = 5;
    let active = world.active(1);
    // Finnomena does not list one fund, whose history is longer than the pages of a cycle.
    world
        .simulator
        .set_listed(&active[0], false)
        .expect("a code of the market");
    let run = cycle(&world, "monthly", 0).await;
    run.exits(0);
    let asked = histories_since(&world, 0);
    let projects: BTreeSet<&str> = asked
        .iter()
        .filter_map(|path| path.split_once("proj_id=")?.1.split('&').next())
        .collect();
    assert_eq!((asked.len(), projects.len()), (5, 1), "{}", run.output);
    run.says(LEFT);
}

/// Waits until the runner has acknowledged so many pages of histories, and kills it.
async fn kill_after_pages(world: &World, pages: i64) {
    let client = world.database.connect().await;
    let date = TODAY.to_string();
    let mut child = world.spawn(&["--once", "--cycle", "monthly", "--date", &date]);
    loop {
        let read = client
            .query_opt(
                "SELECT COALESCE(sum((chain ->> 'turn')::bigint), 0)::bigint FROM runner.task
                 WHERE page = 'project_history'",
                &[],
            )
            .await;
        // Before the first migration there is no table.
        if let Ok(Some(row)) = read
            && row.get::<_, i64>(0) >= pages
        {
            break;
        }
        let ended = child.try_wait().expect("the runner can be watched");
        assert!(ended.is_none(), "the run ended before {pages} pages");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().await.expect("the runner is killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_runner_goes_on_with_the_next_page_of_each_history() {
    let mut world = without_finnomena(market(10, false), 2_000).await;
    world.settings.requests_per_sec = 20.0;
    kill_after_pages(&world, 12).await;
    let killed = world.simulator.log().requests.len();
    world.settings.requests_per_sec = 1000.0;
    // The position of each history: its next page may have been requested, but it was not acknowledged.
    let stored = world
        .ask(
            "SELECT substr(key, 2), chain ->> 'cursor', chain ->> 'range', locator FROM runner.task
             WHERE page = 'project_history'",
        )
        .await;
    cycle(&world, "monthly", 0).await.exits(3);
    let before: BTreeSet<String> = {
        let all = histories_since(&world, 0);
        let after = histories_since(&world, killed).len();
        all[..all.len() - after].iter().cloned().collect()
    };
    for again in histories_since(&world, killed) {
        if !before.contains(&again) {
            continue;
        }
        let is_next = stored.iter().any(|row| {
            let text = |at: usize| row[at].clone().unwrap_or_default();
            let (cursor, range) = (text(1), text(2));
            let range = if range.is_empty() { text(3) } else { range };
            let is_here = again.contains(&format!(
                "proj_id={}&start_nav_date={}",
                text(0),
                &range[..10]
            ));
            is_here && again.contains("next_cursor=") != cursor.is_empty()
        });
        assert!(is_next, "an acknowledged page was requested again: {again}");
    }
    assert_whole(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_finnomena_is_back_the_rows_are_those_of_a_market_where_it_was_never_gone() {
    let world = without_finnomena(market(8, false), 20).await;
    cycle(&world, "monthly", 0).await.exits(3).says(LEFT);
    world.simulator.faults().clear();
    let skip = world.simulator.log().requests.len();
    let fresh = TODAY.to_string();
    let again = ["--once", "--cycle", "monthly", "--date", &fresh, "--fresh"];
    let run = world.run(&again).await;
    run.exits(0);
    assert!(!run.output.contains(LEFT), "{}", run.output);
    assert_eq!(histories_since(&world, skip), [""; 0]);

    let undisturbed = World::with_register(market(8, false)).await;
    cycle(&undisturbed, "monthly", 0).await.exits(0);
    let navs = async |world: &World| {
        let cells = found(world).await;
        let navs = cells
            .into_iter()
            .filter(|((_, _, column), _)| *column == "nav_value");
        navs.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(navs(&world).await, navs(&undisturbed).await);
    let master = ["fund_code", "fund_status"];
    assert_eq!(
        world.rows("funds_master_info", &master).await,
        undisturbed.rows("funds_master_info", &master).await
    );
}
