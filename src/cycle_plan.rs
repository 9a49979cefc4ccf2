//! Plans the tasks of a cycle: pure rules from the state of the warehouse to tasks.
//!
//! Planning goes stage by stage, each in one transaction after the stage before it is acknowledged. The order is:
//! lists, the days of the market, late projects, pages of news, one task per fund and page, the factsheets that the
//! funds' pages link to, then histories that no page of a fund has. Planning again
//! adds only what is missing, so a resumed cycle and round 2 are planned in the same way. A plan reads the funds part
//! by part, so memory does not grow with their number (A5).

mod due;
mod histories;
mod late;
mod news;
mod projects;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use schema::{FundCode, SourceName, TaskId};
use sources::page::{Cadence, PageSpec, Stage, is_first_of_week};
use store::{CycleKind, FundState, NewTask, PartPlan, Planner, PlanningState, list_key};

use due::{plan_factsheet, plan_page, ranks_first};

/// The scope of a run; with nothing set it is the whole market.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// `--funds`: these codes.
    pub funds: Option<BTreeSet<FundCode>>,
    /// `--limit`: the first active codes, up to this number.
    pub limit: Option<usize>,
    /// `--only`: these sources.
    pub only: Option<BTreeSet<SourceName>>,
}

impl Narrowing {
    /// Whether the run omits anything; its scope is then partial.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.funds.is_some() || self.limit.is_some() || self.only.is_some()
    }

    /// Whether this source is requested.
    #[must_use]
    pub fn allows(&self, source: SourceName) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&source))
    }
}

/// The pages of the sources that are requested.
pub type SitePages = BTreeMap<SourceName, &'static [PageSpec]>;

/// Whether a cycle of this kind can have tasks of this page.
#[must_use]
pub fn is_of_kind(spec: &PageSpec, kind: CycleKind) -> bool {
    spec.cadence != Cadence::Daily || kind == CycleKind::Daily
}

/// Plans one stage. It is fed with the market part by part, and keeps only counters across the parts, no funds. Each
/// plan uses a new value.
#[derive(Debug)]
pub struct StagePlanner {
    pages: SitePages,
    narrowing: Narrowing,
    stage: Stage,
    of: Option<SourceName>,
    final_round: bool,
    is_repeated: bool,
    /// How many more funds `--limit` lets through.
    limit_left: usize,
    /// Number of funds so far whose requests the pages of news may save, by source.
    spared: BTreeMap<SourceName, usize>,
    /// The late projects so far, by source.
    late: BTreeMap<SourceName, late::Projects>,
    /// The histories so far, by source.
    histories: BTreeMap<SourceName, histories::Histories>,
    /// Largest number of pages of histories in a cycle.
    history_pages: usize,
    /// Number of projects that are due and left for the next cycle.
    left: usize,
}

impl StagePlanner {
    /// Plans `stage`, of one source (`of`) or of all. If a source's own list could not be read, round 1 plans nothing
    /// for it; the last round plans the funds that are known from before.
    #[must_use]
    pub fn new(
        pages: SitePages,
        narrowing: Narrowing,
        stage: Stage,
        of: Option<SourceName>,
        final_round: bool,
    ) -> Self {
        Self {
            limit_left: narrowing.limit.unwrap_or(usize::MAX),
            pages,
            narrowing,
            stage,
            of,
            final_round,
            is_repeated: false,
            spared: BTreeMap::new(),
            late: BTreeMap::new(),
            histories: BTreeMap::new(),
            history_pages: 0,
            left: 0,
        }
    }

    /// Sets the largest number of pages of histories in a cycle; 0 plans none.
    #[must_use]
    pub const fn with_history_pages(mut self, pages: usize) -> Self {
        self.history_pages = pages;
        self
    }

