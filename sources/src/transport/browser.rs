//! The pool of real browsers: at most so many sessions, several pages at once in each, each recycled after so many pages,
//! none left behind.

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
use super::wire::{Blame, Incoming, Outgoing, Prepared, Wire, WireFailure};

/// Most bytes of a document taken from the browser.
pub const MAX_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;
/// How long a session may take to start: Firefox on a busy machine needs several seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Memory that must be free before another tab is opened: its process, and the page in it.
const TAB_MEMORY_BYTES: u64 = 512 << 20;
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
    /// Most pages at once in one session.
    pub tabs_per_session: std::num::NonZeroUsize,
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
    book: Mutex<Book<Arc<Session>, Tab>>,
    /// Told whenever the book may have something for a page that waits.
    changed: Notify,
    health: Mutex<BrowserHealth>,
    /// Pages that were in a session when it was lost, by URL: one of them may be the reason.
    suspects: Mutex<BTreeSet<String>>,
    /// Held alone by the visit of a suspect, so that it costs no other page its browser, and shared by all others.
    company: Arc<RwLock<()>>,
    /// Made when the first browser is needed; sweeps what a killed run left behind.
    profiles: Mutex<Option<Arc<ProfileRoot>>>,
}

/// Held for the time of a visit; see [`Pool::company`].
enum Company {
    Shared(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockReadGuard<()>),
    Alone(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockWriteGuard<()>),
}

/// A session on its way in or out: counts for its place until it is there or gone.
struct Moving<'pool>(&'pool Pool);

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        lock(&self.0.book).moved();
        self.0.changed.notify_waiters();
    }
}

impl BrowserWire {
    /// A pool without sessions. `own_hosts`: the only hosts pages may load from; `page_timeout` bounds a navigation.
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

    /// Starts a session, an empty page in it, and closes it again: whether there is a browser at all.
    ///
    /// # Errors
    /// Why not, with what is missing.
    pub async fn try_out(&self) -> Result<(), String> {
        let (session, _) = self.0.start().await.map_err(|failure| failure.text)?;
        session.close().await;
        lock(&self.0.profiles).take();
        Ok(())
    }

    /// Closes the idle sessions, all at once, and waits for that and for those that dropped calls have abandoned.
    /// Sessions in use belong to calls; a call that is dropped kills its own.
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

    /// A tab for the next page: an idle one, another one, or that of a new session.
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
            // The guard must not live through the match.
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

    /// A session is lost: killed with whatever it shows, and counted once. All pages it had in hand are suspects.
    fn lost(&self, id: u64, over: &str, why: &str) {
        let lost = lock(&self.book).lose_session(id);
        if let Some(session) = lost {
            lock(&self.health).lost(Instant::now(), over, why);
            session.kill();
            if !session.is_managed
                && let Ok(runtime) = tokio::runtime::Handle::try_current()
            {
                // The server that started it is told to end it.
                runtime.spawn(async move { session.close().await });
            }
        }
        self.changed.notify_waiters();
    }

    /// Alone, where this page was in a session that was lost; else beside others.
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

/// A tab that is being opened. Dropped, because its call was, its session is not used for further pages.
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

/// A tab in the hands of one call. Dropped in the middle of a visit, it takes the tab with it, and the browser as soon as no
/// other page is in it.
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
    /// Back into the pool, once it has left the page.
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

    /// The tab cannot be used again, nor its session for further pages.
    fn give_up(&mut self) {
        if let Some(Held { id, session, tab }) = self.held.take() {
            session.webdriver.abandon_tab(&tab);
            let ended = lock(&self.pool.book).lose_tab(id);
            drop(session);
            self.pool.end(ended);
        }
    }

    /// The session is gone.
    fn lose(&mut self, visit: &BrowserVisit, why: &str) {
        lock(&self.pool.suspects).insert(visit.url.to_string());
        if let Some(held) = self.held.take() {
            self.pool.lost(held.id, visit.url.as_str(), why);
        }
    }

    /// The tab is gone by the doing of its page.
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
    /// Ends a session that has no page in hand any more: one of ours is killed by being dropped, the server that started
    /// another is told to end it.
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
        // A redirect followed by hand has moved the URL.
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
            // Its cookies may have expired: the next session begins without them. The browser did its part.
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
