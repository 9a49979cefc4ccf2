//! Builds the enabled sites from the settings: the transport they share, and a fetcher for each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actors::fetch::AskedSource;
use jiff::Timestamp;
use schema::SourceName;
use schema::back_off::BackOff;
use sources::archive::Archive;
use sources::ask::{PageFetcher, TransportMode};
use sources::cycle_memory::CycleMemory;
use sources::page::PageSpec;
use sources::site::Site;
use sources::transport::{
    AskingLease, BrowserConfig, HostKey, HostPatience, HostState, Proxies, SourceConfig, Transport,
    TransportConfig, TransportError,
};
use url::Url;

use crate::cycle_plan::SitePages;
use crate::cycle_report::PageCounts;
use crate::progress::{ReadRates, SourceRate};
use crate::runner_settings::{RunnerSettings, SourceSettings};

/// How long a request of `check` or `probe` waits for a host that is down.
const QUESTION_HOST_WAIT: Duration = Duration::from_secs(5);
/// First pause between two probes of a host that is down, for `check` and `probe`.
const QUESTION_BACK_OFF: Duration = Duration::from_secs(2);

/// The enabled sites with their transport.
pub struct Sites {
    transport: Transport,
    sites: BTreeMap<SourceName, EnabledSite>,
}

struct EnabledSite {
    site: Arc<dyn Site>,
    pages: &'static [PageSpec],
    mode: TransportMode,
    own_hosts: Vec<Url>,
    memory: Arc<CycleMemory>,
    fetcher: PageFetcher,
}

/// The reason why the sites cannot be requested.
#[derive(Debug, thiserror::Error)]
pub enum SitesError {
    /// The transport cannot be built.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The archive of payloads cannot be used.
    #[error(
        "the archive of payloads {directory} cannot be used: {cause}; make it writable or change retention.archive_dir"
    )]
    Archive {
        /// The archive folder.
        directory: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
}

/// A network route to a site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// Host name and port of the connection.
    pub address: (String, u16),
    /// The proxy and the name of its variable, if one is used.
    pub proxy: Option<String>,
}

impl Sites {
    /// Builds the enabled sites. Nothing is requested yet.
    ///
    /// # Errors
    /// The transport or the archive cannot be created.
    pub fn build(settings: &RunnerSettings) -> Result<Self, SitesError> {
        for notice in settings.sources.iter().flat_map(SourceSettings::notices) {
            tracing::info!("{notice}");
        }
        let directory = &settings.retention.archive_dir;
        let archive =
            Archive::open(directory, settings.retention.archive_bytes).map_err(|cause| {
                SitesError::Archive {
                    directory: directory.clone(),
                    cause,
                }
            })?;
        Self::over(settings, Some(&Arc::new(archive)))
    }

    /// Builds the enabled sites for single requests outside a cycle. Nothing is kept on disk, and a host that is down
    /// is given up after a few seconds.
    ///
    /// # Errors
    /// The transport cannot be created.
    pub fn for_questions(settings: &RunnerSettings) -> Result<Self, SitesError> {
        let mut settings = settings.clone();
        settings.patience.host_wait = settings.patience.host_wait.min(QUESTION_HOST_WAIT);
        settings.patience.host_back_off_first =
            settings.patience.host_back_off_first.min(QUESTION_BACK_OFF);
        Self::over(&settings, None)
    }

