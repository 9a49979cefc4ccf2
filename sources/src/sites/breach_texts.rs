//! Snapshot of the texts of all kinds of breaches, one line each, as an operator reads them.

use std::fmt::Write as _;

use schema::task::Severity;
use schema::{Dataset, PlannedTask, Reject};
use url::Url;

use crate::site::{Breach, Reading, Site, Via};
use crate::sites::asked::{read_all, task};
use crate::sites::finnomena::Finnomena;
use crate::sites::sec_fundcheck::SecFundcheck;
use crate::sites::sec_open_api::SecOpenApi;
use crate::sites::wealthmagik::Wealthmagik;

/// Answers of Finnomena that cannot be parsed: page and data.
const FINNOMENA: [(&str, &str); 28] = [
    ("list", "{}"),
    ("list", "5"),
    ("list", r#"[{"fund_id":"F1","short_code":"A"}]"#),
    (
        "list",
        r#"[{"fund_id":"F1","code":"A","sec_is_active":true}]"#,
    ),
    ("filter", "{}"),
    ("filter", r#"{"funds":5}"#),
    (
        "filter",
        r#"{"funds":[{"fund_id":"F1","short_code":"A","nav":1}]}"#,
    ),
    ("filter", r#"{"funds":[{"nav":1,"nav_date":null}]}"#),
    ("nav", "[]"),
    ("nav", "{}"),
    ("nav", r#"{"navs":5}"#),
    ("nav", r#"{"navs":[{"day":"2026-02-12"}]}"#),
    ("nav", r#"{"navs":[{"date":"2026-02-12","val":1}]}"#),
    ("nav", r#"{"fund_id":"F9","navs":[]}"#),
    ("nav", r#"{"short_code":"B","navs":[]}"#),
    ("nav", r#"{"fund_id":"F0","fund_id":"F1","navs":[]}"#),
    (
        "nav",
        r#"{"navs":[{"date":"2026-02-12T00:00:00Z","value":1,"amount":1},{"date":"2026-02-12T17:00:00Z","value":1,"amount":1}]}"#,
    ),
    ("fund", "{}"),
    ("fund", r#"{"name_th":"x"}"#),
    ("fee", r#"{"fees":5}"#),
    ("fee", r#"{"fees":[{"rate":"1"}]}"#),
    ("fee", r#"{"fees":[{"description":"x","rate":"1"}]}"#),
    ("portfolio", "[]"),
    ("portfolio", r#"{"top_holdings":null}"#),
    ("dividend", "{}"),
    ("dividend", r#"{"dividends":5}"#),
    ("dividend", r#"{"dividends":[{"value":"0.2"}]}"#),
    (
        "dividend",
        r#"{"dividends":[{"xd_date":"2025-11-07T00:00:00Z"}]}"#,
    ),
];

/// Pages of WealthMagik that cannot be parsed: page and body.
const WEALTHMAGIK: [(&str, &str); 14] = [
    ("list", "{}"),
    ("list", r#"{"data":5}"#),
    ("list", r#"{"data":[]}"#),
    ("list", "<html></html>"),
    ("profile", "<html><body></body></html>"),
    ("profile", "<h1>ขออภัย ไม่พบหน้าที่ต้องการ</h1>"),
    ("profile", "<div class='fundName'><h1>B</h1></div>"),
    ("profile", "<div class='fundName'><h1>A</h1></div>"),
    (
        "profile",
        r#"<script id="ng-state">{"fund-detail":{"fundCode":"B"}}</script>"#,
    ),
    ("port", "<div class='fundName'><h1>A</h1></div>"),
    (
        "port",
        "<div class='fundName'><h1>A</h1></div><div class='portallocation-list'><p class='name-text'>X</p></div>",
    ),
    ("allocation", "<div class='fundName'><h1>A</h1></div>"),
    (
        "allocation",
        "<div class='fundName'><h1>A</h1></div><div class='investmentAllocationByAsset'></div>",
    ),
    (
        "fee",
        "<div class='fundName'><h1>A</h1></div><p id='wmg.funddetailfee.text.frontEndFee-ffs'>1</p>",
    ),
];

/// Answers of FundCheck that cannot be parsed: transport and body.
const FUNDCHECK: [(Via, &str); 8] = [
    (Via::Http, ""),
    (Via::Http, "["),
    (Via::Http, "5"),
    (Via::Http, r#"{"message":"x"}"#),
    (Via::Http, r#"[{"name":"A"}]"#),
    (Via::Http, r#"[{"abbrName":"A","alpha":1}]"#),
    (Via::Browser, "<p></p>"),
    (Via::Browser, "<div class='card-body'>x</div>"),
];

/// Answers of the register that cannot be parsed: page and body.
const REGISTER: [(&str, &str); 8] = [
    ("profiles", "<html>"),
    ("profiles", r#"{"items":[]}"#),
    ("fees", r#"{"items":5,"next_cursor":""}"#),
    ("fees", r#"{"items":[],"next_cursor":{}}"#),
    ("fees", "[]"),
    (
        "daily",
        r#"{"items":[{"nav_date":"2026-02-11"}],"next_cursor":""}"#,
    ),
    ("portfolio", r#"{"items":null}"#),
    ("factsheet_links", r#"{"next_cursor":""}"#),
];

/// Reasons of rejected records, as the parsers write them, with what was found.
const REJECTS: [(&str, &str); 8] = [
    (
        "expected a number, a missing-value word or nothing, found `abc`",
        r#"{"rate":"abc"}"#,
    ),
    (
        "expected a date, a missing-value word or nothing, found `31/02/2569`",
        "31/02/2569",
    ),
    ("expected a fund, found null", "null"),
    ("expected `<code>---<text>`", "5"),
    ("expected a number: EOF while parsing a string", r#""12"#),
    ("the fund code is blank", r#"{"short_code":" "}"#),
    ("several codes, none on a line that names the fund", ""),
    ("expected a fee from 0 to 100 %, found `1605`", "1,605%"),
];

fn breach(reading: Reading) -> Breach {
    match reading {
        Reading::Broken(breach) | Reading::NeedsBrowser(breach) => breach,
        other => panic!("expected a page that is not read, found {other:?}"),
    }
}

/// Every kind of breach, one line each.
fn lines() -> String {
    let url = |text: &str| Url::parse(text).expect("a URL");
    let finnomena = Finnomena::new(&url("https://www.finnomena.com"), Vec::new());
    let wealthmagik = Wealthmagik::new(&url("https://www.wealthmagik.com"), Vec::new());
    let fundcheck = SecFundcheck::new(
        &url("https://fundcheck.sec.or.th"),
        &url("https://web-fct-api.sec.or.th"),
    );
    let register = SecOpenApi::new(&url("https://api.sec.or.th"), Vec::new(), Vec::new());
    let mut text = String::new();
    let mut line = |site: &dyn Site, page: &str, via: Via, locator: Option<&str>, body: &[u8]| {
        let key = match page {
            "list" => "*",
            "filter" => "1",
            "daily" => "*2026-02-12",
            _ => "A",
        };
        let tasks = [PlannedTask {
            extent: (page == "portfolio").then(|| "202509-202512".to_owned()),
            ..task(site, page, key, locator)
        }];
        let reading = read_all(site, page, &tasks, body, via).remove(0);
        let _ = writeln!(text, "{} {page}: {}", site.name(), breach(reading));
    };
    for body in [
        &b""[..],
        b"{",
        b"\xff",
        b"<html>",
        br#"{"status":false,"message":"gone"}"#,
        br#"{"status":true}"#,
    ] {
        line(&finnomena, "nav", Via::Http, Some("F0"), body);
    }
    for (page, data) in FINNOMENA {
        let body = format!(r#"{{"status":true,"data":{data}}}"#);
        line(&finnomena, page, Via::Http, Some("F0"), body.as_bytes());
    }
    for (page, body) in WEALTHMAGIK {
        line(
            &wealthmagik,
            page,
            Via::Http,
            Some("/funds/A"),
            body.as_bytes(),
        );
    }
    for (via, body) in FUNDCHECK {
        line(&fundcheck, "statistics", via, None, body.as_bytes());
    }
    for (page, body) in REGISTER {
        line(&register, page, Via::Http, None, body.as_bytes());
    }
    for (reason, sample) in REJECTS {
        let reject = Reject {
            fund_code: Some("A".to_owned()),
            dataset: Dataset::Fees,
            field: "rate".to_owned(),
            reason: reason.to_owned(),
            sample: sample.to_owned(),
            severity: Severity::Rejected,
        };
        let _ = writeln!(text, "a rejected record: {}", Breach::of_reject(&reject));
    }
    text
}

#[test]
fn every_breach_reads_as_one_sentence() {
    let lines = lines();
    for line in lines.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(
            words.windows(2).all(|pair| pair[0] != pair[1]),
            "a word twice: {line}"
        );
        for word in [" expected ", " found "] {
            assert_eq!(line.matches(word).count(), 1, "{word}: {line}");
        }
    }
    insta::assert_snapshot!(lines);
}
