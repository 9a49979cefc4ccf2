//! Starts the server under a lock: of several runners, one at a time starts or stops it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::account::Place;
use super::binaries::Binaries;
use super::cluster;
use super::error::{EmbeddedError, io};
use super::postmaster::{self, Postmaster, State};

/// How long another runner may take to start or stop the server, including crash recovery.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long the sessions of a killed postmaster may take to end.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(60);

/// How long the processes of a killed server may take to disappear.
const SETTLING: Duration = Duration::from_secs(15);

/// Server logs larger than this are removed before a start (O6).
const MAX_SERVER_LOG_BYTES: u64 = 20 << 20;

/// Waits for a server that is starting or stopping, uses a running one, or starts one. The returned flag is true if
/// this call started the server.
pub(super) fn bring_up(
    place: &Place,
    binaries: &Binaries,
    given_up: &AtomicBool,
) -> Result<(Postmaster, bool), EmbeddedError> {
    let Place {
        data_dir, account, ..
    } = place;
    let began = Instant::now();
    let killed = postmaster::was_killed(data_dir);
    let mut started = false;
    loop {
        if given_up.load(Ordering::Acquire) {
            if started {
                postmaster::stop(data_dir, account, binaries)?;
            }
            return Err(given_up_on(data_dir));
        }
        match postmaster::observe(data_dir, account)? {
            State::Ready(postmaster) => {
                if started {
                    postmaster::note_started(data_dir, account, &postmaster)?;
                }
                return Ok((postmaster, started));
            }
            State::Down => {
                cluster::trim_logs(data_dir, MAX_SERVER_LOG_BYTES)?;
                match postmaster::start(data_dir, account, binaries, given_up) {
                    Ok(()) => {
                        started = true;
                        continue;
                    }
                    Err(error @ EmbeddedError::GivenUp { .. }) => return Err(error),
                    // The last processes of a killed server are exiting: they are no longer visible, but their memory
                    // is not freed yet.
                    Err(_) if killed && began.elapsed() < SETTLING => {}
                    Err(error) => return Err(error),
                }
            }
            State::Orphans(pids) if began.elapsed() > ORPHAN_PATIENCE => {
                return Err(EmbeddedError::Orphans {
                    data_dir: data_dir.clone(),
                    pids,
                });
            }
            State::Orphans(_) | State::Changing => {}
        }
        if began.elapsed() > PATIENCE {
            return Err(busy(data_dir));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Takes the lock under which only one runner starts or stops the server. The system releases it when the file is
/// closed, even after kill -9.
pub(super) fn take_turn(place: &Place, given_up: &AtomicBool) -> Result<File, EmbeddedError> {
    let path = cluster::beside(&place.data_dir, ".lock");
    let file = open_lock(&path, place)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() > PATIENCE => {
                return Err(busy(&place.data_dir));
            }
            Err(TryLockError::WouldBlock) if given_up.load(Ordering::Acquire) => {
                return Err(given_up_on(&place.data_dir));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::Error(error)) => return Err(io("cannot lock", &path)(error)),
        }
    }
}

fn busy(data_dir: &Path) -> EmbeddedError {
    EmbeddedError::Busy {
        data_dir: data_dir.to_path_buf(),
        waited_secs: PATIENCE.as_secs(),
    }
}

fn given_up_on(data_dir: &Path) -> EmbeddedError {
    EmbeddedError::GivenUp {
        data_dir: data_dir.to_path_buf(),
    }
}

/// The file that every process locks, shared, as long as it uses the server.
pub(super) fn users_file(data_dir: &Path) -> PathBuf {
    data_dir.join("master_runner.users")
}

/// Opens a file that is only used for locking. Never follows a symbolic link.
pub(super) fn open_lock(path: &Path, place: &Place) -> Result<File, EmbeddedError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
        .open(path)
        .map_err(io("cannot open", path))?;
    place.account.own(path)?;
    Ok(file)
}
