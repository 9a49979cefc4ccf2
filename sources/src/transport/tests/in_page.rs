//! Requests from inside an open page of the real Firefox.

use std::sync::atomic::AtomicUsize;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::json;

use crate::site::{BrowserVisit, InPageRequest, StatusMeaning, Via};

use super::super::*;
use super::in_browser::{Log, is_empty, processes_of, serve, transport, visit};

/// A page that replaces `fetch`, and thereby shows whose `fetch` is used.
const PAGE: &str = "<!doctype html><html><body><p>funds</p><script>window.fetch = () => Promise.reject('not this one');</script></body></html>";
/// A page that stops running seconds after it was loaded.
const HANGING: &str = "<!doctype html><html><body><script>setTimeout(() => { while (true) {} }, 4000);</script></body></html>";

/// A page that loads itself again some seconds after it was loaded.
const RELOADING: &str = "<!doctype html><html><body><script>setTimeout(() => location.reload(), 3000);</script></body></html>";

fn request(base: &Url, page: &str, path: &str) -> InPageRequest {
    InPageRequest {
        page: BrowserVisit {
            ready_css: Vec::new(),
            ..visit(base, page, "")
        },
        url: base.join(path).expect("a URL"),
        accept: "application/json",
        max_body_bytes: 3_000_000,
    }
}

async fn ask(transport: &Transport, request: &InPageRequest) -> Result<Fetched, FetchFailure> {
    let call = Call {
        source: SourceName::Wealthmagik,
        meaning: &|status| StatusMeaning::usual(status, 1),
        attempts_before: 3,
        redirects: RedirectScope::SameHost,
        waiting: &WaitingOn::default(),
    };
    transport.request_in_page(request, &call).await
}

/// A body whose connection ends after three bytes.
fn cut() -> Body {
    let end = futures_util::stream::once(async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Err(std::io::Error::other("cut"))
    });
    Body::from_stream(futures_util::stream::iter([Ok(Bytes::from("[1,"))]).chain(end))
}

/// How often a path was requested.
fn count(log: &Log, path: &str) -> usize {
    log.lock().iter().filter(|(asked, _)| asked == path).count()
}

/// The headers that decide how a host answers.
async fn echo(headers: HeaderMap) -> Json<serde_json::Value> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Json(json!({
        "accept": text("accept"), "cookie": text("cookie"), "referer": text("referer"), "mode": text("sec-fetch-mode"),
    }))
}

#[tokio::test]
async fn one_page_load_serves_all_requests_and_answers_are_those_of_http() {
    let profiles = tempfile::tempdir().expect("a directory");
    let all_bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let served = all_bytes.clone();
    let flaky = Arc::new(AtomicUsize::new(0));
    let (base, log) = serve(
        Router::new()
            .route(
                "/robots.txt",
                get(|| async { "user-agent: *\ndisallow: /private" }),
            )
            .route(
                "/fund",
                get(|| async { ([("set-cookie", "seen=1; path=/")], Html(PAGE)) }),
            )
            .route("/echo", get(echo))
            .route(
                "/bytes",
                get(move || async { ([(CONTENT_TYPE, "text/x-odd")], served) }),
            )
            .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
            .route("/large", get(|| async { vec![b'7'; 3_000_001] }))
            .route(
                "/gone",
                get(|| async { (StatusCode::NOT_FOUND, r#"{"status":false}"#) }),
            )
            .route(
                "/away",
                get(|| async { (StatusCode::FOUND, [(LOCATION, "/echo")]) }),
            )
            .route(
                "/broken",
                get(|| async { (StatusCode::BAD_REQUEST, vec![b'x'; 200_000]) }),
            )
            .route("/private", get(|| async { "secret" }))
            .route(
                "/busy",
                get(move || async move {
                    match flaky.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                        0 => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "2")], "")
                            .into_response(),
                        _ => "[]".into_response(),
                    }
                }),
            ),
    )
    .await;
    let transport = transport(&base, profiles.path(), 100, Duration::from_secs(20));
    // Several requests at once, the first ones while the page is not open yet.
    let asked: Vec<_> = (0..6)
        .map(|at| request(&base, "/fund", &format!("/echo?{at}")))
        .collect();
    for fetched in join_all(asked.iter().map(|request| ask(&transport, request))).await {
        let answer = fetched.expect("an answer").answer;
        let said: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        let page = base.join("/fund").expect("a URL");
        assert_eq!(
            said,
            json!({"accept": "application/json", "cookie": "seen=1", "referer": page.as_str(), "mode": "same-origin"})
        );
        assert_eq!((answer.status, answer.via), (200, Via::InPage));
    }
    let bytes = ask(&transport, &request(&base, "/fund", "/bytes"))
        .await
        .expect("bytes")
        .answer;
    assert!(bytes.body == all_bytes, "{} bytes", bytes.body.len());
    assert_eq!(bytes.content_type.as_deref(), Some("text/x-odd"));
    for (path, status, length) in [
        ("/empty", 204, 0),
        ("/gone", 404, 16),
        ("/broken", 400, 65_536),
    ] {
        let answer = ask(&transport, &request(&base, "/fund", path))
            .await
            .expect(path)
            .answer;
        assert_eq!(
            (answer.status, answer.body.len()),
            (status, length),
            "{path}"
        );
    }
    for (path, words) in [
        ("/large", "larger than the 3000000 bytes"),
        ("/away", "a redirect, which is not followed"),
        ("/private", "robots.txt"),
    ] {
        let failure = ask(&transport, &request(&base, "/fund", path))
            .await
            .expect_err(path);
        assert!(failure.text.contains(words), "{failure}");
    }
    let from_private = ask(&transport, &request(&base, "/private", "/echo")).await;
    assert!(
        from_private
            .expect_err("not allowed")
            .text
            .contains("robots.txt")
    );
    assert_eq!(count(&log, "/private"), 0);
    let before = Instant::now();
    let busy = ask(&transport, &request(&base, "/fund", "/busy"))
        .await
        .expect("an answer");
    assert_eq!(busy.answer.body, Bytes::from("[]"));
    assert!(
        before.elapsed() >= Duration::from_secs(2),
        "P1: Retry-After"
    );
    assert_eq!(count(&log, "/fund"), 1);
    for (path, agent) in log.lock().iter() {
        assert_eq!(*agent, user_agent("https://runner.example"), "{path}");
    }
    transport.close_browsers().await;
    assert_eq!(processes_of(profiles.path()), 0);
    assert!(is_empty(profiles.path()), "profiles are gone");
}

