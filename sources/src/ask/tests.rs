//! Tests of [`PageFetcher::ask`](super::PageFetcher::ask) with a small site that is written for them, over real HTTP.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse};
use jiff::civil::Date;
use parking_lot::Mutex;
use schema::task::Severity;
use schema::{Dataset, Reject, SourceName, TaskId};
use tokio::net::TcpListener;
use url::Url;

use super::*;
use crate::page::Cadence;
use crate::site::{BrowserVisit, Reading, Request};
use crate::transport::{
    BrowserConfig, HostLimits, HostPatience, SourceConfig, TransportConfig, Webdriver,
};

const fn page(name: &'static str, stage: Stage, together: usize) -> PageSpec {
    PageSpec {
        name,
        stage,
        critical: true,
        tells_factsheets: false,
        cadence: Cadence::EveryCycle,
        tasks_per_request: match NonZeroUsize::new(together) {
            Some(together) => together,
            None => NonZeroUsize::MIN,
        },
        parser_version: 7,
        extents: &[],
        has_daily_values: false,
        chain: None,
    }
}

static PAGES: [PageSpec; 4] = [
    page("list", Stage::Lists, 1),
    page("nav", Stage::Funds, 1),
    page("batch", Stage::Funds, 4),
    page("filter", Stage::News, 1),
];

/// A site whose payloads state how they are to be parsed.
struct PlainSite(Url);

impl Site for PlainSite {
    fn name(&self) -> SourceName {
        SourceName::SecFundcheck
    }

    fn pages(&self) -> &'static [PageSpec] {
        &PAGES
    }

    fn request(&self, page: &PageSpec, tasks: &[PlannedTask]) -> Result<Request, String> {
        let keys: Vec<_> = tasks.iter().map(|task| task.id.key.as_str()).collect();
        Ok(Request {
            url: self
                .0
                .join(&format!("{}/{}", page.name, keys.join(",")))
                .map_err(|error| error.to_string())?,
            post_json: None,
            headers: Vec::new(),
            secret_header: None,
            max_body_bytes: 10_000,
            must_end_in_html: false,
        })
    }

    fn by_browser(
        &self,
        page: &PageSpec,
        task: &PlannedTask,
    ) -> Result<Option<BrowserWay>, String> {
        if page.name != "batch" {
            return Ok(None);
        }
        let url = self.0.join(&format!("seen/{}", task.id.key));
        Ok(Some(BrowserWay::Visit(BrowserVisit {
            url: url.map_err(|error| error.to_string())?,
            ready_css: vec![".value"],
            overlay_css: None,
            lazy_items_css: None,
            lazy_rest: Duration::ZERO,
            patience: Duration::from_secs(5),
            api_names: Vec::new(),
        })))
    }

    fn meaning(&self, _: &PageSpec, status: u16, tasks: usize) -> StatusMeaning {
        match (status, tasks) {
            (400, 1) => StatusMeaning::Absent,
            (400, _) => StatusMeaning::Split,
            _ => StatusMeaning::usual(status, tasks),
        }
    }

    fn read(
        &self,
        _: &PageSpec,
        tasks: &[PlannedTask],
        answer: &Answer,
        _: &ReadContext,
    ) -> Vec<Reading> {
        let breach = || Breach {
            field: "navs".to_owned(),
            expected: "a list".to_owned(),
            found: "rubbish".to_owned(),
        };
        let body = std::str::from_utf8(&answer.body).expect("text");
        let reading = match body {
            seen if answer.via == Via::Browser => {
                assert!(seen.contains("computed 42"), "{seen}");
                Reading::Observed {
                    observations: Vec::new(),
                    rejects: Vec::new(),
                    refused_by_cycle_date: false,
                }
            }
            "panic" => panic!("the parser fell over {body}"),
            "script" => Reading::NeedsBrowser(breach()),
            "rubbish" => Reading::Broken(breach()),
            "absent" => Reading::Absent,
            "too few" => return Vec::new(),
            _ => Reading::Observed {
                observations: Vec::new(),
                rejects: (body == "reject")
                    .then(|| Reject {
                        fund_code: None,
                        dataset: Dataset::Daily,
                        field: "value".to_owned(),
                        reason: "expected a number".to_owned(),
                        sample: "x".to_owned(),
                        severity: Severity::Rejected,
                    })
                    .into_iter()
                    .collect(),
                refused_by_cycle_date: body == "too late",
            },
        };
        vec![reading; tasks.len()]
    }
}

