//! What the planner of a cycle knows, and what it decides.

use std::collections::BTreeMap;

use jiff::civil::Date;
use tokio_postgres::Row;

use crate::observation::News;
use crate::{FundCode, Number, SourceName, TaskId};

use super::connection::Queries;
use super::cycles::Cycle;
use super::daily::{read_number, read_source};
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
    /// The pages that bring the market in pieces, by source and page, and by number.
    pub pieces: BTreeMap<(SourceName, String), BTreeMap<u32, PieceState>>,
    /// How many codes each source ever listed, those outside the universe too.
    pub listed: BTreeMap<SourceName, usize>,
}

/// What is known of one piece of the market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PieceState {
    /// The cycle in which it was last answered.
    pub answered_cycle: Option<i64>,
    /// Whether its last answer held any fund; `None` where it was never answered.
    pub has_funds: Option<bool>,
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
    /// The newest NAV that Finnomena said, of no date after the cycle's.
    pub newest_nav: Option<NewestNav>,
    /// What Finnomena told of it in this cycle on a page about many funds.
    pub news: Option<News>,
    /// Its entry in each source's list.
    pub listings: BTreeMap<SourceName, ListingState>,
    /// Where each source says its factsheet lies.
    pub factsheets: BTreeMap<SourceName, String>,
    /// Its pages that were asked before, by source and page name.
    pub answered: BTreeMap<(SourceName, String), Answered>,
}

/// The newest NAV of a fund that Finnomena is known to have said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestNav {
    /// Its date.
    pub nav_date: Date,
    /// The value, as it stands.
    pub nav: Number,
    /// Whether Finnomena has said the AUM of that day, too.
    pub has_aum: bool,
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
    client: &impl Queries,
    cycle: &Cycle,
) -> Result<PlanningState, StoreError> {
    let mut funds = read_funds(client, cycle).await?;
    let listed = read_listings(client, &mut funds).await?;
    let mut lists = BTreeMap::new();
    let mut pieces: BTreeMap<_, BTreeMap<u32, PieceState>> = BTreeMap::new();
    let rows = client
        .query(
            "SELECT t.source, t.page, t.key, t.acked_cycle = $1 AND t.planned_cycle = $1, t.outcome,
                    c.cycle_date, t.answered_locator, t.extents, t.answered_cycle, t.answered_outcome
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
        } else if page == TaskId::PIECES {
            let number = key.parse().map_err(|_| {
                StoreError::Inconsistent(format!("{source}/{page}/{key}: expected a page number"))
            })?;
            let last_answer: Option<String> = row.try_get(9)?;
            let piece = PieceState {
                answered_cycle: row.try_get(8)?,
                has_funds: last_answer.map(|outcome| outcome != "absent"),
            };
            pieces
                .entry((source, page))
                .or_default()
                .insert(number, piece);
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
        pieces,
        listed,
    })
}

type FundsByCode = BTreeMap<String, (i64, FundState)>;

async fn read_funds(client: &impl Queries, cycle: &Cycle) -> Result<FundsByCode, StoreError> {
    let rows = client
        .query(
            "SELECT f.fund_id, m.fund_code, m.fund_status = 'active',
                    newest.nav_date, newest.nav_value::text, newest.has_aum,
                    n.source_key, n.nav_date, n.nav_value::text
             FROM public.funds_master_info m JOIN runner.fund f USING (fund_code)
             LEFT JOIN LATERAL (
                 SELECT d.nav_date, d.nav_value, d.aum IS NOT NULL AND d.aum_said_by & $2 <> 0 AS has_aum
                 FROM public.funds_daily d
                 WHERE d.fund_code = m.fund_code AND d.nav_date <= $1
                   AND d.nav_value IS NOT NULL AND d.nav_said_by & $2 <> 0
                 ORDER BY d.nav_date DESC LIMIT 1) newest ON true
             LEFT JOIN runner.news n ON n.fund_id = f.fund_id AND n.source = $3 AND n.cycle_id = $4",
            &[
                &cycle.cycle_date,
                &SourceName::Finnomena.bit(),
                &SourceName::Finnomena.as_str(),
                &cycle.id,
            ],
        )
        .await?;
    let mut funds = FundsByCode::new();
    for row in rows {
        let code: String = row.try_get(1)?;
        let active: Option<bool> = row.try_get(2)?;
        let fund = FundState {
            fund_code: read_code(&code)?,
            active: active == Some(true),
            newest_nav: read_newest_nav(&row)?,
            news: read_news(&row)?,
            listings: BTreeMap::new(),
            factsheets: BTreeMap::new(),
            answered: BTreeMap::new(),
        };
        funds.insert(code, (row.try_get(0)?, fund));
    }
    Ok(funds)
}

fn read_newest_nav(row: &Row) -> Result<Option<NewestNav>, StoreError> {
    let nav_date: Option<Date> = row.try_get(3)?;
    let has_aum: Option<bool> = row.try_get(5)?;
    let newest = nav_date.zip(read_number(row.try_get(4)?)?).zip(has_aum);
    Ok(newest.map(|((nav_date, nav), has_aum)| NewestNav {
        nav_date,
        nav,
        has_aum,
    }))
}

/// What was told in two ways has no value, and is no news that anybody could go by.
fn read_news(row: &Row) -> Result<Option<News>, StoreError> {
    let source_key: Option<String> = row.try_get(6)?;
    let nav_date: Option<Date> = row.try_get(7)?;
    let told = source_key.zip(nav_date).zip(read_number(row.try_get(8)?)?);
    Ok(told.map(|((source_key, nav_date), nav)| News {
        source_key,
        nav_date,
        nav,
    }))
}

/// Reads the funds' entries in the sources' lists; returns how many codes each source ever listed.
async fn read_listings(
    client: &impl Queries,
    funds: &mut FundsByCode,
) -> Result<BTreeMap<SourceName, usize>, StoreError> {
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
    let mut listed: BTreeMap<SourceName, usize> = BTreeMap::new();
    for row in rows {
        let code: String = row.try_get(0)?;
        let source = read_source(row.try_get(1)?)?;
        let (key, url): (Option<String>, Option<String>) = (row.try_get(3)?, row.try_get(4)?);
        if key.is_some() {
            *listed.entry(source).or_default() += 1;
        }
        let Some((_, fund)) = funds.get_mut(&code) else {
            continue;
        };
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
    Ok(listed)
}
