//! Which funds are requested or spared, and which pages of news are requested.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::date;
use proptest::prelude::*;
use schema::FundCode;
use schema::observation::NavDigest;
use store::{CycleKind, NewestNav};

use super::*;
use crate::cycle_plan::Narrowing;
use crate::cycle_plan::tests::{answered_everything, fund, newest, plan_stage, planned, state};

/// A fund that is fully known, with nothing new in this cycle.
fn quiet(code: &str) -> FundState {
    let mut quiet = fund(code);
    answered_everything(&mut quiet);
    quiet.newest_nav = Some(newest(date(2026, 10, 14)));
    quiet.news = Some(NavDigest {
        source_key: format!("F-{code}"),
        nav_date: date(2026, 10, 14),
        nav: 10.into(),
    });
    quiet
}

fn nav() -> (SourceName, String) {
    (SourceName::Finnomena, "nav".to_owned())
}

#[test]
fn p2_a_fund_without_news_is_not_requested_and_any_other_is() {
    type Change = fn(&mut FundState);
    fn news(fund: &mut FundState) -> &mut NavDigest {
        fund.news.as_mut().expect("news")
    }
    let asked: [(&str, Change, &str); 14] = [
        ("another NAV", |fund| news(fund).nav = 11.into(), "1M"),
        (
            "a newer day",
            |fund| news(fund).nav_date = date(2026, 10, 15),
            "1M",
        ),
        (
            "an older day",
            |fund| news(fund).nav_date = date(2026, 10, 13),
            "1M",
        ),
        (
            "another key",
            |fund| news(fund).source_key = "F-B".to_owned(),
            "1M",
        ),
        ("on no page", |fund| fund.news = None, "1M"),
        (
            "no NAV that Finnomena said",
            |fund| fund.newest_nav = None,
            "MAX",
        ),
        (
            "the AUM of the day is not known",
            |fund| {
                fund.newest_nav = fund.newest_nav.map(|newest| NewestNav {
                    has_aum: false,
                    ..newest
                });
            },
            "1M",
        ),
        ("never asked", |fund| fund.answered.clear(), "MAX"),
        (
            "never asked for all of it",
            |fund| fund.answered.get_mut(&nav()).expect("nav").extents = BTreeMap::new(),
            "MAX",
        ),
        (
            "never answered",
            |fund| fund.answered.get_mut(&nav()).expect("nav").last_answered = None,
            "1M",
        ),
        (
            "failed when it was last asked",
            |fund| fund.answered.get_mut(&nav()).expect("nav").failed_last = true,
            "1M",
        ),
        (
            "a day that is long ago",
            |fund| {
                fund.newest_nav = Some(newest(date(2026, 8, 1)));
                news(fund).nav_date = date(2026, 8, 2);
            },
            "1Y",
        ),
        (
            "listed under another key",
            |fund| {
                let listing = fund
                    .listings
                    .get_mut(&SourceName::Finnomena)
                    .expect("listed");
                listing.source_key = "F-NEW".to_owned();
            },
            "1M",
        ),
        ("told as 0", |fund| news(fund).nav = 0.into(), "1M"),
    ];
    let plans = |kind, fund: &FundState| -> Vec<String> {
        let tasks = planned(&state(kind, vec![fund.clone()]), Stage::Funds);
        tasks
            .into_iter()
            .filter(|task| task.starts_with("finnomena/nav/"))
            .map(|task| task.rsplit(':').next().unwrap_or_default().to_owned())
            .collect()
    };
    let quiet = quiet("A");
    assert_eq!(plans(CycleKind::Daily, &quiet), [""; 0]);
    assert_eq!(
        plans(CycleKind::Monthly, &quiet),
        ["MAX"],
        "the audit asks for everything"
    );
    for (why, change, extent) in asked {
        let mut fund = quiet.clone();
        change(&mut fund);
        assert_eq!(plans(CycleKind::Daily, &fund), [extent], "{why}");
    }
    // An old date that is reported as it is known does not count as a gap.
    let mut monthly = quiet.clone();
    monthly.newest_nav = Some(newest(date(2026, 8, 31)));
    monthly.news.as_mut().expect("news").nav_date = date(2026, 8, 31);
    assert_eq!(plans(CycleKind::Daily, &monthly), [""; 0]);
}

/// A market of `funds` fully known funds with the given pages of news: number, whether the page contained funds when it
/// was last answered, and whether that was in this cycle.
fn market(funds: usize, pieces: &[(u32, Option<bool>, bool)]) -> PlanningState {
    let funds = (0..funds)
        .map(|number| quiet(&format!("F{number}")))
        .collect();
    let mut state = state(CycleKind::Daily, funds);
    let pieces = pieces.iter().map(|(number, has_funds, is_now)| {
        let answered_cycle = has_funds.map(|_| if *is_now { state.cycle.id } else { 0 });
        let piece = PieceState {
            answered_cycle,
            has_funds: *has_funds,
        };
        (*number, piece)
    });
    let pieces = pieces.collect();
    state
        .pieces
        .insert((SourceName::Finnomena, "filter".to_owned()), pieces);
    state
}

fn numbers(state: &PlanningState) -> Vec<String> {
    let plan = planned(state, Stage::News);
    plan.iter()
        .map(|task| {
            let number = task
                .strip_prefix("finnomena/filter/")
                .expect("a page of news");
            number.trim_end_matches(':').to_owned()
        })
        .collect()
}

