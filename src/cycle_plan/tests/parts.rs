//! A5: the plan does not depend on the size of the parts.

use proptest::prelude::*;
use schema::observation::NavDigest;
use store::PieceState;

use super::*;

/// The properties of a fund in a generated market.
#[derive(Debug, Clone, Copy)]
struct Traits {
    active: bool,
    listed: bool,
    answered: bool,
    failed_last: bool,
    quiet: bool,
    factsheet: Option<bool>,
}

fn traits() -> impl Strategy<Value = Traits> {
    let mostly = || prop::bool::weighted(0.8);
    (
        mostly(),
        mostly(),
        mostly(),
        mostly(),
        mostly(),
        any::<Option<bool>>(),
    )
        .prop_map(
            |(active, listed, answered, succeeded, quiet, factsheet)| Traits {
                active,
                listed,
                answered,
                failed_last: !succeeded,
                quiet,
                factsheet,
            },
        )
}

fn fund_with(number: usize, traits: Traits) -> FundState {
    let mut made = fund(&format!("F{number:02}"));
    made.active = traits.active;
    if traits.answered {
        answered_everything(&mut made);
        made.newest_nav = Some(newest(date(2026, 10, 14)));
    }
    if traits.failed_last {
        for answered in made.answered.values_mut() {
            answered.failed_last = true;
        }
    }
    if traits.quiet {
        made.news = Some(NavDigest {
            source_key: format!("F-F{number:02}"),
            nav_date: date(2026, 10, 14),
            nav: 10.into(),
        });
    }
    if !traits.listed {
        made.listings.clear();
    }
    // The source of the link.
    match traits.factsheet {
        Some(true) => {
            let url = format!("http://finnomena/{number}.pdf");
            made.factsheets.insert(SourceName::Finnomena, url);
        }
        Some(false) => {
            let url = format!("http://elsewhere/{number}.pdf");
            made.factsheets.insert(SourceName::Wealthmagik, url);
        }
        None => {}
    }
    made
}

fn market(
    traits: &[Traits],
    kind: CycleKind,
    has_list: bool,
    pieces: &[Option<bool>],
) -> PlanningState {
    let funds = (0..)
        .zip(traits)
        .map(|(number, traits)| fund_with(number, *traits));
    let mut state = state(kind, funds.collect());
    // More codes were listed than there are funds, so there is more than one page of news.
    state.listed.insert(SourceName::Finnomena, 350);
    if !has_list {
        state.lists.clear();
    }
    let pieces = (1..).zip(pieces).map(|(number, has_funds)| {
        let piece = PieceState {
            answered_cycle: has_funds.map(|_| state.cycle.id),
            has_funds: *has_funds,
        };
        (number, piece)
    });
    let pieces = pieces.collect();
    let page = (SourceName::Finnomena, "filter".to_owned());
    state.pieces.insert(page, pieces);
    state
}

fn narrowing(funds: usize) -> impl Strategy<Value = Narrowing> {
    let numbers = prop::collection::btree_set(0..funds + 2, 0..=funds);
    let sources = prop::sample::subsequence(
        vec![
            SourceName::Finnomena,
            SourceName::Wealthmagik,
            SourceName::SecFundcheck,
        ],
        1..=3,
    );
    (
        prop::option::weighted(0.3, numbers),
        prop::option::weighted(0.5, 0..funds + 2),
        prop::option::weighted(0.3, sources),
    )
        .prop_map(|(numbers, limit, only)| Narrowing {
            funds: numbers.map(|numbers| {
                let codes = numbers.iter().map(|number| format!("F{number:02}"));
                codes
                    .map(|code| FundCode::parse(&code).expect("a code"))
                    .collect()
            }),
            limit,
            only: only.map(BTreeSet::from_iter),
        })
}

fn with_wealthmagik() -> SitePages {
    const LINKING: &[PageSpec] = &[
        page("list", Stage::Lists, Cadence::EveryCycle, &[]),
        page("profile", Stage::Funds, Cadence::EveryCycle, &[]),
        page(
            "factsheet",
            Stage::Factsheets,
            Cadence::MonthlyOrLinkChanged,
            &[],
        ),
    ];
    let mut pages = pages();
    pages.insert(SourceName::Wealthmagik, LINKING);
    pages
}

fn in_order(mut tasks: Vec<NewTask>) -> Vec<NewTask> {
    tasks.sort_by(|one, other| one.id.cmp(&other.id));
    tasks
}

