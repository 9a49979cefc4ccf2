//! Every statement of a run, and each of them cut off before the server hears of it, cut off before the runner hears of
//! the answer, or failed by the server: the end is that of the undisturbed run, to the last book entry.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use replica::Row;

use super::{ONCE, market};
use crate::world::{Act, DatabaseProxy, World};

/// Runs at a time: they mostly wait.
const AT_A_TIME: usize = 8;

/// What a server may answer instead, whatever is asked of it.
const FAILURES: [&str; 10] = [
    "40001", "40P01", "53100", "53200", "53300", "25006", "55P03", "57014", "57P01", "58030",
];

/// A fault at the first statement of this text that had at least so many of the same before it.
#[derive(Debug, Clone)]
struct Fault {
    text: String,
    earlier: usize,
    act: Act,
}

/// What an undisturbed run looks like.
struct Undisturbed {
    statements: Vec<String>,
    books: Vec<Row>,
    asked: BTreeMap<String, usize>,
}

/// All that would show a batch that was lost, or written twice.
async fn books(world: &World) -> Vec<Row> {
    let mut books = Vec::new();
    for sql in [
        "SELECT table_name, observed, inserted, updated, unchanged, superseded, rejected, unreadable, rows_inserted, rows_updated
         FROM runner.cycle_count ORDER BY 1",
        "SELECT source, planned, done, unchanged, absent, failed FROM runner.cycle_task_count ORDER BY 1",
        "SELECT source, page, outcome, count(*), sum(attempts) FROM runner.task GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        "SELECT source, dataset, count(*) FROM runner.observation GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT kind, scope, state, round, status_changes FROM runner.cycle ORDER BY cycle_id",
        "SELECT table_name, field, count(*) FROM history.change GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT count(*) FROM history.portfolio",
        "SELECT source, count(*) FROM runner.rejected GROUP BY 1 ORDER BY 1",
        "SELECT source, page, entries, active_entries FROM runner.list_size ORDER BY 1, 2",
    ] {
        books.extend(world.ask(sql).await);
        books.push(vec![Some("--".to_owned())]);
    }
    books
}

fn asked(world: &World) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for request in world.replica.log().requests {
        *asked
            .entry(format!("{:?} {}", request.site, request.path))
            .or_default() += 1;
    }
    asked
}

async fn undisturbed() -> Undisturbed {
    let world = World::new(market()).await;
    let proxy = DatabaseProxy::before(&world.database.url()).await;
    let mut command = world.command(&ONCE);
    command.env("DATABASE_URL", proxy.url());
    let run = crate::world::ended(command.spawn().expect("the runner starts")).await;
    run.exits(0);
    world.assert_truth().await;
    Undisturbed {
        statements: proxy.seen(),
        books: books(&world).await,
        asked: asked(&world),
    }
}

/// A run that meets these faults comes to the same end. Returns how many it met.
async fn meets(faults: Vec<Fault>, expected: &Undisturbed) -> usize {
    let world = World::new(market()).await;
    let proxy = DatabaseProxy::before(&world.database.url()).await;
    let mut left = faults.clone();
    proxy.rule(move |asked| {
        let at = left
            .iter()
            .position(|fault| fault.text == asked.text && asked.earlier >= fault.earlier)?;
        Some(left.swap_remove(at).act)
    });
    let mut command = world.command(&ONCE);
    command.env("DATABASE_URL", proxy.url());
    let run = crate::world::ended(command.spawn().expect("the runner starts")).await;
    let acts = proxy.acts();
    let context = || format!("faults met: {acts:#?}\nthe run said:\n{}", run.said);
    assert_eq!(run.code, Some(0), "{}", context());
    assert!(
        !run.said.contains("actors restarted") && !run.said.contains("an actor failed"),
        "an outage is no actor's failure (A2); {}",
        context()
    );
    assert!(run.said.contains("nothing is lost"), "{}", context());
    assert_eq!(books(&world).await, expected.books, "{}", context());
    assert_eq!(
        asked(&world),
        expected.asked,
        "a page was asked again; {}",
        context()
    );
    world.assert_truth().await;
    acts.len()
}

/// Sets of faults, some at a time; how many faults were met in all.
async fn all_meet(sets: Vec<Vec<Fault>>, expected: &Undisturbed) -> usize {
    futures_util::stream::iter(sets)
        .map(|faults| meets(faults, expected))
        .buffer_unordered(AT_A_TIME)
        .fold(0, |sum, met| async move { sum + met })
        .await
}

/// The statement at `index` and how many of the same came before it.
fn place(statements: &[String], index: usize) -> (String, usize) {
    let text = &statements[index];
    let earlier = statements[..index]
        .iter()
        .filter(|other| *other == text)
        .count();
    (text.clone(), earlier)
}

fn act(kind: usize, turn: usize) -> Act {
    match kind {
        0 => Act::CutBefore,
        1 => Act::CutAfter,
        _ => Act::Fail(FAILURES[turn % FAILURES.len()]),
    }
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}"))
    })
}

