//! Reads the planner's state about single funds, in parts and in the order of their codes.
//!
//! Each part is found by index, starting after the last code of the previous part. The total time is therefore linear
//! in the number of funds. With missing or old statistics the server would scan its tables for each part. To prevent
//! this, the subqueries with `OFFSET 0` are planned for one fund or page at a time, and the writer's session avoids
//! table scans.

use std::collections::BTreeMap;

use jiff::civil::Date;
use tokio_postgres::Row;

use schema::TaskId;
use schema::columns::PAYS_NO_DIVIDENDS;
use schema::cycle::Cycle;
use schema::observation::NavDigest;
use schema::precedence::{NAV_DIGESTS, REGISTER};

use super::super::connection::{Queries as _, Transaction};
use super::super::decode::{read_code, read_number, read_source};
use super::super::error::StoreError;
use super::market::KnownPages;
use super::{
    Answered, COVERED_DAYS, FUNDS_A_PART, FundState, ListingState, NewestNav, PlanningState,
    projects,
};

/// The position in the reading of the funds.
pub(super) struct Parts {
    known: KnownPages,
    uses_projects: bool,
    /// The last code that was read; at the start the empty string, which sorts before every code.
    after: String,
}

/// The funds of a part, and the index of each by its id.
struct Part {
    funds: Vec<FundState>,
    places: BTreeMap<i64, usize>,
}

impl Parts {
    /// Starts before the first fund.
    pub const fn new(known: KnownPages, uses_projects: bool) -> Self {
        Self {
            known,
            uses_projects,
            after: String::new(),
        }
    }

    /// Reads the next part into the state and replaces the previous one.
    pub async fn read_next(
        &mut self,
        tx: &Transaction<'_>,
        state: &mut PlanningState,
    ) -> Result<(), StoreError> {
        // Free the previous part first.
        state.funds = Vec::new();
        let rows = read_rows(tx, &state.cycle, &self.after).await?;
        state.last_part = rows.len() < FUNDS_A_PART;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        let last: String = last.try_get(1)?;
        let mut part = Part::of(&rows)?;
        self.read_listings(tx, &mut part).await?;
        self.read_answered(tx, &mut part, &last).await?;
        if self.uses_projects {
            projects::read(tx, &state.cycle, &mut part.funds).await?;
        }
        state.funds = part.funds;
        self.after = last;
        Ok(())
    }

    /// Reads the funds' entries in the sources' lists, and the URLs of their factsheets.
    async fn read_listings(&self, tx: &Transaction<'_>, part: &mut Part) -> Result<(), StoreError> {
        let ids: Vec<i64> = part.places.keys().copied().collect();
        let rows = tx
            .query(
                "SELECT part.fund_id, o.source, o.fields ->> 'source_key', o.fields ->> 'factsheet_url', o.cycle_id
                 FROM unnest($1::bigint[]) AS part (fund_id)
                 CROSS JOIN LATERAL (
                     SELECT source, fields, cycle_id FROM runner.observation
                     WHERE fund_id = part.fund_id AND dataset IN ('listing', 'factsheet_link') OFFSET 0) o",
                &[&ids],
            )
            .await?;
        for row in rows {
            let id: i64 = row.try_get(0)?;
            let source = read_source(row.try_get(1)?)?;
            let Some(fund) = part.by_id(id) else {
                continue;
            };
            if let Some(source_key) = row.try_get(2)? {
                let listing = ListingState {
                    source_key,
                    changed_cycle: row.try_get(4)?,
                };
                fund.listings.insert(source, listing);
            }
            if let Some(url) = row.try_get(3)? {
                fund.factsheets.insert(source, url);
            }
        }
        Ok(())
    }

    /// Reads what is known about the pages of the funds. `last` is the last code of the part.
    async fn read_answered(
        &self,
        tx: &Transaction<'_>,
        part: &mut Part,
        last: &str,
    ) -> Result<(), StoreError> {
        let rows = tx
            .query(
                "SELECT t.source, t.page, t.key, t.outcome, c.cycle_date, t.answered_cycle, t.answered_locator, t.extents,
                        COALESCE(t.answered_outcome = 'absent', false)
                 FROM unnest($1::text[], $2::text[]) AS known (source, page)
                 CROSS JOIN LATERAL (
                     SELECT * FROM runner.task
                     WHERE source = known.source AND page = known.page AND key > $3 AND key <= $4 OFFSET 0) t
                 LEFT JOIN runner.cycle c ON c.cycle_id = t.answered_cycle
                 WHERE known.page <> $5",
                &[
                    &self.known.sources,
                    &self.known.pages,
                    &self.after,
                    &last,
                    &TaskId::PIECES,
                ],
            )
            .await?;
        for row in rows {
            let source = read_source(row.try_get(0)?)?;
            let (page, key): (String, String) = (row.try_get(1)?, row.try_get(2)?);
            let Some(fund) = part.by_code(&key) else {
                continue;
            };
            let extents: serde_json::Value = row.try_get(7)?;
            let extents = serde_json::from_value(extents).map_err(|error| {
                StoreError::Inconsistent(format!("the extents of {source}/{page}/{key}: {error}"))
            })?;
            let outcome: Option<String> = row.try_get(3)?;
            let answered = Answered {
                last_answered: row.try_get(4)?,
                answered_cycle: row.try_get(5)?,
                failed_last: outcome.as_deref() == Some("failed"),
                locator: row.try_get(6)?,
                is_absent: row.try_get(8)?,
                extents,
            };
            fund.answered.insert((source, page), answered);
        }
        Ok(())
    }
}

