//! The directory of the private cluster: creates it completely or not at all, writes its settings before every start,
//! and finds its log and its socket.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::account::Account;
use super::binaries::Binaries;
use super::error::{EmbeddedError, io, last_lines};

/// The only superuser of the private cluster.
pub(super) const ROLE: &str = "master_runner";

/// The file with the settings of master_runner, included at the end of `postgresql.conf`. Its presence marks a cluster
/// as created by master_runner.
const SETTINGS_FILE: &str = "master_runner.conf";

/// A socket address has at most 107 bytes; the server appends `/.s.PGSQL.5432`.
const LONGEST_SOCKET_DIR: usize = 107 - "/.s.PGSQL.5432".len();

/// Whether master_runner created this cluster.
pub(super) fn is_ours(data_dir: &Path) -> bool {
    data_dir.join(SETTINGS_FILE).exists()
}

/// Creates a new cluster. It is built next to its final place and moved there with one rename. A power failure in
/// between leaves no partial cluster, only a folder that the next start removes.
pub(super) fn create(
    data_dir: &Path,
    account: &Account,
    binaries: &Binaries,
    given_up: &AtomicBool,
) -> Result<(), EmbeddedError> {
    let building = beside(data_dir, ".building");
    match std::fs::remove_dir_all(&building) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("cannot sweep away", &building)(error)),
    }
    DirBuilder::new()
        .mode(0o700)
        .create(&building)
        .map_err(io("cannot create", &building))?;
    account.own(&building)?;
    let mut initdb = account.command(binaries.program("initdb"));
    initdb
        .env("PGDATA", &building)
        .args(["--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"])
        .args(["--auth-local=trust", "--auth-host=reject"])
        .arg(format!("--username={ROLE}"));
    let Some(output) = output_unless(&mut initdb, given_up)
        .map_err(io("cannot run", binaries.program("initdb")))?
    else {
        std::fs::remove_dir_all(&building).map_err(io("cannot sweep away", &building))?;
        return Err(EmbeddedError::GivenUp {
            data_dir: data_dir.to_path_buf(),
        });
    };
    if !output.status.success() {
        return Err(EmbeddedError::Program {
            program: "initdb",
            data_dir: data_dir.to_path_buf(),
            status: output.status.to_string(),
            said: last_lines(&String::from_utf8_lossy(&output.stderr)),
        });
    }
    let main_file = building.join("postgresql.conf");
    let mut main = OpenOptions::new()
        .append(true)
        .open(&main_file)
        .map_err(io("cannot open", &main_file))?;
    main.write_all(format!("\ninclude_if_exists = '{SETTINGS_FILE}'\n").as_bytes())
        .and_then(|()| main.sync_all())
        .map_err(io("cannot write", &main_file))?;
    replace_file(&building.join(SETTINGS_FILE), "", account)?;
    std::fs::rename(&building, data_dir).map_err(io(
        "cannot move the new cluster to (is it a mount point? then name a folder inside it)",
        data_dir,
    ))?;
    sync_dir(data_dir.parent().unwrap_or(Path::new("/")))
}

/// Runs a program whose output fits into a pipe. If `given_up` is set meanwhile, kills the program with all its
/// children and returns `None`.
fn output_unless(command: &mut Command, given_up: &AtomicBool) -> std::io::Result<Option<Output>> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    while child.try_wait()?.is_none() {
        if given_up.load(Ordering::Acquire) {
            if let Ok(group) = i32::try_from(child.id()) {
                // If the group has ended at this moment, there is nothing to kill.
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().map(Some)
}

/// Writes the settings for the next start and returns the folder of the server's socket.
///
/// Access control: the socket is in a folder of mode 0700, so only the server's own user and root can reach it.
/// Connections through the socket are trusted, and there is no other way to connect.
pub(super) fn write_settings(data_dir: &Path, account: &Account) -> Result<PathBuf, EmbeddedError> {
    let socket_dir = socket_dir(data_dir, account)?;
    let settings = format!(
        "# Written by master_runner before every start; changes belong into postgresql.conf.\n\
         listen_addresses = ''\n\
         port = 5432\n\
         unix_socket_directories = '{}'\n\
         unix_socket_permissions = 0700\n\
         max_connections = 30\n\
         timezone = 'Asia/Bangkok'\n\
         # The server's own log: one file a weekday, begun anew each week.\n\
         logging_collector = on\n\
         log_directory = 'log'\n\
         log_filename = 'server-%a.log'\n\
         log_file_mode = 0600\n\
         log_rotation_age = 1d\n\
         log_rotation_size = 0\n\
         log_truncate_on_rotation = on\n\
         log_timezone = 'Asia/Bangkok'\n\
         log_checkpoints = off\n\
         log_min_messages = warning\n\
         log_min_error_statement = panic\n",
        socket_dir.display()
    );
    replace_file(&data_dir.join(SETTINGS_FILE), &settings, account)?;
    Ok(socket_dir)
}

/// Removes server logs larger than `max_bytes`; called while the server is down.
pub(super) fn trim_logs(data_dir: &Path, max_bytes: u64) -> Result<(), EmbeddedError> {
    for (path, metadata) in logs(data_dir)? {
        if metadata.len() > max_bytes {
            std::fs::remove_file(&path).map_err(io("cannot remove the server log", &path))?;
        }
    }
    Ok(())
}

/// The end of the newest server log.
pub(super) fn newest_log(data_dir: &Path) -> Result<String, EmbeddedError> {
    const END_BYTES: u64 = 4096;
    let newest = logs(data_dir)?
        .into_iter()
        .max_by_key(|(_, metadata)| (metadata.mtime(), metadata.mtime_nsec()));
    let Some((path, metadata)) = newest else {
        return Ok(String::new());
    };
    let mut end = Vec::new();
    File::open(&path)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(metadata.len().saturating_sub(END_BYTES)))?;
            file.take(END_BYTES).read_to_end(&mut end)
        })
        .map_err(io("cannot read the server log", &path))?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// The server's log files.
