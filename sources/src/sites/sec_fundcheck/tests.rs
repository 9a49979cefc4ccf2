//! Tests of FundCheck's parsers, on hand-written answers of its API and its page.

use proptest::prelude::*;
use schema::PlannedTask;
use url::Url;

use super::SecFundcheck;
use crate::site::{BrowserWay, Reading, Site, StatusMeaning, Via};
use crate::sites::asked::{fields, page, read_all, said, task};

fn site() -> SecFundcheck {
    let url = |text: &str| Url::parse(text).expect("a URL");
    SecFundcheck::new(
        &url("https://fundcheck.sec.or.th"),
        &url("https://web-fct-api.sec.or.th"),
    )
}

fn tasks(codes: &[&str]) -> Vec<PlannedTask> {
    codes
        .iter()
        .map(|code| task(&site(), "statistics", code, None))
        .collect()
}

fn ask(codes: &[&str], body: &str) -> Vec<Reading> {
    read_all(
        &site(),
        "statistics",
        &tasks(codes),
        body.as_bytes(),
        Via::Http,
    )
}

fn lines(reading: Reading) -> (Vec<String>, Vec<String>) {
    let (observations, rejects) = said(reading);
    let lines = observations
        .into_iter()
        .flat_map(|observation| {
            let head = format!(
                "{} {:?}",
                observation.fund_code,
                observation.as_of_date.map(|date| date.to_string())
            );
            std::iter::once(head).chain(fields(observation.data))
        })
        .collect();
    (lines, rejects)
}

#[test]
fn a_batch_is_one_request_and_the_page_is_the_url_shown() {
    let site = site();
    let page = page(&site, "statistics");
    let request = site
        .request(&page, &tasks(&["SCBS&P500A", "O'N \"x\""]))
        .expect("a request");
    assert_eq!(
        request.url.as_str(),
        "https://web-fct-api.sec.or.th/api/funds"
    );
    assert_eq!(
        request.post_json.as_deref(),
        Some(r#"["SCBS&P500A","O'N \"x\""]"#)
    );
    assert!(
        request
            .headers
            .contains(&("Origin", "https://fundcheck.sec.or.th".to_owned()))
    );
    let (observations, _) = said(
        ask(
            &["BT-AUTOFIX 3Y/1"],
            r#"[{"abbrName":"BT-AUTOFIX  3Y/1","representDate":null,"sharpRatio":null,"maximumDrawdown":null,"alpha":1}]"#,
        )
        .remove(0),
    );
    assert_eq!(
        observations[0].url,
        "https://fundcheck.sec.or.th/fund-detail;funds=BT-AUTOFIX%203Y%2F1"
    );
    let way = site
        .by_browser(&page, &tasks(&["BT-AUTOFIX 3Y/1"])[0])
        .expect("a way")
        .expect("a way");
    let BrowserWay::Visit(visit) = way else {
        panic!("no visit: {way:?}");
    };
    assert_eq!(visit.url.as_str(), observations[0].url);
}

#[test]
fn a_bad_code_splits_the_batch_and_alone_is_absent() {
    let site = site();
    let page = page(&site, "statistics");
    assert_eq!(site.meaning(&page, 400, 2), StatusMeaning::Split);
    assert_eq!(site.meaning(&page, 400, 1), StatusMeaning::Absent);
    assert_eq!(site.meaning(&page, 429, 2), StatusMeaning::Throttled);
    assert_eq!(site.meaning(&page, 403, 2), StatusMeaning::Refused);
}

#[test]
fn every_spelling_of_a_statistic_is_read_and_zero_is_a_value() {
    let body = r#"[{"abbrName":"B","representDate":"null","sharpRatio":"-","alpha":"N/A","beta":null,"maximumDrawdown":"None","trackingError":"","turnoverRatio":NaN,"fxHedging":"null","recoveringPeriod":{"year":0,"month":null,"day":0}},
        {"abbrName":" A ","representDate":"31/01/2569","sharpRatio":"0.92","alpha":-1.5,"beta":"1,000.25","maximumDrawdown":"-37.99%","trackingError":"0","turnoverRatio":0,"fxHedging":"95.5 %","recoveringPeriod":{"year":1,"month":"2","day":3},"other":[]}]"#;
    let mut readings = ask(&["A", "B"], body);
    let (b, a) = (readings.remove(1), readings.remove(0));
    let (lines_a, rejects) = lines(a);
    assert_eq!(
        lines_a,
        [
            r#"A Some("2026-01-31")"#,
            "alpha=-1.5",
            "beta=1000.25",
            "fx_hedging=95.5",
            "max_drawdown=-37.99",
            "recovering_period=428",
            "sharpe_ratio=0.92",
            "tracking_error=0",
            "turnover_ratio=0",
        ]
    );
    assert!(rejects.is_empty());
    assert_eq!(lines(b), (vec![], vec![]));
}

