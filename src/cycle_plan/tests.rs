mod parts;
mod projects;

use std::num::NonZeroUsize;

use jiff::civil::{Date, date};
use schema::observation::NavDigest;
use sources::page::Extent;
use store::{Answered, Cycle, ListState, ListingState, NewestNav, Scope, list_key};

use super::*;

pub(super) const fn page(
    name: &'static str,
    stage: Stage,
    cadence: Cadence,
    extents: &'static [Extent],
) -> PageSpec {
    PageSpec {
        name,
        stage,
        critical: false,
        tells_factsheets: false,
        cadence,
        tasks_per_request: NonZeroUsize::MIN,
        parser_version: 1,
        extents,
        has_daily_values: false,
        chain: None,
    }
}

const RANGES: &[Extent] = &[
    Extent {
        word: "1M",
        days: Some(28),
    },
    Extent {
        word: "1Y",
        days: Some(360),
    },
    Extent {
        word: "MAX",
        days: None,
    },
];
const FINNOMENA: &[PageSpec] = &[
    page("list", Stage::Lists, Cadence::EveryCycle, &[]),
    page("filter", Stage::News, Cadence::Daily, &[]),
    page("nav", Stage::Funds, Cadence::MonthlyOrNews, RANGES),
    page("fund", Stage::Funds, Cadence::MonthlyOrListingChanged, &[]),
    page(
        "factsheet",
        Stage::Factsheets,
        Cadence::MonthlyOrLinkChanged,
        &[],
    ),
];
const SEC: &[PageSpec] = &[page("statistics", Stage::Funds, Cadence::MonthlyOrNew, &[])];

pub(super) fn pages() -> SitePages {
    BTreeMap::from([
        (SourceName::Finnomena, FINNOMENA),
        (SourceName::SecFundcheck, SEC),
    ])
}

/// A NAV of this day with its AUM.
pub(super) fn newest(nav_date: Date) -> NewestNav {
    NewestNav {
        nav_date,
        nav: 10.into(),
        has_aum: true,
    }
}

pub(super) fn fund(code: &str) -> FundState {
    FundState {
        fund_code: FundCode::parse(code).expect("a code"),
        active: true,
        newest_nav: None,
        is_covered: false,
        may_pay_dividends: true,
        news: None,
        listings: BTreeMap::from([(
            SourceName::Finnomena,
            ListingState {
                source_key: format!("F-{code}"),
                changed_cycle: 1,
            },
        )]),
        factsheets: BTreeMap::new(),
        answered: BTreeMap::new(),
        project: None,
    }
}

pub(super) fn state(kind: CycleKind, funds: Vec<FundState>) -> PlanningState {
    PlanningState {
        cycle: Cycle {
            id: 1,
            cycle_date: date(2026, 10, 15),
            kind,
            scope: Scope::Full,
            round: 1,
            resumed: false,
        },
        register_answered: false,
        has_new_funds: false,
        previous_date: Some(date(2026, 10, 14)),
        last_monthly: Some(date(2026, 10, 1)),
        listed: BTreeMap::from([(SourceName::Finnomena, funds.len())]),
        pieces: BTreeMap::new(),
        control: BTreeSet::new(),
        news_doubted: false,
        funds,
        last_part: true,
        lists: BTreeMap::from([(
            list_key(SourceName::Finnomena, "list"),
            ListState {
                answered_in_this_cycle: true,
                ended_in_this_cycle: true,
                ever_answered: true,
                failed_last: false,
            },
        )]),
    }
}

/// Plans as the store does: first with no funds, then with the funds in parts of `funds_a_part`. Returns the tasks, and
/// the number of funds the planner received.
pub(super) fn plan_in_parts(
    state: &PlanningState,
    funds_a_part: usize,
    mut planner: StagePlanner,
) -> (Vec<NewTask>, usize) {
    let mut part = PlanningState {
        funds: Vec::new(),
        last_part: false,
        ..state.clone()
    };
    let (mut tasks, mut told) = (Vec::new(), 0);
    loop {
        match planner.part(&part) {
            ControlFlow::Break(new) => {
                tasks.extend(new);
                break;
            }
            ControlFlow::Continue(new) => tasks.extend(new),
        }
        if part.last_part {
            break;
        }
        let next = state.funds.iter().skip(told).take(funds_a_part);
        part.funds = next.cloned().collect();
        part.last_part = part.funds.len() < funds_a_part;
        told += part.funds.len();
    }
    (tasks, told)
}

