//! The processes of a browser, as the system tells of them: by their group, and by the home they were given.

use std::collections::BTreeSet;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Passes over the processes of a directory: while one is ended it may start another.
const KILL_PASSES: usize = 5;

/// Whether a process of the group still runs. Zombies do not: in a container nobody may reap orphans.
pub fn group_lives(group: Pid) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return false;
    };
    entries.flatten().any(|entry| {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            return false;
        };
        // After the name in brackets, which may hold anything: state, parent, group.
        let mut fields = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace();
        let state = fields.next().unwrap_or("X");
        let its_group = fields.nth(1).and_then(|id| id.parse::<i32>().ok());
        !matches!(state, "Z" | "X") && its_group == Some(group.as_raw())
    })
}

/// Kills the processes whose home is `directory` or in it, and says how many they were. Only geckodriver is started
/// with such a home, and all that it starts inherits it; who merely looks at the directory is left alone.
pub fn end_processes_at_home_in(directory: &Path) -> usize {
    let mut ended = BTreeSet::new();
    for _ in 0..KILL_PASSES {
        let found = processes_at_home_in(directory);
        if found.is_empty() {
            break;
        }
        let killed = found
            .into_iter()
            .filter(|id| kill(*id, Signal::SIGKILL).is_ok());
        ended.extend(killed);
    }
    ended.len()
}

fn processes_at_home_in(directory: &Path) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let home = [b"HOME=", directory.as_os_str().as_encoded_bytes()].concat();
    let is_home = |variable: &[u8]| {
        variable
            .strip_prefix(home.as_slice())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse::<i32>().ok()?;
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(is_home)
                .then(|| Pid::from_raw(id))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::time::Duration;

    use nix::sys::signal::killpg;

    use super::*;

    #[test]
    fn processes_are_ended_only_where_the_directory_is_their_home() {
        let mine = tempfile::tempdir().expect("a directory");
        let other = mine.path().with_extension("other");
        let sleep = |home: &Path| {
            std::process::Command::new("/bin/sh")
                .args(["-c", "sleep 60 & wait"])
                .arg(mine.path())
                .env("HOME", home)
                .process_group(0)
                .spawn()
                .expect("started")
        };
        let (mut ours, mut theirs) = (sleep(&mine.path().join("session")), sleep(&other));
        let began = std::time::Instant::now();
        while processes_at_home_in(mine.path()).len() < 2 {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "a shell and its sleep"
            );
        }
        assert!(end_processes_at_home_in(mine.path()) >= 2);
        ours.wait().expect("ended");
        assert!(
            theirs.try_wait().expect("a state").is_none(),
            "it only looks"
        );
        let group = Pid::from_raw(i32::try_from(theirs.id()).expect("an id"));
        killpg(group, Signal::SIGKILL).expect("ended");
        theirs.wait().expect("reaped");
    }
}
