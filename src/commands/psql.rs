//! `master_runner psql`: opens the warehouse in psql(1).

use std::ffi::OsString;

use tokio_postgres::Config;

use crate::cli::PsqlArgs;
use crate::runner_settings::RunnerSettings;

use super::{CommandError, ProgramEnd, on_warehouse};

/// Opens psql on this terminal; a private server runs for that time. Ends as psql ends.
///
/// # Errors
/// There is no warehouse, its server does not start, or psql is missing.
pub async fn psql(settings: &RunnerSettings, args: &PsqlArgs) -> Result<ProgramEnd, CommandError> {
    on_warehouse(settings, async |warehouse| {
        // The parser's own words may quote the password: they are dropped on purpose.
        let database: Config = warehouse.connection().parse().map_err(|_| {
            CommandError::Unfit("the database setting is no PostgreSQL address".to_owned())
        })?;
        let arguments: Vec<OsString> = args.psql.iter().map(OsString::from).collect();
        let status = crate::psql::open(&warehouse.psql_program(), &database, &arguments).await?;
        Ok(ProgramEnd::Psql(status))
    })
    .await
}
