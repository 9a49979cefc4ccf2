//! Runs the released `master_runner` as a child process, with a `runner.ron` that points to a simulator.

use std::path::{Path, PathBuf};
use std::process::Command;

use simulator::Urls;
use tempfile::TempDir;

use crate::Trouble;
use crate::children::{self, Ended};

/// The allowed requests per second of each host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Requests per second to each of Finnomena, WealthMagik and the host of the factsheets.
    pub most: f64,
    /// Requests per second to each of the SEC's hosts.
    pub sec: f64,
}

impl Rates {
    /// Practically no limit: the configuration refuses higher values as typing errors.
    pub const NONE: Self = Self {
        most: 1000.0,
        sec: 1000.0,
    };
}

/// Where the warehouse is.
#[derive(Debug, Clone, Copy)]
pub enum Warehouse<'place> {
    /// On a running server.
    At(&'place str),
    /// In a private server that the runner starts and stops itself.
    Embedded(&'place Path),
}

/// The settings of a run.
#[derive(Debug, Clone, Copy)]
pub struct Told<'place> {
    /// `Sequential`, `Hybrid` or `Parallel`.
    pub mode: &'static str,
    /// The allowed rates of the hosts.
    pub rates: Rates,
    /// Maximum requests in flight per host; in Hybrid also per source.
    pub in_flight: usize,
    /// The transport for WealthMagik and the SEC.
    pub transport: Transport,
    /// Requests per second to the SEC's register; `None`: without a key.
    pub register: Option<f64>,
    /// Where the warehouse is.
    pub warehouse: Warehouse<'place>,
}

/// The transport for pages that a browser can fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By plain HTTP.
    Http,
    /// In the browser.
    Browser,
}

impl Rates {
    /// Maximum requests in flight per host at this rate, in the same proportion as the defaults (3 at 2/s). Fewer could
    /// not use a faster rate: at 20/s and 150 ms latency, three requests are always in flight.
    #[must_use]
    pub fn in_flight(self) -> usize {
        (self.most * 3.0 / 2.0).ceil() as usize
    }
}

impl Told<'_> {
    fn runner_ron(&self, urls: &Urls) -> String {
        let Self {
            mode,
            rates,
            in_flight,
            transport,
            register,
            warehouse,
        } = self;
        let register = register.map_or_else(String::new, |rate| {
            format!(
                "sec_open_api: (base_url: {:?}, requests_per_sec: {rate:?}),",
                urls.sec_open_api
            )
        });
        let Rates { most, sec } = rates;
        let database = match warehouse {
            Warehouse::At(_) => String::new(),
            Warehouse::Embedded(data_dir) => format!("database: Embedded(data_dir: {data_dir:?}),"),
        };
        format!(
            "(
    mode: {mode},
    modes: (hybrid: (fetches_in_flight: {in_flight}, credits: {}, loader_mailbox: 2, browser_sessions: 1)),
    {database}
    sources: (
        finnomena: (base_url: {:?}, requests_per_sec: {most:?}, concurrent_requests: {in_flight}, factsheet_hosts: [{:?}]),
        wealthmagik: (base_url: {:?}, requests_per_sec: {most:?}, concurrent_requests: {in_flight}, factsheet_hosts: [{:?}], transport: {transport:?}),
        sec_fundcheck: (page_url: {:?}, api_url: {:?}, requests_per_sec: {sec:?}, concurrent_requests: {in_flight}, transport: {transport:?}),
        {register}
    ),
    user_agent_contact: \"bench@example.org\",
)
",
            in_flight + 1, urls.finnomena, urls.documents, urls.wealthmagik, urls.documents, urls.sec_page, urls.sec_api
        )
    }
}

/// Runs it to its end, which must be a complete cycle.
///
/// # Errors
/// It cannot be run, or its exit code is not 0.
pub async fn run(told: &Told<'_>, urls: &Urls, args: &[&str]) -> Result<Ended, Trouble> {
    run_program(&program()?, told, urls, args).await
}

/// Like [`run`], with another build of `master_runner`.
///
/// # Errors
/// It cannot be run, or its exit code is not 0.
pub async fn run_program(
    program: &Path,
    told: &Told<'_>,
    urls: &Urls,
    args: &[&str],
) -> Result<Ended, Trouble> {
    let folder = TempDir::with_prefix("master_runner-bench-runner-")?;
    std::fs::write(folder.path().join("runner.ron"), told.runner_ron(urls))?;
    let mut command = Command::new(program);
    command
        .args(["--once", "--no-progress"])
        .args(args)
        .current_dir(folder.path())
        .env_remove("RUST_LOG")
        .env_remove("SEC_API_KEY")
        .env_remove("SEC_API_KEY_SECONDARY");
    if told.register.is_some() {
        command.env("SEC_API_KEY", "simulated-key");
    }
    match told.warehouse {
        Warehouse::At(url) => command.env("DATABASE_URL", url),
        Warehouse::Embedded(_) => command.env_remove("DATABASE_URL"),
    };
    let ended = children::run(command, &folder.path().join("said")).await?;
    if ended.code == Some(0) {
        return Ok(ended);
    }
    Err(format!(
        "master_runner {} ended with {:?} instead of 0; its last lines:\n{}",
        args.join(" "),
        ended.code,
        last_lines(&ended.output, 40)
    )
    .into())
}

/// The runner that was built together with this program.
pub fn program() -> Result<PathBuf, Trouble> {
    let program = std::env::current_exe()?.with_file_name("master_runner");
    if program.is_file() {
        return Ok(program);
    }
    Err(format!("{} is not there; script/bench builds it", program.display()).into())
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_shown() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
    }
}
