//! Ten times the market: whether the time grows in proportion to the rows, and memory not at all.
//!
//! Each load runs in a process of its own, so that memory left over from one load does not hide the need of another.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::Trouble;
use crate::children;
use crate::figures::{Figure, Report, Target};
use crate::limits::{megabytes, ratio};
use crate::loads;
use crate::series::Size;
use crate::server::Server;

/// Factor for the number of funds.
const TIMES: u32 = 10;
/// The text before the time in the output of a load's process.
const TOOK: &str = "seconds: ";

/// First loads of this market, and of a market with ten times as many funds and the same number of days.
///
/// # Errors
/// A load that fails.
pub async fn measure(size: Size) -> Result<Report, Trouble> {
    let tenfold = Size {
        funds: size.funds * TIMES as usize,
        days: size.days,
    };
    let (one, one_mb) = load_apart(size).await?;
    let (ten, ten_mb) = load_apart(tenfold).await?;
    let linear = one * TIMES;
    Ok(Report {
        figures: vec![
            Figure {
                what: format!(
                    "{TIMES} x the market: {} rows through the store",
                    tenfold.rows()
                ),
                measured: format!("{:.2} s", ten.as_secs_f64()),
                limit: format!(
                    "{:.2} s: {TIMES} x that of {} rows",
                    linear.as_secs_f64(),
                    size.rows()
                ),
                ratio: ratio(ten, linear),
                target: Target::AtMost(1.15),
                remark: format!("{:.0} rows/s", tenfold.rows() as f64 / ten.as_secs_f64()),
            },
            Figure {
                what: format!("{TIMES} x the market: resident memory of the loading process"),
                measured: format!("{ten_mb:.1} MB"),
                limit: format!("{one_mb:.1} MB"),
                ratio: ten_mb / one_mb,
                target: Target::AtMost(1.1),
                remark: "the made-up rows included".to_owned(),
            },
        ],
        tables: Vec::new(),
    })
}

/// Runs a first load in a process of its own. Returns its time and the process's peak memory in megabytes.
async fn load_apart(size: Size) -> Result<(Duration, f64), Trouble> {
    let folder = TempDir::with_prefix("master_runner-bench-load-")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--first-load").arg(size.to_string());
    let ended = children::run(command, &folder.path().join("said")).await?;
    let seconds = ended
        .output
        .lines()
        .find_map(|line| line.strip_prefix(TOOK)?.parse::<f64>().ok());
    match (ended.code, seconds) {
        (Some(0), Some(seconds)) => Ok((
            Duration::from_secs_f64(seconds),
            megabytes(ended.most_memory_kib),
        )),
        _ => Err(format!("the load of {size} failed:\n{}", ended.output).into()),
    }
}

/// The work of the process that [`load_apart`] starts; returns its output.
///
/// # Errors
/// Errors of the server.
pub async fn load_here(size: Size) -> Result<String, Trouble> {
    let server = Server::start().await?;
    let taken = loads::first_load(&server, size).await;
    server.stop().await?;
    Ok(format!("{TOOK}{}", taken?.as_secs_f64()))
}
