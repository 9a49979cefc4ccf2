use jiff::civil::date;
use schema::columns::MasterFields;
use schema::observation::{PortfolioKind, PortfolioRow};
use schema::{Dataset, SourceName};
use sources::site::{Answer, Breach};

use super::*;

fn code(text: &str) -> FundCode {
    FundCode::parse(text).expect("a code")
}

fn number(text: &str) -> Option<Number> {
    Some(Number::parse(text).expect("a number"))
}

fn observation(fund_code: &str, said: ObservationData) -> Observation {
    Observation {
        fund_code: code(fund_code),
        source: SourceName::Wealthmagik,
        as_of_date: Some(date(2026, 10, 14)),
        url: "https://site.example/".to_owned(),
        data: said,
    }
}

fn probed(reading: Reading) -> Probed {
    Probed {
        page: "profile",
        key: "K-USA-A(A)".to_owned(),
        answer: Ok(Answer {
            url: "https://site.example/funds/K-USA-A%28A%29/profile"
                .parse()
                .expect("a URL"),
            status: 200,
            content_type: Some("text/html".to_owned()),
            body: b"<html></html>".to_vec().into(),
            via: Via::Browser,
        }),
        reading: Some(reading),
        changed_to_browser: Some("body: expected data, found a script".to_owned()),
    }
}

#[test]
fn what_was_parsed_and_what_was_rejected_is_shown() {
    let reading = Reading::Observed {
        observations: vec![
            observation(
                "K-USA-A(A)",
                ObservationData::Master(MasterFields {
                    full_name_th: Some("เคยูเอสเอ\u{1b}[2J".to_owned()),
                    risk_level: Some(6),
                    ..MasterFields::default()
                }),
            ),
            observation(
                "K-USA-A(A)",
                ObservationData::Daily(vec![DailyPoint {
                    nav_date: date(2026, 10, 14),
                    nav: number("10.1234"),
                    aum: None,
                    bid: number("10.1"),
                    offer: number("10.2"),
                }]),
            ),
            observation(
                "K-USA-A(A)",
                ObservationData::Portfolio(Portfolio {
                    kind: PortfolioKind::FullHoldings,
                    rows: vec![PortfolioRow {
                        name: "PTT PCL (PTT)".to_owned(),
                        percent: number("12.5"),
                    }],
                    unreadable: 0,
                }),
            ),
            observation("OTHER", ObservationData::Codes(Vec::new())),
        ],
        rejects: vec![Reject {
            fund_code: None,
            dataset: Dataset::Daily,
            field: "offer".to_owned(),
            reason: "not a number".to_owned(),
            sample: "n/a".to_owned(),
            severity: Severity::Rejected,
        }],
        refused_by_cycle_date: false,
    };
    insta::assert_snapshot!(shown(&probed(reading), &code("K-USA-A(A)")));
}

#[test]
fn an_unreadable_page_is_shown_with_what_was_expected_and_found() {
    let reading = Reading::Broken(Breach {
        field: "navs".to_owned(),
        expected: "an array".to_owned(),
        found: "null".to_owned(),
    });
    let text = shown(&probed(reading), &code("A"));
    assert!(
        text.contains("NOT READ: navs: expected an array, found null"),
        "{text}"
    );
    let silent = Probed {
        answer: Err("the host is down".to_owned()),
        reading: None,
        ..probed(Reading::Absent)
    };
    assert!(shown(&silent, &code("A")).contains("NO ANSWER: the host is down"));
}
