//! Faults at every failpoint: the next start resumes the cycle, and the result equals that of an undisturbed run (D1,
//! D4, D6, A1-A3, O3).
//!
//! The cases are every failpoint x {panic, error, database away, delay, abort of the process}, each at a random moment
//! in a small market. With `MASTER_RUNNER_SOAK_SECS` every case runs in every mode; otherwise in one mode, and only a
//! full run has every action. The choice depends on the seed; `MASTER_RUNNER_SEED` repeats a draw.

pub mod audit;
pub mod faults;
mod races;
mod soak;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use schema::failpoint::{self, Failpoint};
use simulator::MarketConfig;
use store::Writer;
use tokio::process::Child;

use self::audit::{AUDIT, asked_again, difference, left_in, without_second_factsheets};
use self::faults::{Action, Case, Draws, Ending, seed};
use crate::world::extent::is_full;
use crate::world::{Database, Run, World, ended};

const MODES: [&str; 3] = ["sequential", "hybrid", "parallel"];
/// The number of actions that are tried at each failpoint, unless `script/test --full` tries all.
const ACTIONS: usize = 1;
/// The number of runs at once; a run waits most of the time.
const AT_ONCE: usize = 8;
/// The time limit of a run. A run that hangs fails its test.
const RUN_LIMIT: Duration = Duration::from_secs(120);
/// After at most this many starts, a case must be complete.
const MOST_STARTS: usize = 8;

/// The template for all cases: a database that is already migrated.
pub struct Ground {
    template: Database,
}

impl Ground {
    pub async fn prepare() -> Self {
        let template = Database::create().await;
        drop(
            Writer::open(&template.url(), Duration::from_secs(10))
                .await
                .expect("the database is migrated"),
        );
        let client = template.connect().await;
        client.batch_execute(AUDIT).await.expect("the audit is set");
        // A request that changes nothing, so that a run passes the failpoints of requests.
        client
            .batch_execute(
                "INSERT INTO runner.request (requested_by, command) VALUES ('a test', 'remerge')",
            )
            .await
            .expect("a request is placed");
        drop(client);
        template.end_sessions().await;
        Self { template }
    }

    /// A new world for one case, with this value of `FAILPOINTS`.
    pub async fn world(&self, failpoints: String) -> World {
        let market = MarketConfig {
            funds: 8,
            days: 15,
            ..MarketConfig::default()
        };
        let mut world = World::with(market, self.template.copy().await).await;
        world.settings.failpoints = failpoints;
        world.settings.more = "supervision: (restart_delay_secs: (1, 1)),".to_owned();
        world
    }
}

/// The result of an undisturbed run, and how often it passes each failpoint.
pub struct Undisturbed {
    pub left: Vec<String>,
    passed: BTreeMap<(&'static str, Failpoint), usize>,
}

impl Undisturbed {
    pub async fn run(ground: &Ground) -> Self {
        let mut passed = BTreeMap::new();
        let mut left: Vec<Vec<String>> = Vec::new();
        for mode in MODES {
            let everywhere: Vec<String> = failpoint::ALL
                .iter()
                .map(|point| format!("{point}=return(note)"))
                .collect();
            let world = ground.world(everywhere.join(";")).await;
            let run = run(&world, mode).await;
            run.exits(0);
            for point in failpoint::ALL {
                let note = format!("failpoint {point}: note\n");
                passed.insert((mode, *point), run.output.matches(&note).count());
            }
            world.assert_truth().await;
            assert_eq!(asked_again(&world).await, Vec::<String>::new(), "{mode}");
            left.push(left_in(&world).await);
            world.database.remove().await;
        }
        for other in &left[1..] {
            assert_eq!(difference(&left[0], other), "", "the modes differ");
        }
        Self {
            left: left.swap_remove(0),
            passed,
        }
    }

