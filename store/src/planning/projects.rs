//! Reads the planner's state about the projects of the official register and the publication of their NAVs.

use schema::TaskId;
use schema::cycle::Cycle;
use schema::precedence::REGISTER;

use super::super::connection::{Queries as _, Transaction};
use super::super::error::StoreError;
use super::{FundState, KNOWN_NAV_DATES, ProjectHistory, ProjectState, ProjectTask};

/// Separates the project from the class in the register's key of a fund.
const CLASS_SEPARATOR: char = '/';

/// Reads the projects of the funds that the register lists.
pub(super) async fn read(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    funds: &mut [FundState],
) -> Result<(), StoreError> {
    let (mut places, mut codes, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for (place, fund) in funds.iter().enumerate() {
        let listing = fund.listings.get(&REGISTER);
        if let Some((id, _)) =
            listing.and_then(|listing| listing.source_key.split_once(CLASS_SEPARATOR))
        {
            places.push(place);
            codes.push(fund.fund_code.as_str().to_owned());
            ids.push(id.to_owned());
        }
    }
    let keys: Vec<String> = ids.iter().map(|id| TaskId::part_key(id)).collect();
    // The subqueries are planned for one fund at a time (see `parts`).
    let rows = tx
        .query(
            "SELECT asked.place, dates.nav_dates, COALESCE(p.lags, '{}'), t.planned_cycle = $3, c.cycle_date,
                    CASE WHEN h.planned_cycle = $3 THEN h.locator END,
                    CASE WHEN h.chain IS NULL THEN read.cycle_date END, h.chain ->> 'range'
             FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (fund_code, key, place)
             JOIN runner.fund f USING (fund_code)
             CROSS JOIN LATERAL (SELECT ARRAY(
                 SELECT d.nav_date FROM public.funds_daily d
                 WHERE d.fund_code = asked.fund_code AND d.nav_date <= $4
                   AND d.nav_value IS NOT NULL AND d.nav_said_by & $5::smallint <> 0
                 ORDER BY d.nav_date DESC LIMIT $6) AS nav_dates OFFSET 0) dates
             LEFT JOIN runner.publication p ON p.fund_id = f.fund_id
             LEFT JOIN runner.task t ON t.source = $7 AND t.page = $8 AND t.key = asked.key
             LEFT JOIN runner.cycle c ON c.cycle_id = t.answered_cycle
             LEFT JOIN runner.task h ON h.source = $7 AND h.page = $9 AND h.key = asked.key
             LEFT JOIN runner.cycle read ON read.cycle_id = h.answered_cycle",
            &[
                &codes,
                &keys,
                &cycle.id,
                &cycle.cycle_date,
                &REGISTER.bit(),
                &KNOWN_NAV_DATES,
                &REGISTER.as_str(),
                &TaskId::PROJECT_DAYS,
                &TaskId::PROJECT_HISTORY,
            ],
        )
        .await?;
    for row in rows {
        let place: i64 = row.try_get(0)?;
        let at = usize::try_from(place - 1).ok();
        let Some((at, id)) = at.and_then(|at| Some((*places.get(at)?, ids.get(at)?))) else {
            continue;
        };
        let is_planned: Option<bool> = row.try_get(3)?;
        if let Some(fund) = funds.get_mut(at) {
            fund.project = Some(ProjectState {
                id: id.clone(),
                nav_dates: row.try_get(1)?,
                lags: row.try_get(2)?,
                days: ProjectTask {
                    is_planned: is_planned == Some(true),
                    last_answered: row.try_get(4)?,
                },
                history: ProjectHistory {
                    planned: row.try_get(5)?,
                    read_on: row.try_get(6)?,
                    range: row.try_get(7)?,
                },
            });
        }
    }
    Ok(())
}
