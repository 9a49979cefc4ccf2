//! What a cycle has to ask: a pure function from what the warehouse knows to tasks.
//!
//! Planned stage by stage, each in one transaction after the stage before it has been acknowledged: lists, then one
//! task a fund and page, then the factsheets the funds' pages led to. Planning again adds only what is missing, so a
//! resumed cycle and round 2 call the same function.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use schema::store::{Answered, CycleKind, FundState, NewTask, PlanningState};
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

/// The tasks of `stage`, of one source (`of`) or of all. In the last round a source whose own list could not be had is asked for the funds that are
/// known from before; in the first it waits for the second.
#[must_use]
pub fn plan_stage(
    state: &PlanningState,
    pages: &SitePages,
    narrowing: &Narrowing,
    stage: Stage,
    of: Option<SourceName>,
    last_round: bool,
) -> Vec<NewTask> {
    let asked = pages
        .iter()
        .filter(|(source, _)| narrowing.allows(**source))
        .filter(|(source, _)| of.is_none_or(|of| of == **source));
    match stage {
        Stage::Lists => asked
            .flat_map(|(source, specs)| {
                of_stage(specs, stage).map(|spec| task(*source, spec, TaskId::WHOLE_MARKET))
            })
            .collect(),
        Stage::Funds => {
            let funds = asked_funds(state, narrowing);
            asked
                .filter(|(source, specs)| last_round || has_list_answered(state, **source, specs))
                .flat_map(|(source, specs)| {
                    of_stage(specs, stage).flat_map(|spec| {
                        funds
                            .iter()
                            .filter_map(|fund| plan_page(state, *source, specs, spec, fund))
                            .collect::<Vec<_>>()
                    })
                })
                .collect()
        }
        Stage::Factsheets => asked_funds(state, narrowing)
            .into_iter()
            .filter_map(|fund| plan_factsheet(state, pages, narrowing, fund))
            // Which source's link counts is known early only of the one that ranks first.
            .filter(|task| of.is_none_or(|of| of == task.id.source && ranks_first(pages, of)))
            .collect(),
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

fn asked_funds<'state>(
    state: &'state PlanningState,
    narrowing: &Narrowing,
) -> Vec<&'state FundState> {
    state
        .funds
        .iter()
        .filter(|fund| fund.active)
        .filter(|fund| {
            narrowing
                .funds
                .as_ref()
                .is_none_or(|funds| funds.contains(&fund.fund_code))
        })
        .take(narrowing.limit.unwrap_or(usize::MAX))
        .collect()
}

/// Codes the run was narrowed to that are no active fund: nothing was asked for them, and silence would look like success
/// (D7).
#[must_use]
pub fn funds_not_in_market(state: &PlanningState, narrowing: &Narrowing) -> BTreeSet<FundCode> {
    let mut missing = narrowing.funds.clone().unwrap_or_default();
    for fund in state.funds.iter().filter(|fund| fund.active) {
        missing.remove(&fund.fund_code);
    }
    missing
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
    let known = answered.is_some_and(|answered| answered.extents.contains_key(everything.word));
    let chosen = match fund.last_nav_date {
        Some(last) if known && !monthly => {
            let days = (cycle_date - last).get_days();
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
