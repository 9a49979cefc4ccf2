//! The errors of the private server. Each message states that no data was changed, and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// The reason why the private PostgreSQL could not be started or stopped. None of these errors changes stored data.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No server programs were found.
    #[error(
        "PostgreSQL's server programs (initdb, pg_ctl, postgres) are neither in /usr/lib/postgresql/*/bin nor in PATH; \
         install them with `apt-get install postgresql`, or name a server: `database: Url(\"postgres://…\")` or DATABASE_URL"
    )]
    BinariesMissing,
    /// `bin_dir` names a folder without the programs.
    #[error(
        "`database.bin_dir` is {}, which does not hold {missing}; leave the key out to use the installed PostgreSQL \
         (`apt-get install postgresql`)", dir.display()
    )]
    ConfiguredBinariesMissing {
        /// The configured folder.
        dir: PathBuf,
        /// The first missing program.
        missing: &'static str,
    },
    /// A program did not report its version.
    #[error("{} was asked for its version and answered {answer:?}", program.display())]
    VersionUnknown {
        /// The program.
        program: PathBuf,
        /// The output of the program.
        answer: String,
    },
    /// The cluster was created by another major version.
    #[error(
        "{} was made by PostgreSQL {cluster}, and the programs found are PostgreSQL {programs}; nothing was changed. \
         Install the programs of version {cluster} (`apt-get install postgresql-{cluster}`), move the data with \
         pg_upgrade, or name another `data_dir`", data_dir.display()
    )]
    OtherVersion {
        /// The data directory.
        data_dir: PathBuf,
        /// The major version of the data.
        cluster: String,
        /// The versions of the programs found.
        programs: String,
    },
    /// The directory contains files and is not a cluster.
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
    /// The cluster was not created by master_runner.
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
        /// The user id of its owner.
        owner: u32,
        /// The user id of this process.
        me: u32,
    },
    /// The existing cluster is below a folder that the server's user cannot enter.
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
    /// The process is root, and no unprivileged user exists.
    #[error(
        "PostgreSQL never runs as root, and neither of the users `postgres` and `nobody` exists; \
         make one with `useradd --system postgres`"
    )]
    NoUnprivilegedUser,
    /// The program is stopping; the start was undone.
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
        /// How long this process waited.
        waited_secs: u64,
    },
    /// Sessions are still running after their postmaster was killed.
    #[error(
        "the server of {} was killed, and its processes {pids:?} still work in it; starting another beside them could \
         damage the data. They end by themselves when their statement ends; try again then", data_dir.display()
    )]
    Orphans {
        /// The directory.
        data_dir: PathBuf,
        /// The process ids of the sessions.
        pids: Vec<u32>,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed for {} ({status}):\n{said}", data_dir.display())]
    Program {
        /// The program.
        program: &'static str,
        /// The data directory.
        data_dir: PathBuf,
        /// The exit status of the program.
        status: String,
        /// The last lines of the output.
        said: String,
    },
    /// The server is running, but refuses the connection.
    #[error("the private server of {} runs but does not let us in: {reason}", data_dir.display())]
    Connect {
        /// The directory.
        data_dir: PathBuf,
        /// The error message.
        reason: String,
    },
    /// A file or folder could not be used.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// The failed operation.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

/// Adds the failed operation to an I/O error.
pub(super) fn io(
    what: &'static str,
    path: impl AsRef<Path>,
) -> impl FnOnce(std::io::Error) -> EmbeddedError {
    let path = path.as_ref().to_path_buf();
    move |source| EmbeddedError::Io { what, path, source }
}

/// The last lines of a program's output, limited in length, for an error message.
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
        "  (it printed nothing)".to_owned()
    } else {
        said.trim_end().to_owned()
    }
}