#[tokio::test]
async fn a_refused_page_answers_the_request_and_a_refused_request_ends_the_session() {
    let profiles = tempfile::tempdir().expect("a directory");
    let refused = || async { (StatusCode::FORBIDDEN, Html("<p>no</p>")) };
    let broken = || async { (StatusCode::SERVICE_UNAVAILABLE, Html("<p>no</p>")) };
    let (base, log) = serve(
        Router::new()
            .route("/fund", get(|| async { Html(PAGE) }))
            .route("/closed", get(refused))
            .route("/down", get(broken))
            .route("/json", get(|| async { "[]" }))
            .route("/refused", get(refused)),
    )
    .await;
    let transport = transport(&base, profiles.path(), 100, Duration::from_secs(20));
    let closed = request(&base, "/closed", "/json");
    let status = |fetched: Result<Fetched, FetchFailure>| fetched.expect("an answer").answer.status;
    let both = join_all([ask(&transport, &closed), ask(&transport, &closed)]).await;
    assert_eq!(both.into_iter().map(status).collect::<Vec<_>>(), [403, 403]);
    assert_eq!((count(&log, "/closed"), count(&log, "/json")), (1, 0));
    let failure = ask(&transport, &request(&base, "/down", "/json"))
        .await
        .expect_err("down");
    assert!(failure.text.contains("answered 503"), "{failure}");
    let missing = ask(&transport, &request(&base, "/missing", "/json"))
        .await
        .expect_err("missing");
    assert!(missing.text.contains("/missing, answered 404"), "{missing}");
    assert_eq!(missing.kind, FailureKind::Failed);

    for path in ["/json", "/refused", "/json"] {
        let expected = if path == "/json" { 200 } else { 403 };
        assert_eq!(
            status(ask(&transport, &request(&base, "/fund", path)).await),
            expected
        );
    }
    assert_eq!(
        count(&log, "/fund"),
        2,
        "the session ended with the refusal"
    );
    transport.close_browsers().await;
}

#[tokio::test]
async fn a_slow_or_cut_answer_is_the_hosts_failure_and_a_hung_page_costs_its_session() {
    let profiles = tempfile::tempdir().expect("a directory");
    let (base, log) = serve(
        Router::new()
            .route("/fund", get(|| async { Html(PAGE) }))
            .route("/hanging", get(|| async { Html(HANGING) }))
            .route("/reloading", get(|| async { Html(RELOADING) }))
            .route("/json", get(|| async { "[]" }))
            .route(
                "/never",
                get(|| async {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }),
            )
            .route("/cut", get(|| async { cut() }))
            .route(
                "/short",
                get(|| async { ([(CONTENT_LENGTH, "900")], cut()) }),
            ),
    )
    .await;
    let transport = transport(&base, profiles.path(), 100, Duration::from_secs(4));
    for (path, words) in [
        ("/never", "no whole answer within 4 s"),
        ("/cut", "cut after 3 bytes"),
        ("/short", "cut after 3 bytes"),
    ] {
        let failure = ask(&transport, &request(&base, "/fund", path))
            .await
            .expect_err(path);
        assert!(failure.text.contains(words), "{failure}");
    }
    assert_eq!(count(&log, "/fund"), 1, "the page stays open");
    let hanging = request(&base, "/hanging", "/json");
    assert!(ask(&transport, &hanging).await.is_ok());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let failure = ask(&transport, &hanging).await.expect_err("hung");
    assert!(
        failure.text.contains("the browser failed: the page hangs"),
        "{failure}"
    );
    let fine = ask(&transport, &request(&base, "/fund", "/json"))
        .await
        .expect("a new session");
    assert_eq!(fine.answer.body, Bytes::from("[]"));
    assert_eq!(count(&log, "/fund"), 2);

    // The page goes on to another document while a request is under way.
    let failure = ask(&transport, &request(&base, "/reloading", "/never"))
        .await
        .expect_err("reloaded");
    assert!(
        failure.text.contains("no answer in the browser"),
        "{failure}"
    );
    let fine = ask(&transport, &request(&base, "/reloading", "/json")).await;
    assert!(fine.is_ok(), "the new document serves the next request");

    // A cancelled request ends its browser.
    let never = request(&base, "/fund", "/never");
    let cancelled = tokio::time::timeout(Duration::from_millis(700), ask(&transport, &never)).await;
    assert!(cancelled.is_err());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(processes_of(profiles.path()), 0);
    transport.close_browsers().await;
    assert!(is_empty(profiles.path()), "profiles are gone");
}
