//! Classes that the register publishes late: their NAVs are in the table after the first cycle that can know them.

use std::collections::{BTreeMap, BTreeSet};

use simulator::{MarketConfig, Site, Source};

use crate::world::extent::is_full;
use crate::world::{Run, World};

/// The number of ordinary days of the test: two ends of a month lie in it.
const DAYS: usize = 52;
/// The number of requests for single projects on a day with one late and one monthly project.
const MOST_A_DAY: usize = 2;

/// A living market, and a monthly publisher, a late and a punctual one of three projects.
struct LateMarket {
    world: World,
    punctual: String,
    late: String,
    monthly: String,
}

impl LateMarket {
    async fn create() -> Self {
        let world = World::with_register(MarketConfig {
            funds: 12,
            days: 130,
            today: jiff::civil::date(2026, 8, 24),
            edge_cases: false,
            ..MarketConfig::default()
        })
        .await;
        let active = {
            let market = world.simulator.market();
            let codes = market.codes().into_iter().map(str::to_owned);
            codes.collect::<Vec<_>>()
        };
        let mut projects = BTreeSet::new();
        let mut chosen = Vec::new();
        for code in active {
            // All others are punctual.
            if world.simulator.set_publication(&code, 1, false).is_ok()
                && projects.insert(code.split('(').next().unwrap_or_default().to_owned())
            {
                chosen.push(code);
            }
        }
        let [punctual, late, monthly] = [0, 1, 2].map(|at| chosen[at].clone());
        for (code, lag, is_monthly) in [(&late, 7, false), (&monthly, 14, true)] {
            world
                .simulator
                .set_publication(code, lag, is_monthly)
                .expect("the register has it");
        }
        Self {
            world,
            punctual,
            late,
            monthly,
        }
    }

    /// The NAVs that the register reports today of a class, by day.
    fn reported(&self, code: &str) -> BTreeMap<String, String> {
        let report = self.world.simulator.reported_by(Source::SecOpenApi);
        let rows = report.rows("funds_daily", code).into_iter().flatten();
        rows.filter_map(|(day, row)| Some((day.clone(), row.get("nav_value")?.clone())))
            .collect()
    }

    /// The NAVs of a class in the table that the register has reported.
    async fn stored(&self, code: &str) -> BTreeMap<String, String> {
        let rows = self
            .world
            .ask(&format!(
                "SELECT nav_date::text, trim_scale(nav_value)::text FROM funds_daily
                 WHERE fund_code = '{code}' AND nav_said_by & 16 <> 0"
            ))
            .await;
        rows.into_iter()
            .filter_map(|row| Some((row[0].clone()?, row[1].clone()?)))
            .collect()
    }

    async fn run(&self, kind: &str) -> Run {
        let date = self.world.simulator.market().today().to_string();
        let run = self
            .world
            .run(&["--once", "--cycle", kind, "--date", &date])
            .await;
        run.exits(0);
        run
    }

    /// The projects that were requested by themselves after the first `skip` requests.
    fn projects_since(&self, skip: usize) -> Vec<String> {
        let paths = self.world.asked_since(skip, Site::SecOpenApi);
        let projects = paths.iter().filter_map(|path| {
            let (_, query) = path.split_once("proj_id=")?;
            Some(query.split('&').next().unwrap_or_default().to_owned())
        });
        projects.collect()
    }

