//! Tests of the parsers of dividends and performance, and of the columns of the profiles beside them.

use schema::{ObservationData, TaskId};
use url::Url;

use super::SecOpenApi;
use crate::site::{ListPart, Reading, Site as _, Via};
use crate::sites::asked::{fields, page, read_all, task};

fn site() -> SecOpenApi {
    let url = Url::parse("https://api.sec.or.th").expect("a URL");
    SecOpenApi::new(&url, Vec::new(), Vec::new())
}

fn read(page: &str, records: &str) -> ListPart {
    let body =
        format!(r#"{{"message":"success","page_size":100,"next_cursor":"","items":[{records}]}}"#);
    let task = task(&site(), page, TaskId::WHOLE_MARKET, None);
    let mut readings = read_all(&site(), page, &[task], body.as_bytes(), Via::Http);
    match readings.pop() {
        Some(Reading::Part(part)) => *part,
        other => panic!("expected a page of a list, found {other:?}"),
    }
}

/// Each keyed statement: the key, the code, and its rows.
fn keyed(part: &ListPart) -> Vec<String> {
    part.keyed
        .iter()
        .flat_map(|keyed| {
            let code = keyed.fund_code.as_ref().map_or("-", |code| code.as_str());
            let head = format!("{} {code}", keyed.source_key);
            std::iter::once(head).chain(fields(keyed.data.clone()))
        })
        .collect()
}

fn rejects(part: &ListPart) -> Vec<String> {
    part.rejects
        .iter()
        .map(|reject| format!("{:?} {}", reject.severity, reject.field))
        .collect()
}

fn dividend(class: &str, xd: &str, pay: &str, value: &str) -> String {
    format!(
        r#"{{"proj_id":"M0512_2546","unique_id":"C0000000569","class_abbr_name":{class},"book_close_date":{xd},"dividend_date":{pay},"dividend_value":{value},"last_upd_date":"2025-12-31T15:11:08.17"}}"#
    )
}

/// The dates in the form of the register.
fn day(day: &str) -> String {
    format!(r#""{day} 00:00:00.0000000""#)
}

#[test]
fn the_lists_are_asked_for_by_their_paths() {
    let asked = |name: &str| {
        let site = site();
        let task = task(&site, name, TaskId::WHOLE_MARKET, None);
        let request = site.request(&page(&site, name), &[task]);
        request.expect("a request").url.to_string()
    };
    assert_eq!(
        asked("dividends"),
        "https://api.sec.or.th/v2/fund/daily-info/dividend-history?page_size=100"
    );
    assert_eq!(
        asked("performance"),
        "https://api.sec.or.th/v2/fund/factsheet/performance?latest=true&page_size=100"
    );
}

#[test]
fn dividends_are_collected_by_class_and_a_class_without_name_is_the_projects_only_one() {
    let records = [
        dividend(
            r#""1AMSET50-ID""#,
            &day("2024-04-30"),
            &day("2024-05-13"),
            "0.52",
        ),
        dividend(r#""-""#, &day("2024-01-25"), "null", r#""0.15""#),
        dividend(
            r#"" 1AMSET50-ID ""#,
            &day("2024-01-25"),
            &day("2024-02-05"),
            "0.150",
        ),
    ];
    let part = read("dividends", &records.join(","));
    assert_eq!(
        keyed(&part),
        [
            "M0512_2546/1AMSET50-ID 1AMSET50-ID",
            "2024-01-25 pay_date=2024-02-05 value=0.15",
            "2024-04-30 pay_date=2024-05-13 value=0.52",
            "M0512_2546/main -",
            "2024-01-25 value=0.15",
        ]
    );
    assert_eq!(rejects(&part), [""; 0]);
    assert_eq!(part.records, 3);
    assert_eq!(
        part.keyed[0].url,
        "https://api.sec.or.th/v2/fund/daily-info/dividend-history?page_size=100"
    );
}

#[test]
fn a_dividend_without_date_or_value_is_rejected_and_costs_no_other() {
    let good = dividend(r#""B""#, &day("2024-01-25"), &day("2024-02-05"), "0.1");
    for (record, expected) in [
        (
            dividend(r#""A""#, "null", &day("2024-02-05"), "0.1"),
            "Rejected book_close_date",
        ),
        (
            dividend(r#""A""#, &day("2030-01-25"), "null", "0.1"),
            "Rejected book_close_date",
        ),
        (
            dividend(r#""A""#, r#""soon""#, "null", "0.1"),
            "Rejected book_close_date",
        ),
        (
            dividend(r#""A""#, &day("2024-01-25"), "null", "null"),
            "Rejected dividend_value",
        ),
        (
            dividend(r#""A""#, &day("2024-01-25"), "null", "-1"),
            "Rejected dividend_value",
        ),
        (
            dividend(r#""A""#, &day("2024-01-25"), "null", "0"),
            "Noted dividend_value",
        ),
        (
            dividend("[]", &day("2024-01-25"), "null", "1"),
            "Rejected class_abbr_name",
        ),
        ("7".to_owned(), "Rejected *"),
    ] {
        let part = read("dividends", &format!("{record},{good}"));
        assert_eq!(rejects(&part), [expected], "{record}");
        assert_eq!(
            keyed(&part),
            ["M0512_2546/B B", "2024-01-25 pay_date=2024-02-05 value=0.1"],
            "{record}"
        );
    }
    // The payment date costs only itself. An announced dividend may be in the future.
    let record = dividend(r#""A""#, &day("2026-03-25"), r#""soon""#, "0.1");
    let part = read("dividends", &record);
    assert_eq!(rejects(&part), ["Rejected dividend_date"]);
    assert_eq!(keyed(&part), ["M0512_2546/A A", "2026-03-25 value=0.1"]);
}

#[test]
fn several_dividends_of_one_day_are_all_reported_and_noted_and_an_equal_row_is_one() {
    let first = dividend(r#""A""#, &day("2024-01-25"), "null", "0.1");
    let second = dividend(r#""A""#, &day("2024-01-25"), "null", "0.2");
    let part = read("dividends", &format!("{first},{second},{second}"));
    assert_eq!(
        keyed(&part),
        [
            "M0512_2546/A A",
            "2024-01-25 value=0.1",
            "2024-01-25 value=0.2"
        ]
    );
    assert_eq!(rejects(&part), ["Noted book_close_date"]);
}

#[test]
fn the_day_of_the_last_change_is_read_and_a_dividend_without_it_is_noted() {
    let record = dividend(r#""A""#, &day("2024-01-25"), "null", "0.1");
    let changed = |record: &str| -> Vec<Option<jiff::civil::Date>> {
        let part = read("dividends", record);
        let said = part.keyed.iter().filter_map(|said| match &said.data {
            ObservationData::Dividends(dividends) => Some(dividends),
            _ => None,
        });
        said.flatten().map(|dividend| dividend.changed_on).collect()
    };
    assert_eq!(changed(&record), [Some(jiff::civil::date(2025, 12, 31))]);
    let without = record.replace(r#""2025-12-31T15:11:08.17""#, "null");
    assert_eq!(changed(&without), [None]);
    assert_eq!(
        rejects(&read("dividends", &without)),
        ["Noted last_upd_date"]
    );
}

fn figure(kind: &str, period: &str, value: &str, end: &str) -> String {
    format!(
        r#"{{"proj_id":"M1","fund_class_name":"main","start_date":"2026-01-31","end_date":{end},"prospectus_type":"Monthly","performance_type_desc":"{kind}","reference_period":"{period}","performance_value":{value}}}"#
    )
}

#[test]
fn the_figures_of_a_class_become_one_row_for_each_period() {
    let records = [
        figure("ผลตอบแทนกองทุนรวม", "1 year", r#""4.50""#, "null"),
        figure("ผลตอบแทนตัวชี้วัด", "1 year", r#""-1.25 ""#, "null"),
        figure(" ค่าเฉลี่ยในกลุ่มเดียวกัน", "1 year", "3", "null"),
        figure("ความผันผวนของกองทุนรวม", "1 year", r#""10""#, "null"),
        figure("ความผันผวนของตัวชี้วัด", "1 year", r#""11""#, "null"),
        figure("ผลตอบแทนกองทุนรวม", "inception date", r#""0.00""#, "null"),
        figure("ผลตอบแทนกองทุนรวม", "3 years", r#""-""#, "null"),
        figure("ผลตอบแทนกองทุนรวม", "5 years", r#""N/A""#, "null"),
        // A factsheet that has ended.
        figure("ผลตอบแทนกองทุนรวม", "1 year", r#""1.11""#, r#""2026-02-01""#),
    ];
    let part = read("performance", &records.join(","));
    assert_eq!(
        keyed(&part),
        [
            "M1/main -",
            "2026-01-31 1 year benchmark=-1.25 fund=4.5 peer_average=3 volatility=10",
            "2026-01-31 inception date fund=0",
        ]
    );
    assert_eq!(rejects(&part), [""; 0]);
}

#[test]
fn a_figure_that_cannot_be_read_is_rejected_and_an_unknown_one_is_noted() {
    let fund = "ผลตอบแทนกองทุนรวม";
    for (record, expected) in [
        (
            figure("ผลตอบแทนอื่น", "1 year", "1", "null"),
            "Noted performance_type_desc",
        ),
        (
            figure("", "1 year", "1", "null"),
            "Rejected performance_type_desc",
        ),
        (figure(fund, "", "1", "null"), "Rejected reference_period"),
        (
            figure(fund, "1 year", r#""much""#, "null"),
            "Rejected performance_value",
        ),
        (
            figure(fund, "1 year", "1", "null").replace("\"2026-01-31\"", "null"),
            "Rejected start_date",
        ),
    ] {
        let part = read("performance", &record);
        assert_eq!(rejects(&part), [expected], "{record}");
        assert_eq!(keyed(&part), [""; 0]);
    }
}

#[test]
fn a_profile_has_tax_type_master_fund_and_style() {
    let profile = |tax: &str| {
        format!(
            r#"{{"proj_id":"M1","proj_abbr_name":"A","fund_status":"Registered","policy_desc":"ตราสารหนี้","management_style":"AN","feederfund_master_fund":"  iShares Core ","fund_class_name":"main","fund_class_tax_incentive_type":{tax}}}"#
        )
    };
    let master = |tax: &str| {
        let part = read("profiles", &profile(tax));
        let said = part
            .observations
            .iter()
            .find(|said| said.data.dataset() == schema::Dataset::Master)
            .expect("a statement");
        (fields(said.data.clone()), rejects(&part))
    };
    let both = ["feeder_master_fund=iShares Core", "management_style=AN"];
    assert_eq!(
        master(r#""TESGX""#).0,
        [
            "feeder_master_fund=iShares Core",
            "fund_tax_type=TESGX",
            "management_style=AN"
        ]
    );
    for none in [r#""""#, "null", r#""-""#] {
        assert_eq!(master(none), (both.map(str::to_owned).to_vec(), Vec::new()));
    }
    let (fields, notes) = master(r#""NEW""#);
    assert_eq!(fields, both);
    assert_eq!(notes, ["Noted fund_class_tax_incentive_type"]);
}