/// Status and body by path.
type Answering = fn(&str) -> (u16, &'static str);

/// A server for the site, a fetcher, and the list of requested paths.
struct World {
    fetcher: PageFetcher,
    asked: Arc<Mutex<Vec<String>>>,
    memory: Arc<CycleMemory>,
    archive: tempfile::TempDir,
}

impl World {
    /// A world whose server answers each path with `answer`.
    async fn new(answer: Answering) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let routes =
            Router::new().fallback(move |uri: axum::http::Uri| {
                let path = uri.path().to_owned();
                let (status, body) = if path == "/robots.txt" {
                    (404, "")
                } else {
                    answer(&path)
                };
                if path != "/robots.txt" {
                    log.lock().push(path);
                }
                async move {
                    (StatusCode::from_u16(status).expect("a status"), Html(body)).into_response()
                }
            });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let base = Url::parse(&format!("http://{address}/")).expect("a URL");
        let source = SourceConfig {
            limits: HostLimits {
                requests_per_sec: 500.0,
                concurrent_requests: NonZeroUsize::MIN,
            },
            own_hosts: vec![base.clone()],
            factsheet_hosts: Vec::new(),
        };
        let transport = Transport::new(TransportConfig {
            sources: BTreeMap::from([(SourceName::SecFundcheck, source)]),
            contact: String::new(),
            request_timeout: Duration::from_secs(5),
            patience: HostPatience::default(),
            browser: BrowserConfig {
                webdriver: Webdriver::Managed,
                sessions: NonZeroUsize::MIN,
                headless: true,
                tabs_per_session: NonZeroUsize::new(4).expect("not 0"),
                pages_per_session: NonZeroUsize::new(100).expect("not 0"),
                profile_dir: None,
            },
        })
        .expect("a transport");
        let memory = Arc::new(CycleMemory::default());
        let archive = tempfile::tempdir().expect("a directory");
        let fetcher = PageFetcher::new(
            Arc::new(PlainSite(base)),
            transport,
            TransportMode::Auto,
            Some(Arc::new(
                Archive::open(archive.path(), 1_000_000).expect("opened"),
            )),
            Arc::clone(&memory),
        );
        Self {
            fetcher,
            asked,
            memory,
            archive,
        }
    }

    async fn ask(&self, page: usize, tasks: Vec<PlannedTask>) -> Asked {
        let context = ReadContext {
            cycle_date: Date::constant(2026, 11, 23),
        };
        self.fetcher
            .ask(&PAGES[page], tasks, context, &WaitingOn::default())
            .await
    }

    async fn ask_one(&self, page: usize, key: &str) -> TaskAnswer {
        let asked = self.ask(page, vec![task(page, key)]).await;
        asked.answers.into_iter().next().expect("one answer")
    }
}

fn task(page: usize, key: &str) -> PlannedTask {
    PlannedTask::new(TaskId {
        source: SourceName::SecFundcheck,
        page: PAGES[page].name.to_owned(),
        key: key.to_owned(),
    })
}

/// Status and body by the last part of a path.
fn by_key(path: &str) -> (u16, &'static str) {
    match path.rsplit('/').next() {
        Some("panic") => (200, "panic"),
        Some("rubbish") => (200, "rubbish"),
        Some("script") => (200, "script"),
        Some("absent") => (200, "absent"),
        Some("few") => (200, "too few"),
        Some("reject") => (200, "reject"),
        Some("late") => (200, "too late"),
        Some("gone") => (404, ""),
        Some("refused") => (403, ""),
        Some("teapot") => (418, ""),
        _ => (200, "good"),
    }
}

