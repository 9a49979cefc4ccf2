//! The processor time of daily cycles, beside that of another build of `master_runner` on the same market.

use std::path::Path;
use std::time::Duration;

use jiff::Span;
use simulator::{MarketConfig, Simulator};

use crate::Trouble;
use crate::figures::{Figure, Report, Target};
use crate::limits::listed_for;
use crate::runner::{Rates, Told, Transport, Warehouse, program, run_program};
use crate::server::{Database, Server};

/// The market of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Minimum number of active funds.
    pub active: usize,
    /// Number of daily cycles, on successive days of the calendar.
    pub days: usize,
}

/// The target: what a change may cost.
const MOST: f64 = 1.03;

/// Time for a session that ended to leave the server: its processor time counts once the postmaster has reaped it.
const REAPED: Duration = Duration::from_secs(1);

/// Processor time of one cycle: of the runner and of the server.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    runner: Duration,
    server: Duration,
}

impl Taken {
    fn whole(self) -> Duration {
        self.runner + self.server
    }
}

/// One of the two programs and its warehouse.
struct Side<'side> {
    program: &'side Path,
    database: Database,
    daily: Vec<Taken>,
}

/// A monthly cycle of both programs, which is not counted, then a daily cycle of both on each of the days after it. The
/// market changes as real ones do, and both see the same. They take turns in being first.
///
/// # Errors
/// A cycle that does not complete.
pub async fn measure(server: &Server, other: &Path, size: Size) -> Result<Report, Trouble> {
    let simulator = Simulator::start(MarketConfig {
        funds: listed_for(size.active),
        days: 120,
        lives: true,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await?;
    let own = program()?;
    let mut sides = Vec::new();
    for program in [own.as_path(), other] {
        sides.push(Side {
            program,
            database: server.database().await?,
            daily: Vec::new(),
        });
    }
    let mut date = MarketConfig::default().today;
    for side in &sides {
        cycle(server, &simulator, side, "monthly", &date.to_string()).await?;
    }
    for day in 0..size.days {
        simulator.next_day();
        date = date.checked_add(Span::new().days(1))?;
        for side in &sides {
            let client = side.database.connect().await?;
            client.batch_execute("VACUUM ANALYZE").await?;
            client.batch_execute("CHECKPOINT").await?;
        }
        for turn in 0..sides.len() {
            let chosen = (day + turn) % sides.len();
            let taken = cycle(
                server,
                &simulator,
                &sides[chosen],
                "daily",
                &date.to_string(),
            )
            .await?;
            sides[chosen].daily.push(taken);
        }
    }
    Ok(report(size, &sides[0].daily, &sides[1].daily))
}

async fn cycle(
    server: &Server,
    simulator: &Simulator,
    side: &Side<'_>,
    kind: &str,
    date: &str,
) -> Result<Taken, Trouble> {
    let told = Told {
        mode: "Hybrid",
        rates: Rates::NONE,
        in_flight: 6,
        transport: Transport::Http,
        register: None,
        warehouse: Warehouse::At(side.database.url()),
    };
    tokio::time::sleep(REAPED).await;
    let before = server.cpu()?;
    let arguments = ["--cycle", kind, "--date", date];
    let ended = run_program(side.program, &told, &simulator.urls(), &arguments).await?;
    tokio::time::sleep(REAPED).await;
    Ok(Taken {
        runner: ended.cpu,
        server: server.cpu()?.saturating_sub(before),
    })
}

fn report(size: Size, own: &[Taken], other: &[Taken]) -> Report {
    let sum = |taken: &[Taken], part: fn(Taken) -> Duration| -> f64 {
        taken
            .iter()
            .map(|one| part(*one))
            .sum::<Duration>()
            .as_secs_f64()
    };
    let figure = |what: &str, part: fn(Taken) -> Duration| {
        let (own, other) = (sum(own, part), sum(other, part));
        Figure {
            what: what.to_owned(),
            measured: format!("{own:.2} s"),
            limit: format!("{other:.2} s"),
            ratio: own / other,
            target: Target::AtMost(MOST),
            remark: String::new(),
        }
    };
    let mut days = "| day | this build | the other |\n|---|---|---|".to_owned();
    for (day, (own, other)) in own.iter().zip(other).enumerate() {
        let shown = |taken: &Taken| {
            format!(
                "{:.2} s ({:.2} s + {:.2} s)",
                taken.whole().as_secs_f64(),
                taken.runner.as_secs_f64(),
                taken.server.as_secs_f64()
            )
        };
        days.push_str(&format!(
            "\n| {} | {} | {} |",
            day + 1,
            shown(own),
            shown(other)
        ));
    }
    let whole = format!(
        "processor time of {} daily cycles of {} funds, beside another build",
        size.days, size.active
    );
    Report {
        figures: vec![
            figure(&whole, Taken::whole),
            figure("of it, the runner", |taken| taken.runner),
            figure("of it, PostgreSQL", |taken| taken.server),
        ],
        tables: vec![days],
    }
}