    fn over(settings: &RunnerSettings, archive: Option<&Arc<Archive>>) -> Result<Self, SitesError> {
        let enabled = || {
            settings
                .sources
                .iter()
                .filter(|source| source.is_requested())
        };
        let transport = Transport::new(TransportConfig {
            sources: enabled()
                .map(|source| {
                    let config = SourceConfig {
                        limits: source.limits,
                        own_hosts: source.address.hosts().cloned().collect(),
                        factsheet_hosts: source.address.factsheet_hosts.clone(),
                    };
                    (source.spec.name, config)
                })
                .collect(),
            contact: settings.user_agent_contact.clone(),
            request_timeout: settings.patience.request_timeout,
            patience: HostPatience {
                back_off: BackOff::new(
                    settings.patience.host_back_off_first,
                    settings.patience.host_back_off_longest,
                ),
                give_up_after: settings.patience.host_wait,
            },
            browser: BrowserConfig {
                webdriver: settings.browser.webdriver.clone(),
                sessions: settings.sizes().browser_sessions,
                tabs_per_session: settings.browser.tabs_per_session,
                headless: settings.browser.headless,
                pages_per_session: settings.browser.pages_per_session,
                profile_dir: None,
            },
        })?;
        let sites = enabled()
            .map(|source| {
                let site = (source.spec.build)(&source.address);
                let memory = Arc::new(CycleMemory::default());
                let fetcher = PageFetcher::new(
                    Arc::clone(&site),
                    transport.clone(),
                    source.transport,
                    archive.map(Arc::clone),
                    Arc::clone(&memory),
                );
                let enabled = EnabledSite {
                    site,
                    pages: source.spec.pages,
                    mode: source.transport,
                    own_hosts: source.address.hosts().cloned().collect(),
                    memory,
                    fetcher,
                };
                (source.spec.name, enabled)
            })
            .collect();
        Ok(Self { transport, sites })
    }

    /// The pages of the enabled sources.
    #[must_use]
    pub fn pages(&self) -> SitePages {
        self.sites
            .iter()
            .map(|(source, site)| (*source, site.pages))
            .collect()
    }

    /// The sources that the supervisor starts actors for.
    #[must_use]
    pub fn askers(&self) -> BTreeMap<SourceName, AskedSource> {
        self.sites
            .iter()
            .map(|(source, site)| {
                let asked = AskedSource {
                    fetcher: Rc::new(site.fetcher.clone()),
                    pages: site.pages,
                };
                (*source, asked)
            })
            .collect()
    }

    /// Returns the function to call with the number of a round when the round begins. Breaches are reset in each round;
    /// which pages need the browser is remembered for the whole cycle.
    #[must_use]
    pub fn on_round(&self) -> Arc<dyn Fn(i16) + Send + Sync> {
        let memories: Vec<Arc<CycleMemory>> = self
            .sites
            .values()
            .map(|site| Arc::clone(&site.memory))
            .collect();
        Arc::new(move |round| {
            for memory in &memories {
                match round {
                    1 => memory.begin_cycle(),
                    _ => memory.begin_round(),
                }
            }
        })
    }

    /// Returns the function that lists, at the end of a cycle, the sources that lost so many records that they were in
    /// breach (D6).
    #[must_use]
    pub fn lost_records(&self) -> Arc<dyn Fn() -> BTreeMap<SourceName, String> + Send + Sync> {
        let memories: Vec<(SourceName, Arc<CycleMemory>)> = self
            .sites
            .iter()
            .map(|(source, site)| (*source, Arc::clone(&site.memory)))
            .collect();
        Arc::new(move || {
            let lost = memories.iter();
            lost.filter_map(|(source, memory)| Some((*source, memory.lost_records()?)))
                .collect()
        })
    }

    /// One enabled site with its transport, for a request outside a cycle.
    #[must_use]
    pub fn site(&self, source: SourceName) -> Option<(Arc<dyn Site>, &Transport, TransportMode)> {
        self.sites
            .get(&source)
            .map(|site| (Arc::clone(&site.site), &self.transport, site.mode))
    }

