//! All wrong values of a configuration are reported; valid values have their documented meaning.

use schema::SourceName;
use schema::precedence::Precedence;

use super::*;

const EVERYTHING_WRONG: &str = r#"(
    mode: Turbo,
    database: Url("mysql://me:hunter2@host/db"),
    schedule: (timezone: "Asia/Bangkock", daily_at: "25:00", retry_at: "7", skip_weekdays: [Sunday, Funday], holidays: ["2026-02-30"]),
    sources: (
        finnomena: (base_url: "ftp://www.finnomena.com", requests_per_sec: -1.0, concurrent_requests: 0, factsheet_hosts: ["nowhere"]),
        wealthmagik: (base_url: "https://me:hunter2@www.wealthmagik.com", transport: Telepathy, requests_per_sec: inf),
        sec_fundcheck: (page_url: "https://fundcheck.sec.or.th/x", api_url: "", requests_per_sec: 0.0, concurrent_requests: 1000),
    ),
    browser: (webdriver: Url("grid:4444"), sessions: -1, tabs_per_session: 17, pages_per_session: 0),
    patience: (request_timeout_secs: 0, host_back_off_secs: (600, 30), host_wait_secs: -5),
    supervision: (max_restarts: -1, max_writer_restarts: 5000, within_secs: 0, restart_delay_secs: (0, 1), stuck_after_secs: 0, shutdown_secs: 0),
    modes: (sequential: (credits: 0), parallel: (fetches_in_flight: 100, loader_mailbox: -2, browser_sessions: 99)),
    user_agent_contact: "call me (maybe)",
    retention: (archive_dir: "", archive_mb: -1, rejected_rows: 0, cycles: 0),
    precedence: {
        "funds_dialy": ["finnomena"],
        "funds_fee.ter": ["finnomena"],
        "funds_daily.bid": ["finnomena", "bloomberg", wealthmagik, "wealthmagik"],
        "funds_codes": [],
        "funds_codes": ["finnomena"],
    },
)"#;

fn check(text: &str, database_url: Option<&str>) -> Result<RunnerSettings, ConfigError> {
    let path = Path::new("runner.ron");
    RunnerSettings::check(path, &RunnerConfig::parse(path, text)?, database_url)
}

#[test]
fn every_wrong_value_is_reported_at_once_by_its_key_path() {
    let said = check(EVERYTHING_WRONG, None)
        .expect_err("wrong")
        .to_string();
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said);
}

#[test]
fn the_file_at_the_root_is_the_documented_defaults() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/runner.ron"));
    let written = RunnerConfig::load(root, true).expect("readable");
    let settings = RunnerSettings::check(root, &written, None).expect("right");
    assert_eq!(check("()", None).ok(), Some(settings));
}

#[test]
fn the_container_s_file_is_right() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docker/runner.ron"));
    let written = RunnerConfig::load(path, true).expect("readable");
    let settings = RunnerSettings::check(path, &written, None).expect("right");
    assert!(matches!(settings.browser.webdriver, Webdriver::Url(_)));
}

#[test]
fn the_environment_goes_before_the_file() {
    let url = "postgres://me:hunter2@host/funds_db";
    let settings = check("()", Some(url)).expect("right");
    assert_eq!(
        settings.database,
        DatabaseSettings::Url(url.parse().expect("an address"))
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
    let said = check("()", Some("hunter2")).expect_err("wrong").to_string();
    assert!(
        said.contains("DATABASE_URL") && !said.contains("hunter2"),
        "{said}"
    );
    let settings = check("()", Some("")).expect("an empty variable is none");
    assert!(matches!(settings.database, DatabaseSettings::Embedded(_)));
}

#[test]
fn a_mode_never_has_more_browsers_than_the_machine_may() {
    let settings = check(
        "(mode: 3, browser: (sessions: 2), modes: (parallel: (browser_sessions: 9)))",
        None,
    );
    assert_eq!(settings.expect("right").sizes().browser_sessions.get(), 2);
    let settings = check("(mode: 3, browser: (sessions: 4))", None).expect("right");
    assert_eq!(settings.sizes().browser_sessions.get(), 4);
}

#[test]
fn a_source_may_fetch_factsheets_from_its_own_host_and_the_listed_ones() {
    let text = r#"(sources: (finnomena: (base_url: "http://127.0.0.1:1", factsheet_hosts: ["http://127.0.0.1:2"])))"#;
    let sources = check(text, None).expect("right").sources;
    let of = |name| {
        let source = sources.iter().find(|source| source.spec.name == name);
        source.expect("a source").address.clone()
    };
    let finnomena = of(SourceName::Finnomena);
    assert_eq!(finnomena.root.as_str(), "http://127.0.0.1:1/");
    assert_eq!(finnomena.factsheet_hosts, ["127.0.0.1:1", "127.0.0.1:2"]);
    // The others keep their defaults. FundCheck has no links to factsheets.
    let fundcheck = of(SourceName::SecFundcheck);
    assert_eq!(fundcheck.factsheet_hosts, Vec::<String>::new());
    let others: Vec<String> = fundcheck.hosts().map(ToString::to_string).collect();
    assert_eq!(
        others,
        [
            "https://fundcheck.sec.or.th/",
            "https://web-fct-api.sec.or.th/"
        ]
    );
}

#[test]
fn a_configured_rank_changes_the_default_of_its_table_or_column_alone() {
    let text = r#"(precedence: {"funds_daily.nav_value": ["wealthmagik", "sec_open_api"], "funds_fee": [wealthmagik]})"#;
    let precedence = check(text, None).expect("right").precedence;
    let lines: Vec<String> = precedence
        .ranks()
        .iter()
        .filter(|rank| rank.is_configured)
        .map(|rank| format!("{}: {:?}", rank.place, rank.sources))
        .collect();
    assert_eq!(
        lines,
        [
            "funds_fee: [Wealthmagik, Finnomena, SecOpenApi, Adopted]",
            "funds_daily.nav_value: [Wealthmagik, SecOpenApi, Finnomena, Adopted]",
        ]
    );
    assert_eq!(
        check("()", None).expect("right").precedence,
        Precedence::default()
    );
}

/// P1: no contact is invented.
#[test]
fn without_a_configured_contact_none_is_sent() {
    for (text, contact) in [
        ("()", ""),
        ("(user_agent_contact: None)", ""),
        ("(user_agent_contact: \"me@example.org\")", "me@example.org"),
    ] {
        assert_eq!(
            check(text, None).expect("right").user_agent_contact,
            contact
        );
    }
}
