//! The interface of the planner: the state that it reads from the warehouse, and the tasks that it returns.
//!
//! Data about the whole market is read once per plan, and the funds are read in parts. Memory, and work per fund,
//! therefore do not depend on the number of funds (A5).

mod market;
mod parts;
mod projects;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use jiff::civil::Date;

use schema::cycle::Cycle;
use schema::doubt::DoubtLimits;
use schema::observation::NavDigest;
use schema::{FundCode, Number, SourceName};

use super::connection::Transaction;
use super::doubts;
use super::error::StoreError;
use super::tasks::{self, NewTask};
use parts::Parts;

/// Largest number of funds that a planner receives at once.
pub const FUNDS_A_PART: usize = 500;

/// Everything that a planner needs for its decision, read in the transaction that inserts the tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanningState {
    /// The cycle to plan.
    pub cycle: Cycle,
    /// The date of the last full cycle that closed before it.
    pub previous_date: Option<Date>,
    /// The date of the newest monthly cycle of the whole market: this one, or one that closed before.
    pub last_monthly: Option<Date>,
    /// Whether the register has answered all its lists of daily values in this cycle, so that the pages of single funds
    /// need not be requested for the funds that it covers.
    pub register_answered: bool,
    /// Whether a list of this cycle has shown a fund for the first time.
    pub has_new_funds: bool,
    /// The next funds of the universe (ever active at Finnomena, or adopted), by code; at most [`FUNDS_A_PART`].
    pub funds: Vec<FundState>,
    /// Whether these are the last funds.
    pub last_part: bool,
    /// The state of each known page that is requested for the whole market (key `*`), by source and page.
    pub lists: BTreeMap<(SourceName, String), ListState>,
    /// The pages that return the market in numbered pieces, by source and page, then by number.
    pub pieces: BTreeMap<(SourceName, String), BTreeMap<u32, PieceState>>,
    /// How many codes each source ever listed, including codes outside the universe.
    pub listed: BTreeMap<SourceName, usize>,
    /// The control sample: funds whose own page is requested whatever the pages about many funds report (D11).
    pub control: BTreeSet<FundCode>,
    /// Whether the control sample contradicts the pages about many funds, so that their news is not believed in this
    /// cycle.
    pub news_doubted: bool,
}

/// What is known about one numbered piece of the market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PieceState {
    /// The cycle in which the piece was last answered.
    pub answered_cycle: Option<i64>,
    /// Whether the last answer contained any fund; `None` if the piece was never answered.
    pub has_funds: Option<bool>,
}

/// What is known about a page for the whole market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListState {
    /// Acknowledged in this cycle as done, unchanged or absent.
    pub answered_in_this_cycle: bool,
    /// Acknowledged in this cycle with any outcome.
    pub ended_in_this_cycle: bool,
    /// Answered in any cycle.
    pub ever_answered: bool,
    /// Whether its last request failed.
    pub failed_last: bool,
}

/// What is known about one fund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundState {
    /// The share class.
    pub fund_code: FundCode,
    /// `fund_status` is `active`.
    pub active: bool,
    /// The newest NAV that Finnomena or the register reported, with a date not after the cycle's.
    pub newest_nav: Option<NewestNav>,
    /// Whether the register reported a NAV of it within the last [`COVERED_DAYS`] days.
    pub is_covered: bool,
    /// Whether dividends of it are known, or no source calls it a fund without dividends.
    pub may_pay_dividends: bool,
    /// What Finnomena reported about the fund in this cycle on a page about many funds.
    pub news: Option<NavDigest>,
    /// The fund's entry in each source's list.
    pub listings: BTreeMap<SourceName, ListingState>,
    /// The URL of the factsheet according to each source.
    pub factsheets: BTreeMap<SourceName, String>,
    /// The pages of the fund that were requested before, by source and page name.
    pub answered: BTreeMap<(SourceName, String), Answered>,
    /// The fund's project in the official register; `None` if the register does not list the fund, or if the planner
    /// does not use projects.
    pub project: Option<ProjectState>,
}

/// What is known about a fund's project and about the publication of the fund's NAV in the official register.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectState {
    /// The id of the project.
    pub id: String,
    /// The NAV dates of the fund that the register reported, newest first; at most six.
    pub nav_dates: Vec<Date>,
    /// Samples of the days from a NAV date to its publication, oldest first. Each is the largest that it can have been:
    /// the date is published on the date of the cycle that saw it or before.
    pub lags: Vec<i16>,
    /// The task with the newest values of the project.
    pub days: ProjectTask,
    /// The task with the history of the project.
    pub history: ProjectHistory,
}

/// Largest number of dates in [`ProjectState::nav_dates`].
const KNOWN_NAV_DATES: i64 = 6;

