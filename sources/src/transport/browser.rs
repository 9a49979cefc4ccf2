//! The pool of real browsers. It limits the number of sessions and of pages open at once in each, replaces a session
//! after a number of pages, and leaves no browser behind.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::{Notify, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::Instant;
use url::Url;

use crate::site::BrowserVisit;

use super::backend::{Blame, Incoming, Outgoing, Prepared, Wire, WireFailure};
use super::browser_health::BrowserHealth;
use super::browser_programs::Programs;
use super::browser_session::Session;
use super::firefox_profile::{self, ProfileRoot};
use super::geckodriver::Geckodriver;
use super::processes::available_memory;
use super::session_book::{Book, Limits, Next};
use super::visit_failure::VisitFailure;
use super::waiting::{Waiting, WaitingOn, lock};
use super::webdriver_session::{Tab, WebdriverSession};

/// How long a session may take to start: Firefox on a busy machine needs several seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Free memory required before another tab is opened: for its process and its page.
const TAB_MEMORY_BYTES: u64 = 512 << 20;
/// How long the end of the run waits for sessions of dropped calls.
const ABANDONED_TIMEOUT: Duration = Duration::from_secs(6);

/// The origin of the browsers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Webdriver {
    /// geckodriver and Firefox of this machine, started and ended by this program.
    Managed,
    /// A WebDriver server that is already running, such as a grid.
    Url(Url),
}

/// The configuration of the browsers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserConfig {
    /// The origin of the browsers.
    pub webdriver: Webdriver,
    /// The maximum number of sessions.
    pub sessions: std::num::NonZeroUsize,
    /// The maximum number of pages open at once in one session.
    pub tabs_per_session: std::num::NonZeroUsize,
    /// Whether Firefox runs without a window.
    pub headless: bool,
    /// The number of pages after which a session is replaced.
    pub pages_per_session: std::num::NonZeroUsize,
    /// The directory of the profiles; `None`: the system's directory for temporary files.
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
    book: Mutex<Book<Arc<Session>, Tab>>,
    /// Notified when the book may have a tab for a waiting page.
    changed: Notify,
    health: Mutex<BrowserHealth>,
    /// URLs of pages that were open when their session was lost: one of them may be the cause.
    suspects: Mutex<BTreeSet<String>>,
    /// A lock that is held exclusively while a suspect is visited, so that the suspect ends no other page with its
    /// session. All other visits share the lock.
    company: Arc<RwLock<()>>,
    /// Created when the first browser is needed; creating it removes profiles that killed runs left behind.
    profiles: Mutex<Option<Arc<ProfileRoot>>>,
}

/// The guard that is held during a visit; see [`Pool::company`].
enum Company {
    Shared(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockReadGuard<()>),
    Alone(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockWriteGuard<()>),
}

/// A session that is being started or closed. It is included in the number of sessions until that is done.
struct Moving<'pool>(&'pool Pool);

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        lock(&self.0.book).moved();
        self.0.changed.notify_waiters();
    }
}

impl BrowserWire {
    /// A pool without sessions. Pages may load only from `own_hosts`; `page_timeout` limits a navigation.
    pub fn new(
        config: BrowserConfig,
        user_agent: String,
        own_hosts: Vec<Url>,
        page_timeout: Duration,
    ) -> Self {
        Self(Arc::new(Pool {
            config,
            user_agent,
            own_hosts,
            page_timeout,
            book: Mutex::default(),
            changed: Notify::new(),
            health: Mutex::default(),
            suspects: Mutex::default(),
            company: Arc::default(),
            profiles: Mutex::default(),
        }))
    }

    /// Starts a session with an empty page and closes it again, to test whether a browser is available.
    ///
    /// # Errors
    /// The reason why not, with what is missing.
    pub async fn try_out(&self) -> Result<(), String> {
        let (session, _) = self.0.start().await.map_err(|failure| failure.text)?;
        session.close().await;
        lock(&self.0.profiles).take();
        Ok(())
    }

