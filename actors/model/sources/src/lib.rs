//! The crate `sources` as the actors of the model see it: everything is the real one but the asker, which asks whatever
//! sites a test installs.

pub use sources::*;

/// The real module but for its asker.
pub mod ask {
    use std::cell::RefCell;
    use std::rc::Rc;

    use futures_util::future::LocalBoxFuture;
    use schema::{PlannedTask, SourceName};
    pub use sources::ask::*;
    use sources::page::PageSpec;
    use sources::site::ReadContext;
    use sources::transport::WaitingOn;

    /// What stands in for the sites, their transport and their parsers.
    pub trait Sites {
        /// See the real [`sources::ask::Asker::ask`].
        fn ask(&self, source: SourceName, tasks: Vec<PlannedTask>) -> LocalBoxFuture<'_, Asked>;
    }

    thread_local! {
        static SITES: RefCell<Option<Rc<dyn Sites>>> = const { RefCell::new(None) };
    }

    /// From now on the askers of this thread ask `sites`.
    pub fn install(sites: Rc<dyn Sites>) {
        SITES.set(Some(sites));
    }

    /// In the place of [`sources::ask::Asker`]: the same call.
    #[derive(Clone)]
    pub struct Asker {
        /// Whose tasks it asks.
        pub source: SourceName,
    }

    impl Asker {
        /// Of no importance here.
        pub const fn expect(&self, _tasks: &[PlannedTask]) {}

        /// Asks the installed sites.
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
