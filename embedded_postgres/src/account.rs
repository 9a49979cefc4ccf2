//! Decides which user runs the server and where its data is: never as root, and never below a folder that this user
//! cannot enter.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User};

use super::error::{EmbeddedError, io};

/// Parent folder of the clusters for which root configured a folder that the server's user cannot enter. Each
/// configured path has its own subfolder, so that two projects never share a warehouse.
const FALLBACK: &str = "/var/lib/master_runner/postgres";

/// The users that root switches to: the first one that exists.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The user that owns the cluster and runs its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether this process is root and child processes switch to this user.
    drops: bool,
}

impl Account {
    /// The owner of the cluster if it exists; otherwise the current user, or for root an unprivileged one.
    fn for_cluster(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let me = Uid::effective();
        let owner = match std::fs::metadata(data_dir) {
            Ok(metadata) => Some(metadata.uid()),
            Err(_) => None,
        };
        if !me.is_root() {
            return match owner {
                Some(owner) if owner != me.as_raw() => Err(EmbeddedError::OtherOwner {
                    data_dir: data_dir.to_path_buf(),
                    owner,
                    me: me.as_raw(),
                }),
                _ => Ok(Self {
                    name: format!("user {me}"),
                    uid: me.as_raw(),
                    gid: nix::unistd::getegid().as_raw(),
                    drops: false,
                }),
            };
        }
        if let Some(owner) = owner.filter(|owner| *owner != 0)
            && let Ok(Some(user)) = User::from_uid(Uid::from_raw(owner))
        {
            return Ok(Self::dropped_to(user));
        }
        UNPRIVILEGED
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(Self::dropped_to)
            .ok_or(EmbeddedError::NoUnprivilegedUser)
    }

    fn dropped_to(user: User) -> Self {
        Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            drops: true,
        }
    }

    /// A command that runs as this user, in a folder that every user can enter, with an environment that has only PATH
    /// and the C.UTF-8 locale.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir("/")
            .env_clear()
            // Ctrl-C sends SIGINT to a whole process group. A group of their own protects these processes from it: this
            // program shuts them down itself.
            .process_group(0)
            .env("LC_ALL", "C.UTF-8")
            .stdin(std::process::Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        if self.drops {
            // For root this also drops all supplementary groups.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Makes this user the owner of a path that this process created.
    pub(super) fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        if self.drops {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
                .map_err(io("cannot give to the server's user", path))?;
        }
        Ok(())
    }

    /// Whether this user can enter `dir`. The `test` program runs as this user, so that access lists and mount options
    /// are taken into account.
    fn can_enter(&self, dir: &Path) -> Result<bool, EmbeddedError> {
        let status = self
            .command("test")
            .arg("-x")
            .arg(dir)
            .status()
            .map_err(io("cannot run `test -x` for", dir))?;
        Ok(status.success())
    }
}

/// The directory of the cluster and the user that runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Absolute; symbolic links are resolved as far as the path exists.
    pub(super) data_dir: PathBuf,
    /// The configured path, if the server's user cannot enter it.
    pub(super) instead_of: Option<PathBuf>,
    pub(super) account: Account,
}

impl Place {
    /// Decides on the directory for the configured path. Creates parents (0755), but never the directory itself.
    pub(super) fn find(asked: &Path) -> Result<Self, EmbeddedError> {
        let asked = std::path::absolute(asked).map_err(io("cannot resolve", asked))?;
        refuse_if_occupied(&asked)?;
        let account = Account::for_cluster(&asked)?;
        if account.drops && !account.can_enter(existing_ancestor(&asked))? {
            if cluster_version(&asked)?.is_some() {
                return Err(EmbeddedError::Unreachable {
                    data_dir: asked,
                    user: account.name,
                });
            }
            let data_dir = Path::new(FALLBACK).join(escaped(&asked));
            refuse_if_occupied(&data_dir)?;
            let account = Account::for_cluster(&data_dir)?;
            return Self::prepared(data_dir, Some(asked), account);
        }
        Self::prepared(asked, None, account)
    }

