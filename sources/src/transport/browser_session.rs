//! A running browser in the hands of the pool: a WebDriver session, and the programs behind it where they are ours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::site::BrowserVisit;

use super::geckodriver::Geckodriver;
use super::visit_failure::VisitFailure;
use super::webdriver_session::{Page, WebdriverSession};

/// How often it is looked whether a page has started a download.
const LOOK_FOR_DOWNLOADS: Duration = Duration::from_millis(100);

/// A running browser.
pub struct Session {
    // Dropped in this order: the driver's process group is killed before its profile goes.
    /// The session.
    pub webdriver: WebdriverSession,
    /// Its programs; `None`: those of a WebDriver server that was there before.
    pub driver: Option<Geckodriver>,
    /// Pages it was asked for.
    pub pages: usize,
}

impl Session {
    /// Ends it in order.
    pub async fn close(self) {
        self.webdriver.close().await;
        if let Some(driver) = self.driver {
            driver.end().await;
        }
    }

    /// Sees a page, unless it starts a download: pages are read, files are not taken, whatever their size.
    pub async fn see(&self, visit: &BrowserVisit, max_bytes: usize) -> Result<Page, VisitFailure> {
        let downloads = self.driver.as_ref().and_then(Geckodriver::downloads);
        tokio::select! {
            seen = self.webdriver.visit(visit, max_bytes) => seen,
            file = first_file(downloads) => Err(VisitFailure::Page(format!(
                "the page offers a file for download ({file}); it was not taken"
            ))),
        }
    }

    /// Whether a download was started: it would go on whatever page comes next.
    fn is_downloading(&self) -> bool {
        let downloads = self.driver.as_ref().and_then(Geckodriver::downloads);
        downloads.is_some_and(|directory| file_in(&directory).is_some())
    }

    /// Whether it can be used for another page, once it has left this one.
    pub async fn is_fit(&self) -> bool {
        if self.is_downloading() {
            tracing::debug!("a page started a download: its browser is ended");
            return false;
        }
        self.webdriver.leave().await && !self.is_downloading()
    }
}

/// The name of the first file in the directory, as soon as there is one.
async fn first_file(directory: Option<PathBuf>) -> String {
    let Some(directory) = directory else {
        return std::future::pending().await;
    };
    loop {
        if let Some(name) = file_in(&directory) {
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
