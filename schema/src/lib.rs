//! What a fund is, and how several statements about it become one truth.
//!
//! The path of the data through this crate: a source's [`Observation`]s arrive as part of a [`TaskAnswer`],
//! are folded over what the same source said before, derived by pure merge rules into rows of the seven tables,
//! and written with the task's acknowledgement in one transaction by the crate `store`.
//! Everything here is plain functions over plain data; the SQL of the migrations lies beside it.

pub mod columns;
pub mod doubt;
pub mod failpoint;
pub mod fold;
pub mod fund_code;
pub mod fund_status;
pub mod merge_daily;
pub mod merge_funds;
pub mod number;
pub mod observation;
pub mod portfolio;
pub mod precedence;
pub mod source_name;
pub mod task;
pub mod whole_history;

pub use fund_code::FundCode;
pub use number::Number;
pub use observation::{Dataset, Observation, Said};
pub use source_name::SourceName;
pub use task::{Outcome, PlannedTask, Reject, TaskAnswer, TaskId};
