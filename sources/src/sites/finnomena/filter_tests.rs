//! Tests of news pages: a row that cannot be parsed costs only itself, and no row yields a value that the page does not
//! contain.

use proptest::prelude::*;
use schema::{Number, ObservationData};

use super::filter::MAX_ROWS;
use super::tests::{broken, read, read_lines, site};
use crate::site::{Reading, Site, Via};
use crate::sites::asked::{page, read_all, task};

fn filter(funds: &str) -> (Vec<String>, Vec<String>) {
    read_lines("filter", "1", &format!(r#"{{"funds":[{funds}]}}"#))
}

fn row(fund_id: &str, code: &str, nav: &str, nav_date: &str) -> String {
    format!(r#"{{"fund_id":{fund_id},"short_code":{code},"nav":{nav},"nav_date":{nav_date}}}"#)
}

/// A valid row.
fn good(code: &str) -> String {
    row(
        r#""F0""#,
        &format!("\"{code}\""),
        "10.5",
        r#""2026-02-12T00:00:00Z""#,
    )
}

#[test]
fn a_request_names_the_page_by_its_number() {
    let site = site();
    let spec = page(&site, "filter");
    let request = |key: &str| site.request(&spec, &[task(&site, "filter", key, None)]);
    assert_eq!(
        request("7")
            .map(|request| request.url.to_string())
            .as_deref(),
        Ok("https://www.finnomena.com/fn3/api/fund/v2/public/filter?page=7&limit=100")
    );
    for key in ["*", "KFGTECH", "-1", "1.5", ""] {
        assert!(
            request(key).is_err_and(|error| error.contains("page number")),
            "{key}"
        );
    }
}

#[test]
fn a_row_has_the_newest_nav_of_a_fund() {
    let (lines, rejects) = read_lines(
        "filter",
        "1",
        r#"{"funds":[
            {"fund_id":"F0000161I6","short_code":" K-USA-A(A)","amc_name":"x","nav":8.67130,"nav_date":"2026-02-12T00:00:00Z","return_1y":null,"fees":[],"fund_fact_sheet":null},
            {"fund_id":"FOUSA06LQF","short_code":"007","nav":"1,234.5","nav_date":"2026-02-11"},
            {"fund_id":"F1","short_code":"NA","nav":7.12345678905,"nav_date":"2026-02-16T00:00:00Z"}],
          "pagination":{"page_total":36,"last_page":36}}"#,
    );
    assert_eq!(
        lines,
        [
            "news 007 FOUSA06LQF 2026-02-11 1234.5",
            "news K-USA-A(A) F0000161I6 2026-02-12 8.6713",
            "news NA F1 2026-02-16 7.123456789",
        ]
    );
    assert!(rejects.is_empty(), "{rejects:?}");
}

#[test]
fn d6_an_unreadable_row_costs_itself_and_one_without_a_nav_reports_nothing() {
    let day = r#""2026-02-12T00:00:00Z""#;
    let id = r#""F0""#;
    let rows = [
        good("A"),
        row(id, r#""NO-NAV""#, "null", day),
        row(id, r#""ZERO""#, "0.0", day),
        row(id, r#""NAN""#, "NaN", day),
        row(id, r#""NO-DATE""#, "1", "null"),
        row(id, r#""YEAR-ONE""#, "1", r#""0001-01-01T00:00:00Z""#),
        row(id, r#""WORD""#, r#""abc""#, day),
        row(id, r#""HUGE""#, "1e40", day),
        row(id, r#""2099""#, "1", r#""2099-01-01""#),
        row(id, r#""NO-SUCH-DAY""#, "1", r#""2026-02-30""#),
        row(id, r#"" ""#, "1", day),
        row(id, "[]", "1", day),
        row("null", r#""NO-ID""#, "1", day),
        row(r#""-""#, r#""DASH-ID""#, "1", day),
        "null".to_owned(),
        "[]".to_owned(),
        r#"{"nav":1,"nav":2}"#.to_owned(),
    ];
    let (lines, rejects) = filter(&rows.join(","));
    assert_eq!(lines, ["news A F0 2026-02-12 10.5"]);
    let expected = [
        "nav",
        "nav",
        "nav_date",
        "nav_date",
        "short_code",
        "short_code",
        "fund_id",
        "fund_id",
        "*",
        "*",
        "*",
    ];
    assert_eq!(rejects, expected.map(|field| format!("rejected {field}")));
}

#[test]
fn a_code_reported_with_two_values_is_not_used() {
    let other = row(r#""F0""#, r#""A""#, "10.6", r#""2026-02-12T00:00:00Z""#);
    for rows in [
        [good("A"), other.clone(), good("B")].join(","),
        [other, good("A"), good("A"), good("B")].join(","),
    ] {
        let (lines, rejects) = filter(&rows);
        assert_eq!(lines, ["news B F0 2026-02-12 10.5"], "{rows}");
        assert!(rejects.iter().all(|reject| reject == "noted short_code"));
        assert!(!rejects.is_empty(), "{rows}");
    }
    let (lines, rejects) = filter(&[good("A"), good("A")].join(","));
    assert_eq!((lines.len(), rejects.len()), (1, 0));
}

#[test]
fn a_page_without_funds_is_absent_and_one_of_another_shape_is_broken() {
    for body in [
        r#"{"status":true,"data":{"funds":[]}}"#,
        r#"{"status":true,"data":{"funds":null,"pagination":{}}}"#,
        r#"{"status":true,"data":null}"#,
    ] {
        assert_eq!(read("filter", "1", body), Reading::Absent, "{body}");
    }
    let row_with = |row: &str| format!(r#"{{"status":true,"data":{{"funds":[{row}]}}}}"#);
    for body in [
        r#"{"status":true,"data":{"items":[]}}"#.to_owned(),
        r#"{"status":true,"data":{"funds":{}}}"#.to_owned(),
        r#"{"status":true,"data":[]}"#.to_owned(),
        r#"{"status":false,"message":"x"}"#.to_owned(),
        r#"{"funds":[]}"#.to_owned(),
        "moo".to_owned(),
        row_with("null"),
        row_with(&good("A").replace("\"nav\"", "\"last_nav\"")),
        row_with(&good("A").replace("nav_date", "date")),
        row_with(&good("A").replace("short_code", "code")),
        row_with(&good("A").replace("fund_id", "id")),
    ] {
        assert!(broken(&read("filter", "1", &body)), "{body}");
    }
}

#[test]
fn no_more_rows_are_taken_than_a_page_may_have() {
    let rows = |count: usize| {
        (0..count)
            .map(|at| good(&format!("F{at}")))
            .collect::<Vec<_>>()
    };
    let (lines, rejects) = filter(&rows(MAX_ROWS).join(","));
    assert_eq!((lines.len(), rejects.len()), (MAX_ROWS, 0));
    let (lines, rejects) = filter(&rows(MAX_ROWS + 1).join(","));
    assert_eq!(lines.len(), MAX_ROWS);
    assert_eq!(rejects, ["noted funds"]);
}

const SAMPLE: &str = r#"{"status":true,"data":{"funds":[{"fund_id":"F0","short_code":"A","nav":8.6713,"nav_date":"2026-02-12T00:00:00Z"},{"fund_id":"F1","short_code":"ก B","nav":"1,0","nav_date":null}]}}"#;

proptest! {
    /// D5, D6: no bytes and no mutation of a page cause a panic, and every reported NAV is plausible.
    #[test]
    fn no_mutation_of_a_page_reports_an_impossible_value(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        at in 0..SAMPLE.len(),
        length in 0_usize..30,
    ) {
        let site = site();
        let mut mutated = SAMPLE.as_bytes().to_vec();
        let end = (at + length).min(mutated.len());
        mutated.splice(at..end, bytes.iter().copied());
        let tasks = [task(&site, "filter", "1", None)];
        for body in [&bytes, &mutated] {
            if let Reading::Observed { observations, .. } =
                read_all(&site, "filter", &tasks, body, Via::Http).remove(0)
            {
                for observation in observations {
                    let ObservationData::NavDigest(news) = observation.data else {
                        panic!("a page of news says {:?}", observation.data);
                    };
                    prop_assert!(!news.nav.is_zero() && !news.source_key.is_empty());
                    prop_assert!(news.nav_date.year() >= 1970 && news.nav_date.year() <= 2026);
                }
            }
        }
    }

    /// D5: a NAV equals that of the fund's own page, digit by digit.
    #[test]
    fn a_nav_equals_that_of_the_funds_own_page(units in 1_i64..1_000_000_000, decimals in 0_u32..12) {
        let text = with_decimals(units, decimals);
        let (news, _) = filter(&row(r#""F0""#, r#""A""#, &text, r#""2026-02-12T00:00:00Z""#));
        let (days, _) = read_lines(
            "nav", "A", &format!(r#"{{"navs":[{{"date":"2026-02-12T00:00:00Z","value":{text}}}]}}"#));
        let told = Number::parse(&text).expect("a number");
        prop_assume!(!told.is_zero());
        prop_assert_eq!(&news, &[format!("news A F0 2026-02-12 {told}")]);
        prop_assert_eq!(&days, &[format!("daily 2026-02-12 {told} - - -")]);
    }
}

/// `units` with `decimals` digits after the point.
fn with_decimals(units: i64, decimals: u32) -> String {
    let decimals = decimals as usize;
    let digits = format!("{units:0width$}", width = decimals + 1);
    let (whole, rest) = digits.split_at(digits.len() - decimals);
    if rest.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{rest}")
    }
}
