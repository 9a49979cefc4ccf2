//! `master_runner remerge`: merges the rows of the fund tables again by the ranks in force (D4).

use store::ChangeRequest;

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;

use super::change_request::request;
use super::{CommandError, ProgramEnd, read_warehouse};

/// Merges the rows in one transaction, or lets the runner that has the lock do it. Rows that are already correct are
/// not written.
///
/// # Errors
/// The database is unavailable, or the runner that has the lock does not answer or uses other ranks than the
/// configuration has now.
pub async fn remerge(
    settings: &RunnerSettings,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    let end = request(settings, ChangeRequest::Remerge, stop).await?;
    // A runner uses the ranks of the configuration that it started with.
    let precedence = &settings.precedence;
    let differing = read_warehouse(settings, stop, async |reader| {
        reader.ranks_to_remerge(precedence).await
    })
    .await?;
    if differing.is_empty() {
        return Ok(end);
    }
    Err(CommandError::Unfit(format!(
        "the runner that holds the database started with another precedence of {} and merged the rows by it; next: restart that runner, then repeat `master_runner remerge`",
        differing.join(", ")
    )))
}