    async fn project(&self, code: &str) -> String {
        self.world
            .one(&format!(
                "SELECT split_part(source_key, '/', 1) FROM runner.alias JOIN runner.fund USING (fund_id)
                 WHERE source = 'sec_open_api' AND fund_code = '{code}'"
            ))
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_and_monthly_publishers_have_their_nav_on_the_day_of_publication() {
    let market = LateMarket::create().await;
    market.run("monthly").await;
    let classes = [&market.punctual, &market.late, &market.monthly];
    // What was published before the first day is Finnomena's, as far as the lists do not show it.
    let mut old: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
    for code in classes {
        let stored = market.stored(code).await;
        let missing = market.reported(code).into_keys();
        old.insert(
            code,
            missing.filter(|day| !stored.contains_key(day)).collect(),
        );
    }
    let projects = [
        market.project(&market.late).await,
        market.project(&market.monthly).await,
    ];
    let mut requests = BTreeMap::new();
    for day in 1..=DAYS {
        market.world.simulator.advance_days(1);
        let skip = market.world.simulator.log().requests.len();
        market.run("daily").await;
        let today = market.world.simulator.market().today();
        for code in classes {
            let stored = market.stored(code).await;
            for (nav_date, nav) in market.reported(code) {
                if !old[code].contains(&nav_date) {
                    assert_eq!(
                        stored.get(&nav_date),
                        Some(&nav),
                        "{code}: NAV of {nav_date} after the cycle of {today}"
                    );
                }
            }
        }
        let asked = market.projects_since(skip);
        assert!(
            asked.iter().all(|project| projects.contains(project)) && asked.len() <= MOST_A_DAY,
            "day {day}, {today}: {asked:?}"
        );
        for project in asked {
            *requests.entry(project).or_insert(0) += 1;
        }
    }
    let months: BTreeSet<String> = market
        .stored(&market.monthly)
        .await
        .into_keys()
        .map(|day| day[..7].to_owned())
        .collect();
    assert!(months.len() >= 3, "{months:?}");
    // The lists show the late NAVs once a week, and the monthly one is not due in the first weeks of its month.
    assert!(requests[&projects[0]] <= DAYS, "{requests:?}");
    assert!(requests[&projects[1]] <= DAYS / 2, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_of_a_late_nav_inside_the_look_back_is_applied() {
    let market = LateMarket::create().await;
    market.run("monthly").await;
    for _ in 0..2 {
        market.world.simulator.advance_days(1);
        market.run("daily").await;
    }
    let known = market.stored(&market.late).await;
    let (day, before) = known.last_key_value().expect("a NAV");
    let revised = "77.5";
    assert_ne!(before, revised);
    let date = day.parse().expect("a date");
    market
        .world
        .simulator
        .revise_nav(&market.late, date, revised)
        .expect("a code of the market");
    // The next NAV, which brings the revision with it, is published on a business day.
    for _ in 0..4 {
        market.world.simulator.advance_days(1);
        market.run("daily").await;
    }
    let after = market.stored(&market.late).await;
    assert_eq!(after.get(day).map(String::as_str), Some(revised));
}

/// The number of requests to all hosts, robots.txt included, on each of the days after the first cycle.
async fn requests_of_ordinary_days(funds: usize, days: usize) -> Vec<usize> {
    let world = World::with_register(MarketConfig {
        funds,
        days: 40,
        edge_cases: false,
        lives: true,
        today: jiff::civil::date(2026, 11, 2),
        ..MarketConfig::default()
    })
    .await;
    let run = async |kind: &str| {
        let date = world.simulator.market().today().to_string();
        let run = world
            .run(&["--once", "--cycle", kind, "--date", &date])
            .await;
        assert!(matches!(run.code, Some(0 | 3)), "{}", run.output);
    };
    run("monthly").await;
    let mut requests = Vec::new();
    for _ in 0..days {
        world.simulator.next_day();
        let skip = world.simulator.log().requests.len();
        run("daily").await;
        requests.push(world.simulator.log().requests.len() - skip);
    }
    requests
}

/// One class in 24 is published seven days after its date, and a few only once a month.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_day_stays_below_220_requests() {
    // There are 2,200 active funds among 3,300.
    let (funds, most) = if is_full() { (3_300, 220) } else { (300, 30) };
    let requests = requests_of_ordinary_days(funds, 4).await;
    assert!(
        requests.iter().all(|day| *day <= most),
        "{funds} funds: {requests:?} requests"
    );
}