#[test]
fn p2_the_first_page_is_requested_alone_and_the_rest_once_it_is_answered() {
    const HELD: Option<bool> = Some(true);
    const ABSENT: Option<bool> = Some(false);
    for (funds, pieces, expected) in [
        // Nothing is known of the pages: they are requested one after the other.
        (350, &[][..], &["1"][..]),
        (350, &[(1, HELD, true)], &["2"]),
        (350, &[(1, HELD, true), (2, HELD, true)], &["3"]),
        // No page beyond the codes that were ever listed.
        (
            350,
            &[
                (1, HELD, true),
                (2, HELD, true),
                (3, HELD, true),
                (4, HELD, true),
            ],
            &[],
        ),
        // On the next day all pages that contained funds, and the one after them.
        (
            350,
            &[(1, HELD, false), (2, HELD, false), (3, ABSENT, false)],
            &["1"],
        ),
        (
            350,
            &[(1, HELD, true), (2, HELD, false), (3, ABSENT, false)],
            &["2", "3"],
        ),
        // The market has grown, then shrunk.
        (
            350,
            &[
                (1, HELD, true),
                (2, HELD, true),
                (3, HELD, true),
                (4, ABSENT, false),
            ],
            &["4"],
        ),
        (
            350,
            &[(1, HELD, true), (2, ABSENT, true), (3, ABSENT, false)],
            &[],
        ),
        // The site has no such pages.
        (350, &[(1, ABSENT, true)], &[]),
        (350, &[(1, ABSENT, true), (2, HELD, false)], &[]),
        // The first has failed, so it is unknown whether such pages exist.
        (350, &[(1, HELD, false), (2, HELD, false)], &["1"]),
        // One page for one fund saves no request.
        (1, &[], &[]),
        (2, &[], &["1"]),
    ] {
        assert_eq!(
            numbers(&market(funds, pieces)),
            expected,
            "{funds} funds, {pieces:?}"
        );
    }
}

#[test]
fn p2_pages_of_news_that_save_nothing_are_not_requested() {
    let known = market(20, &[]);
    assert_eq!(numbers(&known), ["1"]);
    let each = |change: fn(&mut FundState)| {
        let mut state = known.clone();
        state.funds.iter_mut().for_each(change);
        state
    };
    for (why, state) in [
        ("new funds", each(|fund| fund.answered.clear())),
        ("inactive funds", each(|fund| fund.active = false)),
        (
            "funds that are not listed",
            each(|fund| fund.listings.clear()),
        ),
        (
            "funds that failed",
            each(|fund| fund.answered.get_mut(&nav()).expect("nav").failed_last = true),
        ),
        (
            "funds that were asked in this cycle",
            each(|fund| fund.answered.get_mut(&nav()).expect("nav").answered_cycle = Some(1)),
        ),
        ("no list", {
            let mut state = known.clone();
            state.lists.clear();
            state
        }),
    ] {
        assert_eq!(numbers(&state), [""; 0], "{why}");
    }
    // A narrowed run requests its few funds directly.
    let only = |codes: &[&str]| Narrowing {
        funds: Some(
            codes
                .iter()
                .map(|code| FundCode::parse(code).expect("a code"))
                .collect::<BTreeSet<_>>(),
        ),
        ..Narrowing::default()
    };
    let count = |narrowing: &Narrowing| plan_stage(&known, narrowing, Stage::News, false).len();
    assert_eq!(count(&only(&["F1"])), 0);
    assert_eq!(count(&only(&["F1", "F2"])), 1);
}

#[test]
fn a_monthly_cycle_has_no_news() {
    let mut monthly = market(20, &[]);
    monthly.cycle.kind = CycleKind::Monthly;
    assert_eq!(numbers(&monthly), [""; 0]);
}

proptest! {
    /// Repeated planning ends, whatever the site answers: it stays within the codes ever listed, and requests no page
    /// after an absent one.
    #[test]
    fn planning_comes_to_an_end(
        funds in 2_usize..900,
        before in proptest::collection::vec(proptest::option::of(any::<bool>()), 0..12),
        now in proptest::collection::vec(proptest::option::of(any::<bool>()), 12),
    ) {
        let pieces: Vec<_> = (1..).zip(before).map(|(number, has_funds)| (number, has_funds, false)).collect();
        let mut state = market(funds, &pieces);
        let most = funds.div_ceil(100);
        let mut asked = BTreeSet::new();
        loop {
            let new: Vec<u32> = numbers(&state)
                .iter()
                .map(|number| number.parse().expect("a number"))
                .filter(|number| !asked.contains(number))
                .collect();
            if new.is_empty() {
                break;
            }
            for number in new {
                asked.insert(number);
                prop_assert!((1..=most).contains(&usize::try_from(number).expect("small")));
                // `None`: the page failed, and its earlier state stays.
                if let Some(has_funds) = now[usize::try_from(number).expect("small") - 1] {
                    let id = state.cycle.id;
                    let pieces = state.pieces.entry((SourceName::Finnomena, "filter".to_owned())).or_default();
                    pieces.insert(number, PieceState { answered_cycle: Some(id), has_funds: Some(has_funds) });
                }
            }
        }
        if now[0].is_none() {
            prop_assert!(asked.iter().all(|number| *number == 1));
        }
        // If the site answers, every page that contains funds is requested.
        let held = now.iter().take(most).take_while(|now| **now == Some(true)).count();
        if now.iter().all(Option::is_some) && !asked.is_empty() {
            prop_assert!(asked.len() >= (held + 1).min(most), "{asked:?}");
        }
    }
}
