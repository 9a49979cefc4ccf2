//! The processes of geckodriver and its Firefox. They are started in a process group of their own and ended reliably.
//!
//! A killed geckodriver orphans its Firefox, so three mechanisms end the group. First, [`Geckodriver::end`]: SIGTERM to
//! the group, then SIGKILL. Second, a watchdog process that reads from a pipe: it ends the group when the runner no
//! longer holds the writing end, however the runner died. Third, the sweep of abandoned profiles when the next run
//! needs a browser.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

use super::browser_programs::Programs;
use super::firefox_profile::ProfileRoot;
use super::processes::{end_processes_at_home_in, group_lives};

/// The directory of a session's downloads, in its home.
const DOWNLOADS: &str = "downloads";
/// How long geckodriver may take to print its address.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the group may take to end after SIGTERM.
const TERM_TIMEOUT: Duration = Duration::from_secs(3);
/// Lines of geckodriver's output kept for error texts.
const KEPT_LINES: usize = 5;

/// The watchdog. It reads the group's id and then waits for the next line or the end of its input. The line `done`
/// means that the group has been ended.
const WATCHDOG: &str = r#"read -r group || exit 0
read -r word
[ "$word" = done ] && exit 0
kill -TERM "-$group" 2>/dev/null
sleep 1
kill -KILL "-$group" 2>/dev/null
rm -rf -- "$1""#;

/// Sets the limits that Firefox inherits, then becomes geckodriver: no core files, and a memory limit per process. A
/// page that allocates without end thus loses its tab and takes no memory from other programs. Lower limits of the
/// system stay in force.
const LAUNCH: &str = r#"ulimit -c 0 2>/dev/null
ulimit -d "$1" 2>/dev/null
shift
exec "$@""#;
/// Memory limit of each process in KiB. The largest accepted document needs a fourth of it.
const MEMORY_KIB: &str = "2097152";

/// A running geckodriver with its Firefox, its profile directory and its watchdog. Dropping it kills the whole group.
pub struct Geckodriver {
    url: Url,
    group: Pid,
    process: Child,
    watchdog: Child,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    home: Option<TempDir>,
    _profiles: Arc<ProfileRoot>,
    ended: bool,
}

impl Geckodriver {
    /// Starts geckodriver on a port that it chooses itself.
    pub async fn start(programs: &Programs, profiles: Arc<ProfileRoot>) -> Result<Self, String> {
        let home = profiles
            .session_dir()
            .map_err(|error| format!("no profile directory: {error}"))?;
        let mut watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "master_runner-watchdog"])
            .arg(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("the browser's watchdog cannot be started: {error}"))?;
        let downloads = home.path().join(DOWNLOADS);
        std::fs::create_dir(&downloads)
            .map_err(|error| format!("no directory for downloads: {error}"))?;
        let mut process = Command::new("/bin/sh")
            .args(["-c", LAUNCH, "master_runner-browser", MEMORY_KIB])
            .arg(&programs.geckodriver)
            .args([
                "--port",
                "0",
                "--websocket-port",
                "0",
                "--log",
                "info",
                "--profile-root",
            ])
            .arg(home.path())
            // Firefox as root needs a home owned by root. All files in this home are deleted afterwards.
            .env("HOME", home.path())
            .env("XDG_CACHE_HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path())
            .env("TMPDIR", home.path())
            .env("MOZ_CRASHREPORTER_DISABLE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                format!(
                    "{} cannot be started: {error}",
                    programs.geckodriver.display()
                )
            })?;
        let group = process
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw)
            .ok_or("geckodriver ended at once")?;
        if let Some(stdin) = &mut watchdog.stdin {
            let line = format!("{group}\n");
            stdin
                .write_all(line.as_bytes())
                .await
                .map_err(|error| format!("the browser's watchdog does not listen: {error}"))?;
        }
        let stdout = process.stdout.take();
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        // From here on, dropping `driver` ends the group.
        let mut driver = Self {
            url: Url::parse("http://127.0.0.1/").map_err(|error| error.to_string())?,
            group,
            process,
            watchdog,
            last_lines: Arc::clone(&last_lines),
            home: Some(home),
            _profiles: profiles,
            ended: false,
        };
        let stdout = stdout.ok_or("geckodriver has no output")?;
        driver.url = listening_at(stdout, last_lines).await?;
        Ok(driver)
    }

    /// The address of geckodriver's WebDriver server.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The download directory of Firefox.
    pub fn downloads(&self) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.path().join(DOWNLOADS))
    }

    /// The last lines of geckodriver's output.
    pub fn last_lines(&self) -> String {
        let lines = self.last_lines.lock();
        lines.iter().cloned().collect::<Vec<_>>().join(" | ")
    }

    /// Ends the group: SIGTERM, SIGKILL after some seconds if necessary; then removes its directory.
    pub async fn end(mut self) {
        // The group may have ended already.
        let _ = killpg(self.group, Signal::SIGTERM);
        let gone = async {
            // The group leader is a child of this process and must be reaped; the group ends with its last process.
            let _ = self.process.wait().await;
            while group_lives(self.group) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // SIGKILL is sent only if a process is left: the id of an ended group may already belong to another group.
        if tokio::time::timeout(TERM_TIMEOUT, gone).await.is_err() {
            let _ = killpg(self.group, Signal::SIGKILL);
        }
        self.ended = true;
        self.dismiss_watchdog();
        let _ = tokio::time::timeout(TERM_TIMEOUT, self.watchdog.wait()).await;
        self.clean_up();
    }

    /// Informs the watchdog that the group has ended. Otherwise it would kill the group a second later, when the id may
    /// already belong to another group.
    fn dismiss_watchdog(&mut self) {
        use std::io::Write as _;
        if let Some(stdin) = self.watchdog.stdin.take()
            && let Ok(pipe) = stdin.into_owned_fd()
        {
            // A killed watchdog does not read the line.
            let _ = std::fs::File::from(pipe).write_all(b"done\n");
        }
    }

    fn clean_up(&mut self) {
        if let Some(home) = self.home.take() {
            end_processes_at_home_in(home.path());
            let path = home.path().to_owned();
            if home.close().is_err() {
                // A dying process may have written another file.
                let _ = std::fs::remove_dir_all(path);
            }
        }
    }
}

