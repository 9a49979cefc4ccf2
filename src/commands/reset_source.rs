//! `master_runner reset-source NAME`: the next cycle reads everything of a source anew.

use schema::SourceName;

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;

use super::{CommandError, ProgramEnd, say, write_warehouse};

/// Forgets what is known of a source's payloads. No row of the warehouse is touched.
///
/// # Errors
/// The database is away, or another runner holds it.
pub async fn reset_source(
    settings: &RunnerSettings,
    source: SourceName,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    let pages = write_warehouse(settings, stop, async |writer| {
        writer.reset_source(source).await
    })
    .await?;
    say(&shown(source, pages));
    Ok(ProgramEnd::Done)
}

fn shown(source: SourceName, pages: u64) -> String {
    if pages == 0 {
        return format!("Nothing was known of {source} yet; nothing was changed.");
    }
    format!(
        "{pages} pages of {source} are read anew when they are next asked: payload hashes, ranges and list sizes are forgotten. No row of the warehouse was touched. `master_runner --once --cycle monthly --only {source}` asks all of them now."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_said() {
        assert!(shown(SourceName::Wealthmagik, 12).starts_with("12 pages of wealthmagik"));
        assert!(shown(SourceName::Finnomena, 0).contains("nothing was changed"));
    }
}
