//! Model test of the protocol between supervisor, sources, merge and loader, over its interleavings. It runs the real
//! actors. A script directs the store and the sites, and the paused clock advances only when every task waits.
//!
//! The disturbances are faults, crashes, restarts, duplicate deliveries and stale incarnations at any step (D1, D6,
//! A1-A6). The test checks that under all of them:
//!
//! - a task is acknowledged if and only if it is committed;
//! - no task is committed twice, and no acknowledged task is requested again;
//! - a task that killed its source twice is not requested a third time;
//! - a source is quarantined, or the cycle given up, only after more deaths than the budget allows;
//! - every `AskSource` ends, at capacity 1 as well, so no credit is lost.

mod script;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Actor as _;
use actors::fetch::AskedSource;
use actors::loader_actor::WriterSettings;
use actors::messages::{AskSource, BeginShutdown, PipelineError, ReadSnapshot, SourceEnd};
use actors::restart_policy::RestartPolicy;
use actors::run_mode::ModeSizes;
use actors::snapshot::SourceProgress;
use actors::supervisor::{Supervisor, SupervisorSettings};
use schema::back_off::BackOff;
use schema::{PlannedTask, SourceName, TaskId};
use script::{Choice, Script, search};
use sources::page::{Cadence, PageSpec, Stage};
use sources::transport::AskingLease;
use store::{Cycle, CycleKind, Scope, TaskFilter};
use tokio::sync::watch;
use world::{ScriptedFetcher, ScriptedSession, World};

/// Work that has not ended after this time counts as hung.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// Restart budgets: of one source, and of merge or loader.
const SOURCE_BUDGET: u32 = 5;
const PIPELINE_BUDGET: u32 = 3;
const SOURCES: [SourceName; 2] = [SourceName::Finnomena, SourceName::Wealthmagik];

const fn page(name: &'static str, tasks_per_request: usize) -> PageSpec {
    PageSpec {
        name,
        stage: Stage::Funds,
        critical: false,
        tells_factsheets: false,
        cadence: Cadence::EveryCycle,
        tasks_per_request: match NonZeroUsize::new(tasks_per_request) {
            Some(tasks) => tasks,
            None => NonZeroUsize::MIN,
        },
        parser_version: 1,
        extents: &[],
        has_daily_values: false,
        chain: None,
    }
}
static PAGES: [PageSpec; 2] = [page("single", 1), page("grouped", 2)];

/// The sizes of a model.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    tasks_per_source: usize,
    lanes: usize,
    credits: usize,
    loader_mailbox: usize,
}

/// The smallest sizes of mailboxes, credits and lanes.
const CAPACITY_ONE: Sizes = Sizes {
    tasks_per_source: 2,
    lanes: 1,
    credits: 1,
    loader_mailbox: 1,
};
/// Small sizes with which answers can still wait while their source dies.
const CAPACITY_TWO: Sizes = Sizes {
    tasks_per_source: 3,
    lanes: 2,
    credits: 2,
    loader_mailbox: 1,
};

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// Makes the merge actor panic where the script chooses it.
fn let_merge_panic() {
    let scripted = || {
        let panics = WORLD.with_borrow(|world| {
            let world = world.as_ref()?;
            (world.choose("merge", 2) == 1).then(|| {
                world.dies("pipeline");
                world.merge_panics.set(world.merge_panics.get() + 1);
            })
        });
        assert!(panics.is_none(), "the merge panics");
    };
    fail::cfg_callback("merge::received", scripted).expect("a failpoint");
}

fn tasks(sizes: Sizes) -> Vec<TaskId> {
    let names = |source: SourceName| {
        (0..sizes.tasks_per_source).map(move |number| TaskId {
            source,
            page: PAGES[usize::from(number >= 4)].name.to_owned(),
            key: format!("F{number}"),
        })
    };
    SOURCES.into_iter().flat_map(names).collect()
}

fn settings(world: &Rc<World>, sizes: Sizes) -> SupervisorSettings<Rc<World>> {
    let size = |number| NonZeroUsize::new(number).expect("at least one");
    let policy = |restarts: u32| RestartPolicy {
        // Without a delay no jitter is drawn, so the same script gives the same run.
        delay: BackOff::new(Duration::ZERO, Duration::ZERO),
        ..RestartPolicy::new(restarts as usize, Duration::from_secs(600))
    };
    let asked = |source| AskedSource {
        fetcher: Rc::new(ScriptedFetcher {
            world: Rc::clone(world),
            source,
        }),
        pages: &PAGES,
    };
    SupervisorSettings {
        sizes: ModeSizes {
            fetches_in_flight: size(sizes.lanes),
            credits: size(sizes.credits),
            loader_mailbox: size(sizes.loader_mailbox),
            browser_sessions: size(1),
        },
        // An answer has up to three rows: some take the whole budget, some wait for it.
        rows_under_way: NonZeroU32::MIN.saturating_add(1),
        source_policy: policy(SOURCE_BUDGET),
        pipeline_policy: policy(PIPELINE_BUDGET),
        stuck_after: Duration::from_secs(20),
        shutdown_deadline: Duration::from_secs(2),
        writer: WriterSettings {
            access: Rc::clone(world),
            lock_patience: Duration::from_secs(10),
            back_off: BackOff::new(Duration::from_millis(100), Duration::from_secs(5)),
            refusal_patience: Duration::from_secs(10),
            revive: None,
        },
        // The scripted sites do not check the lease.
        lease: AskingLease::default(),
        askers: SOURCES
            .into_iter()
            .map(|source| (source, asked(source)))
            .collect(),
    }
}

