//! The runner's peak memory during a first load, and whether it grows with the market.

use crate::Trouble;
use crate::figures::{Figure, Report, Target};
use crate::limits::megabytes;
use crate::market::{MONTHLY, Market};
use crate::runner::{Rates, Told, Transport, Warehouse, run};
use crate::server::Server;

/// Factor for the number of funds in the second market.
const TIMES: usize = 4;
/// The target, in megabytes.
const MOST_MB: f64 = 120.0;

/// First loads of `active` funds with `days` days, and of four times as many funds.
///
/// # Errors
/// A cycle that does not complete.
pub async fn measure(server: &Server, active: usize, days: usize) -> Result<Report, Trouble> {
    let one = first_load(server, active, days).await?;
    let more = first_load(server, active * TIMES, days).await?;
    Ok(Report {
        figures: vec![
            Figure {
                what: format!(
                    "resident memory, first load of {active} funds x {days} days, Parallel"
                ),
                measured: format!("{one:.1} MB"),
                limit: format!("{MOST_MB} MB"),
                ratio: one / MOST_MB,
                target: Target::AtMost(1.0),
                remark: "VmHWM of the runner".to_owned(),
            },
            Figure {
                what: format!("the same with {TIMES} x the funds"),
                measured: format!("{more:.1} MB"),
                limit: format!("{one:.1} MB"),
                ratio: more / one,
                target: Target::AtMost(1.1),
                remark: String::new(),
            },
        ],
        tables: Vec::new(),
    })
}

/// Returns the peak memory in megabytes.
async fn first_load(server: &Server, active: usize, days: usize) -> Result<f64, Trouble> {
    let simulator = Market {
        active,
        days,
        latency_ms: 0,
    }
    .start()
    .await?;
    let database = server.database().await?;
    let told = Told {
        mode: "Parallel",
        rates: Rates::NONE,
        in_flight: 6,
        transport: Transport::Http,
        register: None,
        warehouse: Warehouse::At(database.url()),
    };
    let ended = run(&told, &simulator.urls(), &MONTHLY).await?;
    Ok(megabytes(ended.most_memory_kib))
}
