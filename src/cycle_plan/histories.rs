//! Decides which histories are read from the official register by project, because the source of whole histories does
//! not have them: it is disabled, it does not list the fund, or its page of the fund failed in this cycle. Pure.
//!
//! A history is due if it was never read, and once more for each monthly cycle. All histories together have a number of
//! pages in a cycle. Each project that is requested gets enough pages for a year of its classes, and a fair share if
//! there are pages enough; the others wait for the next cycle. A history that has used up its pages goes on there.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::Date;
use schema::day_range::HistoryTurn;
use schema::{DayRange, SourceName, TaskId};
use sources::page::{PageSpec, Stage};
use store::{FundState, NewTask, PlanningState, ProjectHistory};

use super::due::knows_everything;
use super::{Narrowing, SitePages, has_list_answered, of_stage, task};

/// The number of days before the last day of a range of one year.
const YEAR: i64 = 364;
/// Largest number of NAVs of a class in a year. A page has 100 records.
const NAVS_A_YEAR: usize = 262;
const RECORDS_A_PAGE: usize = 100;

/// The source of whole histories, and its page.
fn source_of_histories(
    pages: &SitePages,
) -> Option<(SourceName, &'static [PageSpec], &'static PageSpec)> {
    pages.iter().find_map(|(source, specs)| {
        let spec = of_stage(specs, Stage::Funds).find(|spec| !spec.extents.is_empty())?;
        Some((*source, *specs, spec))
    })
}

/// Date of the cycle in which the whole history of a fund was last read; `None` if it never was. An inner `None`: the
/// source of whole histories may still have it in this cycle, so it is not requested elsewhere.
fn known_since(
    state: &PlanningState,
    pages: &SitePages,
    narrowing: &Narrowing,
    fund: &FundState,
    history: &ProjectHistory,
    final_round: bool,
) -> Option<Option<Date>> {
    let Some((source, specs, spec)) = source_of_histories(pages) else {
        return Some(history.read_on);
    };
    if !narrowing.allows(source) {
        return None;
    }
    let answered = fund.answered.get(&(source, spec.name.to_owned()));
    let is_gone = if fund.listings.contains_key(&source) {
        final_round && answered.is_some_and(|answered| answered.failed_last)
    } else {
        final_round || has_list_answered(state, source, specs)
    };
    let whole = answered
        .filter(|_| knows_everything(spec, answered))
        .and_then(|answered| answered.extents.get(spec.extents.last()?.word).copied());
    is_gone.then(|| whole.max(history.read_on))
}

/// A history that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Due {
    /// Date of the cycle in which it was last read.
    known: Option<Date>,
    /// The last day of the range with which it goes on; `None` if it begins.
    reached: Option<Date>,
    /// Number of its classes that are active funds.
    classes: usize,
}

impl Due {
    /// The pages of a year.
    const fn pages(&self) -> usize {
        (self.classes * NAVS_A_YEAR).div_ceil(RECORDS_A_PAGE) + 1
    }

    /// The order of the requests: histories that were never read first, then those that were read longest ago; of these
    /// the one that lacks the newest days.
    fn rank(&self) -> (Option<Date>, Reverse<Date>) {
        (self.known, Reverse(self.reached.unwrap_or(Date::MAX)))
    }
}

/// Collects the histories to read, over all parts of the market.
#[derive(Debug, Default)]
pub(super) struct Histories {
    /// The pages of the histories that are planned in this cycle already, by project.
    planned: BTreeMap<String, usize>,
    due: BTreeMap<String, Due>,
}

impl Histories {
    /// Adds the projects of these funds.
    pub fn add(
        &mut self,
        state: &PlanningState,
        pages: &SitePages,
        narrowing: &Narrowing,
        funds: &[&FundState],
        final_round: bool,
    ) {
        for fund in funds {
            let Some(project) = &fund.project else {
                continue;
            };
            let history = &project.history;
            if let Some(locator) = &history.planned {
                let turn: Result<HistoryTurn, String> = locator.parse();
                let pages = turn.map_or(0, |turn| turn.pages);
                let pages = usize::try_from(pages).unwrap_or(usize::MAX);
                self.planned.insert(project.id.clone(), pages);
                continue;
            }
            let Some(known) = known_since(state, pages, narrowing, fund, history, final_round)
            else {
                continue;
            };
            if known.is_some_and(|known| Some(known) >= state.last_monthly) {
                continue;
            }
            let range: Option<DayRange> = history
                .range
                .as_deref()
                .and_then(|range| range.parse().ok());
            let due = self.due.entry(project.id.clone()).or_insert(Due {
                known,
                reached: range.map(|range| range.last),
                classes: 0,
            });
            due.known = due.known.min(known);
            due.classes += 1;
        }
    }

    /// The tasks of this plan, and the number of histories that are left for the next cycle. `most` is the number of
    /// pages of all histories in a cycle.
    pub fn tasks(
        &self,
        source: SourceName,
        spec: &PageSpec,
        today: Date,
        most: usize,
    ) -> (Vec<NewTask>, usize) {
        let mut order: Vec<(&String, &Due)> = self.due.iter().collect();
        order.sort_by_key(|(id, due)| (due.rank(), *id));
        let mut room = most.saturating_sub(self.planned.values().sum());
        let share = room.checked_div(order.len()).unwrap_or(0);
        let days = DayRange {
            first: today.saturating_sub(YEAR.days()),
            last: today,
        };
        let mut tasks = Vec::new();
        for (id, due) in &order {
            let pages = due.pages().max(share).min(room);
            if pages == 0 {
                break;
            }
            room -= pages;
            let pages = u32::try_from(pages).unwrap_or(u32::MAX);
            tasks.push(NewTask {
                locator: Some(HistoryTurn { days, pages }.to_string()),
                ..task(source, spec, &TaskId::part_key(id))
            });
        }
        let left = order.len() - tasks.len();
        (tasks, left)
    }
}

#[cfg(test)]
mod tests;
