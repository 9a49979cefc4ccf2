//! D11: each mass change on its own. The cycle that first sees it ends with exit code 3 and stores none of its values
//! in the seven tables, but stores new days with credible dates. The first cycle after its end reaches the truth.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, date};
use simulator::{Absence, MarketEvent, MassChange, MassKind, PageKind, Row, Site, TABLES};

use super::living_market::{Kept, LivingMarket};
use crate::world::SevenTables;
use crate::world::extent::some_of;

const ACTIVE: usize = 90;
const SEED: u64 = 2;
const BEGINS: Date = date(2026, 8, 25);
/// The next day's cycle is daily, and there are new NAVs.
const BEFORE_A_DAILY_CYCLE: Date = date(2026, 8, 27);
/// The next day's cycle is the month's first, and there are new NAVs.
const BEFORE_A_MONTHLY_CYCLE: Date = date(2026, 8, 31);

/// The number of problems of one kind that a case prints.
const SHOWN: usize = 3;

const MASTER: &str = "funds_master_info";
const DAILY: &str = "funds_daily";
const STATISTICS: &str = "funds_statistics";
const FEES: &str = "funds_fee";
const HOLDINGS: &str = "funds_holding";
const ALLOCATIONS: &str = "funds_allocations";
const CODES: &str = "funds_codes";

#[derive(Clone, Copy)]
enum Hits {
    Daily,
    Monthly,
}

/// One mass change and the expected result of the cycle that first sees it, beside exit code 3 and tables without its
/// values.
struct Case {
    name: &'static str,
    change: MassChange,
    hits: Hits,
    /// Every new day is stored with its NAV.
    new_days: bool,
    /// Tables that equal the truth, because none of their values comes from the changed page or from a source that
    /// stops at answers of another shape.
    fresh: &'static [&'static str],
}

fn case(name: &'static str, site: Site, kind: MassKind, hits: Hits) -> Case {
    Case {
        name,
        change: MassChange::of(site, kind),
        hits,
        new_days: true,
        fresh: &[],
    }
}

impl Case {
    fn for_share(mut self, share: f64) -> Self {
        self.change = self.change.for_share(share);
        self
    }

    /// For a change of the page that has the new days.
    fn without_new_days(mut self) -> Self {
        self.new_days = false;
        self
    }

    fn fresh(mut self, tables: &'static [&'static str]) -> Self {
        self.fresh = tables;
        self
    }
}

fn absent(page: PageKind, how: Absence) -> MassKind {
    MassKind::Absent { page, how }
}

/// A market after some days, saved before a daily and before a monthly cycle.
struct Prepared {
    market: LivingMarket,
    before_daily: Kept,
    before_monthly: Kept,
}

async fn prepared() -> Prepared {
    let market = LivingMarket::new(ACTIVE, BEGINS, SEED).await;
    let mut before_daily = None;
    market.run_undisturbed(1).await;
    loop {
        let today = market.world.simulator.market().today();
        if today == BEFORE_A_DAILY_CYCLE {
            before_daily = Some(market.keep().await);
        }
        if today == BEFORE_A_MONTHLY_CYCLE {
            let before_monthly = market.keep().await;
            return Prepared {
                market,
                before_daily: before_daily.expect("an earlier day"),
                before_monthly,
            };
        }
        market.world.simulator.next_day();
        market.run_undisturbed(1).await;
    }
}

/// Runs every case from the same saved state and reports all violations.
/// Every third case; every case in a full run.
async fn assert_not_believed(cases: &[Case]) {
    let Prepared {
        mut market,
        before_daily,
        before_monthly,
    } = prepared().await;
    let mut report = String::new();
    for case in some_of(cases, 3) {
        let kept = match case.hits {
            Hits::Daily => &before_daily,
            Hits::Monthly => &before_monthly,
        };
        market.go_back_to(kept).await;
        let problems = problems_of(&market, case).await;
        if !problems.is_empty() {
            report.push_str(&format!("\n{}:\n", case.name));
            for problem in &problems {
                report.push_str(&format!("  {problem}\n"));
            }
        }
    }
    assert!(report.is_empty(), "what does not hold:\n{report}");
}

