//! What a cycle has to ask: pure rules from what the warehouse knows to tasks.
//!
//! Planned stage by stage, each in one transaction after the stage before it has been acknowledged: lists, then the pages
//! that tell who has news, then one task a fund and page, then the factsheets the funds' pages led to. Planning again adds
//! only what is missing, so a resumed cycle and round 2 plan in the same way. A plan goes through the funds part by part,
//! whatever their number (A5).

mod news;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use jiff::civil::Date;
use schema::store::{Answered, CycleKind, FundState, NewTask, PartPlan, PlanningState};
use schema::{FundCode, SourceName, TaskId};
use sources::page::{Cadence, PageSpec, Stage};

/// How far behind the newest known NAV a short range starts: values are revised days later (SOURCES section 8).
const LOOK_BACK_DAYS: i64 = 7;

/// What a run is narrowed to; nothing set is the whole market.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// `--funds`: these codes.
    pub funds: Option<BTreeSet<FundCode>>,
    /// `--limit`: the first so many active codes.
    pub limit: Option<usize>,
    /// `--only`: these sources.
    pub only: Option<BTreeSet<SourceName>>,
}

impl Narrowing {
    /// Whether the run leaves anything out: its scope is then partial.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.funds.is_some() || self.limit.is_some() || self.only.is_some()
    }

    /// Whether this source is asked.
    #[must_use]
    pub fn allows(&self, source: SourceName) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&source))
    }
}

/// The pages of the sources that are asked.
pub type SitePages = BTreeMap<SourceName, &'static [PageSpec]>;

/// Whether a cycle of this kind can have tasks of this page.
#[must_use]
pub fn is_of_kind(spec: &PageSpec, kind: CycleKind) -> bool {
    spec.cadence != Cadence::Daily || kind == CycleKind::Daily
}

/// Plans a stage, fed with the market part after part: one value a plan. It holds what crosses the parts, and no fund.
#[derive(Debug)]
pub struct StagePlanner {
    pages: SitePages,
    narrowing: Narrowing,
    stage: Stage,
    of: Option<SourceName>,
    last_round: bool,
    /// How many funds `--limit` still lets through.
    limit_left: usize,
    /// How many of the funds so far the pages of news may spare, by source.
    spared: BTreeMap<SourceName, usize>,
}

impl StagePlanner {
    /// Plans `stage`, of one source (`of`) or of all. In the last round a source whose own list could not be had is asked
    /// for the funds that are known from before; in the first it waits for the second.
    #[must_use]
    pub fn new(
        pages: SitePages,
        narrowing: Narrowing,
        stage: Stage,
        of: Option<SourceName>,
        last_round: bool,
    ) -> Self {
        Self {
            limit_left: narrowing.limit.unwrap_or(usize::MAX),
            pages,
            narrowing,
            stage,
            of,
            last_round,
            spared: BTreeMap::new(),
        }
    }

    /// The tasks that follow from this part of the market; `Break` where no fund that comes after it leads to any.
    pub fn part(&mut self, state: &PlanningState) -> PartPlan {
        let funds = self.asked_funds(state);
        let is_last = state.last_part || self.limit_left == 0 || self.stage == Stage::Lists;
        let tasks = match self.stage {
            Stage::Lists => self.lists(),
            Stage::News => self.news(state, &funds, is_last),
            Stage::Funds => self.funds(state, &funds),
            Stage::Factsheets => self.factsheets(state, &funds),
        };
        if is_last {
            ControlFlow::Break(tasks)
        } else {
            ControlFlow::Continue(tasks)
        }
    }

    /// The sources that are asked, with their pages.
    fn asked(&self) -> impl Iterator<Item = (SourceName, &'static [PageSpec])> {
        self.pages
            .iter()
            .map(|(source, specs)| (*source, *specs))
            .filter(|(source, _)| self.narrowing.allows(*source))
            .filter(|(source, _)| self.of.is_none_or(|of| of == *source))
    }