/// What is known about a page of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectTask {
    /// Whether it is planned in this cycle.
    pub is_planned: bool,
    /// Date of the last cycle in which the register answered it.
    pub last_answered: Option<Date>,
}

/// What is known about the history of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectHistory {
    /// The locator of its task, if it is planned in this cycle.
    pub planned: Option<String>,
    /// Date of the cycle in which it was read to its beginning; `None` if it never was, or is being read again.
    pub read_on: Option<Date>,
    /// The range with which a history goes on that was read in part.
    pub range: Option<String>,
}

/// The register covers a fund if it has reported a NAV of the last days: monthly NAVs are published up to two weeks
/// after their day.
pub const COVERED_DAYS: i32 = 45;

/// The newest NAV of a fund that Finnomena or the register has reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestNav {
    /// The NAV date.
    pub nav_date: Date,
    /// The stored value.
    pub nav: Number,
    /// Whether one of them has also reported the AUM of that day.
    pub has_aum: bool,
}

/// A fund's entry in a source's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingState {
    /// The source's own key of the fund.
    pub source_key: String,
    /// The cycle in which the list entry last changed.
    pub changed_cycle: i64,
}

/// What is known about a page of a fund.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// Date of the last cycle in which the source answered the page (done, unchanged or absent).
    pub last_answered: Option<Date>,
    /// The cycle in which the page was last answered.
    pub answered_cycle: Option<i64>,
    /// Whether the last request failed.
    pub failed_last: bool,
    /// The locator of the last answer.
    pub locator: Option<String>,
    /// Whether the last answer was that the source has no such page.
    pub is_absent: bool,
    /// For each extent (such as the NAV range `MAX`), the date of the last cycle in which it was answered. The series
    /// of a fund may have gaps as long as its full history was never answered.
    pub extents: BTreeMap<String, Date>,
}

/// What a planner returns for a part: the tasks to insert, and whether it needs the next part (`Continue`) or no
/// further funds (`Break`).
pub type PartPlan = ControlFlow<Vec<NewTask>, Vec<NewTask>>;

/// Decides the tasks of one plan.
pub trait Planner: Send {
    /// Returns the tasks for this part of the market.
    fn part(&mut self, state: &PlanningState) -> PartPlan;

    /// Whether the planner reads [`PlanningState::control`] and [`PlanningState::news_doubted`]. Only then the control
    /// sample is drawn and the news is judged, because the draw sorts all active funds.
    fn uses_control(&self) -> bool {
        true
    }

    /// Whether the planner reads [`FundState::project`]. Only then it is read.
    fn uses_projects(&self) -> bool {
        false
    }
}

/// Makes a planner that uses the control sample from a function of the state.
pub fn plan_by(decide: impl FnMut(&PlanningState) -> PartPlan + Send) -> impl Planner {
    struct By<F>(F);
    impl<F: FnMut(&PlanningState) -> PartPlan + Send> Planner for By<F> {
        fn part(&mut self, state: &PlanningState) -> PartPlan {
            (self.0)(state)
        }
    }
    By(decide)
}

/// Plans part by part. The tasks of a part are inserted before the next part is read. The first call has no fund, so
/// that no funds are read for a planner that needs none.
pub(super) async fn plan(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    planner: &mut dyn Planner,
    limits: &DoubtLimits,
) -> Result<usize, StoreError> {
    let pages = market::known_pages(tx).await?;
    let mut state = market::read(tx, cycle, &pages).await?;
    // If no page about many funds was answered in this cycle, every fund's own page is requested.
    let has_news = |piece: &PieceState| piece.answered_cycle == Some(cycle.id);
    let mut pieces = state.pieces.values().flat_map(BTreeMap::values);
    if planner.uses_control() && pieces.any(has_news) {
        let control = doubts::read_control(tx, cycle).await?;
        state.news_doubted = doubts::check_news(tx, cycle, &control, limits).await?;
        state.control = control.funds;
    }
    let mut parts = Parts::new(pages, planner.uses_projects());
    let mut planned = 0;
    loop {
        let (is_done, tasks) = match planner.part(&state) {
            ControlFlow::Continue(tasks) => (state.last_part, tasks),
            ControlFlow::Break(tasks) => (true, tasks),
        };
        if !tasks.is_empty() {
            planned += tasks::plan(tx, cycle, &tasks).await?;
        }
        if is_done {
            return Ok(planned);
        }
        parts.read_next(tx, &mut state).await?;
    }
}

/// The key of a source's page for the whole market in [`PlanningState::lists`].
#[must_use]
pub fn list_key(source: SourceName, page: &str) -> (SourceName, String) {
    (source, page.to_owned())
}
