//! Finds PostgreSQL's server programs: in the configured folder, the newest version below `/usr/lib/postgresql`, or
//! PATH.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::{EmbeddedError, io};

/// The programs that a private server needs.
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// The folder in which Debian and Ubuntu have one subfolder per major version.
const DEBIAN_VERSIONS: &str = "/usr/lib/postgresql";

/// A folder with all programs, and their major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    dir: PathBuf,
    pub(super) major: String,
}

impl Binaries {
    /// The programs for a cluster of version `cluster`, or the newest ones if there is no cluster yet.
    ///
    /// # Errors
    /// No programs are installed, or only programs of other versions than the cluster's.
    pub(super) fn find(
        configured: Option<&Path>,
        data_dir: &Path,
        cluster: Option<&str>,
    ) -> Result<Self, EmbeddedError> {
        let found = match configured {
            Some(dir) => vec![Self::configured(dir)?],
            None => Self::installed()?,
        };
        if found.is_empty() {
            return Err(EmbeddedError::BinariesMissing);
        }
        let Some(cluster) = cluster else {
            return found
                .into_iter()
                .next()
                .ok_or(EmbeddedError::BinariesMissing);
        };
        let versions: Vec<&str> = found.iter().map(|one| one.major.as_str()).collect();
        let programs = versions.join(", ");
        found
            .into_iter()
            .find(|one| one.major == cluster)
            .ok_or_else(|| EmbeddedError::OtherVersion {
                data_dir: data_dir.to_path_buf(),
                cluster: cluster.to_owned(),
                programs,
            })
    }

    /// The path of one of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn configured(dir: &Path) -> Result<Self, EmbeddedError> {
        match missing_program(dir) {
            Some(missing) => Err(EmbeddedError::ConfiguredBinariesMissing {
                dir: dir.to_path_buf(),
                missing,
            }),
            None => Self::asked(dir.to_path_buf()),
        }
    }

    /// The programs in Debian's folders, newest version first, then in the folders of PATH: the first folder per major
    /// version that contains all of them.
    fn installed() -> Result<Vec<Self>, EmbeddedError> {
        let mut dirs = debian_dirs(Path::new(DEBIAN_VERSIONS))?;
        if let Some(path) = std::env::var_os("PATH") {
            dirs.extend(std::env::split_paths(&path).filter(|dir| dir.is_absolute()));
        }
        let mut found: Vec<Self> = Vec::new();
        for dir in dirs {
            if missing_program(&dir).is_none() {
                let one = Self::asked(dir)?;
                if !found.iter().any(|other| other.major == one.major) {
                    found.push(one);
                }
            }
        }
        Ok(found)
    }

    fn asked(dir: PathBuf) -> Result<Self, EmbeddedError> {
        let program = dir.join("postgres");
        let output = Command::new(&program)
            .arg("--version")
            .current_dir("/")
            .output()
            .map_err(io("cannot ask the version of", &program))?;
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match major_of(&answer) {
            Some(major) => Ok(Self { dir, major }),
            None => Err(EmbeddedError::VersionUnknown { program, answer }),
        }
    }
}

fn missing_program(dir: &Path) -> Option<&'static str> {
    PROGRAMS
        .into_iter()
        .find(|program| !dir.join(program).is_file())
}

/// The folders `<versions>/<major>/bin`, newest major version first.
fn debian_dirs(versions: &Path) -> Result<Vec<PathBuf>, EmbeddedError> {
    let entries = match std::fs::read_dir(versions) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("cannot list", versions)(error)),
    };
    let mut majors = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io("cannot list", versions))?;
        let major = entry.file_name().to_str().and_then(|name| {
            let number: u32 = name.parse().ok()?;
            Some(number)
        });
        if let Some(major) = major {
            majors.push((major, entry.path().join("bin")));
        }
    }
    majors.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    Ok(majors.into_iter().map(|(_, dir)| dir).collect())
}

/// Parses the major version of `postgres (PostgreSQL) 15.13 (Debian …)`; also accepts `18beta1` and `17devel`.
fn major_of(answer: &str) -> Option<String> {
    let (_, version) = answer.split_once("(PostgreSQL) ")?;
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    (!major.is_empty()).then_some(major)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_every_spelling() {
        for (answer, major) in [
            (
                "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)",
                Some("15"),
            ),
            ("postgres (PostgreSQL) 18beta1", Some("18")),
            ("postgres (PostgreSQL) 17devel", Some("17")),
            ("postgres", None),
            ("", None),
        ] {
            assert_eq!(major_of(answer).as_deref(), major, "{answer}");
        }
    }

    #[test]
    fn the_newest_debian_folder_comes_first_by_number_not_by_letter() {
        let versions = tempfile::tempdir().expect("a folder");
        for name in ["9", "15", "16", "doc"] {
            std::fs::create_dir(versions.path().join(name)).expect("a version");
        }
        let dirs = debian_dirs(versions.path()).expect("listed");
        let expected = ["16", "15", "9"].map(|name| versions.path().join(name).join("bin"));
        assert_eq!(dirs, expected);
        assert_eq!(
            debian_dirs(&versions.path().join("none")).expect("no folder is no error"),
            Vec::<PathBuf>::new()
        );
    }

    #[test]
    fn programs_of_another_version_are_refused_with_both_named() {
        let error = Binaries::find(None, Path::new("/x/data"), Some("12"))
            .expect_err("version 12 is not installed here")
            .to_string();
        assert!(error.contains("PostgreSQL 12"), "{error}");
        assert!(
            error.contains("the programs found are PostgreSQL 1"),
            "{error}"
        );
    }
}
