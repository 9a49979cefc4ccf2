//! What each site says.
//!
//! The path of the data: a planned task becomes a [`Request`] ([`Site::request`], pure), the transport brings its
//! [`Answer`] politely (rate, robots.txt, retries, host health, HTTP or a real browser), and the answer is read into
//! observations ([`Site::read`], pure). `ask` drives one group of tasks through these steps. What a new site needs is
//! listed in [`sites`].

pub mod archive;
pub mod ask;
pub mod contract_tally;
pub mod cycle_memory;
pub mod page;
pub mod payload;
pub mod site;
pub mod sites;
pub mod text;
pub mod transport;

pub use ask::{Asked, Asker, TransportMode};
pub use cycle_memory::CycleMemory;
pub use page::{Cadence, PageSpec, Stage};
pub use site::{Answer, Breach, Reading, Request, Site, Via};
