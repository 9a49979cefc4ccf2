//! A local simulator of the sites, for tests and measurements.
//!
//! It generates one market from a seed, or around real NAV histories. Six hosts on 127.0.0.1 serve that market the way
//! Finnomena, WealthMagik, the SEC, its register and a document storage do. The simulator also provides:
//! - the truth: the rows that a loader should have stored after a full load,
//! - faults that a test sets and clears at run time,
//! - a log of every request.
//!
//! The code follows the description of the sites in docs/sites.md and shares no code with the rest of the workspace. An
//! error in a parser can therefore not repeat itself in the parser's test data.

mod calendar;
mod changes;
mod config;
mod control;
mod documents;
pub mod edge_case;
mod faults;
mod finnomena;
mod finnomena_performance;
mod finnomena_portfolio;
mod generator;
mod hosts;
mod html;
mod json;
mod lineage;
mod listener;
mod living;
mod market;
mod mass_changes;
mod nav_series;
mod real;
mod register;
mod reported;
mod request_log;
mod sec;
mod serve;
mod simulator;
mod site;
mod strange_answers;
mod strange_connections;
mod tables;
mod truth;
mod wealthmagik;
mod wealthmagik_pages;

pub use changes::UnknownCode;
pub use config::{JavascriptPages, MarketConfig, SimulatorPorts};
pub use edge_case::EdgeCase;
pub use faults::{Fault, FaultKind, Faults, RetryAfter, Strangeness};
pub use hosts::{Site, Urls};
pub use lineage::{KeptOnRename, TrueLink};
pub use living::{MarketDay, MarketEvent};
pub use market::Market;
pub use mass_changes::{Absence, MassChange, MassKind, PageKind};
pub use real::last_date as last_real_date;
pub use register::RegisterLimits;
pub use reported::{Reported, ReportedRow, Source};
pub use request_log::{LoggedRequest, RequestLog};
pub use simulator::Simulator;
pub use site::Robots;
pub use strange_answers::Packing;
pub use tables::TABLES;
pub use truth::{Row, Truth, TruthTable};
