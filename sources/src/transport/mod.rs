//! Fetches pages within the limits of politeness (P1-P4), by HTTP or in a real browser.
//!
//! [`Transport::fetch`], [`Transport::visit`] and [`Transport::request_in_page`] take the same steps. They read the
//! host's robots.txt first. They wait at the host's gate (health, slot, pace), make one exchange and follow redirects
//! themselves. They wait while the host throttles, and retry failed attempts. The rules are pure and independent of
//! each other: `pacing`, `retry`, `retry_after`, `host_health`, `robots`, `redirect`. Input and output happen in
//! `host_gate`, `fetch`, `http` and `browser`.

mod backend;
mod bidi;
mod browser;
mod browser_health;
mod browser_pool;
mod browser_programs;
mod browser_session;
mod clock_check;
mod content_coding;
mod exchange;
mod fetch;
mod firefox_profile;
mod geckodriver;
mod host;
mod host_gate;
mod host_health;
mod http;
mod http_client;
mod in_page;
mod lease;
mod new_session;
mod pacing;
mod page_fetch;
mod page_lease;
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

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use schema::SourceName;
use tokio::time::Instant;
use url::Url;

pub use browser_pool::{BrowserConfig, Webdriver};
pub use fetch::{Call, FailureKind, FetchFailure, Fetched};
pub use host::HostKey;
pub use host_health::HostPatience;
pub use lease::{AskingLease, LEASE};
pub use proxy::{Proxies, ProxyError, ProxyServer};
pub use redirect::RedirectScope;
pub use site_clock::SiteClock;
pub use waiting::{Waiting, WaitingOn};

use backend::Wire;
use browser::BrowserWire;
use host_gate::HostGate;
use http::HttpWire;
use site_clock::SiteClocks;

/// The limits of requests to a host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HostLimits {
    /// Request starts per second; greater than 0.
    pub requests_per_sec: f64,
    /// The maximum number of requests in flight.
    pub concurrent_requests: NonZeroUsize,
}

/// The part of a source's configuration that the transport needs.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Limits of each host that the source requests. A host that several sources request gets the lowest limits.
    pub limits: HostLimits,
    /// The source's own hosts, each given by any of its URLs. The browser loads from these hosts only.
    pub own_hosts: Vec<Url>,
    /// Other hosts that a factsheet link may lead to: names, `name:port`, or URLs.
    pub factsheet_hosts: Vec<String>,
}

/// The configuration of the transport.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// The sources by name. Requests for any other source fail.
    pub sources: BTreeMap<SourceName, SourceConfig>,
    /// The contact for the owner of a site, such as a URL or an address; part of the User-Agent.
    pub contact: String,
    /// The time limit of each request, from connecting to the last byte.
    pub request_timeout: Duration,
    /// How long requests wait for a host that is down.
    pub patience: HostPatience,
    /// The browser's configuration.
    pub browser: BrowserConfig,
}

/// The reason why the transport cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A rate that is not a finite number greater than 0.
    #[error("sources.{source_name}.requests_per_sec is {rate}; it must be greater than 0")]
    Rate {
        /// The source of the rate.
        source_name: SourceName,
        /// The value found.
        rate: f64,
    },
    /// An invalid proxy variable in the environment.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The HTTP client cannot be built.
    #[error(
        "the HTTP client cannot be built (is the contact `{contact}` plain ASCII, are CA certificates installed?): {cause}"
    )]
    Client {
        /// The contact as configured.
        contact: String,
        /// The client's error.
        cause: reqwest::Error,
    },
}

/// The only access to the hosts. One transport is created for the whole run and is cheap to clone. It outlives the
/// actors that use it, so a restarted actor finds the same pace and the same health.
#[derive(Clone)]
pub struct Transport(Arc<Shared>);

struct Shared {
    config: TransportConfig,
    gates: Mutex<BTreeMap<HostKey, Arc<HostGate>>>,
    counts: Mutex<BTreeMap<SourceName, SourceCounts>>,
    http: Arc<dyn Wire>,
    browser: Arc<dyn Wire>,
    /// The pool of browsers behind the wire, needed to close its sessions.
    sessions: BrowserWire,
    /// Whether this process may request pages.
    lease: AskingLease,
    /// Whether the missing browser has been reported.
    told_no_browser: AtomicBool,
    /// The time by the answers of the hosts.
    clocks: SiteClocks,
}

