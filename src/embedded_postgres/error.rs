//! What can go wrong with the private server, each said with what is safe and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why the private PostgreSQL could not be started or stopped. Nothing that was stored is touched by any of these.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No server programs anywhere.
    #[error(
        "PostgreSQL's server programs (initdb, pg_ctl, postgres) are neither in /usr/lib/postgresql/*/bin nor in PATH; \
         install them with `apt-get install postgresql`, or name a server: `database: Url(\"postgres://…\")` or DATABASE_URL"
    )]
    BinariesMissing,
    /// `bin_dir` names a folder without them.
    #[error(
        "`database.bin_dir` is {}, which does not hold {missing}; leave the key out to use the installed PostgreSQL \
         (`apt-get install postgresql`)", dir.display()
    )]
    ConfiguredBinariesMissing {
        /// The folder of the configuration.
        dir: PathBuf,
        /// The first program that is not there.
        missing: &'static str,
    },
    /// A program that does not say which version it is.
    #[error("{} was asked for its version and answered {answer:?}", program.display())]
    VersionUnknown {
        /// The program asked.
        program: PathBuf,
        /// What it said.
        answer: String,
    },
    /// The directory was made by another major version.
    #[error(
        "{} was made by PostgreSQL {cluster}, and the programs found are PostgreSQL {programs}; nothing was changed. \
         Install the programs of version {cluster} (`apt-get install postgresql-{cluster}`), move the data with \
         pg_upgrade, or name another `data_dir`", data_dir.display()
    )]
    OtherVersion {
        /// The data directory.
        data_dir: PathBuf,
        /// Its major version.
        cluster: String,
        /// The versions whose programs were found.
        programs: String,
    },
    /// Files that are not a cluster.
    #[error(
        "{} is not empty and not a PostgreSQL data directory (it holds {found:?}); nothing was changed. \
         Name an empty or new folder as `data_dir`", data_dir.display()
    )]
    NotACluster {
        /// The directory.
        data_dir: PathBuf,
        /// One of the files in it.
        found: String,
    },
    /// A cluster of somebody else.
    #[error(
        "{} is a PostgreSQL data directory that master_runner did not make; nothing was changed. To use that server, \
         start it and name it: `database: Url(\"postgres://…\")`; for a private one, name another `data_dir`",
        data_dir.display()
    )]
    ForeignCluster {
        /// The directory.
        data_dir: PathBuf,
    },
    /// The directory belongs to another user.
    #[error(
        "{} belongs to the user with id {owner}, and this is the user with id {me}; run as that user (or root), \
         or name another `data_dir`", data_dir.display()
    )]
    OtherOwner {
        /// The directory.
        data_dir: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who runs.
        me: u32,
    },
    /// An existing cluster below a folder that the server's user cannot enter.
    #[error(
        "PostgreSQL never runs as root, and its user `{user}` cannot enter {}, which holds the data; nothing was \
         changed. Move that directory where `{user}` can go, and name it as `data_dir`", data_dir.display()
    )]
    Unreachable {
        /// The directory.
        data_dir: PathBuf,
        /// The server's user.
        user: String,
    },
    /// Root, and nobody to drop to.
    #[error(
        "PostgreSQL never runs as root, and neither of the users `postgres` and `nobody` exists; \
         make one with `useradd --system postgres`"
    )]
    NoUnprivilegedUser,
    /// The program is to stop: whatever had been begun was undone.
    #[error("stopped before the server of {} was up; nothing that was stored was touched", data_dir.display())]
    GivenUp {
        /// The directory.
        data_dir: PathBuf,
    },
    /// Another runner is starting or stopping this server.
    #[error(
        "another master_runner has been starting or stopping the server of {} for {waited_secs} s; \
         see `ps` for it, then try again", data_dir.display()
    )]
    Busy {
        /// The directory.
        data_dir: PathBuf,
        /// How long it was waited for.
        waited_secs: u64,
    },
    /// Sessions that outlived their killed postmaster.
    #[error(
        "the server of {} was killed, and its processes {pids:?} still work in it; starting another beside them could \
         damage the data. They end by themselves when their statement ends; try again then", data_dir.display()
    )]
    Orphans {
        /// The directory.
        data_dir: PathBuf,
        /// Their process ids.
        pids: Vec<u32>,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed for {} ({status}):\n{said}", data_dir.display())]
    Program {
        /// Which program.
        program: &'static str,
        /// The directory it worked on.
        data_dir: PathBuf,
        /// How it ended.
        status: String,
        /// The end of what it said.
        said: String,
    },
    /// The server runs and cannot be asked.
    #[error("the private server of {} runs but does not let us in: {reason}", data_dir.display())]
    Connect {
        /// The directory.
        data_dir: PathBuf,
        /// What it said.
        reason: String,
    },
    /// A file or folder.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Adds what was tried to an input/output error.
pub(super) fn io(
    what: &'static str,
    path: impl AsRef<Path>,
) -> impl FnOnce(std::io::Error) -> EmbeddedError {
    let path = path.as_ref().to_path_buf();
    move |source| EmbeddedError::Io { what, path, source }
}

/// The end of what a program said, bounded: what a person needs of a log.
pub(super) fn last_lines(text: &str) -> String {
    const LINES: usize = 12;
    const CHARS: usize = 400;
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let kept = lines.iter().skip(lines.len().saturating_sub(LINES));
    let mut said = String::new();
    for line in kept {
        let cut: String = line.chars().take(CHARS).collect();
        if fmt::Write::write_fmt(&mut said, format_args!("  {cut}\n")).is_err() {
            break;
        }
    }
    if said.is_empty() {
        "  (it said nothing)".to_owned()
    } else {
        said.trim_end().to_owned()
    }
}
