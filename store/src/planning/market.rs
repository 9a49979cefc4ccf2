//! Reads the part of the planner's state that is about the whole market.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use schema::cycle::Cycle;
use schema::precedence::REGISTER;
use schema::{SourceName, TaskId};

use super::super::connection::{Queries as _, Transaction};
use super::super::decode::read_source;
use super::super::error::StoreError;
use super::{ListState, PieceState, PlanningState};

/// The pages that were ever planned, as two columns: source and page. With a fund code they form the primary key of a
/// task.
pub(super) struct KnownPages {
    pub sources: Vec<String>,
    pub pages: Vec<String>,
}

/// Reads the distinct pages by stepping through the index, which takes one step per page.
pub(super) async fn known_pages(tx: &Transaction<'_>) -> Result<KnownPages, StoreError> {
    let rows = tx
        .query(
            "WITH RECURSIVE known (source, page) AS (
                 (SELECT source, page FROM runner.task ORDER BY source, page LIMIT 1)
                 UNION ALL
                 SELECT next.source, next.page FROM known CROSS JOIN LATERAL (
                     SELECT t.source, t.page FROM runner.task t
                     WHERE (t.source, t.page) > (known.source, known.page)
                     ORDER BY t.source, t.page LIMIT 1) next)
             SELECT source, page FROM known",
            &[],
        )
        .await?;
    let mut known = KnownPages {
        sources: Vec::with_capacity(rows.len()),
        pages: Vec::with_capacity(rows.len()),
    };
    for row in rows {
        known.sources.push(row.try_get(0)?);
        known.pages.push(row.try_get(1)?);
    }
    Ok(known)
}

/// Reads the state without any fund.
pub(super) async fn read(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    known: &KnownPages,
) -> Result<PlanningState, StoreError> {
    Ok(PlanningState {
        cycle: cycle.clone(),
        register_answered: read_register_answered(tx, cycle).await?,
        has_new_funds: read_has_new_funds(tx, cycle).await?,
        previous_date: read_previous_date(tx, cycle).await?,
        last_monthly: read_last_monthly(tx, cycle).await?,
        funds: Vec::new(),
        last_part: false,
        lists: read_lists(tx, cycle, known).await?,
        pieces: read_pieces(tx, known).await?,
        listed: read_listed(tx).await?,
        control: BTreeSet::new(),
        news_doubted: false,
    })
}

async fn read_register_answered(tx: &Transaction<'_>, cycle: &Cycle) -> Result<bool, StoreError> {
    let row = tx
        .query_one(
            "SELECT COALESCE(bool_and(acked_cycle = $1 AND outcome IN ('done', 'unchanged', 'absent'))
                             AND bool_or(outcome = 'done'), false)
             FROM runner.task WHERE planned_cycle = $1 AND source = $2 AND page = $3",
            &[
                &cycle.id,
                &REGISTER.as_str(),
                &TaskId::DAYS,
            ],
        )
        .await?;
    Ok(row.try_get(0)?)
}

async fn read_has_new_funds(tx: &Transaction<'_>, cycle: &Cycle) -> Result<bool, StoreError> {
    let row = tx
        .query_one(
            "SELECT EXISTS (SELECT FROM runner.fund WHERE entered_cycle = $1)",
            &[&cycle.id],
        )
        .await?;
    Ok(row.try_get(0)?)
}

async fn read_previous_date(
    tx: &Transaction<'_>,
    cycle: &Cycle,
) -> Result<Option<Date>, StoreError> {
    let row = tx
        .query_one(
            "SELECT max(cycle_date) FROM runner.cycle
             WHERE scope = 'full' AND state = 'closed' AND cycle_id < $1 AND cycle_date < $2",
            &[&cycle.id, &cycle.cycle_date],
        )
        .await?;
    Ok(row.try_get(0)?)
}

async fn read_last_monthly(
    tx: &Transaction<'_>,
    cycle: &Cycle,
) -> Result<Option<Date>, StoreError> {
    let row = tx
        .query_one(
            "SELECT max(cycle_date) FROM runner.cycle
             WHERE scope = 'full' AND kind = 'monthly' AND (state = 'closed' OR cycle_id = $1) AND cycle_date <= $2",
            &[&cycle.id, &cycle.cycle_date],
        )
        .await?;
    Ok(row.try_get(0)?)
}

async fn read_lists(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    known: &KnownPages,
) -> Result<BTreeMap<(SourceName, String), ListState>, StoreError> {
    let rows = tx
        .query(
            "SELECT t.source, t.page, t.acked_cycle = $1 AND t.planned_cycle = $1, t.outcome,
                    t.answered_cycle IS NOT NULL
             FROM unnest($2::text[], $3::text[]) AS known (source, page)
             JOIN runner.task t ON t.source = known.source AND t.page = known.page AND t.key = $4",
            &[
                &cycle.id,
                &known.sources,
                &known.pages,
                &TaskId::WHOLE_MARKET,
            ],
        )
        .await?;
    let mut lists = BTreeMap::new();
    for row in rows {
        let ended: Option<bool> = row.try_get(2)?;
        let outcome: Option<String> = row.try_get(3)?;
        let ended_in_this_cycle = ended == Some(true);
        let list = ListState {
            answered_in_this_cycle: ended_in_this_cycle
                && matches!(outcome.as_deref(), Some("done" | "unchanged" | "absent")),
            ended_in_this_cycle,
            ever_answered: row.try_get(4)?,
            failed_last: outcome.as_deref() == Some("failed"),
        };
        lists.insert((read_source(row.try_get(0)?)?, row.try_get(1)?), list);
    }
    Ok(lists)
}

async fn read_pieces(
    tx: &Transaction<'_>,
    known: &KnownPages,
) -> Result<BTreeMap<(SourceName, String), BTreeMap<u32, PieceState>>, StoreError> {
    let rows = tx
        .query(
            "SELECT source, page, key, answered_cycle, answered_outcome FROM runner.task
             WHERE source = ANY($1) AND page = $2 AND key <> $3",
            &[&known.sources, &TaskId::PIECES, &TaskId::WHOLE_MARKET],
        )
        .await?;
    let mut pieces: BTreeMap<_, BTreeMap<u32, PieceState>> = BTreeMap::new();
    for row in rows {
        let source = read_source(row.try_get(0)?)?;
        let (page, key): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        let number = key.parse().map_err(|_| {
            StoreError::Inconsistent(format!("{source}/{page}/{key}: expected a page number"))
        })?;
        let last_answer: Option<String> = row.try_get(4)?;
        let piece = PieceState {
            answered_cycle: row.try_get(3)?,
            has_funds: last_answer.map(|outcome| outcome != "absent"),
        };
        let pieces = pieces.entry((source, page)).or_default();
        pieces.insert(number, piece);
    }
    Ok(pieces)
}

/// Counts the codes that each source ever listed. It counts aliases, because a list entry and its alias are written in
/// one transaction.
async fn read_listed(tx: &Transaction<'_>) -> Result<BTreeMap<SourceName, usize>, StoreError> {
    let rows = tx
        .query(
            "SELECT source, count(DISTINCT fund_id) FROM runner.alias GROUP BY source",
            &[],
        )
        .await?;
    let mut listed = BTreeMap::new();
    for row in rows {
        let source = read_source(row.try_get(0)?)?;
        let codes: i64 = row.try_get(1)?;
        let codes = usize::try_from(codes)
            .map_err(|_| StoreError::Inconsistent(format!("{source} listed {codes} codes")))?;
        listed.insert(source, codes);
    }
    Ok(listed)
}
