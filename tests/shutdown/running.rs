//! Helpers to stop a runner and to check the state after its end.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use simulator::{LoggedRequest, Row};
use tokio::process::{Child, Command};

use crate::resume::acknowledged_pages;
use crate::world::{PageAsked, Run, World};

/// The time within which an interrupted wait ends, on a busy machine.
pub const PROMPTLY: Duration = Duration::from_secs(4);
/// The time limit of every wait. A wait that hangs fails its test.
const LIMIT: Duration = Duration::from_secs(120);
/// The time within which the server ends the session of a dead runner, even in the middle of a statement.
const SESSION_LIMIT: Duration = Duration::from_secs(6);
/// The time within which every process that the runner started has ended.
const PROCESS_LIMIT: Duration = Duration::from_secs(5);
/// The environment variable that marks all processes which a test's runner has started.
const MARK: &str = "MASTER_RUNNER_TEST_RUN";

/// A runner whose output can be read while it runs.
pub struct Running {
    child: Child,
    pid: Pid,
    log: PathBuf,
    mark: String,
    /// When the process was started.
    pub began: Instant,
}

/// A runner that received a stop and has ended.
pub struct Stopped {
    /// Exit code and output.
    pub run: Run,
    /// The time from the signal to the end.
    pub took: Duration,
}

impl Running {
    /// Starts the runner and waits until it handles signals.
    pub async fn start(world: &World, args: &[&str]) -> Self {
        let mut running = Self::spawn(world.command(args), world);
        running.hears_signals().await;
        running
    }

    /// Starts a command of this world.
    pub fn spawn(command: Command, world: &World) -> Self {
        Self::spawn_to(command, world, None)
    }

    /// Starts a command of this world with its standard output redirected.
    pub fn spawn_with_output(command: Command, world: &World, output: OwnedFd) -> Self {
        Self::spawn_to(command, world, Some(Stdio::from(output)))
    }