/// The next of a row of numbers that look like chance and are the same for the same seed (splitmix64).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// D1, A2, A8: each different statement of a run once cut off before, once cut off after and once failed, at a place that
/// the seed chooses.
#[tokio::test(flavor = "multi_thread")]
async fn every_different_statement_may_be_lost_unheard_or_refused() {
    let seed = number("MASTER_RUNNER_SEED").unwrap_or(2026);
    println!("MASTER_RUNNER_SEED={seed}");
    let expected = undisturbed().await;
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, text) in expected.statements.iter().enumerate() {
        places.entry(text).or_default().push(index);
    }
    let mut chance = seed;
    let sets_an_act = 6;
    let mut sets = vec![Vec::new(); 3 * sets_an_act];
    let mut first_places: Vec<&Vec<usize>> = places.values().collect();
    // Neighbours of one transaction go to different runs: each repetition of one piece of work waits twice as long.
    first_places.sort_by_key(|places| places[0]);
    let mut faults = 0;
    for kind in 0..3 {
        for (turn, indexes) in first_places.iter().enumerate() {
            let chosen = draw(&mut chance) % u64::try_from(indexes.len()).expect("a small number");
            let chosen = indexes[usize::try_from(chosen).expect("a small number")];
            let (text, earlier) = place(&expected.statements, chosen);
            let act = act(kind, turn + kind);
            sets[kind * sets_an_act + turn % sets_an_act].push(Fault { text, earlier, act });
            faults += 1;
        }
    }
    let met = all_meet(sets, &expected).await;
    println!(
        "{} statements, {} different ones, {met} of {faults} faults met",
        expected.statements.len(),
        places.len()
    );
    assert_eq!(met, faults, "not every fault was met");
}

/// D1, A8: the connection is lost during each COMMIT of a run, and each time it was committed, or each time it was not:
/// the runner looks, it does not guess.
#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_every_commit_without_an_answer_is_looked_up() {
    let expected = undisturbed().await;
    let commits = expected
        .statements
        .iter()
        .filter(|text| *text == "COMMIT")
        .count();
    assert!(commits > 40, "{commits} transactions");
    let runs = 5;
    let mut sets = vec![Vec::new(); 2 * runs];
    for (set, faults) in sets.iter_mut().enumerate() {
        let act = act(set / runs, 0);
        for nth in (set % runs..commits).step_by(runs) {
            // What was cut off before is committed once more, later: the count runs on.
            let again = if act == Act::CutBefore {
                faults.len()
            } else {
                0
            };
            faults.push(Fault {
                text: "COMMIT".to_owned(),
                earlier: nth + again,
                act,
            });
        }
    }
    let faults: usize = sets.iter().map(Vec::len).sum();
    let met = all_meet(sets, &expected).await;
    println!("{commits} transactions, {met} of {faults} faults met");
    assert_eq!(met, faults, "not every fault was met");
}

/// The whole sweep: every statement of a run by its place, each in three ways. Takes long; runs for
/// `MASTER_RUNNER_SOAK_SECS` seconds and says how far it came.
#[tokio::test(flavor = "multi_thread")]
async fn every_statement_at_every_place() {
    let Some(seconds) = number("MASTER_RUNNER_SOAK_SECS") else {
        return;
    };
    let until = Instant::now() + Duration::from_secs(seconds);
    let seed = number("MASTER_RUNNER_SEED").unwrap_or(2026);
    let expected = undisturbed().await;
    let stride = 150;
    let mut rounds: Vec<(usize, usize)> = (0..3)
        .flat_map(|kind| (0..stride).map(move |offset| (kind, offset)))
        .collect();
    let mut chance = seed;
    for at in (1..rounds.len()).rev() {
        let other = draw(&mut chance) % u64::try_from(at + 1).expect("a small number");
        rounds.swap(at, usize::try_from(other).expect("a small number"));
    }
    let all = rounds.len();
    let (mut met, mut done) = (0, 0);
    let mut swept: BTreeSet<(usize, usize)> = BTreeSet::new();
    while !rounds.is_empty() && Instant::now() < until {
        let some: Vec<(usize, usize)> = rounds.drain(..rounds.len().min(AT_A_TIME)).collect();
        let sets = some
            .iter()
            .map(|(kind, offset)| {
                (*offset..expected.statements.len())
                    .step_by(stride)
                    .map(|index| {
                        let (text, earlier) = place(&expected.statements, index);
                        let act = act(*kind, index);
                        Fault { text, earlier, act }
                    })
                    .collect()
            })
            .collect();
        println!("MASTER_RUNNER_SEED={seed}, (act, first statement): {some:?}");
        met += all_meet(sets, &expected).await;
        done += some.len();
        swept.extend(some);
    }
    println!(
        "swept {done} of {all} runs over {} statements, {met} faults met",
        expected.statements.len()
    );
}
