//! Derives rows again: all of them by the ranks in force (`master_runner remerge`), or the small tables' rows with stale
//! fields only.

use std::collections::BTreeSet;

use schema::cycle::Cycle;
use schema::merge_funds::is_stale;
use schema::precedence::{Precedence, StatementKey};

use super::closed_cycles::closed_monthly;
use super::connection::{Queries as _, Transaction};
use super::daily_remerge;
use super::decode::read_code;
use super::derive::{self, Touched};
use super::error::StoreError;
use super::observations;
use super::stored_ranks;

/// Number of funds that are derived together, which limits the memory.
const FUNDS_AT_ONCE: usize = 500;

/// Derives every row of the small tables from the observations, merges the days of `funds_daily` again, and stores the
/// ranks as applied. Returns the number of changed rows.
pub(super) async fn all(tx: &Transaction<'_>, precedence: &Precedence) -> Result<u64, StoreError> {
    let rows = tx
        .query(
            "SELECT fund_id, fund_code FROM runner.fund WHERE in_universe ORDER BY fund_id",
            &[],
        )
        .await?;
    let mut funds: Vec<(i64, String)> = Vec::with_capacity(rows.len());
    for row in rows {
        funds.push((row.try_get(0)?, row.try_get(1)?));
    }
    let mut changed_rows = derive_funds(tx, None, precedence, &funds, true, |_, _| true).await?;
    for some in funds.chunks(FUNDS_AT_ONCE) {
        let codes: Vec<&str> = some.iter().map(|(_, code)| code.as_str()).collect();
        changed_rows += daily_remerge::merge(tx, precedence.days(), &codes).await?;
    }
    stored_ranks::store_all(tx, precedence).await?;
    Ok(changed_rows)
}

/// Derives the rows of funds with a stale field (D4). To be called when a monthly cycle closes.
pub(super) async fn derive_stale(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    precedence: &Precedence,
) -> Result<u64, StoreError> {
    let closed = closed_monthly(tx).await?;
    let rows = tx
        .query(
            "SELECT DISTINCT f.fund_id, f.fund_code FROM runner.observation o JOIN runner.fund f USING (fund_id)
             WHERE o.unsaid <> '{}' AND f.in_universe ORDER BY 1",
            &[],
        )
        .await?;
    let mut funds: Vec<(i64, String)> = Vec::with_capacity(rows.len());
    for row in rows {
        funds.push((row.try_get(0)?, row.try_get(1)?));
    }
    derive_funds(tx, Some(cycle.id), precedence, &funds, false, |_, held| {
        held.unsaid.keys().any(|name| is_stale(held, name, &closed))
    })
    .await
}

/// Derives the rows of funds that enter the universe.
pub(super) async fn derive_entering(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    precedence: &Precedence,
    funds: &[(i64, String)],
) -> Result<u64, StoreError> {
    derive_funds(tx, Some(cycle.id), precedence, funds, true, |_, _| true).await
}

async fn derive_funds(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    precedence: &Precedence,
    funds: &[(i64, String)],
    enters: bool,
    touches: impl Fn(&StatementKey, &schema::fold::StoredObservation) -> bool,
) -> Result<u64, StoreError> {
    let closed = closed_monthly(tx).await?;
    let mut changed_rows = 0;
    for some in funds.chunks(FUNDS_AT_ONCE) {
        let ids: Vec<i64> = some.iter().map(|(id, _)| *id).collect();
        let held = observations::read(tx, &ids, None).await?;
        let mut codes = Vec::with_capacity(some.len());
        for (id, code) in some {
            codes.push((id, read_code(code)?));
        }
        let mut touched = Vec::new();
        for (id, fund_code) in &codes {
            let Some(held) = held.get(id) else { continue };
            let changed: BTreeSet<StatementKey> = held
                .iter()
                .filter(|(statement_key, held)| touches(statement_key, held))
                .map(|(statement_key, _)| *statement_key)
                .collect();
            if !changed.is_empty() {
                touched.push(Touched {
                    fund_code,
                    held,
                    changed,
                    enters,
                });
            }
        }
        let derived = derive::derive(tx, cycle_id, precedence, &touched, &closed).await?;
        changed_rows += derived
            .tables
            .values()
            .map(|counts| counts.rows_inserted + counts.rows_updated)
            .sum::<u64>();
    }
    Ok(changed_rows)
}
