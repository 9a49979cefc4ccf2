//! Tests of the lists whose records are read together, on hand-written answers.

use schema::task::ChainPosition;
use schema::{Dataset, PlannedTask};
use url::Url;

use super::SecOpenApi;
use crate::site::{Breach, ListPart, Reading, Site, Via};
use crate::sites::asked::{fields, page, read_all, short, task};

pub(super) fn site() -> SecOpenApi {
    let url = Url::parse("https://api.sec.or.th").expect("a URL");
    SecOpenApi::new(&url, Vec::new(), Vec::new())
}

fn task_of(page: &str, carry: Option<&str>) -> PlannedTask {
    PlannedTask {
        extent: Some("202509-202512".to_owned()),
        chain: carry.map(|carry| ChainPosition {
            cursor: "c".to_owned(),
            pages: 1,
            seen: Vec::new(),
            restarted: false,
            carry: Some(carry.to_owned()),
            range: None,
            turn: 1,
        }),
        ..task(&site(), page, "*", None)
    }
}

/// Reads one page of a list: the records as JSON objects without braces, and the cursor.
fn read(page: &str, records: &[&str], cursor: &str, carry: Option<&str>) -> Reading {
    let items: Vec<String> = records.iter().map(|one| format!("{{{one}}}")).collect();
    let body = format!(
        r#"{{"message":"success","page_size":100,"next_cursor":"{cursor}","items":[{}]}}"#,
        items.join(",")
    );
    let tasks = [task_of(page, carry)];
    read_all(&site(), page, &tasks, body.as_bytes(), Via::Http).remove(0)
}

pub(super) fn part(reading: Reading) -> ListPart {
    match reading {
        Reading::Part(part) => *part,
        other => panic!("expected a page of a list, found {other:?}"),
    }
}

pub(super) fn breach(reading: Reading) -> Breach {
    match reading {
        Reading::Broken(breach) => breach,
        other => panic!("expected a broken page, found {other:?}"),
    }
}

/// The statements as `key date: field=value …`.
fn lines(part: &ListPart) -> Vec<String> {
    let keyed = part.keyed.iter().cloned();
    keyed
        .map(|said| {
            let date = said.as_of_date.map(|date| format!(" {date}"));
            let fields = fields(said.data).join(" ");
            format!("{}{}: {fields}", said.source_key, date.unwrap_or_default())
        })
        .collect()
}

/// The statements and the rejects of a list of one page.
fn read_whole(page: &str, records: &[&str]) -> (Vec<String>, Vec<String>) {
    let part = part(read(page, records, "", None));
    assert_eq!(part.carry, None, "nothing comes after the last page");
    let rejects = part.rejects.iter().map(short).collect();
    (lines(&part), rejects)
}

