//! The settings of a run: the checked and typed form of `runner.ron`. [`RunnerSettings::check`] makes them and reports
//! every wrong value at once, each by its key path (O1).

mod check;
mod findings;
mod precedence;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use actors::restart_policy::RestartPolicy;
use actors::run_mode::{ModeSizes, Modes, RunMode};
use schema::back_off::BackOff;
use schema::doubt::DoubtLimits;
use schema::precedence::Precedence;
use sources::ask::TransportMode;
use sources::source_spec::{SiteAddress, SourceSpec};
use sources::transport::{HostLimits, Webdriver};
use store::Retention;

use crate::schedule::Schedule;
use crate::secret::DatabaseUrl;
use embedded_postgres::EmbeddedSettings;

/// All settings of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerSettings {
    /// The run mode: sizes and order of pages (`modes` in `runner.ron`).
    pub mode: RunMode,
    /// Where the warehouse is.
    pub database: DatabaseSettings,
    /// When the scheduled runner works.
    pub schedule: Schedule,
    /// The sources, in the order of [`sources::sites::SPECS`].
    pub sources: Vec<SourceSettings>,
    /// The real browser.
    pub browser: BrowserSettings,
    /// Time limits for the sites.
    pub patience: PatienceSettings,
    /// When a failing actor is given up.
    pub supervision: SupervisionSettings,
    /// The sizes of every run mode.
    pub modes: Modes,
    /// E-mail or web address at which the sites can reach the operator; part of the User-Agent. Empty: no contact is
    /// sent.
    pub user_agent_contact: String,
    /// Limits of what is kept on disk.
    pub retention: RetentionSettings,
    /// The shares of the funds above which a change is a mass change (D11).
    pub doubt: DoubtLimits,
    /// The ranks by which rows are merged (D4).
    pub precedence: Precedence,
}

/// Where the warehouse is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseSettings {
    /// A private server.
    Embedded(EmbeddedSettings),
    /// An existing server.
    Url(DatabaseUrl),
}

/// A source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSettings {
    /// The declaration of the source.
    pub spec: &'static SourceSpec,
    /// Whether this source is requested at all.
    pub enabled: bool,
    /// The hosts of the source (scheme, host, port; path `/`), and all hosts whose factsheets may be fetched.
    pub address: SiteAddress,
    /// How pages are fetched.
    pub transport: TransportMode,
    /// The limits of each host of the source.
    pub limits: HostLimits,
    /// The configured rate, if it is higher than the source allows.
    pub reduced_from: Option<f64>,
    /// The environment variable with the key of a source that demands one.
    pub key_env: Option<String>,
    /// Largest number of pages of histories in a cycle; 0 for a source without histories.
    pub history_pages: usize,
}

impl SourceSettings {
    /// Whether it is requested: it is enabled, and has a key if it demands one.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.enabled && (self.spec.api_key.is_none() || !self.address.keys.is_empty())
    }

    /// What the operator should know about these settings, one sentence each.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        let name = self.spec.name;
        let mut notices = Vec::new();
        if let (Some(key), Some(variable)) = (self.spec.api_key, &self.key_env)
            && self.enabled
            && self.address.keys.is_empty()
        {
            notices.push(format!(
                "{name} is off: the environment variable {variable} holds no key; {} issues one, free of charge",
                key.portal
            ));
        }
        if let Some(from) = self.reduced_from
            && self.is_requested()
        {
            notices.push(format!(
                "sources.{name}.requests_per_sec: {from} is more than the source allows; {} is used",
                self.limits.requests_per_sec
            ));
        }
        notices
    }
}

/// The real browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserSettings {
    /// The WebDriver server that controls Firefox.
    pub webdriver: Webdriver,
    /// Maximum number of concurrent sessions.
    pub sessions: NonZeroUsize,
    /// Maximum number of concurrent pages in one session.
    pub tabs_per_session: NonZeroUsize,
    /// Whether Firefox runs without a window.
    pub headless: bool,
    /// A session is replaced after this many pages.
    pub pages_per_session: NonZeroUsize,
}

/// Time limits for the sites (P3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatienceSettings {
    /// Time limit of one request, from its start to the end of the body.
    pub request_timeout: Duration,
    /// First pause between two probes of a host that is down.
    pub host_back_off_first: Duration,
    /// Longest pause between two probes of a host that is down.
    pub host_back_off_longest: Duration,
    /// If a host is down for this long, its tasks wait for round 2.
    pub host_wait: Duration,
}

/// When a failing actor is given up (A3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisionSettings {
    /// Maximum restarts of one source within `within`.
    pub max_restarts: usize,
    /// Maximum restarts of the merge actor or the loader within `within`.
    pub max_writer_restarts: usize,
    /// The window in which restarts are counted.
    pub within: Duration,
    /// First delay of a restart.
    pub restart_delay_first: Duration,
    /// Longest delay of a restart.
    pub restart_delay_longest: Duration,
    /// A source actor is stuck if it makes no progress for this long although it waits for nothing.
    pub stuck_after: Duration,
    /// Maximum duration of an orderly stop.
    pub shutdown: Duration,
}

/// Limits of what is kept on disk (O6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionSettings {
    /// The folder of the payload archive.
    pub archive_dir: PathBuf,
    /// Maximum size of the archive, in bytes.
    pub archive_bytes: u64,
    /// How many rejects, counts and other explanatory records of the warehouse are kept.
    pub store: Retention,
}

impl RunnerSettings {
    /// The sizes of the configured mode.
    #[must_use]
    pub fn sizes(&self) -> ModeSizes {
        self.modes.of(self.mode)
    }
}

impl SupervisionSettings {
    /// The policy of A3 with this budget of restarts.
    #[must_use]
    pub fn policy(&self, max_restarts: usize) -> RestartPolicy {
        RestartPolicy {
            delay: BackOff::new(self.restart_delay_first, self.restart_delay_longest),
            ..RestartPolicy::new(max_restarts, self.within)
        }
    }
}
