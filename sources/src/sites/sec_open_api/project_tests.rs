//! Tests of the daily values of single projects, on hand-written answers.

use schema::PlannedTask;
use schema::task::ChainPosition;

use super::tests::{breach, part, site};
use crate::site::{Reading, Site, Via};
use crate::sites::asked::{page, read_all, task};

/// Reads one page of the history of a project: the days of its records, and the cursor.
fn read_history(days: &[&str], cursor: &str, chain: Option<ChainPosition>) -> Reading {
    let items: Vec<String> = days
        .iter()
        .map(|day| {
            format!(r#"{{"proj_id":"M1","fund_class_name":"A","nav_date":"{day}","last_val":10}}"#)
        })
        .collect();
    let body = format!(
        r#"{{"next_cursor":"{cursor}","items":[{}]}}"#,
        items.join(",")
    );
    let body = if days.is_empty() { "" } else { &body };
    let tasks = [PlannedTask {
        chain,
        ..history_task()
    }];
    read_all(
        &site(),
        "project_history",
        &tasks,
        body.as_bytes(),
        Via::Http,
    )
    .remove(0)
}

fn history_task() -> PlannedTask {
    let locator = Some("2025-02-17..2026-02-16 3");
    task(&site(), "project_history", "*M1", locator)
}

fn in_range(range: &str, pages: u32, turn: u32) -> ChainPosition {
    ChainPosition {
        cursor: if pages == 0 { "" } else { "c" }.to_owned(),
        pages,
        seen: Vec::new(),
        restarted: false,
        carry: None,
        range: Some(range.to_owned()),
        turn,
    }
}

#[test]
fn the_history_of_a_project_goes_on_from_year_to_year_in_any_order_of_days() {
    let first = part(read_history(
        &["2025-03-01", "2026-02-13", "2025-12-30"],
        "c",
        None,
    ));
    assert_eq!(first.keyed.len(), 3);
    assert_eq!((first.next_range, first.ends_turn), (None, false));
    let last = part(read_history(
        &["2026-01-05"],
        "",
        Some(in_range("2025-02-17..2026-02-16", 1, 1)),
    ));
    assert_eq!(last.next_range.as_deref(), Some("2024-02-18..2025-02-16"));
    let empty = part(read_history(
        &[],
        "",
        Some(in_range("2024-02-18..2025-02-16", 0, 2)),
    ));
    assert_eq!(
        (empty.next_range.as_deref(), empty.ends_turn),
        (Some("1990-01-01..2024-02-17"), true)
    );
    let end = part(read_history(
        &[],
        "",
        Some(in_range("1990-01-01..2024-02-17", 0, 0)),
    ));
    assert_eq!((end.records, end.next_range), (0, None));
}

#[test]
fn a_day_outside_the_range_of_a_project_breaks_the_page() {
    let found = breach(read_history(
        &["2025-03-01", "2024-03-01"],
        "",
        Some(in_range("2025-02-17..2026-02-16", 1, 1)),
    ));
    assert_eq!(
        (found.field.as_str(), found.expected.as_str()),
        ("items[].nav_date", "records of 2025-02-17..2026-02-16 only")
    );
    let late = PlannedTask {
        locator: Some("2026-02-01..2026-02-16".to_owned()),
        ..task(&site(), "project_days", "*M1", None)
    };
    let body = r#"{"next_cursor":"","items":[{"proj_id":"M1","fund_class_name":"A","nav_date":"2026-01-31"}]}"#;
    let reading = read_all(&site(), "project_days", &[late], body.as_bytes(), Via::Http).remove(0);
    assert_eq!(breach(reading).field, "items[].nav_date");
}

#[test]
fn a_project_is_requested_with_the_days_of_its_range() {
    let site = site();
    let url = |name: &str, task: PlannedTask| {
        let request = site.request(&page(&site, name), &[task]);
        request.expect("a request").url.query().map(str::to_owned)
    };
    let late = task(
        &site,
        "project_days",
        "*M1_2546",
        Some("2026-02-01..2026-02-16"),
    );
    assert_eq!(
        url("project_days", late).as_deref(),
        Some("proj_id=M1_2546&start_nav_date=2026-02-01&end_nav_date=2026-02-16&page_size=100")
    );
    assert_eq!(
        url("project_history", history_task()).as_deref(),
        Some("proj_id=M1&start_nav_date=2025-02-17&end_nav_date=2026-02-16&page_size=100")
    );
    let older = PlannedTask {
        chain: Some(in_range("2024-02-18..2025-02-16", 1, 4)),
        ..history_task()
    };
    assert_eq!(
        url("project_history", older).as_deref(),
        Some(
            "proj_id=M1&start_nav_date=2024-02-18&end_nav_date=2025-02-16&page_size=100&next_cursor=c"
        )
    );
    let without_days = task(&site, "project_days", "*M1", None);
    let refused = site.request(&page(&site, "project_days"), &[without_days]);
    assert!(refused.is_err_and(|reason| reason.contains("expected a day")));
}
