//! Measures `master_runner` and its limits: the hosts' allowed rates, PostgreSQL, a bare client. Run by `script/bench`.

mod bare_client;
mod children;
mod compared;
mod disk;
mod figures;
mod growth;
mod in_browser;
mod limits;
mod loads;
mod market;
mod memory;
mod paced;
mod processes;
mod register;
mod requests;
mod runner;
mod series;
mod server;
mod starts;
mod throttled;
mod unlimited;
mod written;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use figures::Report;
use runner::Rates;
use series::Size;
use server::Server;

/// Any error that prevents a measurement.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Measures the runner beside its limits.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The sizes of a whole market: takes three quarters of an hour.
    #[arg(long)]
    full: bool,
    /// These measurements only.
    #[arg(long, value_enum, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<Measurement>,
    /// Instead of measurements beside limits: the processor time of daily cycles beside another build of
    /// master_runner, on the same market.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "only")]
    against: Option<PathBuf>,
    /// Loads a made-up market, FUNDSxDAYS, and says how long that took: what `growth` starts twice.
    #[arg(long, hide = true, value_name = "SIZE")]
    first_load: Option<Size>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// The series through the store, beside binary COPY.
    Loads,
    /// Monthly and daily cycle at a polite rate, beside the floor of the busiest host.
    Paced,
    /// A cycle whose pages exist only after JavaScript, through one browser.
    Browser,
    /// Daily cycles with a key of the SEC's register: requests, and time at the default rates.
    Register,
    /// A cycle of sites that throttle.
    Throttled,
    /// A cycle without a limit beside a bare client, and the same with nothing new.
    Unlimited,
    /// From the start to the first request.
    Start,
    /// Resident memory, and whether it grows.
    Memory,
    /// Ten times the market.
    Growth,
}

// The simulator runs in this process, on all cores like the sites' own servers.
#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let worked = match (options.first_load, &options.against) {
        (Some(size), _) => growth::load_here(size).await.map(|said| show(&said)),
        (None, Some(other)) => compare(other, options.full).await,
        (None, None) => measure_all(&options).await,
    };
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            tell(&trouble.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Two rows of measurements that run concurrently, each row one after the other. Sharing the processor does not distort
/// them: these cycles mostly wait for the sites, and memory is not a time. Measurements that are compared with a time
/// run before, alone.
const BESIDE: [&[Measurement]; 2] = [
    &[Measurement::Paced],
    &[Measurement::Throttled, Measurement::Memory],
];

/// Compares this build with another one.
async fn compare(other: &Path, full: bool) -> Result<(), Trouble> {
    let server = Server::start().await?;
    let active = of_size(full, 2_200, 300);
    let size = compared::Size { active, days: 12 };
    let report = compared::measure(&server, other, size).await?;
    show(figures::HEAD);
    for figure in &report.figures {
        show(&figure.to_string());
    }
    for table in &report.tables {
        show(table);
    }
    server.stop().await
}

/// Runs the chosen measurements; if one fails, the others still run.
async fn measure_all(options: &Options) -> Result<(), Trouble> {
    let chosen: Vec<Measurement> = Measurement::value_variants()
        .iter()
        .copied()
        .filter(|one| options.only.is_empty() || options.only.contains(one))
        .collect();
    let server = Server::start().await?;
    show(figures::HEAD);
    let alone = chosen.iter().filter(|one| !BESIDE.concat().contains(one));
    let mut told = measure_row(&server, alone, options.full).await;
    let [one, other] = BESIDE.map(|row| {
        row.iter()
            .filter(|measurement| chosen.contains(measurement))
    });
    let (one, other) = tokio::join!(
        measure_row(&server, one, options.full),
        measure_row(&server, other, options.full),
    );
    told.extend(one);
    told.extend(other);
    for table in told.iter().flat_map(|(_, report)| &report.tables) {
        show(table);
    }
    server.stop().await?;
    let measured: Vec<Measurement> = told
        .into_iter()
        .map(|(measurement, _)| measurement)
        .collect();
    let failed: Vec<String> = chosen
        .iter()
        .filter(|one| !measured.contains(one))
        .map(|one| one.name())
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("not measured: {}", failed.join(", ")).into())
    }
}

/// Runs measurements one after the other, and prints each result when it is available.
async fn measure_row(
    server: &Server,
    row: impl Iterator<Item = &Measurement>,
    full: bool,
) -> Vec<(Measurement, Report)> {
    let mut told = Vec::new();
    for measurement in row {
        let name = measurement.name();
        tell(&format!("measuring {name}"));
        match measure(server, *measurement, full).await {
            Ok(report) => {
                for figure in &report.figures {
                    show(&figure.to_string());
                }
                told.push((*measurement, report));
            }
            Err(trouble) => tell(&format!("{name} could not be measured: {trouble}")),
        }
    }
    told
}

impl Measurement {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

async fn measure(server: &Server, measurement: Measurement, full: bool) -> Result<Report, Trouble> {
    match measurement {
        Measurement::Loads => {
            let size = of_size(
                full,
                Size {
                    funds: 2_200,
                    days: 2_000,
                },
                Size {
                    funds: 220,
                    days: 1_000,
                },
            );
            let loaded = loads::measure(server, size).await?;
            Ok(Report {
                figures: loads::figures(size, &loaded),
                tables: Vec::new(),
            })
        }
        Measurement::Paced => {
            let quick = Rates {
                most: 10.0,
                sec: 10.0,
            };
            let size = of_size(
                full,
                paced::Size {
                    active: 2_200,
                    days: 250,
                    monthly: Rates {
                        most: 20.0,
                        sec: 10.0,
                    },
                    daily: Rates {
                        most: 2.0,
                        sec: 1.0,
                    },
                },
                paced::Size {
                    active: 60,
                    days: 60,
                    monthly: quick,
                    daily: quick,
                },
            );
            paced::measure(server, size).await
        }
        Measurement::Browser => in_browser::measure(server, of_size(full, 200, 50)).await,
        Measurement::Register => register::measure(server, of_size(full, 2_200, 60)).await,
        Measurement::Throttled => throttled::measure(server, of_size(full, 60, 2)).await,
        Measurement::Unlimited => {
            let (active, days) = of_size(full, (2_200, 2_000), (100, 200));
            unlimited::measure(server, active, days).await
        }
        Measurement::Start => starts::measure().await,
        Measurement::Memory => {
            let (active, days) = of_size(full, (2_200, 5_000), (200, 1_000));
            memory::measure(server, active, days).await
        }
        Measurement::Growth => {
            growth::measure(of_size(
                full,
                Size {
                    funds: 2_200,
                    days: 2_000,
                },
                Size {
                    funds: 50,
                    days: 400,
                },
            ))
            .await
        }
    }
}

fn of_size<T>(full: bool, whole: T, small: T) -> T {
    if full { whole } else { small }
}

/// Prints a result.
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn show(line: &str) {
    println!("{line}");
}

/// Prints the progress.
fn tell(line: &str) {
    eprintln!("bench: {line}");
}
