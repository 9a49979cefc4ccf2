//! D1: a runner that is killed at any moment inside the register's lists requests no acknowledged page again, and the
//! rows are those of an undisturbed run.
//!
//! The moments are random. The seed is printed; `MASTER_RUNNER_SEED` repeats it. A full run has many kills in each
//! mode.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schema::{PlannedTask, SourceName, TaskId};
use simulator::{MarketConfig, Site as Host};
use sources::Site as _;
use sources::sites::SecOpenApi;
use url::{Position, Url};

use crate::kill_anywhere::audit::{difference, left_in};
use crate::kill_anywhere::faults::{Draws, seed};
use crate::world::World;
use crate::world::extent::is_full;

const MONTHLY: [&str; 6] = [
    "--once",
    "--cycle",
    "monthly",
    "--date",
    "2026-10-15",
    "--mode",
];
/// Small pages: each list of the market has several pages, and a history has about fifty.
const ROWS_A_PAGE: usize = 5;
const FUNDS: usize = 14;
/// Funds whose history only the register has.
const UNLISTED: usize = 2;
/// The number of kills in one cycle.
const KILLS: usize = 4;
/// The longest wait from a request to the kill, in milliseconds: long enough for the commit of its answer.
const LONGEST_WAIT: usize = 40;

async fn world() -> World {
    let world = World::with_register(MarketConfig {
        funds: FUNDS,
        days: 200,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await;
    world.simulator.set_register_page_rows(ROWS_A_PAGE);
    for code in world.active(UNLISTED) {
        world
            .simulator
            .set_listed(&code, false)
            .expect("a code of the market");
    }
    world
}

fn arguments(mode: &str) -> Vec<&str> {
    MONTHLY.into_iter().chain([mode]).collect()
}

/// A list of the register as its requests name it: path and query without the cursor.
fn list_of(path: &str) -> &str {
    path.split("&next_cursor=").next().unwrap_or(path)
}

/// The project and the last day of a request for a history.
fn history_of(path: &str) -> Option<(&str, &str)> {
    let value = |name: &str| {
        let (_, after) = path.split_once(name)?;
        after.split('&').next()
    };
    let (first, last) = (value("start_nav_date=")?, value("end_nav_date=")?);
    let days = last.parse::<jiff::civil::Date>().ok()? - first.parse::<jiff::civil::Date>().ok()?;
    (days.get_days() > 200).then_some((value("proj_id=")?, last))
}

/// A task as the database has it after a kill.
struct Stored {
    id: TaskId,
    is_acknowledged: bool,
    /// Path and query of its next page. Of an acknowledged task: of its first page.
    next: String,
}

/// The register's tasks of the newest cycle.
async fn stored(world: &World) -> Vec<Stored> {
    let site = SecOpenApi::new(
        &Url::parse(&world.simulator.urls().sec_open_api).expect("a URL"),
        Vec::new(),
        Vec::new(),
    );
    let client = world.database.connect().await;
    let rows = client
        .query(
            "SELECT page, key, locator, extent, acked_cycle IS NOT DISTINCT FROM planned_cycle, chain
             FROM runner.task
             WHERE source = 'sec_open_api' AND planned_cycle = (SELECT max(cycle_id) FROM runner.cycle)",
            &[],
        )
        .await;
    // Before the first migration there is no table.
    let rows = rows.unwrap_or_default();
    let stored = rows.into_iter().map(|row| {
        let id = TaskId {
            source: SourceName::SecOpenApi,
            page: row.get(0),
            key: row.get(1),
        };
        let is_acknowledged: bool = row.get(4);
        let chain: Option<serde_json::Value> = row.get(5);
        let chain = chain.filter(|_| !is_acknowledged);
        let task = PlannedTask {
            locator: row.get(2),
            extent: row.get(3),
            chain: chain.map(|chain| serde_json::from_value(chain).expect("a position")),
            ..PlannedTask::new(id.clone())
        };
        let page = site.pages().iter().find(|page| page.name == id.page);
        let request = site.request(page.expect("a page of the register"), &[task]);
        let url = request.expect("a request").url;
        Stored {
            id,
            is_acknowledged,
            next: url[Position::BeforePath..].to_owned(),
        }
    });
    stored.collect()
}

/// The number of answers that may be on their way to their commit: the credits of a source in each mode.
fn credits(mode: &str) -> usize {
    match mode {
        "sequential" => 1,
        "hybrid" => 4,
        _ => 64,
    }
}

/// The requests of one process that a task's state before it forbids; one sentence each.
fn forbidden(before: &[Stored], requests: &[String], expired: bool) -> Vec<String> {
    let mut lists: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for path in requests {
        lists.entry(list_of(path)).or_default().push(path);
    }
    let mut wrong = Vec::new();
    for (list, pages) in &lists {
        let known = before.iter().find(|task| list_of(&task.next) == *list);
        let history = before.iter().find(|task| {
            history_of(list).is_some_and(|(project, last)| {
                task.id.page == TaskId::PROJECT_HISTORY
                    && task.id.part() == Some(project)
                    && (task.is_acknowledged
                        || history_of(&task.next).is_some_and(|(_, reached)| last > reached))
            })
        });
        if history.is_some() || known.is_some_and(|task| task.is_acknowledged) {
            wrong.push(format!("{list}: it was acknowledged"));
            continue;
        }
        let first = known.map_or(*list, |task| task.next.as_str());
        if pages[0] != first {
            wrong.push(format!("{}: expected {first}", pages[0]));
        }
        // The source refuses an expired cursor, so the list is read again from its first page.
        let pages = if expired && first.contains("next_cursor=") {
            &pages[1..]
        } else {
            pages
        };
        let different: BTreeSet<&&String> = pages.iter().collect();
        if different.len() < pages.len() {
            wrong.push(format!("{list}: a page was requested twice"));
        }
    }
    wrong
}

/// Waits until a run has sent so many requests to the register, and a little longer, and kills it. Returns whether it
/// was killed before its end.
async fn kill_after(world: &World, mode: &str, requests: usize, wait: Duration) -> bool {
    let skip = world.simulator.log().requests.len();
    let mut child = world.spawn(&arguments(mode));
    while world.asked_since(skip, Host::SecOpenApi).len() < requests {
        if let Some(status) = child.try_wait().expect("the runner can be watched") {
            assert!(status.success(), "{status}");
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep(wait).await;
    child.kill().await.expect("the runner is killed");
    true
}

async fn check(mode: &str) {
    let seed = seed();
    eprintln!("MASTER_RUNNER_SEED={seed}, {mode}");
    let mut draws = Draws(seed);
    let undisturbed = world().await;
    undisturbed.run(&arguments(mode)).await.exits(0);
    let all = undisturbed.asked_since(0, Host::SecOpenApi);
    assert_eq!(forbidden(&[], &all, false), [""; 0]);
    let histories: BTreeSet<&str> = all
        .iter()
        .filter_map(|path| Some(history_of(path)?.0))
        .collect();
    assert!(!histories.is_empty(), "no history was read");
    let left = left_in(&undisturbed).await;
    crate::register::assert_days(&undisturbed).await;

    let cases = if is_full() { 12 } else { 2 };
    let mut inside = 0;
    for case in 0..cases {
        let world = world().await;
        let (mut killed, mut has_expired, mut skip) = (0, false, 0);
        let (mut before, mut earlier) = (Vec::new(), BTreeSet::new());
        let mut expired = false;
        for _ in 0..KILLS {
            let requests = 1 + draws.below(all.len() * 2 / KILLS);
            let wait = Duration::from_millis(draws.below(LONGEST_WAIT) as u64);
            let is_killed = kill_after(&world, mode, requests, wait).await;
            let sent = world.asked_since(skip, Host::SecOpenApi);
            let wrong = forbidden(&before, &sent, expired);
            assert_eq!(wrong, [""; 0], "seed {seed}, {mode}, case {case}");
            // This does not depend on the stored positions: a page without a stored position was on its way.
            let again = sent.iter().filter(|path| earlier.contains(*path)).count();
            assert!(
                expired || again <= credits(mode),
                "seed {seed}, {mode}, case {case}: {again} pages were requested again"
            );
            earlier.extend(sent);
            if !is_killed {
                break;
            }
            killed += 1;
            skip = world.simulator.log().requests.len();
            before = stored(&world).await;
            inside += before
                .iter()
                .filter(|task| task.next.contains("next_cursor="))
                .count();
            expired = draws.below(4) == 0;
            if expired {
                has_expired = true;
                world.simulator.expire_register_cursors();
            }
        }
        let is_open = "SELECT count(*) FROM runner.cycle WHERE state = 'open'";
        if killed == 0 || world.one::<i64>(is_open).await > 0 {
            world.run(&arguments(mode)).await.exits(0);
            let sent = world.asked_since(skip, Host::SecOpenApi);
            let wrong = forbidden(&before, &sent, expired);
            assert_eq!(wrong, [""; 0], "seed {seed}, {mode}, case {case}");
        }
        let found = left_in(&world).await;
        // A list that is read again counts its records again.
        let compared = |lines: &[String]| -> Vec<String> {
            let is_row = |line: &&String| !has_expired || line.starts_with("funds_");
            lines.iter().filter(is_row).cloned().collect()
        };
        let differs = difference(&compared(&left), &compared(&found));
        assert_eq!(
            differs, "",
            "seed {seed}, {mode}, case {case}: - undisturbed, + after {killed} kills"
        );
        world.database.remove().await;
    }
    // A few kills may all lie between two lists.
    assert!(inside > 0 || !is_full(), "no kill was inside a list");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_no_acknowledged_page_is_requested_again_sequential() {
    check("sequential").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_no_acknowledged_page_is_requested_again_hybrid() {
    check("hybrid").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_no_acknowledged_page_is_requested_again_parallel() {
    check("parallel").await;
}
