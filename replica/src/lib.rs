//! A stand-in of the three sites: one market that is made up from a seed (or around real NAV histories), five hosts on 127.0.0.1 that
//! answer like Finnomena, WealthMagik, the SEC and a document storage, the truth that a loader should arrive at, faults on demand, and
//! a log of who asked what.
//!
//! It is written from the description of the sites (docs/sites.md) and shares no code with the rest of the workspace, so that a
//! parser and its test data do not share an error.

pub mod awkward;
mod calendar;
mod changes;
mod config;
mod control;
mod documents;
mod faults;
mod finnomena;
mod finnomena_performance;
mod finnomena_portfolio;
mod generator;
mod html;
mod json;
mod listener;
mod living;
mod market;
mod mass_changes;
mod nav_series;
mod real;
mod replica;
mod request_log;
mod sec;
mod serve;
mod site;
mod strange_answers;
mod strange_connections;
mod tables;
mod truth;
mod wealthmagik;
mod wealthmagik_pages;

pub use awkward::Awkward;
pub use config::{JavascriptPages, MarketConfig, ReplicaPorts};
pub use faults::{Fault, FaultKind, Faults, RetryAfter, Site};
pub use living::{MarketDay, MarketEvent};
pub use market::Market;
pub use mass_changes::{Absence, MassChange, MassKind, PageKind};
pub use real::last_date as last_real_date;
pub use replica::{Replica, UnknownCode, Urls};
pub use request_log::{LoggedRequest, RequestLog};
pub use site::Robots;
pub use strange_answers::Packing;
pub use strange_connections::Strangeness;
pub use tables::TABLES;
pub use truth::{Row, Truth, TruthTable};
