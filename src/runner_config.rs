//! The content of `runner.ron` as written, with the defaults. Those of `sources` are in [`::sources::sites::SPECS`], of
//! `modes` in [`actors::run_mode`], and of `doubt` in [`DoubtLimits`]. Every key may be omitted, at any depth; every
//! unknown key is an error. [`crate::runner_settings`] interprets and checks the values, and reports all wrong ones at
//! once. Therefore this module accepts numbers of any size and sign.

mod precedence;
mod read;
mod sources;

use schema::doubt::DoubtLimits;
use serde::Deserialize;

pub use precedence::PrecedenceConfig;
pub use read::{ConfigError, Problem};
pub use sources::{SourceConfig, SourcesConfig};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerConfig {
    /// `Sequential`, `Hybrid`, `Parallel`, or 1, 2, 3.
    pub mode: Word,
    /// Where the warehouse is.
    pub database: DatabaseConfig,
    /// When the scheduled runner works.
    pub schedule: ScheduleConfig,
    /// The sources.
    pub sources: SourcesConfig,
    /// The real browser.
    pub browser: BrowserConfig,
    /// Time limits for the sites.
    pub patience: PatienceConfig,
    /// When a failing actor is given up.
    pub supervision: SupervisionConfig,
    /// The sizes of the three run modes.
    pub modes: ModesConfig,
    /// E-mail or web address at which the sites can reach the operator; `None`: no contact is sent.
    pub user_agent_contact: Option<String>,
    /// Limits of what is kept on disk.
    pub retention: RetentionConfig,
    /// The shares of the funds above which a change is a mass change (D11).
    pub doubt: DoubtConfig,
    /// The ranks that differ from the defaults (D4).
    pub precedence: PrecedenceConfig,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self {
            mode: Word::new("Hybrid"),
            database: DatabaseConfig::default(),
            schedule: ScheduleConfig::default(),
            sources: SourcesConfig::default(),
            browser: BrowserConfig::default(),
            patience: PatienceConfig::default(),
            supervision: SupervisionConfig::default(),
            modes: ModesConfig::default(),
            user_agent_contact: None,
            retention: RetentionConfig::default(),
            doubt: DoubtConfig::default(),
            precedence: PrecedenceConfig::default(),
        }
    }
}

/// `Embedded(data_dir: "…")` or `Url("postgres://…")`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum DatabaseConfig {
    /// A private server.
    Embedded {
        /// The data folder of the private server. A relative path starts at the current directory.
        #[serde(default = "default_data_dir")]
        data_dir: String,
        /// The folder of PostgreSQL's programs; `None`: search for them.
        #[serde(default)]
        bin_dir: Option<String>,
    },
    /// An existing server.
    Url(String),
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self::Embedded {
            data_dir: default_data_dir(),
            bin_dir: None,
        }
    }
}

/// Omits the address, which may contain a password (O5).
impl std::fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded { data_dir, bin_dir } => f
                .debug_struct("Embedded")
                .field("data_dir", data_dir)
                .field("bin_dir", bin_dir)
                .finish(),
            Self::Url(_) => f.write_str("Url(…)"),
        }
    }
}

fn default_data_dir() -> String {
    "data/postgres".to_owned()
}

/// A bare word such as `Sunday`, a quoted word, or a number. Kept as text, so that a wrong word is reported together
/// with all other wrong values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(pub String);

impl Word {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // ron's own `Value` would drop the name of a bare word.
        let raw = Box::<ron::value::RawValue>::deserialize(deserializer)?;
        Ok(Self::new(raw.trim().get_ron().trim_matches('"')))
    }
}

/// When the scheduled runner works.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// An IANA time zone.
    pub timezone: String,
    /// `HH:MM`: round 1.
    pub daily_at: String,
    /// `HH:MM`: the earliest start of round 2.
    pub retry_at: String,
    /// Days without a scheduled cycle.
    pub skip_weekdays: Vec<Word>,
    /// `YYYY-MM-DD`: dates without a scheduled cycle.
    pub holidays: Vec<String>,
    /// Whether a start requests immediately, without waiting for `daily_at`.
    pub run_on_start: bool,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            timezone: "Asia/Bangkok".to_owned(),
            daily_at: "03:00".to_owned(),
            retry_at: "07:00".to_owned(),
            skip_weekdays: vec![Word::new("Sunday"), Word::new("Monday")],
            holidays: Vec::new(),
            run_on_start: true,
        }
    }
}

