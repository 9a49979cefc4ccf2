//! A running browser in the hands of the pool: a WebDriver session, and the programs behind it where they are ours.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use crate::site::BrowserVisit;

use super::geckodriver::Geckodriver;
use super::visit_failure::VisitFailure;
use super::waiting::lock;
use super::webdriver_session::{Page, Tab, WebdriverSession};

/// How often a browser that does not announce downloads is checked for one.
const LOOK_FOR_DOWNLOADS: Duration = Duration::from_millis(100);

/// A running browser. Dropped, it is killed where its programs are ours.
pub struct Session {
    /// The session.
    pub webdriver: WebdriverSession,
    /// Whether its programs are ours.
    pub is_managed: bool,
    /// Its programs; `None`: those of a WebDriver server that was there before, or killed.
    driver: Mutex<Option<Geckodriver>>,
    /// Where its downloads would go.
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
        }
    }

    /// Ends it in order.
    pub async fn close(&self) {
        self.webdriver.close().await;
        let driver = lock(&self.driver).take();
        if let Some(driver) = driver {
            driver.end().await;
        }
    }

    /// Kills it at once, with whatever it shows; one of another server's is left to its time-outs.
    pub fn kill(&self) {
        lock(&self.driver).take();
    }

    /// Sees a page, unless it starts a download: pages are read, files are not taken, whatever their size.
    pub async fn see(
        &self,
        tab: &Tab,
        visit: &BrowserVisit,
        max_bytes: usize,
    ) -> Result<Page, VisitFailure> {
        let seen = self.webdriver.visit(tab, visit, max_bytes);
        // With several tabs a file does not say whose it is; the browser does.
        if self.webdriver.most_tabs() > 1 {
            return seen.await;
        }
        tokio::select! {
            seen = seen => seen,
            file = first_file(self.downloads.as_deref()) => Err(VisitFailure::Page(format!(
                "the page offers a file for download ({file}); it was not taken"
            ))),
        }
    }

    /// Whether a download was started: it would go on whatever page comes next.
    fn is_downloading(&self) -> bool {
        let file = self.downloads.as_deref().and_then(file_in);
        file.is_some()
    }

    /// Whether the tab can be used for another page, once it has left this one.
    pub async fn is_fit(&self, tab: &Tab) -> bool {
        if self.is_downloading() {
            tracing::debug!("a page started a download: its browser is ended");
            return false;
        }
        self.webdriver.leave(tab).await && !self.is_downloading()
    }
}

/// The name of the first file in the directory, as soon as there is one.
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
