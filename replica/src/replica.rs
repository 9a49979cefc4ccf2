//! The replica as a whole: five hosts on one market.

use std::io;
use std::sync::Arc;
use std::sync::RwLockReadGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use jiff::civil::Date;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::MarketConfig;
use crate::faults::{Faults, Site};
use crate::generator::generate;
use crate::listener::HostListener;
use crate::living::MarketDay;
use crate::market::Market;
use crate::mass_changes::MassChange;
use crate::request_log::RequestLog;
use crate::serve::serve;
use crate::site::{Robots, World};
use crate::truth::{Row, Truth};

/// Where the hosts listen: `http://127.0.0.1:PORT`, without a slash behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Urls {
    /// Finnomena.
    pub finnomena: String,
    /// WealthMagik.
    pub wealthmagik: String,
    /// The SEC's page.
    pub sec_page: String,
    /// The SEC's API.
    pub sec_api: String,
    /// Factsheets and the control endpoint.
    pub documents: String,
}

/// Why something could not be steered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCode(pub String);

impl std::fmt::Display for UnknownCode {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "the market has no fund {:?}", self.0)
    }
}

impl std::error::Error for UnknownCode {}

/// A running stand-in of the three sites. It stops when it is dropped.
pub struct Replica {
    world: Arc<World>,
    servers: Vec<JoinHandle<io::Result<()>>>,
}

impl Replica {
    /// Makes the market up and starts the hosts. Fails where a port is taken or the real histories cannot be read.
    pub async fn start(config: MarketConfig) -> io::Result<Replica> {
        let market = generate(&config)?;
        let world = Arc::new(World::new(
            market,
            Duration::from_millis(config.latency_ms),
            config.javascript.wealthmagik(),
        ));
        world.set_browser_only(Site::SecApi, config.javascript.sec());
        let ports = [
            config.ports.finnomena,
            config.ports.wealthmagik,
            config.ports.sec_page,
            config.ports.sec_api,
            config.ports.documents,
        ];
        let mut listeners = Vec::with_capacity(ports.len());
        for port in ports {
            listeners.push(TcpListener::bind(("127.0.0.1", port)).await?);
        }
        let mut urls = Vec::with_capacity(ports.len());
        for listener in &listeners {
            urls.push(format!("http://{}", listener.local_addr()?));
        }
        let [finnomena, wealthmagik, sec_page, sec_api, documents] =
            urls.try_into().expect("five hosts have five addresses");
        world.urls.get_or_init(|| Urls {
            finnomena,
            wealthmagik,
            sec_page,
            sec_api,
            documents,
        });
        let servers = Site::ALL
            .into_iter()
            .zip(listeners)
            .map(|(site, listener)| {
                let listener = HostListener::new(listener, site, Arc::clone(&world));
                let asked = Arc::clone(&world);
                let router = Router::new()
                    .fallback(move |request: Request| serve(Arc::clone(&asked), site, request));
                tokio::spawn(async move { axum::serve(listener, router).await })
            })
            .collect();
        Ok(Replica { world, servers })
    }

    /// Where the hosts listen.
    pub fn urls(&self) -> Urls {
        self.world.urls().clone()
    }

    /// The handle to set and clear faults.
    pub fn faults(&self) -> Faults {
        self.world.faults.clone()
    }

    /// What was asked so far.
    pub fn log(&self) -> RequestLog {
        self.world.log.snapshot()
    }

    /// The wall-clock time from which the log's times count.
    pub fn began_at(&self) -> std::time::SystemTime {
        self.world.log.began_at()
    }

    /// How long the log's times have been counting: the clock by which a test or a measurement compares its own instants with theirs.
    pub fn elapsed(&self) -> Duration {
        self.world.log.elapsed()
    }