    /// Of the sources that are asked those that can be asked for funds now.
    fn ready(&self, state: &PlanningState) -> Vec<(SourceName, &'static [PageSpec])> {
        self.asked()
            .filter(|(source, specs)| self.last_round || has_list_answered(state, *source, specs))
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

    fn lists(&self) -> Vec<NewTask> {
        self.asked()
            .flat_map(|(source, specs)| {
                of_stage(specs, Stage::Lists)
                    .map(move |spec| task(source, spec, TaskId::WHOLE_MARKET))
            })
            .collect()
    }

    /// Whether the pages of news are worth asking is known once all funds are.
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
            .filter_map(|fund| plan_factsheet(state, &self.pages, &self.narrowing, fund))
            // Which source's link counts is known early only of the one that ranks first.
            .filter(|task| {
                self.of
                    .is_none_or(|of| of == task.id.source && ranks_first(&self.pages, of))
            })
            .collect()
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

/// Codes the run was narrowed to that are not among the `active` funds: nothing was asked for them, and silence would look
/// like success (D7).
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

fn has_list_answered(
    state: &PlanningState,
    source: SourceName,
    specs: &'static [PageSpec],
) -> bool {
    of_stage(specs, Stage::Lists).all(|list| {
        state
            .lists
            .get(&(source, list.name.to_owned()))
            .is_some_and(|list| list.answered_in_this_cycle)
    })
}

fn plan_page(
    state: &PlanningState,
    source: SourceName,
    specs: &'static [PageSpec],
    spec: &PageSpec,
    fund: &FundState,
) -> Option<NewTask> {
    let listing = fund.listings.get(&source);
    // A source that has a list is asked only for the funds that stood in it: the list gives the key to ask by.
    if listing.is_none() && of_stage(specs, Stage::Lists).next().is_some() {
        return None;
    }
    let answered = fund.answered.get(&(source, spec.name.to_owned()));
    // What failed in the last closed cycle is asked again in the next, whatever its kind: one bad night of a site must
    // not leave a month-old page.
    let is_new =
        answered.is_none_or(|answered| answered.last_answered.is_none() || answered.failed_last);
    let monthly = state.cycle.kind == CycleKind::Monthly;
    let due = match spec.cadence {
        Cadence::EveryCycle => true,
        Cadence::Daily => is_of_kind(spec, state.cycle.kind),
        Cadence::MonthlyOrNews => {
            monthly
                || is_new
                || !knows_everything(spec, answered)
                || !news::tell_nothing_new(fund, listing)
        }
        Cadence::MonthlyOrNew | Cadence::MonthlyOrLinkChanged => monthly || is_new,
        Cadence::MonthlyOrListingChanged => {
            let answered_cycle = answered.and_then(|answered| answered.answered_cycle);
            monthly
                || is_new
                || listing.is_some_and(|listing| Some(listing.changed_cycle) > answered_cycle)
        }
    };
    due.then(|| NewTask {
        locator: listing.map(|listing| listing.source_key.clone()),
        extent: extent(spec, fund, answered, state.cycle.cycle_date, monthly),
        ..task(source, spec, fund.fund_code.as_str())
    })
}

/// The smallest extent that reaches back to what is known, with the look-back; everything for what is new, and in a
/// monthly cycle (the full audit).
fn extent(
    spec: &PageSpec,
    fund: &FundState,
    answered: Option<&Answered>,
    cycle_date: Date,
    monthly: bool,
) -> Option<String> {
    let everything = spec.extents.last()?;
    let chosen = match fund.newest_nav {
        Some(newest) if knows_everything(spec, answered) && !monthly => {
            let days = (cycle_date - newest.nav_date).get_days();
            let needed = i64::from(days.max(0)) + LOOK_BACK_DAYS;
            spec.extents
                .iter()
                .find(|extent| extent.days.is_none_or(|days| i64::from(days) >= needed))
                .unwrap_or(everything)
        }
        _ => everything,
    };
    Some(chosen.word.to_owned())
}

/// Whether nobody's link to a factsheet comes before this source's.
fn ranks_first(pages: &SitePages, source: SourceName) -> bool {
    let mut linking = pages
        .iter()
        .filter(|(_, specs)| of_stage(specs, Stage::Factsheets).next().is_some());
    linking.next().is_some_and(|(first, _)| *first == source)
}

/// Whether the page's whole history was ever answered; a page without extents has none.
fn knows_everything(spec: &PageSpec, answered: Option<&Answered>) -> bool {
    spec.extents.last().is_none_or(|everything| {
        answered.is_some_and(|answered| answered.extents.contains_key(everything.word))
    })
}

/// A fund's factsheet is read once, where its first-choice source says it lies.
fn plan_factsheet(
    state: &PlanningState,
    pages: &SitePages,
    narrowing: &Narrowing,
    fund: &FundState,
) -> Option<NewTask> {
    let (source, url, spec) = fund.factsheets.iter().find_map(|(source, url)| {
        let spec = of_stage(pages.get(source)?, Stage::Factsheets).next()?;
        Some((*source, url, spec))
    })?;
    if !narrowing.allows(source) {
        return None;
    }
    let answered = fund.answered.get(&(source, spec.name.to_owned()));
    let read_before = answered.is_some_and(|answered| {
        answered.last_answered.is_some() && answered.locator.as_deref() == Some(url.as_str())
    });
    (state.cycle.kind == CycleKind::Monthly || !read_before).then(|| NewTask {
        locator: Some(url.clone()),
        ..task(source, spec, fund.fund_code.as_str())
    })
}

#[cfg(test)]
mod tests;
