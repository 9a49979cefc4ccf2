//! Real HTTP against a small server in this process, for what a scripted wire cannot simulate.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request as Asked;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use schema::back_off::BackOff;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::site::{Request, StatusMeaning};

use super::super::*;

/// A server on a port that the system chooses; it ends with the test's runtime.
async fn serve(routes: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Url::parse(&format!("http://{address}/")).expect("a URL")
}

fn transport(factsheet_hosts: Vec<String>) -> Transport {
    let source = SourceConfig {
        limits: HostLimits {
            requests_per_sec: 200.0,
            concurrent_requests: NonZeroUsize::new(4).expect("not 0"),
        },
        own_hosts: Vec::new(),
        factsheet_hosts,
    };
    Transport::new(TransportConfig {
        sources: BTreeMap::from([(SourceName::Wealthmagik, source)]),
        contact: "https://runner.example/contact".to_owned(),
        request_timeout: Duration::from_millis(1_500),
        patience: HostPatience {
            back_off: BackOff::new(Duration::from_millis(100), Duration::from_millis(400)),
            give_up_after: Duration::from_secs(2),
        },
        browser: BrowserConfig {
            webdriver: Webdriver::Managed,
            sessions: NonZeroUsize::MIN,
            tabs_per_session: NonZeroUsize::MIN,
            headless: true,
            pages_per_session: NonZeroUsize::MIN,
            profile_dir: None,
        },
    })
    .expect("a transport")
}

fn request(base: &Url, path: &str) -> Request {
    Request {
        url: base.join(path).expect("a URL"),
        post_json: None,
        headers: vec![("Accept", "text/html".to_owned())],
        secret_header: None,
        max_body_bytes: 100_000,
        must_end_in_html: false,
    }
}

async fn ask(
    transport: &Transport,
    request: &Request,
    redirects: RedirectScope,
) -> Result<Fetched, FetchFailure> {
    let call = Call {
        source: SourceName::Wealthmagik,
        meaning: &|status| StatusMeaning::usual(status, 1),
        attempts_before: 0,
        redirects,
        waiting: &WaitingOn::default(),
    };
    transport.fetch(request, &call).await
}

async fn get_page(base: &Url, path: &str) -> Result<Fetched, FetchFailure> {
    let transport = transport(Vec::new());
    ask(&transport, &request(base, path), RedirectScope::SameHost).await
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

fn as_gzip(body: Vec<u8>) -> Response {
    ([(header::CONTENT_ENCODING, "gzip")], body).into_response()
}

#[tokio::test]
async fn p1_the_request_names_the_program_and_its_purpose() {
    let echo = |headers: HeaderMap, body: String| async move {
        let of = |name: header::HeaderName| {
            headers
                .get(name)
                .map_or("-", |value| value.to_str().expect("text"))
                .to_owned()
        };
        [
            of(header::USER_AGENT),
            of(header::ACCEPT),
            of(header::CONTENT_TYPE),
            body,
        ]
        .join("|")
    };
    let base = serve(Router::new().route("/echo", post(echo))).await;
    let request = Request {
        post_json: Some("[\"A\"]".to_owned()),
        ..request(&base, "/echo")
    };
    let fetched = ask(&transport(Vec::new()), &request, RedirectScope::SameHost).await;
    let body = fetched.expect("an answer").answer.body;
    let agent = user_agent("https://runner.example/contact");
    assert_eq!(
        String::from_utf8_lossy(&body),
        format!("{agent}|text/html|application/json|[\"A\"]")
    );
}

#[tokio::test]
async fn p1_body_and_decompressed_size_are_bounded() {
    let routes = Router::new()
        .route("/large", get(|| async { "x".repeat(100_001) }))
        .route("/fits", get(|| async { "x".repeat(100_000) }))
        .route(
            "/bomb",
            get(|| async { as_gzip(gzipped(&vec![0; 50_000_000])) }),
        )
        .route("/gzip", get(|| async { as_gzip(gzipped(b"hello")) }));
    let base = serve(routes).await;
    for path in ["/large", "/bomb"] {
        let failure = get_page(&base, path).await.expect_err("too large");
        assert_eq!(
            (failure.kind, failure.attempts),
            (FailureKind::Failed, 1),
            "{failure}"
        );
        assert!(
            failure.text.contains("larger than the 100000 bytes"),
            "{failure}"
        );
    }
    assert_eq!(
        get_page(&base, "/fits")
            .await
            .expect("fits")
            .answer
            .body
            .len(),
        100_000
    );
    assert_eq!(
        &get_page(&base, "/gzip")
            .await
            .expect("unpacked")
            .answer
            .body[..],
        b"hello"
    );
}

#[tokio::test]
async fn p3_a_cut_or_stalled_body_is_the_hosts_failure_and_tried_again() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let unended = || async {
        match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => "<html>cut",
            _ => "<html></html>\n",
        }
    };
    let half_gzip = || async {
        let whole = gzipped(
            &(0..20_000_u32)
                .flat_map(u32::to_le_bytes)
                .collect::<Vec<_>>(),
        );
        as_gzip(whole[..whole.len() / 2].to_vec())
    };
    let stalled = || async {
        let body = futures_util::stream::pending::<Result<String, std::io::Error>>();
        axum::body::Body::from_stream(body)
    };
    let routes = Router::new()
        .route("/unended", get(unended))
        .route("/half-gzip", get(half_gzip))
        .route("/stalled", get(stalled));
    let base = serve(routes).await;
    let must_end = Request {
        must_end_in_html: true,
        ..request(&base, "/unended")
    };
    let fetched = ask(&transport(Vec::new()), &must_end, RedirectScope::SameHost).await;
    assert_eq!(fetched.expect("whole at last").attempts, 2);
    for path in ["/half-gzip", "/stalled"] {
        let failure = get_page(&base, path).await.expect_err("never whole");
        assert_eq!(
            (failure.kind, failure.attempts),
            (FailureKind::Failed, 4),
            "{failure}"
        );
    }
    // A body shorter than its Content-Length, written by hand.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let short = Url::parse(&format!(
        "http://{}/",
        listener.local_addr().expect("an address")
    ))
    .expect("a URL");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = vec![0; 4_096];
                let read = socket.read(&mut asked).await.unwrap_or(0);
                let answer: &[u8] = if asked[..read].starts_with(b"GET /robots.txt") {
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                } else {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nshort"
                };
                let _ = socket.write_all(answer).await;
            });
        }
    });
    let failure = get_page(&short, "/x").await.expect_err("cut");
    assert!(failure.text.contains("cut after 5 bytes"), "{failure}");
}

