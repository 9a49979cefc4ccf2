//! `master_runner psql`: opens the warehouse in psql(1).

use std::ffi::OsString;

use store::{AddressProblem, DatabaseAddress};

use crate::cli::PsqlArgs;
use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;

use super::{CommandError, ProgramEnd, on_warehouse};

/// Opens psql on this terminal. A private server is started before it and stopped after it. Ends with psql's exit
/// status.
///
/// # Errors
/// There is no warehouse, its server does not start, or psql is missing.
pub async fn psql(
    settings: &RunnerSettings,
    args: &PsqlArgs,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    let status = on_warehouse(settings, stop, async |warehouse| {
        let database: DatabaseAddress = warehouse
            .connection()
            .parse()
            .map_err(|problem: AddressProblem| CommandError::Unfit(problem.to_string()))?;
        let arguments: Vec<OsString> = args.psql.iter().map(OsString::from).collect();
        // `open` handles a stop itself: psql is ended before the server is stopped.
        Ok(crate::psql::open(&warehouse.psql_program(), &database, &arguments, stop).await?)
    })
    .await?;
    status.map(ProgramEnd::Psql).ok_or(CommandError::Stopped)
}
