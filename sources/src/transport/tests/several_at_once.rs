//! Several pages at once in one Firefox, and pages that have no content.

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;

use super::in_browser::{is_empty, see, serve, transport, visit};
use crate::site::BrowserVisit;

use super::super::*;

/// An application: it requests the values of the code in its URL, and shows them 150 ms later.
const APPLICATION: &str = r"<!doctype html><html><body><app-root></app-root><script>
const code = location.pathname.split('/')[2];
const root = document.querySelector('app-root');
fetch('/api/fund?code=' + code).then(async (answer) => {
  const said = answer.status === 200 ? await answer.text() : '';
  setTimeout(() => {
    root.innerHTML = said.length > 4 ? '<p class=value>' + said + ' ' + document.visibilityState + '</p>' : '<nav>menu</nav><p>no cards</p>';
  }, 150);
});
</script></body></html>";

const HANGING: &str =
    "<html><body><script>setTimeout(() => { while (true) {} }, 100);</script></body></html>";

/// The API's answer for a code; slow ones take two seconds.
async fn api(Query(asked): Query<BTreeMap<String, String>>) -> (StatusCode, String) {
    let code = asked.get("code").map_or("", String::as_str);
    if code.starts_with("SLOW") {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    match code {
        "GONE" => (
            StatusCode::NOT_FOUND,
            "{\"message\":\"no such fund\"}".to_owned(),
        ),
        "BAD" => (StatusCode::BAD_REQUEST, "{}".to_owned()),
        "EMPTY" => (StatusCode::OK, "[]".to_owned()),
        "SLOW-GONE" => (StatusCode::NOT_FOUND, String::new()),
        "SILENT" => (StatusCode::OK, "{\"a\":1}".to_owned()),
        code => (StatusCode::OK, format!("values of {code}")),
    }
}

fn application() -> Router {
    Router::new()
        .route("/fund/{code}", get(|| async { Html(APPLICATION) }))
        .route(
            "/silent/{code}",
            get(|| async { Html("<body><app-root><nav>menu</nav></app-root></body>") }),
        )
        .route(
            "/empty/{code}",
            get(|| async { Html("<body><app-root></app-root></body>") }),
        )
        .route("/hanging", get(|| async { Html(HANGING) }))
        .route("/api/fund", get(api))
}

fn fund(base: &Url, code: &str) -> BrowserVisit {
    BrowserVisit {
        patience: Duration::from_secs(30),
        api_names: vec![code.to_owned()],
        ..visit(base, &format!("/fund/{code}"), ".value")
    }
}

fn text(fetched: &Fetched) -> String {
    String::from_utf8_lossy(&fetched.answer.body).into_owned()
}

/// A page without content is recognised by its behaviour within seconds, and the status of its API is used as its own.
#[tokio::test]
async fn a_page_without_values_is_decided_in_seconds_by_its_api_or_its_silence() {
    let profiles = tempfile::tempdir().expect("a directory");
    let (base, _) = serve(application()).await;
    let transport = transport(&base, profiles.path(), 100, Duration::from_secs(20));
    see(&transport, &fund(&base, "FIRST")).await.expect("seen");
    let at = |path: &str| BrowserVisit {
        url: base.join(path).expect("a URL"),
        ..fund(&base, "X")
    };
    for (visit, status, most) in [
        (fund(&base, "GONE"), 404, 4),
        (fund(&base, "BAD"), 400, 4),
        (fund(&base, "EMPTY"), 204, 4),
        (fund(&base, "SLOW-GONE"), 404, 7),
        (at("/silent/X"), 200, 4),
        (at("/empty/X"), 200, 7),
    ] {
        let began = Instant::now();
        let seen = see(&transport, &visit).await.expect("seen");
        let took = began.elapsed();
        assert_eq!(
            (seen.answer.status, seen.attempts),
            (status, 1),
            "{}",
            visit.url
        );
        assert!(!text(&seen).contains("class=\"value\""), "{}", visit.url);
        assert!(
            took < Duration::from_secs(most),
            "{} took {took:?}",
            visit.url
        );
    }
    let slow = see(&transport, &fund(&base, "SLOW")).await.expect("seen");
    assert_eq!(slow.answer.status, 200);
    assert!(
        text(&slow).contains("values of SLOW visible"),
        "{}",
        text(&slow)
    );
    transport.close_browsers().await;
    assert!(is_empty(profiles.path()), "profiles are gone");
}

/// One session shows several pages at once, each in a window that is not hidden.
#[tokio::test]
async fn one_session_shows_several_pages_at_once() {
    let profiles = tempfile::tempdir().expect("a directory");
    let (base, _) = serve(application()).await;
    let transport = transport(&base, profiles.path(), 100, Duration::from_secs(20));
    let round = async |codes: [&str; 4]| {
        let visits = codes.map(|code| fund(&base, code));
        let began = Instant::now();
        let [a, b, c, d] = &visits;
        let seen = tokio::join!(
            see(&transport, a),
            see(&transport, b),
            see(&transport, c),
            see(&transport, d)
        );
        for (seen, code) in [seen.0, seen.1, seen.2, seen.3].into_iter().zip(codes) {
            let text = text(&seen.expect("seen"));
            assert!(
                text.contains(&format!("values of {code} visible")),
                "{text}"
            );
        }
        began.elapsed()
    };
    // The first round starts Firefox and opens its windows.
    round(["A", "B", "C", "D"]).await;
    let took = round(["SLOW-1", "SLOW-2", "SLOW-3", "SLOW-4"]).await;
    assert!(
        took < Duration::from_secs(6),
        "8 s one after the other, {took:?} at once"
    );
    transport.close_browsers().await;
    assert!(is_empty(profiles.path()), "profiles are gone");
}

/// A page whose script never ends fails alone; the pages beside it do not.
#[tokio::test]
async fn a_page_that_hangs_costs_no_page_beside_it() {
    let profiles = tempfile::tempdir().expect("a directory");
    let (base, log) = serve(application()).await;
    let transport = transport(&base, profiles.path(), 100, Duration::from_secs(5));
    let hanging = visit(&base, "/hanging", ".value");
    let beside = async {
        let mut seen = Vec::new();
        for code in ["SLOW-1", "SLOW-2", "SLOW-3"] {
            let fetched = see(&transport, &fund(&base, code)).await.expect("seen");
            seen.push((text(&fetched).contains(code), fetched.attempts));
        }
        seen
    };
    let (hung, beside) = tokio::join!(see(&transport, &hanging), beside);
    let failure = hung.expect_err("it hangs");
    assert!(
        failure.text.contains("one of its scripts still runs"),
        "{failure}"
    );
    assert_eq!(failure.attempts, 1, "another attempt would end the same");
    assert_eq!(beside, [(true, 1); 3]);
    let asked = |path: &str| log.lock().iter().filter(|(asked, _)| asked == path).count();
    assert_eq!(asked("/hanging"), 1);
    assert_eq!(asked("/fund/SLOW-1"), 1, "asked once");
    transport.close_browsers().await;
    assert!(is_empty(profiles.path()), "profiles are gone");
}
