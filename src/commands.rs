//! The commands of the program: starts the one that the command line names, and what several of them need. Each command
//! prints its result and returns how it ended.
//!
//! The function of a command does the I/O; pure functions in the same file format the output.

pub mod accept;
mod change_request;
pub mod check;
pub mod explain;
pub mod page_probe;
pub mod probe;
pub mod psql;
pub mod remerge;
pub mod reset_source;
pub mod status;

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use store::{Reader, StoreError};

use crate::cli::Command;
use crate::cycle_report::RunOutcome;
use crate::output::{LogWriter, print_result};
use crate::psql::PsqlError;
use crate::run::run;
use crate::runner_settings::{DatabaseSettings, RunnerSettings};
use crate::secret::without_passwords;
use crate::sites::SitesError;
use crate::stop_signals::StopSignals;
use crate::warehouse::Warehouse;
use embedded_postgres::EmbeddedError;

/// How the program ended: determines the exit code of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramEnd {
    /// A run, with its outcome (O3).
    Run(RunOutcome),
    /// The command succeeded.
    Done,
    /// The command failed and has reported why.
    Failed,
    /// psql ended with this status.
    Psql(ExitStatus),
}

impl ProgramEnd {
    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Run(outcome) => outcome.exit_code(),
            Self::Done => 0,
            Self::Failed => 1,
            // The same code with which a shell reports a child that was ended by a signal.
            Self::Psql(status) => status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal))
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1),
        }
    }
}

/// The reason why a command failed: one sentence with the next step.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The private server failed.
    #[error(transparent)]
    Embedded(EmbeddedError),
    /// The database returned an error.
    #[error(transparent)]
    Store(StoreError),
    /// The database cannot be reached.
    #[error(
        "the database {database} is not available: {cause}; nothing was changed; start it or correct the database setting, then `master_runner check` tries everything"
    )]
    Away {
        /// The address, without password.
        database: String,
        /// The error message.
        cause: String,
    },
    /// There is no warehouse, because no run has created one yet.
    #[error("there is no warehouse in {0} yet; `master_runner --once` makes and fills it")]
    NoWarehouse(String),
    /// The sites could not be set up.
    #[error(transparent)]
    Sites(#[from] SitesError),
    /// psql could not be run.
    #[error(transparent)]
    Psql(#[from] PsqlError),
    /// A stop signal was received.
    #[error("stopped by a signal")]
    Stopped,
    /// The command cannot be applied to the current state.
    #[error("{0}")]
    Unfit(String),
    /// A request was stored, but the command stopped waiting for its answer.
    #[error(
        "{why}; request {id} ({command}) stays in runner.request: the runner that holds the database applies it, else the next one that starts"
    )]
    RequestStays {
        /// The number of the request.
        id: i64,
        /// The command of the request.
        command: &'static str,
        /// The reason why the wait has ended.
        why: String,
        /// Whether a stop signal ended the wait.
        is_stopped: bool,
    },
}

impl From<EmbeddedError> for CommandError {
    fn from(error: EmbeddedError) -> Self {
        match error {
            EmbeddedError::GivenUp { .. } => Self::Stopped,
            error => Self::Embedded(error),
        }
    }
}

impl CommandError {
    fn of_store(error: StoreError, settings: &RunnerSettings) -> Self {
        match error {
            StoreError::Outage(cause) | StoreError::Undone(cause) => Self::Away {
                database: place_of(&settings.database),
                cause,
            },
            error => Self::Store(error),
        }
    }
}

/// Executes the command until it is done or `stop` is requested. Must be called within an actix system.
pub async fn execute(
    command: Command,
    settings: RunnerSettings,
    log: LogWriter,
    stop: &StopSignals,
) -> ProgramEnd {
    let ended = match command {
        Command::Run(args) => {
            return ProgramEnd::Run(run(settings, args, log, stop).await);
        }
        Command::Check(args) => check::check(&settings, args.config.as_deref(), stop).await,
        Command::Status(_) => status::status(&settings, stop).await,
        Command::Explain(args) => explain::explain(&settings, &args.code, stop).await,
        Command::Probe(args) => probe::probe(&settings, &args, stop).await,
        Command::Psql(args) => psql::psql(&settings, &args, stop).await,
        Command::Remerge(_) => remerge::remerge(&settings, stop).await,
        Command::Accept(args) => accept::accept(&settings, args.breach_id, stop).await,
        Command::ResetSource(args) => {
            reset_source::reset_source(&settings, args.source, stop).await
        }
    };
    ended.unwrap_or_else(|error| {
        log.message(&without_passwords(&error.to_string()));
        match error {
            CommandError::Stopped
            | CommandError::RequestStays {
                is_stopped: true, ..
            } => ProgramEnd::Run(RunOutcome::Stopped),
            _ => ProgramEnd::Failed,
        }
    })
}

