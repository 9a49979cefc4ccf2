use jiff::civil::date;
use store::{ProjectHistory, ProjectTask};

use super::*;

/// A Thursday in an ordinary cycle.
const SHOWN: Shown = Shown {
    today: date(2026, 10, 15),
    first_day: date(2026, 10, 10),
    nightly: 5,
};

fn ago(days: i32) -> Date {
    SHOWN.today.saturating_sub(days.days())
}

/// A class with NAVs of so many days ago, these samples, and a project that was requested so many days ago.
fn class(nav_days_ago: &[i32], lags: &[i16], asked: Option<i32>) -> ProjectState {
    ProjectState {
        id: "M1".to_owned(),
        nav_dates: nav_days_ago.iter().map(|days| ago(*days)).collect(),
        lags: lags.to_vec(),
        days: ProjectTask {
            is_planned: false,
            last_answered: asked.map(ago),
        },
        history: ProjectHistory::default(),
    }
}

/// What is wanted, with numbers of days ago: due since, or last tried; and the first day to request.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Due(i32, i32),
    Unknown(Option<i32>, i32),
}

fn found(class: &ProjectState, shown: Shown) -> Found {
    let days = |date: Date| (shown.today - date).get_days();
    match wanted(class, shown) {
        None => Found::Nothing,
        Some(Wanted { reason, from }) => match reason {
            Reason::Due(since) => Found::Due(days(since), days(from)),
            Reason::Unknown(last) => Found::Unknown(last.map(days), days(from)),
        },
    }
}

#[test]
fn only_a_class_that_usually_publishes_behind_the_window_is_requested_when_it_is_due() {
    use Found::{Due, Nothing, Unknown};
    const MONTHS: &[i32] = &[45, 76, 106, 137];
    for (what, nav_days_ago, lags, asked, expected) in [
        ("punctual", &[1, 2, 3][..], &[1, 1, 1][..], None, Nothing),
        (
            "punctual, nothing new for ten days",
            &[10, 11],
            &[1],
            None,
            Nothing,
        ),
        (
            "usually punctual, late once",
            &[9, 10],
            &[1, 9, 1],
            None,
            Nothing,
        ),
        ("two samples, one late", &[9, 10], &[9, 2], None, Nothing),
        (
            "seven days late",
            &[8, 9, 10],
            &[7, 7, 9],
            Some(1),
            Due(0, 15),
        ),
        (
            "seven days late, overdue",
            &[12, 13],
            &[7, 7],
            Some(4),
            Due(4, 19),
        ),
        (
            "seven days late, asked last night",
            &[12, 13],
            &[7, 7],
            Some(1),
            Due(1, 19),
        ),
        (
            "six days late, the next day is shown",
            &[6, 7],
            &[6],
            None,
            Nothing,
        ),
        ("six days late", &[7, 8], &[6], None, Due(0, 14)),
        ("one NAV alone", &[20], &[20], None, Due(-1, 27)),
        ("without a sample", &[9, 10], &[], None, Due(-1, 16)),
        ("monthly, due", MONTHS, &[14, 14], Some(30), Due(4, 52)),
        ("monthly, punctual", MONTHS, &[3, 2], None, Nothing),
        (
            "monthly, the next month is shown",
            &[31, 62, 92],
            &[14],
            None,
            Nothing,
        ),
        (
            "monthly, the next month is behind the window",
            &[33, 64, 94],
            &[14],
            None,
            Due(-8, 40),
        ),
        ("silent", &[201, 202], &[7], Some(7), Unknown(Some(7), 100)),
        ("silent, tried this week", &[201], &[7], Some(6), Nothing),
        ("never seen", &[], &[], None, Unknown(None, 100)),
    ] {
        assert_eq!(
            found(&class(nav_days_ago, lags, asked), SHOWN),
            expected,
            "{what}"
        );
    }
}

#[test]
fn a_wide_window_needs_fewer_requests() {
    let wide = Shown {
        first_day: ago(14),
        ..SHOWN
    };
    let late = |newest: i32| class(&[newest, newest + 1], &[7], None);
    assert_eq!(found(&late(8), wide), Found::Nothing);
    assert_eq!(found(&late(16), wide), Found::Due(8, 23));
}

