//! Records how far the whole histories of a batch reach back. A history that does not reach back is not marked as read,
//! so the next cycle requests it in full again.

use std::collections::BTreeMap;

use jiff::civil::Date;

use schema::cycle::Cycle;
use schema::doubt::{DoubtKind, Evidence};
use schema::task::WholeHistory;
use schema::whole_history::{Reach, is_short, reaches_back};
use schema::{Dataset, Outcome, Reject, TaskAnswer, TaskId};

use super::connection::{Queries as _, Transaction};
use super::counted;
use super::doubts;
use super::error::StoreError;
use super::tasks;

/// What was known about the histories before the batch, by task.
pub(super) type Known<'batch> = BTreeMap<&'batch TaskId, (WholeHistory, Reach)>;

/// Reads what is known about the whole histories in these answers. To be called before their rows are written.
pub(super) async fn read<'batch>(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answers: &'batch [TaskAnswer],
) -> Result<Known<'batch>, StoreError> {
    let whole: Vec<(&TaskId, WholeHistory)> = answers
        .iter()
        .filter(|answer| answer.outcome == Outcome::Done)
        .filter_map(|answer| Some((&answer.id, answer.whole_history?)))
        .collect();
    let mut known = Known::new();
    if whole.is_empty() {
        return Ok(known);
    }
    let sources: Vec<&str> = whole.iter().map(|(id, _)| id.source.as_str()).collect();
    let pages: Vec<&str> = whole.iter().map(|(id, _)| id.page.as_str()).collect();
    let keys: Vec<&str> = whole.iter().map(|(id, _)| id.key.as_str()).collect();
    let bits: Vec<i16> = whole.iter().map(|(id, _)| id.source.bit()).collect();
    let rows = tx
        .query(
            "SELECT asked.place, m.inception_date, oldest.nav_date, t.whole_first_day
             FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[]) WITH ORDINALITY
                 AS asked (source, page, key, bit, place)
             LEFT JOIN runner.task t ON t.source = asked.source AND t.page = asked.page AND t.key = asked.key
             LEFT JOIN public.funds_master_info m ON m.fund_code = asked.key
             LEFT JOIN LATERAL (
                 SELECT d.nav_date FROM public.funds_daily d
                 WHERE d.fund_code = asked.key AND d.nav_value IS NOT NULL AND d.nav_said_by & asked.bit <> 0
                 ORDER BY d.nav_date LIMIT 1) oldest ON true",
            &[&sources, &pages, &keys, &bits],
        )
        .await?;
    for row in rows {
        let place: i64 = row.try_get(0)?;
        let Some((id, history)) = usize::try_from(place - 1)
            .ok()
            .and_then(|place| whole.get(place))
        else {
            continue;
        };
        let reach = Reach {
            first_day: history.first_day,
            inception: row.try_get(1)?,
            oldest_known: row.try_get(2)?,
            first_day_before: row.try_get(3)?,
            cycle_date: cycle.cycle_date,
        };
        known.insert(*id, (*history, reach));
    }
    Ok(known)
}

