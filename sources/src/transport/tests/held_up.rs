//! Pages that would occupy the browser without end: visits are limited, and the page is left afterwards.

use axum::Router;
use axum::response::Html;
use axum::routing::get;

use super::in_browser::{is_empty, see, serve, transport, visit};
use crate::site::BrowserVisit;

use super::super::*;

/// A list that grows without end.
const ENDLESS_LIST: &str = r"<!doctype html><html><body><div id=list></div><script>
setInterval(() => {
  for (let i = 0; i < 2000; i++) { const item = document.createElement('p'); item.className = 'item'; document.getElementById('list').append(item); }
}, 50);
</script></body></html>";

/// A list that starts again when it is first scrolled, under the same URL.
const ANEW: &str = r"<!doctype html><html><body><p class=item>x</p><p style='height: 5000px'></p><script>
window.onscroll = () => { if (!sessionStorage.anew) { sessionStorage.anew = 1; location.reload(); } };
</script></body></html>";

/// Polls its host without end.
const POLLING: &str = "<!doctype html><html><body><p class=value>x</p><script>setInterval(() => fetch('/tick'), 50);</script></body></html>";

/// Allocates memory without end, a little at a time.
const GREEDY: &str = "<!doctype html><html><body><p class=value>x</p><script>const kept = []; for (;;) { kept.push(new Uint8Array(32 << 20).fill(1)); }</script></body></html>";

#[tokio::test]
async fn an_endless_list_is_bounded_and_a_page_is_left_once_it_has_been_seen() {
    let profiles = tempfile::tempdir().expect("a directory");
    let (base, log) = serve(
        Router::new()
            .route("/endless", get(|| async { Html(ENDLESS_LIST) }))
            .route("/anew", get(|| async { Html(ANEW) }))
            .route("/polling", get(|| async { Html(POLLING) }))
            .route("/greedy", get(|| async { Html(GREEDY) })),
    )
    .await;
    let transport = transport(&base, profiles.path(), 100, Duration::from_secs(10));
    let list = BrowserVisit {
        lazy_items_css: Some(".item"),
        ..visit(&base, "/endless", ".item")
    };
    let failure = see(&transport, &list).await.expect_err("without end");
    assert!(
        failure
            .text
            .contains("the list had not come to its end after "),
        "{failure}"
    );
    let anew = BrowserVisit {
        lazy_items_css: Some(".item"),
        ..visit(&base, "/anew", ".item")
    };
    let failure = see(&transport, &anew).await.expect_err("D3: another list");
    assert!(
        failure
            .text
            .contains("the list was cut short after 1 items"),
        "{failure}"
    );
    see(&transport, &visit(&base, "/polling", ".value"))
        .await
        .expect("seen");
    let ticks = || {
        log.lock()
            .iter()
            .filter(|(path, _)| path == "/tick")
            .count()
    };
    // Requests already sent arrive.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let seen = ticks();
    assert!(seen > 0, "it polls while it is looked at");
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(
        ticks(),
        seen,
        "P1: a page that nobody looks at asks nothing"
    );
    if std::env::var_os("MASTER_RUNNER_SOAK_SECS").is_some() {
        // Two gigabytes: whatever happens to the tab, the transport continues.
        let greedy = see(&transport, &visit(&base, "/greedy", ".value")).await;
        tracing::info!(?greedy, "a greedy page");
        see(&transport, &visit(&base, "/polling", ".value"))
            .await
            .expect("the next page is seen");
    }
    transport.close_browsers().await;
    assert!(is_empty(profiles.path()), "profiles are gone");
}
