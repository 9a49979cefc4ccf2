//! D8: whichever sources are away from the first run on, the tables have every cell that the others report, in each
//! mode, after a monthly and after a daily cycle.

use std::collections::BTreeSet;

use simulator::Source::{
    self, Factsheet, Finnomena, RegisterFactsheet, SecFundCheck, SecOpenApi, WealthMagik,
};
use simulator::{FaultKind, MarketConfig, Site};

use crate::world::World;
use crate::world::cells::{Cells, RANKED, differences};
use crate::world::extent::some_of;

const FUNDS: usize = 12;
/// Of all cases, every nth runs by default; not divisible by the number of modes, so that each mode has its turn.
const NTH: usize = 10;

/// The sources that answer. The register has a key if it is one of them, or if it is away by a fault.
#[derive(Debug, Clone)]
struct Case {
    mode: &'static str,
    present: Vec<Source>,
    has_key: bool,
    way: FaultKind,
}

/// Each source alone and each set with one source missing, with and without a key, in each way to be away.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for has_key in [true, false] {
        let mut sources = vec![Finnomena, WealthMagik, SecFundCheck];
        if has_key {
            sources.push(SecOpenApi);
        }
        let alone = sources.iter().map(|source| vec![*source]);
        let without = sources.iter().map(|missing| {
            let others = sources.iter().filter(|source| *source != missing);
            others.copied().collect()
        });
        let sets: Vec<Vec<Source>> = alone.chain(without).collect();
        for present in sets {
            for way in [
                FaultKind::Status(403),
                FaultKind::Down,
                FaultKind::HtmlInsteadOfJson,
            ] {
                for mode in ["sequential", "hybrid", "parallel"] {
                    cases.push(Case {
                        mode,
                        present: present.clone(),
                        has_key,
                        way: way.clone(),
                    });
                }
            }
        }
    }
    cases
}

/// The funds that have rows: those that the register or Finnomena calls active; without both, those that WealthMagik
/// lists.
fn universe(world: &World, present: &[Source]) -> Vec<String> {
    let mut funds = BTreeSet::new();
    let active = |source: Source, table: &str, column: &str, word: &str| -> Vec<String> {
        let report = world.simulator.reported_by(source);
        let codes = report.codes(table).into_iter();
        codes
            .filter(|code| report.cell(table, code, "", column) == Some(word))
            .map(str::to_owned)
            .collect()
    };
    if present.contains(&Finnomena) {
        let listed = active(Finnomena, "funds_master_info", "fund_status", "active");
        funds.extend(listed);
    }
    if present.contains(&SecOpenApi) {
        let report = world.simulator.reported_by(SecOpenApi);
        let registered = active(SecOpenApi, "register_classes", "status", "Registered");
        let has_nav = |code: &String| report.rows("funds_daily", code).is_some();
        funds.extend(registered.into_iter().filter(has_nav));
    }
    if funds.is_empty() && present.contains(&WealthMagik) {
        let report = world.simulator.reported_by(WealthMagik);
        let listed = report.codes("funds_master_info").into_iter();
        funds.extend(listed.map(str::to_owned));
    }
    funds.into_iter().collect()
}

/// The funds whose factsheet is linked by a source that is present.
fn linked(world: &World, funds: &[String], present: &[Source]) -> Vec<String> {
    let reports: Vec<_> = present
        .iter()
        .map(|source| world.simulator.reported_by(*source))
        .collect();
    let is_linked = |fund: &&String| {
        let mut reports = reports.iter();
        reports.any(|report| report.rows("factsheet_links", fund).is_some())
    };
    funds.iter().filter(is_linked).cloned().collect()
}

/// The first day of the register's lists in a monthly cycle of [`MONTHLY`].
const FIRST_DAY_OF_LISTS: &str = "2026-10-01";
const MONTHLY: &str = "2026-10-15";
const DAILY: &str = "2026-10-16";

/// The sources that are asked for daily values in a cycle, each with its oldest day. If Finnomena is there, older days
/// come from its histories. After the register has answered, a daily cycle asks no other source.
fn asked_for_days(present: &[Source], is_monthly: bool) -> Vec<(Source, &'static str)> {
    let has_register = present.contains(&SecOpenApi);
    let asked = present
        .iter()
        .filter(|source| is_monthly || !has_register || **source == SecOpenApi);
    let since = |source| {
        let is_window = source == SecOpenApi && present.contains(&Finnomena);
        if is_window { FIRST_DAY_OF_LISTS } else { "" }
    };
    asked.map(|source| (*source, since(*source))).collect()
}

/// Compares the tables with what the sources report, and what they reported before in `expected`.
async fn check(world: &World, case: &Case, is_monthly: bool, expected: &mut [Cells]) {
    let funds = universe(world, &case.present);
    let stored: Vec<String> = world
        .ask("SELECT fund_code FROM funds_master_info WHERE fund_status = 'active' ORDER BY 1")
        .await
        .into_iter()
        .filter_map(|row| row[0].clone())
        .collect();
    assert_eq!(stored, funds, "{case:?}: the active funds");
    let all: Vec<_> = case.present.iter().map(|source| (*source, "")).collect();
    let days = asked_for_days(&case.present, is_monthly);
    let mut wrong = Vec::new();
    for (ranked, cells) in RANKED.iter().zip(expected) {
        if ranked.rank.contains(&Factsheet) {
            let linked = linked(world, &funds, &case.present);
            ranked.add_reported(
                world,
                &linked,
                &[(Factsheet, ""), (RegisterFactsheet, "")],
                cells,
            );
        }
        let asked = if ranked.table == "funds_daily" {
            &days
        } else {
            &all
        };
        ranked.add_reported(world, &funds, asked, cells);
        let stored = ranked.stored(world).await;
        wrong.extend(differences(ranked.table, cells, &stored));
    }
    let count = wrong.len();
    wrong.truncate(40);
    assert_eq!(
        count,
        0,
        "{case:?}, monthly {is_monthly}:\n{}",
        wrong.join("\n")
    );
}

async fn run(case: &Case) {
    let mut world = World::with_register(MarketConfig {
        funds: FUNDS,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await;
    if !case.has_key {
        world.settings.register_keys = &[];
    }
    for (source, site) in [
        (Finnomena, Site::Finnomena),
        (WealthMagik, Site::WealthMagik),
        (SecFundCheck, Site::SecApi),
        (SecOpenApi, Site::SecOpenApi),
    ] {
        if !case.present.contains(&source) {
            world.fault(site, case.way.clone());
        }
    }
    let mut expected = vec![Cells::new(); RANKED.len()];
    let once = |kind, date| {
        [
            "--once", "--mode", case.mode, "--cycle", kind, "--date", date,
        ]
    };
    world.run(&once("monthly", MONTHLY)).await.exits(3);
    check(&world, case, true, &mut expected).await;
    world.simulator.advance_days(1);
    world.run(&once("daily", DAILY)).await.exits(3);
    check(&world, case, false, &mut expected).await;
}

async fn run_all(mode: &str) {
    for case in some_of(cases(), NTH) {
        if case.mode == mode {
            run(&case).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sequential_has_every_cell_that_the_remaining_sources_report() {
    run_all("sequential").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_has_every_cell_that_the_remaining_sources_report() {
    run_all("hybrid").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_has_every_cell_that_the_remaining_sources_report() {
    run_all("parallel").await;
}