/// Plans a stage of all sources in one part.
pub(super) fn plan_stage(
    state: &PlanningState,
    narrowing: &Narrowing,
    stage: Stage,
    final_round: bool,
) -> Vec<NewTask> {
    let planner = StagePlanner::new(pages(), narrowing.clone(), stage, None, final_round);
    plan_in_parts(state, usize::MAX, planner).0
}

pub(super) fn planned(state: &PlanningState, stage: Stage) -> Vec<String> {
    plan_stage(state, &Narrowing::default(), stage, false)
        .into_iter()
        .map(|task| {
            format!(
                "{}:{}:{}",
                task.id,
                task.locator.unwrap_or_default(),
                task.extent.unwrap_or_default()
            )
        })
        .collect()
}

pub(super) fn answered_everything(fund: &mut FundState) {
    for (source, page, extent) in [
        (SourceName::Finnomena, "nav", Some("MAX")),
        (SourceName::Finnomena, "fund", None),
        (SourceName::SecFundcheck, "statistics", None),
    ] {
        fund.answered.insert(
            (source, page.to_owned()),
            Answered {
                last_answered: Some(date(2026, 10, 14)),
                answered_cycle: Some(2),
                failed_last: false,
                locator: None,
                is_absent: false,
                extents: extent
                    .map(|extent| (extent.to_owned(), date(2026, 10, 1)))
                    .into_iter()
                    .collect(),
            },
        );
    }
}

#[test]
fn a_new_fund_gets_everything_on_any_day() {
    assert_eq!(
        planned(&state(CycleKind::Daily, vec![fund("A")]), Stage::Funds),
        [
            "finnomena/nav/A:F-A:MAX",
            "finnomena/fund/A:F-A:",
            "sec_fundcheck/statistics/A::"
        ]
    );
}

#[test]
fn a_known_fund_gets_a_short_range_that_reaches_back_far_enough() {
    for (last, extent) in [
        (date(2026, 10, 14), "1M"),
        (date(2026, 9, 24), "1M"),
        (date(2026, 9, 23), "1Y"),
        (date(2020, 1, 1), "MAX"),
        (date(2026, 10, 20), "1M"),
    ] {
        let mut known = fund("A");
        answered_everything(&mut known);
        known.newest_nav = Some(newest(last));
        assert_eq!(
            planned(&state(CycleKind::Daily, vec![known.clone()]), Stage::Funds),
            [format!("finnomena/nav/A:F-A:{extent}")],
            "last NAV {last}"
        );
        assert_eq!(
            planned(&state(CycleKind::Monthly, vec![known]), Stage::Funds)[0],
            "finnomena/nav/A:F-A:MAX"
        );
    }
}

#[test]
fn a_task_that_failed_in_the_last_cycle_is_requested_again_on_any_day() {
    let mut failed = fund("A");
    answered_everything(&mut failed);
    failed.newest_nav = Some(newest(date(2026, 10, 14)));
    if let Some(answered) = failed
        .answered
        .get_mut(&(SourceName::SecFundcheck, "statistics".to_owned()))
    {
        answered.failed_last = true;
    }
    assert_eq!(
        planned(&state(CycleKind::Daily, vec![failed]), Stage::Funds),
        ["finnomena/nav/A:F-A:1M", "sec_fundcheck/statistics/A::"]
    );
}

#[test]
fn a_changed_list_entry_asks_for_the_fund_page_again() {
    let mut changed = fund("A");
    answered_everything(&mut changed);
    changed.newest_nav = Some(newest(date(2026, 10, 14)));
    if let Some(listing) = changed.listings.get_mut(&SourceName::Finnomena) {
        listing.changed_cycle = 3;
    }
    assert_eq!(
        planned(&state(CycleKind::Daily, vec![changed]), Stage::Funds).len(),
        2
    );
}

