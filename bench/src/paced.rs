//! Cycles at polite rates, compared with the time that the busiest host's requests take at its rate.

use simulator::{LoggedRequest, Simulator};

use crate::Trouble;
use crate::children::Ended;
use crate::figures::{Figure, Report, Target};
use crate::limits::{floor, ratio};
use crate::market::{DAY_AFTER, MONTHLY, Market};
use crate::requests::{by_host, table};
use crate::runner::{Rates, Told, Transport, Warehouse, run};
use crate::server::Server;

/// The response time of a real site.
const LATENCY_MS: u64 = 150;

/// The size of the measured cycles.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Active funds.
    pub active: usize,
    /// Days of NAV history.
    pub days: usize,
    /// The rates of the monthly cycle.
    pub monthly: Rates,
    /// The rates of the daily cycle.
    pub daily: Rates,
}

/// A monthly cycle into an empty warehouse, then a daily cycle after the market has advanced by one day.
///
/// # Errors
/// A cycle that does not complete.
pub async fn measure(server: &Server, size: Size) -> Result<Report, Trouble> {
    let market = Market {
        active: size.active,
        days: size.days,
        latency_ms: LATENCY_MS,
    };
    let simulator = market.start().await?;
    let database = server.database().await?;
    let funds = simulator.market().codes().len();
    let told = |rates: Rates| Told {
        mode: "Hybrid",
        rates,
        in_flight: rates.in_flight(),
        transport: Transport::Http,
        register: None,
        warehouse: Warehouse::At(database.url()),
    };
    let mut report = Report::default();

    let monthly = run(&told(size.monthly), &simulator.urls(), &MONTHLY).await?;
    let asked = simulator.log().requests;
    report.add("monthly", funds, &monthly, &asked, size.monthly)?;

    simulator.advance_days(1);
    let before = asked.len();
    let daily = run(&told(size.daily), &simulator.urls(), &DAY_AFTER).await?;
    let asked = asked_since(&simulator, before);
    report.add("daily", funds, &daily, &asked, size.daily)?;
    Ok(report)
}

fn asked_since(simulator: &Simulator, before: usize) -> Vec<LoggedRequest> {
    simulator.log().requests.split_off(before)
}

impl Report {
    fn add(
        &mut self,
        kind: &str,
        funds: usize,
        ended: &Ended,
        asked: &[LoggedRequest],
        rates: Rates,
    ) -> Result<(), Trouble> {
        let (site, floor) = floor(&by_host(asked), rates).ok_or("nothing was asked")?;
        self.figures.push(Figure {
            what: format!(
                "{kind} cycle, {funds} funds, Hybrid, {}/s a host (SEC {}/s), {} in flight, {LATENCY_MS} ms",
                rates.most,
                rates.sec,
                rates.in_flight()
            ),
            measured: format!("{:.1} s", ended.wall.as_secs_f64()),
            limit: format!(
                "{:.1} s: what {} must be asked, at its rate",
                floor.as_secs_f64(),
                site.name()
            ),
            ratio: ratio(ended.wall, floor),
            target: Target::AtMost(1.05),
            remark: format!("{} requests of all hosts", asked.len()),
        });
        self.tables.push(table(
            &format!("Requests of the {kind} cycle, {funds} active funds:"),
            asked,
            funds,
        ));
        Ok(())
    }
}
