//! The actors that fetch, merge and store: the supervisor, its children, and the messages between them.
//!
//! The actors only receive, call and send. The decisions are plain functions in other modules and crates:
//! [`restart_policy`], [`run_mode`], [`validate_answer`], the parsers in `sources`, the merge rules in `schema`. All
//! actors live on one Arbiter (A9).

pub mod child;
pub mod fetch;
pub mod loader_actor;
pub mod merge_actor;
pub mod messages;
pub mod persistent_writer;
pub mod progress_probe;
pub mod restart_policy;
pub mod row_budget;
pub mod run_mode;
pub mod snapshot;
pub mod source_actor;
pub mod store_handle;
pub mod store_session;
pub mod supervisor;
pub mod validate_answer;