fn logs(data_dir: &Path) -> Result<Vec<(PathBuf, Metadata)>, EmbeddedError> {
    let dir = data_dir.join("log");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("cannot list", &dir)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(io("cannot list", &dir))?.path();
        let metadata = std::fs::symlink_metadata(&path).map_err(io("cannot look at", &path))?;
        if metadata.is_file() {
            found.push((path, metadata));
        }
    }
    Ok(found)
}

/// A path next to the data directory: `data/postgres` and `.lock` give `data/postgres.lock`.
pub(super) fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = data_dir.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The folder for the socket: the data directory itself (mode 0700). If its path does not fit into a socket address or
/// a connection string, a folder under /tmp named after the directory's device and inode numbers.
fn socket_dir(data_dir: &Path, account: &Account) -> Result<PathBuf, EmbeddedError> {
    if fits_a_socket_address(data_dir) {
        return Ok(data_dir.to_path_buf());
    }
    let metadata = std::fs::metadata(data_dir).map_err(io("cannot look at", data_dir))?;
    let dir = PathBuf::from(format!(
        "/tmp/master_runner-{}-{:x}-{:x}",
        account.uid,
        metadata.dev(),
        metadata.ino()
    ));
    match DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => account.own(&dir)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io("cannot create", &dir)(error)),
    }
    let found = std::fs::symlink_metadata(&dir).map_err(io("cannot look at", &dir))?;
    let private = found.is_dir()
        && found.uid() == account.uid
        && found.permissions().mode() & 0o7777 == 0o700;
    if !private {
        // Every user can write to /tmp, so a folder that another user created there is not trusted.
        return Err(io(
            "cannot trust (it is not a private folder of the server's user)",
            &dir,
        )(std::io::ErrorKind::PermissionDenied.into()));
    }
    Ok(dir)
}

/// Removes the folder under /tmp after the server has stopped.
pub(super) fn remove_socket_dir(data_dir: &Path, socket_dir: &Path) -> Result<(), EmbeddedError> {
    if socket_dir == data_dir {
        return Ok(());
    }
    match std::fs::remove_dir(socket_dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io("cannot remove", socket_dir)(error)),
    }
}

fn fits_a_socket_address(dir: &Path) -> bool {
    let bytes = dir.as_os_str().as_encoded_bytes();
    bytes.len() <= LONGEST_SOCKET_DIR
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte))
}

/// Replaces a file atomically: writes a new file next to it (never through a symbolic link), syncs it, and renames it.
pub(super) fn replace_file(
    path: &Path,
    content: &str,
    account: &Account,
) -> Result<(), EmbeddedError> {
    let new = beside(path, ".new");
    match std::fs::remove_file(&new) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("cannot remove", &new)(error)),
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(io("cannot create", &new))?;
    file.write_all(content.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io("cannot write", &new))?;
    account.own(&new)?;
    std::fs::rename(&new, path).map_err(io("cannot replace", path))?;
    sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// Makes a rename in `dir` durable.
fn sync_dir(dir: &Path) -> Result<(), EmbeddedError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(io("cannot sync", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_lies_only_where_every_client_can_name_it() {
        for (dir, fits) in [
            ("/srv/app/data/postgres", true),
            ("/srv/my app/data/postgres", false),
            ("/srv/a,b/data", false),
            ("/srv/it's/data", false),
            ("/srv/กองทุน/data", false),
        ] {
            assert_eq!(fits_a_socket_address(Path::new(dir)), fits, "{dir}");
        }
        let longest = format!("/{}", "d".repeat(LONGEST_SOCKET_DIR - 1));
        assert!(fits_a_socket_address(Path::new(&longest)));
        assert!(!fits_a_socket_address(Path::new(&format!("{longest}d"))));
        assert_eq!(longest.len() + "/.s.PGSQL.5432".len(), 107);
    }
}
