//! What the planner of a cycle knows, and what it decides.

use std::collections::BTreeMap;

use jiff::civil::Date;
use tokio_postgres::GenericClient;

use crate::{FundCode, SourceName, TaskId};

use super::cycles::Cycle;
use super::daily::read_source;
use super::error::StoreError;
use super::funds::read_code;

/// Everything a planner decides by, read in the transaction in which its tasks are inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanningState {
    /// The cycle to plan.
    pub cycle: Cycle,
    /// Every fund of the universe (ever active at Finnomena, or adopted), by code.
    pub funds: Vec<FundState>,
    /// Every task with the key `*`, by source and page.
    pub lists: BTreeMap<(SourceName, String), ListState>,
}

/// What is known of a page that speaks for the whole market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListState {
    /// Acknowledged in this cycle as done, unchanged or absent.
    pub answered_in_this_cycle: bool,
    /// Acknowledged in this cycle, however it ended.
    pub ended_in_this_cycle: bool,
    /// Ever answered, in whatever cycle.
    pub ever_answered: bool,
}

/// What is known of one fund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundState {
    /// The share class.
    pub fund_code: FundCode,
    /// `fund_status` is `active`.
    pub active: bool,
    /// The newest date for which Finnomena said a NAV, not after the cycle's date.
    pub last_nav_date: Option<Date>,
    /// Its entry in each source's list.
    pub listings: BTreeMap<SourceName, ListingState>,
    /// Where each source says its factsheet lies.
    pub factsheets: BTreeMap<SourceName, String>,
    /// Its pages that were asked before, by source and page name.
    pub answered: BTreeMap<(SourceName, String), Answered>,
}

/// A fund's entry in a source's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingState {
    /// The source's own key of the fund.
    pub source_key: String,
    /// Whether the newest whole list of the source holds it.
    pub listed: bool,
    /// The cycle in which what the list says of it last changed.
    pub changed_cycle: i64,
}

/// What is known of a page of a fund.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// Date of the last cycle in which the source answered it (done, unchanged or absent).
    pub last_answered: Option<Date>,
    /// The cycle in which it was last answered.
    pub answered_cycle: Option<i64>,
    /// Whether it failed when it was last asked.
    pub failed_last: bool,
    /// The locator it was last answered with.
    pub locator: Option<String>,
    /// For each extent (such as the NAV range `MAX`) the date of the last cycle in which it was answered. A fund whose
    /// full history was never answered has gaps.
    pub extents: BTreeMap<String, Date>,
}

/// A task to plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Its name.
    pub id: TaskId,
    /// See [`crate::PlannedTask::locator`].
    pub locator: Option<String>,
    /// See [`crate::PlannedTask::extent`].
    pub extent: Option<String>,
}

/// The name of a source's whole-market page.
#[must_use]
pub fn list_key(source: SourceName, page: &str) -> (SourceName, String) {
    (source, page.to_owned())
}