/// The shortest valid answer: the required keys, and one value.
const ALPHA: &str = r#"[{"abbrName":"A","representDate":null,"sharpRatio":null,"maximumDrawdown":null,"alpha":"1"}]"#;

#[test]
fn a_code_missing_in_the_answer_is_absent_and_the_other_is_kept() {
    let readings = ask(&["A", "X"], ALPHA);
    assert!(matches!(readings[0], Reading::Observed { .. }));
    assert_eq!(readings[1], Reading::Absent);
    assert_eq!(ask(&["A"], "[]"), [Reading::Absent]);
    // Codes are case-sensitive.
    assert_eq!(ask(&["a"], ALPHA), [Reading::Absent]);
}

#[test]
fn a_bad_cell_costs_one_cell_and_a_renamed_field_is_a_breach() {
    let body = r#"[{"abbrName":"A","representDate":"31/02/2569","sharpRatio":"abc","maximumDrawdown":null,"alpha":"1","recoveringPeriod":{"year":"x"}}]"#;
    let (lines_a, rejects) = lines(ask(&["A"], body).remove(0));
    assert_eq!(lines_a, ["A None", "alpha=1"]);
    assert_eq!(
        rejects,
        [
            "noted *",
            "rejected sharpRatio",
            "rejected recoveringPeriod",
            "noted representDate"
        ]
    );
    for body in [
        r#"[{"name":"A","alpha":"1"}]"#,
        r#"[{"abbrName":"A","x":1}]"#,
        r#"[{"abbrName":"A","representDate":"31/01/2569","alpha":"1"}]"#,
        r#"[{"abbrName":"A","sharpRatio":"1","maximumDrawdown":"1"}]"#,
        r#"{"message":"x"}"#,
        "null",
        "[",
        "",
    ] {
        assert!(matches!(ask(&["A"], body)[0], Reading::Broken(_)), "{body}");
    }
    assert!(matches!(
        ask(&["A"], "<html>denied</html>")[0],
        Reading::NeedsBrowser(_)
    ));
}

fn look(html: &str) -> Reading {
    read_all(
        &site(),
        "statistics",
        &tasks(&["A"]),
        html.as_bytes(),
        Via::Browser,
    )
    .remove(0)
}

