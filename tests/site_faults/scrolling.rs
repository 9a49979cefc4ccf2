//! Lists that are scrolled in the browser and do not reach their end (D3): an incomplete list never replaces a complete
//! one.

use simulator::{FaultKind, Site};

use super::{FRESH, MONTHLY, failed_tasks, hit, wealthmagik_path};
use crate::world::World;

/// The number of rows that the full holdings show before they are scrolled.
const AT_FIRST: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn d3_full_holdings_whose_session_expires_in_mid_scroll_replace_nothing() {
    let mut world = World::plain(4).await;
    world.settings.transport = "Browser";
    world.settings.sec_transport = Some("Http");
    world.settings.requests_per_sec = 50.0;
    world.fault_on(Site::WealthMagik, "/port", FaultKind::LazyRows(AT_FIRST));
    let only = ["--only", "finnomena,wealthmagik"];
    let monthly: Vec<&str> = MONTHLY.into_iter().chain(only).collect();
    let fresh: Vec<&str> = FRESH.into_iter().chain(only).collect();
    // Scrolled to the end, the holdings are complete.
    world.run(&monthly).await.exits(0);
    let codes = world.active(3);
    let all: Vec<&str> = codes.iter().map(String::as_str).collect();
    world.assert_truth_of("funds_holding", &all).await;
    let before = world.seven_tables().await;
    let more = |code: &str| {
        format!(
            "/api/portallocation?code={}",
            wealthmagik_path(code, "")
                .trim_start_matches("/funds/")
                .trim_end_matches('/')
        )
    };
    for code in &all {
        world
            .simulator
            .publish_holdings(code)
            .expect("a known code");
    }
    let port = "wealthmagik/port/failed";
    let expired = [
        (FaultKind::Status(401), "cut short"),
        (FaultKind::Status(403), "cut short"),
        (FaultKind::Redirect("/login".to_owned()), "cut short"),
    ];
    let hits: Vec<_> = expired
        .into_iter()
        .zip(&all)
        .map(|((kind, words), code)| hit(Site::WealthMagik, more(code), kind, port, words))
        .collect();
    for hit in &hits {
        world.fault_on(hit.site, &hit.part, hit.kind.clone());
    }
    let run = world.run(&fresh).await;
    run.exits(3)
        .says("cut short")
        .says("what it showed was not used");
    assert_eq!(failed_tasks(&world).await, [port; 3], "{}", run.output);
    assert_eq!(
        world.seven_tables().await["funds_holding"],
        before["funds_holding"]
    );

    // When the session lasts, the newer holdings are read completely.
    world.simulator.faults().clear();
    world.fault_on(Site::WealthMagik, "/port", FaultKind::LazyRows(AT_FIRST));
    world.run(&monthly).await.exits(0);
    world.assert_truth_of("funds_holding", &all).await;
}
