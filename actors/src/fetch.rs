//! What the actors need of a source: its pages, and a fetcher that requests them. The program uses [`PageFetcher`]; the
//! protocol tests use scripted sites.

use std::rc::Rc;

use async_trait::async_trait;
use schema::PlannedTask;
use sources::ask::{Asked, PageFetcher};
use sources::page::PageSpec;
use sources::site::ReadContext;
use sources::transport::WaitingOn;

/// Requests groups of tasks of one source and parses the answers.
#[async_trait(?Send)]
pub trait Fetch {
    /// See [`PageFetcher::expect`].
    fn expect(&self, tasks: &[PlannedTask]);

    /// See [`PageFetcher::ask`].
    async fn ask(
        &self,
        page: &PageSpec,
        tasks: Vec<PlannedTask>,
        context: ReadContext,
        waiting: &WaitingOn,
    ) -> Asked;
}

#[async_trait(?Send)]
impl Fetch for PageFetcher {
    fn expect(&self, tasks: &[PlannedTask]) {
        self.expect(tasks);
    }

    async fn ask(
        &self,
        page: &PageSpec,
        tasks: Vec<PlannedTask>,
        context: ReadContext,
        waiting: &WaitingOn,
    ) -> Asked {
        self.ask(page, tasks, context, waiting).await
    }
}

/// A source with what is needed to request it.
#[derive(Clone)]
pub struct AskedSource {
    /// Requests and parses the pages. All incarnations of the actor share it, with what it remembers of the cycle.
    pub fetcher: Rc<dyn Fetch>,
    /// The source's pages.
    pub pages: &'static [PageSpec],
}

impl AskedSource {
    pub(crate) fn page(&self, name: &str) -> Option<&'static PageSpec> {
        self.pages.iter().find(|page| page.name == name)
    }
}
