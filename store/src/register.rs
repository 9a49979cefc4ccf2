//! The official register as a list of the market (D8): the status of its share classes, and the funds that only it
//! knows.

use schema::cycle::{Cycle, Scope};
use schema::doubt::DoubtLimits;
use schema::fund_status::{REGISTERED, register_says_active};
use schema::precedence::{Precedence, REGISTER};
use schema::{Observation, ObservationData, Outcome, TaskAnswer, TaskId};

use super::connection::{Queries as _, Transaction};
use super::doubts;
use super::error::StoreError;
use super::funds;
use super::provisional;
use super::universe;

/// Whether an answer is the last page of the register's list of all classes, in a full cycle.
pub(super) fn ends_the_list(cycle: &Cycle, answer: &TaskAnswer) -> bool {
    cycle.scope == Scope::Full
        && answer.id.source == REGISTER
        && answer.id.page == TaskId::CLASSES
        && answer.outcome == Outcome::Done
        && answer.is_finished()
}

/// Judges the statuses of the register's list before they are taken over. `said` is what the list says in this batch.
/// Returns a mass change that is not believed, as a sentence.
pub(super) async fn breach(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answer: &TaskAnswer,
    said: &[&Observation],
    limits: &DoubtLimits,
) -> Result<Option<String>, StoreError> {
    if !ends_the_list(cycle, answer) {
        return Ok(None);
    }
    let (mut codes, mut words): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for observation in said {
        if let ObservationData::Listing { fields, .. } = &observation.data
            && let Some(word) = &fields.status
        {
            codes.push(observation.fund_code.as_str());
            words.push(word);
        }
    }
    // The pages of earlier batches are stored.
    let rows = tx
        .query(
            "SELECT f.fund_code, f.register_status, m.fund_status = 'active', COALESCE(page.word, o.fields ->> 'status')
             FROM public.funds_master_info m
             JOIN runner.fund f USING (fund_code)
             LEFT JOIN unnest($2::text[], $3::text[]) AS page (code, word) ON page.code = f.fund_code
             LEFT JOIN runner.observation o ON o.fund_id = f.fund_id AND o.source = $1 AND o.dataset = 'listing'
             ORDER BY f.fund_code",
            &[&REGISTER.as_str(), &codes, &words],
        )
        .await?;
    let mut asked = 0;
    let mut changed: Vec<(String, bool)> = Vec::new();
    for row in &rows {
        let status: Option<bool> = row.try_get(2)?;
        let before = register_says_active(row.try_get(1)?).or(status);
        let now = register_says_active(row.try_get(3)?);
        if let (Some(before), Some(now)) = (before, now) {
            asked += 1;
            if before != now {
                changed.push((row.try_get(0)?, now));
            }
        }
    }
    doubts::judge_statuses(tx, cycle, answer, asked, &changed, limits).await
}

/// Takes over the statuses of the register's list, which was read to its end in this cycle. A code that the list has
/// under several keys keeps its status, because it is not known which of them it is.
pub(super) async fn record_status(tx: &Transaction<'_>, cycle: &Cycle) -> Result<(), StoreError> {
    tx.execute_counted(
        "runner.fund",
        "WITH named AS (
             SELECT fund_id FROM runner.alias
             WHERE source = $1 AND last_cycle = (SELECT max(last_cycle) FROM runner.alias WHERE source = $1)
             GROUP BY fund_id HAVING count(*) = 1
         ), meant AS (
             SELECT f.fund_id, o.fields ->> 'status' AS word
             FROM runner.fund f JOIN named USING (fund_id) JOIN runner.observation o USING (fund_id)
             WHERE o.source = $1 AND o.dataset = 'listing'
               AND f.register_status IS DISTINCT FROM o.fields ->> 'status'
         ), written AS (
             UPDATE runner.fund f SET register_status = meant.word
             FROM meant WHERE f.fund_id = meant.fund_id RETURNING 1)
         SELECT (SELECT count(*) FROM meant), (SELECT count(*) FROM written)",
        &[&REGISTER.as_str()],
    )
    .await?;
    provisional::settle(tx).await?;
    funds::apply_status(tx, cycle).await?;
    Ok(())
}

/// Enters the share classes that only the register knows: those that are registered and have a NAV, unless their ISIN
/// or their key belongs to a known fund. Such a class is a known fund under another code, which is recorded in
/// `runner.unmatched`. Returns the number of funds that entered; 0 in a partial cycle.
pub(super) async fn enter_new_funds(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    precedence: &Precedence,
) -> Result<usize, StoreError> {
    if cycle.scope != Scope::Full {
        return Ok(0);
    }
    let rows = tx
        .query(
            "SELECT f.fund_id, f.fund_code, key.source_key, key.others || isin.others
             FROM runner.fund f
             CROSS JOIN LATERAL (
                 SELECT a.source_key, ARRAY(
                     SELECT known.fund_code FROM runner.alias b JOIN runner.fund known USING (fund_id)
                     WHERE b.source = a.source AND b.source_key = a.source_key AND known.in_universe) AS others
                 FROM runner.alias a WHERE a.fund_id = f.fund_id AND a.source = $1
                 ORDER BY a.last_cycle DESC, a.source_key LIMIT 1) key
             CROSS JOIN LATERAL (
                 SELECT ARRAY(
                     SELECT c.fund_code FROM runner.observation o
                     CROSS JOIN LATERAL jsonb_array_elements(o.fields -> 'codes') AS code (entry)
                     JOIN public.funds_codes c ON c.type = 'ISIN' AND c.code = code.entry ->> 'code'
                     WHERE o.fund_id = f.fund_id AND o.source = $1 AND o.dataset = 'profile_codes') AS others) isin
             WHERE NOT f.in_universe AND f.listed_cycle IS NULL AND f.register_status = $2
               AND EXISTS (SELECT FROM runner.daily_waiting w
                   WHERE w.fund_code = f.fund_code AND w.source = $1 AND w.nav_value IS NOT NULL)
             ORDER BY f.fund_id",
            &[&REGISTER.as_str(), &REGISTERED],
        )
        .await?;
    let mut entering: Vec<(i64, String)> = Vec::new();
    let mut known: Vec<serde_json::Value> = Vec::new();
    for row in rows {
        let (id, code): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        let others: Vec<String> = row.try_get(3)?;
        if others.is_empty() {
            entering.push((id, code));
        } else {
            let source_key: String = row.try_get(2)?;
            known.push(serde_json::json!({"source_key": source_key, "candidates": others}));
        }
    }
    if !known.is_empty() {
        record_known(tx, cycle, known).await?;
    }
    if entering.is_empty() {
        return Ok(0);
    }
    universe::enter(tx, cycle, precedence, &entering, false).await?;
    funds::apply_status(tx, cycle).await?;
    Ok(entering.len())
}

async fn record_known(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    rows: Vec<serde_json::Value>,
) -> Result<(), StoreError> {
    let count = rows.len();
    tx.execute_expecting(
        "runner.unmatched",
        count,
        "INSERT INTO runner.unmatched (source, source_key, page, reason, candidates, first_cycle, last_cycle)
         SELECT $3::text, source_key, 'profiles', 'its ISIN or its key belongs to a fund with another code', candidates,
             $2::bigint, $2::bigint
         FROM jsonb_to_recordset($1::jsonb) AS new (source_key text, candidates text[])
         ON CONFLICT (source, source_key, page) DO UPDATE SET
             reason = EXCLUDED.reason, candidates = EXCLUDED.candidates, last_cycle = EXCLUDED.last_cycle",
        &[&serde_json::Value::Array(rows), &cycle.id, &REGISTER.as_str()],
    )
    .await
}