    /// A random pass of a failpoint that an undisturbed run reaches.
    pub fn moment(&self, mode: &'static str, point: Failpoint, draws: &mut Draws) -> usize {
        // The number of batches depends on timing, so the last third of the passes may not happen.
        draws.below(self.passed[&(mode, point)] * 2 / 3)
    }
}

pub fn arguments(mode: &str) -> [&str; 7] {
    [
        "--once",
        "--no-progress",
        "--cycle",
        "monthly",
        "--date=2026-10-15",
        "--mode",
        mode,
    ]
}

/// One start of the runner, until it ends.
pub async fn run(world: &World, mode: &str) -> Run {
    until_end(world.spawn(&arguments(mode))).await
}

pub async fn until_end(child: Child) -> Run {
    tokio::time::timeout(RUN_LIMIT, ended(child))
        .await
        .unwrap_or_else(|_| panic!("the run did not end within {RUN_LIMIT:?}"))
}

pub fn stop(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    // A run that has ended meanwhile needs no signal.
    let _ = pid.map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
}

/// Whether the case is complete: the cycle is closed and none of its tasks failed.
pub async fn is_whole(world: &World) -> bool {
    let open = "SELECT 1 FROM runner.cycle WHERE state = 'open' UNION ALL SELECT 1 FROM runner.task
                WHERE acked_cycle IS NULL OR outcome IN ('failed', 'deferred')";
    let closed = "SELECT 1 FROM runner.cycle WHERE state = 'closed'";
    world.ask(open).await.is_empty() && !world.ask(closed).await.is_empty()
}

/// Starts the same command until the case is complete. Returns the number of starts.
///
/// # Errors
/// A description of the first start that ended wrongly.
pub async fn go_on(world: &mut World, mode: &str) -> Result<usize, String> {
    world.settings.failpoints = String::new();
    for starts in 0..MOST_STARTS {
        if is_whole(world).await {
            return Ok(starts);
        }
        let again = run(world, mode).await;
        if again.code != Some(0) {
            return Err(format!(
                "the next start exits {:?}:\n{}",
                again.code, again.output
            ));
        }
    }
    Err(format!("not whole after {MOST_STARTS} starts"))
}

/// Checks the tables, the audit and the request log of a finished case. Returns the errors; empty if there are none.
pub async fn verdict(world: &World, undisturbed: &Undisturbed) -> String {
    let left = left_in(world).await;
    let mut told = match world
        .one::<i16>("SELECT max(round) FROM runner.cycle")
        .await
    {
        _ if left == undisturbed.left => String::new(),
        2 => difference(
            &without_second_factsheets(&undisturbed.left),
            &without_second_factsheets(&left),
        ),
        _ => difference(&undisturbed.left, &left),
    };
    for again in asked_again(world).await {
        told.push_str(&format!("  {again}\n"));
    }
    told
}

/// Describes the difference if the run did not end as the case requires.
fn ended_wrong(case: &Case, run: &Run) -> Option<String> {
    let restarted = run.output.contains("actors restarted:");
    let right = match case.ending() {
        Ending::Unimpressed => run.code == Some(0) && !restarted,
        Ending::Restarted => run.code == Some(0) && restarted,
        Ending::Failed => run.code == Some(1),
        Ending::Dead => run.code.is_none(),
        // The run may have finished before the signal arrived.
        Ending::Stopped => matches!(run.code, Some(4 | 0)),
        Ending::FailedOrStopped => matches!(run.code, Some(1 | 4)),
    };
    (!right).then(|| {
        format!(
            "exit {:?}, not {:?}:\n{}",
            run.code,
            case.ending(),
            run.output
        )
    })
}

/// Runs a case and starts the runner again until the case is complete. Returns `None` if the fault was never reached.
async fn survive(
    ground: &Ground,
    undisturbed: &Undisturbed,
    case: &Case,
) -> Option<Result<(), String>> {
    let mut world = ground.world(case.failpoints()).await;
    if case.is_stopped() {
        // Seconds of work are left when the signal arrives, even on a busy machine.
        world.settings.requests_per_sec = 8.0;
    }
    let child = world.spawn(&arguments(case.mode));
    if case.is_stopped() {
        while world.simulator.log().requests.len() < 12 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop(&child);
    }
    let first = until_end(child).await;
    world.settings.requests_per_sec = 1000.0;
    let reached = format!("failpoint {}: {}\n", case.point, case.action.name());
    let result = if first.output.matches(&reached).count() != 1 {
        None
    } else if let Some(wrong) = ended_wrong(case, &first) {
        Some(Err(wrong))
    } else {
        Some(match go_on(&mut world, case.mode).await {
            Err(wrong) => Err(format!("{wrong}\nafter the first one:\n{}", first.output)),
            Ok(_) => match verdict(&world, undisturbed).await {
                wrong if wrong.is_empty() => Ok(()),
                wrong => Err(format!("{wrong}after:\n{}", first.output)),
            },
        })
    };
    world.database.remove().await;
    result
}

/// Every failpoint with every action in a full run, otherwise with [`ACTIONS`] of them. In every mode if `whole` is
/// set, otherwise each in one mode. The seed selects actions and modes.
fn every_case(undisturbed: &Undisturbed, seed: u64, whole: bool) -> Vec<Case> {
    let mut draws = Draws(seed);
    let first = draws.below(MODES.len());
    let actions = if whole || is_full() {
        usize::MAX
    } else {
        ACTIONS
    };
    let faults = failpoint::ALL.iter().enumerate().flat_map(|(turn, point)| {
        let mut all: Vec<Action> = Action::at(*point).collect();
        let chosen = (first + turn) % all.len().max(1);
        all.rotate_left(chosen);
        all.into_iter().take(actions).map(|action| (*point, action))
    });
    let mut cases = Vec::new();
    for (number, (point, action)) in faults.enumerate() {
        for (turn, mode) in MODES.into_iter().enumerate() {
            if whole || (first + number) % MODES.len() == turn {
                let after = undisturbed.moment(mode, point, &mut draws);
                cases.push(Case {
                    point,
                    action,
                    mode,
                    after,
                });
            }
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_the_tables_are_those_of_an_undisturbed_run() {
    let seed = seed();
    let ground = Ground::prepare().await;
    let undisturbed = Undisturbed::run(&ground).await;
    let whole = std::env::var_os("MASTER_RUNNER_SOAK_SECS").is_some();
    let cases = every_case(&undisturbed, seed, whole);
    let (ground, undisturbed) = (&ground, &undisturbed);
    let wrong: Vec<String> = futures_util::stream::iter(cases.clone())
        .map(|mut case| async move {
            loop {
                match survive(ground, undisturbed, &case).await {
                    Some(Ok(())) => return None,
                    Some(Err(wrong)) => return Some(format!("{case}:\n{wrong}")),
                    // This run had fewer batches than the undisturbed one.
                    None if case.after > 0 => case.after /= 2,
                    None => return Some(format!("{case}: the fault was never reached")),
                }
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    println!("seed {seed}: {} cases", cases.len());
    assert!(
        wrong.is_empty(),
        "MASTER_RUNNER_SEED={seed}: {} of {} cases went wrong:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
