//! Measures the time from the start of the runner to its first request, with an existing private database.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tempfile::TempDir;

use crate::Trouble;
use crate::figures::{Figure, Report, Target};
use crate::limits::ratio;
use crate::market::{DAY_AFTER, MONTHLY, Market};
use crate::runner::{Rates, Told, Transport, Warehouse, run};

/// Number of starts; the slowest one counts.
const STARTS: usize = 3;
const LIMIT: Duration = Duration::from_secs(1);

/// Starts the runner on a warehouse that an earlier run has filled.
///
/// # Errors
/// A cycle that does not complete.
pub async fn measure() -> Result<Report, Trouble> {
    let simulator = Market {
        active: 6,
        days: 60,
        latency_ms: 0,
    }
    .start()
    .await?;
    let folder = TempDir::with_prefix("master_runner-bench-embedded-")?;
    // The user that runs PostgreSQL must be able to enter the folder.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    let data_dir = folder.path().join("postgres");
    let told = Told {
        mode: "Hybrid",
        rates: Rates::NONE,
        in_flight: 3,
        transport: Transport::Http,
        register: None,
        warehouse: Warehouse::Embedded(&data_dir),
    };
    run(&told, &simulator.urls(), &MONTHLY).await?;
    simulator.advance_days(1);
    let mut slowest = Duration::ZERO;
    for _ in 0..STARTS {
        let (before, begun) = (simulator.log().requests.len(), simulator.elapsed());
        run(&told, &simulator.urls(), &DAY_AFTER).await?;
        let log = simulator.log();
        let first = log.requests.get(before).ok_or("nothing was asked")?;
        slowest = slowest.max(first.started.saturating_sub(begun));
    }
    Ok(Report {
        figures: vec![Figure {
            what: "start to first request, the private database there already".to_owned(),
            measured: format!("{:.0} ms", slowest.as_secs_f64() * 1000.0),
            limit: "1 s".to_owned(),
            ratio: ratio(slowest, LIMIT),
            target: Target::AtMost(1.0),
            remark: format!("the slowest of {STARTS}; PostgreSQL's own start is part of it"),
        }],
        tables: Vec::new(),
    })
}
