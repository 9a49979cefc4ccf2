//! Projects of the official register: how late their NAVs are published, and histories that go on in a later cycle.

use std::ops::ControlFlow;

use jiff::civil::{Date, date};
use schema::columns::ListingFields;
use schema::observation::{DailyPoint, KeyedObservation};
use schema::task::ChainPosition;
use schema::{ObservationData, SourceName, TaskAnswer, TaskId};
use store::{CycleKind, NewTask, PartPlan, Planner, PlanningState, ProjectState};

use crate::world::{World, done, list_of, number, says, task};

const REGISTER: SourceName = SourceName::SecOpenApi;
const LOCATOR: &str = "2025-10-16..2026-10-15 3";

/// The register's list with one class of one project.
fn classes() -> TaskAnswer {
    let data = ObservationData::Listing {
        source_key: "M1/A".to_owned(),
        fields: ListingFields {
            status: Some("Registered".to_owned()),
            ..ListingFields::default()
        },
    };
    TaskAnswer {
        is_list_part: true,
        ..done(
            task(REGISTER, TaskId::CLASSES, TaskId::WHOLE_MARKET),
            vec![says("A", REGISTER, None, data)],
        )
    }
}

/// The NAVs of these days, as an answer to this task.
fn navs(id: TaskId, days: &[Date]) -> TaskAnswer {
    let keyed = days.iter().map(|day| KeyedObservation {
        source_key: "M1/A".to_owned(),
        fund_code: None,
        as_of_date: None,
        url: "https://register.example".to_owned(),
        data: ObservationData::Daily(vec![DailyPoint {
            nav_date: *day,
            nav: Some(number("10")),
            aum: None,
            bid: None,
            offer: None,
        }]),
    });
    TaskAnswer {
        keyed: keyed.collect(),
        is_list_part: true,
        ..done(id, Vec::new())
    }
}

fn of_day(day: Date) -> TaskAnswer {
    navs(task(REGISTER, TaskId::DAYS, &format!("*{day}")), &[day])
}

/// Reads the project of the fund, and plans the history of it if asked to.
struct Reading {
    plans_history: bool,
    project: Option<ProjectState>,
}

impl Planner for Reading {
    fn part(&mut self, state: &PlanningState) -> PartPlan {
        let known = state.funds.iter().find_map(|fund| fund.project.clone());
        self.project = known.or(self.project.take());
        let tasks = if self.plans_history && state.last_part {
            vec![NewTask {
                id: task(REGISTER, TaskId::PROJECT_HISTORY, "*M1"),
                locator: Some(LOCATOR.to_owned()),
                extent: None,
            }]
        } else {
            Vec::new()
        };
        ControlFlow::Continue(tasks)
    }

    fn uses_control(&self) -> bool {
        false
    }

    fn uses_projects(&self) -> bool {
        true
    }
}

async fn project(world: &mut World, plans_history: bool) -> ProjectState {
    let mut reading = Reading {
        plans_history,
        project: None,
    };
    let cycle = world.cycle.clone();
    world.writer.plan(&cycle, &mut reading).await.unwrap();
    reading.project.expect("the register lists the fund")
}

#[tokio::test]
async fn the_newest_nav_of_each_cycle_is_one_sample_of_how_late_it_was_published() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A"]), classes()]).await;
    assert_eq!(project(&mut world, false).await.lags, [0; 0]);
    // Two lists of one cycle, the newer day first or last: one sample.
    for (today, days, lags) in [
        (date(2026, 11, 3), &[30, 29][..], &[4][..]),
        (date(2026, 11, 4), &[29, 31], &[4, 4]),
        (date(2026, 11, 5), &[31, 30], &[4, 4]),
    ] {
        world.next_cycle(today, CycleKind::Daily).await;
        for day in days {
            world.commit(vec![of_day(date(2026, 10, *day))]).await;
        }
        let project = project(&mut world, false).await;
        assert_eq!(project.lags, lags, "{today}");
    }
    for day in 2..=6 {
        let today = date(2026, 11, day + 7);
        world.next_cycle(today, CycleKind::Daily).await;
        world.commit(vec![of_day(date(2026, 11, day))]).await;
    }
    let project = project(&mut world, false).await;
    assert_eq!(project.lags, [7; 5], "the last five");
    let expected: Vec<Date> = (2..=6).rev().map(|day| date(2026, 11, day)).collect();
    assert_eq!(project.nav_dates[..5], expected);
    assert_eq!(project.id, "M1");
}

#[tokio::test]
async fn a_paused_history_is_no_failure_and_goes_on_where_it_stopped() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A"]), classes()]).await;
    project(&mut world, true).await;
    let id = task(REGISTER, TaskId::PROJECT_HISTORY, "*M1");
    let at = |range: &str, cursor: &str, turn: u32| ChainPosition {
        cursor: cursor.to_owned(),
        pages: 1,
        seen: vec![turn.into()],
        restarted: false,
        carry: None,
        range: Some(range.to_owned()),
        turn,
    };
    let older = "2024-10-16..2025-10-15";
    let page = |day, next: Option<ChainPosition>, is_paused| TaskAnswer {
        next,
        is_paused,
        ..navs(id.clone(), &[day])
    };
    let first = page(date(2026, 10, 1), Some(at(older, "", 1)), false);
    let second = page(date(2025, 10, 1), Some(at(older, "c", 2)), true);
    world.commit(vec![first]).await;
    world.commit(vec![second]).await;
    let state = "SELECT outcome || ' ' || (chain ->> 'cursor') || ' ' || (chain ->> 'turn') FROM runner.task
                 WHERE page = 'project_history'";
    assert_eq!(world.text(state).await, ["done c 2"]);
    let totals = world.next_cycle(date(2026, 11, 4), CycleKind::Daily).await;
    assert_eq!(totals.paused_histories, 1);
    assert!(totals.is_complete());
    totals.check_books().unwrap();

    let project_now = project(&mut world, true).await;
    assert_eq!(project_now.history.range.as_deref(), Some(older));
    assert_eq!(project_now.history.read_on, None);
    let position = "SELECT (chain ->> 'cursor') || ' ' || (chain ->> 'turn') || ' ' || (chain ->> 'range') FROM runner.task
                    WHERE page = 'project_history' AND outcome IS NULL";
    assert_eq!(world.text(position).await, [format!("c 0 {older}")]);
    world
        .commit(vec![page(date(2024, 11, 1), None, false)])
        .await;
    let days = world
        .text("SELECT nav_date::text FROM funds_daily ORDER BY 1")
        .await;
    assert_eq!(days, ["2024-11-01", "2025-10-01", "2026-10-01"]);
    let totals = world.next_cycle(date(2026, 11, 5), CycleKind::Daily).await;
    assert_eq!(totals.paused_histories, 0);
    let read = project(&mut world, false).await.history;
    assert_eq!(read.read_on, Some(date(2026, 11, 4)));
    assert_eq!((read.range, read.planned), (None, None));
    let left_out: Vec<String> = world
        .text("SELECT nav_date::text FROM runner.daily_unreported")
        .await;
    assert_eq!(left_out, [""; 0]);
}