/// Records how far the histories reach. If a history is short, or does not reach back according to what is known now,
/// the decision waits for the end of the round: by then the funds' own pages have reported the inception dates. To be
/// called after the tasks were acknowledged.
pub(super) async fn record(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    known: &Known<'_>,
) -> Result<(), StoreError> {
    if known.is_empty() {
        return Ok(());
    }
    let (mut sources, mut pages, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    let mut first_days: Vec<Option<Date>> = Vec::new();
    let mut waiting = Vec::new();
    for (id, (history, reach)) in known {
        sources.push(id.source.as_str());
        pages.push(id.page.as_str());
        keys.push(id.key.as_str());
        first_days.push(history.first_day);
        if is_short(reach) || !reaches_back(reach) {
            waiting.push((*id, evidence(reach)));
        }
    }
    tx.execute_counted(
        "runner.task",
        &counted::update(
            "runner.task",
            "whole_since = CASE WHEN t.whole_since IS NOT NULL AND t.whole_first_day IS NOT DISTINCT FROM a.first_day
                 THEN t.whole_since ELSE $5::date END,
             whole_first_day = a.first_day",
            "unnest($1::text[], $2::text[], $3::text[], $4::date[]) AS a (source, page, key, first_day)",
            "t.source = a.source AND t.page = a.page AND t.key = a.key
                 AND (t.whole_since IS NULL OR t.whole_first_day IS DISTINCT FROM a.first_day)",
        ),
        &[&sources, &pages, &keys, &first_days, &cycle.cycle_date],
    )
    .await?;
    doubts::wait_for_the_round(tx, cycle, DoubtKind::Shortened, &waiting).await
}

const FIRST_DAY: &str = "first_day";
const OLDEST_KNOWN: &str = "oldest_known";
const FIRST_DAY_BEFORE: &str = "first_day_before";

fn evidence(reach: &Reach) -> Evidence {
    [
        (FIRST_DAY, reach.first_day),
        (OLDEST_KNOWN, reach.oldest_known),
        (FIRST_DAY_BEFORE, reach.first_day_before),
    ]
    .into_iter()
    .filter_map(|(name, day)| Some((name.to_owned(), day?.to_string())))
    .collect()
}

/// Rebuilds the reach of a waiting history from its evidence, with the inception date that is known now.
pub(super) fn reach_of(evidence: &Evidence, inception: Option<Date>, cycle_date: Date) -> Reach {
    let day = |name: &str| evidence.get(name).and_then(|day| day.parse().ok());
    Reach {
        first_day: day(FIRST_DAY),
        inception,
        oldest_known: day(OLDEST_KNOWN),
        first_day_before: day(FIRST_DAY_BEFORE),
        cycle_date,
    }
}

/// Deletes the extent and the hashes of histories that do not reach back, so that the next cycle requests them in full
/// again. If a history begins on another day than before, a note is written.
pub(super) async fn untick(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    histories: &[(TaskId, Reach)],
) -> Result<(), StoreError> {
    if histories.is_empty() {
        return Ok(());
    }
    let (mut sources, mut pages, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    let mut notes = Vec::new();
    for (id, reach) in histories {
        sources.push(id.source.as_str());
        pages.push(id.page.as_str());
        keys.push(id.key.as_str());
        if reach.first_day_before != reach.first_day {
            notes.push((id, note(id, reach)));
        }
    }
    tx.execute_counted(
        "runner.task",
        &counted::update(
            "runner.task",
            "extents = CASE WHEN t.extent IS NULL THEN t.extents ELSE t.extents - t.extent END,
             payload_hash = NULL, parser_version = NULL, beginning_bytes = NULL, beginning_hash = NULL, beginning_until = NULL",
            "unnest($1::text[], $2::text[], $3::text[]) AS a (source, page, key)",
            "t.source = a.source AND t.page = a.page AND t.key = a.key",
        ),
        &[&sources, &pages, &keys],
    )
    .await?;
    let notes: Vec<(&TaskId, &Reject)> = notes.iter().map(|(id, note)| (*id, note)).collect();
    tasks::write_rejects(tx, cycle, &notes).await
}

fn note(id: &TaskId, reach: &Reach) -> Reject {
    let day = |day: Option<Date>| day.map_or_else(|| "none".to_owned(), |day| day.to_string());
    Reject {
        fund_code: Some(id.key.clone()),
        dataset: Dataset::Daily,
        field: "date".to_owned(),
        reason: format!(
            "the whole history was asked for and its first day is late: expected the inception ({}), the oldest day known ({}) or the first day of the answer before ({}); its days were taken, the next cycle asks for the whole again",
            day(reach.inception),
            day(reach.oldest_known),
            day(reach.first_day_before),
        ),
        sample: day(reach.first_day),
        severity: schema::task::Severity::Noted,
    }
}