#[test]
fn the_link_to_the_pdf_is_read_and_that_of_the_company_is_not() {
    let class = r#""proj_id":"M1","fund_class_name":"A-B""#;
    let company = r#""amc_url_factsheet":"https://company.example/Q&A/a.pdf""#;
    let link = "https://docs.example/M1.pdf";
    let record = |pdf: &str, date: &str| {
        format!(r#"{class},{company},"pdf_factsheet":{pdf},"as_of_date":"{date}""#)
    };
    let old = record(r#""https://docs.example/old.pdf""#, "2025-08-31");
    let new = record(&format!(r#""{link}""#), "2025-09-30");
    let said = format!("M1/A-B 2025-09-30: factsheet_url={link}");
    let none = record("null", "2025-09-30");
    let other = record(r#""ftp://docs.example/M1.pdf""#, "2025-09-30");
    check(
        "factsheet_links",
        &[
            (&[&new], &[&said], &[]),
            (&[&new, &old], &[&said], &[]),
            (&[&none], &[], &[]),
        ],
    );
    let (said, rejects) = read_whole("factsheet_links", &[&other]);
    assert_eq!(said, [""; 0]);
    assert_eq!(rejects.len(), 1, "{rejects:?}");
    assert!(rejects[0].contains("pdf_factsheet"), "{rejects:?}");
}

/// The factsheet is on a host without a key.
#[test]
fn a_factsheet_is_requested_at_its_link_without_the_key() {
    let key = crate::api_key::ApiKey::of("secret").expect("a key");
    let url = Url::parse("https://api.sec.or.th").expect("a URL");
    let site = SecOpenApi::new(&url, vec![key], vec!["docs.example".to_owned()]);
    let sheet = page(&site, "factsheet");
    let at = |link: &str| {
        let task = task(&site, "factsheet", "A", Some(link));
        site.request(&sheet, &[task])
    };
    let request = at("https://docs.example/M1.pdf").expect("a listed host");
    assert_eq!(request.url.as_str(), "https://docs.example/M1.pdf");
    assert_eq!(request.secret_header, None);
    assert!(at("https://other.example/M1.pdf").is_err());
    let links = task(&site, "factsheet_links", "*", None);
    let request = site.request(&page(&site, "factsheet_links"), &[links]);
    let request = request.expect("a list");
    assert!(request.secret_header.is_some());
    assert_eq!(request.url.path(), "/v2/fund/factsheet/urls");
    assert_eq!(
        site.meaning(&sheet, 403, 1),
        crate::site::StatusMeaning::Refused,
        "the key is not refused by another host"
    );
}

/// Compares what is read from the records of each case with its statements and rejects.
fn check(page: &str, cases: &[(&[&str], &[&str], &[&str])]) {
    for (records, statements, rejects) in cases {
        let (found, rejected) = read_whole(page, records);
        assert_eq!(found, *statements, "{records:?}");
        assert_eq!(rejected, *rejects, "{records:?}");
    }
}

#[test]
fn a_statistic_of_zero_is_missing() {
    check(
        "statistics",
        &[
            (
                &[
                    r#""proj_id":"M1","fund_class_name":"A","start_date":"2026-01-31","sharpe_ratio":"0.52","alpha":"-1.2","beta":"0.98","maximum_drawdown":"-37.99","recovering_period":"1 ปี 2 เดือน","tracking_error":"3.1","portfolio_turnover_ratio":"24.63","fx_hedging":"95","yield_to_maturity":"2026-01-05""#,
                ],
                &[
                    "M1/A 2026-01-31: alpha=-1.2 beta=0.98 fx_hedging=95 max_drawdown=-37.99 recovering_period=425 sharpe_ratio=0.52 tracking_error=3.1 turnover_ratio=24.63",
                ],
                &[],
            ),
            (
                &[
                    r#""proj_id":"M1","fund_class_name":"main","start_date":"2026-01-31","sharpe_ratio":"0","beta":"0.00","alpha":"-","recovering_period":"0","fx_hedging":"12.5""#,
                ],
                &["M1/main 2026-01-31: fx_hedging=12.5"],
                &["noted *"],
            ),
            (
                &[
                    r#""proj_id":"M1","fund_class_name":"A","start_date":"2026-01-31","alpha":"high","beta":"1""#,
                ],
                &["M1/A 2026-01-31: beta=1"],
                &["rejected alpha"],
            ),
            (
                &[r#""proj_id":"M1","fund_class_name":"A","start_date":"2026-01-31","alpha":"0""#],
                &[],
                &["noted *"],
            ),
        ],
    );
}

#[test]
fn the_newest_factsheet_counts_whatever_the_order() {
    let old = r#""proj_id":"M1","fund_class_name":"A","start_date":"2025-12-31","alpha":"7""#;
    let new = r#""proj_id":"M1","fund_class_name":"A","start_date":"2026-01-31","beta":"1""#;
    for records in [[old, new], [new, old]] {
        let (found, _) = read_whole("statistics", &records);
        assert_eq!(found, ["M1/A 2026-01-31: beta=1"]);
    }
}

fn fee(class: &str, start: &str, kind: &str, rates: &str) -> String {
    format!(
        r#""proj_id":"M1","fund_class_name":"{class}","start_date":"{start}","fee_type_desc":"{kind}",{rates}"#
    )
}

#[test]
fn a_fee_that_is_filled_in_nowhere_is_missing() {
    let front = "ค่าธรรมเนียมการขายหน่วยลงทุน (Front-end Fee)";
    let switching = "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนเข้า (SWITCHING IN)";
    for (kind, rates, statements, rejects) in [
        (
            front,
            r#""rate":1.5,"actual_value":1"#,
            &["M1/A 2026-01-31: front_end_actual=1 front_end_max=1.5"][..],
            &[][..],
        ),
        (
            switching,
            r#""rate":"2","actual_value":0"#,
            &["M1/A 2026-01-31: switching_in_actual=0 switching_in_max=2"],
            &[],
        ),
        (front, r#""rate":0,"actual_value":0"#, &[], &["noted rate"]),
        (
            front,
            r#""rate":0,"actual_value":null"#,
            &[],
            &["noted rate"],
        ),
        (front, r#""rate":null"#, &[], &[]),
        (
            front,
            r#""rate":999999,"actual_value":0"#,
            &["M1/A 2026-01-31: front_end_actual=0"],
            &[],
        ),
        (
            front,
            r#""rate":1605,"actual_value":1"#,
            &["M1/A 2026-01-31: front_end_actual=1"],
            &["rejected rate"],
        ),
        (
            "ค่าธรรมเนียมการโอนหน่วยลงทุน (Transfer Fee)",
            r#""rate":10,"actual_value":10"#,
            &[],
            &[],
        ),
        (
            "ค่าธรรมเนียมการสับเปลี่ยน",
            r#""rate":1,"actual_value":1"#,
            &[],
            &["noted fee_type_desc"],
        ),
    ] {
        let record = fee("A", "2026-01-31", kind, rates);
        check("fees", &[(&[&record], statements, rejects)]);
    }
}

#[test]
fn one_fee_of_several_periods_is_that_of_the_newest() {
    let front = "Front-end Fee";
    let old = fee("A", "2025-12-31", front, r#""rate":2,"actual_value":2"#);
    let new = fee("A", "2026-01-31", front, r#""rate":1,"actual_value":1"#);
    let unfilled = fee("A", "2026-01-31", front, r#""rate":0,"actual_value":0"#);
    let main = fee("main", "2026-01-31", front, r#""rate":0,"actual_value":0"#);
    let newest = ["M1/A 2026-01-31: front_end_actual=1 front_end_max=1"];
    for (records, statements) in [
        ([&old, &new], &newest[..]),
        ([&new, &old], &newest),
        ([&old, &unfilled], &[]),
        ([&main, &new], &newest),
    ] {
        let (found, _) = read_whole("fees", &records.map(String::as_str));
        assert_eq!(found, statements, "{records:?}");
    }
}

#[test]
fn a_day_without_any_value_is_no_statement() {
    for (values, statements) in [
        (r#""last_val":0,"net_asset":null,"sell_price":0.0"#, 0),
        (r#""last_val":0,"net_asset":0"#, 1),
        (r#""last_val":10.5"#, 1),
    ] {
        let record =
            format!(r#"{{"proj_id":"M1","fund_class_name":"A","nav_date":"2026-02-12",{values}}}"#);
        let body = format!(r#"{{"next_cursor":"","items":[{record}]}}"#);
        let tasks = [task(&site(), "daily", "*2026-02-12", None)];
        let reading = read_all(&site(), "daily", &tasks, body.as_bytes(), Via::Http).remove(0);
        assert_eq!(part(reading).keyed.len(), statements, "{values}");
    }
}

#[test]
fn the_highest_risk_has_three_spellings() {
    for (spelt, level) in [
        ("RS1", Some(1)),
        ("RS6 ", Some(6)),
        ("rs8", Some(8)),
        ("RS81", Some(8)),
        ("RS8+", Some(8)),
        ("RS9", None),
        ("RS0", None),
        ("RS12", None),
        ("6", None),
    ] {
        let record =
            format!(r#""proj_id":"M1","start_date":"2026-01-31","risk_spectrum":"{spelt}""#);
        let (found, rejects) = read_whole("risk", &[&record]);
        let expected = level.map(|level| format!("M1 2026-01-31: risk_level={level}"));
        assert_eq!(found, Vec::from_iter(expected), "{spelt}");
        assert_eq!(rejects.is_empty(), level.is_some(), "{spelt}: {rejects:?}");
    }
}

#[test]
fn the_dividend_policy_is_a_letter() {
    for (letter, statements, rejects) in [
        (r#""Y""#, &["M1/A 2026-01-31: is_dividend=จ่าย"][..], &[][..]),
        (r#""N""#, &["M1/A 2026-01-31: is_dividend=ไม่จ่าย"], &[]),
        ("null", &[], &[]),
        (r#""-""#, &[], &[]),
        (r#""yes""#, &[], &["rejected dividend_policy"]),
    ] {
        let record = format!(
            r#""proj_id":"M1","fund_class_name":"A","start_date":"2026-01-31","dividend_policy":{letter}"#
        );
        check("dividend_policy", &[(&[&record], statements, rejects)]);
    }
}

#[test]
fn an_amount_in_another_currency_is_never_baht() {
    for (amounts, statements, rejects) in [
        (
            r#""minimum_sub_ipo":5000,"minimum_sub_ipo_cur":"THB      ","minimum_sub":0,"minimum_sub_cur":"THB""#,
            &["M1/A 2026-01-31: min_initial_buy=5000 min_next_buy=0"][..],
            &[][..],
        ),
        (
            r#""minimum_sub_ipo":1000,"minimum_sub_ipo_cur":"USD   ","minimum_sub":100,"minimum_sub_cur":"THB  ""#,
            &["M1/A 2026-01-31: min_next_buy=100"],
            &["noted minimum_sub_ipo"],
        ),
        (
            r#""minimum_sub_ipo":1000,"minimum_sub":999999,"minimum_sub_cur":"THB""#,
            &[],
            &["noted minimum_sub_ipo"],
        ),
    ] {
        let record =
            format!(r#""proj_id":"M1","fund_class_name":"A","start_date":"2026-01-31",{amounts}"#);
        check("minimums", &[(&[&record], statements, rejects)]);
    }
}

fn asset(project: &str, start: &str, seq: u8, name: &str) -> String {
    format!(
        r#""proj_id":"{project}","start_date":"{start}","asset_seq":{seq},"asset_name":"{name}","asset_ratio":{seq}.5"#
    )
}

#[test]
fn an_allocation_has_the_order_of_its_numbers_and_the_newest_date() {
    let records = [
        asset("M1", "2026-01-31", 2, "bonds"),
        asset("M1", "2025-12-31", 1, "old"),
        asset("M1", "2026-01-31", 1, "shares"),
        asset("M2", "2026-01-31", 1, "cash"),
    ];
    let (found, rejects) = read_whole("allocation", &records.each_ref().map(String::as_str));
    assert_eq!(
        found,
        [
            "M1 2026-01-31: shares=1.5 bonds=2.5",
            "M2 2026-01-31: cash=1.5"
        ]
    );
    assert_eq!(rejects, [""; 0]);
}

#[test]
fn the_total_of_a_portfolio_is_no_holding() {
    let row = |date: &str, id: &str, code: &str, percent: &str| {
        format!(
            r#""proj_id":"M1","period":202512,"as_of_date":"{date}","assetliab_id":"{id}","assetliab_desc":"kind {id}","issue_code":{code},"percent_nav":{percent}"#
        )
    };
    let records = [
        row("2025-09-30", "205", r#""OLD""#, "9"),
        row("2025-12-31", "205", r#""TB1""#, "2.72392"),
        row("2025-12-31", "903", "null", "100"),
        row("2025-12-31", "101", r#""""#, "97.3"),
        row("2025-12-31", "801", "null", r#""much""#),
    ];
    let (found, rejects) = read_whole("portfolio", &records.each_ref().map(String::as_str));
    assert_eq!(
        found,
        ["M1 2025-12-31: TB1=2.72392 kind 101=97.3 kind 801=- unreadable=1"]
    );
    assert_eq!(rejects, ["noted percent"]);
}

#[test]
fn a_project_on_two_pages_is_one_statement() {
    let [one, two, three, other] = [
        asset("M1", "2026-01-31", 1, "a"),
        asset("M1", "2026-01-31", 2, "b"),
        asset("M1", "2026-01-31", 3, "c"),
        asset("M2", "2026-01-31", 1, "d"),
    ];
    let first = part(read("allocation", &[&one], "c1", None));
    assert_eq!(lines(&first), [""; 0]);
    let second = part(read("allocation", &[&two], "c2", first.carry.as_deref()));
    assert_eq!(lines(&second), [""; 0]);
    let carry = second.carry.as_deref();
    let third = part(read("allocation", &[&three, &other], "c3", carry));
    assert_eq!(lines(&third), ["M1 2026-01-31: a=1.5 b=2.5 c=3.5"]);
    let last = part(read("allocation", &[], "", third.carry.as_deref()));
    assert_eq!(lines(&last), ["M2 2026-01-31: d=1.5"]);
    assert_eq!((last.records, last.carry), (0, None));
}

#[test]
fn a_project_that_returns_is_rejected_unless_it_has_another_date() {
    let [one, other, again, later] = [
        asset("M1", "2025-12-31", 1, "a"),
        asset("M2", "2025-12-31", 1, "b"),
        asset("M1", "2025-12-31", 2, "c"),
        asset("M1", "2026-01-31", 1, "d"),
    ];
    let first = part(read("allocation", &[&one, &other, &one], "c1", None));
    assert_eq!(lines(&first).len(), 2);
    let carry = first.carry.as_deref();
    let last = part(read("allocation", &[&other, &later, &other], "", carry));
    assert_eq!(lines(&last), ["M1 2026-01-31: d=1.5"]);
    let rejects: Vec<_> = last.rejects.iter().map(short).collect();
    assert_eq!(rejects, ["rejected proj_id"; 3]);
    let same_page = [&*one, &*other, &*again];
    assert_eq!(read_whole("allocation", &same_page).1, ["rejected proj_id"]);
    let of_classes = fee("A", "2026-01-31", "Front-end Fee", r#""rate":1"#);
    let elsewhere = of_classes.replace("M1", "M2");
    let (found, rejects) = read_whole("fees", &[&of_classes, &elsewhere, &of_classes]);
    assert_eq!((found.len(), rejects.len()), (3, 0), "folded by field");
}

#[test]
fn a_project_without_end_is_rejected_once() {
    let record = asset("M1", "2026-01-31", 1, "a");
    let page_of_100 = vec![&*record; 100];
    let (mut carry, mut rejects) = (None, 0);
    for page in 1..=60 {
        let cursor = format!("c{page}");
        let part = part(read("allocation", &page_of_100, &cursor, carry.as_deref()));
        assert_eq!(lines(&part), [""; 0]);
        rejects += part.rejects.len();
        carry = part.carry;
    }
    assert_eq!(rejects, 1);
    let other = asset("M2", "2026-01-31", 1, "b");
    let last = part(read("allocation", &[&other], "", carry.as_deref()));
    assert_eq!(lines(&last), ["M2 2026-01-31: b=1.5"]);
    assert_eq!(last.rejects, []);
}

#[test]
fn a_record_without_its_key_is_rejected_alone() {
    let good = asset("M1", "2026-01-31", 1, "a");
    for (bad, field) in [
        (r#""asset_seq":1"#, "rejected proj_id"),
        (r#""proj_id":"M1/A""#, "rejected proj_id"),
        (r#""proj_id":"M1","proj_id":"M2""#, "rejected *"),
    ] {
        let (found, rejects) = read_whole("allocation", &[bad, &good]);
        assert_eq!(found, ["M1 2026-01-31: a=1.5"], "{bad}");
        assert_eq!(rejects, [field], "{bad}");
    }
    let no_class = r#""proj_id":"M1","start_date":"2026-01-31","alpha":"1""#;
    let (found, rejects) = read_whole("statistics", &[no_class]);
    assert_eq!(
        (found.len(), rejects),
        (0, vec!["rejected fund_class_name".to_owned()])
    );
}

#[test]
fn records_that_cannot_be_carried_over_break_the_page() {
    let found = breach(read("fees", &[], "", Some("{")));
    assert_eq!(found.field, "carry");
}

#[test]
fn only_factsheets_are_limited_to_the_current_ones_and_only_portfolios_to_quarters() {
    let site = site();
    let query = |name: &str| {
        let request = site.request(&page(&site, name), &[task_of(name, None)]);
        request.expect("a request").url.to_string()
    };
    assert_eq!(
        query("risk"),
        "https://api.sec.or.th/v2/fund/factsheet/risk-spectrum?latest=true&page_size=100"
    );
    assert_eq!(
        query("portfolio"),
        "https://api.sec.or.th/v2/fund/outstanding/portfolio?start_period=202509&end_period=202512&page_size=100"
    );
    let unknown = PlannedTask {
        extent: None,
        ..task_of("portfolio", None)
    };
    let refused = site.request(&page(&site, "portfolio"), &[unknown]);
    assert!(refused.is_err_and(|reason| reason.contains("two periods")));
}

#[test]
fn the_risk_and_the_dividend_policy_are_statements_of_their_own() {
    // The profiles make a statement in the dataset Master. A further one in it would mark the fields of the profiles as
    // no longer reported, and change the URL of the row, in each cycle.
    let record = r#""proj_id":"M1","fund_class_name":"A","start_date":"2026-01-31","risk_spectrum":"RS5","dividend_policy":"N""#;
    for (name, dataset) in [
        ("risk", Dataset::Risk),
        ("dividend_policy", Dataset::DividendPolicy),
    ] {
        let part = part(read(name, &[record], "", None));
        assert_eq!(part.keyed[0].data.dataset(), dataset);
    }
}
