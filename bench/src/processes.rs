//! Processor time and memory of processes, from Linux's `/proc`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Trouble;

/// Linux reports processor time in hundredths of a second, independent of the kernel's timer.
const TICK: Duration = Duration::from_millis(10);

/// The fields of `/proc/PID/stat` after the process name, starting with the state.
fn stat(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String], places: std::ops::Range<usize>) -> Duration {
    let ticks: u32 = fields
        .get(places)
        .into_iter()
        .flatten()
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    TICK * ticks
}

/// User and system time of a process.
#[must_use]
pub fn cpu(process: u32) -> Option<Duration> {
    stat(process).map(|fields| ticks(&fields, 11..13))
}

/// Processor time of a process, including the children it has waited for.
#[must_use]
pub fn cpu_with_children(process: u32) -> Option<Duration> {
    stat(process).map(|fields| ticks(&fields, 11..15))
}

/// Processor time of the server of this data directory: the postmaster, the children it has waited for, and its running
/// children.
///
/// # Errors
/// No server runs there.
pub fn cpu_of_server(data_dir: &Path) -> Result<Duration, Trouble> {
    let id_file = data_dir.join("postmaster.pid");
    let text = fs::read_to_string(&id_file)?;
    let postmaster: u32 = text.lines().next().unwrap_or_default().trim().parse()?;
    let own = stat(postmaster).ok_or("the postmaster is gone")?;
    let mut taken = ticks(&own, 11..15);
    for entry in fs::read_dir("/proc")?.flatten() {
        let id = entry.file_name().to_string_lossy().parse::<u32>();
        let Some(fields) = id.ok().and_then(stat) else {
            continue;
        };
        if fields
            .get(1)
            .is_some_and(|parent| *parent == postmaster.to_string())
        {
            taken += ticks(&fields, 11..13);
        }
    }
    Ok(taken)
}

/// The peak memory of a process so far, in KiB.
#[must_use]
pub fn most_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
