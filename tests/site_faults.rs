//! Faults of the network and the sites (D3, D6, D7, P1): their effect on tables, exit code and messages.
//!
//! A good monthly cycle loads each world; the faults are set for a second, fresh cycle. Stored rows must stay, all
//! pages without a fault must be read, and the run must report what failed and where.

mod bodies;
mod lists;
mod network;
mod redirects;
mod renamed;
mod scrolling;
mod values;

use simulator::{FaultKind, Site};

use crate::world::{Run, SevenTables, World};

const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];
const FRESH: [&str; 4] = ["--once", "--cycle", "monthly", "--fresh"];

/// The most memory that a runner may use under any of these faults, in MiB. A quiet run of such a small market uses
/// some 60.
const MOST_MEBIBYTES: i64 = 320;

/// A loaded world of plain funds with short back-offs, and its tables.
async fn loaded(funds: usize) -> (World, SevenTables) {
    let mut world = World::plain(funds).await;
    world.settings.more =
        "patience: (request_timeout_secs: 2, host_back_off_secs: (1, 1), host_wait_secs: 2),"
            .to_owned();
    world.run(&MONTHLY).await.exits(0);
    world.assert_truth().await;
    let tables = world.seven_tables().await;
    (world, tables)
}

/// A fault on a page of a fund, and the expected report.
struct Hit {
    site: Site,
    part: String,
    kind: FaultKind,
    /// The task's expected result, as `source/page/outcome`, and the words of its log line.
    ends: &'static str,
    words: &'static str,
}

fn hit(site: Site, part: String, kind: FaultKind, ends: &'static str, words: &'static str) -> Hit {
    Hit {
        site,
        part,
        kind,
        ends,
        words,
    }
}

/// The next fund whose page of this kind has no fault yet.
fn next_of<'code>(
    of_page: &mut std::collections::BTreeMap<&'static str, usize>,
    page: &'static str,
    codes: &'code [String],
) -> &'code str {
    let next = of_page.entry(page).or_default();
    *next += 1;
    &codes[*next - 1]
}

/// The path of a fund's WealthMagik page.
fn wealthmagik_path(code: &str, page: &str) -> String {
    let encoded = percent_encoded(code);
    format!("/funds/{encoded}/{page}")
}

fn percent_encoded(code: &str) -> String {
    code.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Runs a fresh cycle under these faults. Returns the run and its peak memory in MiB.
async fn run_with(world: &World, hits: &[Hit]) -> (Run, i64) {
    for hit in hits {
        world.fault_on(hit.site, &hit.part, hit.kind.clone());
    }
    let child = world.spawn(&FRESH);
    let most = crate::world::most_memory(child.id().expect("it runs"));
    let run = crate::world::ended(child).await;
    let most = most.await.expect("it is watched");
    (run, most)
}

/// Asserts that each fault fails its own task and is reported, that all other tasks succeed, and that every table is
/// unchanged.
async fn costs_their_own_tasks(world: &World, before: &SevenTables, hits: &[Hit]) -> Run {
    let (run, most) = run_with(world, hits).await;
    run.exits(3);
    let mut expected: Vec<String> = hits.iter().map(|hit| hit.ends.to_owned()).collect();
    expected.sort();
    assert_eq!(failed_tasks(world).await, expected, "{}", run.output);
    for hit in hits {
        let said = run
            .output
            .lines()
            .any(|line| line.contains(&hit.part) && line.contains(hit.words));
        assert!(
            said,
            "no line has `{}` and `{}`:\n{}",
            hit.part, hit.words, run.output
        );
    }
    assert_eq!(world.seven_tables().await, *before, "{}", run.output);
    assert!(most <= MOST_MEBIBYTES, "{most} MiB of memory");
    // Without the faults, the next run reaches the truth.
    world.simulator.faults().clear();
    world.run(&MONTHLY).await.exits(0);
    world.assert_truth().await;
    run
}

/// `source/page/outcome` of the tasks that did not succeed.
async fn failed_tasks(world: &World) -> Vec<String> {
    let rows = world
        .ask("SELECT source || '/' || page || '/' || outcome FROM runner.task WHERE outcome NOT IN ('done', 'unchanged', 'absent') ORDER BY 1")
        .await;
    rows.into_iter().flatten().flatten().collect()
}
