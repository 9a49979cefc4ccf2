//! `master_runner reset-source NAME`: the next cycle reads everything of a source in full.

use schema::SourceName;
use store::ChangeRequest;

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;

use super::change_request::request;
use super::{CommandError, ProgramEnd};

/// Forgets what is known of a source's payloads, by the runner that holds the database if there is one. No row of the warehouse
/// is touched.
///
/// # Errors
/// The database is away, or the runner that holds it does not answer.
pub async fn reset_source(
    settings: &RunnerSettings,
    source: SourceName,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    request(settings, ChangeRequest::ResetSource(source), stop).await
}