/// The requests of a source so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Attempts after a failed one.
    pub retries: u64,
    /// Throttled answers.
    pub throttled: u64,
    /// Pages answered over HTTP.
    pub pages_by_http: u64,
    /// Pages answered in the browser.
    pub pages_by_browser: u64,
    /// Pages that are open in the browser now, or that wait for their turn, a tab or another attempt.
    pub in_browser: usize,
}

/// The state of one host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostSnapshot {
    /// The host.
    pub host: HostKey,
    /// Configured requests per second.
    pub configured_rate: f64,
    /// Requests per second allowed now.
    pub rate_now: f64,
    /// Whether requests to the host can start now.
    pub state: HostState,
    /// Requests in flight.
    pub in_flight: usize,
    /// Requests that wait to start.
    pub waiting: usize,
    /// Requests sent so far, including those for robots.txt and redirects.
    pub requests: u64,
    /// Attempts after a failed one.
    pub retries: u64,
    /// Throttled answers.
    pub throttled: u64,
}

/// Whether requests to a host can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostState {
    /// Yes, at the host's rate.
    Open,
    /// Not yet: the host's robots.txt is being read.
    ReadingRobots,
    /// Not yet: the host throttles requests.
    Throttled {
        /// The end of the wait.
        until: Instant,
    },
    /// No: the host is down.
    Down {
        /// The time at which the host went down.
        since: Instant,
        /// When the next probe is sent.
        next_probe: Instant,
        /// The text of the last failure.
        last_failure: String,
    },
}

/// The state of the transport, for the progress display and the summary.
#[derive(Debug, Clone, PartialEq)]
pub struct TransportSnapshot {
    /// Each host requested so far.
    pub hosts: Vec<HostSnapshot>,
    /// Each source that has sent requests so far.
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
    /// A transport for these sources. It sends no request and starts no browser before the first call.
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

    /// The state of all hosts and sources.
    #[must_use]
    pub fn snapshot(&self) -> TransportSnapshot {
        let gates: Vec<_> = self.0.gates.lock().values().cloned().collect();
        TransportSnapshot {
            hosts: gates.iter().map(|gate| gate.snapshot()).collect(),
            sources: self.0.counts.lock().clone(),
        }
    }

    /// The lease. After [`AskingLease::demand`], requests are sent only while the lease is fresh.
    #[must_use]
    pub fn lease(&self) -> AskingLease {
        self.0.lease.clone()
    }

    /// Halves the rate of `url`'s host, because it refused a request (P4).
    pub fn slow_down(&self, source: SourceName, url: &Url) {
        if let Ok(gate) = self.gate(source, url) {
            gate.slow_down();
        }
    }

    /// Starts a browser and closes it again, without a request to any site.
    ///
    /// # Errors
    /// The reason why no browser starts, with what is missing.
    pub async fn try_browser(&self) -> Result<(), String> {
        self.0.sessions.try_out().await
    }

    /// The reason why this machine has no usable browser, and how to install one. `None` if a visit can be tried.
    #[must_use]
    pub fn no_browser(&self) -> Option<String> {
        self.0.browser.missing()
    }

    /// Closes every browser session and waits for that, at most some seconds each. A later visit starts a new session.
    /// Call it at the end of a cycle and before the program ends.
    pub async fn close_browsers(&self) {
        self.0.sessions.close().await;
    }

    fn gate(&self, source: SourceName, url: &Url) -> Result<Arc<HostGate>, String> {
        let Some(config) = self.0.config.sources.get(&source) else {
            return Err(format!(
                "the source {source} is not configured; {url} was not requested"
            ));
        };
        let Some(host) = HostKey::of(url) else {
            return Err(format!("{url} is not an http or https URL with a host"));
        };
        let mut gates = self.0.gates.lock();
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
        change(self.0.counts.lock().entry(source).or_default());
    }
}

#[cfg(test)]
mod tests;
