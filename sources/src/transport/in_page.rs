//! Requests from inside an open page: the page of a session, and the requests that share it. They need several
//! commands at once, so the session needs WebDriver BiDi.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::site::BrowserVisit;

use super::backend::{Incoming, Outgoing};
use super::bidi::Bidi;
use super::page_fetch::{self, FETCH, FetchLimits};
use super::visit_failure::VisitFailure;
use super::webdriver_session::{GRACE, Tab, WebdriverSession};

impl WebdriverSession {
    /// Opens the page to request from, and waits until it is at rest. Returns the HTTP status of its document; 0:
    /// unknown.
    pub async fn open_page(&self, tab: &Tab, page: &BrowserVisit) -> Result<u16, VisitFailure> {
        let (bidi, context) = self.of_tab(tab)?;
        let opening = async {
            let began = Instant::now();
            self.navigate(tab, &page.url).await?;
            let (look, _) = self.until_decided(tab, page, began).await?;
            Ok(look.status)
        };
        let opened = self.bounded(tab, page, Duration::ZERO, opening).await;
        // The page stays open for long; its own requests are of no interest any more.
        bidi.unwatch(context);
        opened
    }

    /// Sends a GET request from inside the page that the tab shows.
    pub async fn request(&self, tab: &Tab, outgoing: &Outgoing) -> Result<Incoming, VisitFailure> {
        let (bidi, context) = self.of_tab(tab)?;
        let limits = FetchLimits {
            max_body_bytes: outgoing.max_body_bytes,
            timeout: self.page_timeout,
        };
        let accept = outgoing.headers.iter().find(|(name, _)| *name == "Accept");
        let accept = accept.map_or("*/*", |(_, value)| value.as_str());
        let arguments = page_fetch::arguments(&outgoing.url, accept, limits);
        // The script has a time limit of its own; without an answer by then, the page does not run.
        let bound = self.page_timeout + GRACE;
        let fetched = self
            .call_in(bidi, context, FETCH, &arguments, bound)
            .await?;
        page_fetch::answered(fetched, limits, SystemTime::now())
    }

    fn of_tab<'session>(
        &'session self,
        tab: &'session Tab,
    ) -> Result<(&'session Bidi, &'session str), VisitFailure> {
        match (&self.bidi, &tab.0) {
            (Some(bidi), Some(context)) => Ok((bidi, context)),
            _ => Err(VisitFailure::Page(NO_BIDI.to_owned())),
        }
    }
}

/// Why a session cannot request from inside a page.
pub const NO_BIDI: &str =
    "the WebDriver server has no WebDriver BiDi, which requests from inside a page need";
