//! Acceptance of a mass change by repetition: it is believed if cycles of three different dates report it (D11).

use std::collections::BTreeMap;

use schema::cycle::Cycle;
use schema::doubt::{Evidence, is_same_change};

use super::super::connection::{Queries as _, Transaction};
use super::super::error::StoreError;
use super::{Affected, Subject};

/// Number of earlier dates on which the same change must have been reported.
const EARLIER_DATES: usize = 2;

/// Whether the breach `id` of this cycle is the third report of the same change, each on another date.
pub(super) async fn is_third(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    id: i64,
    funds: &[Affected],
) -> Result<bool, StoreError> {
    let rows = tx
        .query(
            "SELECT DISTINCT ON (c.cycle_date) b.breach_id
             FROM runner.breach b JOIN runner.cycle c USING (cycle_id)
             WHERE b.source = $1 AND b.page = $2 AND b.kind = $3 AND b.state = 'open' AND b.breach_id <> $4
               AND c.cycle_date <> $5 AND c.cycle_date > $5::date - 30
             ORDER BY c.cycle_date DESC, b.breach_id DESC LIMIT $6",
            &[
                &subject.source.as_str(),
                &subject.page,
                &subject.kind.as_str(),
                &id,
                &cycle.cycle_date,
                &i64::try_from(EARLIER_DATES).unwrap_or(i64::MAX),
            ],
        )
        .await?;
    if rows.len() < EARLIER_DATES {
        return Ok(false);
    }
    for row in rows {
        let earlier = read_evidence(tx, row.try_get(0)?).await?;
        let same = funds.iter().filter(|fund| {
            earlier
                .get(&fund.fund_code)
                .is_some_and(|before| is_same_change(before, &fund.evidence))
        });
        // Half of the funds is enough: not every fund is requested in every cycle.
        if same.count() * 2 < funds.len() {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn read_evidence(
    tx: &Transaction<'_>,
    breach_id: i64,
) -> Result<BTreeMap<String, Evidence>, StoreError> {
    let rows = tx
        .query(
            "SELECT fund_code, evidence FROM runner.doubt WHERE breach_id = $1",
            &[&breach_id],
        )
        .await?;
    let mut funds = BTreeMap::new();
    for row in rows {
        let evidence = serde_json::from_value(row.try_get(1)?).map_err(|error| {
            StoreError::Inconsistent(format!("the evidence of breach {breach_id}: {error}"))
        })?;
        funds.insert(row.try_get(0)?, evidence);
    }
    Ok(funds)
}
