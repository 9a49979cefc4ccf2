//! The crate `sources` for the protocol model: everything is the real one except the fetcher, which calls the sites that
//! a test installs.

pub use sources::*;

/// The real module with another fetcher.
pub mod ask {
    use std::cell::RefCell;
    use std::rc::Rc;

    use futures_util::future::LocalBoxFuture;
    use schema::{PlannedTask, SourceName};
    pub use sources::ask::*;
    use sources::page::PageSpec;
    use sources::site::ReadContext;
    use sources::transport::WaitingOn;

    /// Stands in for the sites, their transport and their parsers.
    pub trait Sites {
        /// See the real [`sources::ask::PageFetcher::ask`].
        fn ask(&self, source: SourceName, tasks: Vec<PlannedTask>) -> LocalBoxFuture<'_, Asked>;
    }

    thread_local! {
        static SITES: RefCell<Option<Rc<dyn Sites>>> = const { RefCell::new(None) };
    }

    /// Makes the askers of this thread call `sites`.
    pub fn install(sites: Rc<dyn Sites>) {
        SITES.set(Some(sites));
    }

    /// Replaces [`sources::ask::PageFetcher`], with the same methods.
    #[derive(Clone)]
    pub struct PageFetcher {
        /// The source of its tasks.
        pub source: SourceName,
    }

    impl PageFetcher {
        /// Does nothing in the model.
        pub const fn expect(&self, _tasks: &[PlannedTask]) {}

        /// Calls the installed sites.
        pub async fn ask(
            &self,
            _page: &PageSpec,
            tasks: Vec<PlannedTask>,
            _context: ReadContext,
            _waiting: &WaitingOn,
        ) -> Asked {
            let Some(sites) = SITES.with_borrow(Clone::clone) else {
                return Asked {
                    answers: Vec::new(),
                    later: Vec::new(),
                    breach: Some("no sites are installed".to_owned()),
                };
            };
            sites.ask(self.source, tasks).await
        }
    }
}
