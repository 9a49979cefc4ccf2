//! A running browser of the pool: a WebDriver session, and its programs if this program started them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::site::BrowserVisit;
use parking_lot::Mutex;

use super::geckodriver::Geckodriver;
use super::visit_failure::VisitFailure;
use super::webdriver_session::{Page, Tab, WebdriverSession};

/// How often the download directory is checked, for a browser that does not report downloads.
const LOOK_FOR_DOWNLOADS: Duration = Duration::from_millis(100);

/// A running browser. Dropping it kills its programs if this program started them.
pub struct Session {
    /// The session.
    pub webdriver: WebdriverSession,
    /// Whether this program started the browser.
    pub is_managed: bool,
    /// The programs of the browser; `None` if they belong to a WebDriver server, or were killed.
    driver: Mutex<Option<Geckodriver>>,
    /// The pages that were opened to request from, with their HTTP status. The lock is held while one is opened.
    pub opened_pages: tokio::sync::Mutex<BTreeMap<String, u16>>,
    /// The directory of its downloads.
    downloads: Option<PathBuf>,
}

impl Session {
    /// A browser that has started.
    pub fn new(webdriver: WebdriverSession, driver: Option<Geckodriver>) -> Self {
        Self {
            webdriver,
            is_managed: driver.is_some(),
            downloads: driver.as_ref().and_then(Geckodriver::downloads),
            driver: Mutex::new(driver),
            opened_pages: tokio::sync::Mutex::default(),
        }
    }

    /// Closes the WebDriver session, then ends the programs.
    pub async fn close(&self) {
        self.webdriver.close().await;
        let driver = self.driver.lock().take();
        if let Some(driver) = driver {
            driver.end().await;
        }
    }

    /// Kills the browser at once with all its pages. A browser of a WebDriver server is left to the server's time-outs.
    pub fn kill(&self) {
        self.driver.lock().take();
    }

    /// Visits a page. Fails if the page starts a download: files are never downloaded, whatever their size.
    pub async fn see(
        &self,
        tab: &Tab,
        visit: &BrowserVisit,
        max_bytes: usize,
    ) -> Result<Page, VisitFailure> {
        let seen = self.webdriver.visit(tab, visit, max_bytes);
        // With several tabs, a file does not show which page started it; the browser's events do.
        if self.webdriver.most_tabs() > 1 {
            return seen.await;
        }
        tokio::select! {
            seen = seen => seen,
            file = first_file(self.downloads.as_deref()) => Err(VisitFailure::Page(format!(
                "the page offers a file for download ({file}); it was not used"
            ))),
        }
    }

    /// Whether a download was started. It would continue during the next pages.
    fn is_downloading(&self) -> bool {
        let file = self.downloads.as_deref().and_then(file_in);
        file.is_some()
    }

    /// Whether the tab can be used for another page. Leaves the current page first.
    pub async fn is_fit(&self, tab: &Tab) -> bool {
        if self.is_downloading() {
            tracing::debug!("a page started a download: its browser is ended");
            return false;
        }
        self.webdriver.leave(tab).await && !self.is_downloading()
    }
}

/// Waits for the first file in the directory and returns its name.
async fn first_file(directory: Option<&Path>) -> String {
    let Some(directory) = directory else {
        return std::future::pending().await;
    };
    loop {
        if let Some(name) = file_in(directory) {
            return name;
        }
        tokio::time::sleep(LOOK_FOR_DOWNLOADS).await;
    }
}

fn file_in(directory: &Path) -> Option<String> {
    let file = std::fs::read_dir(directory).ok()?.flatten().next()?;
    let name = file.file_name().to_string_lossy().into_owned();
    Some(name.chars().take(100).collect())
}
