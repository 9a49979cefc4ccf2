//! Who does the work: the supervisor and its children, and the messages they pass.
//!
//! Actors here receive, call and send; every decision is a plain function elsewhere: [`restart_policy`], [`run_mode`],
//! [`validate_answer`], the parsers in `sources`, the merge rules in `schema`. All live on one Arbiter (A9).

pub mod child;
pub mod loader_actor;
pub mod merge_actor;
pub mod messages;
pub mod persistent_writer;
pub mod pulse;
pub mod restart_policy;
pub mod room;
pub mod run_mode;
pub mod snapshot;
pub mod source_actor;
pub mod supervisor;
pub mod validate_answer;
