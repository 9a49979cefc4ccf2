//! The private PostgreSQL server of a runner without a database server. Its data is persistent. It is started and
//! stopped with the distribution's programs (`initdb`, `pg_ctl`), as root or as an ordinary user.
//!
//! It listens only on a socket in a folder of mode 0700. Several master_runner processes can use it at the same time.
//! The last one stops it, including a server left running by a process that was killed. A server that was started by
//! hand is used, but not stopped.

mod account;
mod binaries;
mod cluster;
mod error;
mod postmaster;
mod reviver;
mod turn;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use account::{Place, cluster_version};
use binaries::Binaries;
pub use error::EmbeddedError;
use error::io;
use postmaster::{Postmaster, State};
pub use reviver::Reviver;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use turn::{bring_up, open_lock, take_turn, users_file};

/// The database that is created in a new cluster.
const DATABASE: &str = "funds_db";

/// The configuration of the private server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedSettings {
    /// The directory of the cluster; relative to the current directory.
    pub data_dir: PathBuf,
    /// The folder of `initdb`, `pg_ctl` and `postgres`; `None`: search for them.
    pub bin_dir: Option<PathBuf>,
}

/// A running private server that this process uses. Dropping this value without [`EmbeddedPostgres::stop`] leaves the
/// server running, as a crash would; the next start uses that server.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    place: Place,
    binaries: Binaries,
    postmaster: Postmaster,
    started: bool,
    /// A file with a shared lock, held as long as this process uses the server.
    users: File,
    /// Set when this process no longer uses the server; no reviver restarts the server from then on.
    given_up: Arc<AtomicBool>,
}

/// The state before anything is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A cluster of this major version.
    Cluster(String),
    /// No cluster yet: the first run creates one with the programs of this major version.
    NoCluster(String),
}

/// The result of [`EmbeddedPostgres::stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// This process was the last user; the server is stopped.
    Down,
    /// Another master_runner uses the server and will stop it.
    StillUsed,
    /// The server was started by hand and is left running.
    NotOurs,
}

impl EmbeddedPostgres {
    /// Creates the cluster if there is none, starts its server unless it already runs, and creates the database if it
    /// is missing.
    ///
    /// # Errors
    /// See [`EmbeddedError`]: each message is one sentence with the next step, and none of the errors has changed
    /// stored data.
    pub async fn start(settings: &EmbeddedSettings) -> Result<Self, EmbeddedError> {
        Self::start_unless(settings, Arc::default()).await
    }

    /// Like [`EmbeddedPostgres::start`]. If `given_up` is set during the start, the start is undone, and no server that
    /// this process started keeps running (A6).
    ///
    /// # Errors
    /// As [`EmbeddedPostgres::start`], and [`EmbeddedError::GivenUp`].
    pub async fn start_unless(
        settings: &EmbeddedSettings,
        given_up: Arc<AtomicBool>,
    ) -> Result<Self, EmbeddedError> {
        let settings = settings.clone();
        let running = blocking(move || Self::start_server(&settings, given_up)).await?;
        if let Err(reason) = running.make_sure_of_database().await {
            let data_dir = running.place.data_dir.clone();
            running.stop().await?;
            return Err(EmbeddedError::Connect { data_dir, reason });
        }
        Ok(running)
    }

    /// Checks whether there is a cluster, and programs to run it. Starts and creates nothing.
    ///
    /// # Errors
    /// As [`EmbeddedPostgres::start`], as far as they can be detected without starting.
    pub async fn look(settings: &EmbeddedSettings) -> Result<Found, EmbeddedError> {
        let settings = settings.clone();
        blocking(move || {
            let data_dir = account::look(&settings.data_dir)?;
            let existing = cluster_version(&data_dir)?;
            let binaries =
                Binaries::find(settings.bin_dir.as_deref(), &data_dir, existing.as_deref())?;
            match existing {
                None => Ok(Found::NoCluster(binaries.major)),
                Some(_) if !cluster::is_ours(&data_dir) => {
                    Err(EmbeddedError::ForeignCluster { data_dir })
                }
                Some(version) => Ok(Found::Cluster(version)),
            }
        })
        .await
    }

    /// The connection string for tokio-postgres and libpq: `host='…' port=… user=… dbname=…`.
    #[must_use]
    pub fn connection_string(&self) -> String {
        self.connection_to(DATABASE)
    }

    /// Whether this process started the server; otherwise it was already running.
    #[must_use]
    pub const fn started(&self) -> bool {
        self.started
    }