#[tokio::test]
async fn p1_throttling_is_obeyed_over_real_http() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let throttling = || async {
        match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => (
                StatusCode::TOO_MANY_REQUESTS,
                [(header::RETRY_AFTER, "1".to_owned())],
                "",
            ),
            1 => {
                let in_two = std::time::SystemTime::now() + Duration::from_secs(2);
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    [(header::RETRY_AFTER, httpdate::fmt_http_date(in_two))],
                    "",
                )
            }
            _ => (
                StatusCode::OK,
                [(header::RETRY_AFTER, "99".to_owned())],
                "at last",
            ),
        }
    };
    let base = serve(Router::new().route("/x", get(throttling))).await;
    let began = Instant::now();
    let fetched = get_page(&base, "/x").await.expect("an answer");
    assert_eq!(fetched.attempts, 1);
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn p1_redirects_are_followed_within_the_host_and_bounded() {
    let other = serve(Router::new().route("/doc.pdf", get(|| async { "%PDF" }))).await;
    let there = other.join("/doc.pdf").expect("a URL").to_string();
    let to_other = move || {
        let there = there.clone();
        async move { Redirect::temporary(&there) }
    };
    let routes = Router::new()
        .route("/a", get(|| async { Redirect::permanent("/b") }))
        .route("/b", get(|| async { "here" }))
        .route("/loop", get(|| async { Redirect::temporary("/loop") }))
        .route("/away", get(to_other));
    let base = serve(routes).await;
    let answer = get_page(&base, "/a").await.expect("followed").answer;
    assert_eq!((&answer.body[..], answer.url.path()), (&b"here"[..], "/a"));
    for path in ["/loop", "/away"] {
        let failure = get_page(&base, path).await.expect_err("refused");
        assert_eq!(
            (failure.kind, failure.attempts),
            (FailureKind::Failed, 1),
            "{failure}"
        );
        assert!(failure.text.contains("redirect"), "{failure}");
    }
    let transport = transport(vec![other.to_string()]);
    let away = request(&base, "/away");
    let refused = ask(&transport, &away, RedirectScope::SameHost).await;
    assert!(refused.is_err());
    let document = ask(&transport, &away, RedirectScope::FactsheetHosts).await;
    assert_eq!(&document.expect("followed").answer.body[..], b"%PDF");
    assert_eq!(
        transport.snapshot().hosts.len(),
        2,
        "each host has a gate of its own"
    );
}

#[tokio::test]
async fn p1_robots_txt_is_obeyed_in_all_its_variants() {
    let deny = "User-agent: *\nDisallow: /x\n";
    let html = (
        [(header::CONTENT_TYPE, "text/html")],
        "<html>User-agent: *\nDisallow: /</html>",
    );
    let variants: Vec<(&str, Response, bool)> = vec![
        ("rules", deny.into_response(), false),
        ("404", (StatusCode::NOT_FOUND, deny).into_response(), true),
        ("403", (StatusCode::FORBIDDEN, deny).into_response(), true),
        ("html", html.into_response(), true),
        ("empty", "".into_response(), true),
    ];
    for (name, answer, allowed) in variants {
        let answer = Mutex::new(Some(answer));
        let answer = Arc::new(answer);
        let robots = move |_: Asked| {
            let answer = answer.lock().take();
            async move { answer.expect("asked once") }
        };
        let routes = Router::new()
            .route("/robots.txt", get(robots))
            .route("/x", get(|| async { "page" }));
        let base = serve(routes).await;
        let transport = transport(Vec::new());
        for _ in 0..2 {
            let fetched = ask(&transport, &request(&base, "/x"), RedirectScope::SameHost).await;
            assert_eq!(fetched.is_ok(), allowed, "{name}: {fetched:?}");
        }
    }
}

#[tokio::test]
async fn p3_a_host_that_is_not_there_is_down_within_its_patience() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = Url::parse(&format!(
        "http://{}/",
        listener.local_addr().expect("an address")
    ))
    .expect("a URL");
    drop(listener);
    let failure = get_page(&base, "/x").await.expect_err("nobody there");
    assert_eq!(failure.kind, FailureKind::Deferred);
    assert!(
        failure.text.contains("host down") && failure.text.contains("refused"),
        "{failure}"
    );
}

#[tokio::test]
async fn headers_are_bounded() {
    let long = || async { [("x-long", "y".repeat(70_000))] };
    let base = serve(Router::new().route("/long", get(long))).await;
    let failure = get_page(&base, "/long")
        .await
        .expect_err("too many headers");
    assert!(failure.text.contains("header"), "{failure}");
}
