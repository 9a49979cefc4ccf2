//! A cycle whose pages need JavaScript, through one browser. It is compared with the time that the busiest host's pages
//! take at its rate.

use std::collections::BTreeMap;
use std::time::Duration;

use simulator::{JavascriptPages, LoggedRequest, MarketConfig, Simulator, Site};

use crate::Trouble;
use crate::figures::{Figure, Report, Target};
use crate::limits::{listed_for, ratio};
use crate::market::MONTHLY;
use crate::runner::{Rates, Told, Transport, Warehouse, run};
use crate::server::Server;

/// Requests per second of each host.
const RATE: f64 = 2.0;
/// Requests in flight per host: the default.
const IN_FLIGHT: usize = 3;

/// A monthly cycle of at least `active` funds, including some that the SEC does not know.
///
/// # Errors
/// A cycle that does not complete.
pub async fn measure(server: &Server, active: usize) -> Result<Report, Trouble> {
    let simulator = Simulator::start(MarketConfig {
        funds: listed_for(active),
        days: 10,
        javascript: JavascriptPages::All,
        ..MarketConfig::default()
    })
    .await?;
    let database = server.database().await?;
    let told = Told {
        mode: "Hybrid",
        rates: Rates {
            most: RATE,
            sec: RATE,
        },
        in_flight: IN_FLIGHT,
        transport: Transport::Browser,
        register: None,
        warehouse: Warehouse::At(database.url()),
    };
    let ended = run(&told, &simulator.urls(), &MONTHLY).await?;
    let log = simulator.log();
    let pages = pages_by_host(&log.requests);
    let all: usize = pages.values().sum();
    let (site, most) = pages
        .into_iter()
        .max_by_key(|(_, pages)| *pages)
        .ok_or("no page was opened in the browser")?;
    let floor = Duration::from_secs_f64(most as f64 / RATE);
    Ok(Report {
        figures: vec![Figure {
            what: format!(
                "monthly cycle in the browser, {active} funds, one session, {RATE}/s a host, {IN_FLIGHT} in flight, 150 ms of rendering"
            ),
            measured: format!("{:.1} s", ended.wall.as_secs_f64()),
            limit: format!(
                "{:.1} s: {most} pages of {}, at its rate",
                floor.as_secs_f64(),
                site.name()
            ),
            ratio: ratio(ended.wall, floor),
            target: Target::AtMost(1.2),
            remark: format!(
                "{all} pages of all hosts, {} sessions of Firefox",
                log.webdriver_sessions()
            ),
        }],
        tables: Vec::new(),
    })
}

/// Counts the documents that a browser opened, without those that their scripts fetched.
fn pages_by_host(requests: &[LoggedRequest]) -> BTreeMap<Site, usize> {
    let mut pages = BTreeMap::new();
    for request in requests {
        if request.from_browser && request.path.starts_with("/fund") {
            *pages.entry(request.site).or_default() += 1;
        }
    }
    pages
}