async fn problems_of(market: &LivingMarket, case: &Case) -> Vec<String> {
    let before = market.world.seven_tables().await;
    let day = market.world.simulator.next_day();
    let changes_who_there_is = |event: &MarketEvent| {
        matches!(
            event,
            MarketEvent::Launched { .. }
                | MarketEvent::Closed { .. }
                | MarketEvent::Renamed { .. }
                | MarketEvent::NameChanged { .. }
        )
    };
    assert!(
        day.funds_with_news > 0 && !day.events.iter().any(changes_who_there_is),
        "another seed is needed: {day:?}"
    );
    market.world.simulator.set_mass_change(case.change);
    let seen = market.cycle().await;
    let truth = market.truth();
    let found = market.world.seven_tables().await;
    let mut problems = Vec::new();
    if seen.run.code != Some(3) {
        problems.push(format!("expected exit code 3, found {:?}", seen.run.code));
    }
    for (table, columns) in TABLES {
        let problems_of_table =
            not_credible(table, columns, &before[table], &truth[table], &found[table]);
        problems.extend(problems_of_table.into_iter().take(SHOWN));
    }
    if case.new_days {
        let missing = missing_days(&truth[DAILY], &found[DAILY]);
        problems.extend(missing.into_iter().take(SHOWN));
    }
    for table in case.fresh {
        if found[table] != truth[table] {
            problems.push(format!("{table} is not what is true now"));
        }
    }
    market.world.simulator.clear_mass_changes();
    let after = market.cycle_of("monthly").await;
    if after.run.code != Some(0) {
        problems.push(format!(
            "after the change was over: expected exit code 0, found {:?}",
            after.run.code
        ));
    }
    let differences = market.world.differences_from_truth().await;
    if !differences.is_empty() {
        problems.push(format!("after the change was over: {differences}"));
    }
    problems
}

/// How many columns of a table identify a row, or a group of rows that is replaced together, and whether it is a group.
fn key_of(table: &str) -> (usize, bool) {
    match table {
        HOLDINGS | ALLOCATIONS => (3, true),
        DAILY | CODES => (2, false),
        _ => (1, false),
    }
}

fn by_key(rows: &[Row], key: usize) -> BTreeMap<&[Option<String>], Vec<&Row>> {
    let mut grouped: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        grouped.entry(&row[..key]).or_default().push(row);
    }
    grouped
}

/// Cells that equal neither the earlier value nor the truth, and rows that are missing. The source of a day's NAV may
/// differ: another source may report what one source omits.
fn not_credible(
    table: &str,
    columns: &[&str],
    before: &[Row],
    truth: &[Row],
    found: &[Row],
) -> Vec<String> {
    let (key, whole) = key_of(table);
    let [before, truth, found] = [before, truth, found].map(|rows| by_key(rows, key));
    let mut problems = Vec::new();
    for (name, rows) in &found {
        let known = [before.get(name), truth.get(name)];
        if known.iter().all(Option::is_none) {
            problems.push(format!("{table} has a row of {name:?}"));
        } else if whole {
            if !known.contains(&Some(rows)) {
                problems.push(format!("{table} has other rows of {name:?}"));
            }
        } else {
            for (at, cell) in rows[0].iter().enumerate() {
                let new_and_not_said = cell.is_none() && known[0].is_none();
                let credible = known.iter().flatten().any(|known| &known[0][at] == cell);
                let names_who_said_it = matches!(
                    columns[at],
                    "source" | "source_url" | "sec_url" | "factsheet_url"
                );
                if !names_who_said_it && !credible && !new_and_not_said {
                    problems.push(format!(
                        "{table}.{} of {name:?} is {cell:?}, it was {:?} and is truly {:?}",
                        columns[at],
                        known[0].map(|rows| &rows[0][at]),
                        known[1].map(|rows| &rows[0][at]),
                    ));
                }
            }
        }
    }
    let gone = before.keys().filter(|name| !found.contains_key(*name));
    problems.extend(gone.map(|name| format!("{table} has lost {name:?}")));
    problems
}

