use jiff::Timestamp;
use jiff::civil::date;
use schema::{Dataset, SourceName};
use store::StatedValue;

use super::*;

fn at() -> Timestamp {
    "2026-10-14T20:00:00Z".parse().expect("a moment")
}

fn said(source: SourceName, value: &str, wins: bool, why: &str) -> StatedValue {
    StatedValue {
        source,
        dataset: Dataset::Master,
        value: value.to_owned(),
        as_of_date: None,
        said_at: at(),
        url: "https://site.example/".to_owned(),
        wins,
        why: why.to_owned(),
    }
}

fn link(old: &str, new: &str, is_certain: bool, rule: &str) -> NameLink {
    NameLink {
        old: FundCode::parse(old).expect("a code"),
        new: FundCode::parse(new).expect("a code"),
        rule: rule.to_owned(),
        is_certain,
        evidence: "{\"finnomena_ids\": [\"F1\"]}".to_owned(),
    }
}

#[test]
fn each_sources_value_and_the_winner_are_shown() {
    let story = FundStory {
        explanation: Explanation {
            fund_code: FundCode::parse("K-USA-A(A)").expect("a code"),
            in_universe: true,
            fund_status: Some("active".to_owned()),
            names: vec![
                link("K-USA", "K-USA-A", true, "finnomena_id"),
                link("K-USA-A", "K-USA-A(A)", false, "hand_over"),
            ],
            fields: vec![FieldExplanation {
                table: "funds_master_info",
                column: "risk_level",
                stands: Some("6".to_owned()),
                said: vec![
                    said(SourceName::Finnomena, "6", true, "first in rank"),
                    said(
                        SourceName::Wealthmagik,
                        "5",
                        false,
                        "finnomena in master ranks higher",
                    ),
                ],
            }],
            statements: vec![Statement {
                source: SourceName::Wealthmagik,
                dataset: Dataset::FullHoldings,
                holds: "31 rows".to_owned(),
                as_of_date: Some(date(2026, 9, 30)),
                said_at: at(),
                url: "https://site.example/port".to_owned(),
            }],
            newest_day: Some(DayExplanation {
                nav_date: date(2026, 10, 14),
                stands: [
                    Some("10.1234".to_owned()),
                    None,
                    None,
                    Some("1000".to_owned()),
                    Some("finnomena".to_owned()),
                ],
                dissents: vec![(
                    SourceName::Wealthmagik,
                    "nav_value".to_owned(),
                    "10.1233".to_owned(),
                )],
            }),
            rejected: vec![RejectedRecord {
                source: SourceName::Finnomena,
                page: "nav".to_owned(),
                field: "date".to_owned(),
                reason: "no NAV date".to_owned(),
                sample: "2099-01-01".to_owned(),
                severity: "rejected".to_owned(),
                rejected_at: at(),
            }],
        },
        disagreements: vec![Disagreement {
            table: "funds_daily".to_owned(),
            key: "2026-10-13".to_owned(),
            field: "nav_value".to_owned(),
            source: SourceName::Wealthmagik,
            says: "10.1".to_owned(),
            stands: Some("10.2".to_owned()),
        }],
        freshness: vec![Freshness {
            source: SourceName::Finnomena,
            page: "nav".to_owned(),
            last_answer_at: Some(at()),
            outcome: Some("done".to_owned()),
            failure: None,
        }],
        to_remerge: Vec::new(),
        rhythm: Some(FundRhythm {
            newest_nav: Some(date(2026, 10, 14)),
            gap_days: Some(1),
            rhythm: Some("daily".to_owned()),
        }),
    };
    let zone = TimeZone::get("Asia/Bangkok").expect("a time zone");
    insta::assert_snapshot!(shown(&story, &zone));
}

#[test]
fn hostile_values_stay_on_one_bounded_line() {
    let shown = value(Some(&"a\n\u{1b}[2J".repeat(100)));
    assert!(!shown.contains('\n') && !shown.contains('\u{1b}'));
    assert_eq!(shown.chars().count(), VALUE_CHARS + 1);
}