impl Drop for Geckodriver {
    fn drop(&mut self) {
        if !self.ended {
            // The leader has not been reaped, so the group's id is still in use.
            let _ = killpg(self.group, Signal::SIGKILL);
            self.dismiss_watchdog();
            self.clean_up();
            // tokio reaps both children.
        }
    }
}

/// Reads geckodriver's output until it prints its address; keeps its last lines.
async fn listening_at(
    stdout: tokio::process::ChildStdout,
    last_lines: Arc<Mutex<VecDeque<String>>>,
) -> Result<Url, String> {
    let (told, told_here) = tokio::sync::oneshot::channel();
    let kept = Arc::clone(&last_lines);
    tokio::spawn(async move {
        let mut told = Some(told);
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(address) = line.split("Listening on ").nth(1)
                && let Some(told) = told.take()
            {
                // The receiver may be gone after a time-out.
                let _ = told.send(address.trim().to_owned());
            }
            let mut kept = kept.lock();
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(line.chars().take(300).collect());
        }
    });
    let address = tokio::time::timeout(LISTEN_TIMEOUT, told_here).await;
    let said = || {
        last_lines
            .lock()
            .iter()
            .cloned()
            .collect::<Vec<_>>()
            .join(" | ")
    };
    match address {
        Ok(Ok(address)) => Url::parse(&format!("http://{address}/"))
            .map_err(|error| format!("geckodriver listens at {address:?}: {error}")),
        Ok(Err(_)) => Err(format!("geckodriver ended before it listened: {}", said())),
        Err(_) => Err(format!(
            "geckodriver did not listen within {} s: {}",
            LISTEN_TIMEOUT.as_secs(),
            said()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_runner_leaves_no_browser_behind() {
        let base = tempfile::tempdir().expect("a directory");
        let profiles = Arc::new(ProfileRoot::create(base.path()).expect("created"));
        let programs = Programs::find().expect("geckodriver and firefox are installed");
        let mut driver = Geckodriver::start(&programs, profiles)
            .await
            .expect("started");
        let home = driver.home.as_ref().expect("a home").path().to_owned();
        assert!(group_lives(driver.group) && home.exists());
        // Closes the pipe, as the end of this process would, whatever the signal.
        driver.watchdog.stdin.take();
        let watched = tokio::time::timeout(Duration::from_secs(10), driver.watchdog.wait());
        watched.await.expect("in time").expect("ended");
        driver.process.wait().await.expect("reaped");
        assert!(!group_lives(driver.group), "the group is gone");
        assert!(!home.exists(), "and its directory");
    }
}
