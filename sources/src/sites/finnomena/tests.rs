//! Tests of Finnomena's parsers, page by page, on hand-written answers.

use proptest::prelude::*;
use schema::ObservationData;
use url::Url;

use super::Finnomena;
use crate::site::{BrowserWay, Reading, Site, Via};
use crate::sites::asked::{fields, page, read_all, said, task};

pub fn site() -> Finnomena {
    Finnomena::new(
        &Url::parse("https://www.finnomena.com").expect("a URL"),
        Vec::new(),
    )
}

pub fn read(page: &str, key: &str, body: &str) -> Reading {
    let site = site();
    let tasks = [task(&site, page, key, Some("F0"))];
    read_all(&site, page, &tasks, body.as_bytes(), Via::Http).remove(0)
}

/// The values of the page, one per line, and its rejects.
pub fn read_lines(page: &str, key: &str, data: &str) -> (Vec<String>, Vec<String>) {
    let (observations, rejects) = said(read(
        page,
        key,
        &format!(r#"{{"status":true,"service_code":"51","data":{data}}}"#),
    ));
    let lines = observations
        .into_iter()
        .flat_map(|observation| {
            let as_of = observation
                .as_of_date
                .map(|date| format!(" @{date}"))
                .unwrap_or_default();
            let head = format!("{}{as_of}", observation.data.dataset());
            let key = match &observation.data {
                ObservationData::Listing { source_key, .. } => {
                    format!(" {} {source_key}", observation.fund_code)
                }
                ObservationData::NavDigest(_) => format!(" {}", observation.fund_code),
                _ => String::new(),
            };
            fields(observation.data)
                .into_iter()
                .map(move |line| format!("{head}{key} {line}"))
        })
        .collect();
    (lines, rejects)
}

fn list(data: &str) -> (Vec<String>, Vec<String>) {
    read_lines("list", "*", data)
}

pub fn broken(reading: &Reading) -> bool {
    matches!(reading, Reading::Broken(_))
}

#[test]
fn requests_name_the_fund_by_its_id_and_the_range_by_its_word() {
    let site = site();
    let mut nav = task(&site, "nav", "K-USA-A(A)", Some("F0000161I6"));
    nav.extent = Some("1M".to_owned());
    let request = site
        .request(&page(&site, "nav"), std::slice::from_ref(&nav))
        .expect("a request");
    assert_eq!(
        request.url.as_str(),
        "https://www.finnomena.com/fn3/api/fund/v2/public/funds/F0000161I6/nav/q?range=1M"
    );
    nav.extent = Some("2M".to_owned());
    assert!(site.request(&page(&site, "nav"), &[nav]).is_err());
    assert!(
        site.request(&page(&site, "fee"), &[task(&site, "fee", "A", None)])
            .is_err()
    );
}

#[test]
fn a_browser_requests_the_json_from_inside_the_fund_page_and_no_factsheet() {
    let site = site();
    let way =
        |name: &str, locator| site.by_browser(&page(&site, name), &task(&site, name, "A", locator));
    for name in ["list", "nav", "fund", "fee", "portfolio"] {
        let tasks = [task(&site, name, "A", Some("F1"))];
        let by_http = site.request(&page(&site, name), &tasks).expect("a request");
        let Ok(Some(BrowserWay::Request(in_page))) = way(name, Some("F1")) else {
            panic!("{name}: no request from inside a page");
        };
        assert_eq!(in_page.page.url.as_str(), "https://www.finnomena.com/fund");
        assert_eq!(
            (in_page.url, in_page.max_body_bytes),
            (by_http.url, by_http.max_body_bytes)
        );
    }
    assert!(way("fee", None).is_err(), "without the key of the list");
    assert_eq!(
        way("factsheet", Some("https://www.finnomena.com/a.pdf")),
        Ok(None)
    );
}

/// A front door that refuses plain clients may do so with status 200.
#[test]
fn a_page_instead_of_json_calls_for_the_browser_over_http_only() {
    let site = site();
    for (body, via, calls) in [
        (" <!DOCTYPE html><title>Just a moment...", Via::Http, true),
        (
            " <!DOCTYPE html><title>Just a moment...",
            Via::InPage,
            false,
        ),
        ("moo", Via::Http, false),
    ] {
        for name in ["list", "fee", "nav"] {
            let tasks = [task(&site, name, "A", Some("F1"))];
            let reading = read_all(&site, name, &tasks, body.as_bytes(), via).remove(0);
            assert_eq!(matches!(reading, Reading::NeedsBrowser(_)), calls, "{name}");
            assert_eq!(broken(&reading), !calls, "{name}: {reading:?}");
        }
    }
}

#[test]
fn the_list_keeps_codes_as_they_are_and_one_bad_entry_costs_one_entry() {
    let (lines, rejects) = list(
        r#"[{"fund_id":"F1","short_code":" SCBGLOW","name_th":"ก\tข","aimc_category_id":null,"sec_is_active":true,"x":{}},
            {"fund_id":"F2","short_code":"007","sec_is_active":1},
            {"fund_id":"F3","short_code":"NA","sec_is_active":false},
            {"fund_id":"F4","short_code":"KK BRIC 7%#1","name_th":"7% O'N","sec_is_active":NaN},
            {"fund_id":"F5","short_code":" ","sec_is_active":true},
            {"fund_id":"F6","short_code":null,"sec_is_active":true},
            {"fund_id":null,"short_code":"LOST","sec_is_active":true},
            {"fund_id":"F8","short_code":{"a":1}},
            7, null]"#,
    );
    assert_eq!(
        lines,
        [
            "listing 007 F2 sec_is_active=true",
            "listing KK BRIC 7%#1 F4 full_name_th=7% O'N",
            "listing NA F3 sec_is_active=false",
            "listing SCBGLOW F1 full_name_th=ก ข",
            "listing SCBGLOW F1 sec_is_active=true",
        ]
    );
    assert!(rejects.iter().all(|reject| reject.starts_with("rejected")));
    assert!(
        rejects
            .iter()
            .filter(|reject| *reject == "rejected short_code")
            .count()
            >= 3,
        "{rejects:?}"
    );
}

