//! The running simulator: six hosts that serve one market.

use std::io;
use std::sync::Arc;
use std::sync::RwLockReadGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use jiff::civil::Date;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::changes::UnknownCode;
use crate::config::MarketConfig;
use crate::faults::Faults;
use crate::generator::generate;
use crate::hosts::{Site, Urls};
use crate::lineage::TrueLink;
use crate::listener::HostListener;
use crate::living::MarketDay;
use crate::market::Market;
use crate::mass_changes::MassChange;
use crate::register::access::RegisterLimits;
use crate::reported::{Reported, Source};
use crate::request_log::RequestLog;
use crate::serve::serve;
use crate::site::{Robots, World};
use crate::truth::{Row, Truth};

/// A running simulator of the sites. Dropping it stops the hosts.
pub struct Simulator {
    world: Arc<World>,
    servers: Vec<JoinHandle<io::Result<()>>>,
}

impl Simulator {
    /// Generates the market and starts the hosts.
    ///
    /// Fails if a port is taken or the real histories cannot be read.
    pub async fn start(config: MarketConfig) -> io::Result<Simulator> {
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
            config.ports.sec_open_api,
        ];
        let mut listeners = Vec::with_capacity(ports.len());
        for port in ports {
            listeners.push(TcpListener::bind(("127.0.0.1", port)).await?);
        }
        let mut urls = Vec::with_capacity(ports.len());
        for listener in &listeners {
            urls.push(format!("http://{}", listener.local_addr()?));
        }
        let [
            finnomena,
            wealthmagik,
            sec_page,
            sec_api,
            documents,
            sec_open_api,
        ] = urls.try_into().expect("six hosts have six addresses");
        world.urls.get_or_init(|| Urls {
            finnomena,
            wealthmagik,
            sec_page,
            sec_api,
            documents,
            sec_open_api,
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
        Ok(Simulator { world, servers })
    }

    /// The base URLs of the hosts.
    pub fn urls(&self) -> Urls {
        self.world.urls().clone()
    }

    /// The handle that sets and clears faults.
    pub fn faults(&self) -> Faults {
        self.world.faults.clone()
    }

    /// A snapshot of the request log.
    pub fn log(&self) -> RequestLog {
        self.world.log.snapshot()
    }

    /// The wall-clock time that the log's times are counted from.
    pub fn began_at(&self) -> std::time::SystemTime {
        self.world.log.began_at()
    }

    /// The time since the instant from which the log's times are counted. A test or a measurement uses it to compare
    /// its own instants with the log's times.
    pub fn elapsed(&self) -> Duration {
        self.world.log.elapsed()
    }

    /// Locks the market for reading. The guard can delay answers: a request that records a served quote needs the write
    /// lock, and later readers wait behind it.
    pub fn market(&self) -> RwLockReadGuard<'_, Market> {
        self.world.market()
    }

    /// Moves the calendar forward by `days`: new business days get NAV rows and the quotes get a new date.
    pub fn advance_days(&self, days: u32) {
        self.world.market_mut().advance_days(days);
    }

    /// Moves a living market to the next day and applies the changes of that day.
    ///
    /// The truth is exact if a cycle has read the day that ends, and if the first cycle of each month is monthly.
    pub fn next_day(&self) -> MarketDay {
        self.world.market_mut().next_day()
    }

    /// Replaces the market with an earlier clone of `market()`.
    pub fn restore(&self, market: Market) {
        *self.world.market_mut() = market;
    }

    /// Makes a site report wrong values for many funds at once. The truth does not change.
    pub fn set_mass_change(&self, change: MassChange) {
        self.world.set_mass_change(change);
    }

    /// The mass changes that are set.
    pub fn mass_changes(&self) -> Vec<MassChange> {
        self.world.mass_changes.list()
    }

    /// Clears all mass changes: the sites report the true values again.
    pub fn clear_mass_changes(&self) {
        self.world.clear_mass_changes();
    }

    /// Makes Finnomena correct the NAV of a day of any age.
    pub fn revise_nav(&self, code: &str, date: Date, nav: &str) -> Result<(), UnknownCode> {
        self.world.market_mut().revise_nav(code, date, nav)
    }

    /// Makes the register publish each NAV of a code this number of days after its date; if it is monthly, only those
    /// of the last business day of a month.
    ///
    /// Fails if the register does not have the code.
    pub fn set_publication(
        &self,
        code: &str,
        lag_days: u32,
        is_monthly: bool,
    ) -> Result<(), UnknownCode> {
        let mut market = self.world.market_mut();
        market.set_publication(code, lag_days, is_monthly)
    }

    /// Makes Finnomena list the code as active or as inactive. The rows that an inactive code has up to today stay in
    /// the truth, as if a runner had loaded them.
    pub fn set_active(&self, code: &str, active: bool) -> Result<(), UnknownCode> {
        self.world.market_mut().set_active(code, active)
    }

