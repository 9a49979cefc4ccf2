//! Shows the progress of a cycle: one bar per source on a terminal, otherwise a log line at intervals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Recipient;
use actors::messages::ReadSnapshot;
use actors::snapshot::{Snapshot, SourceProgress};
use schema::SourceName;

use crate::output::{Bar, LogWriter};
use crate::throughput::{Bottleneck, Load, Throughput, time_left};

/// Interval between draws of the bars.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// Interval between measurements of the ended tasks, without bars.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// Interval between log lines without a terminal.
const LOG_EVERY: Duration = Duration::from_secs(15);

/// The transport's figures of a source's hosts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceRate {
    /// The requests per second that the slowest busy host currently allows.
    pub requests_per_sec: f64,
    /// Number of retried requests so far.
    pub retries: u64,
    /// Requests to the source's hosts that are in flight or queued.
    pub requests: usize,
    /// Pages that are open in the browser or wait for a tab.
    pub in_browser: usize,
    /// What the source waits for, as text; the pauses between requests are not included.
    pub waits_for: Option<String>,
}

/// Reads the current rates.
pub type ReadRates = Arc<dyn Fn() -> BTreeMap<SourceName, SourceRate> + Send + Sync>;

/// Measures how fast the tasks of each source end.
#[derive(Debug, Default)]
struct Meter(BTreeMap<SourceName, Throughput>);

impl Meter {
    fn note(&mut self, snapshot: &Snapshot) {
        let now = Instant::now();
        for (source, progress) in &snapshot.sources {
            let throughput = self.0.entry(*source).or_default();
            throughput.note(now, progress.ended());
        }
    }

    fn per_sec(&self, source: SourceName) -> Option<f64> {
        self.0.get(&source)?.per_sec()
    }
}

/// Shows the progress until the returned future is dropped.
pub async fn show(supervisor: Recipient<ReadSnapshot>, rates: ReadRates, log: LogWriter) {
    if log.has_bars() {
        draw_bars(&supervisor, &rates, &log).await;
    } else {
        log_lines(&supervisor, &rates).await;
    }
}

async fn draw_bars(supervisor: &Recipient<ReadSnapshot>, rates: &ReadRates, log: &LogWriter) {
    let clear = ClearOnDrop(log.clone());
    let mut meter = Meter::default();
    loop {
        tokio::time::sleep(DRAW_EVERY).await;
        let Ok(snapshot) = supervisor.send(ReadSnapshot).await else {
            break;
        };
        meter.note(&snapshot);
        log.show_bars(bars(&snapshot, &meter, &rates()));
    }
    drop(clear);
}

/// Builds one bar per source.
fn bars(snapshot: &Snapshot, meter: &Meter, rates: &BTreeMap<SourceName, SourceRate>) -> Vec<Bar> {
    let bars = snapshot.sources.iter().map(|(source, progress)| Bar {
        name: source.as_str().to_owned(),
        // Before the plan of the funds is committed, a percentage would be meaningless.
        position: (progress.planned > 1).then(|| {
            (
                u64::try_from(progress.ended()).unwrap_or(u64::MAX),
                u64::try_from(progress.planned).unwrap_or(u64::MAX),
            )
        }),
        message: words(
            progress,
            meter.per_sec(*source),
            rates.get(source),
            snapshot,
        ),
    });
    bars.collect()
}

struct ClearOnDrop(LogWriter);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        self.0.show_bars(Vec::new());
    }
}

async fn log_lines(supervisor: &Recipient<ReadSnapshot>, rates: &ReadRates) {
    let mut meter = Meter::default();
    let mut logged_at = Instant::now();
    loop {
        tokio::time::sleep(MEASURE_EVERY).await;
        let Ok(snapshot) = supervisor.send(ReadSnapshot).await else {
            break;
        };
        meter.note(&snapshot);
        if logged_at.elapsed() < LOG_EVERY {
            continue;
        }
        logged_at = Instant::now();
        let rates = rates();
        for (source, progress) in &snapshot.sources {
            if progress.ended() < progress.planned {
                tracing::info!(%source, ended = progress.ended(), planned = progress.planned, "{}", words(progress, meter.per_sec(*source), rates.get(source), &snapshot));
            }
        }
    }
}

/// The text next to a bar. `per_sec` is the number of tasks that end per second, if measured.
fn words(
    progress: &SourceProgress,
    per_sec: Option<f64>,
    rate: Option<&SourceRate>,
    snapshot: &Snapshot,
) -> String {
    if progress.planned <= 1 && progress.ended() == 0 {
        return "listing…".to_owned();
    }
    let mut words = Vec::new();
    let open = progress.planned.saturating_sub(progress.ended());
    if open > 0 {
        match per_sec {
            Some(per_sec) => {
                let load = rate.map_or_else(Load::default, |rate| Load {
                    allowed_per_sec: rate.requests_per_sec,
                    requests: rate.requests,
                    in_browser: rate.in_browser,
                    database_waits: snapshot.database_wait.is_some(),
                });
                let limit = Bottleneck::of(per_sec, &load);
                words.push(format!("{per_sec:.1}/s, limited by {limit}"));
                words.extend(time_left(open, per_sec).map(|time| format!("{time} left")));
            }
            None => words.push("being measured".to_owned()),
        }
    }
    if let Some(rate) = rate
        && rate.retries > 0
    {
        words.push(format!("{} retries", rate.retries));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_percentage_before_there_is_a_plan_and_a_measured_time_left_after() {
        let snapshot = Snapshot::default();
        let rate = SourceRate {
            requests_per_sec: 50.0,
            retries: 1,
            requests: 3,
            in_browser: 3,
            waits_for: None,
        };
        let mut progress = SourceProgress {
            planned: 1,
            ..SourceProgress::default()
        };
        let shown = |progress: &SourceProgress, per_sec, snapshot: &Snapshot| {
            words(progress, per_sec, Some(&rate), snapshot)
        };
        assert_eq!(shown(&progress, None, &snapshot), "listing…");
        progress.planned = 2201;
        progress.done = 1;
        progress.failed = 2;
        assert_eq!(
            shown(&progress, None, &snapshot),
            "being measured, 1 retries, 2 failed",
            "the allowed rate is not shown as if it were reached"
        );
        assert_eq!(
            shown(&progress, Some(2.0), &snapshot),
            "2.0/s, limited by the browser, 18 min left, 1 retries, 2 failed"
        );
        assert_eq!(
            shown(&progress, Some(0.0), &snapshot),
            "0.0/s, limited by the browser, 1 retries, 2 failed",
            "no time is left known where nothing ends"
        );
        let waits = Snapshot {
            database_wait: Some("the database".to_owned()),
            ..Snapshot::default()
        };
        assert_eq!(
            shown(&progress, Some(2.0), &waits),
            "2.0/s, limited by the database, 18 min left, 1 retries, 2 failed, waits for the database"
        );
        progress.done = 2199;
        assert_eq!(
            shown(&progress, Some(2.0), &snapshot),
            "1 retries, 2 failed"
        );
    }
}
