//! The processes of a browser, found in /proc by their group or by their home directory.

use std::collections::BTreeSet;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The number of passes over the processes of a directory: a process may start another before it is killed.
const KILL_PASSES: usize = 5;

/// Memory available on this machine, or in the container of this process, in bytes; `None`: not known.
pub fn available_memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    memory_left(
        &read("/proc/meminfo")?,
        read("/sys/fs/cgroup/memory.max").as_deref(),
        read("/sys/fs/cgroup/memory.current").as_deref(),
    )
}

/// The machine's `MemAvailable`, or less if the container has a limit.
fn memory_left(meminfo: &str, limit: Option<&str>, used: Option<&str>) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    let bytes = |text: Option<&str>| text.and_then(|text| text.trim().parse::<u64>().ok());
    let in_container = bytes(limit)
        .zip(bytes(used))
        .map(|(limit, used)| limit.saturating_sub(used));
    Some((kib * 1024).min(in_container.unwrap_or(u64::MAX)))
}

/// Whether a process of the group still runs. Zombies are ignored, because in a container orphans may never be reaped.
pub fn group_lives(group: Pid) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return false;
    };
    entries.flatten().any(|entry| {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            return false;
        };
        // The fields after the name in brackets, which may contain any character: state, parent, group.
        let mut fields = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace();
        let state = fields.next().unwrap_or("X");
        let its_group = fields.nth(1).and_then(|id| id.parse::<i32>().ok());
        !matches!(state, "Z" | "X") && its_group == Some(group.as_raw())
    })
}

/// Kills the processes whose home is `directory` or is inside it, and returns their number. Only geckodriver is started
/// with such a home, and its children inherit it. Programs that only read the directory are not affected.
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
    fn memory_left_is_that_of_the_machine_or_of_its_container() {
        let meminfo = "MemTotal: 9 kB\nMemAvailable:    2048 kB\n";
        for (limit, used, left) in [
            (None, None, 2 << 20),
            (Some("max\n"), Some("5\n"), 2 << 20),
            (Some("1000\n"), Some("400\n"), 600),
            (Some("1000"), Some("1400"), 0),
        ] {
            assert_eq!(memory_left(meminfo, limit, used), Some(left), "{limit:?}");
        }
        assert_eq!(memory_left("", None, None), None);
    }

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
