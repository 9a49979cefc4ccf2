//! Faults at every statement of a run: cut before the server receives it, cut before the runner receives the answer, or
//! failed by the server. Each run ends like the undisturbed one, including all counters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use simulator::Row;
use tokio::sync::OnceCell;

use super::{ONCE, market, number, soak_secs};
use crate::world::extent::is_full;
use crate::world::{Act, DatabaseProxy, Rule, World};

/// The number of runs at once; a run waits most of the time.
const AT_A_TIME: usize = 15;

/// Errors that a server may return for any statement.
const FAILURES: [&str; 10] = [
    "40001", "40P01", "53100", "53200", "53300", "25006", "55P03", "57014", "57P01", "58030",
];

/// A fault at the first statement with this text that follows at least `earlier` equal ones.
#[derive(Debug, Clone)]
struct Fault {
    text: String,
    earlier: usize,
    act: Act,
}

/// The record of an undisturbed run.
struct Undisturbed {
    statements: Vec<String>,
    books: Vec<Row>,
    asked: BTreeMap<String, usize>,
}

/// The rows that would reveal a batch that was lost or written twice.
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
    for request in world.simulator.log().requests {
        *asked
            .entry(format!("{:?} {}", request.site, request.path))
            .or_default() += 1;
    }
    asked
}

/// The undisturbed run, which all tests share.
async fn undisturbed() -> &'static Undisturbed {
    static RUN: OnceCell<Undisturbed> = OnceCell::const_new();
    RUN.get_or_init(run_undisturbed).await
}