#[tokio::test]
async fn every_task_gets_the_outcome_its_page_earned() {
    let world = World::new(by_key).await;
    for (key, outcome, words, attempts) in [
        ("good", "done", "", 1),
        ("absent", "absent", "", 1),
        ("gone", "absent", "", 1),
        ("reject", "done", "", 1),
        ("late", "done", "", 1),
        (
            "rubbish",
            "failed",
            "navs: expected a list, found rubbish (payload kept at",
            1,
        ),
        ("panic", "failed", "the parser fell over", 1),
        ("few", "failed", "0 readings for 1 tasks", 1),
        ("teapot", "failed", "found 418", 1),
        ("script", "failed", "navs", 2),
        ("refused", "failed", "refused", 2),
    ] {
        let answer = world.ask_one(1, key).await;
        assert_eq!(
            (answer.outcome.as_str(), answer.attempts),
            (outcome, attempts),
            "{answer:?}"
        );
        if let Outcome::Failed(text) = &answer.outcome {
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(
            answer.payload.is_some(),
            key == "good",
            "P2: no hash after {key}"
        );
    }
    assert_eq!(world.memory.breach(), None);
}

#[tokio::test]
async fn p2_an_unchanged_payload_is_recognised_only_by_the_same_task_and_parser() {
    let world = World::new(by_key).await;
    let known = world.ask_one(1, "A").await.payload;
    let ask_with = |key: &'static str, known_payload| PlannedTask {
        known_payload,
        ..task(1, key)
    };
    let outcome = async |task| world.ask(1, vec![task]).await.answers[0].outcome.clone();
    assert_eq!(outcome(ask_with("A", known)).await, Outcome::Unchanged);
    assert_eq!(
        outcome(ask_with("B", known)).await,
        Outcome::Done,
        "it never crosses codes"
    );
    let older = known.map(|(hash, version)| (hash, version - 1));
    assert_eq!(outcome(ask_with("A", older)).await, Outcome::Done);
    // D12: the result of parsing also depends on the locator and on the extent.
    for other in [
        PlannedTask {
            locator: Some("another".to_owned()),
            ..ask_with("A", known)
        },
        PlannedTask {
            extent: Some("MAX".to_owned()),
            ..ask_with("A", known)
        },
    ] {
        assert_eq!(outcome(other).await, Outcome::Done);
    }
}

/// News is used only in the cycle that fetched it, so its payload is never recognised as unchanged.
#[tokio::test]
async fn p2_a_page_of_news_is_never_recognised() {
    let world = World::new(by_key).await;
    assert_eq!(world.ask_one(3, "1").await.payload, None);
    assert!(world.ask_one(1, "A").await.payload.is_some());
}

/// D6: news only saves requests, so an error in it costs no more than these requests.
#[tokio::test]
async fn d6_no_number_of_broken_pages_of_news_stops_the_source() {
    for key in ["rubbish", "reject", "panic"] {
        let world = World::new(by_key).await;
        let tasks: Vec<_> = (0..40).map(|at| task(3, &format!("{at}/{key}"))).collect();
        let asked = world.ask(3, tasks).await;
        assert_eq!(asked.breach, None, "{key}");
        let outcome = if key == "reject" { "done" } else { "failed" };
        let as_told = |answer: &&TaskAnswer| answer.outcome.as_str() == outcome;
        assert_eq!(asked.answers.iter().filter(as_told).count(), 40, "{key}");
        assert_eq!(world.ask_one(1, "A").await.outcome, Outcome::Done);
        assert_eq!(world.memory.lost_records(), None);
    }
    let world = World::new(by_key).await;
    assert_eq!(world.ask_one(3, "gone").await.outcome, Outcome::Absent);
    assert_eq!(world.memory.breach(), None);
}

