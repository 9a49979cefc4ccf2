//! What all six hosts share: the state that they serve, the request and the answer.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use axum::body::Bytes;
use parking_lot::Mutex;

use crate::faults::{ChainFault, Faults};
use crate::hosts::Site;
use crate::hosts::Urls;
use crate::html;
use crate::market::Market;
use crate::mass_changes::{MassChange, MassChanges, PageKind};
use crate::real::Quote;
use crate::register::access::Access;
use crate::register::kept::Kept;
use crate::register::replaced::Replaced;
use crate::request_log::LogBook;

/// A host's answer to requests for robots.txt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Robots {
    /// A robots.txt with this text.
    Text(String),
    /// Status 404.
    Missing,
    /// This status and an error page.
    Status(u16),
}

impl Robots {
    fn default_of(site: Site) -> Self {
        match site {
            Site::Finnomena | Site::WealthMagik | Site::SecPage => Robots::Text(
                "User-agent: *\nAllow: /\nDisallow: /admin/\nDisallow: /login\n".to_owned(),
            ),
            Site::SecApi | Site::Documents | Site::SecOpenApi => Robots::Missing,
        }
    }
}

/// The state that the six hosts read while they answer.
pub(crate) struct World {
    market: RwLock<Market>,
    /// Raised whenever the market may have changed.
    version: AtomicU64,
    pub(crate) mass_changes: MassChanges,
    pub(crate) faults: Faults,
    pub(crate) log: LogBook,
    pub(crate) urls: OnceLock<Urls>,
    pub(crate) latency: Duration,
    /// Whether WealthMagik's pages are built by a script.
    pub(crate) scripted_wealthmagik: bool,
    pub(crate) stopped: Arc<AtomicBool>,
    robots: Mutex<HashMap<Site, Robots>>,
    /// Hosts that answer 403 to clients that are not a browser.
    browser_only: Mutex<HashMap<Site, bool>>,
    /// Keys, limits and cursors of the register.
    pub(crate) register: Access,
    /// Rows of the register's recent queries.
    pub(crate) kept: Kept,
    /// Rows of the register that a test supplied.
    pub(crate) replaced: Replaced,
}

impl World {
    pub(crate) fn new(market: Market, latency: Duration, scripted_wealthmagik: bool) -> Self {
        World {
            faults: Faults::new(market.seed),
            market: RwLock::new(market),
            version: AtomicU64::new(0),
            mass_changes: MassChanges::default(),
            log: LogBook::new(),
            urls: OnceLock::new(),
            latency,
            scripted_wealthmagik,
            stopped: Arc::default(),
            robots: Mutex::default(),
            browser_only: Mutex::default(),
            register: Access::default(),
            kept: Kept::default(),
            replaced: Replaced::default(),
        }
    }

    pub(crate) fn market(&self) -> RwLockReadGuard<'_, Market> {
        self.market.read().expect("no holder of the market panics")
    }

    pub(crate) fn market_mut(&self) -> RwLockWriteGuard<'_, Market> {
        let market = self.market.write().expect("no holder of the market panics");
        self.version.fetch_add(1, Ordering::Relaxed);
        market
    }

    /// The market that a page of this kind shows, and a number that grows whenever it may have changed.
    pub(crate) fn versioned(&self, site: Site, page: Option<PageKind>) -> (u64, Shown<'_>) {
        let version = self.version.load(Ordering::Relaxed);
        (version, self.shown(site, page))
    }

    /// The market that a page of this kind shows: the true one, or the copy that a mass change distorted.
    pub(crate) fn shown(&self, site: Site, page: Option<PageKind>) -> Shown<'_> {
        let market = self.market();
        let version = self.version.load(Ordering::Relaxed);
        let market_wide = page.is_some_and(PageKind::is_market_wide);
        match self
            .mass_changes
            .distorted(site, market_wide, version, &market)
        {
            Some(distorted) => Shown::Distorted(distorted),
            None => Shown::True(market),
        }
    }

    pub(crate) fn set_mass_change(&self, change: MassChange) {
        self.mass_changes.set(change, &self.market());
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn clear_mass_changes(&self) {
        self.mass_changes.clear();
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that WealthMagik served this fund's quote of this date, if the quote is the true one.
    pub(crate) fn note_quote(&self, code: &str, shown: &Quote) {
        let mut market = self.market.write().expect("no holder of the market panics");
        let today = market.today;
        if let Some(fund) = market.by_code_mut(code)
            && fund.nav.quote_date(today) == Some(shown.date)
            && fund.nav.quote_on(shown.date).as_ref() == Some(shown)
        {
            fund.quotes_served.insert(shown.date);
        }
    }

    pub(crate) fn urls(&self) -> &Urls {
        self.urls
            .get()
            .expect("the addresses are known before the first request")
    }

    pub(crate) fn set_robots(&self, site: Site, robots: Robots) {
        self.robots.lock().insert(site, robots);
    }

    pub(crate) fn set_browser_only(&self, site: Site, only: bool) {
        self.browser_only.lock().insert(site, only);
    }

    pub(crate) fn is_browser_only(&self, site: Site) -> bool {
        self.browser_only
            .lock()
            .get(&site)
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn robots(&self, site: Site) -> Answer {
        let robots = self.robots.lock().get(&site).cloned();
        match robots.unwrap_or_else(|| Robots::default_of(site)) {
            Robots::Text(text) => Answer {
                status: 200,
                content_type: "text/plain; charset=utf-8",
                body: text.into_bytes(),
            },
            Robots::Missing => Answer::not_found(),
            Robots::Status(status) => Answer::html(status, html::error_page(status)),
        }
    }
}

/// The market that a page shows.
pub(crate) enum Shown<'world> {
    True(RwLockReadGuard<'world, Market>),
    Distorted(Arc<Market>),
}

impl Deref for Shown<'_> {
    type Target = Market;

    fn deref(&self) -> &Market {
        match self {
            Shown::True(market) => market,
            Shown::Distorted(market) => market,
        }
    }
}

/// A request as the sites process it.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query as received.
    pub(crate) path_and_query: String,
    /// The path's segments, each percent-decoded on its own because a code may contain an encoded slash.
    pub(crate) segments: Vec<String>,
    pub(crate) query: HashMap<String, String>,
    /// The register's key, if the request has one.
    pub(crate) subscription_key: Option<String>,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }
}

/// How a fault changes the content of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    /// Whether lists are shortened to a third of their entries.
    pub(crate) shrunk: bool,
    /// Whether the frame is sent without any value.
    pub(crate) empty: bool,
    /// Full holdings show only this many rows; scrolling loads the next ones.
    pub(crate) rows: Option<usize>,
    /// A chain of the register's pages has a fault.
    pub(crate) chain: Option<ChainFault>,
    /// The register's rows are not limited to the range of the query.
    pub(crate) outside_range: bool,
    /// Whether the client will not receive the answer as it was built.
    pub(crate) spoilt: bool,
}

/// An answer before it is sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &(impl ToString + ?Sized)) -> Self {
        Answer {
            status,
            content_type: "application/json; charset=utf-8",
            body: body.to_string().into_bytes(),
        }
    }

    pub(crate) fn html(status: u16, body: String) -> Self {
        Answer {
            status,
            content_type: "text/html; charset=utf-8",
            body: body.into_bytes(),
        }
    }

    pub(crate) fn not_found() -> Self {
        Answer::html(404, html::error_page(404))
    }
}