/// Prints a result of the command without waiting for its reader.
fn say(text: &str) {
    print_result(text);
}

/// The address of the warehouse, without password.
fn place_of(database: &DatabaseSettings) -> String {
    match database {
        DatabaseSettings::Embedded(embedded) => embedded.data_dir.display().to_string(),
        DatabaseSettings::Url(url) => url.to_string(),
    }
}

/// Formats a moment in the schedule's time zone.
fn shown_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

/// Runs `work` and returns its result; a stop drops `work`.
async fn or_stopped<T>(
    stop: &StopSignals,
    work: impl Future<Output = T>,
) -> Result<T, CommandError> {
    stop.unless_requested(work)
        .await
        .ok_or(CommandError::Stopped)
}

/// Runs `work` on an existing warehouse. A private server is started before it and stopped after it. No warehouse is
/// created. `work` has to handle a stop itself.
async fn on_warehouse<T>(
    settings: &RunnerSettings,
    stop: &StopSignals,
    work: impl AsyncFnOnce(&Warehouse) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let Some(warehouse) = Warehouse::open_existing(&settings.database, stop).await? else {
        return Err(CommandError::NoWarehouse(place_of(&settings.database)));
    };
    let result = work(&warehouse).await;
    warehouse.close().await;
    result
}

/// Like [`on_warehouse`], but a stop drops `work`, which rolls back an open transaction.
async fn on_warehouse_unless_stopped<T>(
    settings: &RunnerSettings,
    stop: &StopSignals,
    work: impl AsyncFnOnce(&Warehouse) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    on_warehouse(settings, stop, async |warehouse| {
        or_stopped(stop, work(warehouse)).await?
    })
    .await
}

/// Reads the warehouse; a runner may be working on it at the same time.
async fn read_warehouse<T>(
    settings: &RunnerSettings,
    stop: &StopSignals,
    work: impl AsyncFnOnce(&Reader) -> Result<T, StoreError>,
) -> Result<T, CommandError> {
    on_warehouse_unless_stopped(settings, stop, async |warehouse| {
        let reader = Reader::new(warehouse.connection(), 1)
            .map_err(|error| CommandError::of_store(error, settings))?;
        let facts = reader.server_facts().await;
        if facts
            .map_err(|error| CommandError::of_store(error, settings))?
            .schema_version
            == 0
        {
            return Err(CommandError::NoWarehouse(place_of(&settings.database)));
        }
        work(&reader)
            .await
            .map_err(|error| CommandError::of_store(error, settings))
    })
    .await
}

/// The known codes most similar to an unknown one, the most similar first.
fn nearest<'codes>(code: &str, known: impl IntoIterator<Item = &'codes str>) -> Vec<&'codes str> {
    const SHOWN: usize = 5;
    let wanted = code.to_uppercase();
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&wanted, &known.to_uppercase()), known))
        .filter(|(score, _)| *score > 0.7)
        .collect();
    scored.sort_by(|(a, first), (b, second)| b.total_cmp(a).then_with(|| first.cmp(second)));
    scored.truncate(SHOWN);
    scored.into_iter().map(|(_, code)| code).collect()
}

/// The error for a code that no source has reported.
fn unknown_code<'codes>(code: &str, known: impl IntoIterator<Item = &'codes str>) -> CommandError {
    let near = nearest(code, known);
    CommandError::Unfit(if near.is_empty() {
        format!("no source ever named a fund `{code}`, nor one like it; codes are compared exactly")
    } else {
        format!(
            "no source ever named a fund `{code}`; codes are compared exactly; the nearest are: {}",
            near.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_exit_code() {
        for (end, code) in [
            (ProgramEnd::Run(RunOutcome::Partial), 3),
            (ProgramEnd::Done, 0),
            (ProgramEnd::Failed, 1),
            (ProgramEnd::Psql(ExitStatus::from_raw(3 << 8)), 3),
            (ProgramEnd::Psql(ExitStatus::from_raw(9)), 137),
        ] {
            assert_eq!(end.exit_code(), code, "{end:?}");
        }
    }

    #[test]
    fn the_nearest_codes_come_first_and_case_does_not_hide_them() {
        let known = ["K-USA-A(A)", "K-USA-A(D)", "SCBGOLD", "KFGTECH"];
        assert_eq!(nearest("k-usa-a(a)", known), ["K-USA-A(A)", "K-USA-A(D)"]);
        assert!(nearest("ฮฮฮ", known).is_empty());
        let sentence = unknown_code("SCBGOLF", known).to_string();
        assert!(
            sentence.contains("`SCBGOLF`") && sentence.contains("SCBGOLD"),
            "{sentence}"
        );
    }
}