    /// The actual directory of the cluster.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.place.data_dir
    }

    /// The process id of the server.
    #[must_use]
    pub const fn server_pid(&self) -> u32 {
        self.postmaster.pid
    }

    /// Why the cluster is not in the configured directory: one sentence for the user.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        self.place.instead_of.as_ref().map(|asked| {
            format!(
                "the private database lies in {} instead of {}: PostgreSQL never runs as root, and its user `{}` \
                 cannot enter that folder",
                self.place.data_dir.display(),
                asked.display(),
                self.place.account.name
            )
        })
    }

    /// The psql(1) of this PostgreSQL version if it is installed, otherwise the one in PATH.
    #[must_use]
    pub fn psql_program(&self) -> PathBuf {
        let own = self.binaries.program("psql");
        if own.is_file() { own } else { "psql".into() }
    }

    /// A handle that restarts the server if it dies, and does not own it.
    #[must_use]
    pub fn reviver(&self) -> Reviver {
        Reviver {
            place: self.place.clone(),
            binaries: self.binaries.clone(),
            given_up: Arc::clone(&self.given_up),
        }
    }

    /// Ends this process's use of the server. Stops the server if this was the last process that used it and a
    /// master_runner had started it.
    ///
    /// # Errors
    /// The server does not stop, or another runner has been starting or stopping it for minutes.
    pub async fn stop(self) -> Result<Stopped, EmbeddedError> {
        blocking(move || self.stop_server()).await
    }

    fn start_server(
        settings: &EmbeddedSettings,
        given_up: Arc<AtomicBool>,
    ) -> Result<Self, EmbeddedError> {
        let place = Place::find(&settings.data_dir)?;
        let data_dir = &place.data_dir;
        // The lock is taken before the first check, so that two first starts at the same time create only one cluster.
        let _turn = take_turn(&place, &given_up)?;
        let existing = cluster_version(data_dir)?;
        let binaries = Binaries::find(settings.bin_dir.as_deref(), data_dir, existing.as_deref())?;
        if existing.is_none() {
            tracing::info!(data_dir = %data_dir.display(), version = binaries.major, "making a private PostgreSQL cluster");
            cluster::create(data_dir, &place.account, &binaries, &given_up)?;
        } else if !cluster::is_ours(data_dir) {
            return Err(EmbeddedError::ForeignCluster {
                data_dir: data_dir.clone(),
            });
        }
        let users = open_lock(&users_file(data_dir), &place)?;
        users
            .lock_shared()
            .map_err(io("cannot lock", users_file(data_dir)))?;
        let (postmaster, started) = bring_up(&place, &binaries, &given_up)?;
        let running = Self {
            place,
            binaries,
            postmaster,
            started,
            users,
            given_up,
        };
        if let Some(notice) = running.notice() {
            tracing::warn!("{notice}");
        }
        tracing::info!(
            data_dir = %running.place.data_dir.display(),
            pid = running.postmaster.pid,
            adopted = !running.started,
            "the private PostgreSQL is running"
        );
        Ok(running)
    }

    fn stop_server(self) -> Result<Stopped, EmbeddedError> {
        let data_dir = &self.place.data_dir;
        // The flag is set first, so that a reviver that is restarting the server releases the lock.
        self.given_up.store(true, Ordering::Release);
        let _turn = take_turn(&self.place, &AtomicBool::new(false))?;
        let file = users_file(data_dir);
        self.users.unlock().map_err(io("cannot unlock", &file))?;
        match self.users.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Stopped::StillUsed),
            Err(TryLockError::Error(error)) => return Err(io("cannot lock", &file)(error)),
        }
        match postmaster::observe(data_dir, &self.place.account)? {
            State::Ready(running) if !postmaster::is_started_by_us(data_dir, &running) => {
                return Ok(Stopped::NotOurs);
            }
            State::Ready(_) | State::Changing => {
                postmaster::stop(data_dir, &self.place.account, &self.binaries)?;
            }
            // The server died in the meantime: there is nothing to stop.
            State::Down | State::Orphans(_) => {}
        }
        cluster::remove_socket_dir(data_dir, &self.postmaster.socket_dir)?;
        Ok(Stopped::Down)
    }

    fn connection_to(&self, database: &str) -> String {
        format!(
            "host='{}' port={} user={} dbname={database}",
            self.postmaster.socket_dir.display(),
            self.postmaster.port,
            cluster::ROLE
        )
    }

    /// Creates the database if it is missing; the error is the reason as text.
    async fn make_sure_of_database(&self) -> Result<(), String> {
        let (client, connection) = tokio_postgres::connect(&self.connection_to("postgres"), NoTls)
            .await
            .map_err(|error| said_by(&error))?;
        let talking = tokio::spawn(connection);
        let known = client
            .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&DATABASE])
            .await
            .map_err(|error| said_by(&error))?;
        if known.is_none() {
            match client
                .batch_execute(&format!("CREATE DATABASE {DATABASE}"))
                .await
            {
                Ok(()) => {}
                // Another runner created it at the same time; the catalogue's unique key reports that.
                Err(error)
                    if matches!(
                        error.code(),
                        Some(&(SqlState::DUPLICATE_DATABASE | SqlState::UNIQUE_VIOLATION))
                    ) => {}
                Err(error) => return Err(said_by(&error)),
            }
        }
        drop(client);
        talking
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| said_by(&error))
    }
}

/// The message of an error with all its causes: tokio-postgres keeps the server's message in the source of the error.
fn said_by(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Runs blocking work outside the actors' thread. A panic of `work` is resumed in the caller.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
