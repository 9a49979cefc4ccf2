//! How a site is asked: politely (P1-P4), whoever asks, by HTTP or by the real browser.
//!
//! The path of a request: [`Transport::fetch`] (or [`Transport::visit`]) reads the host's robots.txt first, waits at
//! the host's gate (health, slot, pace), makes one exchange, follows redirects by hand, waits out throttling, and
//! retries what failed. The rules are pure and stand by themselves: `pacing`, `retry`, `retry_after`, `host_health`,
//! `robots`, `redirect`; what moves is in `host_gate`, `fetch`, `http` and `browser`.

mod bidi;
mod browser;
mod browser_health;
mod browser_programs;
mod browser_session;
mod content_coding;
mod fetch;
mod firefox_profile;
mod geckodriver;
mod host;
mod host_gate;
mod host_health;
mod http;
mod lease;
mod new_session;
mod pacing;
mod page_look;
mod page_requests;
mod page_visit;
mod processes;
pub mod proxy;
pub mod redirect;
mod retry;
pub mod retry_after;
pub mod robots;
mod robots_reading;
mod session_book;
mod site_clock;
mod visit_failure;
mod waiting;
mod webdriver_session;
mod wire;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use schema::SourceName;
use tokio::time::Instant;
use url::Url;

pub use browser::{BrowserConfig, Webdriver};
pub use fetch::{Call, FailureKind, FetchFailure, Fetched};
pub use host::HostKey;
pub use host_health::HostPatience;
pub use lease::{AskingLease, LEASE};
pub use proxy::{Proxies, ProxyError, ProxyServer};
pub use redirect::RedirectScope;
pub use site_clock::SiteClock;
pub use waiting::{Waiting, WaitingOn};

use browser::BrowserWire;
use host_gate::HostGate;
use http::HttpWire;
use site_clock::SiteClocks;
pub(crate) use waiting::lock;
use wire::Wire;

/// How fast a host may be asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HostLimits {
    /// Starts per second; greater than 0.
    pub requests_per_sec: f64,
    /// Requests in flight at once.
    pub concurrent_requests: NonZeroUsize,
}

/// What the configuration says about a source, as far as the transport needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Applied to each host the source asks; a host that several sources ask gets the slowest limits.
    pub limits: HostLimits,
    /// The hosts of the source itself, by any URL of them: the browser loads from these and no others.
    pub own_hosts: Vec<Url>,
    /// Other hosts a factsheet link may lead to: names, `name:port`, or URLs.
    pub factsheet_hosts: Vec<String>,
}

/// All that the transport needs to know.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// The sources by name; only these can be asked.
    pub sources: BTreeMap<SourceName, SourceConfig>,
    /// Whom a site's owner can turn to, such as a URL or an address; part of the User-Agent.
    pub contact: String,
    /// Bounds each request from connecting to its last byte.
    pub request_timeout: Duration,
    /// How long a host that is down is waited for.
    pub patience: HostPatience,
    /// The browser.
    pub browser: BrowserConfig,
}

/// Why there is no transport.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A rate that is no rate.
    #[error("sources.{source_name}.requests_per_sec is {rate}; it must be greater than 0")]
    Rate {
        /// Whose.
        source_name: SourceName,
        /// The value found.
        rate: f64,
    },
    /// A proxy variable of the environment.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The HTTP client cannot be built.
    #[error(
        "the HTTP client cannot be built (is the contact `{contact}` plain ASCII, are CA certificates installed?): {cause}"
    )]
    Client {
        /// The contact as configured.
        contact: String,
        /// What the client says.
        cause: reqwest::Error,
    },
}

/// The one way to every host; made once for the whole run, cheap to clone, outlives the actors that use it, so that a
/// restarted one meets the same pace and the same health.
#[derive(Clone)]
pub struct Transport(Arc<Shared>);

struct Shared {
    config: TransportConfig,
    gates: Mutex<BTreeMap<HostKey, Arc<HostGate>>>,
    counts: Mutex<BTreeMap<SourceName, SourceCounts>>,
    http: Arc<dyn Wire>,
    browser: Arc<dyn Wire>,
    /// The same browser, to be closed.
    sessions: BrowserWire,
    /// Whether this process may ask anybody.
    lease: AskingLease,
    /// Whether it has been said that there is none.
    told_no_browser: AtomicBool,
    /// What the answers say about the time.
    clocks: SiteClocks,
}

/// What a source has asked so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Further attempts after a failed one.
    pub retries: u64,
    /// Throttled answers.
    pub throttled: u64,
    /// Pages answered over HTTP.
    pub pages_by_http: u64,
    /// Pages answered in the browser.
    pub pages_by_browser: u64,
    /// Pages that are open in the browser now, or wait for their turn, a tab or another attempt.
    pub in_browser: usize,
}

/// How one host stands.
#[derive(Debug, Clone, PartialEq)]
pub struct HostSnapshot {
    /// Which.
    pub host: HostKey,
    /// Requests per second by configuration.
    pub configured_rate: f64,
    /// Requests per second now allowed.
    pub rate_now: f64,
    /// What its requests wait on, if on more than their turn.
    pub state: HostState,
    /// Requests in flight.
    pub in_flight: usize,
    /// Requests that wait to start.
    pub waiting: usize,
    /// Requests sent so far, for robots.txt and redirects too.
    pub requests: u64,
    /// Further attempts after a failed one.
    pub retries: u64,
    /// Throttled answers.
    pub throttled: u64,
}