#[tokio::test]
async fn one_bad_code_splits_the_batch_and_the_good_ones_are_kept() {
    let world = World::new(|path| {
        if path.contains("bad") {
            (400, "")
        } else {
            (200, "good")
        }
    })
    .await;
    let tasks = ["a", "b", "bad", "c"].map(|key| task(2, key)).to_vec();
    let mut answers = world.ask(2, tasks).await.answers;
    answers.sort_by(|a, b| a.id.cmp(&b.id));
    let outcomes: Vec<_> = answers
        .iter()
        .map(|answer| (answer.id.key.as_str(), answer.outcome.as_str()))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("a", "done"),
            ("b", "done"),
            ("bad", "absent"),
            ("c", "done")
        ]
    );
    assert_eq!(
        *world.asked.lock(),
        [
            "/batch/a,b,bad,c",
            "/batch/a,b",
            "/batch/bad,c",
            "/batch/bad",
            "/batch/c"
        ]
    );
}

#[tokio::test]
async fn d6_too_many_broken_pages_stop_the_source_for_the_round() {
    let world = World::new(|_| (200, "rubbish")).await;
    let tasks: Vec<_> = (0..25).map(|index| task(1, &index.to_string())).collect();
    let asked = world.ask(1, tasks).await;
    let breach = asked.breach.expect("a breach");
    for words in [
        "20 of the 20 requested nav pages",
        "/nav/19: navs: expected a list, found rubbish",
        "payload kept at",
        ".gz",
    ] {
        assert!(breach.contains(words), "{breach}");
    }
    let deferred = asked
        .answers
        .iter()
        .filter(|answer| answer.outcome.as_str() == "deferred");
    assert_eq!((asked.answers.len(), deferred.count()), (25, 5));
    assert_eq!(world.asked.lock().len(), 20, "the rest was not requested");
    world.memory.begin_round();
    assert_eq!(world.memory.breach(), None);
}

#[tokio::test]
async fn d6_too_many_rejects_stop_the_source_but_what_was_read_stands() {
    let world = World::new(|_| (200, "reject")).await;
    let tasks: Vec<_> = (0..21).map(|index| task(1, &index.to_string())).collect();
    let asked = world.ask(1, tasks).await;
    let done = asked
        .answers
        .iter()
        .filter(|answer| answer.outcome == Outcome::Done);
    assert_eq!(done.count(), 20);
    assert!(
        asked
            .breach
            .is_some_and(|text| text.contains("daily value: expected a number, found `x`"))
    );
}

#[tokio::test]
async fn d7_a_broken_or_absent_list_is_a_breach_at_once() {
    for key in ["rubbish", "gone", "absent", "panic", "script"] {
        let world = World::new(by_key).await;
        let asked = world.ask(0, vec![task(0, key)]).await;
        assert_eq!(asked.answers[0].outcome.as_str(), "failed", "{key}");
        assert!(
            asked
                .breach
                .is_some_and(|text| text.contains("whole market")),
            "{key}"
        );
    }
}

#[tokio::test]
async fn o6_rejected_payloads_and_the_first_good_ones_are_kept() {
    let world = World::new(by_key).await;
    for key in ["good", "reject", "rubbish"] {
        world.ask_one(1, key).await;
    }
    let of_page = world.archive.path().join("sec_fundcheck/nav");
    for (folder, files) in [("2026-11-sample", 1), ("2026-11-rejected", 2)] {
        let there = std::fs::read_dir(of_page.join(folder))
            .expect("a folder")
            .count();
        assert_eq!(there, files, "{folder}");
    }
}

const COMPUTED: &str = "<html><body><script>setTimeout(() => { const p = document.createElement('p'); p.className = 'value'; p.textContent = 'computed ' + 6 * 7; document.body.append(p); }, 100);</script></body></html>";