    /// Closes all idle sessions in parallel, and waits for them and for sessions of dropped calls. Sessions in use
    /// belong to their calls; a dropped call kills its own session.
    pub async fn close(&self) {
        let idle = lock(&self.0.book).take_idle();
        join_all(idle.iter().map(|session| session.close())).await;
        let all_gone = async {
            loop {
                let changed = self.0.changed.notified();
                if lock(&self.0.book).is_empty() {
                    return;
                }
                changed.await;
            }
        };
        let _ = tokio::time::timeout(ABANDONED_TIMEOUT, all_gone).await;
        lock(&self.0.profiles).take();
    }
}

impl Pool {
    async fn start(&self) -> Result<(Session, Tab), WireFailure> {
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
        let (webdriver, tab) = match tokio::time::timeout(START_TIMEOUT, connecting).await {
            Ok(Ok(connected)) => connected,
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
        Ok((Session::new(webdriver, driver), tab))
    }

    async fn start_if_in_order(&self) -> Result<(Session, Tab), WireFailure> {
        // The browser may have failed too often while the call waited for its turn.
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

    /// Returns a tab for the next page: an idle tab, a new tab, or the tab of a new session.
    async fn tab(&self) -> Result<(u64, Arc<Session>, Tab), WireFailure> {
        let limits = Limits {
            sessions: self.config.sessions.get(),
            tabs: self.config.tabs_per_session.get(),
            pages: self.config.pages_per_session.get(),
        };
        let has_memory = || match self.config.webdriver {
            Webdriver::Managed => available_memory().is_none_or(|free| free >= TAB_MEMORY_BYTES),
            Webdriver::Url(_) => true,
        };
        loop {
            let changed = self.changed.notified();
            // Release the lock before the match: a guard in the match expression would live until its end.
            let next = lock(&self.book).next(&limits, has_memory);
            match next {
                Next::Tab(id, session, tab) => return Ok((id, session, tab)),
                Next::OpenTab(id, session) => {
                    let opening = Opening { pool: self, id };
                    let opened = session.webdriver.open_tab().await;
                    std::mem::forget(opening);
                    match opened {
                        Ok(tab) => return Ok((id, session, tab)),
                        Err(failure) => {
                            self.lost(id, "about:blank", &format!("{failure:?}"));
                            return Err(browser_failed(&format!("{failure:?}")));
                        }
                    }
                }
                Next::Close(session) => {
                    let _moving = Moving(self);
                    session.close().await;
                }
                Next::Start => {
                    let _moving = Moving(self);
                    let (session, tab) = self.start_if_in_order().await?;
                    let most_tabs = session.webdriver.most_tabs();
                    lock(&self.book).add(Arc::new(session), most_tabs, tab);
                }
                Next::Wait => changed.await,
            }
        }
    }

    /// Kills a lost session with all its pages and counts the loss once. All its pages become suspects.
    fn lost(&self, id: u64, over: &str, why: &str) {
        let lost = lock(&self.book).lose_session(id);
        if let Some(session) = lost {
            lock(&self.health).lost(Instant::now(), over, why);
            session.kill();
            if !session.is_managed
                && let Ok(runtime) = tokio::runtime::Handle::try_current()
            {
                // Ask the server that started the session to end it.
                runtime.spawn(async move { session.close().await });
            }
        }
        self.changed.notify_waiters();
    }

    /// Waits until `url` may be visited: alone if it is a suspect, otherwise beside other pages.
    async fn company(&self, url: &Url) -> Company {
        let is_suspect = lock(&self.suspects).contains(url.as_str());
        if is_suspect {
            Company::Alone(Arc::clone(&self.company).write_owned().await)
        } else {
            Company::Shared(Arc::clone(&self.company).read_owned().await)
        }
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

/// A tab that is being opened. If it is dropped, because its call was, its session gets no further pages.
struct Opening<'pool> {
    pool: &'pool Pool,
    id: u64,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let ended = lock(&self.pool.book).lose_tab(self.id);
        drop(ended);
        self.pool.changed.notify_waiters();
    }
}

#[async_trait]
impl Wire for BrowserWire {
    async fn prepare(
        &self,
        outgoing: &Outgoing,
        waiting: &WaitingOn,
    ) -> Result<Box<dyn Prepared>, WireFailure> {
        waiting.set(Waiting::BrowserSession);
        let company = self.0.company(&outgoing.url).await;
        let (id, session, tab) = self.0.tab().await?;
        Ok(Box::new(Lease {
            pool: Arc::clone(&self.0),
            held: Some(Held { id, session, tab }),
            _company: company,
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

/// A tab in use by one call. If it is dropped during a visit, it closes the tab, and ends the browser as soon as no
/// other page uses it.
struct Lease {
    pool: Arc<Pool>,
    held: Option<Held>,
    _company: Company,
}

struct Held {
    id: u64,
    session: Arc<Session>,
    tab: Tab,
}

impl Lease {
    /// Returns the tab to the pool after it has left the page.
    async fn give_back(&mut self) {
        let is_fit = match &self.held {
            Some(held) => held.session.is_fit(&held.tab).await,
            None => return,
        };
        if is_fit && let Some(held) = self.held.take() {
            let ended = lock(&self.pool.book).give_back(held.id, held.tab);
            self.pool.end(ended);
        } else {
            self.give_up();
        }
    }

    /// Gives up the tab; its session gets no further pages.
    fn give_up(&mut self) {
        if let Some(Held { id, session, tab }) = self.held.take() {
            session.webdriver.abandon_tab(&tab);
            let ended = lock(&self.pool.book).lose_tab(id);
            drop(session);
            self.pool.end(ended);
        }
    }

    /// Gives up the session, which is lost.
    fn lose(&mut self, visit: &BrowserVisit, why: &str) {
        lock(&self.pool.suspects).insert(visit.url.to_string());
        if let Some(held) = self.held.take() {
            self.pool.lost(held.id, visit.url.as_str(), why);
        }
    }

    /// Gives up the tab, which its page made unusable.
    fn lose_tab(&mut self, visit: &BrowserVisit, why: &str) {
        lock(&self.pool.health).lost(Instant::now(), visit.url.as_str(), why);
        self.give_up();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Pool {
    /// Ends a session that has no page left. A managed session is killed when it is dropped; for any other, the server
    /// that started it is asked to end it.
    fn end(self: &Arc<Self>, ended: Option<Arc<Session>>) {
        if let Some(session) = ended
            && !session.is_managed
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let pool = Arc::clone(self);
            lock(&pool.book).closing();
            runtime.spawn(async move {
                let _moving = Moving(&pool);
                session.close().await;
            });
        }
        self.changed.notify_waiters();
    }
}

#[async_trait]
impl Prepared for Lease {
    async fn exchange(mut self: Box<Self>, outgoing: &Outgoing) -> Result<Incoming, WireFailure> {
        let Some(visit) = &outgoing.visit else {
            self.give_back().await;
            return Err(final_failure(format!(
                "{} is no page for a browser",
                outgoing.url
            )));
        };
        // A followed redirect may have changed the URL.
        let visit = BrowserVisit {
            url: outgoing.url.clone(),
            ..visit.clone()
        };
        let seen = match &self.held {
            Some(held) => {
                held.session
                    .see(&held.tab, &visit, outgoing.max_body_bytes)
                    .await
            }
            None => Err(VisitFailure::Lost("it was given away".to_owned())),
        };
        let (text, blame) = match seen {
            Ok(page) => {
                self.give_back().await;
                lock(&self.pool.health).succeeded();
                lock(&self.pool.suspects).remove(visit.url.as_str());
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
            // Cookies may have expired, so the session is ended and the next one starts without them. The browser
            // itself works.
            Err(VisitFailure::CutShort(text)) => {
                self.give_up();
                lock(&self.pool.health).succeeded();
                return Err(final_failure(text));
            }
            Err(VisitFailure::Busy(text)) => {
                self.lose_tab(&visit, &text);
                return Err(final_failure(text));
            }
            Err(VisitFailure::TabLost(text)) => {
                self.lose_tab(&visit, &text);
                return Err(browser_failed(&text));
            }
            Err(VisitFailure::Hung(text) | VisitFailure::Lost(text)) => {
                self.lose(&visit, &text);
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
