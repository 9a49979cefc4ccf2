//! `master_runner remerge`: rebuilds the small tables from the observations (D4).

use store::ChangeRequest;

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;

use super::change_request::request;
use super::{CommandError, ProgramEnd};

/// Rebuilds in one transaction, by the runner that holds the database if there is one; rows that are right are not written.
///
/// # Errors
/// The database is away, or the runner that holds it does not answer.
pub async fn remerge(
    settings: &RunnerSettings,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    request(settings, ChangeRequest::Remerge, stop).await
}
