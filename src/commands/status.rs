//! `master_runner status`: shows the last cycles, failures with their reasons, how fresh the data is, and what is
//! overdue.

use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::{SpanRound, Timestamp, Unit, Zoned};
use store::{
    CycleStatus, FailedTasks, FundsBehind, PageFreshness, Reader, RejectCount, Status, StoreError,
};

use crate::clock::closed_until;
use crate::runner_settings::RunnerSettings;
use crate::schedule::{Next, Schedule, Uptime};
use crate::stop_signals::StopSignals;
use crate::throughput::time_left;

use super::{CommandError, ProgramEnd, read_warehouse, say, shown_time};

/// Maximum number of failed tasks listed.
const FAILED_SHOWN: usize = 20;
/// Maximum number of funds listed that are behind the market.
const BEHIND_SHOWN: usize = 20;
/// Maximum number of groups of rejected records listed.
const REJECTS_SHOWN: usize = 15;
/// Maximum number of characters of a reason on one line.
const REASON_CHARS: usize = 160;

/// Everything that `status` shows.
#[derive(Debug, Clone)]
struct Standing {
    status: Status,
    failed: FailedTasks,
    freshness: Vec<PageFreshness>,
    behind: FundsBehind,
    rejects: Vec<RejectCount>,
}

/// Prints the state of the warehouse; a runner may be working on it at the same time.
///
/// # Errors
/// The database is unavailable, or contains no warehouse.
pub async fn status(
    settings: &RunnerSettings,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    let now = Zoned::now().with_time_zone(settings.schedule.timezone.clone());
    let until = closed_until(now.date());
    let standing = read_warehouse(settings, stop, async |reader| read(reader, until).await).await?;
    say(&shown(&standing, &settings.schedule, &now));
    Ok(ProgramEnd::Done)
}

async fn read(reader: &Reader, closed_until: Date) -> Result<Standing, StoreError> {
    let status = reader.status(Some(closed_until)).await?;
    let failed = match status.cycles.first() {
        Some(cycle) => reader.failed_tasks(cycle.id, FAILED_SHOWN).await?,
        None => FailedTasks::default(),
    };
    Ok(Standing {
        status,
        failed,
        freshness: reader.page_freshness().await?,
        behind: reader.funds_behind(BEHIND_SHOWN).await?,
        rejects: reader.reject_counts(REJECTS_SHOWN).await?,
    })
}

fn shown(standing: &Standing, schedule: &Schedule, now: &Zoned) -> String {
    let mut text = String::new();
    runner_block(&mut text, &standing.status, schedule);
    due_line(&mut text, &standing.status, schedule, now);
    cycles_block(&mut text, &standing.status, schedule);
    tasks_block(&mut text, &standing.status);
    breaches_block(&mut text, &standing.status);
    failed_block(&mut text, &standing.failed);
    freshness_block(&mut text, &standing.freshness, schedule);
    behind_block(&mut text, &standing.behind);
    rejects_block(&mut text, &standing.rejects);
    tables_block(&mut text, &standing.status);
    text
}

// Writing to a String cannot fail: its results are ignored from here on.

fn runner_block(text: &mut String, status: &Status, schedule: &Schedule) {
    let _ = match &status.runner {
        Some(runner) if runner.holds_lock => writeln!(
            text,
            "runner      {} is running since {}",
            program_of(&runner.runner),
            shown_time(runner.started_at, &schedule.timezone)
        ),
        Some(runner) => writeln!(
            text,
            "runner      none running; the last was {}, started {}",
            program_of(&runner.runner),
            shown_time(runner.started_at, &schedule.timezone)
        ),
        None => writeln!(text, "runner      none has worked on this database yet"),
    };
}

/// A runner's name without its start time, which is shown separately in the schedule's time zone.
fn program_of(runner: &str) -> &str {
    runner
        .split_once(", started ")
        .map_or(runner, |(program, _)| program)
}

