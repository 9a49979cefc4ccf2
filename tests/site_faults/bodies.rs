//! Extreme bodies: huge, compressed, deeply nested, slow, empty, in another encoding (P1: all reads are bounded; D6: a
//! body fails only its own page).

use simulator::{FaultKind, Packing, Site};

use super::{costs_their_own_tasks, hit, loaded, wealthmagik_path};

const NAV: &str = "finnomena/nav/failed";
const FEE: &str = "finnomena/fee/failed";
const PORTFOLIO: &str = "finnomena/portfolio/failed";
const WM_PROFILE: &str = "wealthmagik/profile/failed";
const WM_PORT: &str = "wealthmagik/port/failed";
const WM_ALLOCATION: &str = "wealthmagik/allocation/failed";
const WM_FEE: &str = "wealthmagik/fee/failed";

fn json(body: String) -> FaultKind {
    FaultKind::Body {
        status: 200,
        content_type: "application/json".to_owned(),
        body,
    }
}

fn html(body: String) -> FaultKind {
    FaultKind::Body {
        status: 200,
        content_type: "text/html; charset=utf-8".to_owned(),
        body,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_huge_bodies_and_bombs_cost_their_page_and_no_memory() {
    let (world, before) = loaded(6).await;
    let codes = world.active(4);
    let finnomena = |code: usize, page: &str| world.finnomena_path(&codes[code], page);
    let too_large = "the body is larger than the";
    let huge = |says_length| FaultKind::Huge {
        mebibytes: 200,
        says_length,
    };
    let hits = [
        hit(
            Site::Finnomena,
            finnomena(0, "/nav"),
            huge(true),
            NAV,
            too_large,
        ),
        hit(
            Site::Finnomena,
            finnomena(1, "/nav"),
            huge(false),
            NAV,
            too_large,
        ),
        hit(
            Site::Finnomena,
            finnomena(2, "/fee"),
            FaultKind::Bomb(Packing::Gzip),
            FEE,
            too_large,
        ),
        hit(
            Site::Finnomena,
            finnomena(3, "/fee"),
            FaultKind::Bomb(Packing::Deflate),
            FEE,
            too_large,
        ),
        hit(
            Site::Finnomena,
            finnomena(0, "/portfolio"),
            FaultKind::Bomb(Packing::Brotli),
            PORTFOLIO,
            too_large,
        ),
        // Compressed twice: each step is bounded.
        hit(
            Site::Finnomena,
            finnomena(1, "/portfolio"),
            FaultKind::Bomb(Packing::GzipTwice),
            PORTFOLIO,
            too_large,
        ),
        hit(
            Site::WealthMagik,
            wealthmagik_path(&codes[0], "profile"),
            huge(false),
            WM_PROFILE,
            too_large,
        ),
        hit(
            Site::WealthMagik,
            wealthmagik_path(&codes[1], "port"),
            FaultKind::Bomb(Packing::Gzip),
            WM_PORT,
            too_large,
        ),
    ];
    costs_their_own_tasks(&world, &before, &hits).await;
    // A final failure is not retried four times: a hundred mebibytes are sent once in each round.
    let log = world.simulator.log();
    let asked = log.count(Site::Finnomena, &hits[2].part);
    assert!(asked <= 4, "{asked} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_absurdly_deep_and_laborious_bodies_cost_their_page_and_not_the_process() {
    let (world, before) = loaded(6).await;
    let codes = world.active(4);
    let finnomena = |code: usize, page: &str| world.finnomena_path(&codes[code], page);
    let wealthmagik = |code: usize, page: &str| wealthmagik_path(&codes[code], page);
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let data = |data: String| json(format!("{{\"status\":true,\"data\":{data}}}"));
    let divs = |page: String| html(format!("<html><body>{page}</body></html>"));
    let hits = [
        hit(
            Site::Finnomena,
            finnomena(0, "/nav"),
            json(deep("[", "]")),
            NAV,
            "expected",
        ),
        hit(
            Site::Finnomena,
            finnomena(1, "/nav"),
            data(deep("{\"navs\":", "}")),
            NAV,
            "expected an array",
        ),
        hit(
            Site::Finnomena,
            finnomena(2, "/nav"),
            data(format!(
                "{{\"navs\":[{}]}}",
                vec!["null"; 600_000].join(",")
            )),
            NAV,
            "at most 500000 elements",
        ),
        hit(
            Site::Finnomena,
            finnomena(0, "/fee"),
            json("[".repeat(1_000_000)),
            FEE,
            "expected JSON",
        ),
        hit(
            Site::WealthMagik,
            wealthmagik(0, "profile"),
            divs("<div>".repeat(1_000_000)),
            WM_PROFILE,
            "expected a page of at most",
        ),
        hit(
            Site::WealthMagik,
            wealthmagik(1, "port"),
            divs("<span>".repeat(1_000_000)),
            WM_PORT,
            "expected a page of at most",
        ),
        hit(
            Site::WealthMagik,
            wealthmagik(2, "allocation"),
            divs(format!(
                "<p>{}{}",
                (0..20_000)
                    .map(|n| format!("<font size={n}>"))
                    .collect::<String>(),
                "<p>x".repeat(200_000)
            )),
            WM_ALLOCATION,
            "expected a page of at most",
        ),
        hit(
            Site::WealthMagik,
            wealthmagik(3, "fee"),
            divs("<table><tr><td>".repeat(300_000)),
            WM_FEE,
            "expected a page of at most",
        ),
    ];
    let run = costs_their_own_tasks(&world, &before, &hits).await;
    assert!(!run.output.contains("panic"), "{}", run.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_a_body_that_is_no_page_of_the_site_costs_its_task() {
    let (world, before) = loaded(6).await;
    let codes = world.active(4);
    let finnomena = |code: usize, page: &str| world.finnomena_path(&codes[code], page);
    let wealthmagik = |code: usize, page: &str| wealthmagik_path(&codes[code], page);
    let twice = |key: &str| FaultKind::RenamedField {
        from: format!("\"{key}\":"),
        to: format!("\"{key}\":null,\"{key}\":"),
    };
    let hits = [
        hit(
            Site::Finnomena,
            finnomena(0, "/nav"),
            json(String::new()),
            NAV,
            "expected JSON",
        ),
        hit(
            Site::Finnomena,
            finnomena(1, "/nav"),
            json("\u{0}".to_owned()),
            NAV,
            "expected JSON",
        ),
        hit(
            Site::Finnomena,
            finnomena(2, "/nav"),
            twice("navs"),
            NAV,
            "duplicate field `navs`",
        ),
        hit(
            Site::Finnomena,
            finnomena(0, "/fee"),
            twice("data"),
            FEE,
            "duplicate field `data`",
        ),
        hit(
            Site::WealthMagik,
            wealthmagik(0, "fee"),
            FaultKind::Tis620,
            WM_FEE,
            "expected text in UTF-8",
        ),
        hit(
            Site::WealthMagik,
            wealthmagik(1, "port"),
            html("<html></html>".to_owned()),
            WM_PORT,
            "expected",
        ),
        // With two ids it is not clear whose history this is.
        hit(
            Site::Finnomena,
            finnomena(3, "/nav"),
            twice("fund_id"),
            NAV,
            "duplicate field `fund_id`",
        ),
        hit(
            Site::Finnomena,
            finnomena(3, "/portfolio"),
            json("{}".to_owned()),
            PORTFOLIO,
            "expected",
        ),
    ];
    costs_their_own_tasks(&world, &before, &hits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_what_only_looks_strange_costs_nothing() {
    let (world, before) = loaded(5).await;
    let codes = world.active(3);
    let finnomena = |code: usize, page: &str| world.finnomena_path(&codes[code], page);
    let wealthmagik = |code: usize, page: &str| wealthmagik_path(&codes[code], page);
    let content_type = |text: &str| FaultKind::ContentType(text.to_owned());
    for (site, part, kind) in [
        (
            Site::Finnomena,
            finnomena(0, "/nav"),
            FaultKind::Before("\u{feff}".to_owned()),
        ),
        (
            Site::WealthMagik,
            wealthmagik(0, "port"),
            FaultKind::Before("\u{feff}".to_owned()),
        ),
        (
            Site::Finnomena,
            finnomena(1, "/nav"),
            content_type("text/html; charset=tis-620"),
        ),
        (
            Site::Finnomena,
            finnomena(2, "/nav"),
            content_type("image/png"),
        ),
        (
            Site::WealthMagik,
            wealthmagik(1, "profile"),
            content_type("application/octet-stream"),
        ),
        (Site::WealthMagik, wealthmagik(2, "fee"), content_type("x")),
        // A NUL is removed from a name.
        (
            Site::Finnomena,
            finnomena(0, "/portfolio"),
            FaultKind::RenamedField {
                from: "\"name\":\"".to_owned(),
                to: "\"name\":\"\\u0000".to_owned(),
            },
        ),
        // Ten mebibytes of white space are within the limit of a history.
        (
            Site::Finnomena,
            finnomena(1, "/nav"),
            FaultKind::Huge {
                mebibytes: 10,
                says_length: false,
            },
        ),
    ] {
        world.fault_on(site, &part, kind);
    }
    world.run(&super::FRESH).await.exits(0);
    world.assert_truth().await;
    assert_eq!(world.seven_tables().await, before);
}
