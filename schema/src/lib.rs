//! Data types of a fund and the pure rules that merge several sources' statements about it into one row.
//!
//! Path of the data: a source's [`Observation`]s arrive in a [`TaskAnswer`]. Each observation is folded over what the
//! same source reported before. Pure merge rules then derive the rows of the fund tables. The crate `store` writes
//! these rows in one transaction with the task's acknowledgement. [`back_off`] is here because every crate uses this
//! one.
//!
//! This crate contains only plain functions over plain data, and the SQL files of the migrations.

pub mod append;
pub mod back_off;
pub mod columns;
pub mod cycle;
pub mod day_range;
pub mod dividends;
pub mod doubt;
pub mod failpoint;
pub mod fold;
pub mod fund_code;
pub mod fund_status;
pub mod lineage;
pub mod merge_appended;
pub mod merge_daily;
pub mod merge_funds;
pub mod migrations;
pub mod number;
pub mod observation;
pub mod portfolio;
pub mod precedence;
pub mod source_name;
pub mod task;
pub mod whole_history;

pub use day_range::DayRange;
pub use fund_code::FundCode;
pub use number::Number;
pub use observation::{Dataset, Observation, ObservationData};
pub use source_name::SourceName;
pub use task::{Outcome, PlannedTask, Reject, TaskAnswer, TaskId};
