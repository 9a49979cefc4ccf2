//! Daily cycles with a key of the SEC's register, at the default rates: how many requests, and how long.

use std::time::Duration;

use jiff::civil::{Date, Weekday, date};
use simulator::{Fault, FaultKind, LoggedRequest, MarketConfig, Simulator, Site};

use crate::Trouble;
use crate::children::Ended;
use crate::figures::{Figure, Report, Target};
use crate::limits::listed_for;
use crate::requests::by_host;
use crate::runner::{Rates, Told, Transport, Warehouse, run};
use crate::server::{Database, Server};

/// How long the register takes for a page, in milliseconds.
const PAGE_MS: u64 = 1_200;
/// What an ordinary day may cost for 2,200 funds.
const MOST_REQUESTS: f64 = 220.0;
const MOST_TIME: Duration = Duration::from_secs(100);
/// A Monday. The monthly cycle takes place on it, so its week has four ordinary days.
const BEGIN: Date = date(2026, 10, 12);
/// The days of the week after it, and the Monday after that.
const DAYS: usize = 5;
/// The default rates of Finnomena and WealthMagik, of the SEC, and of the register.
const RATES: Rates = Rates {
    most: 2.0,
    sec: 1.0,
};
const REGISTER_RATE: f64 = 5.0;
/// The highest rate that the register's documentation allows.
const REGISTER_LIMIT: f64 = 60.0;

/// The days of a living market of `active` funds: a monthly cycle that is not paced, daily cycles of a week, the first one
/// of the next week, and one without a key.
///
/// # Errors
/// A cycle that does not complete.
pub async fn measure(server: &Server, active: usize) -> Result<Report, Trouble> {
    let simulator = Simulator::start(MarketConfig {
        funds: listed_for(active),
        days: 120,
        today: BEGIN,
        lives: true,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await?;
    let market = Days {
        simulator,
        database: server.database().await?,
    };
    let funds = market.simulator.market().codes().len();
    let mut report = Report::default();
    let mut rows = Vec::new();
    let fast = Some(REGISTER_LIMIT);
    rows.push(market.run("monthly", BEGIN, Rates::NONE, fast).await?);
    let slow = Fault::of(Site::SecOpenApi, FaultKind::Slow(PAGE_MS));
    market.simulator.faults().set(slow);
    for _ in 0..DAYS {
        let date = market.simulator.next_day().date;
        let cycle = market
            .run("daily", date, RATES, Some(REGISTER_RATE))
            .await?;
        if date.weekday() != Weekday::Monday {
            report.figures.extend(cycle.figures(funds));
        }
        rows.push(cycle);
    }
    let date = market.simulator.next_day().date;
    rows.push(market.run("daily", date, Rates::NONE, None).await?);
    report.tables.push(table(funds, &rows));
    Ok(report)
}

struct Days {
    simulator: Simulator,
    database: Database,
}

/// One cycle: its requests and its time.
struct Measured {
    what: String,
    requests: Vec<LoggedRequest>,
    ended: Ended,
}

impl Days {
    /// Runs a cycle. Without a rate of the register there is no key.
    async fn run(
        &self,
        kind: &str,
        date: Date,
        rates: Rates,
        register: Option<f64>,
    ) -> Result<Measured, Trouble> {
        let told = Told {
            mode: "Hybrid",
            rates,
            in_flight: 3,
            transport: Transport::Http,
            register,
            warehouse: Warehouse::At(self.database.url()),
        };
        let before = self.simulator.log().requests.len();
        let args = ["--cycle", kind, "--date", &date.to_string()];
        let ended = run(&told, &self.simulator.urls(), &args).await?;
        let pace = if rates == RATES {
            "default rates"
        } else {
            "not paced"
        };
        let key = if register.is_some() {
            "a key"
        } else {
            "no key"
        };
        Ok(Measured {
            what: format!("{kind} {date}, {:?}, {key}, {pace}", date.weekday()),
            requests: self.simulator.log().requests.split_off(before),
            ended,
        })
    }
}

impl Measured {
    /// The figures of an ordinary day.
    fn figures(&self, funds: usize) -> [Figure; 2] {
        let what = format!("{funds} funds, {}", self.what);
        let wall = self.ended.wall.as_secs_f64();
        let requests = self.requests.len();
        [
            Figure {
                what: format!("{what}: requests of all hosts"),
                measured: requests.to_string(),
                limit: MOST_REQUESTS.to_string(),
                ratio: requests as f64 / MOST_REQUESTS,
                target: Target::AtMost(1.0),
                remark: String::new(),
            },
            Figure {
                what: format!("{what}, {PAGE_MS} ms a page of the register: time"),
                measured: format!("{wall:.1} s"),
                limit: format!("{} s", MOST_TIME.as_secs()),
                ratio: wall / MOST_TIME.as_secs_f64(),
                target: Target::AtMost(1.0),
                remark: String::new(),
            },
        ]
    }
}

/// The requests of each cycle by host.
fn table(funds: usize, rows: &[Measured]) -> String {
    let mut text = format!(
        "\nRequests with a key of the register, {funds} active funds:\n\n| cycle | time | requests |"
    );
    for site in Site::ALL {
        text.push_str(&format!(" {} |", site.name()));
    }
    text.push_str(&format!("\n|{}\n", "---|".repeat(3 + Site::ALL.len())));
    for row in rows {
        let wall = row.ended.wall.as_secs_f64();
        let all = row.requests.len();
        text.push_str(&format!("| {} | {wall:.1} s | {all} |", row.what));
        let counts = by_host(&row.requests);
        for site in Site::ALL {
            text.push_str(&format!(" {} |", counts.get(&site).copied().unwrap_or(0)));
        }
        text.push('\n');
    }
    text
}
