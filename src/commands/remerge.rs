//! `master_runner remerge`: rebuilds the small tables (the fund tables without `funds_daily`) from the observations (D4).

use store::ChangeRequest;

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;

use super::change_request::request;
use super::{CommandError, ProgramEnd};

/// Rebuilds the tables in one transaction, or lets the runner that has the lock rebuild them. Rows that are already
/// correct are not written.
///
/// # Errors
/// The database is unavailable, or the runner that has the lock does not answer.
pub async fn remerge(
    settings: &RunnerSettings,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    request(settings, ChangeRequest::Remerge, stop).await
}