/// Reads everything a planner decides by.
pub(super) async fn read(
    client: &impl GenericClient,
    cycle: &Cycle,
) -> Result<PlanningState, StoreError> {
    let mut funds = read_funds(client, cycle).await?;
    read_listings(client, &mut funds).await?;
    let mut lists = BTreeMap::new();
    let rows = client
        .query(
            "SELECT t.source, t.page, t.key, t.acked_cycle = $1 AND t.planned_cycle = $1, t.outcome,
                    c.cycle_date, t.answered_locator, t.extents, t.answered_cycle
             FROM runner.task t LEFT JOIN runner.cycle c ON c.cycle_id = t.answered_cycle",
            &[&cycle.id],
        )
        .await?;
    for row in rows {
        let source = read_source(row.try_get(0)?)?;
        let (page, key): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        let last_answered: Option<Date> = row.try_get(5)?;
        if key == TaskId::WHOLE_MARKET {
            let ended: Option<bool> = row.try_get(3)?;
            let outcome: Option<String> = row.try_get(4)?;
            let ended_in_this_cycle = ended == Some(true);
            lists.insert(
                (source, page),
                ListState {
                    answered_in_this_cycle: ended_in_this_cycle
                        && matches!(outcome.as_deref(), Some("done" | "unchanged" | "absent")),
                    ended_in_this_cycle,
                    ever_answered: last_answered.is_some(),
                },
            );
        } else if let Some((_, fund)) = funds.get_mut(&key) {
            let extents: serde_json::Value = row.try_get(7)?;
            let extents = serde_json::from_value(extents).map_err(|error| {
                StoreError::Inconsistent(format!("the extents of {source}/{page}/{key}: {error}"))
            })?;
            fund.answered.insert(
                (source, page),
                Answered {
                    last_answered,
                    answered_cycle: row.try_get(8)?,
                    failed_last: row.try_get::<_, Option<String>>(4)?.as_deref() == Some("failed"),
                    locator: row.try_get(6)?,
                    extents,
                },
            );
        }
    }
    Ok(PlanningState {
        cycle: cycle.clone(),
        funds: funds.into_values().map(|(_, fund)| fund).collect(),
        lists,
    })
}

type FundsByCode = BTreeMap<String, (i64, FundState)>;

async fn read_funds(client: &impl GenericClient, cycle: &Cycle) -> Result<FundsByCode, StoreError> {
    let rows = client
        .query(
            "SELECT f.fund_id, m.fund_code, m.fund_status = 'active', (
                 SELECT d.nav_date FROM public.funds_daily d
                 WHERE d.fund_code = m.fund_code AND d.nav_date <= $1
                   AND d.nav_value IS NOT NULL AND d.nav_said_by & $2 <> 0
                 ORDER BY d.nav_date DESC LIMIT 1)
             FROM public.funds_master_info m JOIN runner.fund f USING (fund_code)",
            &[&cycle.cycle_date, &SourceName::Finnomena.bit()],
        )
        .await?;
    let mut funds = FundsByCode::new();
    for row in rows {
        let code: String = row.try_get(1)?;
        let active: Option<bool> = row.try_get(2)?;
        let fund = FundState {
            fund_code: read_code(&code)?,
            active: active == Some(true),
            last_nav_date: row.try_get(3)?,
            listings: BTreeMap::new(),
            factsheets: BTreeMap::new(),
            answered: BTreeMap::new(),
        };
        funds.insert(code, (row.try_get(0)?, fund));
    }
    Ok(funds)
}

async fn read_listings(
    client: &impl GenericClient,
    funds: &mut FundsByCode,
) -> Result<(), StoreError> {
    let rows = client
        .query(
            "SELECT f.fund_code, o.source, o.dataset, o.fields ->> 'source_key', o.fields ->> 'factsheet_url',
                    o.cycle_id,
                    (SELECT max(a.last_cycle) FROM runner.alias a WHERE a.source = o.source AND a.fund_id = o.fund_id)
                        = newest.cycle_id
             FROM runner.observation o JOIN runner.fund f USING (fund_id)
             LEFT JOIN (SELECT source, max(last_cycle) AS cycle_id FROM runner.alias GROUP BY source) newest
                    ON newest.source = o.source
             WHERE o.dataset IN ('listing', 'factsheet_link')",
            &[],
        )
        .await?;
    for row in rows {
        let code: String = row.try_get(0)?;
        let Some((_, fund)) = funds.get_mut(&code) else {
            continue;
        };
        let source = read_source(row.try_get(1)?)?;
        let (key, url): (Option<String>, Option<String>) = (row.try_get(3)?, row.try_get(4)?);
        if let Some(source_key) = key {
            let listed: Option<bool> = row.try_get(6)?;
            fund.listings.insert(
                source,
                ListingState {
                    source_key,
                    listed: listed == Some(true),
                    changed_cycle: row.try_get(5)?,
                },
            );
        }
        if let Some(url) = url {
            fund.factsheets.insert(source, url);
        }
    }
    Ok(())
}
