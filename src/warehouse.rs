//! Opens the warehouse: starts the private server if one is configured, waits for the database and the lock, and opens
//! the writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actors::loader_actor::Revive;
use schema::back_off::BackOff;
use store::{StoreError, Writer};
use tokio::time::Instant;

use crate::runner_settings::DatabaseSettings;
use crate::standby::stand_by;
use crate::stop_signals::StopSignals;
use embedded_postgres::{EmbeddedError, EmbeddedPostgres, Found, Stopped};

/// How long the writer tries to take the lock, because the backend of a killed runner may keep it for a moment (O2).
pub const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How long a loader that lost its connection tries to take the lock. Within this time the server detects by the
/// session's keepalives that the network is cut, and releases the lock of the lost connection.
pub const RECONNECT_LOCK_PATIENCE: Duration = Duration::from_secs(90);
/// How long `--once` and `check` wait for an unavailable database (A2).
pub const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long a scheduled runner retries a server that refuses its session in mid-run, because a role or a database may
/// be under repair. A run with `--once` uses [`START_PATIENCE`], because its caller waits for the exit code.
pub const REFUSAL_PATIENCE: Duration = Duration::from_secs(600);
/// The wait between two attempts to reach an unavailable database.
pub const BACK_OFF: BackOff = BackOff::new(Duration::from_millis(500), Duration::from_secs(30));

/// The address of a warehouse, and its private server if there is one.
#[derive(Debug)]
pub struct Warehouse {
    embedded: Option<EmbeddedPostgres>,
    connection: String,
}

impl Warehouse {
    /// Starts the private server if one is configured and does not run yet.
    ///
    /// # Errors
    /// The private server cannot be started: one sentence with the next step. If the program stops, nothing that was
    /// started keeps running.
    pub async fn open(
        settings: &DatabaseSettings,
        stop: &StopSignals,
    ) -> Result<Self, EmbeddedError> {
        match settings {
            DatabaseSettings::Url(url) => Ok(Self {
                embedded: None,
                connection: url.expose().to_owned(),
            }),
            DatabaseSettings::Embedded(settings) => {
                let given_up = Arc::new(AtomicBool::new(false));
                let starting = EmbeddedPostgres::start_unless(settings, Arc::clone(&given_up));
                tokio::pin!(starting);
                let embedded = tokio::select! {
                    started = &mut starting => started?,
                    () = stop.request() => {
                        given_up.store(true, Ordering::Release);
                        // The start is awaited instead of dropped, so that it stops everything it started.
                        starting.await?
                    }
                };
                Ok(Self {
                    connection: embedded.connection_string(),
                    embedded: Some(embedded),
                })
            }
        }
    }

    /// Like [`Warehouse::open`], but creates no cluster: `None` if there is no private database yet.
    ///
    /// # Errors
    /// As [`Warehouse::open`].
    pub async fn open_existing(
        settings: &DatabaseSettings,
        stop: &StopSignals,
    ) -> Result<Option<Self>, EmbeddedError> {
        if let DatabaseSettings::Embedded(embedded) = settings
            && let Found::NoCluster(_) = EmbeddedPostgres::look(embedded).await?
        {
            return Ok(None);
        }
        Self::open(settings, stop).await.map(Some)
    }

    /// The hook that restarts a private server that dies during a cycle; `None` for an existing server.
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

    /// The connection string for clients. May contain a password: never logged.
    #[must_use]
    pub fn connection(&self) -> &str {
        &self.connection
    }

    /// The psql(1) program to open the warehouse with.
    #[must_use]
    pub fn psql_program(&self) -> std::path::PathBuf {
        self.embedded
            .as_ref()
            .map_or_else(|| "psql".into(), EmbeddedPostgres::psql_program)
    }

    /// Stops the private server, if there is one.
    pub async fn close(self) {
        let Some(embedded) = self.embedded else {
            return;
        };
        match embedded.stop().await {
            Ok(Stopped::Down) => tracing::info!("the private PostgreSQL is stopped"),
            Ok(Stopped::StillUsed) => {
                tracing::info!(
                    "the private PostgreSQL keeps running: another master_runner uses it"
                );
            }
            Ok(Stopped::NotOurs) => {
                tracing::info!("the PostgreSQL that was started by hand keeps running");
            }
            Err(error) => {
                tracing::warn!(%error, "the private PostgreSQL could not be stopped; its data is safe, the next start takes it over");
            }
        }
    }
}