impl Part {
    fn of(rows: &[Row]) -> Result<Self, StoreError> {
        let mut part = Self {
            funds: Vec::with_capacity(rows.len()),
            places: BTreeMap::new(),
        };
        for row in rows {
            let Some(id) = row.try_get(0)? else {
                continue;
            };
            let active: Option<bool> = row.try_get(2)?;
            part.places.insert(id, part.funds.len());
            part.funds.push(FundState {
                fund_code: read_code(row.try_get(1)?)?,
                active: active == Some(true),
                newest_nav: read_newest_nav(row)?,
                is_covered: row.try_get(9)?,
                may_pay_dividends: row.try_get(10)?,
                news: read_news(row)?,
                listings: BTreeMap::new(),
                factsheets: BTreeMap::new(),
                answered: BTreeMap::new(),
                project: None,
            });
        }
        Ok(part)
    }

    fn by_id(&mut self, id: i64) -> Option<&mut FundState> {
        self.funds.get_mut(*self.places.get(&id)?)
    }

    /// Binary search works because the codes are read in byte order.
    fn by_code(&mut self, code: &str) -> Option<&mut FundState> {
        let place = self
            .funds
            .binary_search_by(|fund| fund.fund_code.as_str().cmp(code));
        self.funds.get_mut(place.ok()?)
    }
}

async fn read_rows(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    after: &str,
) -> Result<Vec<Row>, StoreError> {
    let most = i64::try_from(FUNDS_A_PART).unwrap_or(i64::MAX);
    let rows = tx
        .query(
            "SELECT f.fund_id, m.fund_code, m.fund_status = 'active',
                    newest.nav_date, newest.nav_value::text, newest.has_aum,
                    n.source_key, n.nav_date, n.nav_value::text,
                    EXISTS (SELECT FROM public.funds_daily d
                        WHERE d.fund_code = m.fund_code AND d.nav_date > $1::date - $7::integer AND d.nav_date <= $1
                          AND d.nav_value IS NOT NULL AND d.nav_said_by & $8::smallint <> 0),
                    m.is_dividend IS DISTINCT FROM $9
                        OR EXISTS (SELECT FROM public.funds_dividends paid WHERE paid.fund_code = m.fund_code)
             FROM (SELECT fund_code, fund_status, is_dividend FROM public.funds_master_info
                   WHERE fund_code > $5 ORDER BY fund_code LIMIT $6) m
             LEFT JOIN LATERAL (
                 SELECT fund_id FROM runner.fund WHERE fund_code = m.fund_code OFFSET 0) f ON true
             LEFT JOIN LATERAL (
                 SELECT d.nav_date, d.nav_value, d.aum IS NOT NULL AND d.aum_said_by & $2 <> 0 AS has_aum
                 FROM public.funds_daily d
                 WHERE d.fund_code = m.fund_code AND d.nav_date <= $1
                   AND d.nav_value IS NOT NULL AND d.nav_said_by & $2 <> 0
                 ORDER BY d.nav_date DESC LIMIT 1) newest ON true
             LEFT JOIN LATERAL (
                 SELECT source_key, nav_date, nav_value FROM runner.news
                 WHERE fund_id = f.fund_id AND source = $3 AND cycle_id = $4 OFFSET 0) n ON true
             ORDER BY m.fund_code",
            &[
                &cycle.cycle_date,
                &(NAV_DIGESTS.bit() | REGISTER.bit()),
                &NAV_DIGESTS.as_str(),
                &cycle.id,
                &after,
                &most,
                &COVERED_DAYS,
                &REGISTER.bit(),
                &PAYS_NO_DIVIDENDS,
            ],
        )
        .await?;
    Ok(rows)
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

/// Returns a fund's news. Contradictory news is stored without a value and is ignored.
fn read_news(row: &Row) -> Result<Option<NavDigest>, StoreError> {
    let source_key: Option<String> = row.try_get(6)?;
    let nav_date: Option<Date> = row.try_get(7)?;
    let told = source_key.zip(nav_date).zip(read_number(row.try_get(8)?)?);
    Ok(told.map(|((source_key, nav_date), nav)| NavDigest {
        source_key,
        nav_date,
        nav,
    }))
}
