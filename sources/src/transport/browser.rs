//! The pool of real browsers: at most so many sessions, each recycled after so many pages, none left behind.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

use crate::site::BrowserVisit;

use super::browser_health::BrowserHealth;
use super::browser_programs::Programs;
use super::browser_session::Session;
use super::firefox_profile::{self, ProfileRoot};
use super::geckodriver::Geckodriver;
use super::visit_failure::VisitFailure;
use super::waiting::{Waiting, WaitingOn, lock};
use super::webdriver_session::WebdriverSession;
use super::wire::{Blame, Incoming, Outgoing, Prepared, Wire, WireFailure};

/// Most bytes of a document taken from the browser.
pub const MAX_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;
/// How long a session may take to start: Firefox on a busy machine needs several seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long sessions that calls have abandoned are waited for at the end.
const ABANDONED_TIMEOUT: Duration = Duration::from_secs(6);

/// Where browsers come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Webdriver {
    /// geckodriver and Firefox of this machine, started and ended here.
    Managed,
    /// A WebDriver server that is already there, such as a grid.
    Url(Url),
}

/// What the configuration says about browsers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserConfig {
    /// Where they come from.
    pub webdriver: Webdriver,
    /// Most sessions at once.
    pub sessions: std::num::NonZeroUsize,
    /// Without a window.
    pub headless: bool,
    /// A session is closed and a fresh one started after so many pages.
    pub pages_per_session: std::num::NonZeroUsize,
    /// Where profiles are made; `None`: the system's directory for temporary files.
    pub profile_dir: Option<PathBuf>,
}

/// The pool; clones share it.
#[derive(Clone)]
pub struct BrowserWire(Arc<Pool>);

struct Pool {
    config: BrowserConfig,
    user_agent: String,
    own_hosts: Vec<Url>,
    page_timeout: Duration,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
    health: Mutex<BrowserHealth>,
    /// Made when the first browser is needed; sweeps what a killed run left behind.
    profiles: Mutex<Option<Arc<ProfileRoot>>>,
}

impl BrowserWire {
    /// A pool without sessions. `own_hosts`: the only hosts pages may load from; `page_timeout` bounds a navigation.
    pub fn new(
        config: BrowserConfig,
        user_agent: String,
        own_hosts: Vec<Url>,
        page_timeout: Duration,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(config.sessions.get()));
        Self(Arc::new(Pool {
            config,
            user_agent,
            own_hosts,
            page_timeout,
            permits,
            idle: Mutex::default(),
            health: Mutex::default(),
            profiles: Mutex::default(),
        }))
    }

    /// Starts a session, an empty page in it, and closes it again: whether there is a browser at all.
    ///
    /// # Errors
    /// Why not, with what is missing.
    pub async fn try_out(&self) -> Result<(), String> {
        let session = self.0.start().await.map_err(|failure| failure.text)?;
        session.close().await;
        lock(&self.0.profiles).take();
        Ok(())
    }

    /// Closes the idle sessions, all at once, and waits for that and for those that dropped calls have abandoned.
    /// Sessions in use belong to calls; a call that is dropped kills its own.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *lock(&self.0.idle));
        join_all(idle.into_iter().map(Session::close)).await;
        let sessions = u32::try_from(self.0.config.sessions.get()).unwrap_or(u32::MAX);
        // A session that is being closed holds its permit.
        let _ =
            tokio::time::timeout(ABANDONED_TIMEOUT, self.0.permits.acquire_many(sessions)).await;
        lock(&self.0.profiles).take();
    }
}

impl Pool {
    async fn start(&self) -> Result<Session, WireFailure> {
        let capabilities = firefox_profile::capabilities(
            &self.user_agent,
            &self.own_hosts,
            self.config.headless,
            self.page_timeout,
        );
        let (driver, url, capabilities) = match &self.config.webdriver {
            Webdriver::Url(url) => (None, url.clone(), capabilities),
            Webdriver::Managed => {
                let programs = Programs::find().map_err(final_failure)?;
                let profiles = self.profiles().map_err(final_failure)?;
                let capabilities = capabilities.with_binary(&programs.firefox);
                let driver = Geckodriver::start(&programs, profiles)
                    .await
                    .map_err(|text| browser_failed(&text))?;
                let url = driver.url().clone();
                let capabilities = match driver.downloads() {
                    Some(directory) => capabilities.with_downloads(&directory),
                    None => capabilities,
                };
                (Some(driver), url, capabilities)
            }
        };
        let connecting = WebdriverSession::connect(
            &url,
            capabilities.into_map(),
            &self.user_agent,
            self.page_timeout,
        );
        let webdriver = match tokio::time::timeout(START_TIMEOUT, connecting).await {
            Ok(Ok(webdriver)) => webdriver,
            Ok(Err(text)) => {
                return Err(browser_failed(&format!(
                    "{text}; {}",
                    driver_says(driver.as_ref())
                )));
            }
            Err(_) => {
                return Err(browser_failed(&format!(
                    "no browser session within {} s; {}",
                    START_TIMEOUT.as_secs(),
                    driver_says(driver.as_ref())
                )));
            }
        };
        Ok(Session {
            webdriver,
            driver,
            pages: 0,
        })
    }

