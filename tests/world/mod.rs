//! The test world: starts simulator, database and runner in one line, and compares the tables with the truth.

mod asked;
pub mod cells;
mod database_proxy;
pub mod extent;
mod look;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

pub use asked::PageAsked;
pub use database_proxy::{Act, DatabaseProxy, Door, Rule};
pub use look::{SevenTables, of_fund};
pub use server::{Database, server_programs};
use simulator::{MarketConfig, Row, Simulator};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// The time limit of a run. A run that hangs fails its test.
const RUN_LIMIT: Duration = Duration::from_secs(900);

/// A simulator, a database and a working folder for the runner.
pub struct World {
    pub simulator: Simulator,
    pub database: Database,
    dir: TempDir,
    /// The settings that a test may change.
    pub settings: Settings,
}

/// Settings of `runner.ron` and the environment, beside the URLs of the simulator.
pub struct Settings {
    pub requests_per_sec: f64,
    pub concurrent_requests: u32,
    /// `Http`, `Browser` or `Auto`, for WealthMagik and the SEC.
    pub transport: &'static str,
    /// The SEC's transport, if it differs from WealthMagik's.
    pub sec_transport: Option<&'static str>,
    /// The keys of the register, as `SEC_API_KEY` and `SEC_API_KEY_SECONDARY`; without one it is off.
    pub register_keys: &'static [&'static str],
    /// Largest number of pages of the register's histories in a cycle.
    pub history_pages: u32,
    /// Finnomena's transport.
    pub finnomena_transport: &'static str,
    /// The URLs of the sites, if they are not the simulator's.
    pub urls: Option<simulator::Urls>,
    /// Additional top-level keys of `runner.ron`.
    pub more: String,
    /// The value of `FAILPOINTS` for the runner.
    pub failpoints: String,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    /// Standard output followed by standard error.
    pub output: String,
}

impl Run {
    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code; the run printed:\n{}",
            self.output
        );
        self
    }

    /// Asserts that the output contains these words.
    #[track_caller]
    pub fn says(&self, words: &str) -> &Self {
        assert!(
            self.output.contains(words),
            "`{words}` was not said; the run printed:\n{}",
            self.output
        );
        self
    }
}

impl World {
    /// Creates a new market and a new database for one test.
    pub async fn new(market: MarketConfig) -> Self {
        Self::with(market, Database::create().await).await
    }

    /// Creates a new market for this database.
    pub async fn with(market: MarketConfig, database: Database) -> Self {
        Self {
            simulator: Simulator::start(market)
                .await
                .expect("the simulator starts"),
            database,
            dir: TempDir::with_prefix("mr-test-").expect("a folder"),
            settings: Settings {
                requests_per_sec: 1000.0,
                concurrent_requests: 6,
                transport: "Http",
                sec_transport: None,
                register_keys: &[],
                history_pages: 2_000,
                finnomena_transport: "Http",
                urls: None,
                more: String::new(),
                failpoints: String::new(),
            },
        }
    }

