//! Tests of the reports of single sources.
//!
//! The truth of a market without a register is the ranked reports of its sources. The test ranks them on its own.

use std::collections::{BTreeMap, BTreeSet};

use simulator::{MarketConfig, Reported, ReportedRow, Simulator, Source, TABLES};

async fn started(config: MarketConfig) -> Simulator {
    Simulator::start(config)
        .await
        .expect("the simulator starts")
}

/// The cells of `first`, and those of `second` where `first` has none.
fn ranked(first: Option<&ReportedRow>, second: Option<&ReportedRow>) -> ReportedRow {
    let mut row = second.cloned().unwrap_or_default();
    row.extend(first.cloned().unwrap_or_default());
    row
}

/// One day: the NAV and the AUM of Finnomena before those of WealthMagik. The source is that of the NAV, else of the
/// prices, else of the AUM.
fn ranked_day(finnomena: Option<&ReportedRow>, wealthmagik: Option<&ReportedRow>) -> ReportedRow {
    let has = |row: Option<&ReportedRow>, columns: &[&str]| {
        row.is_some_and(|row| columns.iter().any(|column| row.contains_key(column)))
    };
    let of_wealthmagik = finnomena.is_none()
        || !has(finnomena, &["nav_value"]) && has(wealthmagik, &["nav_value", "bid", "offer"]);
    let mut day = ranked(finnomena, wealthmagik);
    let source = if of_wealthmagik {
        "wealthmagik"
    } else {
        "finnomena"
    };
    day.insert("source", source.to_owned());
    day
}

/// The rows of one table and fund: key of the row, cells.
fn ranked_rows(
    table: &str,
    code: &str,
    reports: &BTreeMap<Source, Reported>,
) -> BTreeMap<String, ReportedRow> {
    let of = |source: Source| {
        reports[&source]
            .rows(table, code)
            .cloned()
            .unwrap_or_default()
    };
    let (finnomena, wealthmagik) = (of(Source::Finnomena), of(Source::WealthMagik));
    let keys: BTreeSet<String> = finnomena
        .keys()
        .chain(wealthmagik.keys())
        .cloned()
        .collect();
    let mut rows: BTreeMap<String, ReportedRow> = match table {
        "funds_statistics" => of(Source::SecFundCheck),
        "funds_codes" => of(Source::Factsheet),
        "funds_holding" | "funds_allocations" => {
            let with_source = |rows: BTreeMap<String, ReportedRow>, name: &str| {
                rows.into_iter()
                    .map(|(key, row)| (format!("{name} {key}"), row))
                    .collect::<Vec<_>>()
            };
            let both = [
                with_source(finnomena, "finnomena"),
                with_source(wealthmagik, "wealthmagik"),
            ];
            both.into_iter().flatten().collect()
        }
        _ => keys
            .into_iter()
            .map(|key| {
                let pair = (finnomena.get(&key), wealthmagik.get(&key));
                let row = match table {
                    "funds_daily" => ranked_day(pair.0, pair.1),
                    "funds_fee" => ranked_fees(pair.0, pair.1),
                    _ => ranked(pair.0, pair.1),
                };
                (key, row)
            })
            .collect(),
    };
    for (key, row) in &mut rows {
        row.insert("fund_code", code.to_owned());
        if table == "funds_daily" {
            row.insert("nav_date", key.clone());
        }
    }
    rows
}

/// The page of the fees is Finnomena's fee page, else WealthMagik's, else Finnomena's page with the minimums.
fn ranked_fees(finnomena: Option<&ReportedRow>, wealthmagik: Option<&ReportedRow>) -> ReportedRow {
    let mut row = ranked(finnomena, wealthmagik);
    let from_fee_page = finnomena.is_some_and(|row| row["source_url"].ends_with("/fee"));
    if let Some(others) = wealthmagik.filter(|_| !from_fee_page) {
        row.insert("source_url", others["source_url"].clone());
    }
    row
}

