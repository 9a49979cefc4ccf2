//! Entering the universe outside the batch of a list: the funds get their rows from what was reported before.

use schema::cycle::Cycle;
use schema::precedence::Precedence;

use super::connection::{Queries as _, Transaction};
use super::daily;
use super::days;
use super::error::StoreError;
use super::remerge;
use super::unapplied_days;

/// Enters these funds, given by id and code.
pub(super) async fn enter(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    precedence: &Precedence,
    funds: &[(i64, String)],
    provisional: bool,
) -> Result<(), StoreError> {
    let ids: Vec<i64> = funds.iter().map(|(id, _)| *id).collect();
    tx.execute_expecting(
        "runner.fund",
        ids.len(),
        "UPDATE runner.fund SET in_universe = true, provisional = $3, entered_cycle = $2 WHERE fund_id = ANY($1)",
        &[&ids, &cycle.id, &provisional],
    )
    .await?;
    remerge::derive_entering(tx, cycle, precedence, funds).await?;
    let codes: Vec<&str> = funds.iter().map(|(_, code)| code.as_str()).collect();
    let mut waiting = days::Statements::new();
    unapplied_days::take_waiting(tx, &codes, &mut waiting).await?;
    let compared = daily::compare_with_stored(tx, waiting).await?;
    daily::write(tx, cycle.id, precedence.days(), compared).await?;
    Ok(())
}
