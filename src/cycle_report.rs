//! The outcome of a cycle with its exit code (O3), and the summary that is printed at its end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use schema::SourceName;
use schema::precedence::UNIVERSE;
use store::{CycleTotals, MarketChange};

use crate::cycle::CycleEnd;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// Every planned task is done, unchanged or absent.
    Complete,
    /// A task failed or was deferred, a source was quarantined, in breach or down, or a requested fund does not exist.
    Partial,
    /// The merge actor or the loader used up its restart budget, the database was not reached, the counts of tasks or
    /// records do not add up, or the private server cannot start.
    Failed,
    /// Stopped by a signal before the end; the next start continues.
    Stopped,
}

impl RunOutcome {
    /// The word in the summary.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// The exit code, by the table of O3.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Failed => 1,
            Self::Partial => 3,
            Self::Stopped => 4,
        }
    }

    /// The outcome of a cycle that ended.
    #[must_use]
    pub fn of(end: &CycleEnd) -> Self {
        if end.totals.check_books().is_err() {
            Self::Failed
        } else if end.stopped {
            Self::Stopped
        } else if end.totals.is_complete()
            && end.quarantined.is_empty()
            && end.breaches.is_empty()
            && end.totals.breaches.is_empty()
            && end.not_in_market.is_empty()
            && !end.no_active_fund
        {
            Self::Complete
        } else {
            Self::Partial
        }
    }
}

/// Pages of one source that the transport fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageCounts {
    /// Fetched by plain HTTP.
    pub http: u64,
    /// Fetched in the browser.
    pub browser: u64,
}

impl PageCounts {
    /// The number of pages since `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            http: self.http.saturating_sub(before.http),
            browser: self.browser.saturating_sub(before.browser),
        }
    }
}

/// What the summary shows in addition to the cycle's totals.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// Pages by source.
    pub pages: BTreeMap<SourceName, PageCounts>,
    /// Wall time.
    pub duration: Duration,
    /// Peak resident memory of this process (VmHWM), in bytes; `None` if the system does not report it.
    pub peak_memory_bytes: Option<u64>,
    /// Actors that were restarted.
    pub restarts: usize,
    /// The command that opens the warehouse.
    pub psql: String,
}

/// Formats the summary of a run for the terminal.
#[must_use]
pub fn summary(end: &CycleEnd, facts: &RunFacts) -> String {
    let outcome = RunOutcome::of(end);
    let CycleEnd { cycle, totals, .. } = end;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\n{} {} cycle of {} (number {}, round {}): {}, after {}",
        cycle.scope.as_str(),
        cycle.kind,
        cycle.cycle_date,
        cycle.id,
        cycle.round,
        outcome.as_str(),
        spoken(facts.duration),
    );
    tasks_block(&mut text, totals, facts);
    tables_block(&mut text, totals);
    changes_block(&mut text, totals);
    if end.histories_left > 0 {
        let _ = writeln!(
            text,
            "\nhistories that only the register has, not read to their beginning: {} projects; the next cycles go on with them",
            end.histories_left
        );
    }
    if facts.restarts > 0 {
        let _ = writeln!(text, "\nactors restarted: {}", facts.restarts);
    }
    if let Some(bytes) = facts.peak_memory_bytes {
        let _ = writeln!(
            text,
            "\npeak memory of master_runner (VmHWM): {:.1} MB",
            mebibytes(bytes)
        );
    }
    failures_block(&mut text, end);
    if let Err(books) = totals.check_books() {
        let _ = writeln!(text, "\nThe books do not balance: {books}");
    }
    let _ = writeln!(text, "\nto look at it:  {}", facts.psql);
    text
}

fn tasks_block(text: &mut String, totals: &CycleTotals, facts: &RunFacts) {
    let _ = writeln!(
        text,
        "\n{:<15}{:>9}{:>9}{:>11}{:>9}{:>9}{:>10}{:>13}{:>13}",
        "source",
        "planned",
        "done",
        "unchanged",
        "absent",
        "failed",
        "deferred",
        "http pages",
        "by browser"
    );
    for (source, tasks) in &totals.tasks {
        let pages = facts.pages.get(source).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "{:<15}{:>9}{:>9}{:>11}{:>9}{:>9}{:>10}{:>13}{:>13}",
            source.as_str(),
            tasks.planned,
            tasks.done,
            tasks.unchanged,
            tasks.absent,
            tasks.failed,
            tasks.deferred,
            pages.http,
            pages.browser
        );
    }
}