/// How long the start waits for a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartPatience {
    /// How long to wait for an unavailable database; `None`: without limit.
    pub database: Option<Duration>,
    /// Whether to wait for the end of another runner (`--standby`).
    pub other_runner: bool,
    /// How long to try for the lock.
    pub lock: Duration,
    /// Whether the writer is for a runner. It then writes a first heartbeat, which names the runner as the holder.
    pub claims: bool,
}

/// The reason why no writer was opened.
#[derive(Debug)]
pub enum OpenError {
    /// The program is stopping.
    Stopped,
    /// The database was not available in time or refuses the session, or another runner has the lock.
    Store(StoreError),
}

/// The writer, opened.
#[derive(Debug)]
pub struct OpenedWriter {
    /// The writer, which has the lock.
    pub writer: Writer,
    /// The time at which the other runner last made progress, if this runner waited for its end.
    pub other_seen_alive: Option<Instant>,
}

/// Opens the writer as soon as the database is available and the lock is free.
///
/// # Errors
/// The database was not available in time or refuses the session, another runner has the lock, or the program stops.
pub async fn open_writer(
    warehouse: &Warehouse,
    patience: StartPatience,
    stop: &StopSignals,
) -> Result<OpenedWriter, OpenError> {
    stop.unless_requested(wait_for_writer(warehouse, patience))
        .await
        .unwrap_or(Err(OpenError::Stopped))
}

async fn claimed(warehouse: &Warehouse, patience: StartPatience) -> Result<Writer, StoreError> {
    let mut writer = Writer::open(warehouse.connection(), patience.lock).await?;
    if patience.claims {
        writer.heartbeat("starting").await?;
    }
    Ok(writer)
}

async fn wait_for_writer(
    warehouse: &Warehouse,
    patience: StartPatience,
) -> Result<OpenedWriter, OpenError> {
    let mut away_since: Option<Instant> = None;
    let mut failures = 0;
    let mut said_standby = false;
    let mut other_seen_alive = None;
    loop {
        let opened = claimed(warehouse, patience).await;
        let error = match opened {
            Ok(writer) => {
                if said_standby {
                    tracing::info!("this runner holds the database now");
                }
                return Ok(OpenedWriter {
                    writer,
                    other_seen_alive,
                });
            }
            Err(StoreError::AnotherRunner { who }) if patience.other_runner => {
                if !said_standby {
                    tracing::info!(
                        holder = who,
                        "standing by: another runner holds the database"
                    );
                    said_standby = true;
                }
                match stand_by(warehouse.connection()).await {
                    Ok(seen_alive) => {
                        other_seen_alive = Some(seen_alive);
                        (away_since, failures) = (None, 0);
                        continue;
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        // The time is measured separately for each outage, so that a standby that has waited for a month still waits
        // the full time.
        let away_for = away_since.get_or_insert_with(Instant::now).elapsed();
        if !error.is_outage() || patience.database.is_some_and(|limit| away_for >= limit) {
            return Err(OpenError::Store(error));
        }
        let pause = BACK_OFF.after(failures);
        failures = failures.saturating_add(1);
        tracing::warn!(
            %error,
            retry_after_secs = pause.as_secs_f64(),
            "the database is not available yet; waiting"
        );
        tokio::time::sleep(pause).await;
        if let Some(Revive(revive)) = warehouse.revive() {
            revive().await;
        }
    }
}

/// What the operator should do about ranks that differ from those by which the rows were merged.
#[must_use]
pub fn to_remerge(places: &[String]) -> String {
    format!(
        "the precedence of {} was changed after the rows were merged: only rows that change follow it; `master_runner remerge` applies it to all rows",
        places.join(", ")
    )
}

/// The exact command that opens the warehouse in psql; `config` as named on the command line.
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