/// Whether a host can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostState {
    /// Yes, at its rate.
    Open,
    /// Not yet: its robots.txt is being read.
    ReadingRobots,
    /// It asked to be left alone.
    Throttled {
        /// Until when.
        until: Instant,
    },
    /// It does not answer.
    Down {
        /// Since when.
        since: Instant,
        /// When the next probe goes.
        next_probe: Instant,
        /// What the last failure was.
        last_failure: String,
    },
}

/// How everything stands: for progress bars, `Progress` messages and the summary.
#[derive(Debug, Clone, PartialEq)]
pub struct TransportSnapshot {
    /// Each host asked so far.
    pub hosts: Vec<HostSnapshot>,
    /// Each source that has asked so far.
    pub sources: BTreeMap<SourceName, SourceCounts>,
}

/// The truthful User-Agent: program, version, contact (P1).
#[must_use]
pub fn user_agent(contact: &str) -> String {
    let program = concat!("master_runner/", env!("CARGO_PKG_VERSION"));
    match contact.trim() {
        "" => program.to_owned(),
        contact => format!("{program} (+{contact})"),
    }
}

impl Transport {
    /// A transport for these sources. Nothing is asked and no browser started before the first request.
    ///
    /// # Errors
    /// A rate is not greater than 0, a proxy variable cannot be read, or the HTTP client cannot be built.
    pub fn new(config: TransportConfig) -> Result<Self, TransportError> {
        let user_agent = user_agent(&config.contact);
        let proxies = Proxies::from_environment()?;
        let clocks = SiteClocks::default();
        let http = HttpWire::new(
            &user_agent,
            config.request_timeout,
            proxies.clone(),
            clocks.clone(),
        )
        .map_err(|cause| TransportError::Client {
            contact: config.contact.clone(),
            cause,
        })?;
        let own_hosts = config
            .sources
            .values()
            .flat_map(|source| source.own_hosts.iter().cloned())
            .collect();
        let sessions = BrowserWire::new(
            config.browser.clone(),
            user_agent,
            own_hosts,
            config.request_timeout,
        );
        let browser = Arc::new(sessions.clone());
        Self::over(config, Arc::new(http), browser, sessions, clocks)
    }

    fn over(
        config: TransportConfig,
        http: Arc<dyn Wire>,
        browser: Arc<dyn Wire>,
        sessions: BrowserWire,
        clocks: SiteClocks,
    ) -> Result<Self, TransportError> {
        for (source_name, source) in &config.sources {
            let rate = source.limits.requests_per_sec;
            if !(rate.is_finite() && rate > 0.0) {
                return Err(TransportError::Rate {
                    source_name: *source_name,
                    rate,
                });
            }
        }
        Ok(Self(Arc::new(Shared {
            config,
            gates: Mutex::default(),
            counts: Mutex::default(),
            http,
            browser,
            sessions,
            lease: AskingLease::default(),
            told_no_browser: AtomicBool::new(false),
            clocks,
        })))
    }

    /// How everything stands.
    #[must_use]
    pub fn snapshot(&self) -> TransportSnapshot {
        let gates: Vec<_> = lock(&self.0.gates).values().cloned().collect();
        TransportSnapshot {
            hosts: gates.iter().map(|gate| gate.snapshot()).collect(),
            sources: lock(&self.0.counts).clone(),
        }
    }

    /// The permission without which nobody is asked, once it is demanded.
    #[must_use]
    pub fn lease(&self) -> AskingLease {
        self.0.lease.clone()
    }

    /// Halves the rate of `url`'s host: it refused to answer (P4).
    pub fn slow_down(&self, source: SourceName, url: &Url) {
        if let Ok(gate) = self.gate(source, url) {
            gate.slow_down();
        }
    }

    /// Starts a browser and closes it again; no site is asked.
    ///
    /// # Errors
    /// Why there is none, with what is missing.
    pub async fn try_browser(&self) -> Result<(), String> {
        self.0.sessions.try_out().await
    }

    /// Why no page can be seen in a browser on this machine, and what brings one; `None`: it can be tried.
    #[must_use]
    pub fn no_browser(&self) -> Option<String> {
        self.0.browser.missing()
    }

    /// Closes every browser session and waits for that, at most some seconds each; a later visit starts anew. To be
    /// called at the end of a cycle and before the program ends.
    pub async fn close_browsers(&self) {
        self.0.sessions.close().await;
    }

    fn gate(&self, source: SourceName, url: &Url) -> Result<Arc<HostGate>, String> {
        let Some(config) = self.0.config.sources.get(&source) else {
            return Err(format!(
                "the source {source} is not configured; {url} was not asked"
            ));
        };
        let Some(host) = HostKey::of(url) else {
            return Err(format!("{url} is not an http or https URL with a host"));
        };
        let mut gates = lock(&self.0.gates);
        if let Some(gate) = gates.get(&host) {
            gate.lower_to(config.limits);
            return Ok(Arc::clone(gate));
        }
        let gate = Arc::new(HostGate::new(
            host.clone(),
            config.limits,
            self.0.config.patience,
        ));
        gates.insert(host, Arc::clone(&gate));
        Ok(gate)
    }

    fn count(&self, source: SourceName, change: impl FnOnce(&mut SourceCounts)) {
        change(lock(&self.0.counts).entry(source).or_default());
    }
}

#[cfg(test)]
mod tests;
