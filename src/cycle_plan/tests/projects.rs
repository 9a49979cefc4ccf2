//! The late projects of the official register.

use sources::page::{ChainSpec, DayWindow};
use store::{ProjectHistory, ProjectState, ProjectTask};

use super::*;

const CHAIN: ChainSpec = ChainSpec {
    max_pages: 10,
    window: None,
    quarters: None,
};
const REGISTER: &[PageSpec] = &[
    PageSpec {
        chain: Some(ChainSpec {
            window: Some(DayWindow {
                nightly: 5,
                weekly: 14,
            }),
            ..CHAIN
        }),
        ..page("daily", Stage::Market, Cadence::EveryCycle, &[])
    },
    PageSpec {
        chain: Some(CHAIN),
        ..page("project_days", Stage::Projects, Cadence::EveryCycle, &[])
    },
];

/// A fund whose NAVs are published seven days after their dates.
fn late(code: &str, project: &str) -> FundState {
    FundState {
        project: Some(ProjectState {
            id: project.to_owned(),
            nav_dates: vec![date(2026, 10, 7), date(2026, 10, 6)],
            lags: vec![7],
            days: ProjectTask::default(),
            history: ProjectHistory::default(),
        }),
        ..fund(code)
    }
}

fn tasks(state: &PlanningState, funds_a_part: usize, narrowing: Narrowing) -> Vec<String> {
    let pages = SitePages::from([(SourceName::SecOpenApi, REGISTER)]);
    let planner = StagePlanner::new(pages, narrowing, Stage::Projects, None, false);
    let (tasks, _) = plan_in_parts(state, funds_a_part, planner);
    tasks
        .into_iter()
        .map(|task| format!("{} {}", task.id, task.locator.unwrap_or_default()))
        .collect()
}

#[test]
fn late_projects_are_planned_once_the_days_of_the_market_are_answered() {
    let state = PlanningState {
        register_answered: true,
        ..state(
            CycleKind::Daily,
            vec![late("A", "M1"), fund("B"), late("C", "M2"), late("D", "M1")],
        )
    };
    let expected = ["M1", "M2"]
        .map(|project| format!("sec_open_api/project_days/*{project} 2026-09-30..2026-10-15"));
    for funds_a_part in 1..=5 {
        assert_eq!(
            tasks(&state, funds_a_part, Narrowing::default()),
            expected,
            "in parts of {funds_a_part}"
        );
    }
    let one = Narrowing {
        funds: Some(BTreeSet::from([FundCode::parse("C").expect("a code")])),
        ..Narrowing::default()
    };
    assert_eq!(tasks(&state, 9, one), expected[1..]);
    let unanswered = PlanningState {
        register_answered: false,
        ..state.clone()
    };
    assert_eq!(tasks(&unanswered, 9, Narrowing::default()), [""; 0]);
    let mut wide = state;
    wide.cycle.kind = CycleKind::Monthly;
    assert_eq!(
        tasks(&wide, 9, Narrowing::default()),
        [""; 0],
        "the lists of a monthly cycle show the days"
    );
}
