//! Measures `master_runner` beside its limits: what politeness allows, what PostgreSQL takes. `script/bench` runs it.

mod figures;
mod loads;
mod processes;
mod series;
mod server;

use std::process::ExitCode;

use clap::Parser;

use figures::Figure;
use series::Size;
use server::Server;

/// Anything that keeps a measurement from being made.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Measures the runner beside its limits.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The sizes of a whole market: takes the better part of two hours.
    #[arg(long)]
    full: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match measure(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            show(&format!("bench: {trouble}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> Result<(), Trouble> {
    let size = if options.full {
        Size {
            funds: 2_200,
            days: 2_000,
        }
    } else {
        Size {
            funds: 220,
            days: 1_000,
        }
    };
    let server = Server::start().await?;
    show(figures::HEAD);
    let loaded = loads::measure(&server, size).await?;
    show_all(&loads::figures(size, &loaded));
    server.stop().await
}

fn show_all(figures: &[Figure]) {
    for figure in figures {
        show(&figure.to_string());
    }
}

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn show(line: &str) {
    println!("{line}");
}
