//! The real Firefox with the real geckodriver, on pages that exist only after their scripts ran.

use std::num::NonZeroUsize;
use std::path::Path;

use axum::Router;
use axum::extract::Request as Asked;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::site::{BrowserVisit, StatusMeaning, Via};

use super::super::*;

/// An overlay covers a lazy list in a scrollable box. A script creates both; the list grows while it is scrolled.
const LAZY: &str = r#"<!doctype html><html><body><script>
const box = document.createElement('div');
box.style = 'height:200px;overflow-y:auto';
document.body.append(box);
let count = 0;
function more() {
  for (let i = 0; i < 20 && count < 130; i++) {
    const item = document.createElement('div');
    item.className = 'item'; item.style.height = '30px'; item.textContent = 'fund ' + (++count * 7);
    box.append(item);
  }
}
setTimeout(() => {
  more();
  const overlay = document.createElement('div');
  overlay.id = 'close'; overlay.textContent = 'advertisement';
  overlay.style = 'position:fixed;inset:0;background:white';
  let closed = false;
  overlay.onclick = () => { overlay.remove(); closed = true; };
  document.body.append(overlay);
  let busy = false;
  box.onscroll = () => {
    if (!closed || busy || box.scrollTop + box.clientHeight < box.scrollHeight - 5) return;
    busy = true;
    setTimeout(() => { more(); busy = false; }, 150);
  };
}, 300);
</script><img src="/image.png"></body></html>"#;

/// Opens prompts as soon as it loads, then shows a computed value.
const PROMPTING: &str = r"<!doctype html><html><body><script>
setTimeout(() => { alert('hello'); confirm('sure?'); const p = document.createElement('p'); p.className = 'value'; p.textContent = 6 * 7; document.body.append(p); }, 100);
</script></body></html>";

const HANGING: &str = "<!doctype html><html><body><p class=value>x</p><script>setTimeout(() => { while (true) {} }, 0);</script></body></html>";

/// The requests to a server: path and User-Agent.
pub type Log = Arc<Mutex<Vec<(String, String)>>>;

pub async fn serve(routes: Router) -> (Url, Log) {
    let log = Log::default();
    let kept = Arc::clone(&log);
    let logged = from_fn(move |asked: Asked, next: Next| {
        let agent = asked.headers().get(header::USER_AGENT);
        let agent = agent
            .map_or("", |agent| agent.to_str().expect("text"))
            .to_owned();
        kept.lock().push((asked.uri().path().to_owned(), agent));
        next.run(asked)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes.layer(logged)).await });
    (
        Url::parse(&format!("http://{address}/")).expect("a URL"),
        log,
    )
}

pub fn transport(
    base: &Url,
    profiles: &Path,
    pages_per_session: usize,
    timeout: Duration,
) -> Transport {
    let source = SourceConfig {
        limits: HostLimits {
            requests_per_sec: 50.0,
            concurrent_requests: NonZeroUsize::new(4).expect("not 0"),
        },
        own_hosts: vec![base.clone()],
        factsheet_hosts: Vec::new(),
    };
    Transport::new(TransportConfig {
        sources: BTreeMap::from([(SourceName::Wealthmagik, source)]),
        contact: "https://runner.example".to_owned(),
        request_timeout: timeout,
        patience: HostPatience::default(),
        browser: BrowserConfig {
            webdriver: Webdriver::Managed,
            sessions: NonZeroUsize::MIN,
            headless: true,
            tabs_per_session: NonZeroUsize::new(4).expect("not 0"),
            pages_per_session: NonZeroUsize::new(pages_per_session).expect("not 0"),
            profile_dir: Some(profiles.to_owned()),
        },
    })
    .expect("a transport")
}

pub fn visit(base: &Url, path: &str, ready: &'static str) -> BrowserVisit {
    BrowserVisit {
        url: base.join(path).expect("a URL"),
        ready_css: vec![ready],
        overlay_css: Some("#close"),
        lazy_items_css: None,
        lazy_rest: Duration::from_secs(2),
        patience: Duration::from_secs(10),
        api_names: Vec::new(),
    }
}

pub async fn see(transport: &Transport, visit: &BrowserVisit) -> Result<Fetched, FetchFailure> {
    let call = Call {
        source: SourceName::Wealthmagik,
        meaning: &|status| StatusMeaning::usual(status, 1),
        attempts_before: 0,
        redirects: RedirectScope::SameHost,
        waiting: &WaitingOn::default(),
    };
    transport.visit(visit, &call).await
}

/// The number of processes whose command line contains `directory`, except watchdogs that are ending.
pub fn processes_of(directory: &Path) -> usize {
    let wanted = directory.to_string_lossy().into_owned();
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| {
            let line = String::from_utf8_lossy(line).into_owned();
            line.contains(&wanted) && !line.contains("master_runner-watchdog")
        })
        .count()
}

