//! What a person sees while a cycle runs: a bar a source on a terminal, a line now and then without one.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actors::messages::ReadSnapshot;
use actors::snapshot::{Snapshot, SourceProgress};
use actors::supervisor::Supervisor;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use schema::SourceName;
use tracing_subscriber::fmt::MakeWriter;

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

/// Where log lines go: above the bars where there are bars.
#[derive(Debug, Clone)]
pub struct LogWriter {
    bars: Option<MultiProgress>,
}

impl LogWriter {
    /// With bars only where standard error is a terminal and they are wanted.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        let bars = (wanted && io::stderr().is_terminal()).then(MultiProgress::new);
        Self { bars }
    }
}

/// One log line on its way out.
#[derive(Debug)]
pub struct LogLine {
    bars: Option<MultiProgress>,
}

impl io::Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.bars {
            Some(bars) => bars.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'writer> MakeWriter<'writer> for LogWriter {
    type Writer = LogLine;

    fn make_writer(&'writer self) -> Self::Writer {
        LogLine {
            bars: self.bars.clone(),
        }
    }
}

/// Shows a run until the returned future is dropped.
pub async fn show(supervisor: Addr<Supervisor>, rates: ReadRates, writer: LogWriter) {
    match writer.bars {
        Some(bars) => draw_bars(&supervisor, &rates, &bars).await,
        None => log_lines(&supervisor, &rates).await,
    }
}

async fn draw_bars(supervisor: &Addr<Supervisor>, rates: &ReadRates, bars: &MultiProgress) {
    let mut drawn: BTreeMap<SourceName, ProgressBar> = BTreeMap::new();
    let clear = ClearOnDrop(bars.clone());
    loop {
        tokio::time::sleep(DRAW_EVERY).await;
        let Ok(snapshot) = supervisor.send(ReadSnapshot).await else {
            break;
        };
        let rates = rates();
        for (source, progress) in &snapshot.sources {
            let bar = drawn
                .entry(*source)
                .or_insert_with(|| bars.add(new_bar(*source)));
            // Until the plan of the funds is committed there is nothing to be a percentage of.
            if progress.planned > 1 {
                bar.set_length(u64::try_from(progress.planned).unwrap_or(u64::MAX));
                bar.set_position(u64::try_from(progress.ended()).unwrap_or(u64::MAX));
            }
            bar.set_message(words(progress, rates.get(source), &snapshot));
        }
    }
    drop(clear);
}

struct ClearOnDrop(MultiProgress);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        // A terminal that is gone need not be cleared.
        let _ = self.0.clear();
    }
}

fn new_bar(source: SourceName) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) =
        ProgressStyle::with_template("{prefix:<14} [{bar:32}] {pos:>6}/{len:<6} {msg}")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(source.as_str());
    bar
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
