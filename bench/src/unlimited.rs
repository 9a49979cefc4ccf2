//! A cycle at the speed of the machine, and another one with nothing new.

use std::time::Duration;

use crate::Trouble;
use crate::figures::{Figure, Report, Target};
use crate::limits::{better_of, ratio, share};
use crate::market::{MONTHLY, Market};
use crate::runner::{Rates, Told, Transport, Warehouse, run};
use crate::server::Server;
use crate::{bare_client, disk, processes, written};

/// Requests in flight per source in Parallel.
const IN_FLIGHT: usize = 6;
/// Target for the busy share of the machine.
const BUSY: f64 = 0.9;
/// Target for the share of a bare client's requests per second, if the machine is less busy than that.
const OF_BARE: f64 = 0.6;

/// Two monthly cycles of this market; the second has nothing new.
///
/// # Errors
/// A cycle that does not complete.
pub async fn measure(server: &Server, active: usize, days: usize) -> Result<Report, Trouble> {
    let simulator = Market {
        active,
        days,
        latency_ms: 0,
    }
    .start()
    .await?;
    let urls = simulator.urls();
    let database = server.database().await?;
    let funds = simulator.market().codes().len();
    let told = Told {
        mode: "Parallel",
        rates: Rates::NONE,
        in_flight: IN_FLIGHT,
        transport: Transport::Http,
        register: None,
        warehouse: Warehouse::At(database.url()),
    };
    let (own, servers) = (own_cpu()?, server.cpu()?);
    let first = run(&told, &urls, &MONTHLY).await?;
    let (own, servers) = (
        own_cpu()?.saturating_sub(own),
        server.cpu()?.saturating_sub(servers),
    );
    let asked = simulator.log().requests;
    let fetched = bare_client::fetch(&urls, &asked, IN_FLIGHT).await?;
    let bare = fetched.taken;

    database.settle().await?;
    let transaction = written::next_transaction(&database).await?;
    let before = server.cpu()?;
    let again = run(&told, &urls, &MONTHLY).await?;
    let servers_again = server.cpu()?.saturating_sub(before);
    let rows = written::rows_since(&database, transaction).await?;

    let cores = std::thread::available_parallelism()?.get();
    let busy = share(first.cpu + servers + own, cores, first.wall);
    let per_second = |wall: Duration| asked.len() as f64 / wall.as_secs_f64();
    let of_bare = per_second(first.wall) / per_second(bare);
    let spent = first.cpu + servers;
    let spent_again = again.cpu + servers_again;
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    Ok(Report {
        figures: vec![
            Figure {
                what: format!(
                    "no limit, {funds} funds x {days} days monthly, Parallel, {IN_FLIGHT} in flight a host"
                ),
                measured: format!(
                    "{:.0} % of {cores} cores busy; {:.0} requests/s ({} in {})",
                    busy * 100.0,
                    per_second(first.wall),
                    asked.len(),
                    seconds(first.wall)
                ),
                limit: format!(
                    "{:.0} % busy, or {OF_BARE} x the {:.0} requests/s of a bare client",
                    BUSY * 100.0,
                    per_second(bare)
                ),
                ratio: better_of([(busy, BUSY), (of_bare, OF_BARE)]),
                target: Target::AtLeast(1.0),
                remark: format!(
                    "processor time: runner {}, database {}, simulator {}; {of_bare:.2} x the bare client",
                    seconds(first.cpu),
                    seconds(servers),
                    seconds(own)
                ),
            },
            Figure {
                what: "the same once more, nothing new: processor time of runner and database"
                    .to_owned(),
                measured: format!(
                    "{} (runner {}, database {})",
                    seconds(spent_again),
                    seconds(again.cpu),
                    seconds(servers_again)
                ),
                limit: format!("{} of the first load", seconds(spent)),
                ratio: ratio(spent_again, spent),
                target: Target::AtMost(0.05),
                remark: format!("after {}", seconds(again.wall)),
            },
            Figure {
                what: "the same once more, nothing new: rows written".to_owned(),
                measured: rows.to_string(),
                limit: "none".to_owned(),
                ratio: rows as f64,
                target: Target::AtMost(0.0),
                remark: String::new(),
            },
        ],
        tables: vec![
            fetched.table(&format!(
                "Length of the pages, {days} days of NAV, not compressed:"
            )),
            disk::table(
                &format!("The warehouse of {funds} funds x {days} days:"),
                &database,
            )
            .await?,
        ],
    })
}

/// Processor time of this process, in which the simulator runs.
fn own_cpu() -> Result<Duration, Trouble> {
    Ok(processes::cpu(std::process::id()).ok_or("this process is not under /proc")?)
}
