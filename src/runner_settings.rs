//! What the configuration means once all is known: checked, typed values, no strings left to interpret.
//! [`RunnerSettings::check`] reports every wrong value at once, each by its key path (O1).

mod check;
mod findings;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use actors::restart_policy::RestartPolicy;
use actors::run_mode::{ModeSizes, Modes, RunMode};
use schema::doubt::DoubtLimits;
use sources::ask::TransportMode;
use sources::transport::{HostLimits, Webdriver};
use store::Retention;
use url::Url;

use crate::embedded_postgres::EmbeddedSettings;
use crate::schedule::Schedule;
use crate::secret::DatabaseUrl;

/// Everything a run goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerSettings {
    /// The run mode: sizes and order of pages (`modes` in `runner.ron`).
    pub mode: RunMode,
    /// Where the warehouse is.
    pub database: DatabaseSettings,
    /// When the scheduled runner works.
    pub schedule: Schedule,
    /// The three sites.
    pub sources: SourcesSettings,
    /// The real browser.
    pub browser: BrowserSettings,
    /// How long a site is waited for.
    pub patience: PatienceSettings,
    /// When an actor is given up.
    pub supervision: SupervisionSettings,
    /// The sizes of every run mode.
    pub modes: Modes,
    /// Who the sites can write to: part of the User-Agent.
    pub user_agent_contact: String,
    /// How much is kept on disk.
    pub retention: RetentionSettings,
    /// From which share of the funds a change is not believed (D11).
    pub doubt: DoubtLimits,
}

/// Where the warehouse is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseSettings {
    /// A private server.
    Embedded(EmbeddedSettings),
    /// A server of yours.
    Url(DatabaseUrl),
}

/// The three sites.
#[derive(Debug, Clone, PartialEq)]
pub struct SourcesSettings {
    /// Finnomena: always over HTTP.
    pub finnomena: FinnomenaSettings,
    /// WealthMagik.
    pub wealthmagik: WealthmagikSettings,
    /// FundCheck.
    pub sec_fundcheck: SecFundcheckSettings,
}

/// Finnomena.
#[derive(Debug, Clone, PartialEq)]
pub struct FinnomenaSettings {
    /// Whether it is asked at all.
    pub enabled: bool,
    /// Scheme, host, port; path `/`.
    pub base_url: Url,
    /// For each of its hosts.
    pub limits: HostLimits,
    /// Hosts whose factsheets may be fetched, its own included.
    pub factsheet_hosts: Vec<Url>,
}

/// WealthMagik.
#[derive(Debug, Clone, PartialEq)]
pub struct WealthmagikSettings {
    /// Whether it is asked at all.
    pub enabled: bool,
    /// Scheme, host, port; path `/`.
    pub base_url: Url,
    /// How pages are fetched.
    pub transport: TransportMode,
    /// For each of its hosts.
    pub limits: HostLimits,
    /// Hosts whose factsheets may be fetched, its own included.
    pub factsheet_hosts: Vec<Url>,
}

/// FundCheck.
#[derive(Debug, Clone, PartialEq)]
pub struct SecFundcheckSettings {
    /// Whether it is asked at all.
    pub enabled: bool,
    /// The application: scheme, host, port; path `/`.
    pub page_url: Url,
    /// The API: likewise.
    pub api_url: Url,
    /// How pages are fetched.
    pub transport: TransportMode,
    /// For each of its hosts.
    pub limits: HostLimits,
}

/// The real browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserSettings {
    /// Who drives it.
    pub webdriver: Webdriver,
    /// Most sessions at a time.
    pub sessions: NonZeroUsize,
    /// Most pages at once in one session.
    pub tabs_per_session: NonZeroUsize,
    /// Without a window.
    pub headless: bool,
    /// A session is replaced after so many pages.
    pub pages_per_session: NonZeroUsize,
}

/// How long a site is waited for (P3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatienceSettings {
    /// One request, from its start to the end of the body.
    pub request_timeout: Duration,
    /// First pause between two probes of a host that is down.
    pub host_back_off_first: Duration,
    /// Longest such pause.
    pub host_back_off_longest: Duration,
    /// A host down for so long: its tasks wait for round 2.
    pub host_wait: Duration,
}

/// When an actor is given up (A3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisionSettings {
    /// Restarts of one source within `within`.
    pub max_restarts: usize,
    /// Restarts of merge or loader within `within`.
    pub max_writer_restarts: usize,
    /// The window in which restarts are counted.
    pub within: Duration,
    /// First delay of a restart.
    pub restart_delay_first: Duration,
    /// Longest delay of a restart.
    pub restart_delay_longest: Duration,
    /// Without progress for so long while waiting on nobody: stuck.
    pub stuck_after: Duration,
    /// How long an orderly stop may take.
    pub shutdown: Duration,
}

/// How much is kept on disk (O6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Where payloads are kept.
    pub archive_dir: PathBuf,
    /// Their size together, in bytes.
    pub archive_bytes: u64,
    /// What of the warehouse's own records is kept.
    pub store: Retention,
}

impl RunnerSettings {
    /// The sizes of the mode that is run.
    #[must_use]
    pub fn sizes(&self) -> ModeSizes {
        self.modes.of(self.mode)
    }
}

impl SupervisionSettings {
    /// A3's policy with this budget of restarts.
    #[must_use]
    pub fn policy(&self, max_restarts: usize) -> RestartPolicy {
        RestartPolicy {
            first_delay: self.restart_delay_first,
            longest_delay: self.restart_delay_longest,
            ..RestartPolicy::new(max_restarts, self.within)
        }
    }
}