proptest! {
    #[test]
    fn a5_planned_in_parts_of_any_size_the_tasks_are_those_of_one_part(
        (traits, narrowing) in prop::collection::vec(traits(), 0..14)
            .prop_flat_map(|traits| { let funds = traits.len(); (Just(traits), narrowing(funds)) }),
        monthly in any::<bool>(),
        has_list in prop::bool::weighted(0.8),
        pieces in prop::collection::vec(any::<Option<bool>>(), 0..5),
        final_round in any::<bool>(),
    ) {
        let kind = if monthly { CycleKind::Monthly } else { CycleKind::Daily };
        let state = market(&traits, kind, has_list, &pieces);
        for stage in [Stage::Lists, Stage::News, Stage::Funds, Stage::Factsheets] {
            for of in [None, Some(SourceName::Finnomena), Some(SourceName::Wealthmagik), Some(SourceName::SecFundcheck)] {
                let planner = || StagePlanner::new(with_wealthmagik(), narrowing.clone(), stage, of, final_round);
                let (whole, _) = plan_in_parts(&state, usize::MAX, planner());
                let whole = in_order(whole);
                for funds_a_part in 1..=5 {
                    let (tasks, told) = plan_in_parts(&state, funds_a_part, planner());
                    prop_assert_eq!(&in_order(tasks), &whole, "{:?} of {:?} in parts of {}", stage, of, funds_a_part);
                    if stage == Stage::Lists {
                        prop_assert_eq!(told, 0, "lists depend on no fund");
                    }
                }
            }
        }
    }
}

#[test]
fn a5_funds_behind_the_limit_are_not_read() {
    let funds = ["A", "B", "C", "D", "E", "F"].map(fund).to_vec();
    let state = state(CycleKind::Daily, funds);
    for (limit, told, tasks) in [
        (None, 6, 18),
        (Some(0), 0, 0),
        (Some(1), 2, 3),
        (Some(2), 2, 6),
        (Some(3), 4, 9),
        (Some(9), 6, 18),
    ] {
        let narrowing = Narrowing {
            limit,
            ..Narrowing::default()
        };
        let planner = StagePlanner::new(pages(), narrowing, Stage::Funds, None, false);
        let (planned, read) = plan_in_parts(&state, 2, planner);
        assert_eq!((read, planned.len()), (told, tasks), "{limit:?}");
    }
}

#[test]
fn a_plan_that_can_have_no_task_reads_no_fund() {
    use SourceName::{Finnomena, Wealthmagik};
    let funds = ["A", "B"].map(fund).to_vec();
    let quiet = state(CycleKind::Daily, funds.clone());
    let doubted = PlanningState {
        news_doubted: true,
        ..quiet.clone()
    };
    let no_list = PlanningState {
        lists: BTreeMap::new(),
        ..quiet.clone()
    };
    let pieces = |answered: &[i64]| PlanningState {
        pieces: BTreeMap::from([(
            (Finnomena, TaskId::PIECES.to_owned()),
            (1..)
                .zip(answered)
                .map(|(number, cycle)| {
                    let piece = PieceState {
                        answered_cycle: Some(*cycle),
                        has_funds: Some(number == 1),
                    };
                    (number, piece)
                })
                .collect(),
        )]),
        listed: BTreeMap::from([(Finnomena, 150)]),
        ..quiet.clone()
    };
    let this = quiet.cycle.id;
    for (stage, of, is_repeated, state, read) in [
        (Stage::News, Finnomena, false, &pieces(&[this - 1, this]), 2),
        (Stage::News, Finnomena, false, &pieces(&[this, this - 1]), 2),
        (Stage::News, Finnomena, false, &pieces(&[this, this]), 0),
        (Stage::Funds, Finnomena, false, &quiet, 2),
        (Stage::Funds, Finnomena, true, &quiet, 0),
        (Stage::Funds, Finnomena, true, &doubted, 2),
        (Stage::Funds, Finnomena, false, &no_list, 0),
        (Stage::Factsheets, Finnomena, false, &quiet, 2),
        (Stage::Factsheets, Finnomena, true, &quiet, 2),
        (Stage::Factsheets, Wealthmagik, false, &quiet, 0),
    ] {
        let planner = StagePlanner::new(
            with_wealthmagik(),
            Narrowing::default(),
            stage,
            Some(of),
            false,
        );
        let (_, told) = plan_in_parts(state, 1, planner.repeated(is_repeated));
        assert_eq!(told, read, "{stage:?} of {of}, repeated: {is_repeated}");
    }
}

/// The pages of news are compared with the whole market, not with one part of it.
#[test]
fn a5_p2_few_funds_a_part_that_may_be_spared_are_many_together() {
    let quiet = Traits {
        active: true,
        listed: true,
        answered: true,
        failed_last: false,
        quiet: true,
        factsheet: None,
    };
    // Up to four pages may be needed, which is worth it from five funds on.
    for (funds, expected) in [(4, 0), (5, 1)] {
        let state = market(&vec![quiet; funds], CycleKind::Daily, true, &[]);
        for funds_a_part in 1..=6 {
            let planner =
                StagePlanner::new(pages(), Narrowing::default(), Stage::News, None, false);
            let (tasks, _) = plan_in_parts(&state, funds_a_part, planner);
            assert_eq!(tasks.len(), expected, "{funds} funds by {funds_a_part}");
        }
    }
}
