//! `master_runner reset-source NAME`: makes the next cycle parse all pages of a source in full.

use schema::SourceName;
use store::ChangeRequest;

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;

use super::change_request::request;
use super::{CommandError, ProgramEnd};

/// Deletes what is known about a source's payloads; if a runner has the lock, that runner does it. No row of the
/// warehouse changes.
///
/// # Errors
/// The database is away, or the runner that has the lock does not answer.
pub async fn reset_source(
    settings: &RunnerSettings,
    source: SourceName,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    request(settings, ChangeRequest::ResetSource(source), stop).await
}