#[test]
fn every_nav_is_requested_on_the_day_of_its_publication() {
    // Publication in calendar days after the date, and the dates as numbers of days since the first one.
    let daily: Vec<i32> = (0..60).filter(|day| day % 7 < 5).collect();
    let monthly = vec![0, 31, 59, 90, 120, 151];
    for (dates, lags, most) in [
        (&daily, 0..=5, 0),
        (&daily, 6..=9, 60),
        (&monthly, 0..=5, 0),
        (&monthly, 6..=27, 140),
    ] {
        for lag in lags {
            let mut requests = 0;
            let (mut known, mut samples) = (Vec::new(), Vec::new());
            let last = dates.last().copied().unwrap_or(0) + lag;
            // The first cycle has seen two NAVs.
            let first = dates[1] + lag;
            for today in first..=last {
                let shown = Shown {
                    today: date(2026, 1, 1).saturating_add(today.days()),
                    first_day: date(2026, 1, 1).saturating_add((today - 5).days()),
                    nightly: 5,
                };
                let published: Vec<Date> = dates
                    .iter()
                    .filter(|day| **day + lag <= today)
                    .map(|day| date(2026, 1, 1).saturating_add(day.days()))
                    .collect();
                let is_new = |day: &&Date| !known.contains(*day);
                let new: Vec<Date> = published.iter().filter(is_new).copied().collect();
                let class = ProjectState {
                    nav_dates: known.iter().rev().copied().take(6).collect(),
                    lags: samples.clone(),
                    ..class(&[], &[], None)
                };
                let wanted = wanted(&class, shown).filter(|_| today > first);
                requests += i32::from(wanted.is_some());
                for day in new {
                    let is_asked = wanted.is_some_and(|wanted| wanted.from <= day);
                    assert!(
                        today == first || day >= shown.first_day || is_asked,
                        "lag {lag}: {day} was not read on {}",
                        shown.today
                    );
                    known.push(day);
                    samples.push(i16::try_from((shown.today - day).get_days()).expect("few"));
                }
                samples.drain(..samples.len().saturating_sub(5));
            }
            assert!(requests <= most, "lag {lag}: {requests} requests");
        }
    }
}

#[test]
fn the_most_overdue_projects_are_requested_first_and_the_others_are_left() {
    let spec = super::super::tests::page(
        TaskId::PROJECT_DAYS,
        sources::page::Stage::Projects,
        sources::page::Cadence::EveryCycle,
        &[],
    );
    let fund = |id: usize, class: ProjectState| {
        let mut fund = super::super::tests::fund(&format!("F{id}"));
        fund.project = Some(ProjectState {
            id: format!("M{id:03}"),
            ..class
        });
        fund
    };
    let mut funds: Vec<FundState> = (0..MOST_PROJECTS + 20)
        .map(|id| fund(id, class(&[8, 9], &[7], Some(1))))
        .collect();
    funds.push(fund(500, class(&[20, 21], &[7], Some(2))));
    funds.push(fund(501, class(&[], &[], None)));
    // A second class of the first project is further behind.
    funds.push(fund(0, class(&[9, 10], &[7], Some(1))));
    let mut planned = fund(600, class(&[8, 9], &[7], None));
    if let Some(project) = &mut planned.project {
        project.days.is_planned = true;
    }
    funds.push(planned);
    let mut projects = Projects::default();
    for part in funds.chunks(7) {
        projects.add(SHOWN, &part.iter().collect::<Vec<_>>());
    }
    let (tasks, left) = projects.tasks(SourceName::SecOpenApi, &spec, SHOWN.today);
    assert_eq!((tasks.len(), left), (MOST_PROJECTS - 1, 23));
    let shown: Vec<String> = tasks
        .iter()
        .take(2)
        .map(|task| format!("{} {}", task.id.key, task.locator.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(
        shown,
        [
            "*M500 2026-09-18..2026-10-15",
            "*M000 2026-09-29..2026-10-15"
        ]
    );
    assert!(tasks.iter().all(|task| task.id.key != "*M501"));
}