/// The real browser.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrowserConfig {
    /// The WebDriver server that controls Firefox.
    pub webdriver: WebdriverConfig,
    /// Maximum number of concurrent sessions (about 500 MB each).
    pub sessions: i64,
    /// Maximum number of concurrent pages in one session, further limited by each host's limits.
    pub tabs_per_session: i64,
    /// Whether Firefox runs without a window.
    pub headless: bool,
    /// A session is replaced after this many pages.
    pub pages_per_session: i64,
}

impl Default for BrowserConfig {
    fn default() -> Self {
        Self {
            webdriver: WebdriverConfig::Managed,
            sessions: 1,
            tabs_per_session: 6,
            headless: true,
            pages_per_session: 500,
        }
    }
}

/// `Managed` or `Url("http://grid:4444")`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub enum WebdriverConfig {
    /// geckodriver and Firefox of this machine, started and stopped by the runner.
    Managed,
    /// A WebDriver that is already running.
    Url(String),
}

/// Time limits for the sites.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatienceConfig {
    /// Time limit of one request, from its start to the end of the body.
    pub request_timeout_secs: i64,
    /// First and longest pause between two probes of a host that is down.
    pub host_back_off_secs: (i64, i64),
    /// If a host is down for this long, its tasks wait for round 2.
    pub host_wait_secs: i64,
}

impl Default for PatienceConfig {
    fn default() -> Self {
        Self {
            request_timeout_secs: 30,
            host_back_off_secs: (30, 600),
            host_wait_secs: 1800,
        }
    }
}

/// When a failing actor is given up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisionConfig {
    /// Maximum restarts of one source within `within_secs`.
    pub max_restarts: i64,
    /// Maximum restarts of the merge actor or the loader within `within_secs`.
    pub max_writer_restarts: i64,
    /// The window in which restarts are counted.
    pub within_secs: i64,
    /// First and longest delay of a restart.
    pub restart_delay_secs: (i64, i64),
    /// A source actor is stuck if it makes no progress for this long although it waits for nothing.
    pub stuck_after_secs: i64,
    /// Maximum duration of an orderly stop.
    pub shutdown_secs: i64,
}

impl Default for SupervisionConfig {
    fn default() -> Self {
        Self {
            max_restarts: 5,
            max_writer_restarts: 3,
            within_secs: 600,
            restart_delay_secs: (1, 300),
            stuck_after_secs: 120,
            shutdown_secs: 30,
        }
    }
}

/// The sizes of the three run modes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct ModesConfig {
    /// Mode 1.
    pub sequential: ModeConfig,
    /// Mode 2.
    pub hybrid: ModeConfig,
    /// Mode 3.
    pub parallel: ModeConfig,
}

/// One run mode. An omitted key has the documented default of its mode.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct ModeConfig {
    /// Fetches in flight per source; the host's own limit applies as well.
    pub fetches_in_flight: Option<i64>,
    /// Credits per source: the number of its requests whose answers are not committed yet.
    pub credits: Option<i64>,
    /// Batches that may be sent to the loader and not settled.
    pub loader_mailbox: Option<i64>,
    /// Browser sessions, at most `browser.sessions`.
    pub browser_sessions: Option<i64>,
}

/// Limits of what is kept on disk (O6).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// The folder of rejected, breached and sampled payloads, compressed and named by hash.
    pub archive_dir: String,
    /// Maximum size; the oldest files are deleted first.
    pub archive_mb: i64,
    /// Maximum number of rows in `runner.rejected`; the newest are kept.
    pub rejected_rows: i64,
    /// Number of closed cycles whose counts are kept.
    pub cycles: i64,
}

/// The shares of the requested funds above which a change is a mass change, in percent (D11).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoubtConfig {
    /// With fewer requested funds no change is a mass change.
    pub min_funds: i64,
    /// Funds without values that had values before.
    pub absent_percent: i64,
    /// Funds with rewritten settled values.
    pub settled_percent: i64,
    /// Funds with all figures changed to 0.
    pub zeroed_percent: i64,
    /// Funds with a replaced name or code.
    pub identity_percent: i64,
    /// Funds with a changed status, active or inactive.
    pub status_percent: i64,
}

impl Default for DoubtConfig {
    fn default() -> Self {
        let usual = DoubtLimits::USUAL;
        Self {
            min_funds: i64::from(usual.min_funds),
            absent_percent: i64::from(usual.absent_percent),
            settled_percent: i64::from(usual.settled_percent),
            zeroed_percent: i64::from(usual.zeroed_percent),
            identity_percent: i64::from(usual.identity_percent),
            status_percent: i64::from(usual.status_percent),
        }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            archive_dir: "data/archive".to_owned(),
            archive_mb: 500,
            rejected_rows: 100_000,
            cycles: 400,
        }
    }
}