#[test]
fn an_inactive_fund_and_a_source_without_its_list_are_not_requested() {
    let mut inactive = fund("A");
    inactive.active = false;
    assert!(planned(&state(CycleKind::Monthly, vec![inactive]), Stage::Funds).is_empty());
    let mut no_list = state(CycleKind::Daily, vec![fund("A")]);
    no_list.lists.clear();
    assert_eq!(
        planned(&no_list, Stage::Funds),
        ["sec_fundcheck/statistics/A::"]
    );
    assert_eq!(
        plan_stage(&no_list, &Narrowing::default(), Stage::Funds, true).len(),
        3
    );
}

#[test]
fn a_factsheet_is_read_when_its_url_is_new_and_monthly() {
    let mut linked = fund("A");
    linked
        .factsheets
        .insert(SourceName::Finnomena, "http://d/1.pdf".to_owned());
    assert_eq!(
        planned(
            &state(CycleKind::Daily, vec![linked.clone()]),
            Stage::Factsheets
        ),
        ["finnomena/factsheet/A:http://d/1.pdf:"]
    );
    linked.answered.insert(
        (SourceName::Finnomena, "factsheet".to_owned()),
        Answered {
            last_answered: Some(date(2026, 10, 1)),
            answered_cycle: Some(2),
            failed_last: false,
            locator: Some("http://d/1.pdf".to_owned()),
            is_absent: false,
            extents: BTreeMap::new(),
        },
    );
    assert!(
        planned(
            &state(CycleKind::Daily, vec![linked.clone()]),
            Stage::Factsheets
        )
        .is_empty()
    );
    assert_eq!(
        planned(&state(CycleKind::Monthly, vec![linked]), Stage::Factsheets).len(),
        1
    );
}

/// One factsheet of a fund is requested: at the link of the first source. Where none was there the last time, the link
/// of the next source is requested as well.
#[test]
fn the_next_link_is_requested_where_the_first_one_has_no_factsheet() {
    const SHEETS: [PageSpec; 1] = [page(
        "factsheet",
        Stage::Factsheets,
        Cadence::MonthlyOrLinkChanged,
        &[],
    )];
    let pages = SitePages::from([
        (SourceName::Finnomena, &SHEETS[..]),
        (SourceName::SecOpenApi, &SHEETS[..]),
    ]);
    let planned = |kind, fund: &FundState| -> Vec<String> {
        let state = state(kind, Vec::new());
        let tasks = plan_factsheet(&state, &pages, &Narrowing::default(), fund);
        let links = tasks.into_iter().filter_map(|task| task.locator);
        links.collect()
    };
    let (first, second) = ("http://d/1.pdf", "http://d/2.pdf");
    let mut fund = fund("A");
    fund.factsheets
        .insert(SourceName::SecOpenApi, second.to_owned());
    assert_eq!(planned(CycleKind::Daily, &fund), [second]);
    fund.factsheets
        .insert(SourceName::Finnomena, first.to_owned());
    assert_eq!(planned(CycleKind::Daily, &fund), [first]);
    let answered = |is_absent| Answered {
        last_answered: Some(date(2026, 10, 1)),
        answered_cycle: Some(2),
        failed_last: false,
        locator: Some("http://d/1.pdf".to_owned()),
        is_absent,
        extents: BTreeMap::new(),
    };
    let page = (SourceName::Finnomena, "factsheet".to_owned());
    fund.answered.insert(page.clone(), answered(false));
    assert_eq!(planned(CycleKind::Daily, &fund), [""; 0]);
    assert_eq!(planned(CycleKind::Monthly, &fund), [first]);
    fund.answered.insert(page, answered(true));
    assert_eq!(planned(CycleKind::Daily, &fund), [second]);
    assert_eq!(planned(CycleKind::Monthly, &fund), [first, second]);
}