    async fn start_if_in_order(&self) -> Result<Session, WireFailure> {
        // It may have gone out of order while the call waited for its turn.
        if let Some(text) = lock(&self.health).out_of_order(Instant::now()) {
            let blame = Blame::OutOfOrder;
            return Err(WireFailure { text, blame });
        }
        let started = self.start().await;
        if let Err(failure) = &started
            && failure.blame == Blame::Browser
        {
            lock(&self.health).not_started(Instant::now(), &failure.text);
        }
        started
    }

    fn profiles(&self) -> Result<Arc<ProfileRoot>, String> {
        let mut profiles = lock(&self.profiles);
        if let Some(root) = &*profiles {
            return Ok(Arc::clone(root));
        }
        let base = self
            .config
            .profile_dir
            .clone()
            .unwrap_or_else(std::env::temp_dir);
        firefox_profile::sweep(&base);
        let root = Arc::new(ProfileRoot::create(&base)?);
        *profiles = Some(Arc::clone(&root));
        Ok(root)
    }
}

#[async_trait]
impl Wire for BrowserWire {
    async fn prepare(&self, waiting: &WaitingOn) -> Result<Box<dyn Prepared>, WireFailure> {
        waiting.set(Waiting::BrowserSession);
        let permit = Arc::clone(&self.0.permits)
            .acquire_owned()
            .await
            .map_err(|_| final_failure("the browsers are closed".to_owned()))?;
        let idle = lock(&self.0.idle).pop();
        let session = match idle {
            Some(session) if session.pages < self.0.config.pages_per_session.get() => session,
            worn_out => {
                if let Some(session) = worn_out {
                    session.close().await;
                }
                self.0.start_if_in_order().await?
            }
        };
        Ok(Box::new(Lease {
            pool: Arc::clone(&self.0),
            held: Some((session, permit)),
        }))
    }

    fn out_of_order(&self) -> Option<String> {
        lock(&self.0.health).out_of_order(Instant::now())
    }

    fn missing(&self) -> Option<String> {
        match self.0.config.webdriver {
            Webdriver::Managed => Programs::find().err(),
            Webdriver::Url(_) => None,
        }
    }
}

/// A session in the hands of one call. Dropped in the middle of a visit, it takes the browser with it.
struct Lease {
    pool: Arc<Pool>,
    held: Option<(Session, OwnedSemaphorePermit)>,
}

impl Lease {
    fn lost_over(&self, visit: &BrowserVisit, why: &str) {
        lock(&self.pool.health).lost(Instant::now(), visit.url.as_str(), why);
    }

    /// Back into the pool, once it has left the page.
    async fn give_back(&mut self) {
        let is_fit = match &self.held {
            Some((session, _)) => session.is_fit().await,
            None => false,
        };
        if is_fit && let Some((session, _permit)) = self.held.take() {
            lock(&self.pool.idle).push(session);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((session, permit)) = self.held.take()
            && session.driver.is_none()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // The server that started this browser is asked to end it; ours are killed by being dropped.
            runtime.spawn(async move {
                session.close().await;
                drop(permit);
            });
        }
    }
}

#[async_trait]
impl Prepared for Lease {
    async fn exchange(mut self: Box<Self>, outgoing: &Outgoing) -> Result<Incoming, WireFailure> {
        let Some(visit) = &outgoing.visit else {
            return Err(final_failure(format!(
                "{} is no page for a browser",
                outgoing.url
            )));
        };
        // A redirect followed by hand has moved the URL.
        let visit = BrowserVisit {
            url: outgoing.url.clone(),
            ..visit.clone()
        };
        let seen = match &mut self.held {
            Some((session, _)) => {
                session.pages += 1;
                session.see(&visit, outgoing.max_body_bytes).await
            }
            None => Err(VisitFailure::Lost("it was given away".to_owned())),
        };
        let (text, blame) = match seen {
            Ok(page) => {
                self.give_back().await;
                lock(&self.pool.health).succeeded();
                return Ok(Incoming {
                    status: page.status,
                    content_type: Some("text/html; charset=utf-8".to_owned()),
                    location: None,
                    retry_after: None,
                    body: Bytes::from(page.html),
                });
            }
            Err(VisitFailure::Host(text)) => (text, Blame::Host),
            Err(VisitFailure::Page(text)) => (text, Blame::Final),
            // Its cookies may have expired: dropped, the next visit begins anew. The browser did its part.
            Err(VisitFailure::CutShort(text)) => {
                lock(&self.pool.health).succeeded();
                return Err(final_failure(text));
            }
            // Of no more use: dropped, and with it its processes.
            Err(VisitFailure::Busy(text)) => {
                self.lost_over(&visit, &text);
                return Err(final_failure(text));
            }
            Err(VisitFailure::Hung(text) | VisitFailure::Lost(text)) => {
                self.lost_over(&visit, &text);
                return Err(browser_failed(&text));
            }
        };
        self.give_back().await;
        lock(&self.pool.health).succeeded();
        Err(WireFailure { text, blame })
    }
}

fn driver_says(driver: Option<&Geckodriver>) -> String {
    driver.map_or_else(
        || "the WebDriver server is the one configured under browser.webdriver".to_owned(),
        |driver| format!("geckodriver's last lines: {}", driver.last_lines()),
    )
}

fn final_failure(text: String) -> WireFailure {
    WireFailure {
        text,
        blame: Blame::Final,
    }
}

fn browser_failed(text: &str) -> WireFailure {
    WireFailure {
        text: format!("the browser failed: {text}"),
        blame: Blame::Browser,
    }
}
