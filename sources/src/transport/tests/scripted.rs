//! Simulated time, and a host that answers from a script.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use async_trait::async_trait;
use bytes::Bytes;

use crate::site::{Request, StatusMeaning};

use super::super::backend::{Blame, Incoming, Outgoing, Prepared, WireFailure};
use super::super::*;

/// The reaction of the scripted host to the next request.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Status(u16),
    RetryAfter(u16, u64),
    Cut,
    Hang,
}

#[derive(Default)]
pub struct Script {
    acts: Mutex<VecDeque<Act>>,
    /// The reaction after the end of the script.
    then: Mutex<Option<Act>>,
    robots: Mutex<VecDeque<Act>>,
    takes: Duration,
    seen: Mutex<Vec<(Instant, String)>>,
    in_flight: Mutex<(usize, usize)>,
}

#[derive(Clone)]
struct ScriptedWire(Arc<Script>);

#[async_trait]
impl Wire for ScriptedWire {
    async fn prepare(&self, _: &Outgoing, _: &WaitingOn) -> Result<Box<dyn Prepared>, WireFailure> {
        Ok(Box::new(self.clone()))
    }
}

struct InFlight<'script>(&'script Script);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.lock().0 -= 1;
    }
}

#[async_trait]
impl Prepared for ScriptedWire {
    async fn exchange(self: Box<Self>, outgoing: &Outgoing) -> Result<Incoming, WireFailure> {
        let script = &self.0;
        script
            .seen
            .lock()
            .push((Instant::now(), outgoing.url.path().to_owned()));
        {
            let mut in_flight = script.in_flight.lock();
            in_flight.0 += 1;
            in_flight.1 = in_flight.1.max(in_flight.0);
        }
        let _in_flight = InFlight(script);
        tokio::time::sleep(script.takes).await;
        let act = if outgoing.url.path() == "/robots.txt" {
            script.robots.lock().pop_front().unwrap_or(Act::Status(404))
        } else {
            let next = script.acts.lock().pop_front();
            next.or(*script.then.lock()).unwrap_or(Act::Status(200))
        };
        let (status, retry_after) = match act {
            Act::Status(status) => (status, None),
            Act::RetryAfter(status, seconds) => (status, Some(Duration::from_secs(seconds))),
            Act::Cut => {
                return Err(WireFailure {
                    text: "the body was cut".to_owned(),
                    blame: Blame::Host,
                });
            }
            Act::Hang => std::future::pending().await,
        };
        Ok(Incoming {
            status,
            content_type: None,
            location: None,
            retry_after,
            body: Bytes::from_static(b"body"),
        })
    }
}

fn transport(script: &Arc<Script>, rate: f64, at_once: usize) -> Transport {
    let limits = HostLimits {
        requests_per_sec: rate,
        concurrent_requests: NonZeroUsize::new(at_once).expect("not 0"),
    };
    let source = SourceConfig {
        limits,
        own_hosts: Vec::new(),
        factsheet_hosts: Vec::new(),
    };
    let browser = BrowserConfig {
        webdriver: Webdriver::Managed,
        sessions: NonZeroUsize::MIN,
        tabs_per_session: NonZeroUsize::MIN,
        headless: true,
        pages_per_session: NonZeroUsize::MIN,
        profile_dir: None,
    };
    let config = TransportConfig {
        sources: BTreeMap::from([(SourceName::Finnomena, source)]),
        contact: String::new(),
        request_timeout: Duration::from_secs(30),
        patience: HostPatience::default(),
        browser: browser.clone(),
    };
    let wire = Arc::new(ScriptedWire(Arc::clone(script)));
    let sessions = BrowserWire::new(browser, String::new(), Vec::new(), Duration::from_secs(1));
    Transport::over(config, wire.clone(), wire, sessions, SiteClocks::default())
        .expect("a transport")
}

fn request(path: &str) -> Request {
    Request {
        url: Url::parse(&format!("https://site.th{path}")).expect("a URL"),
        post_json: None,
        headers: Vec::new(),
        secret_header: None,
        max_body_bytes: 1_000,
        must_end_in_html: false,
    }
}

async fn ask(transport: &Transport, path: &str) -> Result<Fetched, FetchFailure> {
    ask_watched(transport, path, &WaitingOn::default()).await
}

async fn ask_watched(
    transport: &Transport,
    path: &str,
    waiting: &WaitingOn,
) -> Result<Fetched, FetchFailure> {
    let call = Call {
        source: SourceName::Finnomena,
        meaning: &|status| StatusMeaning::usual(status, 1),
        attempts_before: 0,
        redirects: RedirectScope::SameHost,
        waiting,
    };
    transport.fetch(&request(path), &call).await
}

async fn ask_many(transport: &Transport, count: usize) -> Vec<Result<Fetched, FetchFailure>> {
    let asked = (0..count).map(|index| {
        let transport = transport.clone();
        async move { ask(&transport, &format!("/{index}")).await }
    });
    futures_util::future::join_all(asked).await
}