    fn spawn_to(mut command: Command, world: &World, output: Option<Stdio>) -> Self {
        let number = world
            .dir()
            .read_dir()
            .map_or(0, |entries| entries.flatten().count());
        let log = world.dir().join(format!("run-{number}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log");
        let output =
            output.unwrap_or_else(|| Stdio::from(file.try_clone().expect("a second handle")));
        let mark = format!("{}-{number}", world.dir().display());
        let child = command
            .env(MARK, &mark)
            .process_group(0)
            .stdout(output)
            .stderr(Stdio::from(file))
            .spawn()
            .expect("the runner starts");
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self {
            pid: Pid::from_raw(pid.expect("it runs")),
            child,
            log,
            mark,
            began: Instant::now(),
        }
    }

    /// Waits until SIGTERM has a handler and no longer kills the process by default.
    pub async fn hears_signals(&mut self) {
        let status = format!("/proc/{}/status", self.pid);
        wait_until("the runner hears signals", async || {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            mask.is_some_and(|mask| mask & (1 << (Signal::SIGTERM as u64 - 1)) != 0)
        })
        .await;
    }

    /// The log output so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log output contains these words.
    pub async fn says(&self, words: &str) {
        let what = format!("the runner says `{words}`; see {}", self.log.display());
        wait_until(&what, async || self.said().contains(words)).await;
    }

    /// Sends a signal. The process may have ended by itself.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }

    /// Whether the runner has a child process of this name.
    pub fn has_child(&self, name: &str) -> bool {
        processes_of(self.pid, &self.mark)
            .iter()
            .any(|found| found.contains(name))
    }

    /// Waits until the runner has ended and has left neither a process nor a session in the database.
    pub async fn ended(mut self, world: &World) -> Run {
        let run = self.end().await;
        self.leaves_no_session(world, &run).await;
        run
    }

    /// Sends the signal and waits as [`Running::ended`] does.
    pub async fn stop(mut self, world: &World, signal: Signal) -> Stopped {
        let stopped = self.stop_unseen(signal).await;
        self.leaves_no_session(world, &stopped.run).await;
        stopped
    }

    /// Like [`Running::stop`], and asserts exit code 4 and an end within [`PROMPTLY`].
    pub async fn stops_promptly(self, world: &World, signal: Signal) {
        let stopped = self.stop(world, signal).await;
        stopped.run.exits(4);
        assert!(
            stopped.took < PROMPTLY,
            "{:?}; it printed:\n{}",
            stopped.took,
            stopped.run.output
        );
    }

    /// Waits until the runner and all its processes have ended. Other runners may use the database.
    pub async fn end(&mut self) -> Run {
        let status = tokio::time::timeout(LIMIT, self.child.wait()).await;
        let Ok(status) = status else {
            panic!("the runner did not end; it printed:\n{}", self.said());
        };
        let run = Run {
            code: status.expect("it can be waited for").code(),
            output: self.said(),
        };
        // The browser's watchdog ends the remaining processes and then itself.
        let began = Instant::now();
        loop {
            let left = processes_of(self.pid, &self.mark);
            if left.is_empty() {
                break;
            }
            assert!(
                began.elapsed() < PROCESS_LIMIT,
                "these run on: {left:?}; the run printed:\n{}",
                run.output
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        run
    }

    /// Like [`Running::stop`], without a check of the database.
    pub async fn stop_unseen(&mut self, signal: Signal) -> Stopped {
        let told = Instant::now();
        self.signal(signal);
        let status = tokio::time::timeout(LIMIT, self.child.wait()).await;
        let took = told.elapsed();
        assert!(status.is_ok(), "no stop; it printed:\n{}", self.said());
        Stopped {
            run: self.end().await,
            took,
        }
    }

    async fn leaves_no_session(&self, world: &World, run: &Run) {
        let began = Instant::now();
        loop {
            let sessions: i64 = world
                .one("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'master_runner%'")
                .await;
            if sessions == 0 {
                break;
            }
            assert!(
                began.elapsed() < SESSION_LIMIT,
                "its session in the database is left; it printed:\n{}",
                run.output
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The processes of the runner's group, and those with its mark in their environment.
fn processes_of(runner: Pid, mark: &str) -> Vec<String> {
    let mark = format!("{MARK}={mark}");
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let mut found = Vec::new();
    for entry in entries {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((name, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // State, parent, group.
        let (state, group) = (fields.first(), fields.get(2));
        if matches!(state, Some(&"Z" | &"X")) {
            continue;
        }
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let marked = environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes());
        if marked || group.is_some_and(|group| *group == runner.to_string()) {
            found.push(name.to_owned());
        }
    }
    found
}

/// Waits until a condition is true, and fails after the time limit.
pub async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < LIMIT, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The acknowledged tasks with the times of their answers, and their pages.
pub struct Acknowledged {
    tasks: Vec<Row>,
    pages: BTreeSet<PageAsked>,
    /// The number of logged requests when this was read.
    requests: usize,
}

const ACKNOWLEDGED: &str = "SELECT source, page, key, outcome, last_answer_at::text FROM runner.task
    WHERE acked_cycle = planned_cycle AND outcome IN ('done', 'unchanged', 'absent') ORDER BY 1, 2, 3";

impl Acknowledged {
    /// Reads the present state of the database.
    pub async fn read(world: &World) -> Self {
        let migrated: bool = world
            .one("SELECT to_regclass('runner.heartbeat') IS NOT NULL")
            .await;
        let (tasks, pages) = if migrated {
            (
                world.ask(ACKNOWLEDGED).await,
                acknowledged_pages(world).await,
            )
        } else {
            (Vec::new(), BTreeSet::new())
        };
        Self {
            tasks,
            pages,
            // Counted last: a runner that is still at work may request a page and commit it while the database is read.
            requests: world.simulator.log().requests.len(),
        }
    }

    /// Asserts that each of these tasks is unchanged and that none of their pages was requested again.
    pub async fn stands(&self, world: &World) {
        let now: BTreeSet<Row> = world.ask(ACKNOWLEDGED).await.into_iter().collect();
        let lost: Vec<&Row> = self
            .tasks
            .iter()
            .filter(|task| !now.contains(*task))
            .collect();
        assert!(
            lost.is_empty(),
            "acknowledged, and lost or answered again: {lost:?}"
        );
        let log = world.simulator.log();
        let again: Vec<&LoggedRequest> = log.requests[self.requests..]
            .iter()
            .filter(|request| {
                let mut pages = PageAsked::of_request(request).into_iter();
                pages.any(|page| self.pages.contains(&page))
            })
            .collect();
        assert!(again.is_empty(), "acknowledged and asked again: {again:?}");
    }
}

/// Whether the warehouse has a closed cycle.
pub async fn cycle_is_closed(world: &World) -> bool {
    let begun: bool = world
        .one("SELECT to_regclass('runner.heartbeat') IS NOT NULL")
        .await;
    begun
        && world
            .one("SELECT EXISTS (SELECT FROM runner.cycle WHERE state <> 'open')")
            .await
}

/// Asserts that the same command reaches the truth and requests no acknowledged page again.
pub async fn goes_on_to_the_truth(world: &World, args: &[&str]) {
    let before = Acknowledged::read(world).await;
    world.run(args).await.exits(0);
    before.stands(world).await;
    world.assert_truth().await;
}

/// A text with the distribution of the durations of stops, for the reader of a soak test.
pub fn spread(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    format!(
        "{} stops: median {:?}, 95th percentile {:?}, longest {:?}",
        took.len(),
        at(50),
        at(95),
        at(100)
    )
}