fn due_line(text: &mut String, status: &Status, schedule: &Schedule, now: &Zoned) {
    // On a new warehouse only a slot that passes while a runner is up is due.
    let since = match &status.runner {
        Some(runner) if runner.holds_lock => runner.started_at.to_zoned(schedule.timezone.clone()),
        _ => now.clone(),
    };
    let uptime = Uptime {
        since,
        just_started: false,
    };
    let due = match schedule.next(now, &status.schedule, &uptime) {
        Next::Run { kind, cycle_date } if status.schedule.open.is_some() => {
            format!("the {kind} cycle of {cycle_date} is open; the next start resumes it")
        }
        Next::Run { kind, .. } => {
            format!(
                "OVERDUE: a {kind} cycle should have run by now; `master_runner --once` runs it"
            )
        }
        Next::SleepUntil(at) => format!(
            "nothing is overdue; the next cycle begins {} ({})",
            at.strftime("%Y-%m-%d %H:%M"),
            schedule.due_kind(at.date(), &status.schedule)
        ),
        Next::Never => "the schedule skips every day: nothing is ever due".to_owned(),
    };
    let _ = writeln!(text, "schedule    {due}");
}

fn cycles_block(text: &mut String, status: &Status, schedule: &Schedule) {
    if status.cycles.is_empty() {
        let _ = writeln!(
            text,
            "\nNo cycle has run yet; `master_runner --once` runs one."
        );
        return;
    }
    let _ = writeln!(
        text,
        "\n{:>6}  {:<10}  {:<8}{:<8}{:<10}{:<17}{:>12}{:>9}{:>8}",
        "cycle", "date", "kind", "scope", "outcome", "began", "duration", "tasks", "failed"
    );
    for cycle in &status.cycles {
        let _ = writeln!(
            text,
            "{:>6}  {:<10}  {:<8}{:<8}{:<10}{:<17}{:>12}{:>9}{:>8}",
            cycle.id,
            cycle.cycle_date.to_string(),
            cycle.kind.as_str(),
            cycle.scope.as_str(),
            outcome(cycle),
            shown_time(cycle.started_at, &schedule.timezone),
            duration(cycle.started_at, cycle.closed_at),
            number(cycle.planned),
            number(cycle.failed),
        );
    }
}

/// A cycle's outcome in one word: that of the run that closed it.
fn outcome(cycle: &CycleStatus) -> &str {
    match (cycle.state.as_str(), cycle.failed) {
        ("closed", Some(0)) => "complete",
        ("closed", Some(_)) => "partial",
        (state, _) => state,
    }
}

fn number(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn duration(from: Timestamp, to: Option<Timestamp>) -> String {
    let Some(to) = to else {
        return "-".to_owned();
    };
    let round = SpanRound::new().smallest(Unit::Second).largest(Unit::Hour);
    match (to - from).round(round) {
        Ok(span) => format!("{span:#}"),
        // The clock was set back in between, so there is no duration to show.
        Err(_) => "-".to_owned(),
    }
}

fn tasks_block(text: &mut String, status: &Status) {
    if status.tasks.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\nnewest cycle\n{:<15}{:>9}{:>9}{:>11}{:>9}{:>9}{:>10}{:>9}",
        "source", "planned", "done", "unchanged", "absent", "failed", "deferred", "open"
    );
    let is_at_work = status
        .runner
        .as_ref()
        .is_some_and(|runner| runner.holds_lock);
    for (source, tasks) in &status.tasks {
        let _ = writeln!(
            text,
            "{:<15}{:>9}{:>9}{:>11}{:>9}{:>9}{:>10}{:>9}",
            source.as_str(),
            tasks.planned,
            tasks.done,
            tasks.unchanged,
            tasks.absent,
            tasks.failed,
            tasks.deferred,
            tasks.open
        );
    }
    let open = status.tasks.iter().filter(|(_, tasks)| tasks.open > 0);
    for (source, tasks) in open.filter(|_| is_at_work) {
        let pace = status.paces.iter().find(|(paced, _)| paced == source);
        let per_sec = pace.map_or(0.0, |(_, pace)| {
            pace.answered as f64 / pace.secs.max(1) as f64
        });
        let open = usize::try_from(tasks.open).unwrap_or(usize::MAX);
        let left = time_left(open, per_sec)
            .map_or_else(String::new, |time| format!(", {time} left at that rate"));
        let _ = writeln!(
            text,
            "{}: {per_sec:.1} tasks a second within the last 2 minutes{left}",
            source.as_str()
        );
    }
}

