//! Finds geckodriver and Firefox on this machine.

use std::path::{Path, PathBuf};

/// The paths of the programs.
pub struct Programs {
    /// geckodriver.
    pub geckodriver: PathBuf,
    /// Firefox.
    pub firefox: PathBuf,
}

impl Programs {
    /// Finds geckodriver in PATH, then in cargo's bin folder; firefox or firefox-esr in PATH. Snap packages are
    /// skipped: their confinement hides the profile directory from them.
    ///
    /// # Errors
    /// A program is missing: its name, and the command that installs it.
    pub fn find() -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
        Self::find_in(&directories, in_cargo_bin())
    }

    fn find_in(directories: &[PathBuf], in_cargo: Option<PathBuf>) -> Result<Self, String> {
        let geckodriver = match found(directories, &["geckodriver"]) {
            Found::Usable(program) => program,
            Found::SnapOnly(snap) => in_cargo.ok_or_else(|| snap_only(&snap))?,
            Found::Nothing => in_cargo.ok_or(
                "no browser: geckodriver is neither in PATH nor in cargo's bin folder; `cargo install geckodriver --locked` brings it",
            )?,
        };
        let firefox = match found(directories, &["firefox", "firefox-esr"]) {
            Found::Usable(program) => program,
            Found::SnapOnly(snap) => return Err(snap_only(&snap)),
            Found::Nothing => {
                return Err("no browser: neither firefox nor firefox-esr is in PATH; `apt-get install firefox-esr` brings it (on Ubuntu: firefox from Mozilla's package source)".to_owned());
            }
        };
        Ok(Self {
            geckodriver,
            firefox,
        })
    }
}

/// The result of a search in PATH.
enum Found {
    Usable(PathBuf),
    SnapOnly(PathBuf),
    Nothing,
}

/// The first of these programs that is not a snap.
fn found(directories: &[PathBuf], programs: &[&str]) -> Found {
    let mut snap = None;
    for program in programs {
        for directory in directories {
            let candidate = directory.join(program);
            if !is_executable(&candidate) {
                continue;
            }
            if !is_snap(&candidate) {
                return Found::Usable(candidate);
            }
            snap.get_or_insert(candidate);
        }
    }
    snap.map_or(Found::Nothing, Found::SnapOnly)
}

fn snap_only(program: &Path) -> String {
    format!(
        "no browser: {} is a snap package, and snap confinement hides the profile directory from it; install Firefox from Mozilla's package source (https://support.mozilla.org/kb/install-firefox-linux) or firefox-esr, and geckodriver by `cargo install geckodriver --locked`; or set transport: Http",
        program.display()
    )
}

/// Whether a program is a snap: a link into a snap's folders or to `snap` itself, or the small script by which
/// distributions start the snap.
fn is_snap(program: &Path) -> bool {
    use std::io::Read as _;
    const SCRIPT_BYTES: u64 = 8 * 1024;
    let target = program
        .canonicalize()
        .unwrap_or_else(|_| program.to_owned());
    let in_snap = |path: &Path| path.components().any(|part| part.as_os_str() == "snap");
    if in_snap(program) || in_snap(&target) {
        return true;
    }
    let mut start = Vec::new();
    let read = std::fs::File::open(&target)
        .and_then(|file| file.take(SCRIPT_BYTES).read_to_end(&mut start));
    if read.is_err() || !start.starts_with(b"#!") {
        return false;
    }
    let script = String::from_utf8_lossy(&start);
    ["/snap/bin/", "snap run "]
        .iter()
        .any(|call| script.contains(call))
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn program(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        std::fs::write(path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("set");
    }

    /// O9: a snap of Firefox or geckodriver is reported as such; a usable program beside it is used.
    #[test]
    fn a_snap_is_named_and_passed_over() {
        let base = tempfile::tempdir().expect("a directory");
        let at = |name: &str| base.path().join(name);
        program(&at("tools/geckodriver"), "\u{7f}ELF");
        program(
            &at("script/firefox"),
            "#!/bin/sh\nexec /snap/bin/firefox \"$@\"\n",
        );
        program(
            &at("run/firefox"),
            "#!/bin/sh\nexec snap run firefox \"$@\"\n",
        );
        program(&at("usr/snap"), "\u{7f}ELF");
        std::fs::create_dir_all(at("link")).expect("created");
        symlink(at("usr/snap"), at("link/firefox")).expect("linked");
        program(&at("snap/bin/firefox"), "\u{7f}ELF");
        program(&at("snap/bin/geckodriver"), "\u{7f}ELF");
        program(&at("esr/firefox-esr"), "\u{7f}ELF");
        program(
            &at("deb/firefox"),
            "#!/bin/sh\nexec /usr/lib/firefox/firefox \"$@\"\n",
        );
        for (path, usable) in [
            (&["tools", "script"][..], None),
            (&["tools", "run"], None),
            (&["tools", "link"], None),
            (&["tools", "snap/bin"], None),
            (&["snap/bin", "deb"], None),
            (&["tools", "snap/bin", "esr"], Some("esr/firefox-esr")),
            (&["tools", "script", "deb"], Some("deb/firefox")),
        ] {
            let directories: Vec<PathBuf> = path.iter().map(|name| at(name)).collect();
            match (Programs::find_in(&directories, None), usable) {
                (Ok(programs), Some(usable)) => assert_eq!(programs.firefox, at(usable)),
                (Err(why), None) => assert!(why.contains("is a snap package"), "{path:?}: {why}"),
                (Ok(programs), None) => panic!("{path:?}: {:?} was taken", programs.firefox),
                (Err(why), Some(_)) => panic!("{path:?}: {why}"),
            }
        }
        let nothing = Programs::find_in(&[at("tools")], None)
            .err()
            .expect("nothing");
        assert!(
            nothing.contains("neither firefox nor firefox-esr"),
            "{nothing}"
        );
    }
}
