//! The simulator as a program: starts the six hosts, prints their URLs, and ends on a signal.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Parser;
use jiff::civil::Date;
use simulator::{JavascriptPages, MarketConfig, Simulator, SimulatorPorts, Urls, last_real_date};
use tokio::signal::unix::{SignalKind, signal};

/// Simulates Finnomena, WealthMagik, the SEC, its register and the factsheet storage.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Funds that Finnomena lists, inactive ones included.
    #[arg(long, default_value_t = 30)]
    funds: usize,
    /// Business days of NAV history.
    #[arg(long, default_value_t = 60)]
    days: usize,
    /// The date on the simulator's calendar [default: 2026-10-15; with --real the day after the last real date].
    #[arg(long)]
    today: Option<Date>,
    /// Equal seeds make equal markets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Serve the real NAV histories of this folder.
    #[arg(long)]
    real: Option<PathBuf>,
    /// Print what the seven tables should hold, and end; its URLs have the ports of --port-base.
    #[arg(long)]
    truth: bool,
    /// Deal only plain values.
    #[arg(long)]
    plain: bool,
    /// The market lives: Thai holidays, late NAVs, and `POST /__simulator/next-day` on the documents host moves it on.
    #[arg(long)]
    lives: bool,
    /// Which pages need JavaScript.
    #[arg(long, value_enum, default_value_t)]
    javascript: JavascriptPages,
    /// Delay before every answer.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// The first of six ports in a row [default: chosen by the system].
    #[arg(long)]
    port_base: Option<u16>,
    /// Write a runner.ron that leads to this simulator, once it listens.
    #[arg(long)]
    write_config: Option<PathBuf>,
    /// End when standard input closes.
    #[arg(long)]
    until_stdin_closes: bool,
}

impl Options {
    fn market(&self) -> io::Result<MarketConfig> {
        let default = MarketConfig::default();
        let real_today = match (&self.real, self.today) {
            (Some(folder), None) => last_real_date(folder)?.and_then(|last| last.tomorrow().ok()),
            _ => None,
        };
        Ok(MarketConfig {
            funds: self.funds,
            days: self.days,
            today: self.today.or(real_today).unwrap_or(default.today),
            seed: self.seed,
            real: self.real.clone(),
            edge_cases: !self.plain,
            lives: self.lives,
            javascript: self.javascript,
            latency_ms: self.latency_ms,
            ports: self
                .port_base
                .map_or_else(SimulatorPorts::default, SimulatorPorts::from_base),
        })
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let options = Options::parse();
    let mut out = io::stdout().lock();
    if options.truth {
        return Simulator::write_truth_of(&options.market()?, &mut io::BufWriter::new(out));
    }
    let simulator = Simulator::start(options.market()?).await?;
    let urls = simulator.urls();
    let lines = [
        ("Finnomena", &urls.finnomena),
        ("WealthMagik", &urls.wealthmagik),
        ("SEC page", &urls.sec_page),
        ("SEC API", &urls.sec_api),
        ("Documents", &urls.documents),
        ("SEC register", &urls.sec_open_api),
    ];
    for (host, url) in lines {
        writeln!(out, "{host:<12} {url}")?;
    }
    out.flush()?;
    if let Some(path) = &options.write_config {
        write_atomically(path, &runner_config(&urls))?;
    }
    drop(out);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        () = stdin_closes(), if options.until_stdin_closes => {}
    }
    simulator.stop();
    Ok(())
}

/// Waits until standard input closes. It reads on its own thread because a blocked read would keep the runtime from
/// ending.
async fn stdin_closes() {
    let (closed, closes) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = closed.send(());
    });
    let _ = closes.await;
}

fn runner_config(urls: &Urls) -> String {
    let Urls {
        finnomena,
        wealthmagik,
        sec_page,
        sec_api,
        documents,
        // The runner has no such source.
        sec_open_api: _,
    } = urls;
    let limits = "requests_per_sec: 200.0, concurrent_requests: 6";
    format!(
        "(\n    database: Embedded(data_dir: \"data/demo/postgres\"),\n    sources: (\n        \
         finnomena: (base_url: \"{finnomena}\", {limits}, factsheet_hosts: [\"{documents}\"]),\n        \
         wealthmagik: (base_url: \"{wealthmagik}\", {limits}, factsheet_hosts: [\"{documents}\"]),\n        \
         sec_fundcheck: (page_url: \"{sec_page}\", api_url: \"{sec_api}\", {limits}),\n    ),\n)\n"
    )
}

/// Writes the file under another name and renames it, so that a reader never sees half of it.
fn write_atomically(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::create_dir_all(folder)?;
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(&unfinished, path)
}
