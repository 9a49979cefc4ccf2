//! A cycle with sites that throttle every other request.

use std::time::Duration;

use simulator::{Fault, FaultKind, RetryAfter, Site};

use crate::Trouble;
use crate::figures::{Figure, Report, Target};
use crate::market::{MONTHLY, Market};
use crate::runner::{Rates, Told, Transport, Warehouse, run};
use crate::server::Server;

/// The pause that a throttling site requests.
const RETRY_AFTER_SECS: u64 = 1;
/// Rates fast enough that a runner that ignores the pause would send requests during it.
const RATES: Rates = Rates {
    most: 10.0,
    sec: 10.0,
};

/// A monthly cycle of `active` funds.
///
/// # Errors
/// A cycle that does not complete.
pub async fn measure(server: &Server, active: usize) -> Result<Report, Trouble> {
    let simulator = Market {
        active,
        days: 60,
        latency_ms: 20,
    }
    .start()
    .await?;
    for site in Site::ALL {
        let kind = FaultKind::Throttle {
            status: 429,
            retry_after: RetryAfter::Seconds(RETRY_AFTER_SECS),
        };
        simulator
            .faults()
            .set(Fault::of(site, kind).with_probability(0.5));
    }
    let database = server.database().await?;
    let told = Told {
        mode: "Hybrid",
        rates: RATES,
        in_flight: 3,
        transport: Transport::Http,
        register: None,
        warehouse: Warehouse::At(database.url()),
    };
    let ended = run(&told, &simulator.urls(), &MONTHLY).await?;
    let log = simulator.log();
    let throttled = log
        .requests
        .iter()
        .filter(|request| request.status == 429)
        .count();
    let inside: usize = Site::ALL
        .iter()
        .map(|site| log.inside_retry_after(*site))
        .sum();
    let most = Site::ALL
        .iter()
        .map(|site| log.most_in_a_second(*site))
        .max();
    let most = most.ok_or("nothing was asked")?;
    let what = format!("{active} funds monthly, 429 with Retry-After half of the time");
    let allowed = RATES.most + 1.0;
    Ok(Report {
        figures: vec![
            Figure {
                what: format!("{what}: requests inside a Retry-After window"),
                measured: inside.to_string(),
                limit: "none".to_owned(),
                ratio: inside as f64,
                target: Target::AtMost(0.0),
                remark: format!(
                    "{throttled} of {} requests throttled; complete after {:.0} s",
                    log.requests.len(),
                    Duration::as_secs_f64(&ended.wall)
                ),
            },
            Figure {
                what: format!("{what}: most requests of a host in any second"),
                measured: most.to_string(),
                limit: format!("{allowed}: the rate and one"),
                ratio: most as f64 / allowed,
                target: Target::AtMost(1.0),
                remark: String::new(),
            },
        ],
        tables: Vec::new(),
    })
}
