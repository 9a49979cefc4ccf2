//! The pool of real browsers. It limits the number of sessions and of pages open at once in each, replaces a session
//! after a number of pages, and leaves no browser behind.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;
use url::Url;

use crate::site::BrowserVisit;

use super::backend::{Blame, Incoming, Outgoing, Prepared, Way, Wire, WireFailure};
use super::browser_pool::{
    BrowserConfig, Company, Held, Pool, Webdriver, browser_failed, final_failure,
};
use super::browser_programs::Programs;
use super::page_lease::PageLease;
use super::visit_failure::VisitFailure;
use super::waiting::{Waiting, WaitingOn};

/// How long the end of the run waits for sessions of dropped calls.
const ABANDONED_TIMEOUT: Duration = Duration::from_secs(6);

/// The pool; clones share it.
#[derive(Clone)]
pub struct BrowserWire(Arc<Pool>);

impl BrowserWire {
    /// A pool without sessions. Pages may load only from `own_hosts`; `page_timeout` limits a navigation.
    pub fn new(
        config: BrowserConfig,
        user_agent: String,
        own_hosts: Vec<Url>,
        page_timeout: Duration,
    ) -> Self {
        Self(Arc::new(Pool::new(
            config,
            user_agent,
            own_hosts,
            page_timeout,
        )))
    }

    /// Starts a session with an empty page and closes it again, to test whether a browser is available.
    ///
    /// # Errors
    /// The reason why not, with what is missing.
    pub async fn try_out(&self) -> Result<(), String> {
        let (session, _) = self.0.start().await.map_err(|failure| failure.text)?;
        session.close().await;
        self.0.profiles.lock().take();
        Ok(())
    }

    /// Closes all idle sessions in parallel, and waits for them and for sessions of dropped calls. Sessions in use
    /// belong to their calls; a dropped call kills its own session.
    pub async fn close(&self) {
        let idle = self.0.book.lock().take_idle();
        join_all(idle.iter().map(|session| session.close())).await;
        let all_gone = async {
            loop {
                let changed = self.0.changed.notified();
                if self.0.book.lock().is_empty() {
                    return;
                }
                changed.await;
            }
        };
        let _ = tokio::time::timeout(ABANDONED_TIMEOUT, all_gone).await;
        self.0.profiles.lock().take();
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
        let shown = outgoing.shown_page().unwrap_or(&outgoing.url);
        let company = self.0.company(shown).await;
        let pool = Arc::clone(&self.0);
        if let Way::FromPage(page) = &outgoing.way {
            let page = page.url.to_string();
            let held = self.0.tab(Some(&page)).await?;
            return Ok(Box::new(PageLease::new(pool, page, held, company)));
        }
        let held = self.0.tab(None).await?;
        Ok(Box::new(Lease {
            pool,
            held: Some(held),
            _company: company,
        }))
    }

    fn out_of_order(&self) -> Option<String> {
        self.0.health.lock().out_of_order(Instant::now())
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

impl Lease {
    /// Returns the tab to the pool after it has left the page.
    async fn give_back(&mut self) {
        let is_fit = match &self.held {
            Some(held) => held.session.is_fit(&held.tab).await,
            None => return,
        };
        if is_fit && let Some(held) = self.held.take() {
            let ended = self.pool.book.lock().give_back(held.id, held.tab);
            self.pool.end(ended);
        } else {
            self.give_up();
        }
    }

    /// Gives up the tab; its session gets no further pages.
    fn give_up(&mut self) {
        if let Some(Held { id, session, tab }) = self.held.take() {
            session.webdriver.abandon_tab(&tab);
            let ended = self.pool.book.lock().lose_tab(id);
            drop(session);
            self.pool.end(ended);
        }
    }

    /// Gives up the session, which is lost.
    fn lose(&mut self, visit: &BrowserVisit, why: &str) {
        self.pool.suspects.lock().insert(visit.url.to_string());
        if let Some(held) = self.held.take() {
            self.pool.lost(held.id, visit.url.as_str(), why);
        }
    }

    /// Gives up the tab, which its page made unusable.
    fn lose_tab(&mut self, visit: &BrowserVisit, why: &str) {
        self.pool
            .health
            .lock()
            .lost(Instant::now(), visit.url.as_str(), why);
        self.give_up();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[async_trait]
impl Prepared for Lease {
    async fn exchange(mut self: Box<Self>, outgoing: &Outgoing) -> Result<Incoming, WireFailure> {
        let Way::Visit(visit) = &outgoing.way else {
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
                self.pool.health.lock().succeeded();
                self.pool.suspects.lock().remove(visit.url.as_str());
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
                self.pool.health.lock().succeeded();
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
        self.pool.health.lock().succeeded();
        Err(WireFailure { text, blame })
    }
}