/// How a process ended.
enum ProcessEnd {
    /// It was killed.
    Killed,
    /// Its sources did not end.
    Hung,
    Ended,
}

/// Runs one process, which requests all tasks that are left.
fn run_process(
    world: &Rc<World>,
    sizes: Sizes,
    kill_after: Option<u64>,
    stop_after: Option<u64>,
) -> ProcessEnd {
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime")
    });
    system.block_on(async {
        let (stop, _stopped) = watch::channel(false);
        let supervisor = Supervisor::<ScriptedSession>::new(settings(world, sizes), None, stop).start();
        if let Some(after) = stop_after {
            let supervisor = supervisor.clone();
            actix::spawn(async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                supervisor.do_send(BeginShutdown);
            });
        }
        let mut tasks: BTreeMap<SourceName, Vec<PlannedTask>> = BTreeMap::new();
        for task in world.left() {
            tasks.entry(task.id.source).or_default().push(task);
        }
        let before = world.committed();
        let cycle = Arc::new(Cycle {
            id: 1,
            cycle_date: jiff::civil::date(2026, 10, 15),
            kind: CycleKind::Daily,
            scope: Scope::Full,
            round: 1,
            resumed: false,
        });
        let asked = tasks.into_iter().map(|(source, tasks)| {
            let asking = supervisor.send(AskSource {
                cycle: Arc::clone(&cycle),
                source,
                tasks,
                filter: TaskFilter::WHOLE,
                final_round: false,
            });
            async move { (source, asking.await.expect("the supervisor answers")) }
        });
        let running = futures_util::future::join_all(asked);
        let killed = async {
            match kill_after {
                Some(after) => tokio::time::sleep(Duration::from_millis(after)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = killed => ProcessEnd::Killed,
            () = tokio::time::sleep(FOR_EVER) => ProcessEnd::Hung,
            ended = running => {
                // Checked at this moment: nothing may be committed later.
                for (source, ended) in &ended {
                    check_end(world, *source, ended, stop_after.is_some());
                }
                let shown = supervisor.send(ReadSnapshot).await.expect("the supervisor answers");
                let told: usize = shown.sources.values().map(SourceProgress::ended).sum();
                let written = world.committed() - before;
                if told > written || (told < written && stop_after.is_none() && !world.shut_out.get() && world.deaths.borrow().is_empty()) {
                    world.breaks(format!("{written} tasks were committed, the supervisor was told of {told}"));
                }
                ProcessEnd::Ended
            }
        }
    })
}

fn check_end(
    world: &World,
    source: SourceName,
    ended: &Result<SourceEnd, PipelineError>,
    stopping: bool,
) {
    let deaths = |child: &str| world.deaths.borrow().get(child).copied().unwrap_or(0);
    let end = match ended {
        Ok(end) => end,
        Err(error) => {
            if !stopping && !world.shut_out.get() && deaths("pipeline") <= PIPELINE_BUDGET {
                world.breaks(format!("given up within the budget: {error}"));
            }
            return;
        }
    };
    match end {
        SourceEnd::Finished => {
            for task in world.left().iter().filter(|task| task.id.source == source) {
                world.breaks(format!(
                    "{source} has finished, and {} is not committed",
                    task.id
                ));
            }
        }
        SourceEnd::Quarantined(why) if deaths(source.as_str()) <= SOURCE_BUDGET => {
            world.breaks(format!("{source} is quarantined within its budget: {why}"));
        }
        SourceEnd::Stopped if !stopping => world.breaks(format!("{source} stopped unasked")),
        SourceEnd::Quarantined(_) | SourceEnd::Stopped => {}
    }
}

