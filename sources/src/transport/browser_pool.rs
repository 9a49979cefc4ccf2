//! The sessions of real browsers and their tabs: starts and ends them, and counts their failures.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::Instant;
use url::Url;

use super::backend::{Blame, WireFailure};
use super::browser_health::BrowserHealth;
use super::browser_programs::Programs;
use super::browser_session::Session;
use super::firefox_profile::{self, ProfileRoot};
use super::geckodriver::Geckodriver;
use super::in_page::NO_BIDI;
use super::processes::available_memory;
use super::session_book::{Book, Limits, Next};
use super::webdriver_session::{Tab, WebdriverSession};

/// How long a session may take to start: Firefox on a busy machine needs several seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Free memory required before another tab is opened: for its process and its page.
const TAB_MEMORY_BYTES: u64 = 512 << 20;

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

/// The state of the pool.
pub struct Pool {
    pub config: BrowserConfig,
    user_agent: String,
    own_hosts: Vec<Url>,
    page_timeout: Duration,
    pub book: Mutex<Book<Arc<Session>, Tab>>,
    /// Notified when the book may have a tab for a waiting page.
    pub changed: Notify,
    pub health: Mutex<BrowserHealth>,
    /// URLs of pages that were open when their session was lost: one of them may be the cause.
    pub suspects: Mutex<BTreeSet<String>>,
    /// Held exclusively while a suspect is visited, so that it takes down no other page. All other visits share it.
    company: Arc<RwLock<()>>,
    /// Created when the first browser is needed; creating it removes profiles that killed runs left behind.
    pub profiles: Mutex<Option<Arc<ProfileRoot>>>,
}

/// Held during a visit; see [`Pool::company`].
pub enum Company {
    Shared(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockReadGuard<()>),
    Alone(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockWriteGuard<()>),
}

/// A session that is being started or closed. It occupies its place until that is done.
struct Moving<'pool>(&'pool Pool);

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.book.lock().moved();
        self.0.changed.notify_waiters();
    }
}

/// A tab in use, and its session.
pub struct Held {
    pub id: u64,
    pub session: Arc<Session>,
    pub tab: Tab,
}

impl Pool {
    /// A pool without sessions. Pages may load only from `own_hosts`; `page_timeout` limits a navigation.
    pub fn new(
        config: BrowserConfig,
        user_agent: String,
        own_hosts: Vec<Url>,
        page_timeout: Duration,
    ) -> Self {
        Self {
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
        }
    }

    /// Starts a session, whatever the state of the browser.
    pub async fn start(&self) -> Result<(Session, Tab), WireFailure> {
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
        // The browser may have gone out of order while the call waited for its turn.
        if let Some(text) = self.health.lock().out_of_order(Instant::now()) {
            let blame = Blame::OutOfOrder;
            return Err(WireFailure { text, blame });
        }
        let started = self.start().await;
        if let Err(failure) = &started
            && failure.blame == Blame::Browser
        {
            self.health
                .lock()
                .not_started(Instant::now(), &failure.text);
        }
        started
    }

    /// A tab for the next page: an idle tab, a new tab, or the tab of a new session. `from`: the page that a request is
    /// sent from; its tab is shared with the other requests from it.
    pub async fn tab(&self, from: Option<&str>) -> Result<Held, WireFailure> {
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
            let next = match from {
                None => self.book.lock().next(&limits, has_memory),
                Some(page) => self.book.lock().next_from(page, &limits, has_memory),
            };
            match next {
                Next::Tab(id, session, tab) => return Ok(Held { id, session, tab }),
                Next::OpenTab(id, session) => {
                    let pool = self;
                    let opening = Opening { pool, id, from };
                    let opened = session.webdriver.open_tab().await;
                    std::mem::forget(opening);
                    match opened {
                        Ok(tab) => {
                            if let Some(page) = from {
                                self.book.lock().opened(id, page, tab.clone());
                                self.changed.notify_waiters();
                            }
                            return Ok(Held { id, session, tab });
                        }
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
                    self.book.lock().add(Arc::new(session), most_tabs, tab);
                }
                Next::Wait => changed.await,
                Next::OneTab => return Err(final_failure(NO_BIDI.to_owned())),
            }
        }
    }

    /// Kills a lost session with all its pages and counts the loss once. All its pages become suspects.
    pub fn lost(&self, id: u64, over: &str, why: &str) {
        let lost = self.book.lock().lose_session(id);
        if let Some(session) = lost {
            self.health.lock().lost(Instant::now(), over, why);
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
    pub async fn company(&self, url: &Url) -> Company {
        let is_suspect = self.suspects.lock().contains(url.as_str());
        if is_suspect {
            Company::Alone(Arc::clone(&self.company).write_owned().await)
        } else {
            Company::Shared(Arc::clone(&self.company).read_owned().await)
        }
    }

    fn profiles(&self) -> Result<Arc<ProfileRoot>, String> {
        let mut profiles = self.profiles.lock();
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

    /// Ends a session that has no page left. A managed session is killed when it is dropped; for any other, the server
    /// that started it is asked to end it.
    pub fn end(self: &Arc<Self>, ended: Option<Arc<Session>>) {
        if let Some(session) = ended
            && !session.is_managed
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let pool = Arc::clone(self);
            pool.book.lock().closing();
            runtime.spawn(async move {
                let _moving = Moving(&pool);
                session.close().await;
            });
        }
        self.changed.notify_waiters();
    }
}

/// A tab that is being opened. If it is dropped, because its call was, its session gets no further pages.
struct Opening<'call> {
    pool: &'call Pool,
    id: u64,
    from: Option<&'call str>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let ended = match self.from {
            None => self.pool.book.lock().lose_tab(self.id),
            Some(page) => self.pool.book.lock().lose_page(self.id, page).1,
        };
        drop(ended);
        self.pool.changed.notify_waiters();
    }
}

fn driver_says(driver: Option<&Geckodriver>) -> String {
    driver.map_or_else(
        || "the WebDriver server is the one configured under browser.webdriver".to_owned(),
        |driver| format!("geckodriver's last lines: {}", driver.last_lines()),
    )
}

/// A failure that another attempt would not change.
pub fn final_failure(text: String) -> WireFailure {
    WireFailure {
        text,
        blame: Blame::Final,
    }
}

/// A failure of the browser, not of the host.
pub fn browser_failed(text: &str) -> WireFailure {
    WireFailure {
        text: format!("the browser failed: {text}"),
        blame: Blame::Browser,
    }
}