fn tables_block(text: &mut String, totals: &CycleTotals) {
    let _ = writeln!(
        text,
        "\n{:<20}{:>10}{:>10}{:>11}{:>12}{:>10}",
        "table", "inserted", "updated", "unchanged", "superseded", "rejected"
    );
    for (table, counts) in &totals.tables {
        let _ = writeln!(
            text,
            "{:<20}{:>10}{:>10}{:>11}{:>12}{:>10}",
            table,
            counts.records.inserted,
            counts.records.updated,
            counts.records.unchanged,
            counts.records.superseded,
            counts.records.rejected + counts.unreadable
        );
    }
}

/// Adds the fund changes and source conflicts of the cycle: only the kinds that occurred, with a limited number of
/// examples.
fn changes_block(text: &mut String, totals: &CycleTotals) {
    if totals.changes.is_empty() {
        return;
    }
    let _ = writeln!(text);
    for (kind, counted) in &totals.changes {
        let view = match kind {
            MarketChange::Contradiction => " (view runner.conflict)",
            _ => "",
        };
        let _ = writeln!(
            text,
            "{:<30}{:>9}{view}: {}{}",
            kind.as_str(),
            counted.count,
            counted.examples.join(", "),
            if counted.count > counted.examples.len() as u64 {
                ", …"
            } else {
                ""
            }
        );
    }
}

/// Logs the changes of the cycle in the market: one line per kind, with its first examples.
pub fn log_changes(totals: &CycleTotals) {
    for (kind, counted) in &totals.changes {
        tracing::info!(
            count = counted.count,
            examples = counted.examples.join(", "),
            "{} in this cycle",
            kind.as_str()
        );
    }
}

fn failures_block(text: &mut String, end: &CycleEnd) {
    if end.no_active_fund {
        let _ = writeln!(
            text,
            "\nno active fund is known, so nothing could be requested: the list of {UNIVERSE} decides which funds exist; run a cycle with {UNIVERSE} first"
        );
    }
    for (source, why) in end.quarantined.iter().chain(&end.breaches) {
        let _ = writeln!(text, "\n{source}: {why}");
    }
    if !end.totals.breaches.is_empty() {
        let _ = writeln!(text, "\nnot believed:");
        for breach in &end.totals.breaches {
            let _ = writeln!(text, "  {}: {}", breach.source, breach.message);
        }
    }
    if !end.totals.failures.is_empty() {
        let _ = writeln!(text, "\nfailed:");
        for (source, why, count) in &end.totals.failures {
            let _ = writeln!(text, "  {source}: {count} x {why}");
        }
    }
    for code in &end.not_in_market {
        let _ = writeln!(
            text,
            "\nnot requested: {code} is no active fund (codes are compared exactly, case included); `master_runner explain {code}` shows what is known of it"
        );
    }
    let advice = match RunOutcome::of(end) {
        RunOutcome::Complete => return,
        RunOutcome::Partial => {
            "Everything that was read is loaded; nothing good was overwritten. Run the same command again: it requests only what failed. `master_runner status` names the tasks, `master_runner probe SOURCE CODE` shows what a site answers."
        }
        RunOutcome::Stopped => {
            "Everything acknowledged is loaded. The same command continues from there."
        }
        RunOutcome::Failed => {
            "What was acknowledged is safe. See the errors above; the same command resumes from the last acknowledged checkpoint."
        }
    };
    let _ = writeln!(text, "\n{advice}");
}

fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) => format!("{:.1} s", duration.as_secs_f64()),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

fn mebibytes(bytes: u64) -> f64 {
    // Shown with one decimal. The kibibytes fit into a u32 up to 4 TiB of memory.
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0
}

/// Peak resident memory of this process in bytes, from `/proc/self/status`.
#[must_use]
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