pub fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory)
        .expect("a directory")
        .next()
        .is_none()
}

#[tokio::test]
async fn pages_built_by_script_are_seen_whole_politely_and_nothing_is_left_behind() {
    let profiles = tempfile::tempdir().expect("a directory");
    let (foreign, foreign_log) = serve(Router::new().fallback(|| async { "" })).await;
    let with_foreign = format!(
        "<!doctype html><html><body><p class=value>here</p><script src='{foreign}track.js'></script></body></html>"
    );
    let refused = || async { (StatusCode::FORBIDDEN, Html("<p class=value>no</p>")) };
    let broken = || async { (StatusCode::NOT_FOUND, Html("<p>nothing</p>")) };
    let (base, log) = serve(
        Router::new()
            .route(
                "/robots.txt",
                get(|| async { "user-agent: *\ndisallow: /private" }),
            )
            .route("/lazy", get(|| async { Html(LAZY) }))
            .route("/prompting", get(|| async { Html(PROMPTING) }))
            .route("/foreign", get(move || async { Html(with_foreign) }))
            .route("/refused", get(refused))
            .route("/gone", get(broken)),
    )
    .await;
    let transport = transport(&base, profiles.path(), 2, Duration::from_secs(20));
    let lazy = BrowserVisit {
        lazy_items_css: Some(".item"),
        ..visit(&base, "/lazy", ".item")
    };
    let answer = see(&transport, &lazy).await.expect("seen").answer;
    let html = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(html.matches("class=\"item\"").count(), 130);
    assert!(html.contains("fund 910") && html.ends_with("</html>"));
    assert_eq!((answer.status, answer.via), (200, Via::Browser));
    assert!(processes_of(profiles.path()) > 0);

    let prompting = see(&transport, &visit(&base, "/prompting", ".value"))
        .await
        .expect("seen");
    assert!(String::from_utf8_lossy(&prompting.answer.body).contains("42</p>"));
    let with_foreign = see(&transport, &visit(&base, "/foreign", ".value")).await;
    assert!(with_foreign.is_ok());
    for (path, status) in [("/refused", 403), ("/gone", 404)] {
        let seen = see(&transport, &visit(&base, path, ".value"))
            .await
            .expect("an answer");
        assert_eq!(seen.answer.status, status);
    }
    let private = see(&transport, &visit(&base, "/private", ".value"))
        .await
        .expect_err("not allowed");
    assert!(private.text.contains("robots.txt"), "{private}");

    let seen = log.lock().clone();
    assert_eq!(seen[0].0, "/robots.txt");
    for (path, agent) in &seen {
        assert_eq!(*agent, user_agent("https://runner.example"), "{path}");
        assert!(
            !path.contains("image") && !path.contains("private"),
            "{path} was asked"
        );
    }
    assert!(
        foreign_log.lock().is_empty(),
        "nothing is loaded from other hosts"
    );
    assert_eq!(
        transport.snapshot().sources[&SourceName::Wealthmagik].pages_by_browser,
        5
    );
    transport.close_browsers().await;
    assert_eq!(processes_of(profiles.path()), 0);
    assert!(is_empty(profiles.path()), "profiles are gone");
}

#[tokio::test]
async fn a_hung_page_costs_its_session_and_no_more() {
    let profiles = tempfile::tempdir().expect("a directory");
    let page = || async { Html("<html><body><p class=value>fine</p></body></html>") };
    let (base, _) = serve(
        Router::new()
            .route("/hanging", get(|| async { Html(HANGING) }))
            .route("/fine", get(page)),
    )
    .await;
    let transport = transport(&base, profiles.path(), 100, Duration::from_secs(4));
    let patient = BrowserVisit {
        patience: Duration::from_secs(2),
        ..visit(&base, "/hanging", ".never")
    };
    let call = Call {
        source: SourceName::Wealthmagik,
        meaning: &|status| StatusMeaning::usual(status, 1),
        attempts_before: 3,
        redirects: RedirectScope::SameHost,
        waiting: &WaitingOn::default(),
    };
    let failure = transport.visit(&patient, &call).await.expect_err("hung");
    assert_eq!(failure.kind, FailureKind::Failed, "{failure}");
    let fine = see(&transport, &visit(&base, "/fine", ".value"))
        .await
        .expect("a new session");
    assert!(String::from_utf8_lossy(&fine.answer.body).contains("fine"));

    // A cancelled visit ends its browser.
    let cancelled = see(&transport, &patient);
    assert!(
        tokio::time::timeout(Duration::from_millis(700), cancelled)
            .await
            .is_err()
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(processes_of(profiles.path()), 0);
    transport.close_browsers().await;
    assert!(is_empty(profiles.path()), "profiles are gone");
}
