//! Bad redirects (P1): their number is bounded, redirects to other hosts and schemes are refused, and the other host
//! gets no request.

use simulator::{FaultKind, Site};
use tokio::net::TcpListener;

use super::{costs_their_own_tasks, hit, loaded, wealthmagik_path};

#[tokio::test(flavor = "multi_thread")]
async fn p1_redirects_are_bounded_and_leave_neither_host_nor_scheme() {
    let (world, before) = loaded(6).await;
    let codes = world.active(4);
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let other = format!(
        "http://{}/funds",
        elsewhere.local_addr().expect("an address")
    );
    let (nav, fee, portfolio) = (
        "finnomena/nav/failed",
        "finnomena/fee/failed",
        "finnomena/portfolio/failed",
    );
    let port = "wealthmagik/port/failed";
    let finnomena = |code: usize, page: &str| world.finnomena_path(&codes[code], page);
    let to = |url: &str| FaultKind::Redirect(url.to_owned());
    let loop_path = format!(
        "/fn3/api/fund/v2/public{}/q?range=MAX",
        finnomena(0, "/nav")
    );
    let hits = [
        hit(
            Site::Finnomena,
            finnomena(0, "/nav"),
            to(&loop_path),
            nav,
            "more than 5 redirects",
        ),
        hit(
            Site::Finnomena,
            finnomena(1, "/nav"),
            FaultKind::RedirectChain(6),
            nav,
            "more than 5 redirects",
        ),
        hit(
            Site::Finnomena,
            finnomena(0, "/fee"),
            to(&other),
            fee,
            "redirects to another host",
        ),
        hit(
            Site::Finnomena,
            finnomena(1, "/fee"),
            to("file:///etc/passwd"),
            fee,
            "not http or https",
        ),
        hit(
            Site::Finnomena,
            finnomena(2, "/fee"),
            to("javascript:alert(1)"),
            fee,
            "not http or https",
        ),
        hit(
            Site::Finnomena,
            finnomena(0, "/portfolio"),
            to("http://["),
            portfolio,
            "which is no URL",
        ),
        hit(
            Site::Finnomena,
            finnomena(1, "/portfolio"),
            to("//[::1]:1/x"),
            portfolio,
            "redirects to another host",
        ),
        hit(
            Site::WealthMagik,
            wealthmagik_path(&codes[0], "port"),
            to("about:blank"),
            port,
            "not http or https",
        ),
    ];
    // A chain of five redirects is still followed.
    world.fault_on(
        Site::WealthMagik,
        &wealthmagik_path(&codes[3], "port"),
        FaultKind::RedirectChain(5),
    );
    costs_their_own_tasks(&world, &before, &hits).await;
    // P1: the other host got no connection.
    let nobody = tokio::time::timeout(std::time::Duration::ZERO, elsewhere.accept()).await;
    assert!(nobody.is_err(), "the other host was asked");
    // A refused redirect is final: one request in each round.
    let asked = world
        .simulator
        .log()
        .count(Site::Finnomena, &finnomena(1, "/fee"));
    assert!(asked <= 4, "{asked}");
}
