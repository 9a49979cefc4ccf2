//! `master_runner reset-source NAME`: makes the next cycle parse all pages of a source in full.

use schema::SourceName;
use store::ChangeRequest;

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;

use super::change_request::request;
use super::{CommandError, ProgramEnd};

/// Deletes what is known about a source's payloads, or lets the runner that has the lock delete it. No row of the fund
/// tables changes.
///
/// # Errors
/// The database is unavailable, or the runner that has the lock does not answer.
pub async fn reset_source(
    settings: &RunnerSettings,
    source: SourceName,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    request(settings, ChangeRequest::ResetSource(source), stop).await
}