#[test]
fn a_code_without_an_active_fund_is_reported() {
    let code = |text| FundCode::parse(text).expect("a code");
    let narrowing = |funds| Narrowing {
        funds,
        ..Narrowing::default()
    };
    let wanted = BTreeSet::from([code("A"), code("B"), code("a")]);
    let active = BTreeSet::from([code("A"), code("C")]);
    assert_eq!(
        funds_not_in_market(&active, &narrowing(Some(wanted))),
        BTreeSet::from([code("B"), code("a")])
    );
    assert!(funds_not_in_market(&active, &narrowing(None)).is_empty());
}

#[test]
fn a_narrowed_run_requests_only_its_selection() {
    let state = state(CycleKind::Monthly, vec![fund("A"), fund("B"), fund("C")]);
    let count = |narrowing: Narrowing| plan_stage(&state, &narrowing, Stage::Funds, false).len();
    assert_eq!(count(Narrowing::default()), 9);
    assert_eq!(
        count(Narrowing {
            limit: Some(2),
            ..Narrowing::default()
        }),
        6
    );
    let only = Some(BTreeSet::from([SourceName::SecFundcheck]));
    assert_eq!(
        count(Narrowing {
            only,
            ..Narrowing::default()
        }),
        3
    );
    let funds = Some(BTreeSet::from([FundCode::parse("B").expect("a code")]));
    assert_eq!(
        count(Narrowing {
            funds,
            ..Narrowing::default()
        }),
        3
    );
}

#[test]
fn only_a_plan_of_pages_that_news_may_save_uses_the_control_sample() {
    use SourceName::{Finnomena, SecFundcheck};
    for (stage, of, expected) in [
        (Stage::Lists, None, false),
        (Stage::News, Some(Finnomena), false),
        (Stage::Funds, None, true),
        (Stage::Funds, Some(Finnomena), true),
        (Stage::Funds, Some(SecFundcheck), false),
        (Stage::Factsheets, Some(Finnomena), false),
    ] {
        let planner = StagePlanner::new(pages(), Narrowing::default(), stage, of, false);
        assert_eq!(planner.uses_control(), expected, "{stage:?} of {of:?}");
    }
    let narrowing = Narrowing {
        only: Some(BTreeSet::from([SecFundcheck])),
        ..Narrowing::default()
    };
    assert!(!StagePlanner::new(pages(), narrowing, Stage::Funds, None, false).uses_control());
}

/// A known fund that the register covers, with this newest NAV and the news of another day.
fn covered(newest_day: Date, news_day: Date) -> FundState {
    let mut fund = fund("A");
    answered_everything(&mut fund);
    fund.newest_nav = Some(newest(newest_day));
    fund.is_covered = true;
    fund.news = Some(NavDigest {
        source_key: "F-A".to_owned(),
        nav_date: news_day,
        nav: 10.into(),
    });
    fund
}

#[test]
fn a_covered_fund_needs_its_own_page_only_for_a_day_that_the_register_should_have() {
    let (newest_day, far) = (date(2026, 10, 6), date(2026, 10, 14));
    let count = |fund: FundState, kind, register_answered| {
        let state = PlanningState {
            register_answered,
            ..state(kind, vec![fund])
        };
        planned(&state, Stage::Funds).len()
    };
    let daily = CycleKind::Daily;
    assert_eq!(
        count(covered(newest_day, date(2026, 10, 13)), daily, true),
        0
    );
    assert_eq!(count(covered(newest_day, far), daily, true), 1);
    assert_eq!(
        count(covered(newest_day, date(2026, 10, 13)), daily, false),
        1,
        "the register did not answer"
    );
    let without_news = FundState {
        news: None,
        ..covered(newest_day, far)
    };
    assert_eq!(count(without_news, daily, true), 0);
    let never_asked = FundState {
        answered: BTreeMap::new(),
        ..covered(newest_day, newest_day)
    };
    assert_eq!(count(never_asked, daily, true), 3);
    assert_eq!(
        count(covered(newest_day, newest_day), CycleKind::Monthly, true),
        3
    );
}

