//! The configuration: an invalid one is reported in a bounded message without secrets (O1, O5).

use std::path::Path;

use master_runner::runner_config::RunnerConfig;
use master_runner::runner_settings::RunnerSettings;

/// A password inside a database URL that no message may contain.
const PASSWORD: &str = "hunter2";

pub fn runner_ron(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let path = Path::new("runner.ron");
    let checked = RunnerConfig::parse(path, text)
        .and_then(|config| RunnerSettings::check(path, &config, None));
    let Err(error) = checked else {
        return;
    };
    let message = error.to_string();
    let chars = message.chars().count();
    assert!(chars <= 20_000, "a message of {chars} characters");
    let in_url = text
        .matches(&format!("\"postgres://me:{PASSWORD}@"))
        .count();
    if in_url == text.matches(PASSWORD).count() {
        assert!(!message.contains(PASSWORD), "{message}");
    }
}
