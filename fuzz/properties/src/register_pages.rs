//! Each list of the register, read through [`Site::read`]: a page of the middle of a list, and then a last page that
//! gets what was carried over.

use schema::task::ChainPosition;
use schema::{PlannedTask, TaskId};
use sources::sites::SecOpenApi;
use sources::{Answer, Reading, Site, Via};

use crate::holds::{self, CYCLE_DATE};
use crate::pages::{CONTEXT, task, url};

/// A last page without records.
const LAST: &[u8] = br#"{"message":"success","page_size":100,"next_cursor":"","items":[]}"#;

pub fn profiles(body: &[u8]) {
    check("profiles", body);
}

pub fn daily(body: &[u8]) {
    check("daily", body);
}

pub fn statistics(body: &[u8]) {
    check("statistics", body);
}

pub fn fees(body: &[u8]) {
    check("fees", body);
}

pub fn risk(body: &[u8]) {
    check("risk", body);
}

pub fn dividend_policy(body: &[u8]) {
    check("dividend_policy", body);
}

pub fn minimums(body: &[u8]) {
    check("minimums", body);
}

pub fn factsheet_links(body: &[u8]) {
    check("factsheet_links", body);
}

pub fn allocation(body: &[u8]) {
    check("allocation", body);
}

pub fn portfolio(body: &[u8]) {
    check("portfolio", body);
}

fn check(page: &str, body: &[u8]) {
    let site = SecOpenApi::new(&url("https://api.sec.or.th"), Vec::new(), Vec::new());
    let key = match page {
        "daily" => TaskId::part_key(&CYCLE_DATE.to_string()),
        _ => TaskId::WHOLE_MARKET.to_owned(),
    };
    let first = PlannedTask {
        extent: Some("202606-202609".to_owned()),
        ..task(&site, page, &key, None)
    };
    let Reading::Part(part) = read(&site, &first, body) else {
        return;
    };
    let Some(carry) = part.carry else {
        return;
    };
    assert!(!part.cursor.is_empty(), "nothing comes after a last page");
    let last = PlannedTask {
        chain: Some(ChainPosition {
            cursor: part.cursor,
            pages: 1,
            seen: Vec::new(),
            restarted: false,
            carry: Some(carry),
            range: None,
            turn: 1,
        }),
        ..first
    };
    match read(&site, &last, LAST) {
        Reading::Part(part) => assert_eq!(part.carry, None),
        other => panic!("what was carried over is not read: {other:?}"),
    }
}

fn read(site: &dyn Site, task: &PlannedTask, body: &[u8]) -> Reading {
    let mut pages = site.pages().iter();
    let page = pages.find(|page| page.name == task.id.page);
    let page = page.expect("a page of the register");
    let tasks = std::slice::from_ref(task);
    let request = site.request(page, tasks).expect("a request");
    let answer = Answer {
        url: request.url,
        status: 200,
        content_type: None,
        body: bytes::Bytes::copy_from_slice(body),
        via: Via::Http,
    };
    let mut readings = site.read(page, tasks, &answer, &CONTEXT);
    assert_eq!(readings.len(), 1, "one reading for each task");
    let reading = readings.remove(0);
    holds::reading(site.name(), &reading);
    reading
}
