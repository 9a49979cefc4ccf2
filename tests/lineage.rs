//! The names of one fund: with and without the register, the links and the NAVs through all names are the true ones.

use std::collections::{BTreeMap, BTreeSet};

use simulator::{EdgeCase, KeptOnRename, MarketConfig, TrueLink};

use crate::world::World;
use crate::world::cells::reported_days;

/// NAV, bid, offer and AUM of a day, and the code that it is stored under.
type Day = [Option<String>; 5];

/// The places of bid and offer in a day.
const PRICES: [usize; 2] = [1, 2];
/// The date of the first cycle, which reads the prices of every fund.
const FIRST: &str = "2026-10-15";

fn market() -> MarketConfig {
    MarketConfig {
        funds: 90,
        ..MarketConfig::default()
    }
}

async fn cycle(world: &World, kind: &str, date: &str) {
    let run = world
        .run(&["--once", "--cycle", kind, "--date", date])
        .await;
    run.exits(0);
}

/// The active code with the fewest edge cases, and none of a rename.
fn plain_code(world: &World) -> String {
    let market = world.simulator.market();
    let edge_cases = |code: &&str| {
        let kinds = EdgeCase::ALL.iter();
        let dealt = kinds.filter(|kind| market.codes_with(**kind).contains(code));
        dealt.count()
    };
    let active = world.simulator.truth();
    let active = active.table("funds_master_info").expect("a table");
    let status = active
        .columns
        .iter()
        .position(|name| *name == "fund_status");
    let status = status.expect("a column");
    let codes = active
        .rows
        .iter()
        .filter(|row| row[status].as_deref() == Some("active"))
        .filter_map(|row| row[0].as_deref());
    let of_renames = [EdgeCase::NewIdOnRename, EdgeCase::NewIdAndIsinOnRename];
    let is_plain = |code: &&str| {
        let mut kinds = of_renames.iter();
        !kinds.any(|kind| market.codes_with(*kind).contains(code))
    };
    codes
        .filter(is_plain)
        .min_by_key(edge_cases)
        .expect("a fund")
        .to_owned()
}

/// The true links as the table should have them. Without the register, nothing tells that a fund which keeps only its
/// project is one fund.
fn expected_links(truth: &[TrueLink], has_register: bool) -> BTreeSet<[String; 4]> {
    let links = truth.iter().filter_map(|link| {
        let (rule, is_certain) = match link.kept {
            KeptOnRename::FundId => ("finnomena_id", "true"),
            KeptOnRename::Isin => ("isin", "true"),
            KeptOnRename::Project => ("hand_over", "false"),
        };
        let is_found = has_register || link.kept != KeptOnRename::Project;
        let row = [&link.old, &link.new, rule, is_certain].map(str::to_owned);
        is_found.then_some(row)
    });
    links.collect()
}

/// The names of each current code of the links that are certain, from the oldest to the newest.
fn names(truth: &[TrueLink]) -> BTreeMap<String, Vec<String>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for link in truth {
        if link.kept == KeptOnRename::Project {
            names
                .entry(link.old.clone())
                .or_insert_with(|| vec![link.old.clone()]);
            names.insert(link.new.clone(), vec![link.new.clone()]);
            continue;
        }
        let mut older = names
            .remove(&link.old)
            .unwrap_or_else(|| vec![link.old.clone()]);
        older.push(link.new.clone());
        names.insert(link.new.clone(), older);
    }
    names
}

/// The true days of each code: NAV, bid, offer, AUM. From the first day of the code that was read of the register on,
/// the register's values count as they rank.
async fn true_days(
    world: &World,
    codes: &[String],
) -> BTreeMap<(String, String), [Option<String>; 4]> {
    const COLUMNS: [&str; 4] = ["nav_value", "bid", "offer", "aum"];
    let mut days: BTreeMap<(String, String), [Option<String>; 4]> = BTreeMap::new();
    let truth = world.simulator.truth();
    let daily = truth.table("funds_daily").expect("a table");
    let place = |name: &str| daily.columns.iter().position(|column| *column == name);
    let [day, code] = ["nav_date", "fund_code"].map(|name| place(name).expect("a column"));
    let places = COLUMNS.map(|name| place(name).expect("a column"));
    for row in &daily.rows {
        let cell = |at: usize| row[at].clone().unwrap_or_default();
        if codes.contains(&cell(code)) {
            days.insert((cell(code), cell(day)), places.map(|at| row[at].clone()));
        }
    }
    if world.settings.register_keys.is_empty() {
        return days;
    }
    let first: BTreeMap<String, String> = world
        .ask("SELECT fund_code, min(nav_date) FROM funds_daily WHERE nav_said_by & 16 <> 0 GROUP BY 1")
        .await
        .into_iter()
        .filter_map(|row| Some((row[0].clone()?, row[1].clone()?)))
        .collect();
    let is_read = |code: &String, day: &String| first.get(code).is_some_and(|first| day >= first);
    days.retain(|(code, day), _| !is_read(code, day));
    for ((code, day, column), value) in reported_days(world, codes) {
        if is_read(&code, &day) {
            let at = COLUMNS.iter().position(|name| *name == column);
            let values = days.entry((code, day)).or_default();
            values[at.expect("a column")] = Some(value);
        }
    }
    days
}

