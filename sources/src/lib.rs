//! The sites: how the program requests, fetches and parses their pages.
//!
//! Path of the data: a planned task becomes a [`Request`] ([`Site::request`], pure). The transport fetches the
//! [`Answer`] by HTTP or in a real browser, within the limits of the host: rate, robots.txt, retries, host health. A
//! parser turns the answer into observations ([`Site::read`], pure). The module [`ask`] takes one group of tasks
//! through these steps. The module [`sites`] lists the sources, one [`source_spec::SourceSpec`] each.

pub mod api_key;
pub mod archive;
pub mod ask;
pub mod contract_tally;
pub mod cycle_memory;
pub mod page;
pub mod payload;
pub mod site;
pub mod sites;
pub mod source_spec;
pub mod text;
pub mod transport;

pub use ask::{Asked, PageFetcher, TransportMode};
pub use cycle_memory::CycleMemory;
pub use page::{Cadence, PageSpec, Stage};
pub use site::{Answer, Breach, Reading, Request, Site, Via};
