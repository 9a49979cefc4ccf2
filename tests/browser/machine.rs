//! The runner's environment in the browser tests: its own folder for temporary files, so that the files a browser
//! leaves are visible, and a home directory that not even root can write to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use simulator::Site;
use tokio::process::{Child, Command};

use crate::world::{Run, World, ended};

/// The prefix of the name of every folder of browser profiles.
const PROFILES: &str = "master_runner-firefox-";
/// The process id of a running child.
pub fn id_of(child: &Child) -> Pid {
    let id = child.id().expect("it runs");
    Pid::from_raw(i32::try_from(id).expect("an id"))
}

/// The time limit for events that should happen within seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of the runner's temporary files.
pub fn temporary(world: &World) -> PathBuf {
    let folder = world.dir().join("tmp");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The runner's command, not started yet.
pub fn command(world: &World, args: &[&str]) -> Command {
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .expect("a home");
    let mut command = world.command(args);
    command
        .env("TMPDIR", temporary(world))
        .env("CARGO_HOME", cargo_home)
        .env("HOME", "/proc/no-home");
    command
}

/// Runs the runner and waits until it ends.
pub async fn run(world: &World, args: &[&str]) -> Run {
    ended(start(world, args)).await
}

/// Starts the runner.
pub fn start(world: &World, args: &[&str]) -> Child {
    command(world, args).spawn().expect("the runner starts")
}

/// Waits until a run ends, for at most `bound`. The time limit is part of what these tests check.
#[track_caller]
pub fn ended_in(child: Child, bound: Duration) -> impl Future<Output = Run> {
    let caller = std::panic::Location::caller();
    async move {
        tokio::time::timeout(bound, ended(child))
            .await
            .unwrap_or_else(|_| panic!("the run did not end within {bound:?} (called at {caller})"))
    }
}

/// A process of a browser: geckodriver, any process of Firefox, or a watchdog.
#[derive(Debug)]
pub struct Process {
    id: i32,
    command_line: String,
}

impl Process {
    /// Whether it is geckodriver.
    pub fn is_geckodriver(&self) -> bool {
        self.command_line.contains("--profile-root")
    }

    /// Whether it is the main process of Firefox, not one of its child processes.
    pub fn is_firefox(&self) -> bool {
        self.command_line.contains("--marionette") && !self.command_line.contains("-contentproc")
    }

    /// The folder of the browser session that it belongs to.
    pub fn session(&self) -> Option<&str> {
        let begins = self.command_line.find("session-")?;
        self.command_line[begins..].split(['/', ' ']).next()
    }

    /// Whether it is a process in which Firefox shows a page (a tab).
    pub fn is_tab(&self) -> bool {
        self.command_line.contains("-contentproc") && self.command_line.trim_end().ends_with(" tab")
    }

    /// Whether it is the watchdog that waits for the runner's end.
    pub fn is_watchdog(&self) -> bool {
        self.command_line.contains("master_runner-watchdog")
    }

    /// Kills it with SIGKILL.
    pub fn kill_nine(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Sends a signal, if the process still exists.
    pub fn signal(&self, signal: Signal) {
        let sent = kill(Pid::from_raw(self.id), signal);
        assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "{sent:?}");
    }

    /// The limit of its private memory in bytes; `None` = no limit.
    pub fn most_memory(&self) -> Option<u64> {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.id)).ok()?;
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max data size"))?;
        line.split_whitespace().nth(3)?.parse().ok()
    }
}

/// All processes with a profile in the runner's temporary folder: their arguments or their home directory name it.
pub fn browser_processes(world: &World) -> Vec<Process> {
    browser_processes_in(&temporary(world))
}

/// The same for a temporary folder that several runners may share.
pub fn browser_processes_in(temporary: &Path) -> Vec<Process> {
    let profiles = temporary.join(PROFILES);
    let profiles = profiles.to_str().expect("text");
    let text = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let command_line = text(entry.path().join("cmdline"));
            let is_ours = command_line.contains(profiles)
                || text(entry.path().join("environ")).contains(&format!("HOME={profiles}"));
            is_ours.then_some(Process { id, command_line })
        })
        .collect()
}

/// The files in the runner's temporary folder.
pub fn left_files(world: &World) -> BTreeSet<PathBuf> {
    std::fs::read_dir(temporary(world))
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

/// Waits until `condition` is true.
#[track_caller]
pub fn until<'a>(
    what: &'a str,
    mut condition: impl FnMut() -> bool + 'a,
) -> impl Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        while !condition() {
            assert!(
                began.elapsed() < PATIENCE,
                "waited in vain until {what} (called at {caller})"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Asserts that no browser process runs any more after at most `within`.
#[track_caller]
pub fn no_browser_runs(world: &World, within: Duration) -> impl Future<Output = ()> + '_ {
    let caller = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        loop {
            let processes = browser_processes(world);
            if processes.is_empty() {
                return;
            }
            assert!(
                began.elapsed() < within,
                "still there after {within:?} (called at {caller}): {processes:#?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Asserts that no process and no file of a browser is left after at most `within`. The files are removed after the
/// last process has ended.
#[track_caller]
pub fn nothing_will_be_left(world: &World, within: Duration) -> impl Future<Output = ()> + '_ {
    let gone = no_browser_runs(world, within);
    let caller = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        gone.await;
        while !left_files(world).is_empty() {
            assert!(
                began.elapsed() < within,
                "left behind after {within:?} (called at {caller}): {:?}",
                left_files(world)
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Asserts that no process and no file of a browser is left now.
#[track_caller]
pub fn nothing_is_left(world: &World) {
    let processes = browser_processes(world);
    assert!(processes.is_empty(), "left running: {processes:#?}");
    let files = left_files(world);
    assert!(files.is_empty(), "left behind: {files:?}");
}

/// The numbers of a source's pages over HTTP and in the browser, from the run's summary.
#[track_caller]
pub fn pages(run: &Run, source: &str) -> (usize, usize) {
    let line = run
        .output
        .lines()
        .find(|line| line.starts_with(source) && line.split_whitespace().count() == 9);
    let line = line.unwrap_or_else(|| panic!("no summary of {source} in:\n{}", run.output));
    let cells: Vec<usize> = line
        .split_whitespace()
        .skip(1)
        .map(|cell| cell.parse().expect("a count"))
        .collect();
    (cells[6], cells[7])
}

/// The documents that a browser opened on a host, in order, without the requests of their scripts.
pub fn opened(world: &World, site: Site) -> Vec<String> {
    let log = world.simulator.log();
    let by_browser = log.of(site).filter(|request| request.from_browser);
    by_browser
        .filter(|request| request.path.starts_with("/fund"))
        .map(|request| request.path.clone())
        .collect()
}

/// The number of log lines that report the change of a source's page to the browser.
pub fn changes_to_the_browser(run: &Run, source: &str, page: &str) -> usize {
    let words = [
        "changing to the browser".to_owned(),
        format!("source={source}"),
        format!("page=\"{page}\""),
    ];
    run.output
        .lines()
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .count()
}

/// The archived bodies of a page; `folder` is `source/page`.
pub fn archived(world: &World, folder: &str) -> Vec<String> {
    let root = world.dir().join("data/archive").join(folder);
    let mut bodies = Vec::new();
    for month in std::fs::read_dir(root).expect("an archive").flatten() {
        for file in std::fs::read_dir(month.path()).expect("a month").flatten() {
            let body = sources::archive::read(Path::new(&file.path())).expect("gzip");
            bodies.push(String::from_utf8(body).expect("text"));
        }
    }
    bodies
}