async fn run_undisturbed() -> Undisturbed {
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

/// A rule that applies each of these faults once.
fn at_places(mut left: Vec<Fault>) -> Rule {
    Box::new(move |asked| {
        let at = left
            .iter()
            .position(|fault| fault.text == asked.text && asked.earlier >= fault.earlier)?;
        Some(left.swap_remove(at).act)
    })
}

/// Collects the writing statements from one COMMIT to the next.
#[derive(Default)]
struct Transactions {
    writes: Vec<String>,
}

impl Transactions {
    /// Returns, at a COMMIT, the statements that wrote the transaction.
    fn see(&mut self, text: &str) -> Option<String> {
        match text {
            "START TRANSACTION" => self.writes.clear(),
            "COMMIT" => return Some(std::mem::take(&mut self.writes).join("\n")),
            text => {
                let statement = text.strip_prefix("run ").unwrap_or_default();
                let writes = ["INSERT", "UPDATE", "DELETE", "WITH"];
                if writes.iter().any(|word| statement.starts_with(word)) {
                    self.writes.push(statement.to_owned());
                }
            }
        }
        None
    }
}

/// The transactions of the disturbed runs in order, each once even if it was repeated.
type Committed = Arc<Mutex<Vec<String>>>;

/// Applies the fault to every `stride`th transaction of the run from `first` on, at the transaction's first COMMIT.
fn at_commits(act: Act, first: usize, stride: usize, committed: Committed) -> Rule {
    let mut transactions = Transactions::default();
    let mut repeats = false;
    Box::new(move |asked| {
        let writes = transactions.see(asked.text)?;
        if std::mem::take(&mut repeats) {
            return None;
        }
        let mut committed = committed.lock();
        let chosen = committed.len() % stride == first;
        // A committed transaction that the runner finds again, by the batch's name or the schema's version, gets no
        // second COMMIT.
        let is_found =
            writes.contains("runner.last_batch") || writes.contains("runner.schema_version");
        committed.push(writes);
        repeats = chosen && (act == Act::CutBefore || !is_found);
        chosen.then_some(act)
    })
}

/// Asserts that a run with these faults ends like the undisturbed one. Returns how many faults it met.
async fn meets(faults: Rule, expected: &Undisturbed) -> usize {
    let world = World::new(market()).await;
    let proxy = DatabaseProxy::before(&world.database.url()).await;
    proxy.rule(faults);
    let mut command = world.command(&ONCE);
    command.env("DATABASE_URL", proxy.url());
    let run = crate::world::ended(command.spawn().expect("the runner starts")).await;
    let acts = proxy.acts();
    let context = || format!("faults met: {acts:#?}\nthe run printed:\n{}", run.output);
    assert_eq!(run.code, Some(0), "{}", context());
    assert!(
        !run.output.contains("actors restarted") && !run.output.contains("an actor failed"),
        "an outage is no actor's failure (A2); {}",
        context()
    );
    assert!(run.output.contains("nothing is lost"), "{}", context());
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

/// Runs sets of faults, some at a time. Returns how many faults were met in all.
async fn all_meet(sets: Vec<Rule>, expected: &Undisturbed) -> usize {
    futures_util::stream::iter(sets)
        .map(|faults| meets(faults, expected))
        .buffer_unordered(AT_A_TIME)
        .fold(0, |sum, met| async move { sum + met })
        .await
}

/// The statement at `index`, and how many equal ones came before it.
pub fn place(statements: &[String], index: usize) -> (String, usize) {
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

/// The next number of a pseudo-random sequence that the seed determines (splitmix64).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// D1, A2, A8: each different statement of a run is cut before, cut after or failed, at a position that the seed
/// selects; each of the three in a full run.
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
    // A part of the faults fits into fewer runs at the same distance from each other.
    let sets_an_act = if is_full() { 10 } else { 4 };
    let mut sets = vec![Vec::new(); 3 * sets_an_act];
    let mut first_places: Vec<&Vec<usize>> = places.values().collect();
    // Neighbouring statements of a transaction go to different runs, because each repetition of the same work waits
    // twice as long.
    first_places.sort_by_key(|places| places[0]);
    let mut faults = 0;
    for kind in 0..3 {
        for (turn, indexes) in first_places.iter().enumerate() {
            if !is_full() && turn % 3 != kind {
                continue;
            }
            let chosen = draw(&mut chance) % u64::try_from(indexes.len()).expect("a small number");
            let chosen = indexes[usize::try_from(chosen).expect("a small number")];
            let (text, earlier) = place(&expected.statements, chosen);
            let act = act(kind, turn + kind);
            sets[kind * sets_an_act + turn % sets_an_act].push(Fault { text, earlier, act });
            faults += 1;
        }
    }
    let sets = sets.into_iter().map(at_places).collect();
    let met = all_meet(sets, expected).await;
    println!(
        "{} statements, {} different ones, {met} of {faults} faults met",
        expected.statements.len(),
        places.len()
    );
    assert_eq!(met, faults, "not every fault was met");
}

/// D1, A8: the connection is lost during each COMMIT of a run, once after the server committed and once before. The
/// runner looks up the outcome.
#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_every_commit_without_an_answer_is_looked_up() {
    let expected = undisturbed().await;
    let mut transactions = Transactions::default();
    let all: Vec<String> = expected
        .statements
        .iter()
        .filter_map(|text| transactions.see(text))
        .collect();
    assert!(all.len() > 40, "{} transactions", all.len());
    let stride = 3;
    let mut sets = Vec::new();
    let mut runs = Vec::new();
    for act in [Act::CutBefore, Act::CutAfter] {
        for first in 0..stride {
            let committed = Committed::default();
            sets.push(at_commits(act, first, stride, Arc::clone(&committed)));
            runs.push((act, first, committed));
        }
    }
    let met = all_meet(sets, expected).await;
    println!("{} transactions, {met} COMMITs cut off", all.len());
    assert_eq!(met, 2 * all.len(), "not every COMMIT was cut off");
    for (act, first, committed) in runs {
        let committed = committed.lock();
        assert_eq!(*committed, all, "other transactions, {act:?} from {first}");
    }
}

/// The complete sweep: every statement of a run at its position, each with three faults. Runs for
/// `MASTER_RUNNER_SOAK_SECS` seconds and prints how far it came.
#[tokio::test(flavor = "multi_thread")]
async fn every_statement_at_every_place() {
    let Some(seconds) = soak_secs("sweep::every_statement_at_every_place") else {
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
            .map(at_places)
            .collect();
        println!("MASTER_RUNNER_SEED={seed}, (act, first statement): {some:?}");
        met += all_meet(sets, expected).await;
        done += some.len();
        swept.extend(some);
    }
    println!(
        "swept {done} of {all} runs over {} statements, {met} faults met",
        expected.statements.len()
    );
}