/// True days that are missing in the table or have no NAV there.
fn missing_days(truth: &[Row], found: &[Row]) -> Vec<String> {
    let days: BTreeSet<&[Option<String>]> = found
        .iter()
        .filter(|row| row[2].is_some())
        .map(|row| &row[..2])
        .collect();
    truth
        .iter()
        .filter(|row| row[2].is_some() && !days.contains(&row[..2]))
        .map(|row| format!("{DAILY} lacks the day {:?}", &row[..2]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_list_changes_at_one_stroke_is_not_believed() {
    let finnomena = |name, kind| case(name, Site::Finnomena, kind, Hits::Daily);
    assert_not_believed(&[
        finnomena("all but a few listed as inactive", MassKind::Inactive)
            .for_share(0.97)
            .fresh(&[MASTER]),
        finnomena("a third listed as inactive", MassKind::Inactive)
            .for_share(0.34)
            .fresh(&[MASTER]),
        finnomena("half of the codes are others", MassKind::CodesChanged)
            .for_share(0.5)
            .fresh(&[MASTER]),
        finnomena("half of the names are others", MassKind::NamesChanged).for_share(0.5),
        // D7: a source without its list stops for the round.
        finnomena("an empty list", absent(PageKind::List, Absence::EmptyData)).without_new_days(),
        finnomena("no list", absent(PageKind::List, Absence::NotFound)).without_new_days(),
        case(
            "an empty list of WealthMagik",
            Site::WealthMagik,
            absent(PageKind::List, Absence::EmptyData),
            Hits::Daily,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nav_histories_change_at_one_stroke_is_not_believed() {
    let nav = |name, kind, hits| case(name, Site::Finnomena, kind, hits);
    let swapped = |with_own_id| MassKind::AnswersSwapped {
        page: PageKind::Nav,
        with_own_id,
    };
    let rewritten = MassKind::SettledNavsRewritten {
        older_than_days: 10,
    };
    let mut cases = vec![
        nav("a quarter rewritten, daily", rewritten, Hits::Daily).for_share(0.26),
        nav("a quarter rewritten, monthly", rewritten, Hits::Monthly).for_share(0.26),
        nav("all rewritten", rewritten, Hits::Monthly),
        nav("every AUM is 0", MassKind::AumZero, Hits::Daily),
        nav(
            "a month for a history",
            MassKind::HistoryShort,
            Hits::Monthly,
        )
        .fresh(&[STATISTICS, FEES, HOLDINGS, ALLOCATIONS]),
        nav("other funds' histories", swapped(false), Hits::Daily).without_new_days(),
        nav(
            "other funds' histories, monthly",
            swapped(false),
            Hits::Monthly,
        )
        .without_new_days(),
        nav(
            "other funds' histories under the own id",
            swapped(true),
            Hits::Daily,
        )
        .without_new_days(),
    ];
    for (name, how) in [
        ("histories are 404", Absence::NotFound),
        ("histories are 204", Absence::NoContent),
        ("histories are []", Absence::EmptyArray),
        ("histories are {\"data\":[]}", Absence::EmptyData),
        ("histories are navs: []", Absence::EmptyFrame),
    ] {
        cases.push(nav(name, absent(PageKind::Nav, how), Hits::Daily).without_new_days());
    }
    assert_not_believed(&cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finnomenas_monthly_pages_change_at_one_stroke_is_not_believed() {
    let page = |name, kind| case(name, Site::Finnomena, kind, Hits::Monthly);
    assert_not_believed(&[
        page(
            "fund pages are 404",
            absent(PageKind::Fund, Absence::NotFound),
        )
        .fresh(&[STATISTICS, HOLDINGS, ALLOCATIONS]),
        page(
            "fund pages are {\"data\":[]}",
            absent(PageKind::Fund, Absence::EmptyData),
        )
        .fresh(&[STATISTICS]),
        page("fees are 404", absent(PageKind::Fee, Absence::NotFound)).fresh(&[
            STATISTICS,
            HOLDINGS,
            ALLOCATIONS,
        ]),
        page("fees: []", absent(PageKind::Fee, Absence::EmptyFrame)).fresh(&[
            STATISTICS,
            HOLDINGS,
            ALLOCATIONS,
        ]),
        page("fees are 0", MassKind::FeesZero)
            .for_share(0.8)
            .fresh(&[STATISTICS, HOLDINGS, ALLOCATIONS]),
        page(
            "portfolios are 404",
            absent(PageKind::Portfolio, Absence::NotFound),
        )
        .fresh(&[STATISTICS, FEES]),
        page(
            "portfolios are 204",
            absent(PageKind::Portfolio, Absence::NoContent),
        )
        .fresh(&[STATISTICS]),
        page(
            "portfolios without elements",
            absent(PageKind::Portfolio, Absence::EmptyFrame),
        )
        .fresh(&[STATISTICS, FEES]),
        page("portfolios of 0 %", MassKind::PortfoliosZero).fresh(&[STATISTICS, FEES]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_sources_change_at_one_stroke_is_not_believed() {
    let page = |name, kind, hits| case(name, Site::WealthMagik, kind, hits);
    let sec = |name, kind| {
        case(name, Site::SecApi, kind, Hits::Monthly).fresh(&[FEES, HOLDINGS, ALLOCATIONS, CODES])
    };
    let mut cases = vec![
        page(
            "profiles are 404",
            absent(PageKind::Profile, Absence::NotFound),
            Hits::Daily,
        ),
        page(
            "profiles without values",
            absent(PageKind::Profile, Absence::EmptyFrame),
            Hits::Daily,
        ),
        page(
            "holdings are 404",
            absent(PageKind::Port, Absence::NotFound),
            Hits::Monthly,
        )
        .fresh(&[STATISTICS, FEES]),
        page(
            "holdings are empty",
            absent(PageKind::Port, Absence::EmptyFrame),
            Hits::Monthly,
        )
        .fresh(&[STATISTICS, FEES]),
        page(
            "allocations are empty",
            absent(PageKind::Allocation, Absence::EmptyFrame),
            Hits::Monthly,
        )
        .fresh(&[STATISTICS, FEES]),
        page("portfolios of 0 %", MassKind::PortfoliosZero, Hits::Monthly)
            .fresh(&[STATISTICS, FEES]),
        page(
            "fees are 404",
            absent(PageKind::Fee, Absence::NotFound),
            Hits::Monthly,
        )
        .fresh(&[STATISTICS, HOLDINGS, ALLOCATIONS]),
        page("fees are 0", MassKind::FeesZero, Hits::Monthly).fresh(&[
            STATISTICS,
            HOLDINGS,
            ALLOCATIONS,
        ]),
        sec("statistics are 0", MassKind::StatisticsZero),
        case(
            "factsheets are 404",
            Site::Documents,
            absent(PageKind::Factsheet, Absence::NotFound),
            Hits::Monthly,
        )
        .fresh(&[STATISTICS, FEES, HOLDINGS, ALLOCATIONS]),
    ];
    for (name, how) in [
        ("statistics are 404", Absence::NotFound),
        ("statistics are 204", Absence::NoContent),
        ("statistics are []", Absence::EmptyArray),
        ("statistics are {\"data\":[]}", Absence::EmptyData),
    ] {
        cases.push(sec(name, absent(PageKind::Statistics, how)));
    }
    assert_not_believed(&cases).await;
}

/// A list that loses 9 % a night stays within the limit for one night. It is compared with the largest list of the last
/// 30 days.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_shrinks_a_little_every_night_makes_no_fund_inactive() {
    for site in [Site::Finnomena, Site::WealthMagik] {
        let Prepared { market, .. } = prepared().await;
        let shrinking = MassKind::ListShrinks { each_night: 0.09 };
        market.world.simulator.next_day();
        market
            .world
            .simulator
            .set_mass_change(MassChange::of(site, shrinking));
        let mut exits = Vec::new();
        for _ in 0..10 {
            exits.push(market.cycle().await.run.code);
            market.world.simulator.next_day();
        }
        assert!(
            exits[1..].iter().all(|code| *code == Some(3)),
            "exit codes of the ten nights, {site:?}: {exits:?}"
        );
        let codes = market.world.simulator.market().codes().len();
        let inactive: i64 = market
            .world
            .one("SELECT count(*) FROM funds_master_info WHERE fund_status = 'inactive'")
            .await;
        let truly = market.truth()[MASTER]
            .iter()
            .filter(|row| row[10].as_deref() == Some("inactive"))
            .count();
        assert!(
            inactive <= truly as i64,
            "{inactive} of {codes} funds are inactive, {truly} truly, {site:?}"
        );
    }
}

/// Lists stay frozen for ten business days: each day is noticed, and every new day is stored.
#[tokio::test(flavor = "multi_thread")]
async fn unchanged_lists_for_two_weeks_hold_no_new_day_back() {
    let Prepared {
        mut market,
        before_daily,
        ..
    } = prepared().await;
    market.go_back_to(&before_daily).await;
    market
        .world
        .simulator
        .set_mass_change(MassChange::of(Site::Finnomena, MassKind::ListsFrozen));
    let known: Vec<String> = market
        .world
        .simulator
        .market()
        .codes()
        .iter()
        .map(|code| format!("{code:?}"))
        .collect();
    for _ in 0..14 {
        let (day, seen) = market.next_cycle().await;
        let lacking = missing_days(&market.truth()[DAILY], &tables(&market).await[DAILY]);
        // A fund that was launched since is in no list.
        let of_known: Vec<&String> = lacking
            .iter()
            .filter(|lacking| known.iter().any(|code| lacking.contains(code)))
            .collect();
        assert!(of_known.is_empty(), "{}: {of_known:?}", day.date);
        // A monthly cycle requests every fund by itself and no page about many funds.
        if day.funds_with_news > 0 && seen.run.output.contains("kind=daily") {
            seen.run.exits(3);
        }
    }
}

async fn tables(market: &LivingMarket) -> SevenTables {
    market.world.seven_tables().await
}

/// In a first load there are no earlier days to compare with. Pages that report nothing, zero or the same for every
/// fund are not believed either.
#[tokio::test(flavor = "multi_thread")]
async fn one_answer_for_every_fund_is_not_believed_in_a_first_load() {
    let nav = |how| absent(PageKind::Nav, how);
    for (name, site, kind) in [
        ("histories are 404", Site::Finnomena, nav(Absence::NotFound)),
        (
            "histories are navs: []",
            Site::Finnomena,
            nav(Absence::EmptyFrame),
        ),
        (
            "histories are {\"data\":[]}",
            Site::Finnomena,
            nav(Absence::EmptyData),
        ),
        (
            "one history for all",
            Site::Finnomena,
            MassKind::OneAnswer {
                page: PageKind::Nav,
            },
        ),
        ("every AUM is 0", Site::Finnomena, MassKind::AumZero),
        ("statistics are 0", Site::SecApi, MassKind::StatisticsZero),
        ("fees are 0", Site::Finnomena, MassKind::FeesZero),
    ] {
        let market = LivingMarket::new(40, BEGINS, SEED).await;
        market
            .world
            .simulator
            .set_mass_change(MassChange::of(site, kind));
        let seen = market.cycle().await;
        let (truth, found) = (market.truth(), tables(&market).await);
        let mut problems = Vec::new();
        for (table, columns) in TABLES {
            problems.extend(not_credible(
                table,
                columns,
                &[],
                &truth[table],
                &found[table],
            ));
        }
        problems.truncate(8);
        assert!(
            problems.is_empty(),
            "{name}: {problems:#?}; breaches {:?}; the run printed:\n{}",
            seen.breaches,
            seen.run.output
        );
        assert_eq!(seen.run.code, Some(3), "{name}: {}", seen.run.output);
        market.world.simulator.clear_mass_changes();
        market.world.simulator.next_day();
        let after = market.cycle().await;
        assert_eq!(after.run.code, Some(0), "{name}: {}", after.run.output);
        market.world.assert_truth().await;
    }
}