fn script(acts: impl IntoIterator<Item = Act>, then: Option<Act>) -> Arc<Script> {
    Arc::new(Script {
        acts: Mutex::new(acts.into_iter().collect()),
        then: Mutex::new(then),
        takes: Duration::from_millis(50),
        ..Script::default()
    })
}

fn pages_seen(script: &Script) -> Vec<Instant> {
    script
        .seen
        .lock()
        .iter()
        .filter(|(_, path)| path != "/robots.txt")
        .map(|(at, _)| *at)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn p1_requests_start_evenly_within_rate_and_slots_after_robots() {
    let script = Arc::new(Script {
        takes: Duration::from_secs(1),
        ..Script::default()
    });
    let transport = transport(&script, 4.0, 3);
    let answers = ask_many(&transport, 40).await;
    assert!(answers.iter().all(Result::is_ok));
    let seen = script.seen.lock().clone();
    assert_eq!(seen[0].1, "/robots.txt");
    assert_eq!(
        seen.iter()
            .filter(|(_, path)| path == "/robots.txt")
            .count(),
        1
    );
    for (index, (first, _)) in seen.iter().enumerate() {
        let second = *first + Duration::from_secs(1);
        let within = seen[index..].iter().filter(|(at, _)| *at < second).count();
        assert!(within <= 5, "{within} requests within a second at rate 4");
    }
    assert_eq!(script.in_flight.lock().1, 3);
    assert_eq!(script.in_flight.lock().0, 0);
}

#[tokio::test(start_paused = true)]
async fn p1_a_throttled_request_waits_in_place_and_is_no_failure_nor_attempt() {
    for status in [429, 421, 503] {
        let script = script((0..9).map(|_| Act::RetryAfter(status, 7)), None);
        let transport = transport(&script, 8.0, 2);
        let fetched = ask(&transport, "/x").await.expect("an answer");
        assert_eq!(fetched.attempts, 1);
        let seen = pages_seen(&script);
        assert_eq!(seen.len(), 10);
        for pair in seen.windows(2) {
            assert!(
                pair[1] - pair[0] >= Duration::from_secs(7),
                "before Retry-After"
            );
        }
        let host = &transport.snapshot().hosts[0];
        assert_eq!((host.throttled, host.retries), (9, 0));
        assert!((host.rate_now - 1.0).abs() < 1e-9, "{}", host.rate_now);
    }
}

#[tokio::test(start_paused = true)]
async fn p3_four_attempts_then_failed() {
    for act in [Act::Status(502), Act::Cut] {
        let script = script([], Some(act));
        let transport = transport(&script, 8.0, 2);
        let failure = ask(&transport, "/x").await.expect_err("no answer");
        assert_eq!((failure.kind, failure.attempts), (FailureKind::Failed, 4));
        assert_eq!(pages_seen(&script).len(), 4);
        assert_eq!(transport.snapshot().hosts[0].retries, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_of_any_other_status_come_back_at_once() {
    for status in [200, 204, 400, 401, 403, 404, 418] {
        let script = script([Act::Status(status)], None);
        let fetched = ask(&transport(&script, 8.0, 2), "/x")
            .await
            .expect("an answer");
        assert_eq!((fetched.answer.status, fetched.attempts), (status, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn p3_a_waiting_retry_holds_no_slot() {
    let script = script([Act::Status(502)], None);
    let transport = transport(&script, 8.0, 1);
    let first = tokio::spawn({
        let transport = transport.clone();
        async move { ask(&transport, "/failing").await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    ask(&transport, "/other")
        .await
        .expect("answered while the first waits");
    assert!(
        !first.is_finished(),
        "the second waited for the slot of the first"
    );
    first.await.expect("no panic").expect("answered later");
}

#[tokio::test(start_paused = true)]
async fn p3_a_down_host_gets_one_probe_per_back_off_and_is_then_given_up() {
    let script = Arc::new(Script {
        then: Mutex::new(Some(Act::Status(500))),
        takes: Duration::from_secs(1),
        ..Script::default()
    });
    let transport = transport(&script, 8.0, 6);
    let began = Instant::now();
    let results = ask_many(&transport, 60).await;
    let deferred = results.iter().filter(|result| {
        matches!(result, Err(failure) if failure.kind == FailureKind::Deferred && failure.text.contains("host down"))
    });
    assert!(deferred.count() >= 50);
    assert!(results.iter().all(Result::is_err));
    let waited = Instant::now() - began;
    assert!(
        waited >= Duration::from_secs(1_800) && waited < Duration::from_secs(1_900),
        "{waited:?}"
    );
    let seen = pages_seen(&script);
    let late: Vec<_> = seen
        .iter()
        .filter(|at| **at - began > Duration::from_secs(25))
        .collect();
    assert!(
        late.len() <= 7,
        "{} requests to a host that is down",
        late.len()
    );
    for pair in late.windows(2) {
        assert!(*pair[1] - *pair[0] >= Duration::from_secs(30));
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_cancelled_makes_room_for_the_next() {
    let script = script((0..5).map(|_| Act::Status(500)).chain([Act::Hang]), None);
    let transport = transport(&script, 8.0, 6);
    let hanging = tokio::spawn({
        let transport = transport.clone();
        async move { ask_many(&transport, 1).await }
    });
    let others = tokio::spawn({
        let transport = transport.clone();
        async move { ask_many(&transport, 4).await }
    });
    // One of the five calls is the probe and hangs; the first call is aborted while the host is down.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(pages_seen(&script).len(), 6, "only the probe was sent");
    hanging.abort();
    others.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    ask(&transport, "/x").await.expect("the next probe");
}

#[tokio::test(start_paused = true)]
async fn p3_a_host_that_recovers_is_requested_again() {
    let script = script((0..9).map(|_| Act::Status(500)), None);
    let transport = transport(&script, 8.0, 3);
    let results = ask_many(&transport, 20).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(transport.snapshot().hosts[0].state, HostState::Open);
}

#[tokio::test(start_paused = true)]
async fn p3_a_host_that_refuses_for_an_hour_is_given_up_after_half_of_it_and_had_in_round_two() {
    let script = Arc::new(Script {
        then: Mutex::new(Some(Act::Cut)),
        ..Script::default()
    });
    let transport = transport(&script, 8.0, 6);
    let began = Instant::now();
    let results = ask_many(&transport, 30).await;
    assert!(results.iter().all(Result::is_err));
    let waited = Instant::now() - began;
    assert!(
        waited < Duration::from_secs(1_900),
        "a round waits for half an hour, not for {waited:?}"
    );
    // With `--once`, round 2 starts at once: it sends one probe, and its result decides for all tasks.
    let asked = pages_seen(&script).len();
    let again = ask_many(&transport, 30).await;
    assert!(
        again
            .iter()
            .all(|result| matches!(result, Err(failure) if failure.kind == FailureKind::Deferred))
    );
    assert!(pages_seen(&script).len() <= asked + 6, "probes alone");
    tokio::time::sleep_until(began + Duration::from_secs(3_600)).await;
    *script.then.lock() = None;
    let results = ask_many(&transport, 30).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test(start_paused = true)]
async fn p1_a_robots_txt_that_fails_is_retried_then_the_host_is_down() {
    let script = Arc::new(Script {
        robots: Mutex::new((0..200).map(|_| Act::Status(503)).collect()),
        ..Script::default()
    });
    let transport = transport(&script, 8.0, 3);
    let results = ask_many(&transport, 5).await;
    for result in &results {
        let failure = result.as_ref().expect_err("never asked");
        assert_eq!((failure.kind, failure.attempts), (FailureKind::Deferred, 0));
    }
    assert_eq!(pages_seen(&script), []);
    assert!(script.seen.lock().len() <= 12);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_throttles_for_ever_is_given_up_in_the_end() {
    let script = script([], Some(Act::RetryAfter(429, 60)));
    let failure = ask(&transport(&script, 8.0, 3), "/x")
        .await
        .expect_err("given up");
    assert_eq!((failure.kind, failure.attempts), (FailureKind::Deferred, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_no_slot_behind_and_no_mark_on_the_host() {
    let script = script([Act::Hang, Act::Hang], None);
    let transport = transport(&script, 8.0, 1);
    for _ in 0..2 {
        let hanging = ask(&transport, "/hangs");
        assert!(
            tokio::time::timeout(Duration::from_secs(5), hanging)
                .await
                .is_err()
        );
    }
    ask(&transport, "/x").await.expect("answered");
    let host = &transport.snapshot().hosts[0];
    assert_eq!((host.in_flight, host.waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a2_an_observer_sees_what_a_call_waits_for() {
    let script = script([Act::RetryAfter(429, 100)], None);
    let transport = transport(&script, 8.0, 1);
    let waiting = WaitingOn::default();
    let call = tokio::spawn({
        let (transport, waiting) = (transport.clone(), waiting.clone());
        async move { ask_watched(&transport, "/x", &waiting).await }
    });
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(
        matches!(waiting.current(), Some(Waiting::Throttled { .. })),
        "{:?}",
        waiting.current()
    );
    assert!(matches!(
        transport.snapshot().hosts[0].state,
        HostState::Throttled { .. }
    ));
    call.await.expect("no panic").expect("answered");
    assert_eq!(waiting.current(), None);
}

#[test]
fn p1_the_user_agent_is_truthful() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        user_agent("https://x.th/bot"),
        format!("master_runner/{version} (+https://x.th/bot)")
    );
    assert_eq!(user_agent(" "), format!("master_runner/{version}"));
}
