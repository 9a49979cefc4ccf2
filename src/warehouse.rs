//! Where the warehouse is: a private server that is started here, or a server of the user's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::loader_actor::Revive;
use schema::store::{StoreError, Writer};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::embedded_postgres::{EmbeddedError, EmbeddedPostgres, Found, Stopped};
use crate::runner_settings::DatabaseSettings;

/// How long the writer's lock is tried for: a killed runner's backend may hold it for moments (O2).
pub const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How long a loader that lost its connection tries for the lock: a server notices a cut cable within this time, by the
/// keepalives of the session, and lets go of the lock of the connection that is gone.
pub const RECONNECT_LOCK_PATIENCE: Duration = Duration::from_secs(90);
/// How long `--once` and `check` give a database that is not there (A2).
pub const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long a scheduled runner asks a server again that refuses its session in mid-run: a role or a database may be under
/// repair. A run with `--once` has [`START_PATIENCE`]: somebody waits for its exit code.
pub const REFUSAL_PATIENCE: Duration = Duration::from_secs(600);
/// Shortest and longest wait between two attempts to reach a database that is away.
pub const BACK_OFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A warehouse that can be connected to.
#[derive(Debug)]
pub struct Warehouse {
    embedded: Option<EmbeddedPostgres>,
    connection: String,
}

impl Warehouse {
    /// Starts the private server if that is what is configured, or takes over the one that runs.
    ///
    /// # Errors
    /// The private server cannot be started: one sentence with the next step.
    pub async fn open(settings: &DatabaseSettings) -> Result<Self, EmbeddedError> {
        match settings {
            DatabaseSettings::Url(url) => Ok(Self {
                embedded: None,
                connection: url.expose().to_owned(),
            }),
            DatabaseSettings::Embedded(settings) => {
                let embedded = EmbeddedPostgres::start(settings).await?;
                if let Some(notice) = embedded.notice() {
                    tracing::warn!("{notice}");
                }
                tracing::info!(
                    data_dir = %embedded.data_dir().display(), taken_over = embedded.adopted(),
                    "the private PostgreSQL is running"
                );
                Ok(Self {
                    connection: embedded.connection_string(),
                    embedded: Some(embedded),
                })
            }
        }
    }

    /// As [`Warehouse::open`], but no cluster is made: `None` where there is no private database yet.
    ///
    /// # Errors
    /// As [`Warehouse::open`].
    pub async fn open_existing(settings: &DatabaseSettings) -> Result<Option<Self>, EmbeddedError> {
        if let DatabaseSettings::Embedded(embedded) = settings
            && let Found::NoCluster(_) = EmbeddedPostgres::look(embedded).await?
        {
            return Ok(None);
        }
        Self::open(settings).await.map(Some)
    }

    /// What brings a private server back that dies under a running cycle; a server of the user's is somebody else's.
    #[must_use]
    pub fn revive(&self) -> Option<Revive> {
        let reviver = self.embedded.as_ref()?.reviver();
        Some(Revive(Arc::new(move || {
            let reviver = reviver.clone();
            Box::pin(async move {
                if let Err(error) = reviver.revive().await {
                    tracing::warn!(%error, "the private PostgreSQL could not be started again; it is tried again");
                }
            })
        })))
    }

    /// What clients connect with; may hold a password: never logged.
    #[must_use]
    pub fn connection(&self) -> &str {
        &self.connection
    }

    /// The psql(1) to open it with.
    #[must_use]
    pub fn psql_program(&self) -> std::path::PathBuf {
        self.embedded
            .as_ref()
            .map_or_else(|| "psql".into(), EmbeddedPostgres::psql_program)
    }

    /// Stops what was started here.
    pub async fn close(self) {
        let Some(embedded) = self.embedded else {
            return;
        };
        match embedded.stop().await {
            Ok(Stopped::Down) => tracing::info!("the private PostgreSQL is stopped"),
            Ok(Stopped::StillUsed) => {
                tracing::info!("the private PostgreSQL goes on: another master_runner uses it");
            }
            Ok(Stopped::NotOurs) => {
                tracing::info!("the PostgreSQL that was started by hand goes on");
            }
            Err(error) => {
                tracing::warn!(%error, "the private PostgreSQL could not be stopped; its data is safe, the next start takes it over");
            }
        }
    }
}

/// How a writer is waited for at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartPatience {
    /// How long a database that is away is waited for; `None`: without limit.
    pub database: Option<Duration>,
    /// Whether another runner's end is waited for (`--standby`).
    pub other_runner: bool,
}

/// The one writer, once the database is there and the lock is ours.
///
/// # Errors
/// The database did not come in time or refuses; another runner holds it; the program is to stop.
pub async fn open_writer(
    connection: &str,
    patience: StartPatience,
    stop: &mut watch::Receiver<bool>,
) -> Result<Writer, StoreError> {
    let began = Instant::now();
    let mut back_off = BACK_OFF.0;
    let mut said_standby = false;
    loop {
        let error = match Writer::open(connection, LOCK_PATIENCE).await {
            Ok(writer) => return Ok(writer),
            Err(error) => error,
        };
        match &error {
            StoreError::AnotherRunner { who } if patience.other_runner => {
                if !said_standby {
                    tracing::info!(
                        holder = who,
                        "standing by: another runner holds the database"
                    );
                    said_standby = true;
                }
            }
            StoreError::Outage(why) | StoreError::Undone(why)
                if patience
                    .database
                    .is_none_or(|limit| began.elapsed() < limit) =>
            {
                tracing::warn!(
                    error = why,
                    retry_after_secs = back_off.as_secs_f64(),
                    "the database is not there yet; waiting"
                );
            }
            _ => return Err(error),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Err(error),
            () = tokio::time::sleep(back_off) => {}
        }
        back_off = (back_off * 2).min(BACK_OFF.1);
    }
}

/// The exact line that opens the warehouse in psql; `config` as named on the command line.
#[must_use]
pub fn psql_line(config: Option<&Path>) -> String {
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "master_runner".to_owned());
    match config {
        None => format!("{program} psql"),
        Some(config) => format!("{program} psql --config {}", config.display()),
    }
}
