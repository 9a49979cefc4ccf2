//! The warehouse in PostgreSQL: one writer with one transaction per batch, and concurrent readers.
//!
//! Path of the data: the loader passes a [`Batch`] of task answers to [`Writer::commit`]. One transaction folds the
//! observations over what the same source reported before and derives the touched rows of the fund tables. It also
//! writes replaced values to `history` and acknowledges the tasks (D1, D4). Progress is recorded nowhere else:
//! [`Writer::checkpoint`] returns the tasks of a cycle that are not acknowledged.

mod address;
mod adoption;
mod age;
mod append;
mod chains;
mod closed_cycles;
mod codes;
mod commit;
mod connection;
mod counted;
mod cycles;
mod daily;
mod daily_remerge;
mod daily_rows;
mod days;
mod decode;
mod derive;
mod disagreements;
mod doubts;
mod error;
mod explain;
mod funds;
mod history;
mod keyed;
mod lineage;
mod lists;
mod market_changes;
mod migration;
mod news;
mod observations;
mod planning;
mod pooler;
mod portfolios;
mod problems;
mod provisional;
mod publication;
mod reader;
mod register;
mod remerge;
mod report;
mod requests;
mod requirements;
mod resets;
mod retention;
mod rows;
mod server_facts;
mod session;
mod standby;
mod stored_ranks;
mod table_shape;
mod tasks;
mod tls;
mod transaction;
mod unapplied_days;
mod universe;
mod unreported;
mod whole_histories;
mod writer;

pub use address::{AddressProblem, Authorities, DatabaseAddress, TlsMode, TlsSettings};
pub use age::{FundBehind, FundRhythm, FundsBehind};
pub use daily::LOOK_BACK_DAYS;
pub use disagreements::Disagreement;
pub use error::{DataRefusal, StoreError};
pub use explain::{
    DayExplanation, Explanation, FieldExplanation, RejectedRecord, StatedValue, Statement,
};
pub use funds::ActiveFunds;
pub use lineage::NameLink;
pub use planning::{
    Answered, COVERED_DAYS, FUNDS_A_PART, FundState, ListState, ListingState, NewestNav, PartPlan,
    PieceState, Planner, PlanningState, ProjectHistory, ProjectState, ProjectTask, list_key,
    plan_by,
};
pub use problems::{FailedTask, FailedTasks, PageFreshness, RejectCount};
pub use reader::{Freshness, Reader, RunnerStatus, Status};
pub use report::{
    Acknowledged, Batch, BatchId, BatchReport, BreachReport, Counted, CycleStatus, CycleTotals,
    MarketChange, RecordCounts, TableCounts, TaskCounts, TaskPace,
};
pub use requests::{AnsweredRequest, ChangeRequest, RequestAnswer, RequestDesk};
pub use retention::Retention;
pub use schema::cycle::{Cycle, CycleKind, CycleRequest, ScheduleFacts, Scope};
pub use server_facts::ServerFacts;
pub use standby::{FROZEN_AFTER, HolderWatch, LOOK_EVERY, Look};
pub use table_shape::TableShape;
pub use tasks::{NewTask, TaskFilter};
pub use writer::Writer;

/// The tables of the warehouse that users read, in the schema `public`. The master table is first, because the others
/// refer to it.
pub const TABLES: [&str; 9] = [
    "funds_master_info",
    "funds_daily",
    "funds_statistics",
    "funds_fee",
    "funds_holding",
    "funds_allocations",
    "funds_codes",
    "funds_dividends",
    "funds_performance",
];