fn assert_ranks_to_truth(simulator: &Simulator, what: &str) {
    let truth = simulator.truth();
    let reports: BTreeMap<Source, Reported> = Source::ALL
        .into_iter()
        .map(|source| (source, simulator.reported_by(source)))
        .collect();
    let market = simulator.market();
    for (name, columns) in TABLES {
        let mut rows: Vec<Vec<Option<String>>> = market
            .codes()
            .into_iter()
            .flat_map(|code| ranked_rows(name, code, &reports).into_values())
            .map(|mut row| columns.iter().map(|column| row.remove(column)).collect())
            .collect();
        rows.sort_unstable();
        let wanted = &truth.table(name).expect("a table").rows;
        let differing = rows.iter().zip(wanted).find(|(own, truth)| own != truth);
        assert_eq!(differing, None, "{what}: {name}");
        assert_eq!(rows.len(), wanted.len(), "{what}: {name}");
    }
}

#[tokio::test]
async fn the_ranked_reports_of_the_other_sources_are_the_truth() {
    for seed in [1, 2, 3] {
        let config = MarketConfig {
            funds: 250,
            seed,
            ..MarketConfig::default()
        };
        let simulator = started(config).await;
        assert_ranks_to_truth(&simulator, &format!("seed {seed}"));
    }
}

#[tokio::test]
async fn the_reports_follow_a_living_market() {
    for (seed, edge_cases) in [(5, false), (6, true)] {
        let simulator = started(MarketConfig {
            funds: 80,
            seed,
            edge_cases,
            lives: true,
            ..MarketConfig::default()
        })
        .await;
        for day in 0..90 {
            simulator.next_day();
            if day % 15 == 0 {
                assert_ranks_to_truth(&simulator, &format!("seed {seed}, day {day}"));
            }
        }
    }
}

/// The text of an element of WealthMagik's fee page.
fn element<'page>(page: &'page str, id: &str) -> &'page str {
    let start = page
        .find(&format!("id=\"{id}\">"))
        .unwrap_or_else(|| panic!("{id}"));
    let text = &page[start..];
    let text = &text[text.find('>').expect("an end") + 1..];
    text[..text.find('<').expect("an end")].trim()
}

/// Where WealthMagik is wrong, the truth does not show what it reports.
#[tokio::test]
async fn the_fees_that_wealthmagik_reports_are_those_of_its_pages() {
    let simulator = started(MarketConfig {
        funds: 60,
        ..MarketConfig::default()
    })
    .await;
    let report = simulator.reported_by(Source::WealthMagik);
    let truth = simulator.reported_by(Source::Finnomena);
    let (mut compared, mut wrong) = (0, 0);
    for code in report.codes("funds_fee") {
        let row = report.row("funds_fee", code, "").expect("a row");
        let page = crate::support::get(&row["source_url"]).await.text();
        for (column, id) in [
            ("front_end_max", "frontEndFee-ffs"),
            ("back_end_actual", "backEndFee-actual"),
            ("ter_max", "totalExpenseRatio-ffs"),
            ("min_next_buy", "additionalPurchase-ffs"),
        ] {
            let shown = element(&page, &format!("wmg.funddetailfee.text.{id}")).replace(',', "");
            let number = shown.split([' ', '%']).next().unwrap_or_default();
            let Ok(shown) = number.parse::<f64>() else {
                continue;
            };
            if shown >= 999_999.0 {
                assert_eq!(row.get(column), None, "{code} {column}");
                continue;
            }
            let reported: f64 = row[column].parse().expect("a number");
            assert!(
                (reported - shown).abs() < 1e-9,
                "{code} {column}: {reported} {shown}"
            );
            compared += 1;
            wrong += usize::from(
                truth
                    .cell("funds_fee", code, "", column)
                    .is_some_and(|other| other != row[column]),
            );
        }
    }
    assert!(
        compared > 80 && wrong > 5,
        "{compared} compared, {wrong} wrong"
    );
}