#[tokio::test]
async fn auto_changes_to_the_browser_after_two_calls_for_it_and_stays_there() {
    let ways: [Answering; 2] = [
        |path: &str| {
            if path.starts_with("/seen/") {
                (200, COMPUTED)
            } else {
                (200, "script")
            }
        },
        |path: &str| {
            if path.starts_with("/seen/") {
                (200, COMPUTED)
            } else {
                (403, "")
            }
        },
    ];
    for by_http in ways {
        let world = World::new(by_http).await;
        let asked = world
            .ask(2, ["a", "b"].map(|key| task(2, key)).to_vec())
            .await;
        let outcomes: Vec<_> = asked
            .answers
            .iter()
            .map(|answer| (answer.outcome.as_str(), answer.attempts))
            .collect();
        assert!(
            outcomes
                .iter()
                .all(|(outcome, attempts)| *outcome == "done" && (2..=3).contains(attempts)),
            "{asked:?}"
        );
        assert_eq!(world.ask_one(2, "c").await.outcome, Outcome::Done);
        let by_http = world
            .asked
            .lock()
            .iter()
            .filter(|path| path.starts_with("/batch/"))
            .count();
        assert!(by_http <= 3, "{by_http}");
        assert!(
            !world.asked.lock().contains(&"/batch/c".to_owned()),
            "for the rest of the cycle"
        );
        let http_only = PageFetcher {
            mode: TransportMode::Http,
            memory: Arc::default(),
            ..world.fetcher.clone()
        };
        let context = ReadContext {
            cycle_date: Date::constant(2026, 11, 23),
        };
        let asked = http_only
            .ask(
                &PAGES[2],
                vec![task(2, "d")],
                context,
                &WaitingOn::default(),
            )
            .await;
        assert_eq!(asked.answers[0].outcome.as_str(), "failed");
        let browser_only = PageFetcher {
            mode: TransportMode::Browser,
            memory: Arc::default(),
            ..world.fetcher.clone()
        };
        let asked = browser_only
            .ask(
                &PAGES[2],
                vec![task(2, "e"), task(2, "f")],
                context,
                &WaitingOn::default(),
            )
            .await;
        assert_eq!(
            asked
                .answers
                .iter()
                .filter(|answer| answer.outcome == Outcome::Done)
                .count(),
            2
        );
        assert!(
            !world
                .asked
                .lock()
                .iter()
                .any(|path| path.contains("/batch/e"))
        );
        world.fetcher.transport.close_browsers().await;
    }
}

#[tokio::test]
async fn a_source_refused_by_the_browser_too_is_down_for_the_round() {
    let world = World::new(|_| (403, "<html><body class=value></body></html>")).await;
    let tasks = ["a", "b", "c", "d", "e"].map(|key| task(2, key)).to_vec();
    let asked = world.ask(2, tasks).await;
    assert!(
        asked
            .breach
            .is_some_and(|text| text.contains("in the browser, too"))
    );
    assert!(
        asked
            .answers
            .iter()
            .all(|answer| answer.outcome.as_str() == "deferred"),
        "{:?}",
        asked.answers
    );
    world.fetcher.transport.close_browsers().await;
}

#[test]
fn a_refusal_advises_only_keys_that_the_source_has() {
    for (source, mode, has_browser_way, names_transport) in [
        (SourceName::Finnomena, TransportMode::Http, true, true),
        (SourceName::Finnomena, TransportMode::Auto, true, false),
        (SourceName::Wealthmagik, TransportMode::Http, true, true),
        (SourceName::SecFundcheck, TransportMode::Http, true, true),
        // A factsheet, which a browser cannot show; a browser that is already in use.
        (SourceName::Wealthmagik, TransportMode::Http, false, false),
        (SourceName::Wealthmagik, TransportMode::Auto, true, false),
        (
            SourceName::SecFundcheck,
            TransportMode::Browser,
            true,
            false,
        ),
    ] {
        let advice = super::refusal_advice(source, mode, has_browser_way);
        let key = format!("sources.{source}.transport");
        assert_eq!(advice.contains(&key), names_transport, "{advice}");
        assert_eq!(advice.contains("transport"), names_transport, "{advice}");
        assert!(
            advice.contains(&format!("sources.{source}.requests_per_sec")),
            "{advice}"
        );
    }
}
