use jiff::civil::date;
use sources::page::Cadence;
use store::{CycleKind, ProjectState};

use super::super::tests::{answered_everything, fund, page, pages, state};
use super::*;

const TODAY: Date = date(2026, 10, 15);
const MONTHLY: Date = date(2026, 10, 1);

/// A fund of a project with this history.
fn with_history(code: &str, project: &str, history: ProjectHistory) -> FundState {
    let mut fund = fund(code);
    fund.project = Some(ProjectState {
        id: project.to_owned(),
        history,
        ..ProjectState::default()
    });
    fund
}

fn of_month(funds: Vec<FundState>) -> PlanningState {
    PlanningState {
        last_monthly: Some(MONTHLY),
        ..state(CycleKind::Daily, funds)
    }
}

/// The tasks as project and number of pages, and the number of projects that are left.
fn planned(
    state: &PlanningState,
    pages: &SitePages,
    final_round: bool,
    most: usize,
) -> (Vec<String>, usize) {
    let spec = page(
        TaskId::PROJECT_HISTORY,
        Stage::Histories,
        Cadence::EveryCycle,
        &[],
    );
    let mut histories = Histories::default();
    for funds in state.funds.chunks(2) {
        let funds: Vec<&FundState> = funds.iter().collect();
        histories.add(state, pages, &Narrowing::default(), &funds, final_round);
    }
    let (tasks, left) = histories.tasks(SourceName::SecOpenApi, &spec, TODAY, most);
    let shown = tasks.into_iter().map(|task| {
        let turn: HistoryTurn = task.locator.expect("a locator").parse().expect("a turn");
        assert_eq!(turn.days.to_string(), "2025-10-16..2026-10-15");
        format!("{} {}", task.id.key, turn.pages)
    });
    (shown.collect(), left)
}

#[test]
fn a_history_is_read_here_only_if_the_source_of_whole_histories_does_not_have_it() {
    #[derive(Clone, Copy)]
    enum Source {
        Disabled,
        ListFailed,
        Unlisted,
        PageFailed,
        Answers,
    }
    use Source::{Answers, Disabled, ListFailed, PageFailed, Unlisted};
    // Whether the history is due in round 1 and in the last round; whether the other source has it; when it was read
    // here.
    for (source, known_there, read_on, expected) in [
        (Disabled, false, None, [true, true]),
        (Disabled, false, Some(MONTHLY), [false, false]),
        (Disabled, false, Some(date(2026, 9, 30)), [true, true]),
        (ListFailed, false, None, [false, true]),
        (Unlisted, false, None, [true, true]),
        (PageFailed, false, None, [false, true]),
        (PageFailed, true, None, [false, false]),
        (Answers, false, None, [false, false]),
        (Answers, true, Some(date(2026, 9, 1)), [false, false]),
    ] {
        let history = ProjectHistory {
            read_on,
            ..ProjectHistory::default()
        };
        let mut fund = with_history("A", "M1", history);
        answered_everything(&mut fund);
        let key = (SourceName::Finnomena, "nav".to_owned());
        let nav = fund.answered.get_mut(&key).expect("the page");
        nav.failed_last = matches!(source, PageFailed);
        if !known_there {
            nav.extents.clear();
        }
        let mut sites = pages();
        let mut state = of_month(Vec::new());
        match source {
            Disabled => {
                sites.remove(&SourceName::Finnomena);
            }
            ListFailed => {
                fund.listings.clear();
                state.lists.clear();
            }
            Unlisted => fund.listings.clear(),
            PageFailed | Answers => {}
        }
        state.funds = vec![fund];
        for (final_round, expected) in [false, true].into_iter().zip(expected) {
            let (tasks, _) = planned(&state, &sites, final_round, 2_000);
            assert_eq!(
                !tasks.is_empty(),
                expected,
                "{}, known: {known_there}, read: {read_on:?}, last round: {final_round}",
                source as u8
            );
        }
    }
}

#[test]
fn histories_that_were_never_read_come_first_and_share_the_pages() {
    let history = |read_on, range: Option<&str>| ProjectHistory {
        planned: None,
        read_on,
        range: range.map(str::to_owned),
    };
    let funds = vec![
        with_history("A", "M1", history(Some(date(2026, 9, 2)), None)),
        with_history("B", "M2", history(None, Some("2023-10-16..2024-10-15"))),
        with_history("C", "M3", history(None, None)),
        with_history("D", "M4", history(None, Some("2024-10-16..2025-10-15"))),
        with_history("E", "M3", history(None, None)),
        with_history("F", "M5", history(Some(date(2026, 9, 1)), None)),
        with_history("G", "M6", history(Some(MONTHLY), None)),
    ];
    let state = of_month(funds);
    let none = SitePages::new();
    // Two classes have 524 NAVs a year, so six pages and one that may be empty.
    for (most, tasks, left) in [
        (0, &[][..], 5),
        (3, &["*M3 3"], 4),
        (7, &["*M3 7"], 4),
        (13, &["*M3 7", "*M4 4", "*M2 2"], 2),
        (23, &["*M3 7", "*M4 4", "*M2 4", "*M5 4", "*M1 4"], 0),
        (
            2_000,
            &["*M3 400", "*M4 400", "*M2 400", "*M5 400", "*M1 400"],
            0,
        ),
    ] {
        let found = planned(&state, &none, false, most);
        let tasks: Vec<String> = tasks.iter().map(|task| (*task).to_owned()).collect();
        assert_eq!(found, (tasks, left), "{most} pages");
    }
}

#[test]
fn what_is_planned_in_the_cycle_counts_and_is_not_planned_again() {
    let planned_before = |locator: &str| ProjectHistory {
        planned: Some(locator.to_owned()),
        ..ProjectHistory::default()
    };
    let funds = vec![
        with_history("A", "M1", planned_before("2025-10-16..2026-10-15 8")),
        with_history("B", "M1", planned_before("2025-10-16..2026-10-15 8")),
        with_history("C", "M2", ProjectHistory::default()),
    ];
    let state = of_month(funds);
    let none = SitePages::new();
    assert_eq!(
        planned(&state, &none, false, 10),
        (vec!["*M2 2".to_owned()], 0)
    );
    assert_eq!(planned(&state, &none, false, 8), (Vec::new(), 1));
}
