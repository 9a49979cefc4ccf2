//! Decides which pages of news are requested, and which funds need no request because of them.
//!
//! A page of news lists the newest NAV of a hundred funds. A fund is not requested if the page in this cycle shows
//! exactly the NAV and date that the source reported before. Every other fund is requested as if there were no pages of
//! news.

use schema::SourceName;
use sources::page::{Cadence, FUNDS_A_PIECE, PageSpec, Stage};
use store::{FundState, PieceState, PlanningState};

use super::due::knows_everything;
use super::{NewTask, is_of_kind, of_stage, task};

/// The pages of news to request from a source now. First only page 1, because it may be absent or have another shape.
/// After that, the pages that contained funds the last time, and the page after them, which shows whether the market
/// has grown. Pages that were answered in this cycle are left out. None if they would cost at least as many requests as
/// the `spared` ones.
pub(super) fn plan(
    state: &PlanningState,
    source: SourceName,
    specs: &'static [PageSpec],
    spared: usize,
) -> Vec<NewTask> {
    let mut due = of_stage(specs, Stage::News).filter(|spec| is_of_kind(spec, state.cycle.kind));
    let Some(spec) = due.next() else {
        return Vec::new();
    };
    let pieces = state.pieces.get(&(source, spec.name.to_owned()));
    let piece = |number: u32| -> Option<&PieceState> { pieces?.get(&number) };
    let holds_funds = |number: &u32| piece(*number).and_then(|piece| piece.has_funds) == Some(true);
    // The pages cannot contain more funds than the codes the source ever listed.
    let listed = state.listed.get(&source).copied().unwrap_or(0);
    let most = u32::try_from(listed.div_ceil(FUNDS_A_PIECE)).unwrap_or(u32::MAX);
    let last = most.min(
        (1..most)
            .find(|number| !holds_funds(number))
            .unwrap_or(most),
    );
    let first = piece(1);
    let is_known = first.is_some_and(|piece| piece.has_funds.is_some());
    let expected = if is_known { last } else { most };
    if u32::try_from(spared).unwrap_or(u32::MAX) <= expected {
        return Vec::new();
    }
    let is_answered = |number: &u32| {
        piece(*number).and_then(|piece| piece.answered_cycle) == Some(state.cycle.id)
    };
    let last = if is_answered(&1) { last } else { 1 };
    (1..=last)
        .filter(|number| !is_answered(number))
        .map(|number| task(source, spec, &number.to_string()))
        .collect()
}

/// The number of these funds that may need no request because of the pages of news.
pub(super) fn count_spared(
    state: &PlanningState,
    source: SourceName,
    specs: &'static [PageSpec],
    funds: &[&FundState],
) -> usize {
    funds
        .iter()
        .filter(|fund| may_be_spared(state, source, specs, fund))
        .count()
}

/// Whether a fund may need no request: its whole history was read once, its last request did not fail, and it has not
/// been requested in this cycle.
fn may_be_spared(
    state: &PlanningState,
    source: SourceName,
    specs: &'static [PageSpec],
    fund: &FundState,
) -> bool {
    of_stage(specs, Stage::Funds)
        .filter(|spec| spec.cadence == Cadence::MonthlyOrNews)
        .any(|spec| {
            let answered = fund.answered.get(&(source, spec.name.to_owned()));
            fund.newest_nav.is_some_and(|newest| newest.has_aum)
                && fund.listings.contains_key(&source)
                && knows_everything(spec, answered)
                && answered.is_some_and(|answered| {
                    !answered.failed_last && answered.answered_cycle != Some(state.cycle.id)
                })
        })
}

#[cfg(test)]
mod tests;