    /// The runner's working folder.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    fn runner_ron(&self) -> String {
        let simulator = self.simulator.urls();
        let urls = self.settings.urls.clone().unwrap_or(simulator);
        let Settings {
            requests_per_sec: rate,
            concurrent_requests: concurrent,
            transport,
            sec_transport,
            finnomena_transport,
            history_pages,
            more,
            ..
        } = &self.settings;
        let sec_transport = sec_transport.unwrap_or(transport);
        format!(
            "(
    {more}
    sources: (
        finnomena: (base_url: {:?}, requests_per_sec: {rate:?}, concurrent_requests: {concurrent}, factsheet_hosts: [{:?}], transport: {finnomena_transport}),
        wealthmagik: (base_url: {:?}, requests_per_sec: {rate:?}, concurrent_requests: {concurrent}, factsheet_hosts: [{:?}], transport: {transport}),
        sec_fundcheck: (page_url: {:?}, api_url: {:?}, requests_per_sec: {rate:?}, concurrent_requests: {concurrent}, transport: {sec_transport}),
        sec_open_api: (base_url: {:?}, requests_per_sec: {rate:?}, concurrent_requests: {concurrent}, factsheet_hosts: [{:?}], history_pages: {history_pages}),
    ),
)
",
            urls.finnomena, urls.documents, urls.wealthmagik, urls.documents, urls.sec_page, urls.sec_api, urls.sec_open_api, urls.documents
        )
    }

    /// The runner's command with these arguments, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let config = self.dir.path().join("runner.ron");
        // Written under another name and renamed: a runner that starts meanwhile reads the old file or the new one,
        // never half of it.
        let new = self.dir.path().join("runner.ron.new");
        std::fs::write(&new, self.runner_ron()).expect("runner.ron is written");
        std::fs::rename(&new, &config).expect("runner.ron is put in place");
        let mut command = Command::new(env!("CARGO_BIN_EXE_master_runner"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("DATABASE_URL", self.database.url())
            .env_remove("RUST_LOG")
            .env_remove("SEC_API_KEY")
            .env_remove("SEC_API_KEY_SECONDARY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for (variable, key) in ["SEC_API_KEY", "SEC_API_KEY_SECONDARY"]
            .into_iter()
            .zip(self.settings.register_keys)
        {
            command.env(variable, key);
        }
        if !self.settings.failpoints.is_empty() {
            command.env("FAILPOINTS", &self.settings.failpoints);
        }
        command
    }

    /// Starts the runner.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).spawn().expect("the runner starts")
    }

    /// Runs the runner and waits until it ends.
    pub async fn run(&self, args: &[&str]) -> Run {
        ended(self.spawn(args)).await
    }

    /// The rows of a table as text, in the columns and the order of the truth.
    pub async fn rows(&self, table: &str, columns: &[&str]) -> Vec<Row> {
        let client = self.database.connect().await;
        let kinds: BTreeMap<String, String> = client
            .query(
                "SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1",
                &[&table],
            )
            .await
            .expect("the catalogue answers")
            .into_iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        let list: Vec<String> = columns
            .iter()
            .map(|column| match kinds.get(*column).map(String::as_str) {
                Some("numeric") => format!("trim_scale({column})::text"),
                _ => format!("{column}::text"),
            })
            .collect();
        let rows = client
            .query(
                &format!("SELECT {} FROM public.{table}", list.join(", ")),
                &[],
            )
            .await
            .expect("the table answers");
        let mut rows: Vec<Row> = rows
            .into_iter()
            .map(|row| (0..columns.len()).map(|index| row.get(index)).collect())
            .collect();
        rows.sort();
        rows
    }

    /// Asserts that every cell of the seven tables equals the simulator's truth.
    #[track_caller]
    pub fn assert_truth(&self) -> impl Future<Output = ()> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let differences = self.differences_from_truth().await;
            assert!(
                differences.is_empty(),
                "the tables differ from the truth (called at {caller}):\n{differences}"
            );
        }
    }

    /// The differences between the seven tables and the simulator's truth; empty if there are none.
    pub async fn differences_from_truth(&self) -> String {
        let mut differences = String::new();
        for table in self.simulator.truth().tables {
            let found = self.rows(table.name, table.columns).await;
            let mut expected = table.rows;
            expected.sort();
            assert!(
                !expected.is_empty(),
                "the truth of {} is empty: nothing would be compared",
                table.name
            );
            differences.push_str(&difference(table.name, table.columns, &expected, &found));
        }
        differences
    }

    /// The single value of an SQL query.
    pub async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> T {
        self.database
            .connect()
            .await
            .query_one(sql, &[])
            .await
            .expect(sql)
            .get(0)
    }

    /// For each table that an unchanged pass must not write to (D2): its row count, and a hash of every row's
    /// transaction and position. Both stay equal only if no row was written.
    pub async fn written(&self) -> Vec<(String, i64, Option<String>)> {
        let client = self.database.connect().await;
        let mut written = Vec::new();
        let seven = simulator::TABLES
            .iter()
            .map(|(name, _)| format!("public.{name}"));
        let others = [
            "runner.observation",
            "runner.daily_dissent",
            "history.change",
            "history.portfolio",
        ];
        for table in seven.chain(others.map(str::to_owned)) {
            let row = client
                .query_one(
                    &format!("SELECT count(*), md5(string_agg(xmin::text || ctid::text, ',' ORDER BY ctid)) FROM {table}"),
                    &[],
                )
                .await
                .expect("the table answers");
            written.push((table, row.get(0), row.get(1)));
        }
        written
    }
}

/// Waits until a run ends and collects its output.
pub async fn ended(mut child: Child) -> Run {
    let mut said = Vec::new();
    let mut errors = Vec::new();
    let mut stdout = child.stdout.take().expect("piped");
    let mut stderr = child.stderr.take().expect("piped");
    let status = tokio::time::timeout(RUN_LIMIT, async {
        let (_, _, status) = tokio::join!(
            stdout.read_to_end(&mut said),
            stderr.read_to_end(&mut errors),
            child.wait()
        );
        status
    })
    .await;
    said.extend(errors);
    let said = String::from_utf8_lossy(&said).into_owned();
    match status {
        Ok(status) => Run {
            code: status.expect("the runner can be waited for").code(),
            output: said,
        },
        Err(_) => panic!("the runner did not end within {RUN_LIMIT:?}; it printed:\n{said}"),
    }
}

/// The peak memory of a process until it ends, in MiB.
pub fn most_memory(process: u32) -> tokio::task::JoinHandle<i64> {
    tokio::spawn(async move {
        let mut most = 0;
        while let Ok(status) = tokio::fs::read_to_string(format!("/proc/{process}/status")).await {
            let peak = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))
                .and_then(|line| line.trim().strip_suffix(" kB")?.parse::<i64>().ok());
            // A process that has ended but was not reaped has no memory line.
            let Some(peak) = peak else { break };
            most = most.max(peak / 1024);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        most
    })
}

/// The first missing rows and the first surplus rows of two sorted tables.
fn difference(table: &str, columns: &[&str], expected: &[Row], found: &[Row]) -> String {
    // Both are sorted, so this is the usual case and much cheaper than counting.
    if expected == found {
        return String::new();
    }
    let mut counts: BTreeMap<&Row, i64> = BTreeMap::new();
    for row in expected {
        *counts.entry(row).or_default() += 1;
    }
    for row in found {
        *counts.entry(row).or_default() -= 1;
    }
    let missing: Vec<_> = counts.iter().filter(|(_, count)| **count > 0).collect();
    let too_much: Vec<_> = counts.iter().filter(|(_, count)| **count < 0).collect();
    if missing.is_empty() && too_much.is_empty() {
        return String::new();
    }
    let show = |row: &Row| {
        let cells = row.iter().map(|cell| cell.as_deref().unwrap_or("\\N"));
        cells.collect::<Vec<_>>().join(" | ")
    };
    let mut text = format!(
        "{table} ({}): {} rows expected, {} found, {} missing, {} too much\n",
        columns.join(" | "),
        expected.len(),
        found.len(),
        missing.len(),
        too_much.len()
    );
    for (row, _) in missing.iter().take(12) {
        text.push_str(&format!("  - {}\n", show(row)));
    }
    for (row, _) in too_much.iter().take(12) {
        text.push_str(&format!("  + {}\n", show(row)));
    }
    text
}
