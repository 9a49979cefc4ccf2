//! `master_runner accept BREACH_ID`: accepts a mass change that was refused (D11).

use store::ChangeRequest;

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;

use super::change_request::request;
use super::{CommandError, ProgramEnd};

/// Accepts the breach, or lets the runner that has the lock accept it. Nothing is fetched: the next cycle that reads
/// the page applies the change.
///
/// # Errors
/// There is no open breach with this number, the database is unavailable, or the runner that has the lock does not
/// answer.
pub async fn accept(
    settings: &RunnerSettings,
    breach_id: i64,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    request(settings, ChangeRequest::Accept(breach_id), stop).await
}
