//! `master_runner remerge`: rebuilds the small tables from the observations (D4).

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;

use super::{CommandError, ProgramEnd, say, write_warehouse};

/// Rebuilds in one transaction; rows that are right already are not written.
///
/// # Errors
/// The database is away, or another runner holds it.
pub async fn remerge(
    settings: &RunnerSettings,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    let changed = write_warehouse(settings, stop, async |writer| writer.remerge().await).await?;
    say(&shown(changed));
    Ok(ProgramEnd::Done)
}

fn shown(changed: u64) -> String {
    let found = match changed {
        0 => "every row was right already; nothing was written".to_owned(),
        1 => "1 row was not what the observations say, and was corrected".to_owned(),
        rows => format!("{rows} rows were not what the observations say, and were corrected"),
    };
    format!(
        "The small tables were derived anew from the observations: {found}. (The daily series is not kept as observations and stays as it is.)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_said() {
        for (changed, words) in [(0, "nothing was written"), (1, "1 row was"), (7, "7 rows")] {
            assert!(shown(changed).contains(words));
        }
    }
}
