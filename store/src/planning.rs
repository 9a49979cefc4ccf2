//! What the planner of a cycle knows, and what it decides.
//!
//! What concerns the whole market is read once a plan, the funds in parts: neither what is held in memory nor the work for
//! a fund depends on how many there are (A5).

mod market;
mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use jiff::civil::Date;

use schema::doubt::DoubtLimits;
use schema::observation::News;
use schema::{FundCode, Number, SourceName, TaskId};

use super::connection::Transaction;
use super::cycles::Cycle;
use super::doubts;
use super::error::StoreError;
use super::tasks;
use parts::Parts;

/// Most funds a planner is told of at once.
pub const FUNDS_A_PART: usize = 500;

/// Everything a planner decides by, read in the transaction in which its tasks are inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanningState {
    /// The cycle to plan.
    pub cycle: Cycle,
    /// The next of the universe's funds (ever active at Finnomena, or adopted), by code; at most [`FUNDS_A_PART`].
    pub funds: Vec<FundState>,
    /// Whether no fund comes after these.
    pub last_part: bool,
    /// Every task with the key `*`, by source and page.
    pub lists: BTreeMap<(SourceName, String), ListState>,
    /// The pages that bring the market in pieces, by source and page, and by number.
    pub pieces: BTreeMap<(SourceName, String), BTreeMap<u32, PieceState>>,
    /// How many codes each source ever listed, those outside the universe too.
    pub listed: BTreeMap<SourceName, usize>,
    /// The control sample: funds that are asked for themselves whatever the pages about many funds report (D11).
    pub control: BTreeSet<FundCode>,
    /// What the pages about many funds reported in this cycle is not believed: the control sample contradicts it.
    pub news_doubted: bool,
}

/// What is known of one piece of the market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PieceState {
    /// The cycle in which it was last answered.
    pub answered_cycle: Option<i64>,
    /// Whether its last answer held any fund; `None` where it was never answered.
    pub has_funds: Option<bool>,
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
    /// The newest NAV that Finnomena said, of no date after the cycle's.
    pub newest_nav: Option<NewestNav>,
    /// What Finnomena told of it in this cycle on a page about many funds.
    pub news: Option<News>,
    /// Its entry in each source's list.
    pub listings: BTreeMap<SourceName, ListingState>,
    /// Where each source says its factsheet lies.
    pub factsheets: BTreeMap<SourceName, String>,
    /// Its pages that were asked before, by source and page name.
    pub answered: BTreeMap<(SourceName, String), Answered>,
}

/// The newest NAV of a fund that Finnomena is known to have said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestNav {
    /// Its date.
    pub nav_date: Date,
    /// The value, as it stands.
    pub nav: Number,
    /// Whether Finnomena has said the AUM of that day, too.
    pub has_aum: bool,
}

/// A fund's entry in a source's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingState {
    /// The source's own key of the fund.
    pub source_key: String,
    /// The cycle in which what the list says of it last changed.
    pub changed_cycle: i64,
}

/// What is known of a page of a fund.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// Date of the last cycle in which the source answered it (done, unchanged or absent).
    pub last_answered: Option<Date>,
    /// The cycle in which it was last answered.
    pub answered_cycle: Option<i64>,
    /// Whether it failed when it was last asked.
    pub failed_last: bool,
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
    /// See [`schema::PlannedTask::locator`].
    pub locator: Option<String>,
    /// See [`schema::PlannedTask::extent`].
    pub extent: Option<String>,
}

/// What a planner makes of a part: the tasks to insert, and whether it is to be told of the funds that come after
/// (`Break`: of none).
pub type PartPlan = ControlFlow<Vec<NewTask>, Vec<NewTask>>;

/// Plans part by part: what the planner names is inserted before the next part is read. It is called with no fund at first,
/// so that whoever needs none makes nobody read them.
pub(super) async fn plan(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    planner: &mut (dyn FnMut(&PlanningState) -> PartPlan + Send),
    limits: &DoubtLimits,
) -> Result<usize, StoreError> {
    let pages = market::known_pages(tx).await?;
    let mut state = market::read(tx, cycle, &pages).await?;
    // Without pages about many funds in this cycle every fund is asked for itself.
    let has_news = |piece: &PieceState| piece.answered_cycle == Some(cycle.id);
    if state
        .pieces
        .values()
        .flat_map(BTreeMap::values)
        .any(has_news)
    {
        let control = doubts::read_control(tx, cycle).await?;
        state.news_doubted = doubts::check_news(tx, cycle, &control, limits).await?;
        state.control = control.funds;
    }
    let mut parts = Parts::new(pages);
    let mut planned = 0;
    loop {
        let (is_done, tasks) = match planner(&state) {
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

/// The name of a source's whole-market page.
#[must_use]
pub fn list_key(source: SourceName, page: &str) -> (SourceName, String) {
    (source, page.to_owned())
}
