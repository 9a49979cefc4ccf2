//! Runs a child process from its start to its end, and measures its time and memory.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::Trouble;
use crate::processes;

/// Interval between samples of a child.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Time limit for one child; one that takes longer counts as hung.
const LIMIT: Duration = Duration::from_secs(6 * 3600);

/// The measurements of a child that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Wall time from start to end.
    pub wall: Duration,
    /// Processor time of the child and of the programs it ran and waited for.
    pub cpu: Duration,
    /// Peak memory, in KiB.
    pub most_memory_kib: u64,
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output and standard error, in order.
    pub output: String,
}

/// Runs the command to its end; its output goes through the file `output`.
///
/// # Errors
/// It cannot be started or watched, or it hangs.
pub async fn run(command: Command, output: &Path) -> Result<Ended, Trouble> {
    let output = output.to_owned();
    tokio::task::spawn_blocking(move || watch(command, &output)).await?
}

fn watch(mut command: Command, path: &Path) -> Result<Ended, Trouble> {
    let output = File::create(path)?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let begun = Instant::now();
    let mut child = command.spawn().map_err(|error| {
        format!(
            "{} cannot be started: {error}",
            command.get_program().display()
        )
    })?;
    let watched = until_its_end(&child, begun);
    if watched.is_err() {
        // An error means that it has already ended.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let (wall, cpu, most_memory_kib) = watched?;
    Ok(Ended {
        wall,
        cpu,
        most_memory_kib,
        code: status.code(),
        output: String::from_utf8_lossy(&std::fs::read(path)?).into_owned(),
    })
}

/// Samples the child until it ends, without reaping it: until then the kernel keeps its processor time.
fn until_its_end(child: &Child, begun: Instant) -> Result<(Duration, Duration, u64), Trouble> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    let mut most_memory_kib = 0;
    loop {
        if waitid(Id::Pid(pid), flags)? != WaitStatus::StillAlive {
            let wall = begun.elapsed();
            let cpu = processes::cpu_with_children(child.id())
                .ok_or("the processor time of a child that has ended is not under /proc")?;
            return Ok((wall, cpu, most_memory_kib));
        }
        if let Some(kib) = processes::most_memory(child.id()) {
            most_memory_kib = most_memory_kib.max(kib);
        }
        if begun.elapsed() > LIMIT {
            return Err(format!(
                "a child had not ended after {} s and was killed",
                LIMIT.as_secs()
            )
            .into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_is_watched_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo one; echo two >&2; n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done; sleep 0.1; exit 3",
        ]);
        let ended = run(command, &folder.path().join("said"))
            .await
            .expect("it runs");
        assert_eq!((ended.code, ended.output.as_str()), (Some(3), "one\ntwo\n"));
        assert!(ended.wall >= Duration::from_millis(100), "{ended:?}");
        assert!(
            ended.cpu > Duration::ZERO && ended.cpu < ended.wall,
            "{ended:?}"
        );
        assert!(ended.most_memory_kib > 100, "{ended:?}");
    }
}