#[test]
fn a_list_of_the_market_without_days_is_planned_as_its_cadence_says() {
    const MONTHLY: PageSpec = PageSpec {
        chain: Some(sources::page::ChainSpec {
            max_pages: 10,
            window: None,
            quarters: Some(sources::page::QuarterWindow {
                published_after_days: 60,
            }),
        }),
        ..page("portfolio", Stage::Market, Cadence::MonthlyOrNew, &[])
    };
    let pages = SitePages::from([(SourceName::SecOpenApi, &[MONTHLY][..])]);
    let extents = |kind, known: Option<(bool, bool)>| -> Vec<Option<String>> {
        let mut state = state(kind, Vec::new());
        if let Some((ever_answered, failed_last)) = known {
            let list = ListState {
                answered_in_this_cycle: false,
                ended_in_this_cycle: false,
                ever_answered,
                failed_last,
            };
            let key = list_key(SourceName::SecOpenApi, MONTHLY.name);
            state.lists.insert(key, list);
        }
        let planner = StagePlanner::new(
            pages.clone(),
            Narrowing::default(),
            Stage::Market,
            None,
            false,
        );
        let (tasks, _) = plan_in_parts(&state, usize::MAX, planner);
        assert!(tasks.iter().all(|task| task.id.key == "*"));
        tasks.into_iter().map(|task| task.extent).collect()
    };
    let planned = [Some("202606-202609".to_owned())];
    let (daily, monthly) = (CycleKind::Daily, CycleKind::Monthly);
    assert_eq!(extents(monthly, Some((true, false))), planned);
    assert_eq!(extents(daily, Some((true, false))), []);
    assert_eq!(extents(daily, None), planned, "never planned");
    assert_eq!(
        extents(daily, Some((false, false))),
        planned,
        "never answered"
    );
    assert_eq!(extents(daily, Some((true, true))), planned, "failed last");
}

#[test]
fn the_days_of_the_market_are_planned_once_a_week_in_a_wide_window() {
    const DAILY: PageSpec = PageSpec {
        chain: Some(sources::page::ChainSpec {
            max_pages: 10,
            window: Some(sources::page::DayWindow {
                nightly: 2,
                weekly: 4,
            }),
            quarters: None,
        }),
        ..page("daily", Stage::Market, Cadence::EveryCycle, &[])
    };
    let pages = SitePages::from([(SourceName::SecOpenApi, &[DAILY][..])]);
    let keys = |previous: Option<Date>| -> Vec<String> {
        let state = PlanningState {
            previous_date: previous,
            ..state(CycleKind::Daily, Vec::new())
        };
        let planner = StagePlanner::new(
            pages.clone(),
            Narrowing::default(),
            Stage::Market,
            None,
            false,
        );
        let (tasks, _) = plan_in_parts(&state, usize::MAX, planner);
        tasks.into_iter().map(|task| task.id.key).collect()
    };
    assert_eq!(
        keys(Some(date(2026, 10, 14))),
        ["*2026-10-15", "*2026-10-14", "*2026-10-13"]
    );
    assert_eq!(keys(None).len(), 5);
}

#[test]
fn pages_of_dividends_are_requested_once_and_then_monthly_of_funds_that_may_pay() {
    const PAGES: &[PageSpec] = &[page(
        "dividend",
        Stage::Funds,
        Cadence::MonthlyForPayersOrNew,
        &[],
    )];
    let answered = Answered {
        last_answered: Some(date(2026, 9, 15)),
        ..Answered::default()
    };
    let known = |may_pay_dividends| FundState {
        may_pay_dividends,
        answered: BTreeMap::from([(
            (SourceName::Finnomena, "dividend".to_owned()),
            answered.clone(),
        )]),
        ..fund("A")
    };
    let new = FundState {
        may_pay_dividends: false,
        ..fund("A")
    };
    for (kind, fund, is_due) in [
        (CycleKind::Monthly, known(true), true),
        (CycleKind::Monthly, known(false), false),
        (CycleKind::Daily, known(true), false),
        (CycleKind::Daily, new.clone(), true),
        (CycleKind::Monthly, new, true),
    ] {
        let state = state(kind, Vec::new());
        let planned = due::plan_page(&state, SourceName::Finnomena, PAGES, &PAGES[0], &fund);
        assert_eq!(planned.is_some(), is_due, "{kind:?} {fund:?}");
    }
}