    fn prepared(
        data_dir: PathBuf,
        instead_of: Option<PathBuf>,
        account: Account,
    ) -> Result<Self, EmbeddedError> {
        create_parents(&data_dir)?;
        let data_dir = match data_dir.canonicalize() {
            Ok(resolved) => resolved,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                match (data_dir.parent(), data_dir.file_name()) {
                    (Some(parent), Some(name)) => parent
                        .canonicalize()
                        .map_err(io("cannot resolve", parent))?
                        .join(name),
                    _ => data_dir,
                }
            }
            Err(error) => return Err(io("cannot resolve", &data_dir)(error)),
        };
        Ok(Self {
            data_dir,
            instead_of,
            account,
        })
    }
}

/// The directory of the cluster, whether it exists or not. Like [`Place::find`], but creates nothing.
pub(super) fn look(asked: &Path) -> Result<PathBuf, EmbeddedError> {
    let asked = std::path::absolute(asked).map_err(io("cannot resolve", asked))?;
    refuse_if_occupied(&asked)?;
    let account = Account::for_cluster(&asked)?;
    if !account.drops || account.can_enter(existing_ancestor(&asked))? {
        return Ok(asked);
    }
    if cluster_version(&asked)?.is_some() {
        return Err(EmbeddedError::Unreachable {
            data_dir: asked,
            user: account.name,
        });
    }
    let data_dir = Path::new(FALLBACK).join(escaped(&asked));
    refuse_if_occupied(&data_dir)?;
    Account::for_cluster(&data_dir)?;
    Ok(data_dir)
}

/// The major version of the cluster in `data_dir`; `None` if there is no cluster.
pub(super) fn cluster_version(data_dir: &Path) -> Result<Option<String>, EmbeddedError> {
    let file = data_dir.join("PG_VERSION");
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("cannot read", &file)(error)),
    }
}

fn refuse_if_occupied(data_dir: &Path) -> Result<(), EmbeddedError> {
    let mut entries = match std::fs::read_dir(data_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("cannot look into the data directory", data_dir)(error)),
    };
    match entries.next() {
        Some(Ok(entry)) if cluster_version(data_dir)?.is_none() => {
            Err(EmbeddedError::NotACluster {
                data_dir: data_dir.to_path_buf(),
                found: entry.file_name().to_string_lossy().into_owned(),
            })
        }
        _ => Ok(()),
    }
}

fn existing_ancestor(path: &Path) -> &Path {
    path.ancestors()
        .find(|ancestor| ancestor.exists())
        .unwrap_or(Path::new("/"))
}

/// Creates the missing parents with mode 0755 despite the umask: the server's user must be able to enter them.
fn create_parents(data_dir: &Path) -> Result<(), EmbeddedError> {
    let Some(parent) = data_dir.parent() else {
        return Ok(());
    };
    let missing: Vec<&Path> = parent.ancestors().take_while(|dir| !dir.exists()).collect();
    for dir in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o755).create(dir) {
            Ok(()) => std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))
                .map_err(io("cannot open up", dir))?,
            // Created by another runner in the meantime.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io("cannot create", dir)(error)),
        }
    }
    Ok(())
}

/// Encodes a path as one readable file name, unique for each path (the escaping of systemd's unit names).
fn escaped(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let inner = bytes.strip_prefix(b"/").unwrap_or(bytes);
    let mut name = String::with_capacity(inner.len());
    for byte in inner {
        match byte {
            b'/' => name.push('-'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => name.push(char::from(*byte)),
            other => name.push_str(&format!("\\x{other:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_paths_never_share_a_fallback() {
        let names = [
            "/root/a/data",
            "/root/a-data",
            "/root/a/data2",
            "/root/a\\x2ddata",
        ]
        .map(|path| escaped(Path::new(path)));
        for (at, name) in names.iter().enumerate() {
            assert!(!name.contains('/'));
            assert!(!names[at + 1..].contains(name), "{names:?}");
        }
        assert_eq!(names[0], "root-a-data");
    }

    #[test]
    fn an_occupied_directory_is_refused_and_an_empty_or_missing_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(refuse_if_occupied(folder.path()).is_ok());
        assert!(refuse_if_occupied(&folder.path().join("missing")).is_ok());
        std::fs::write(folder.path().join("thesis.odt"), "x").expect("a file");
        let error = Place::find(folder.path())
            .expect_err("occupied")
            .to_string();
        assert!(error.contains("thesis.odt"), "{error}");
        assert!(folder.path().join("thesis.odt").exists());
    }
}
