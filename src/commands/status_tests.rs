use jiff::civil::{Date, date, time};
use jiff::tz::TimeZone;
use schema::{SourceName, TaskId};
use store::{
    BreachReport, CycleKind, FailedTask, RunnerStatus, ScheduleFacts, Scope, TaskCounts, TaskPace,
};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn schedule() -> Schedule {
    Schedule {
        timezone: TimeZone::get("Asia/Bangkok").expect("a time zone"),
        daily_at: time(3, 0, 0, 0),
        retry_at: time(7, 0, 0, 0),
        skip_weekdays: Vec::new(),
        holidays: std::collections::BTreeSet::new(),
        run_on_start: true,
    }
}

fn cycle(id: i64, cycle_date: Date, state: &str, failed: Option<u64>) -> CycleStatus {
    CycleStatus {
        id,
        cycle_date,
        kind: CycleKind::Daily,
        scope: Scope::Full,
        state: state.to_owned(),
        started_at: at("2026-10-14T20:00:00Z"),
        closed_at: failed.map(|_| at("2026-10-14T21:02:03Z")),
        planned: failed.map(|_| 120),
        failed,
    }
}

fn standing() -> Standing {
    Standing {
        status: Status {
            schema_version: 1,
            runner: Some(RunnerStatus {
                runner: "master_runner 0.1.0, process 7, started 2026-10-14T20:00:00Z".to_owned(),
                started_at: at("2026-10-14T20:00:00Z"),
                doing: "starting".to_owned(),
                beat_at: at("2026-10-14T20:00:00Z"),
                holds_lock: false,
            }),
            schedule: ScheduleFacts {
                last_closed_daily: Some(date(2026, 10, 15)),
                last_closed_monthly: Some(date(2026, 10, 1)),
                open: None,
                failed: None,
            },
            cycles: vec![
                cycle(9, date(2026, 10, 15), "closed", Some(2)),
                cycle(8, date(2026, 10, 14), "closed", Some(0)),
                cycle(7, date(2026, 10, 13), "abandoned", None),
            ],
            tables: vec![("funds_master_info", 40), ("funds_daily", 12_000)],
            tasks: vec![(
                SourceName::Wealthmagik,
                TaskCounts {
                    planned: 120,
                    done: 100,
                    unchanged: 15,
                    absent: 3,
                    failed: 2,
                    ..TaskCounts::default()
                },
            )],
            breaches: vec![BreachReport {
                id: 12,
                source: SourceName::Finnomena,
                message: "nav: 41 of 60 funds have no values any more".to_owned(),
                accepted_by: None,
            }],
            paces: Vec::new(),
        },
        failed: FailedTasks {
            first: vec![FailedTask {
                id: TaskId {
                    source: SourceName::Wealthmagik,
                    page: "profile".to_owned(),
                    key: "K-USA-A".to_owned(),
                },
                outcome: "failed".to_owned(),
                failure: format!("the server answered 500\n{}", "x".repeat(500)),
                last_answer_at: None,
            }],
            count: 2,
        },
        freshness: vec![PageFreshness {
            source: SourceName::Wealthmagik,
            page: "profile".to_owned(),
            pages: 40,
            never_answered: 1,
            oldest_answer: Some(at("2026-10-01T20:00:00Z")),
            newest_answer: Some(at("2026-10-14T20:40:00Z")),
        }],
        behind: FundsBehind {
            count: 21,
            examples: vec![store::FundBehind {
                fund_code: "K-USA-A(A)".to_owned(),
                newest_nav: "2026-10-02".parse().expect("a date"),
                market_days: 8,
            }],
        },
        rejects: vec![RejectCount {
            source: SourceName::Finnomena,
            page: "nav".to_owned(),
            dataset: "daily".to_owned(),
            field: "date".to_owned(),
            severity: "rejected".to_owned(),
            count: 3,
            reason: "no NAV date: expected 1970-01-01 to 2026-11-15".to_owned(),
            sample: "2099-01-01".to_owned(),
        }],
    }
}

#[test]
fn cycles_failures_freshness_and_rejects_are_listed_and_bounded() {
    let now: Zoned = "2026-10-15T12:00:00+07:00[Asia/Bangkok]"
        .parse()
        .expect("a moment");
    insta::assert_snapshot!(shown(&standing(), &schedule(), &now));
}

#[test]
fn overdue_and_open_cycles_are_shown() {
    let now: Zoned = "2026-10-17T12:00:00+07:00[Asia/Bangkok]"
        .parse()
        .expect("a moment");
    let text = shown(&standing(), &schedule(), &now);
    assert!(text.contains("OVERDUE: a daily cycle"), "{text}");
}

#[test]
fn a_new_warehouse_says_that_no_cycle_has_run() {
    let mut standing = standing();
    standing.status.runner = None;
    standing.status.cycles.clear();
    standing.status.schedule = ScheduleFacts::default();
    let text = shown(&standing, &schedule(), &Zoned::now());
    assert!(text.contains("No cycle has run yet"), "{text}");
}

/// The runner's name in its heartbeat contains its start time as well.
#[test]
fn the_start_of_a_runner_is_shown_once() {
    let now = at("2026-10-15T05:00:00Z").to_zoned(TimeZone::UTC);
    for (holds_lock, expected) in [
        (true, "is running since 2026-10-15 03:00"),
        (false, "process 7, started 2026-10-15 03:00"),
    ] {
        let mut standing = standing();
        let mut runner = standing.status.runner.take().expect("a runner");
        runner.holds_lock = holds_lock;
        standing.status.runner = Some(runner);
        let text = shown(&standing, &schedule(), &now);
        let line = text.lines().next().expect("a line");
        assert!(line.ends_with(expected), "{line}");
        assert_eq!(line.matches("2026").count(), 1, "{line}");
        assert_eq!(
            line.matches("started").count(),
            usize::from(!holds_lock),
            "{line}"
        );
    }
    assert_eq!(program_of("an older runner"), "an older runner");
}

#[test]
fn rate_and_time_left_of_a_cycle_at_work_are_those_measured() {
    for (answered, holds_lock, expected) in [
        (
            120,
            true,
            Some(
                "wealthmagik: 1.0 tasks a second within the last 2 minutes, 10 min left at that rate",
            ),
        ),
        (
            12,
            true,
            Some(
                "wealthmagik: 0.1 tasks a second within the last 2 minutes, 1 h 40 min left at that rate",
            ),
        ),
        (
            0,
            true,
            Some("wealthmagik: 0.0 tasks a second within the last 2 minutes\n"),
        ),
        (120, false, None),
    ] {
        let mut standing = standing();
        let status = &mut standing.status;
        status.tasks[0].1.open = 600;
        status.paces = vec![(
            SourceName::Wealthmagik,
            TaskPace {
                answered,
                secs: 120,
            },
        )];
        if let Some(runner) = &mut status.runner {
            runner.holds_lock = holds_lock;
        }
        let mut text = String::new();
        tasks_block(&mut text, status);
        assert_eq!(
            expected.is_none(),
            !text.contains("tasks a second"),
            "{text}"
        );
        assert!(expected.is_none_or(|line| text.contains(line)), "{text}");
    }
}
