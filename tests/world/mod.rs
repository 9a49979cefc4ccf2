//! Builds replica, database and runner in one line, and looks at what became of the tables.

mod asked;
mod database_proxy;
mod look;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

pub use asked::PageAsked;
pub use database_proxy::{Act, DatabaseProxy, Door, Rule};
pub use look::{SevenTables, of_fund};
use replica::{MarketConfig, Replica, Row};
pub use server::{Database, server_programs};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// No run of a test takes longer; a hang is a failure, not a wait.
const RUN_LIMIT: Duration = Duration::from_secs(900);

/// Replica, database and a folder to run in.
pub struct World {
    pub replica: Replica,
    pub database: Database,
    dir: TempDir,
    /// Lines of `runner.ron` beside those that lead to the replica.
    pub settings: Settings,
}

/// What a test may want other than usual.
pub struct Settings {
    pub requests_per_sec: f64,
    pub concurrent_requests: u32,
    /// `Http`, `Browser` or `Auto`, for WealthMagik and the SEC.
    pub transport: &'static str,
    /// The SEC's, where it is another than WealthMagik's.
    pub sec_transport: Option<&'static str>,
    /// Where the sites are sought, where that is not the replica.
    pub urls: Option<replica::Urls>,
    /// More top-level keys of `runner.ron`.
    pub more: String,
    /// `FAILPOINTS` of the runner.
    pub failpoints: String,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    /// Standard output and standard error, one after the other.
    pub said: String,
}

impl Run {
    /// The exit code must be this.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code; the run said:\n{}",
            self.said
        );
        self
    }

    /// The run must have said this.
    #[track_caller]
    pub fn says(&self, words: &str) -> &Self {
        assert!(
            self.said.contains(words),
            "`{words}` was not said; the run said:\n{}",
            self.said
        );
        self
    }
}

impl World {
    /// A market of its own for one test.
    pub async fn new(market: MarketConfig) -> Self {
        Self::with(market, Database::create().await).await
    }

    /// A market of its own, loaded into this database.
    pub async fn with(market: MarketConfig, database: Database) -> Self {
        Self {
            replica: Replica::start(market).await.expect("the replica starts"),
            database,
            dir: TempDir::with_prefix("mr-test-").expect("a folder"),
            settings: Settings {
                requests_per_sec: 1000.0,
                concurrent_requests: 6,
                transport: "Http",
                sec_transport: None,
                urls: None,
                more: String::new(),
                failpoints: String::new(),
            },
        }
    }

    /// The folder the runner runs in.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    fn runner_ron(&self) -> String {
        let replica = self.replica.urls();
        let urls = self.settings.urls.clone().unwrap_or(replica);
        let Settings {
            requests_per_sec: rate,
            concurrent_requests: concurrent,
            transport,
            sec_transport,
            more,
            ..
        } = &self.settings;
        let sec_transport = sec_transport.unwrap_or(transport);
        format!(
            "(
    {more}
    sources: (
        finnomena: (base_url: {:?}, requests_per_sec: {rate:?}, concurrent_requests: {concurrent}, factsheet_hosts: [{:?}]),
        wealthmagik: (base_url: {:?}, requests_per_sec: {rate:?}, concurrent_requests: {concurrent}, factsheet_hosts: [{:?}], transport: {transport}),
        sec_fundcheck: (page_url: {:?}, api_url: {:?}, requests_per_sec: {rate:?}, concurrent_requests: {concurrent}, transport: {sec_transport}),
    ),
)
",
            urls.finnomena, urls.documents, urls.wealthmagik, urls.documents, urls.sec_page, urls.sec_api
        )
    }

    /// The runner with these arguments, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let config = self.dir.path().join("runner.ron");
        // Renamed into place: a runner that is starting meanwhile reads the one or the other, never half of it.
        let new = self.dir.path().join("runner.ron.new");
        std::fs::write(&new, self.runner_ron()).expect("runner.ron is written");
        std::fs::rename(&new, &config).expect("runner.ron is put in place");
        let mut command = Command::new(env!("CARGO_BIN_EXE_master_runner"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("DATABASE_URL", self.database.url())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if !self.settings.failpoints.is_empty() {
            command.env("FAILPOINTS", &self.settings.failpoints);
        }
        command
    }

    /// Starts the runner.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).spawn().expect("the runner starts")
    }

    /// Runs the runner to its end.
    pub async fn run(&self, args: &[&str]) -> Run {
        ended(self.spawn(args)).await
    }

    /// Rows as text, in the truth's columns and order.
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

    /// Every cell of the seven tables equals the replica's truth.
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

    /// Where the seven tables differ from the replica's truth; empty: nowhere.
    pub async fn differences_from_truth(&self) -> String {
        let mut differences = String::new();
        for table in self.replica.truth().tables {
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

    /// A single value.
    pub async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> T {
        self.database
            .connect()
            .await
            .query_one(sql, &[])
            .await
            .expect(sql)
            .get(0)
    }

    /// The newest transaction that wrote into each table that an unchanged pass must leave alone (D2), with its row count.
    pub async fn written(&self) -> Vec<(String, i64, Option<String>)> {
        let client = self.database.connect().await;
        let mut written = Vec::new();
        let seven = replica::TABLES
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

/// Waits for a run to end and gathers what it said.
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
            said,
        },
        Err(_) => panic!("the runner did not end within {RUN_LIMIT:?}; it said:\n{said}"),
    }
}

/// The most memory that a process takes until it ends, in MiB.
pub fn most_memory(process: u32) -> tokio::task::JoinHandle<i64> {
    tokio::spawn(async move {
        let mut most = 0;
        while let Ok(status) = tokio::fs::read_to_string(format!("/proc/{process}/status")).await {
            let peak = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))
                .and_then(|line| line.trim().strip_suffix(" kB")?.parse::<i64>().ok());
            // A process that has ended and is not waited for yet has no memory.
            let Some(peak) = peak else { break };
            most = most.max(peak / 1024);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        most
    })
}

/// What is missing and what is too much, the first lines of each.
fn difference(table: &str, columns: &[&str], expected: &[Row], found: &[Row]) -> String {
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
