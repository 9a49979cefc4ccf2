//! The share of one request in a tab that shows a page to request from. The first request of a session opens the page;
//! the others wait for that and then use it as well.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::backend::{Blame, Incoming, Opened, Outgoing, Prepared, Way, WireFailure};
use super::browser_pool::{Company, Held, Pool, browser_failed, final_failure};
use super::page_fetch::{PageStatus, ends_session, page_status};
use super::visit_failure::VisitFailure;

/// A share in the tab with `page`. If it is dropped during a request, it closes the tab.
pub struct PageLease {
    pool: Arc<Pool>,
    /// The URL of the page.
    page: String,
    held: Option<Held>,
    _company: Company,
}

impl PageLease {
    /// The share of one request.
    pub const fn new(pool: Arc<Pool>, page: String, held: Held, company: Company) -> Self {
        Self {
            pool,
            page,
            held: Some(held),
            _company: company,
        }
    }

    /// Ends the share. `goes_on`: whether the session may get further requests.
    fn give_back(&mut self, goes_on: bool) {
        if let Some(Held { id, session, .. }) = self.held.take() {
            let ended = self.pool.book.lock().request_ended(id, &self.page, goes_on);
            drop(session);
            self.pool.end(ended);
        }
    }

    /// Gives up the tab; its session gets no further requests. The loss of a tab counts once, whatever number of
    /// requests share it. `why`: `None` if nothing is wrong with the browser.
    fn give_up(&mut self, over: &str, why: Option<&str>) {
        if let Some(Held { id, session, tab }) = self.held.take() {
            session.webdriver.abandon_tab(&tab);
            let (is_new, ended) = self.pool.book.lock().lose_page(id, &self.page);
            if let Some(why) = why
                && is_new
            {
                self.pool.health.lock().lost(Instant::now(), over, why);
            }
            drop(session);
            self.pool.end(ended);
        }
    }

    /// Takes the tab back to the empty page, where another request may open the page again.
    async fn leave(&mut self) {
        if let Some(held) = &self.held
            && !held.session.is_fit(&held.tab).await
        {
            self.give_up("", None);
        }
    }

    /// Ends the share after the page could not be opened.
    async fn not_opened(&mut self, failure: VisitFailure, outgoing: &Outgoing) -> WireFailure {
        if matches!(failure, VisitFailure::Host(_) | VisitFailure::Page(_)) {
            self.leave().await;
        }
        self.failed(failure, outgoing)
    }

    /// Ends the share after a failure, and reports which side is the cause.
    fn failed(&mut self, failure: VisitFailure, outgoing: &Outgoing) -> WireFailure {
        let over = outgoing.url.as_str();
        let (text, blame) = match failure {
            VisitFailure::Host(text) => (text, Blame::Host),
            VisitFailure::Page(text) | VisitFailure::CutShort(text) => (text, Blame::Final),
            // The page, not the request, keeps its tab busy: another session may do better.
            VisitFailure::Busy(text) | VisitFailure::TabLost(text) => {
                self.give_up(over, Some(&text));
                return browser_failed(&text);
            }
            VisitFailure::Hung(text) | VisitFailure::Lost(text) => {
                self.pool.suspects.lock().insert(self.page.clone());
                if let Some(held) = self.held.take() {
                    self.pool.lost(held.id, over, &text);
                }
                return browser_failed(&text);
            }
        };
        self.give_back(true);
        self.pool.health.lock().succeeded();
        WireFailure { text, blame }
    }
}

impl Drop for PageLease {
    fn drop(&mut self) {
        self.give_up("", None);
    }
}

#[async_trait]
impl Prepared for PageLease {
    async fn open(&mut self, outgoing: &Outgoing) -> Result<Opened, WireFailure> {
        let (Way::FromPage(page), Some(held)) = (&outgoing.way, &self.held) else {
            return Ok(Opened::Nothing);
        };
        let session = Arc::clone(&held.session);
        let tab = held.tab.clone();
        // Other requests from the page wait here until it is open.
        let mut opened = session.opened_pages.lock().await;
        let status = match opened.get(&self.page) {
            Some(status) if page_status(*status) == PageStatus::Open => return Ok(Opened::Nothing),
            // The page was refused to another request of the session while this one waited.
            Some(status) => *status,
            None => match session.webdriver.open_page(&tab, page).await {
                Ok(status) => status,
                Err(failure) => return Err(self.not_opened(failure, outgoing).await),
            },
        };
        match page_status(status) {
            PageStatus::Open => {
                opened.insert(self.page.clone(), status);
                Ok(Opened::Page)
            }
            PageStatus::Answers => {
                if ends_session(status) {
                    opened.insert(self.page.clone(), status);
                    self.give_back(false);
                } else {
                    self.leave().await;
                    self.give_back(true);
                }
                self.pool.health.lock().succeeded();
                Ok(Opened::Answered(Incoming {
                    status,
                    content_type: None,
                    location: None,
                    retry_after: None,
                    body: Bytes::new(),
                }))
            }
            PageStatus::Unusable => {
                let text = format!("the page to request from, {}, answered {status}", page.url);
                Err(self.not_opened(VisitFailure::Page(text), outgoing).await)
            }
        }
    }

    async fn exchange(mut self: Box<Self>, outgoing: &Outgoing) -> Result<Incoming, WireFailure> {
        let Some(held) = &self.held else {
            return Err(final_failure("the tab was given away".to_owned()));
        };
        match held.session.webdriver.request(&held.tab, outgoing).await {
            Ok(incoming) => {
                self.give_back(!ends_session(incoming.status));
                self.pool.health.lock().succeeded();
                self.pool.suspects.lock().remove(&self.page);
                Ok(incoming)
            }
            Err(failure) => Err(self.failed(failure, outgoing)),
        }
    }
}
