//! Where geckodriver and Firefox are on this machine.

use std::path::{Path, PathBuf};

/// Where the programs are.
pub struct Programs {
    /// geckodriver.
    pub geckodriver: PathBuf,
    /// Firefox.
    pub firefox: PathBuf,
}

impl Programs {
    /// geckodriver from PATH, then from cargo's bin folder; firefox or firefox-esr from PATH.
    ///
    /// # Errors
    /// One of them is not there: which, and the command that brings it.
    pub fn find() -> Result<Self, String> {
        let geckodriver = in_path("geckodriver").or_else(in_cargo_bin).ok_or(
            "no browser: geckodriver is neither in PATH nor in cargo's bin folder; `cargo install geckodriver --locked` brings it",
        )?;
        let firefox = in_path("firefox").or_else(|| in_path("firefox-esr")).ok_or(
            "no browser: neither firefox nor firefox-esr is in PATH; `apt-get install firefox-esr` brings it (on Ubuntu: firefox from Mozilla's package source)",
        )?;
        Ok(Self {
            geckodriver,
            firefox,
        })
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| is_executable(candidate))
}

fn in_cargo_bin() -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))?;
    Some(cargo.join("bin/geckodriver")).filter(|candidate| is_executable(candidate))
}

fn is_executable(candidate: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    candidate
        .metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
