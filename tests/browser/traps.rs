//! Pages that block a browser. Each fails only its own task: other pages, the host and the session's next page are not
//! affected. No other host receives a request, and no file remains on the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use simulator::{FaultKind, MarketConfig, Site};
use tokio::net::TcpListener;

use super::machine::{browser_processes, ended_in, nothing_is_left, opened, start, until};
use crate::world::World;

/// A host that must receive no request, and its counter of connections.
async fn foreign_host() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (format!("http://{address}/"), asked)
}

/// Active funds whose full holdings WealthMagik shows.
fn with_holdings(world: &World, count: usize) -> Vec<String> {
    let truth = world.simulator.truth();
    let table = truth.table("funds_holding").expect("a table");
    let source = table
        .columns
        .iter()
        .position(|column| *column == "source")
        .expect("a column");
    let mut codes: Vec<String> = table
        .rows
        .iter()
        .filter(|row| row[source].as_deref() == Some("wealthmagik"))
        .filter_map(|row| row[0].clone())
        .collect();
    codes.dedup();
    assert!(codes.len() >= count, "{codes:?}");
    codes.truncate(count);
    codes
}

/// A code in the encoding of a request path.
fn as_asked(code: &str) -> String {
    code.replace('(', "%28").replace(')', "%29")
}

fn script(text: &str) -> FaultKind {
    FaultKind::Insert(format!("<script>{text}</script>"))
}

/// P1, P3, D6: each page of holdings contains a different trap.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_holds_the_browser_up_costs_its_own_task_and_no_more() {
    let mut world = World::new(MarketConfig {
        funds: 20,
        days: 5,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await;
    world.settings.transport = "Browser";
    world.settings.sec_transport = Some("Http");
    world.settings.more =
        "browser: (sessions: 2), modes: (hybrid: (browser_sessions: 2)), patience: (request_timeout_secs: 3, host_back_off_secs: (1, 1), host_wait_secs: 5),"
            .to_owned();
    let (foreign, foreign_asked) = foreign_host().await;

    // The traps that a visit survives, and those that fail it, with the expected words of the summary.
    let harmless = [
        script("alert('a'); confirm('b'); prompt('c');"),
        script("window.print();"),
        script("window.onbeforeunload = (e) => { e.preventDefault(); return 'stay'; };"),
        script(&format!(
            "window.open('{foreign}popup'); fetch('{foreign}fetched').catch(() => {{}});"
        )),
    ];
    let costly = [
        (script("while (true) {}"), "one of its scripts still runs"),
        (FaultKind::Attachment, "the page offers a file for download"),
        (
            script(&format!("location.href = '{foreign}elsewhere';")),
            "the page led the browser to another host, which was not requested",
        ),
        (
            FaultKind::Insert(format!(
                "<meta http-equiv=refresh content='0; url={foreign}meta'>"
            )),
            "the page led the browser to another host, which was not requested",
        ),
        (
            FaultKind::Insert("<meta http-equiv=refresh content=0>".to_owned()),
            "the page reloads itself again and again",
        ),
        (
            script("document.documentElement.dataset.padding = 'x'.repeat(50 << 20);"),
            "at most 33554432 bytes are accepted",
        ),
    ];
    let codes = with_holdings(&world, harmless.len() + costly.len() + 1);
    let (well, bad) = codes.split_at(harmless.len() + 1);
    let page = |code: &str| format!("/funds/{}/port", as_asked(code));
    for (code, trap) in well.iter().zip(harmless) {
        world.fault_on(Site::WealthMagik, &page(code), trap);
    }
    // Headers and then nothing, once: the next attempt succeeds.
    world.fault_times(Site::WealthMagik, &page(&well[4]), 1, FaultKind::Stalled);
    for (code, (trap, _)) in bad.iter().zip(&costly) {
        world.fault_on(Site::WealthMagik, &page(code), trap.clone());
    }

    let only = codes.join(",");
    let child = start(&world, &["--once", "--cycle", "monthly", "--funds", &only]);
    until("a browser runs", || !browser_processes(&world).is_empty()).await;
    until("a page was opened", || {
        !opened(&world, Site::WealthMagik).is_empty()
    })
    .await;
    // Each tab has the memory limit that ends a page which allocates without end.
    let limits: Vec<Option<u64>> = browser_processes(&world)
        .iter()
        .filter(|process| process.is_tab())
        .map(super::machine::Process::most_memory)
        .collect();
    assert!(
        !limits.is_empty() && limits.iter().all(|limit| *limit == Some(2 << 30)),
        "{limits:?}"
    );
    let run = ended_in(child, Duration::from_secs(180)).await;
    run.exits(3);
    for (code, (_, words)) in bad.iter().zip(&costly) {
        let failure: String = world
            .one(&format!(
                "SELECT coalesce(failure, outcome) FROM runner.task WHERE source = 'wealthmagik' AND page = 'port' AND key = '{code}'"
            ))
            .await;
        assert!(failure.contains(words), "{code}: {failure}\n{}", run.output);
        run.says(words);
        let rows: i64 = world
            .one(&format!(
                "SELECT count(*) FROM funds_holding WHERE source = 'wealthmagik' AND fund_code = '{code}'"
            ))
            .await;
        assert_eq!(rows, 0, "{code}");
    }
    let others: i64 = world
        .one("SELECT count(*) FROM runner.task WHERE outcome IN ('failed', 'deferred')")
        .await;
    assert_eq!(others, 6, "no other task suffers:\n{}", run.output);
    let well: Vec<&str> = well.iter().map(String::as_str).collect();
    world.assert_truth_of("funds_holding", &well).await;
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    for table in ["funds_master_info", "funds_daily", "funds_fee"] {
        world.assert_truth_of(table, &codes).await;
    }
    assert_eq!(
        foreign_asked.load(Ordering::Relaxed),
        0,
        "another host was asked"
    );
    assert!(!run.output.contains("host is down"), "{}", run.output);
    nothing_is_left(&world);
    let loops = world
        .simulator
        .log()
        .count(Site::WealthMagik, &page(&bad[4]));
    assert!(
        loops < 100,
        "{loops} requests of a page that reloads itself"
    );
    let peak = run
        .output
        .split("(VmHWM): ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|megabytes| megabytes.parse::<f64>().ok())
        .expect("the summary tells the peak memory");
    assert!(peak < 120.0, "{peak} MB: the large document came over");
}

/// A6: a stop does not wait for a page that hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_a_page_hangs_ends_at_once() {
    let mut world = World::new(MarketConfig {
        funds: 4,
        days: 5,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await;
    world.settings.transport = "Browser";
    world.settings.sec_transport = Some("Http");
    let code = with_holdings(&world, 1).remove(0);
    let page = format!("/funds/{}/port", as_asked(&code));
    world.fault_on(Site::WealthMagik, &page, script("while (true) {}"));
    let child = start(&world, &["--once", "--cycle", "monthly"]);
    until("the page was opened", || {
        opened(&world, Site::WealthMagik).contains(&page)
    })
    .await;
    let asked = Instant::now();
    nix::sys::signal::kill(
        super::machine::id_of(&child),
        nix::sys::signal::Signal::SIGTERM,
    )
    .expect("signalled");
    let run = ended_in(child, Duration::from_secs(30)).await;
    run.exits(4);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    nothing_is_left(&world);
}