#[test]
fn of_a_code_listed_twice_the_active_entry_counts_then_the_first() {
    let entry = |id: &str, active: bool| {
        format!(r#"{{"fund_id":"{id}","short_code":"A","sec_is_active":{active}}}"#)
    };
    for (entries, winner) in [
        ([entry("F1", false), entry("F2", true)], "F2"),
        ([entry("F1", true), entry("F2", false)], "F1"),
        ([entry("F1", true), entry("F2", true)], "F1"),
    ] {
        let (lines, rejects) = list(&format!("[{}]", entries.join(",")));
        assert_eq!(lines, [format!("listing A {winner} sec_is_active=true")]);
        assert_eq!(rejects, ["noted short_code"]);
    }
}

#[test]
fn silence_and_failure_are_never_success() {
    for body in [
        "",
        "{}",
        "null",
        "moo",
        r#"{"message":"gone"}"#,
        r#"{"status":false,"data":[]}"#,
        r#"{"status":true}"#,
        r#"{"status":true,"data":[]}"#,
        r#"{"status":true,"data":{}}"#,
        r#"{"status":true,"data":[{"fund_id":"F1","short_code":"A"}"#,
        r#"{"status":true,"data":[{"fund_id":"F1","short_code":"A","active":true}]}"#,
        r#"{"status":true,"data":[{"fund_id":"F1","code":"A","sec_is_active":true}]}"#,
    ] {
        assert!(broken(&read("list", "*", body)), "{body}");
    }
    for (page, data) in [
        ("nav", "{}"),
        ("nav", r#"{"navs":{}}"#),
        (
            "nav",
            r#"{"navs":[{"date":"2026-02-12T00:00:00Z","val":1}]}"#,
        ),
        (
            "nav",
            r#"{"navs":[{"day":"2026-02-12T00:00:00Z","value":1}]}"#,
        ),
        ("fund", "{}"),
        ("fund", r#"{"name_th":null,"name_en":""}"#),
        ("fee", "{}"),
        ("fee", r#"{"fees":[{"desc":"x","rate":"1"}]}"#),
        ("portfolio", "{}"),
    ] {
        let body = format!(r#"{{"status":true,"data":{data}}}"#);
        assert!(broken(&read(page, "A", &body)), "{page} {body}");
        assert_eq!(
            read(page, "A", r#"{"status":true,"data":null}"#),
            Reading::Absent
        );
    }
}

#[test]
fn an_answer_about_another_fund_is_broken() {
    for data in [
        r#"{"fund_id":"F9","short_code":"A","navs":[]}"#,
        r#"{"short_code":"B","navs":[]}"#,
    ] {
        assert!(
            broken(&read(
                "nav",
                "A",
                &format!(r#"{{"status":true,"data":{data}}}"#)
            )),
            "{data}"
        );
    }
    let (lines, _) = read_lines(
        "nav",
        "A",
        r#"{"fund_id":"F0","short_code":" A ","navs":[]}"#,
    );
    assert!(lines.is_empty());
}

#[test]
fn one_bad_day_costs_one_day() {
    let (lines, rejects) = read_lines(
        "nav",
        "A",
        r#"{"fund_id":"F0","navs":[
            {"date":"2026-02-12T00:00:00Z","value":8.6713,"amount":1543950235.81},
            {"date":"2026-02-11T00:00:00Z","value":"8.70","amount":NaN},
            {"date":"2026-02-10T00:00:00Z","value":0,"amount":5},
            {"date":"2026-02-09T00:00:00Z","value":0.0,"amount":null},
            {"date":"2026-02-06T00:00:00Z","value":7.12345678905,"amount":0.0},
            {"date":"2026-02-05T00:00:00Z","value":"abc","amount":3},
            {"date":"2099-01-01T00:00:00Z","value":1},
            {"date":"1969-12-31T00:00:00Z","value":1},
            {"date":"2026-02-30T00:00:00Z","value":1},
            {"date":"0001-01-01T00:00:00Z","value":1},
            {"date":null,"value":1},
            {"date":"2026-03-19T00:00:00Z","value":2},
            {"date":"2026-03-20T00:00:00Z","value":2},
            {"date":"2026-02-04T00:00:00Z","value":null,"amount":null}
        ]}"#,
    );
    assert_eq!(
        lines,
        [
            "daily 2026-02-05 - 3 - -",
            "daily 2026-02-06 7.123456789 0 - -",
            "daily 2026-02-10 - 5 - -",
            "daily 2026-02-11 8.7 - - -",
            "daily 2026-02-12 8.6713 1543950235.81 - -",
        ]
    );
    assert_eq!(
        rejects,
        [
            "noted value",
            "noted value",
            "rejected value",
            "rejected date",
            "rejected date",
            "rejected date",
            "rejected date",
            "rejected date",
            "rejected date",
            "rejected date",
        ]
    );
}

#[test]
fn of_two_values_for_one_day_the_later_in_the_list_wins() {
    let (lines, rejects) = read_lines(
        "nav",
        "A",
        r#"{"navs":[{"date":"2026-02-12T00:00:00Z","value":1,"amount":10},{"date":"2026-02-12T00:00:00Z","value":2,"amount":null}]}"#,
    );
    assert_eq!(lines, ["daily 2026-02-12 2 10 - -"]);
    assert_eq!(rejects, ["noted date"]);
    for navs in ["[]", "null"] {
        assert_eq!(
            read_lines("nav", "A", &format!(r#"{{"navs":{navs}}}"#)),
            (vec![], vec![])
        );
    }
}

#[test]
fn the_fund_page_supplies_the_master_fields() {
    let (lines, rejects) = read_lines(
        "fund",
        "A",
        r#"{"fund_id":"F0","short_code":"A","name_en":"A\u00a0 Fund 7%","name_th":"กองทุน\tก (:USD)","amc_name_en":"X Asset","aimc_category_name_en":"Equity Large Cap",
            "risk_level":null,"risk_spectrum":"6 - เสี่ยงสูง","minimum_initial":"1,000.00 บาท","minimum_subsequent":999999,"dividend_policy":"ไม่จ่าย",
            "inception_date":"2006-08-10T00:00:00Z","fund_fact_sheet":"https://docs.example.org/a/M0512_2546.pdf"}"#,
    );
    assert_eq!(
        lines,
        [
            "master amc=X Asset",
            "master category=Equity Large Cap",
            "master full_name_en=A Fund 7%",
            "master full_name_th=กองทุน ก (:USD)",
            "master inception_date=2006-08-10",
            "master is_dividend=ไม่จ่าย",
            "master risk_level=6",
            "minimums min_initial_buy=1000",
            "factsheet_link factsheet_url=https://docs.example.org/a/M0512_2546.pdf",
        ]
    );
    assert!(rejects.is_empty(), "{rejects:?}");
    let (lines, rejects) = read_lines(
        "fund",
        "A",
        r#"{"name_th":"ก","risk_level":5,"minimum_initial":"0","minimum_subsequent":"ดูหมายเหตุ","dividend_policy":"","inception_date":"0001-01-01T00:00:00Z","fund_fact_sheet":""}"#,
    );
    assert_eq!(
        lines,
        [
            "master full_name_th=ก",
            "master risk_level=5",
            "minimums min_initial_buy=0"
        ]
    );
    assert!(rejects.is_empty(), "{rejects:?}");
    let (lines, rejects) = read_lines(
        "fund",
        "A",
        r#"{"name_th":"ก","risk_level":true,"inception_date":"2026-13-01","fund_fact_sheet":"file:///x"}"#,
    );
    assert_eq!(lines, ["master full_name_th=ก"]);
    assert_eq!(
        rejects,
        [
            "rejected risk_level",
            "rejected inception_date",
            "rejected fund_fact_sheet"
        ]
    );
}

#[test]
fn fees_are_those_of_the_funds_own_class_and_a_bad_cell_costs_one_cell() {
    let fee = |class: &str, description: &str, rate: &str, actual: &str, unit: &str| {
        format!(
            r#"{{"class_abbr_name":"{class}","description":"{description}","rate":{rate},"actual_value":{actual},"rate_unit":"","unit":"{unit}"}}"#
        )
    };
    let front = "ค่าธรรมเนียมการขายหน่วยลงทุน (Front-end Fee)";
    let back = "ค่าธรรมเนียมการรับซื้อคืนหน่วยลงทุน (Back-end Fee)";
    let switching_out = "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนออก (SWITCHING OUT)";
    let fees = [
        fee("main", front, r#""9""#, r#""9""#, "%"),
        fee("X-SSFE", front, r#""8""#, r#""8""#, "%"),
        fee(" X-SSF", front, r#""1.50""#, r#""""#, "%"),
        fee("X-SSF", back, r#""999999""#, "0", "%"),
        fee("X-SSF", switching_out, r#""-""#, r#""ไม่เรียกเก็บ""#, "%"),
        fee(
            "X-SSF",
            "ค่าธรรมเนียมการจัดการ",
            r#""ตามดุลยพินิจ""#,
            "1.07",
            "% ต่อปี",
        ),
        fee(
            "X-SSF",
            "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนเข้า (SWITCHING IN)",
            r#""10""#,
            r#""10 บาท""#,
            "บาท",
        ),
        fee(
            "X-SSF",
            "ค่าธรรมเนียมการโอนหน่วยลงทุน",
            r#""10""#,
            r#""10""#,
            "บาท",
        ),
    ];
    let (lines, rejects) = read_lines(
        "fee",
        "X-SSF",
        &format!(r#"{{"fees":[{}]}}"#, fees.join(",")),
    );
    assert_eq!(
        lines,
        [
            "fees back_end_actual=0",
            "fees front_end_max=1.5",
            "fees management_actual=1.07",
            "fees switching_out_actual=0"
        ]
    );
    assert_eq!(rejects, ["noted rate", "noted rate", "noted actual_value"]);
    let (lines, _) = read_lines("fee", "X", &format!(r#"{{"fees":[{}]}}"#, fees.join(",")));
    assert_eq!(lines, ["fees front_end_actual=9", "fees front_end_max=9"]);
    let (lines, rejects) = read_lines("fee", "X", &format!(r#"{{"fees":[{}]}}"#, fees[1]));
    assert_eq!(
        (lines, rejects),
        (vec![], vec!["noted class_abbr_name".to_owned()])
    );
    assert_eq!(read_lines("fee", "X", r#"{"fees":[]}"#), (vec![], vec![]));
    assert_eq!(read_lines("fee", "X", r#"{"fees":null}"#), (vec![], vec![]));
}

#[test]
fn each_block_of_a_portfolio_has_its_own_date_and_an_unreadable_percent_costs_only_itself() {
    let (lines, rejects) = read_lines(
        "portfolio",
        "A",
        r#"{"top_holdings":{"data_date":"2026-01-01T00:00:00Z","elements":[{"name":"KASIKORNBANK\t(KBANK)","percent":10.09},{"name":"O'N 7%","percent":"-"},
                {"name":"O'N 7%","percent":"-"},{"name":"X","percent":"abc"},{"name":" ","percent":1}]},
            "global_stock_sector":null,
            "sector_allocation":{"data_date":"0001-01-01T00:00:00Z","elements":[{"name":"พลังงาน","percent":"18.5%"}]},
            "asset_allocation":{"data_date":"2099-01-01T00:00:00Z","elements":[{"name":"เงินสด","percent":-0.70026},{"name":"หุ้น","percent":0}]},
            "regional_exposure":{"data_date":"2026-01-01T00:00:00Z","elements":[{"name":"Asia","percent":100}]}}"#,
    );
    assert_eq!(
        lines,
        [
            "top_holdings @2026-01-01 KASIKORNBANK (KBANK)=10.09",
            "top_holdings @2026-01-01 O'N 7%=-",
            "top_holdings @2026-01-01 O'N 7%=-",
            "top_holdings @2026-01-01 X=-",
            "top_holdings @2026-01-01 unreadable=2",
            "asset_allocation เงินสด=-0.70026",
            "asset_allocation หุ้น=0",
            "sector_allocation พลังงาน=18.5",
        ]
    );
    assert_eq!(
        rejects,
        ["noted percent", "rejected name", "noted data_date"]
    );
    let nothing = r#"{"top_holdings":null,"asset_allocation":{"data_date":null,"elements":[]},"global_stock_sector":{"elements":null}}"#;
    assert_eq!(read_lines("portfolio", "A", nothing), (vec![], vec![]));
}

/// D13: a timestamp with a zone is converted to Bangkok; midnight UTC is the date as written; a page with both is
/// broken.
#[test]
fn a_nav_dated_by_an_instant_belongs_to_the_day_in_bangkok() {
    let navs = |dates: &[&str]| {
        let days: Vec<String> = dates
            .iter()
            .map(|date| format!(r#"{{"date":"{date}","value":1,"amount":2}}"#))
            .collect();
        format!(r#"{{"navs":[{}]}}"#, days.join(","))
    };
    let days = |dates: &[&str]| read_lines("nav", "A", &navs(dates)).0;
    assert_eq!(
        days(&["2026-02-11T17:00:00Z", "2026-02-12T17:00:00.000Z"]),
        ["daily 2026-02-12 1 2 - -", "daily 2026-02-13 1 2 - -"]
    );
    assert_eq!(
        days(&["2026-02-12T00:00:00Z", "2026-02-13T00:00:00+00:00"]),
        ["daily 2026-02-12 1 2 - -", "daily 2026-02-13 1 2 - -"]
    );
    for mixed in [
        ["2026-02-11T17:00:00Z", "2026-02-12T00:00:00Z"],
        ["2026-02-12T00:00:00Z", "2026-02-12T17:00:00Z"],
        ["2026-02-12T00:00:00Z", "2026-02-13T02:00:00+09:00"],
    ] {
        let body = format!(r#"{{"status":true,"data":{}}}"#, navs(&mixed));
        assert!(broken(&read("nav", "A", &body)), "{mixed:?}");
    }
    let portfolio = |date: &str| {
        format!(
            r#"{{"top_holdings":{{"data_date":"{date}","elements":[{{"name":"X","percent":1}}]}},"global_stock_sector":null,"asset_allocation":null}}"#
        )
    };
    for (date, day) in [
        ("2026-01-30T17:00:00Z", "2026-01-31"),
        ("2026-01-31T00:00:00Z", "2026-01-31"),
    ] {
        let (lines, _) = read_lines("portfolio", "A", &portfolio(date));
        assert_eq!(lines, [format!("top_holdings @{day} X=1")]);
    }
    let fund = r#"{"name_th":"ก","inception_date":"2006-08-09T17:00:00Z","fund_fact_sheet":null}"#;
    let (lines, _) = read_lines("fund", "A", fund);
    assert!(
        lines.contains(&"master inception_date=2006-08-10".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn a_value_that_cannot_be_costs_itself_and_not_its_record() {
    let days = [
        r#"{"date":"2026-02-16T00:00:00Z","value":1,"amount":2}"#,
        r#"{"date":"2026-02-17T00:00:00Z","value":1,"amount":2}"#,
        r#"{"date":"2026-02-13T00:00:00Z","value":-1,"amount":2}"#,
        r#"{"date":"2026-02-12T00:00:00Z","value":"12.3%","amount":2}"#,
        r#"{"date":"2026-02-11T00:00:00Z","value":1,"amount":-0.01}"#,
        r#"{"date":"2026-02-10T00:00:00Z","value":1,"amount":"(5.00)"}"#,
        r#"{"date":"12/02/26","value":1,"amount":2}"#,
    ];
    let (lines, rejects) = read_lines("nav", "A", &format!(r#"{{"navs":[{}]}}"#, days.join(",")));
    assert_eq!(
        lines,
        [
            "daily 2026-02-10 1 - - -",
            "daily 2026-02-11 1 - - -",
            "daily 2026-02-12 - 2 - -",
            "daily 2026-02-13 - 2 - -",
            "daily 2026-02-16 1 2 - -",
        ]
    );
    assert_eq!(
        rejects,
        [
            "rejected date",
            "rejected value",
            "rejected value",
            "rejected amount",
            "rejected amount",
            "rejected date"
        ]
    );
    let fee = |rate: &str, actual: &str| {
        format!(
            r#"{{"fees":[{{"class_abbr_name":"main","description":"Front-end Fee","rate":{rate},"actual_value":{actual}}}]}}"#
        )
    };
    for (rate, actual) in [
        (r#""1,605%""#, r#""1""#),
        ("1000000", "1"),
        ("-0.5", "1"),
        ("100.5", "1"),
    ] {
        let (lines, rejects) = read_lines("fee", "A", &fee(rate, actual));
        assert_eq!(lines, ["fees front_end_actual=1"], "{rate}");
        assert_eq!(rejects, ["rejected rate"], "{rate}");
    }
}

/// D6: an unknown word is a missing value and one note, not a lost record.
#[test]
fn a_fee_word_is_a_value_a_missing_value_or_a_note() {
    for (word, value, note) in [
        ("ไม่มี", Some("0"), false),
        ("ยกเว้น", Some("0"), false),
        ("ไม่กำหนด", None, false),
        ("จ่ายตามจริง", None, false),
        ("ไม่เกิน 1.605% ต่อปี", Some("1.605"), false),
        ("ตามดุลยพินิจ", None, true),
        ("see prospectus", None, true),
        ("1.07% หรือ 0.5%", None, true),
    ] {
        let (lines, rejects) = read_lines(
            "fee",
            "A",
            &format!(
                r#"{{"fees":[{{"class_abbr_name":"main","description":"Front-end Fee","rate":"{word}","actual_value":"1"}}]}}"#
            ),
        );
        let mut expected = vec!["fees front_end_actual=1".to_owned()];
        expected.extend(value.map(|value| format!("fees front_end_max={value}")));
        assert_eq!(lines, expected, "{word}");
        assert_eq!(
            rejects.as_slice(),
            if note { &["noted rate"][..] } else { &[] },
            "{word}"
        );
    }
}

/// D7: a page is accepted only with the fields that its contract requires.
#[test]
fn a_page_without_a_required_key_is_not_read() {
    for (page, data) in [
        ("fund", r#"{"name_en":"X"}"#),
        ("fund", r#"{"name_en":"X","inception_date":null}"#),
        (
            "fund",
            r#"{"inception_date":null,"fund_fact_sheet":null,"aimc_category_name_en":"X"}"#,
        ),
        (
            "fee",
            r#"{"fees":[{"class_abbr_name":"main","description":"Front-end Fee","rate":"1"}]}"#,
        ),
        (
            "fee",
            r#"{"fees":[{"class_abbr_name":"main","description":"Front-end Fee","actual_value":"1"}]}"#,
        ),
        ("portfolio", r#"{"top_holdings":null}"#),
        (
            "portfolio",
            r#"{"top_holdings":null,"asset_allocation":null}"#,
        ),
    ] {
        let body = format!(r#"{{"status":true,"data":{data}}}"#);
        assert!(broken(&read(page, "A", &body)), "{page} {body}");
    }
    // If some records lack a key, the others are kept, and a reject marks the page as incomplete.
    let (lines, rejects) = read_lines(
        "nav",
        "A",
        r#"{"navs":[{"date":"2026-02-12T00:00:00Z","value":1,"amount":2},{"date":"2026-02-13T00:00:00Z","val":1,"amount":3}]}"#,
    );
    assert_eq!(
        lines,
        ["daily 2026-02-12 1 2 - -", "daily 2026-02-13 - 3 - -"]
    );
    assert_eq!(rejects, ["rejected value"]);
    let (_, rejects) = list(
        r#"[{"fund_id":"F1","short_code":"A","sec_is_active":true},{"fund_id":"F2","short_code":"B"}]"#,
    );
    assert_eq!(rejects, ["rejected sec_is_active"]);
}

const SAMPLE: &str = r#"{"status":true,"data":{"fund_id":"F0","navs":[{"date":"2026-02-12T00:00:00Z","value":8.6713,"amount":NaN}],"fees":[{"class_abbr_name":"main","description":"Front-end Fee","rate":"1","actual_value":""}],"top_holdings":{"data_date":"2026-01-01T00:00:00Z","elements":[{"name":"ก","percent":1}]},"name_th":"ก","risk_level":1}}"#;

proptest! {
    #[test]
    fn no_bytes_and_no_mutation_of_a_page_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        at in 0..SAMPLE.len(),
        length in 0_usize..20,
    ) {
        let site = site();
        let mut mutated = SAMPLE.as_bytes().to_vec();
        let end = (at + length).min(mutated.len());
        mutated.splice(at..end, bytes.iter().copied());
        for page in ["list", "nav", "fund", "fee", "portfolio", "factsheet"] {
            let tasks = [task(&site, page, "A", Some(if page == "factsheet" { "https://www.finnomena.com/a.pdf" } else { "F0" }))];
            for body in [&bytes, &mutated] {
                let _ = read_all(&site, page, &tasks, body, Via::Http);
            }
        }
    }
}

#[test]
fn dividends_need_a_day_and_a_value_above_zero() {
    let dividends = |elements: &str| {
        read_lines(
            "dividend",
            "A",
            &format!(r#"{{"fund":"F0","short_code":"A","dividends":{elements}}}"#),
        )
    };
    assert_eq!(dividends("[]"), (vec![], vec![]));
    assert_eq!(dividends("null"), (vec![], vec![]));
    let (lines, rejects) = dividends(
        r#"[{"xd_date":"2025-11-07T00:00:00Z","value":"0.2","pay_date":"2025-11-18T00:00:00Z"},
            {"xd_date":"2024-11-08T00:00:00Z","value":"0.1234","pay_date":null}]"#,
    );
    assert_eq!(
        lines,
        [
            "dividends 2024-11-08 value=0.1234",
            "dividends 2025-11-07 pay_date=2025-11-18 value=0.2",
        ]
    );
    assert!(rejects.is_empty(), "{rejects:?}");
    let twice = r#"{"xd_date":"2025-11-07T00:00:00Z","value":"0.2","pay_date":null}"#;
    let other = twice.replace("0.2", "0.3");
    let (lines, notes) = dividends(&format!("[{twice},{twice},{other}]"));
    assert_eq!(
        lines,
        [
            "dividends 2025-11-07 value=0.2",
            "dividends 2025-11-07 value=0.3"
        ]
    );
    assert_eq!(notes, ["noted xd_date"]);
    for (element, reason) in [
        ("null", "rejected *"),
        (
            r#"{"xd_date":null,"value":"0.2","pay_date":null}"#,
            "rejected xd_date",
        ),
        (
            r#"{"xd_date":"2025-11-07T00:00:00Z","value":"x","pay_date":null}"#,
            "rejected value",
        ),
        (
            r#"{"xd_date":"2025-11-07T00:00:00Z","value":"0","pay_date":null}"#,
            "noted value",
        ),
        (
            r#"{"xd_date":"2025-11-07T00:00:00Z","value":"-1","pay_date":null}"#,
            "rejected value",
        ),
    ] {
        let good =
            r#"{"xd_date":"2026-02-10T00:00:00Z","value":"0.3","pay_date":"2026-02-20T00:00:00Z"}"#;
        let (lines, rejects) = dividends(&format!("[{good},{element}]"));
        assert_eq!(
            lines,
            ["dividends 2026-02-10 pay_date=2026-02-20 value=0.3"],
            "{element}"
        );
        assert_eq!(rejects, [reason], "{element}");
    }
}