fn breaches_block(text: &mut String, status: &Status) {
    if status.breaches.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nchanges of the market that are not believed");
    for breach in &status.breaches {
        let _ = writeln!(
            text,
            "  breach {}: {}/{}",
            breach.id, breach.source, breach.message
        );
    }
}

fn failed_block(text: &mut String, failed: &FailedTasks) {
    if failed.first.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nfailed in the newest cycle: {}", failed.count);
    for task in &failed.first {
        let _ = writeln!(
            text,
            "  {} ({}): {}",
            task.id,
            task.outcome,
            cut(&task.failure)
        );
    }
    let untold = failed.count.saturating_sub(failed.first.len() as u64);
    if untold > 0 {
        let _ = writeln!(
            text,
            "  … and {untold} more: SELECT * FROM runner.task WHERE outcome = 'failed'"
        );
    }
    let _ = writeln!(
        text,
        "`master_runner --once` asks just these once more; `master_runner probe SOURCE CODE` shows what a site answers."
    );
}

fn freshness_block(text: &mut String, freshness: &[PageFreshness], schedule: &Schedule) {
    if freshness.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{:<15}{:<13}{:>8}{:>8}   {:<19}newest",
        "answers of", "page", "pages", "never", "oldest"
    );
    let at = |at: Option<Timestamp>| {
        at.map_or_else(|| "-".to_owned(), |at| shown_time(at, &schedule.timezone))
    };
    for page in freshness {
        let _ = writeln!(
            text,
            "{:<15}{:<13}{:>8}{:>8}   {:<19}{}",
            page.source.as_str(),
            page.page,
            page.pages,
            page.never_answered,
            at(page.oldest_answer),
            at(page.newest_answer)
        );
    }
}

fn behind_block(text: &mut String, behind: &FundsBehind) {
    if behind.examples.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\nactive daily funds without a NAV for five market days or more: {}",
        behind.count
    );
    for fund in &behind.examples {
        let _ = writeln!(
            text,
            "  {}: newest NAV {}, the market went on for {} days",
            fund.fund_code, fund.newest_nav, fund.market_days
        );
    }
    let untold = behind.count.saturating_sub(behind.examples.len() as u64);
    if untold > 0 {
        let _ = writeln!(
            text,
            "  … and {untold} more: SELECT * FROM runner.fund_behind"
        );
    }
}

fn rejects_block(text: &mut String, rejects: &[RejectCount]) {
    if rejects.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\nrecords that could not be read (rejected) or were taken with a remark (noted); all of them: SELECT * FROM runner.rejected"
    );
    for group in rejects {
        let _ = writeln!(
            text,
            "  {:>6} {:<9}{}/{} {} {}: {}; such as `{}`",
            group.count,
            group.severity,
            group.source,
            group.page,
            group.dataset,
            group.field,
            cut(&group.reason),
            cut(&group.sample)
        );
    }
}

fn tables_block(text: &mut String, status: &Status) {
    let _ = writeln!(text, "\n{:<20}{:>12}", "table", "rows");
    for (table, rows) in &status.tables {
        let _ = writeln!(text, "{table:<20}{rows:>12}");
    }
}

/// A text on one line, shortened.
fn cut(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(REASON_CHARS)
        .collect();
    if text.chars().count() > REASON_CHARS {
        line + "…"
    } else {
        line
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