    /// Makes Finnomena omit the code from its list, or list it again. The truth does not change: the expected result
    /// depends on the cycles that read the list.
    pub fn set_listed(&self, code: &str, listed: bool) -> Result<(), UnknownCode> {
        self.world.market_mut().set_listed(code, listed)
    }

    /// Changes the code of a fund on all sites. The old code keeps its present rows and becomes inactive. The `fund_id`
    /// and the history stay, except for a fund with one of the edge cases of renames: it gets a new `fund_id`, and a
    /// history that begins today.
    pub fn rename(&self, code: &str, new_code: &str) -> Result<(), UnknownCode> {
        self.world.market_mut().rename(code, new_code)
    }

    /// Changes the factsheet's URL on both sites; the document stays the same.
    pub fn move_factsheet(&self, code: &str) -> Result<(), UnknownCode> {
        self.world.market_mut().move_factsheet(code)
    }

    /// Publishes newer full holdings on WealthMagik, as of the end of last month, with other rows in another order. A
    /// fund without holdings keeps none.
    pub fn publish_holdings(&self, code: &str) -> Result<(), UnknownCode> {
        self.world.market_mut().publish_holdings(code)
    }

    /// Sets the host's answer to requests for robots.txt.
    pub fn set_robots(&self, site: Site, robots: Robots) {
        self.world.set_robots(site, robots);
    }

    /// Sets whether the host answers 403 to clients that are not a browser.
    pub fn set_browser_only(&self, site: Site, only: bool) {
        self.world.set_browser_only(site, only);
    }

    /// Sets the subscription keys that the register accepts; a new simulator accepts `simulated-key`.
    pub fn set_register_keys(&self, keys: &[&str]) {
        self.world.register.set_keys(keys);
    }

    /// Sets the register's call limit.
    pub fn set_register_limits(&self, limits: RegisterLimits) {
        self.world.register.set_limits(limits);
    }

    /// Makes the register return at most this many rows on a page, whatever a query asks for: a small market then has
    /// lists of many pages.
    pub fn set_register_page_rows(&self, rows: usize) {
        self.world.register.set_most_rows(rows);
    }

    /// Makes every cursor invalid that the register has issued so far.
    pub fn expire_register_cursors(&self) {
        self.world.register.expire_cursors();
    }

    /// Serves these rows, each a JSON object, in place of the market's rows of one dataset of the register. `dataset`
    /// is its path below `/v2/fund/`, such as `daily-info/nav`. Queries select rows by `proj_id`, `fund_class_name` and
    /// `nav_date`. `reported_by` does not change.
    ///
    /// Fails if there is no such dataset or a row is not JSON.
    pub fn replace_register_rows(&self, dataset: &str, rows: &[String]) -> io::Result<()> {
        self.world.replaced.set(dataset, rows)
    }

    /// Serves the market's own rows of the register again.
    pub fn restore_register_rows(&self) {
        self.world.replaced.clear();
    }

    /// The expected content of the seven tables after a full load of the present state.
    pub fn truth(&self) -> Truth {
        Truth::of(&self.market(), self.world.urls())
    }

    /// The renames so far, in their order: the truth about the names of the funds.
    pub fn lineage(&self) -> Vec<TrueLink> {
        self.market().lineage.clone()
    }

    /// The cells that one source alone reports at present, in the tables' form.
    pub fn reported_by(&self, source: Source) -> Reported {
        Reported::by(source, &self.market(), self.world.urls())
    }

    /// Calls `visit` with each true row of `funds_daily`, in the table's order, without building all of them in memory.
    pub fn for_each_daily_row(&self, visit: impl FnMut(Row)) {
        Truth::for_each_daily_row(&self.market(), self.world.urls(), visit);
    }

    /// Writes the truth as text. The daily table is written fund by fund.
    pub fn write_truth(&self, out: &mut impl io::Write) -> io::Result<()> {
        Truth::write(&self.market(), self.world.urls(), out)
    }

    /// Writes the truth of a market without serving it. Its URLs use the configured ports.
    pub fn write_truth_of(config: &MarketConfig, out: &mut impl io::Write) -> io::Result<()> {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let ports = config.ports;
        let urls = Urls {
            finnomena: url(ports.finnomena),
            wealthmagik: url(ports.wealthmagik),
            sec_page: url(ports.sec_page),
            sec_api: url(ports.sec_api),
            documents: url(ports.documents),
            sec_open_api: url(ports.sec_open_api),
        };
        Truth::write(&generate(config)?, &urls, out)
    }

    /// Stops listening and closes the open connections, as dropping the simulator does.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.world.stopped.store(true, Ordering::Relaxed);
        for server in &self.servers {
            server.abort();
        }
    }
}