    /// The market as it is now. Answers wait while this is held.
    pub fn market(&self) -> RwLockReadGuard<'_, Market> {
        self.world.market()
    }

    /// Moves the calendar on: new NAV rows for the new business days and another date of prices.
    pub fn advance_days(&self, days: u32) {
        self.world.market_mut().advance_days(days);
    }

    /// Moves a living market on by a day, with all that the day brings. A cycle has read the day that ends; the first cycle of a
    /// month is monthly.
    pub fn next_day(&self) -> MarketDay {
        self.world.market_mut().next_day()
    }

    /// Makes the market again what it was: a clone of `market()` of an earlier moment.
    pub fn restore(&self, market: Market) {
        *self.world.market_mut() = market;
    }

    /// From now on a site says this of many funds at once. The truth does not change by it.
    pub fn set_mass_change(&self, change: MassChange) {
        self.world.set_mass_change(change);
    }

    /// The mass changes that are set.
    pub fn mass_changes(&self) -> Vec<MassChange> {
        self.world.mass_changes.list()
    }

    /// The sites say the truth again.
    pub fn clear_mass_changes(&self) {
        self.world.mass_changes.clear();
    }

    /// Finnomena corrects the NAV of a day, however long ago.
    pub fn revise_nav(&self, code: &str, date: Date, nav: &str) -> Result<(), UnknownCode> {
        self.world.market_mut().revise_nav(code, date, nav)
    }

    /// Finnomena lists the code as active, or as not active any more. What it has up to today counts as loaded and stays.
    pub fn set_active(&self, code: &str, active: bool) -> Result<(), UnknownCode> {
        self.world.market_mut().set_active(code, active)
    }

    /// Finnomena leaves the code out of its list without a word, or lists it again. The truth does not change by it: what follows
    /// depends on the cycles that see it.
    pub fn set_listed(&self, code: &str, listed: bool) -> Result<(), UnknownCode> {
        self.world.market_mut().set_listed(code, listed)
    }

    /// All sites show the fund under another code from now on; its `fund_id` and its history stay. The old code keeps the rows it has
    /// today, as an inactive one.
    pub fn rename(&self, code: &str, new_code: &str) -> Result<(), UnknownCode> {
        self.world.market_mut().rename(code, new_code)
    }

    /// Both sites name another URL for the same factsheet.
    pub fn move_factsheet(&self, code: &str) -> Result<(), UnknownCode> {
        self.world.market_mut().move_factsheet(code)
    }

    /// WealthMagik shows newer full holdings, as of the end of last month: other rows in another order. A fund without holdings keeps none.
    pub fn publish_holdings(&self, code: &str) -> Result<(), UnknownCode> {
        self.world.market_mut().publish_holdings(code)
    }

    /// What the host answers for robots.txt from now on.
    pub fn set_robots(&self, site: Site, robots: Robots) {
        self.world.set_robots(site, robots);
    }

    /// Whether the host answers 403 to clients that are not a browser.
    pub fn set_browser_only(&self, site: Site, only: bool) {
        self.world.set_browser_only(site, only);
    }

    /// What the seven tables should hold after a full load of the present state.
    pub fn truth(&self) -> Truth {
        Truth::of(&self.market(), self.world.urls())
    }

    /// Hands over the true rows of `funds_daily` one after another, in the order of the table, without holding them all.
    pub fn for_each_daily_row(&self, visit: impl FnMut(Row)) {
        Truth::for_each_daily_row(&self.market(), self.world.urls(), visit);
    }

    /// Writes the truth as text, the daily table fund by fund.
    pub fn write_truth(&self, out: &mut impl io::Write) -> io::Result<()> {
        Truth::write(&self.market(), self.world.urls(), out)
    }

    /// Writes the truth of a market without serving it; the URLs in it are those of the configured ports.
    pub fn write_truth_of(config: &MarketConfig, out: &mut impl io::Write) -> io::Result<()> {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let ports = config.ports;
        let urls = Urls {
            finnomena: url(ports.finnomena),
            wealthmagik: url(ports.wealthmagik),
            sec_page: url(ports.sec_page),
            sec_api: url(ports.sec_api),
            documents: url(ports.documents),
        };
        Truth::write(&generate(config)?, &urls, out)
    }

    /// Stops listening and ends the open connections, as dropping the replica does.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.world.stopped.store(true, Ordering::Relaxed);
        for server in &self.servers {
            server.abort();
        }
    }
}