    /// The enabled sources.
    pub fn sources(&self) -> impl Iterator<Item = SourceName> + '_ {
        self.sites.keys().copied()
    }

    /// Whether a page may be fetched in the browser.
    #[must_use]
    pub fn may_use_browser(&self) -> bool {
        self.sites
            .values()
            .any(|site| site.mode != TransportMode::Http)
    }

    /// Starts the browser and closes it again.
    ///
    /// # Errors
    /// The reason why the browser does not start, with what is missing.
    pub async fn try_browser(&self) -> Result<(), String> {
        self.transport.try_browser().await
    }

    /// The routes to the sites: host name and port of each site, or of the proxy if one is used.
    #[must_use]
    pub fn ways(&self) -> Vec<Way> {
        // An invalid proxy variable was already refused when the transport was built.
        let proxies = Proxies::from_environment().unwrap_or_default();
        let ways = self.sites.values().flat_map(|site| &site.own_hosts);
        ways.filter_map(|url| {
            let proxy = proxies.route(url);
            let address = match proxy {
                Some(proxy) => proxy.address(),
                None => (
                    url.host_str()?.trim_matches(['[', ']']).to_owned(),
                    url.port_or_known_default()?,
                ),
            };
            let proxy = proxy.map(|proxy| format!("{proxy} of {}", proxy.variable));
            Some(Way { address, proxy })
        })
        .collect()
    }

    /// The times that the sites report: see [`Transport::site_clocks`]. `only` restricts the sources.
    pub async fn clocks(
        &self,
        only: Option<&BTreeSet<SourceName>>,
        again: bool,
        limit: Duration,
    ) -> Vec<(String, Option<Timestamp>)> {
        let sources: Vec<SourceName> = self
            .sources()
            .filter(|source| only.is_none_or(|only| only.contains(source)))
            .collect();
        let clocks = self.transport.site_clocks(&sources, again, limit).await;
        clocks
            .into_iter()
            .map(|clock| {
                let shows = clock
                    .shows
                    .and_then(|shows| Timestamp::try_from(shows).ok());
                (clock.host, shows)
            })
            .collect()
    }

    /// Number of pages fetched so far, by source.
    #[must_use]
    pub fn page_counts(&self) -> BTreeMap<SourceName, PageCounts> {
        self.transport
            .snapshot()
            .sources
            .into_iter()
            .map(|(source, counts)| {
                let pages = PageCounts {
                    http: counts.pages_by_http,
                    browser: counts.pages_by_browser,
                };
                (source, pages)
            })
            .collect()
    }

    /// The first address of an enabled source.
    #[must_use]
    pub fn root(&self, source: SourceName) -> Option<&Url> {
        self.sites.get(&source)?.own_hosts.first()
    }

    /// Returns the function that reads each source's rates for the progress display: the current rate of the slowest
    /// host, and what the source waits for.
    #[must_use]
    pub fn read_rates(&self) -> ReadRates {
        let transport = self.transport.clone();
        let hosts: BTreeMap<SourceName, Vec<Url>> = self
            .sites
            .iter()
            .map(|(source, site)| (*source, site.own_hosts.clone()))
            .collect();
        Arc::new(move || {
            let snapshot = transport.snapshot();
            let rates = hosts.iter().map(|(source, urls)| {
                let counts = snapshot.sources.get(source).copied().unwrap_or_default();
                let mut rate = SourceRate {
                    retries: counts.retries,
                    in_browser: counts.in_browser,
                    ..SourceRate::default()
                };
                for host in &snapshot.hosts {
                    if !urls
                        .iter()
                        .any(|url| HostKey::of(url).as_ref() == Some(&host.host))
                        || host.in_flight + host.waiting == 0
                    {
                        continue;
                    }
                    rate.requests += host.in_flight + host.waiting;
                    if rate.requests_per_sec == 0.0 || host.rate_now < rate.requests_per_sec {
                        rate.requests_per_sec = host.rate_now;
                    }
                    rate.waits_for = rate.waits_for.or_else(|| held_up(&host.state));
                }
                (*source, rate)
            });
            rates.collect()
        })
    }

    /// The lease that permits requests to the sites. After `demand` no site is requested without a valid lease.
    #[must_use]
    pub fn lease(&self) -> AskingLease {
        self.transport.lease()
    }

    /// Closes the browsers.
    pub async fn close(&self) {
        self.transport.close_browsers().await;
    }
}

fn held_up(state: &HostState) -> Option<String> {
    let seconds = |until: tokio::time::Instant| {
        until
            .saturating_duration_since(tokio::time::Instant::now())
            .as_secs()
    };
    match state {
        HostState::Open => None,
        HostState::ReadingRobots => Some("robots.txt".to_owned()),
        HostState::Throttled { until } => {
            Some(format!("the host (throttled, {} s)", seconds(*until)))
        }
        HostState::Down {
            next_probe,
            last_failure,
            ..
        } => Some(format!(
            "the host (down: {last_failure}; probed in {} s)",
            seconds(*next_probe)
        )),
    }
}