    /// The number of projects that are due and that this plan has left for the next cycle.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.left
    }

    /// Marks a plan that the same round has made before. The pages of funds are then planned only if the pages of news
    /// turned out not to be credible; nothing else that decides about them changes within a round.
    #[must_use]
    pub const fn repeated(mut self, is_repeated: bool) -> Self {
        self.is_repeated = is_repeated;
        self
    }

    /// Whether some fund may have a task in this plan. If not, the plan ends with its first part, which has no fund.
    fn needs_funds(&self, state: &PlanningState) -> bool {
        let mut ready = self.ready(state).into_iter();
        match self.stage {
            Stage::Lists | Stage::Market => false,
            // What is late is known when the newest days are.
            Stage::Projects => state.register_answered,
            Stage::Histories => {
                let mut specs = self.asked().flat_map(|(_, specs)| specs);
                specs.any(|spec| spec.stage == Stage::Histories)
            }
            Stage::News => ready
                .any(|(source, specs)| !news::plan(state, source, specs, usize::MAX).is_empty()),
            Stage::Funds => {
                (!self.is_repeated || state.news_doubted)
                    && ready.any(|(_, specs)| of_stage(specs, Stage::Funds).next().is_some())
            }
            // A plan for one source is made while other sources still run. They may yet report a factsheet link of
            // higher rank, so only the source with the highest rank plans factsheets now.
            Stage::Factsheets => self.of.is_none_or(|of| ranks_first(&self.pages, of)),
        }
    }

    /// The requested sources with their pages.
    fn asked(&self) -> impl Iterator<Item = (SourceName, &'static [PageSpec])> {
        self.pages
            .iter()
            .map(|(source, specs)| (*source, *specs))
            .filter(|(source, _)| self.narrowing.allows(*source))
            .filter(|(source, _)| self.of.is_none_or(|of| of == *source))
    }

    /// The requested sources whose funds can be planned now.
    fn ready(&self, state: &PlanningState) -> Vec<(SourceName, &'static [PageSpec])> {
        self.asked()
            .filter(|(source, specs)| self.final_round || has_list_answered(state, *source, specs))
            .collect()
    }

    fn asked_funds<'state>(&mut self, state: &'state PlanningState) -> Vec<&'state FundState> {
        let asked = &self.narrowing.funds;
        let funds: Vec<&FundState> = state
            .funds
            .iter()
            .filter(|fund| fund.active)
            .filter(|fund| {
                asked
                    .as_ref()
                    .is_none_or(|asked| asked.contains(&fund.fund_code))
            })
            .take(self.limit_left)
            .collect();
        self.limit_left -= funds.len();
        funds
    }

    fn lists(&self, state: &PlanningState) -> Vec<NewTask> {
        self.asked()
            .flat_map(|(source, specs)| {
                of_stage(specs, Stage::Lists)
                    .filter(move |spec| is_list_due(state, source, spec))
                    .map(move |spec| task(source, spec, TaskId::WHOLE_MARKET))
            })
            .collect()
    }

    /// One task for each part of the market, newest day first.
    fn market(&self, state: &PlanningState) -> Vec<NewTask> {
        let monthly = state.cycle.kind == CycleKind::Monthly;
        let mut tasks = Vec::new();
        for (source, specs) in self.asked() {
            for spec in
                of_stage(specs, Stage::Market).filter(|spec| is_of_kind(spec, state.cycle.kind))
            {
                let window = spec.chain.and_then(|chain| chain.window);
                let Some(window) = window else {
                    if is_list_due(state, source, spec) {
                        let quarters = spec.chain.and_then(|chain| chain.quarters);
                        tasks.push(NewTask {
                            extent: quarters.map(|window| window.extent(state.cycle.cycle_date)),
                            ..task(source, spec, TaskId::WHOLE_MARKET)
                        });
                    }
                    continue;
                };
                let days = window.days(state.cycle.cycle_date, state.previous_date, monthly);
                for day in days {
                    tasks.push(task(source, spec, &TaskId::part_key(&day.to_string())));
                }
            }
        }
        tasks
    }

    /// The pages of news can be planned only after the last part: whether they save requests depends on the number of
    /// funds.
    fn news(&mut self, state: &PlanningState, funds: &[&FundState], is_last: bool) -> Vec<NewTask> {
        let mut tasks = Vec::new();
        for (source, specs) in self.ready(state) {
            let spared = self.spared.entry(source).or_default();
            *spared += news::count_spared(state, source, specs, funds);
            if is_last {
                tasks.extend(news::plan(state, source, specs, *spared));
            }
        }
        tasks
    }

    fn funds(&self, state: &PlanningState, funds: &[&FundState]) -> Vec<NewTask> {
        let mut tasks = Vec::new();
        for (source, specs) in self.ready(state) {
            for spec in of_stage(specs, Stage::Funds) {
                let due = funds
                    .iter()
                    .filter_map(|fund| plan_page(state, source, specs, spec, fund));
                tasks.extend(due);
            }
        }
        tasks
    }

    fn factsheets(&self, state: &PlanningState, funds: &[&FundState]) -> Vec<NewTask> {
        funds
            .iter()
            .flat_map(|fund| plan_factsheet(state, &self.pages, &self.narrowing, fund))
            .filter(|task| self.of.is_none_or(|of| of == task.id.source))
            .collect()
    }
}