#[test]
fn the_page_and_the_api_are_read_alike() {
    let html = "<html><body><div class='card-body'><p>ข้อมูล ณ วันที่ 31/01/2569</p>
        <div><span id='sharpe-ratio'>Sharpe Ratio</span> <span>0.92</span></div>
        <div><span id='alpha'>Alpha</span><span>-1.50 %</span></div>
        <div><span id='beta'>Beta</span><!-- x --> 1,000.25 </div>
        <div><span id='tracking-error'>TE</span><span>N/A</span></div>
        <div><span id='max-drawdown'>MDD</span><span>-37.99%</span></div>
        <div><span id='recovering-period'>RP</span><span>1 ปี 2 เดือน 3 วัน</span></div>
        <div><span id='turnover-ratio'>TR</span><span>0</span></div>
        <div><div><label>FX Hedging</label></div><div class='progress'><div class='progress-bar'>95.50%</div></div></div>
        <div class='progress'><div class='progress-bar'>12%</div></div></div></body></html>";
    let (lines_a, rejects) = lines(look(html));
    assert_eq!(
        lines_a,
        [
            r#"A Some("2026-01-31")"#,
            "alpha=-1.5",
            "beta=1000.25",
            "fx_hedging=95.5",
            "max_drawdown=-37.99",
            "recovering_period=428",
            "sharpe_ratio=0.92",
            "turnover_ratio=0",
        ]
    );
    assert!(rejects.is_empty(), "{rejects:?}");
    assert_eq!(
        look("<div class='card-body'>ไม่พบข้อมูล</div>"),
        Reading::Absent
    );
    assert!(matches!(
        look("<div class='card-body'>x</div>"),
        Reading::Broken(_)
    ));
    for unknown in ["<p>ไม่พบข้อมูล</p>", "<h2> ไม่พบกองทุน ABC </h2>"]
    {
        assert_eq!(
            look(&format!("<app-root>{unknown}</app-root>")),
            Reading::Absent
        );
    }
    for silent in [
        "",
        "<p>ข้อมูลกองทุน</p>",
        "<script>const text = 'ไม่พบข้อมูล';</script>",
        "<noscript>ไม่พบข้อมูล</noscript>",
    ] {
        let shell = format!("<app-root>{silent}</app-root>");
        assert!(matches!(look(&shell), Reading::NeedsBrowser(_)), "{shell}");
    }
}

#[test]
fn a_later_blocks_bar_is_not_the_hedging() {
    let html = "<div class='card-body'><div><p id='sharpe-ratio'></p><p>-</p></div><div><p id='max-drawdown'></p><p>-</p></div><span id='alpha'>a</span><span>1</span>
        <div><label>FX Hedging</label><span>N/A</span></div><div class='progress-bar'>12%</div></div>";
    assert_eq!(lines(look(html)).0, ["A None", "alpha=1"]);
}

/// D13: the date rule is the same for every source; an answer that mixes both date forms is broken for all its funds.
#[test]
fn a_statistics_date_may_be_an_instant_but_not_in_two_ways() {
    let fund = |code: &str, date: &str| {
        format!(
            r#"{{"abbrName":"{code}","representDate":"{date}","sharpRatio":1,"maximumDrawdown":null}}"#
        )
    };
    for (date, day) in [
        ("31/01/2569", "2026-01-31"),
        ("2026-01-30T17:00:00Z", "2026-01-31"),
        ("2026-01-31T00:00:00Z", "2026-01-31"),
        ("2026-01-31 15:08:32.48", "2026-01-31"),
    ] {
        let (lines, _) = lines(ask(&["A"], &format!("[{}]", fund("A", date))).remove(0));
        assert_eq!(lines[0], format!("A Some(\"{day}\")"), "{date}");
    }
    let mixed = format!(
        "[{},{}]",
        fund("A", "2026-01-30T17:00:00Z"),
        fund("B", "2026-01-31T00:00:00Z")
    );
    for reading in ask(&["A", "B"], &mixed) {
        assert!(matches!(reading, Reading::Broken(_)));
    }
}

#[test]
fn a_page_without_a_required_label_is_broken() {
    for html in [
        "<div class='card-body'><div><span id='alpha'>a</span><span>1</span></div></div>",
        "<div class='card-body'><div><span id='sharpe-ratio'>a</span><span>1</span></div></div>",
    ] {
        assert!(matches!(look(html), Reading::Broken(_)), "{html}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), json in r#"[\[\]{}",:a-z0-9 ]{0,60}"#) {
        for via in [Via::Http, Via::Browser] {
            let _ = read_all(&site(), "statistics", &tasks(&["A"]), &bytes, via);
            let _ = read_all(&site(), "statistics", &tasks(&["A"]), json.as_bytes(), via);
        }
    }
}
