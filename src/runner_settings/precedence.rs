//! Checks the key `precedence` of `runner.ron`.

use schema::precedence::Precedence;

use super::findings::Findings;
use crate::runner_config::PrecedenceConfig;

/// The defaults with the configured ranks, or every wrong entry as a problem.
pub(super) fn precedence(found: &mut Findings, config: &PrecedenceConfig) -> Option<Precedence> {
    let entries = config.0.iter().map(|(place, sources)| {
        let names = sources.iter().map(|source| source.0.as_str()).collect();
        (place.as_str(), names)
    });
    match Precedence::configured(entries) {
        Ok(precedence) => Some(precedence),
        Err(problems) => {
            for problem in problems {
                let at = problem.at.map(|at| format!("[{at}]")).unwrap_or_default();
                let place: String = problem.place.chars().take(100).collect();
                let key = format!("precedence[{place:?}]{at}");
                found.wrong::<()>(&key, &problem.found, &problem.expected);
            }
            None
        }
    }
}
