//! Decides which of a fund's pages are due, and which extent is requested.

use jiff::civil::Date;
use schema::SourceName;
use sources::page::{Cadence, PageSpec, Stage, is_first_of_week};
use store::{Answered, CycleKind, FundState, LOOK_BACK_DAYS, ListingState, NewTask, PlanningState};

use super::{Narrowing, SitePages, is_of_kind, of_stage, task};

/// The task of a fund's page, if it is due.
pub(super) fn plan_page(
    state: &PlanningState,
    source: SourceName,
    specs: &'static [PageSpec],
    spec: &PageSpec,
    fund: &FundState,
) -> Option<NewTask> {
    let listing = fund.listings.get(&source);
    // A source with a list is requested only for the funds in that list: the list gives their keys.
    if listing.is_none() && of_stage(specs, Stage::Lists).next().is_some() {
        return None;
    }
    let answered = fund.answered.get(&(source, spec.name.to_owned()));
    // A task that failed in the last closed cycle is requested again in the next cycle of either kind. Otherwise one
    // bad night of a site would leave data a month old.
    let is_new =
        answered.is_none_or(|answered| answered.last_answered.is_none() || answered.failed_last);
    let monthly = state.cycle.kind == CycleKind::Monthly;
    let is_covered = state.register_answered && fund.is_covered;
    if is_covered && spec.has_daily_values && !monthly && !is_new {
        return None;
    }
    let due = match spec.cadence {
        Cadence::EveryCycle => true,
        Cadence::Weekly => {
            monthly || is_new || is_first_of_week(state.cycle.cycle_date, state.previous_date)
        }
        Cadence::Daily => is_of_kind(spec, state.cycle.kind),
        Cadence::MonthlyOrNews => {
            monthly
                || is_new
                || !knows_everything(spec, answered)
                || is_news_to_be_asked(state, fund, listing, is_covered)
        }
        Cadence::MonthlyOrNew | Cadence::MonthlyOrLinkChanged => monthly || is_new,
        Cadence::MonthlyForPayersOrNew => (monthly && fund.may_pay_dividends) || is_new,
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

/// The register publishes the NAV of a day up to this number of days later.
const REGISTER_LAG_DAYS: i32 = 7;

/// Whether the page of a known fund is requested in a daily cycle because of the pages of news. For a fund that the
/// register covers, only if they show a day that the register should have published by then. Neither their absence nor
/// the control sample matters for such a fund, because the register's values are independent of them.
fn is_news_to_be_asked(
    state: &PlanningState,
    fund: &FundState,
    listing: Option<&ListingState>,
    is_covered: bool,
) -> bool {
    if is_covered {
        let behind = fund.news.as_ref().zip(fund.newest_nav);
        return behind.is_some_and(|(news, newest)| {
            (news.nav_date - newest.nav_date).get_days() > REGISTER_LAG_DAYS
        });
    }
    state.news_doubted
        || state.control.contains(&fund.fund_code)
        || !repeats_the_known_nav(fund, listing)
}

/// The smallest extent that reaches back to the newest known day plus the look-back. The whole history for new funds,
/// and in a monthly cycle (the full audit).
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

/// Whether this source's links to factsheets have precedence over those of all other sources.
pub(super) fn ranks_first(pages: &SitePages, source: SourceName) -> bool {
    let mut linking = pages
        .iter()
        .filter(|(_, specs)| of_stage(specs, Stage::Factsheets).next().is_some());
    linking.next().is_some_and(|(first, _)| *first == source)
}

/// Whether the page's whole history was ever read; always true for a page without extents.
pub(super) fn knows_everything(spec: &PageSpec, answered: Option<&Answered>) -> bool {
    spec.extents.last().is_none_or(|everything| {
        answered.is_some_and(|answered| answered.extents.contains_key(everything.word))
    })
}

/// The tasks of a fund's factsheet: at the link of the source with the highest precedence. If no factsheet was there the
/// last time, at the link of the next source as well.
pub(super) fn plan_factsheet(
    state: &PlanningState,
    pages: &SitePages,
    narrowing: &Narrowing,
    fund: &FundState,
) -> Vec<NewTask> {
    let mut tasks = Vec::new();
    for (source, url) in &fund.factsheets {
        let specs = pages.get(source).copied().unwrap_or_default();
        let Some(spec) = of_stage(specs, Stage::Factsheets).next() else {
            continue;
        };
        let answered = fund.answered.get(&(*source, spec.name.to_owned()));
        let read_before = answered.filter(|answered| {
            answered.last_answered.is_some() && answered.locator.as_deref() == Some(url.as_str())
        });
        let is_due = state.cycle.kind == CycleKind::Monthly || read_before.is_none();
        if is_due && narrowing.allows(*source) {
            tasks.push(NewTask {
                locator: Some(url.clone()),
                ..task(*source, spec, fund.fund_code.as_str())
            });
        }
        if !read_before.is_some_and(|answered| answered.is_absent) {
            break;
        }
    }
    tasks
}

/// Whether the news of this cycle repeats what the source reported before: the same NAV of the same date, under the key
/// by which the fund would be requested. A day without a known AUM never counts as complete, because the AUM may arrive
/// without another NAV.
fn repeats_the_known_nav(fund: &FundState, listing: Option<&ListingState>) -> bool {
    let (Some(news), Some(newest), Some(listing)) = (&fund.news, fund.newest_nav, listing) else {
        return false;
    };
    news.source_key == listing.source_key
        && (news.nav_date, news.nav) == (newest.nav_date, newest.nav)
        && newest.has_aum
}