impl Planner for StagePlanner {
    /// `Break` if no later part leads to any task.
    fn part(&mut self, state: &PlanningState) -> PartPlan {
        let funds = self.asked_funds(state);
        let is_last = state.last_part || self.limit_left == 0 || !self.needs_funds(state);
        let tasks = match self.stage {
            Stage::Lists => self.lists(state),
            Stage::Market => self.market(state),
            Stage::Projects => self.projects(state, &funds, is_last),
            Stage::News => self.news(state, &funds, is_last),
            Stage::Funds => self.funds(state, &funds),
            Stage::Factsheets => self.factsheets(state, &funds),
            Stage::Histories => self.histories(state, &funds, is_last),
        };
        if is_last {
            ControlFlow::Break(tasks)
        } else {
            ControlFlow::Continue(tasks)
        }
    }

    fn uses_projects(&self) -> bool {
        matches!(self.stage, Stage::Projects | Stage::Histories)
    }

    /// Only funds whose own page the pages of news may save are compared with the control sample.
    fn uses_control(&self) -> bool {
        self.stage == Stage::Funds
            && self
                .asked()
                .flat_map(|(_, specs)| of_stage(specs, Stage::Funds))
                .any(|spec| spec.cadence == Cadence::MonthlyOrNews)
    }
}

fn of_stage(specs: &'static [PageSpec], stage: Stage) -> impl Iterator<Item = &'static PageSpec> {
    specs.iter().filter(move |spec| spec.stage == stage)
}

fn task(source: SourceName, spec: &PageSpec, key: &str) -> NewTask {
    NewTask {
        id: TaskId {
            source,
            page: spec.name.to_owned(),
            key: key.to_owned(),
        },
        locator: None,
        extent: None,
    }
}

/// Codes the run was narrowed to that are not among the `active` funds. Nothing was requested for them, and without a
/// report the run would look successful (D7).
#[must_use]
pub fn funds_not_in_market(
    active: &BTreeSet<FundCode>,
    narrowing: &Narrowing,
) -> BTreeSet<FundCode> {
    let asked = narrowing.funds.iter().flatten();
    asked
        .filter(|code| !active.contains(*code))
        .cloned()
        .collect()
}

/// Whether a list is requested in this cycle. A weekly or monthly one is also requested as long as it was never
/// answered or failed the last time; a weekly one, too, when another list has shown a new fund.
fn is_list_due(state: &PlanningState, source: SourceName, spec: &PageSpec) -> bool {
    let known = state.lists.get(&list_key(source, spec.name));
    let is_new = known.is_none_or(|list| !list.ever_answered || list.failed_last);
    let monthly = state.cycle.kind == CycleKind::Monthly;
    match spec.cadence {
        Cadence::EveryCycle => true,
        Cadence::Daily => is_of_kind(spec, state.cycle.kind),
        Cadence::Weekly => {
            monthly
                || is_new
                || state.has_new_funds
                || is_first_of_week(state.cycle.cycle_date, state.previous_date)
        }
        Cadence::MonthlyOrNews
        | Cadence::MonthlyOrNew
        | Cadence::MonthlyForPayersOrNew
        | Cadence::MonthlyOrListingChanged
        | Cadence::MonthlyOrLinkChanged => monthly || is_new,
    }
}

fn has_list_answered(
    state: &PlanningState,
    source: SourceName,
    specs: &'static [PageSpec],
) -> bool {
    of_stage(specs, Stage::Lists).all(|list| {
        state
            .lists
            .get(&(source, list.name.to_owned()))
            .is_some_and(|known| {
                known.answered_in_this_cycle
                    || (list.cadence == Cadence::Weekly && known.ever_answered)
            })
    })
}

#[cfg(test)]
mod tests;
