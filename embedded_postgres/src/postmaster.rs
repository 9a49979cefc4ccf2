//! The server process of a cluster: detects whether it runs and who started it, and starts and stops it with `pg_ctl`.

use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::account::Account;
use super::binaries::Binaries;
use super::cluster;
use super::error::{EmbeddedError, io, last_lines};

/// Time limits for a start (crash recovery of a large cluster takes minutes) and for an orderly stop.
const START_SECS: &str = "300";
const STOP_SECS: &str = "60";

/// A file with a copy of the identity in postmaster.pid of the server that master_runner started last. It distinguishes
/// such a server from one that was started by hand.
const STARTED_FILE: &str = "master_runner.started";

/// The content of a running server's postmaster.pid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Postmaster {
    pub(super) pid: u32,
    pub(super) port: u16,
    pub(super) socket_dir: PathBuf,
    /// The lines that identify this start of the server: pid, data directory, start time.
    identity: String,
}

/// The state of the server of a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// No server process works in the data directory.
    Down,
    /// A server is starting or stopping.
    Changing,
    /// A server accepts connections.
    Ready(Postmaster),
    /// The postmaster was killed, and these sessions have not ended yet.
    Orphans(Vec<u32>),
}

/// Whether the last server ended without a clean shutdown.
pub(super) fn was_killed(data_dir: &Path) -> bool {
    data_dir.join("postmaster.pid").exists()
}

/// Detects the state. The pid in a stale postmaster.pid may belong to any process by now, so the file alone is not
/// trusted. A server of this directory is a process named `postgres` that works in it.
pub(super) fn observe(data_dir: &Path, account: &Account) -> Result<State, EmbeddedError> {
    let pid_file = data_dir.join("postmaster.pid");
    let text = match std::fs::read_to_string(&pid_file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::Down),
        Err(error) => return Err(io("cannot read", &pid_file)(error)),
    };
    let pids = server_processes(data_dir, account)?;
    if pids.is_empty() {
        return Ok(State::Down);
    }
    let Some(pid) = first_line_pid(&text) else {
        return Ok(State::Changing);
    };
    if !pids.contains(&pid) {
        return Ok(State::Orphans(pids));
    }
    Ok(match parse_ready(&text) {
        Some(postmaster) => State::Ready(postmaster),
        None => State::Changing,
    })
}