/// Runs processes one after the other until one ends by itself. Each may be killed or stopped at a scripted moment.
fn live(world: &Rc<World>, sizes: Sizes) {
    /// Moments in milliseconds, around the first steps of an undisturbed run: a request takes 10, a transaction 5.
    const MOMENTS: [u64; 6] = [1, 9, 12, 16, 21, 34];
    const MOST_PROCESSES: usize = 6;
    WORLD.set(Some(Rc::clone(world)));
    for process in 1..=MOST_PROCESSES {
        world.begin_process();
        let undisturbed = process == MOST_PROCESSES;
        let moment = |point| {
            let chosen = if undisturbed {
                0
            } else {
                world.choose(point, MOMENTS.len() + 1)
            };
            chosen.checked_sub(1).map(|moment| MOMENTS[moment])
        };
        let (kill_after, stop_after) = (moment("kill"), moment("stop"));
        match run_process(world, sizes, kill_after, stop_after) {
            ProcessEnd::Hung => return world.breaks("the sources never end".to_owned()),
            ProcessEnd::Killed => {}
            ProcessEnd::Ended if stop_after.is_some() || world.shut_out.get() => {}
            ProcessEnd::Ended => return,
        }
    }
}

/// Runs a script and returns the choices taken.
fn run_script(script: Script, sizes: Sizes, name: &str, merge_panics: &mut u32) -> Vec<Choice> {
    let world = World::new(script, tasks(sizes));
    live(&world, sizes);
    *merge_panics += world.merge_panics.get();
    let taken = std::mem::take(&mut world.script.borrow_mut().taken);
    let broken = world.broken.borrow();
    let disturbed: Vec<&Choice> = taken.iter().filter(|choice| choice.chosen > 0).collect();
    assert!(
        broken.is_empty(),
        "{name}, {sizes:?}: {broken:#?}\ndisturbed by {disturbed:?}\nall choices: {:?}",
        taken.iter().map(|choice| choice.chosen).collect::<Vec<_>>()
    );
    taken
}

fn number_from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, found `{text}`")),
    )
}

/// Suppresses the scripted panics: their backtraces would hide the real output.
fn without_scripted_panics<T>(run: impl FnOnce() -> T) -> T {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic
            .payload()
            .downcast_ref::<&str>()
            .copied()
            .unwrap_or("");
        let text = panic
            .payload()
            .downcast_ref::<String>()
            .map_or(text, String::as_str);
        if !["the merge panics", "the loader panics", "the source panics"]
            .iter()
            .any(|scripted| text.starts_with(scripted))
        {
            usual(panic);
        }
    }));
    run()
}

/// Number of seeds in every run, independent of the machine's speed: some deliberately inserted faults are found only
/// at seed 264.
const RANDOM_RUNS: u64 = 600;

/// One test, because failpoints and the panic hook are global to the process. It runs all scripts with a limited number
/// of disturbances, then long random ones.
#[test]
fn in_every_course_a_task_is_acknowledged_exactly_when_it_is_committed() {
    without_scripted_panics(|| {
        let _failpoints = fail::FailScenario::setup();
        let_merge_panic();
        let soak = number_from_environment("MASTER_RUNNER_SOAK_SECS");
        let seed = number_from_environment("MASTER_RUNNER_SEED");
        let mut merge_panics = 0;
        if seed.is_none() {
            let searches = [(CAPACITY_ONE, 2), (CAPACITY_TWO, 2)];
            for (sizes, most) in searches {
                let began = Instant::now();
                let mut points: BTreeMap<&str, usize> = BTreeMap::new();
                let runs = search(most, |choices| {
                    let taken = run_script(
                        Script::given(choices.to_vec()),
                        sizes,
                        "searched",
                        &mut merge_panics,
                    );
                    for choice in taken.iter().filter(|choice| choice.chosen > 0) {
                        *points.entry(choice.point).or_default() += 1;
                    }
                    taken
                });
                println!(
                    "{sizes:?}, at most {most} disturbances: {runs} runs in {:?}; disturbed at {points:?}",
                    began.elapsed()
                );
                assert!(
                    points.len() >= 8,
                    "some kind of disturbance never happened: {points:?}"
                );
            }
            assert!(
                merge_panics > 0,
                "the failpoint of the merge was never reached"
            );
        }
        let (began, mut next) = (Instant::now(), seed.unwrap_or(1));
        let limit = Duration::from_secs(soak.unwrap_or(0));
        loop {
            let sizes = Sizes {
                tasks_per_source: 1 + (next % 7) as usize,
                lanes: 1 + (next / 2 % 3) as usize,
                credits: 1 + (next / 6 % 3) as usize,
                loader_mailbox: 1 + (next / 18 % 2) as usize,
            };
            run_script(
                Script::drawn(next),
                sizes,
                &format!("MASTER_RUNNER_SEED={next}"),
                &mut merge_panics,
            );
            next += 1;
            let enough = soak.is_some() || next > RANDOM_RUNS;
            if seed.is_some() || (enough && began.elapsed() > limit) {
                break;
            }
        }
        println!("random runs up to seed {next} in {:?}", began.elapsed());
    });
}
