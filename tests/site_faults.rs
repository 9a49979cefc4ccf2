//! The network's and the sites' faults (D3, D6, D7, P1): what each costs, in tables, exit code and words.
//!
//! Each world is loaded by a good monthly cycle first; the faults come with a fresh one. What stood must stand, what was not
//! hit must be asked and read, and the run must say what failed and where.

mod bodies;
mod lists;
mod network;
mod redirects;
mod renamed;
mod scrolling;
mod values;

use replica::{FaultKind, Site};

use crate::world::{Run, SevenTables, World};

const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];
const FRESH: [&str; 4] = ["--once", "--cycle", "monthly", "--fresh"];

/// Most memory of a runner that met any of this, in MiB. A quiet run of such a small market takes some 60.
const MOST_MEBIBYTES: i64 = 320;

/// A market that was loaded, with short waits.
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

/// A page of a fund, the fault that hits it, and the words about it.
struct Hit {
    site: Site,
    part: String,
    kind: FaultKind,
    /// How the task ends, `source/page/outcome`, and what is said of it.
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

/// The next fund of which this page is not hit yet.
fn next_of<'code>(
    of_page: &mut std::collections::BTreeMap<&'static str, usize>,
    page: &'static str,
    codes: &'code [String],
) -> &'code str {
    let next = of_page.entry(page).or_default();
    *next += 1;
    &codes[*next - 1]
}

/// The path of a page of WealthMagik.
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

/// A fresh cycle under these faults, and the most memory that it took in MiB.
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

/// Each hit costs its own task and says so; all other tasks are good, and every table is what it was.
async fn costs_their_own_tasks(world: &World, before: &SevenTables, hits: &[Hit]) -> Run {
    let (run, most) = run_with(world, hits).await;
    run.exits(3);
    let mut expected: Vec<String> = hits.iter().map(|hit| hit.ends.to_owned()).collect();
    expected.sort();
    assert_eq!(failed_tasks(world).await, expected, "{}", run.said);
    for hit in hits {
        let said = run
            .said
            .lines()
            .any(|line| line.contains(&hit.part) && line.contains(hit.words));
        assert!(
            said,
            "no line has `{}` and `{}`:\n{}",
            hit.part, hit.words, run.said
        );
    }
    assert_eq!(world.seven_tables().await, *before, "{}", run.said);
    assert!(most <= MOST_MEBIBYTES, "{most} MiB of memory");
    // Without the faults everything is as good as before.
    world.replica.faults().clear();
    world.run(&MONTHLY).await.exits(0);
    world.assert_truth().await;
    run
}

/// `source/page/outcome` of the tasks that did not end well.
async fn failed_tasks(world: &World) -> Vec<String> {
    let rows = world
        .ask("SELECT source || '/' || page || '/' || outcome FROM runner.task WHERE outcome NOT IN ('done', 'unchanged', 'absent') ORDER BY 1")
        .await;
    rows.into_iter().flatten().flatten().collect()
}
