//! Tests on real answers of Finnomena, with values read by hand. They run if the folder of captures exists (`REAL_DIR`,
//! or `../shared/real` beside the workspace).

use schema::ObservationData;

use super::tests::{broken, site};
use crate::site::Via;
use crate::sites::asked::{fields, read_all, said, task};

/// A captured answer, if the folder exists.
fn capture(name: &str) -> Option<String> {
    let folder = std::env::var_os("REAL_DIR").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/real"),
        std::path::PathBuf::from,
    );
    let read = std::fs::read_to_string(folder.join("finnomena").join(name)).ok();
    if read.is_none() {
        eprintln!("skipped: no captured answers in {}", folder.display());
    }
    read
}

/// Parses a capture of the fund (key, fund_id).
fn read_capture(
    name: &str,
    page: &str,
    key: &str,
    fund_id: &str,
) -> Option<(Vec<schema::Observation>, Vec<String>)> {
    let body = capture(name)?;
    let site = site();
    let tasks = [task(&site, page, key, Some(fund_id))];
    Some(said(
        read_all(&site, page, &tasks, body.as_bytes(), Via::Http).remove(0),
    ))
}

#[test]
fn the_captured_fees_are_read_as_they_stand() {
    let Some((observations, rejects)) =
        read_capture("fee.TISCOAI.json", "fee", "TISCOAI", "F00001KB6Z")
    else {
        return;
    };
    assert!(rejects.is_empty(), "{rejects:?}");
    let lines: Vec<String> = observations
        .into_iter()
        .flat_map(|observation| fields(observation.data))
        .collect();
    assert_eq!(
        lines,
        [
            "back_end_actual=0",
            "back_end_max=2.5",
            "front_end_actual=1",
            "front_end_max=2.5",
            "management_actual=1.07",
            "management_max=3",
            "switching_in_actual=0",
            "switching_in_max=2.5",
            "switching_out_actual=0",
            "switching_out_max=2.5",
            "ter_actual=1.27",
            "ter_max=5",
        ]
    );
}

#[test]
fn the_captured_portfolio_is_read_as_it_stands() {
    let Some((observations, rejects)) = read_capture(
        "portfolio.THDRMF-P.json",
        "portfolio",
        "THDRMF-P",
        "F00001KO3X",
    ) else {
        return;
    };
    assert!(rejects.is_empty(), "{rejects:?}");
    let heads: Vec<String> = observations
        .iter()
        .map(|observation| {
            let rows = observation.data.rows();
            format!(
                "{} {rows} {:?}",
                observation.data.dataset(),
                observation.as_of_date.map(|date| date.to_string())
            )
        })
        .collect();
    assert_eq!(
        heads,
        [
            r#"top_holdings 5 Some("2026-01-01")"#,
            r#"asset_allocation 3 Some("2026-01-01")"#,
            r#"sector_allocation 7 Some("2025-12-31")"#,
        ]
    );
    let percents: Vec<String> = observations
        .into_iter()
        .flat_map(|observation| fields(observation.data))
        .map(|line| {
            line.rsplit_once('=')
                .map_or(String::new(), |(_, percent)| percent.to_owned())
        })
        .collect();
    assert_eq!(
        percents,
        [
            "10.09", "9.09", "8.85", "8.73", "7.04", "99.65927", "1.04099", "-0.70026", "48.87655",
            "18.47445", "12.38514", "10.71974", "5.47055", "2.79443", "1.27914",
        ]
    );
}

#[test]
fn the_captured_list_is_read_as_it_stands() {
    let Some((observations, rejects)) = read_capture("funds.three_items.json", "list", "*", "")
    else {
        return;
    };
    assert!(rejects.is_empty(), "{rejects:?}");
    let listed: Vec<String> = observations
        .into_iter()
        .map(|observation| match observation.data {
            ObservationData::Listing { source_key, fields } => {
                format!(
                    "{} {source_key} {:?} {:?}",
                    observation.fund_code, fields.category_id, fields.sec_is_active
                )
            }
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        listed,
        [
            r#"ABG F000000QU8 Some("LC00002470") Some(true)"#,
            r#"ABTOPP F000000QU9 Some("LC00002470") Some(true)"#,
            r#"ES-SET50-A F000000QSX Some("LC00002660") Some(true)"#,
        ]
    );
}

#[test]
fn a_captured_answer_of_another_page_is_a_breach_not_a_crash() {
    for (name, fund_id) in [
        ("latest.TNEXTGEN-A.json", "F0000161I6"),
        ("performance.TNEXTGEN-A.json", "F0000161I6"),
    ] {
        let Some(body) = capture(name) else {
            return;
        };
        let site = site();
        for page in ["nav", "fee", "portfolio", "list"] {
            let tasks = [task(&site, page, "TNEXTGEN-A", Some(fund_id))];
            assert!(
                broken(&read_all(&site, page, &tasks, body.as_bytes(), Via::Http)[0]),
                "{name} as {page}"
            );
        }
    }
}

#[test]
fn the_captured_dividends_are_read_as_they_stand() {
    let Some((observations, rejects)) =
        read_capture("dividend.KFSDIV.json", "dividend", "KFSDIV", "F000000ROP")
    else {
        return;
    };
    assert!(rejects.is_empty(), "{rejects:?}");
    let lines: Vec<String> = observations
        .into_iter()
        .flat_map(|observation| fields(observation.data))
        .collect();
    assert_eq!(lines.len(), 47);
    assert_eq!(
        lines[lines.len() - 5..],
        [
            "2022-02-10 pay_date=2022-02-22 value=0.1",
            "2022-05-13 pay_date=2022-05-25 value=0.1",
            "2023-02-10 pay_date=2023-02-21 value=0.25",
            "2024-11-08 pay_date=2024-11-19 value=0.2",
            "2025-11-07 pay_date=2025-11-18 value=0.2",
        ]
    );
}