/// Starts the server and waits until it accepts connections. If `given_up` is set meanwhile, the server is stopped
/// again.
pub(super) fn start(
    data_dir: &Path,
    account: &Account,
    binaries: &Binaries,
    given_up: &AtomicBool,
) -> Result<(), EmbeddedError> {
    // No server process works in the directory. Files of a killed server would prevent the start, because their pid may
    // belong to another process now.
    remove_if_there(&data_dir.join("postmaster.pid"))?;
    let socket_dir = cluster::write_settings(data_dir, account)?;
    remove_if_there(&socket_dir.join(".s.PGSQL.5432.lock"))?;
    let said_file = data_dir.join("master_runner.start.log");
    remove_if_there(&said_file)?;
    let said = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(&said_file)
        .map_err(io("cannot create", &said_file))?;
    account.own(&said_file)?;
    let said_too = said
        .try_clone()
        .map_err(io("cannot open twice", &said_file))?;
    // The directory is passed in the environment instead of `-D`, because pg_ctl builds a shell command from its
    // options.
    let pg_ctl = binaries.program("pg_ctl");
    let mut starting = account
        .command(&pg_ctl)
        .env("PGDATA", data_dir)
        .args(["start", "--silent", "--wait", "--timeout", START_SECS])
        .stdout(Stdio::from(said))
        .stderr(Stdio::from(said_too))
        .spawn()
        .map_err(io("cannot run", &pg_ctl))?;
    let status = loop {
        if let Some(status) = starting
            .try_wait()
            .map_err(io("cannot wait for", &pg_ctl))?
        {
            break status;
        }
        // A server can be stopped as soon as it has written its pid file, even during crash recovery; pg_ctl then ends
        // by itself.
        if given_up.load(Ordering::Acquire) && observe(data_dir, account)? != State::Down {
            stop(data_dir, account, binaries)?;
            starting.wait().map_err(io("cannot wait for", &pg_ctl))?;
            return Err(EmbeddedError::GivenUp {
                data_dir: data_dir.to_path_buf(),
            });
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    if status.success() {
        return Ok(());
    }
    let mut text = std::fs::read_to_string(&said_file).map_err(io("cannot read", &said_file))?;
    text.push_str(&cluster::newest_log(data_dir)?);
    Err(EmbeddedError::Program {
        program: "pg_ctl start",
        data_dir: data_dir.to_path_buf(),
        status: status.to_string(),
        said: last_lines(&text),
    })
}

/// Stops the server: its sessions are ended, and committed data is written to disk.
pub(super) fn stop(
    data_dir: &Path,
    account: &Account,
    binaries: &Binaries,
) -> Result<(), EmbeddedError> {
    let output = account
        .command(binaries.program("pg_ctl"))
        .env("PGDATA", data_dir)
        .args([
            "stop",
            "--silent",
            "--wait",
            "--mode=fast",
            "--timeout",
            STOP_SECS,
        ])
        .output()
        .map_err(io("cannot run", binaries.program("pg_ctl")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(EmbeddedError::Program {
        program: "pg_ctl stop",
        data_dir: data_dir.to_path_buf(),
        status: output.status.to_string(),
        said: last_lines(&String::from_utf8_lossy(&output.stderr)),
    })
}

/// Records that master_runner performed this start of the server.
pub(super) fn note_started(
    data_dir: &Path,
    account: &Account,
    postmaster: &Postmaster,
) -> Result<(), EmbeddedError> {
    cluster::replace_file(&data_dir.join(STARTED_FILE), &postmaster.identity, account)
}

/// Whether a master_runner started this server, possibly one that was killed since.
pub(super) fn is_started_by_us(data_dir: &Path, postmaster: &Postmaster) -> bool {
    std::fs::read_to_string(data_dir.join(STARTED_FILE))
        .is_ok_and(|identity| identity == postmaster.identity)
}

/// The processes named `postgres` whose working directory is `data_dir`. The search runs as the server's user, because
/// without the ptrace capability even root cannot see the working directory of another user's process.
fn server_processes(data_dir: &Path, account: &Account) -> Result<Vec<u32>, EmbeddedError> {
    let output = account
        .command("find")
        .args(["/proc", "-maxdepth", "2", "-name", "cwd"])
        .args(["-printf", "%h\\t%l\\0"])
        .stderr(Stdio::null())
        .output()
        .map_err(io("cannot run `find` to look for servers of", data_dir))?;
    // The exit code of `find` only reports processes that it may not read, and these do not belong to this server.
    Ok(output
        .stdout
        .split(|byte| *byte == 0)
        .filter_map(|entry| {
            let tab = entry.iter().position(|byte| *byte == b'\t')?;
            let (process, cwd) = (&entry[..tab], &entry[tab + 1..]);
            if cwd != data_dir.as_os_str().as_bytes() {
                return None;
            }
            let pid: u32 = std::str::from_utf8(process.strip_prefix(b"/proc/")?)
                .ok()?
                .parse()
                .ok()?;
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            (name.trim_end() == "postgres").then_some(pid)
        })
        .collect())
}

fn first_line_pid(text: &str) -> Option<u32> {
    text.lines().next()?.trim().parse().ok()
}

/// Parses postmaster.pid: pid, data directory, start time, port, first socket folder, first address, shared memory,
/// state.
fn parse_ready(text: &str) -> Option<Postmaster> {
    let lines: Vec<&str> = text.lines().collect();
    let [pid, data_dir, started, port, socket_dir, _, _, state, ..] = lines.as_slice() else {
        return None;
    };
    if state.trim() != "ready" || socket_dir.is_empty() {
        return None;
    }
    Some(Postmaster {
        pid: pid.trim().parse().ok()?,
        port: port.trim().parse().ok()?,
        socket_dir: PathBuf::from(socket_dir),
        identity: format!("{pid}\n{data_dir}\n{started}\n"),
    })
}

fn remove_if_there(path: &Path) -> Result<(), EmbeddedError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io("cannot remove", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postmaster_file_is_used_only_when_its_status_is_ready() {
        let ready = "4711\n/srv/data\n1790000000\n5432\n/srv/data\n\n  1234  5678\nready   \n";
        let postmaster = parse_ready(ready).expect("a whole file");
        assert_eq!((postmaster.pid, postmaster.port), (4711, 5432));
        assert_eq!(postmaster.socket_dir, Path::new("/srv/data"));
        for broken in [
            "",
            "4711\n",
            &ready.replace("ready", "starting"),
            &ready.replace("ready", "stopping"),
            &ready.replace("4711", "x"),
        ] {
            assert_eq!(parse_ready(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_process_that_merely_has_the_stale_pid_is_not_the_server() {
        let data_dir = tempfile::tempdir().expect("a folder");
        let pid_file = data_dir.path().join("postmaster.pid");
        let stale = format!("{}\n/x\n1\n5432\n/x\n\n1 2\nready\n", std::process::id());
        std::fs::write(pid_file, stale).expect("a stale file");
        let place =
            super::super::account::Place::find(&data_dir.path().join("new")).expect("a place");
        let state = observe(data_dir.path(), &place.account).expect("observed");
        assert_eq!(state, State::Down);
    }
}
