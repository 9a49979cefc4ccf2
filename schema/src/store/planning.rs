//! What the planner of a cycle knows, and what it decides.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::{FundCode, SourceName, TaskId};

use super::cycles::Cycle;

/// Everything a planner decides by, read in the transaction in which its tasks are inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanningState {
    /// The cycle to plan.
    pub cycle: Cycle,
    /// Every fund of the universe (ever active at Finnomena, or adopted), by code.
    pub funds: Vec<FundState>,
    /// Every task with the key `*`, by source and page.
    pub lists: BTreeMap<(SourceName, String), ListState>,
}

/// What is known of a page that speaks for the whole market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListState {
    /// Acknowledged in this cycle as done, unchanged or absent.
    pub answered_in_this_cycle: bool,
    /// Acknowledged in this cycle, however it ended.
    pub ended_in_this_cycle: bool,
    /// Ever answered, in whatever cycle.
    pub ever_answered: bool,
}

/// What is known of one fund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundState {
    /// The share class.
    pub fund_code: FundCode,
    /// `fund_status` is `active`.
    pub active: bool,
    /// The newest date for which Finnomena said a NAV, not after the cycle's date.
    pub last_nav_date: Option<Date>,
    /// Its entry in each source's list.
    pub listings: BTreeMap<SourceName, ListingState>,
    /// Where each source says its factsheet lies.
    pub factsheets: BTreeMap<SourceName, String>,
    /// Its pages that were asked before, by source and page name.
    pub answered: BTreeMap<(SourceName, String), Answered>,
}

/// A fund's entry in a source's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingState {
    /// The source's own key of the fund.
    pub source_key: String,
    /// Whether the newest whole list of the source holds it.
    pub listed: bool,
    /// Whether what the list says of it is new or other than before, since this cycle.
    pub changed_in_this_cycle: bool,
}

/// What is known of a page of a fund.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// Date of the last cycle in which the source answered it (done, unchanged or absent).
    pub last_answered: Option<Date>,
    /// The locator it was last answered with.
    pub locator: Option<String>,
    /// For each extent (such as the NAV range `MAX`) the date of the last cycle in which it was answered. A fund whose
    /// full history was never answered has gaps.
    pub extents: BTreeMap<String, Date>,
}

/// A task to plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Its name.
    pub id: TaskId,
    /// See [`crate::PlannedTask::locator`].
    pub locator: Option<String>,
    /// See [`crate::PlannedTask::extent`].
    pub extent: Option<String>,
}

/// The name of a source's whole-market page.
#[must_use]
pub fn list_key(source: SourceName, page: &str) -> (SourceName, String) {
    (source, page.to_owned())
}
