use schema::FundCode;
use schema::columns::ListingFields;
use sources::site::{Answer, Breach, Via};

use super::*;

fn facts() -> ServerFacts {
    ServerFacts {
        server_version: "16.4".to_owned(),
        schema_version: 1,
        to_be_adopted: false,
        lock_holder: None,
    }
}

fn list(reading: Reading) -> Probed {
    Probed {
        page: "list",
        key: TaskId::WHOLE_MARKET.to_owned(),
        answer: Ok(Answer {
            url: "https://site.example/list".parse().expect("a URL"),
            status: 200,
            content_type: None,
            body: b"[]".to_vec().into(),
            via: Via::Http,
        }),
        reading: Some(reading),
        changed_to_browser: None,
    }
}

fn listing(code: &str, active: bool) -> Observation {
    Observation {
        fund_code: FundCode::parse(code).expect("a code"),
        source: SourceName::Finnomena,
        as_of_date: None,
        url: "https://site.example/list".to_owned(),
        data: ObservationData::Listing {
            source_key: code.to_owned(),
            fields: ListingFields {
                sec_is_active: Some(active),
                ..ListingFields::default()
            },
        },
    }
}

fn said(observations: Vec<Observation>) -> Probed {
    list(Reading::Observed {
        observations,
        rejects: Vec::new(),
        refused_by_cycle_date: false,
    })
}

#[test]
fn each_thing_gets_one_line_with_the_next_step() {
    let broken = list(Reading::Broken(Breach {
        field: "short_code".to_owned(),
        expected: "a fund code".to_owned(),
        found: "nothing".to_owned(),
    }));
    let needs = list(Reading::NeedsBrowser(Breach {
        field: "body".to_owned(),
        expected: "data".to_owned(),
        found: "a script".to_owned(),
    }));
    let silent = Probed {
        answer: Err("https://site.example/list: the host is down".to_owned()),
        reading: None,
        ..said(Vec::new())
    };
    let waiting = StoreError::Outage("connection refused".to_owned());
    let place = "postgres://me@db:5432/funds_db";
    let found = [
        ("database", Ok(database_words(place, &facts()))),
        ("database", Err(database_failure(place, &waiting))),
        (
            "finnomena",
            judged(SourceName::Finnomena, &said(vec![listing("A", true)])),
        ),
        ("finnomena", judged(SourceName::Finnomena, &broken)),
        (
            "finnomena",
            judged(SourceName::Finnomena, &said(Vec::new())),
        ),
        ("wealthmagik", judged(SourceName::Wealthmagik, &needs)),
        ("wealthmagik", judged(SourceName::Wealthmagik, &silent)),
    ];
    let mut lines: Vec<String> = found
        .into_iter()
        .map(|(what, found)| line(&Tried { what, found }))
        .collect();
    lines.push(closing(7, 0));
    lines.push(closing(7, 5));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn check_reports_who_holds_the_database_and_what_the_first_run_will_do() {
    let held = ServerFacts {
        lock_holder: Some("master_runner from the same machine".to_owned()),
        ..facts()
    };
    assert!(database_words("db", &held).contains("a runner holds it (master_runner"));
    let older = ServerFacts {
        schema_version: 0,
        to_be_adopted: true,
        ..facts()
    };
    assert!(database_words("db", &older).contains("adopts"));
}

#[test]
fn a_source_without_a_list_is_tried_with_an_active_fund() {
    let probed = said(vec![listing("GONE", false), listing("HERE", true)]);
    assert_eq!(listed_code(&probed).as_deref(), Some("HERE"));
}

#[test]
fn the_ranks_in_force_are_listed_and_configured_ones_are_marked() {
    let configured = Precedence::configured([
        ("funds_daily.nav_value", vec!["wealthmagik"]),
        ("funds_statistics", vec!["sec_open_api"]),
        ("funds_fee.ter_max", vec!["sec_open_api", "wealthmagik"]),
    ]);
    insta::assert_snapshot!(ranks(&configured.expect("a precedence")));
}

#[test]
fn no_line_shows_a_password() {
    let shown = line(&Tried {
        what: "database",
        found: Err("cannot reach postgres://me:hunter2@db/funds".to_owned()),
    });
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_contact_is_recommended_where_none_is_configured() {
    let path = Path::new("/etc/runner.ron");
    for (contact, agent_ends, recommended) in [
        ("", "master_runner/", true),
        ("me@example.org", "(+me@example.org)`", false),
        (
            "https://example.org/bot",
            "(+https://example.org/bot)`",
            false,
        ),
    ] {
        let text = configuration(Some(path), contact);
        assert!(
            text.contains(agent_ends) && text.contains("master_runner/"),
            "{text}"
        );
        assert_eq!(
            text.contains("set user_agent_contact"),
            recommended,
            "{text}"
        );
    }
}
