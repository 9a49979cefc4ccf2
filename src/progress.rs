//! What a person sees while a cycle runs: a bar a source on a terminal, a line now and then without one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actors::messages::ReadSnapshot;
use actors::snapshot::{Snapshot, SourceProgress};
use actors::supervisor::Supervisor;
use schema::SourceName;

use crate::output::{Bar, LogWriter};

/// How often bars are drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// How often a line is logged without a terminal.
const LOG_EVERY: Duration = Duration::from_secs(15);

/// What the transport tells of a source's hosts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceRate {
    /// Requests per second that its slowest busy host is allowed now.
    pub requests_per_sec: f64,
    /// Requests asked again so far.
    pub retries: u64,
    /// What it waits for beyond its pace, in words.
    pub waits_for: Option<String>,
}

/// Tells the rates now.
pub type ReadRates = Arc<dyn Fn() -> BTreeMap<SourceName, SourceRate> + Send + Sync>;

/// Shows a run until the returned future is dropped.
pub async fn show(supervisor: Addr<Supervisor>, rates: ReadRates, log: LogWriter) {
    if log.has_bars() {
        draw_bars(&supervisor, &rates, &log).await;
    } else {
        log_lines(&supervisor, &rates).await;
    }
}

async fn draw_bars(supervisor: &Addr<Supervisor>, rates: &ReadRates, log: &LogWriter) {
    let clear = ClearOnDrop(log.clone());
    loop {
        tokio::time::sleep(DRAW_EVERY).await;
        let Ok(snapshot) = supervisor.send(ReadSnapshot).await else {
            break;
        };
        log.show_bars(bars(&snapshot, &rates()));
    }
    drop(clear);
}

/// A bar for each source.
fn bars(snapshot: &Snapshot, rates: &BTreeMap<SourceName, SourceRate>) -> Vec<Bar> {
    let bars = snapshot.sources.iter().map(|(source, progress)| Bar {
        name: source.as_str().to_owned(),
        // Until the plan of the funds is committed there is nothing to be a percentage of.
        position: (progress.planned > 1).then(|| {
            (
                u64::try_from(progress.ended()).unwrap_or(u64::MAX),
                u64::try_from(progress.planned).unwrap_or(u64::MAX),
            )
        }),
        message: words(progress, rates.get(source), snapshot),
    });
    bars.collect()
}

struct ClearOnDrop(LogWriter);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        self.0.show_bars(Vec::new());
    }
}

async fn log_lines(supervisor: &Addr<Supervisor>, rates: &ReadRates) {
    loop {
        tokio::time::sleep(LOG_EVERY).await;
        let Ok(snapshot) = supervisor.send(ReadSnapshot).await else {
            break;
        };
        let rates = rates();
        for (source, progress) in &snapshot.sources {
            if progress.ended() < progress.planned {
                tracing::info!(%source, ended = progress.ended(), planned = progress.planned, "{}", words(progress, rates.get(source), &snapshot));
            }
        }
    }
}

/// The words beside a bar.
fn words(progress: &SourceProgress, rate: Option<&SourceRate>, snapshot: &Snapshot) -> String {
    if progress.planned <= 1 && progress.ended() == 0 {
        return "listing…".to_owned();
    }
    let mut words = Vec::new();
    if let Some(rate) = rate {
        if rate.requests_per_sec > 0.0 {
            words.push(format!("{:.1}/s", rate.requests_per_sec));
        }
        if rate.retries > 0 {
            words.push(format!("{} retries", rate.retries));
        }
        let waiting = progress.planned.saturating_sub(progress.ended());
        if waiting > 0 && rate.requests_per_sec > 0.0 {
            let seconds =
                f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)) / rate.requests_per_sec;
            words.push(format!("{} left", time_left(seconds)));
        }
    }
    if progress.failed > 0 {
        words.push(format!("{} failed", progress.failed));
    }
    if progress.deferred > 0 {
        words.push(format!("{} deferred", progress.deferred));
    }
    match rate
        .and_then(|rate| rate.waits_for.as_ref())
        .or(snapshot.database_wait.as_ref())
    {
        Some(what) if progress.ended() < progress.planned => {
            words.push(format!("waits for {what}"));
        }
        _ => {}
    }
    words.join(", ")
}

/// The longest of the sources' times left, in words.
fn time_left(seconds: f64) -> String {
    let seconds = Duration::from_secs_f64(seconds.clamp(0.0, 1e7)).as_secs();
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_percentage_before_there_is_a_plan_and_an_honest_time_left_after() {
        let snapshot = Snapshot::default();
        let rate = SourceRate {
            requests_per_sec: 2.0,
            retries: 1,
            waits_for: None,
        };
        let mut progress = SourceProgress {
            planned: 1,
            ..SourceProgress::default()
        };
        assert_eq!(words(&progress, Some(&rate), &snapshot), "listing…");
        progress.planned = 2201;
        progress.done = 1;
        progress.failed = 2;
        assert_eq!(
            words(&progress, Some(&rate), &snapshot),
            "2.0/s, 1 retries, 18 min left, 2 failed"
        );
    }
}