/// Whether two days are equal. With `unread`, a price that WealthMagik shows may be missing: with the register, an
/// ordinary day requests no page of a single fund.
fn is_equal(expected: Option<&Day>, found: Option<&Day>, unread: bool) -> bool {
    let (Some(expected), Some(found)) = (expected, found) else {
        return false;
    };
    let mut cells = expected.iter().zip(found).enumerate();
    cells.all(|(at, (expected, found))| {
        expected == found || (unread && PRICES.contains(&at) && found.is_none())
    })
}

/// Compares links and view with the truth after three kinds of rename, one of them twice.
async fn check(world: World) {
    let has_register = !world.settings.register_keys.is_empty();
    cycle(&world, "monthly", FIRST).await;
    let plain = plain_code(&world);
    let isin = world.active_with(EdgeCase::NewIdOnRename)[0].clone();
    let project = world.active_with(EdgeCase::NewIdAndIsinOnRename)[0].clone();
    let rename = |old: &str, new: &str| world.simulator.rename(old, new).expect("a known code");
    rename(&plain, "NAMED-B");
    rename(&isin, "NAMED-I");
    rename(&project, "NAMED-P");
    // The register's list is read once a week.
    world.simulator.advance_days(7);
    cycle(&world, "daily", "2026-10-22").await;
    rename("NAMED-B", "NAMED-C");
    world.simulator.advance_days(7);
    cycle(&world, "daily", "2026-10-29").await;

    let truth = world.simulator.lineage();
    assert_eq!(truth.len(), 4);
    let found: BTreeSet<[String; 4]> = world
        .ask("SELECT old_code, new_code, rule, is_certain::text FROM runner.fund_lineage")
        .await
        .into_iter()
        .map(|row| [0, 1, 2, 3].map(|at| row[at].clone().unwrap_or_default()))
        .collect();
    assert_eq!(found, expected_links(&truth, has_register));

    let names = names(&truth);
    let codes: Vec<String> = names.values().flatten().cloned().collect();
    let days = true_days(&world, &codes).await;
    let mut expected: BTreeMap<(String, String), Day> = BTreeMap::new();
    for (current, names) in &names {
        for name in names {
            for ((_, day), values) in days.iter().filter(|((code, _), _)| code == name) {
                let [nav, bid, offer, aum] = values.clone();
                let day = (current.clone(), day.clone());
                expected.insert(day, [nav, bid, offer, aum, Some(name.clone())]);
            }
        }
    }
    let quoted: Vec<String> = codes.iter().map(|code| code.replace('\'', "''")).collect();
    let found: BTreeMap<(String, String), Day> = world
        .ask(&format!(
            "SELECT fund_code, nav_date::text, trim_scale(nav_value)::text, trim_scale(bid)::text,
                    trim_scale(offer)::text, trim_scale(aum)::text, stored_under
             FROM fund_nav_through_names WHERE fund_code IN ('{}')",
            quoted.join("', '")
        ))
        .await
        .into_iter()
        .map(|row| {
            let text = |at: usize| row[at].clone().unwrap_or_default();
            let day = [2, 3, 4, 5, 6].map(|at| row[at].clone());
            ((text(0), text(1)), day)
        })
        .collect();
    let of = |days: &BTreeMap<(String, String), Day>, current: &str| {
        days.keys().filter(|(code, _)| code == current).count()
    };
    assert!(of(&expected, "NAMED-C") > 50 && of(&expected, "NAMED-I") > 50);
    assert!(of(&expected, "NAMED-P") < 15 && of(&expected, &project) > 50);
    let days: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let wrong: Vec<_> = days
        .into_iter()
        .filter(|day| {
            let unread = has_register && day.1.as_str() >= FIRST;
            !is_equal(expected.get(*day), found.get(*day), unread)
        })
        .map(|day| (day, expected.get(day), found.get(day)))
        .take(10)
        .collect();
    assert!(wrong.is_empty(), "day, expected, found: {wrong:#?}");

    // All other codes show their own rows.
    let others: i64 = world
        .one(
            "SELECT count(*) FROM (
                 SELECT fund_code, nav_date, nav_value FROM funds_daily d
                 WHERE NOT EXISTS (SELECT FROM runner.fund_lineage l WHERE is_certain AND d.fund_code IN (old_code, new_code))
                 EXCEPT SELECT fund_code, nav_date, nav_value FROM fund_nav_through_names WHERE stored_under = fund_code) missing",
        )
        .await;
    assert_eq!(others, 0);
    let explained = world.run(&["explain", "NAMED-B"]).await;
    explained
        .exits(0)
        .says(&format!("{plain} became NAMED-B (finnomena_id)"))
        .says("NAMED-B became NAMED-C (finnomena_id)");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_register_ids_and_isins_tell_the_names_of_a_fund() {
    check(World::new(market()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_register_a_hand_over_is_proposed_as_well() {
    check(World::with_register(market()).await).await;
}
