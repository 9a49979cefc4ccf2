//! The judgement of the doubts at the end of a round: per source, page and kind of change, over all funds (D11).

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use schema::cycle::Cycle;
use schema::doubt::{DoubtKind, DoubtLimits, Share, judge};
use schema::precedence::Precedence;
use schema::whole_history::{Reach, is_short, is_shortened, reaches_back};
use schema::{SourceName, TaskAnswer, TaskId};

use super::super::connection::{Queries as _, Transaction, expect_rows};
use super::super::decode::read_source;
use super::super::error::StoreError;
use super::super::report::{BatchReport, count_refused};
use super::super::transaction::{Examination, Rules, write_answers};
use super::super::{counted, daily, tasks, whole_histories};
use super::{
    Affected, Subject, mark_accepted, read_accepted, record_breach, record_evidence, record_share,
    repetition, second_source, usual_permille,
};

/// Judges all doubts of the cycle: applies the believed changes and refuses the others. Only whole histories whose
/// inception date is still unknown stay waiting.
pub(in super::super) async fn judge_round(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    limits: &DoubtLimits,
    precedence: &Precedence,
) -> Result<(), StoreError> {
    let asked = read_asked(tx, cycle).await?;
    let mut affected = read_waiting(tx, cycle).await?;
    let histories = settle_histories(tx, cycle, &mut affected).await?;
    find_all_absent(tx, cycle, &asked, &mut affected).await?;
    find_equal(tx, cycle, &asked, &mut affected).await?;
    if affected.is_empty() {
        whole_histories::untick(tx, cycle, &histories).await?;
        return end_breaches(tx, cycle).await;
    }
    let accepted = read_accepted(tx, cycle).await?;
    let mut refused: BTreeSet<(SourceName, String, String)> = BTreeSet::new();
    for (subject, funds) in &affected {
        let asked = asked.get(&(subject.source, subject.page.clone()));
        let asked = asked.copied().unwrap_or_default();
        let share = Share {
            asked: match subject.kind {
                DoubtKind::AllAbsent | DoubtKind::AllZero | DoubtKind::Equal => asked.first,
                _ => asked.all,
            },
            affected: funds.len() as u64,
        };
        let usual = usual_permille(tx, cycle, subject).await?;
        let verdict = judge(subject.kind, share, usual, limits);
        let believed = verdict.believed || accepted.contains(subject);
        record_share(tx, cycle, subject, share, verdict.believed).await?;
        if believed {
            if subject.kind == DoubtKind::Shortened {
                // Such an answer was already applied; only its doubt is deleted.
                let keys: Vec<&str> = funds.iter().map(|fund| fund.key.as_str()).collect();
                forget(tx, cycle, subject, &keys).await?;
            }
            continue;
        }
        let id = record_breach(tx, cycle, subject, share, usual, verdict, funds).await?;
        record_refused(tx, cycle, subject).await?;
        record_evidence(tx, cycle, subject, id, funds).await?;
        let accepted_by = if repetition::is_third(tx, cycle, subject, id, funds).await? {
            Some("repetition")
        } else if second_source::confirms(tx, cycle, subject, funds).await? {
            Some("second source")
        } else {
            None
        };
        let why = match accepted_by {
            Some(by) => {
                mark_accepted(tx, id, by).await?;
                format!("held back until breach {id} was accepted ({by}); requested again")
            }
            None => format!(
                "not believed (breach {id}, {}); master_runner status shows it",
                subject.kind
            ),
        };
        let keys: Vec<&str> = funds.iter().map(|fund| fund.key.as_str()).collect();
        fail(tx, cycle, subject, &keys, &why).await?;
        retract(tx, cycle, subject, funds).await?;
        for fund in funds {
            refused.insert((subject.source, subject.page.clone(), fund.key.clone()));
        }
    }
    apply_believed(tx, cycle, &refused, precedence).await?;
    whole_histories::untick(tx, cycle, &histories).await?;
    end_breaches(tx, cycle).await
}

/// The funds whose page was requested in this cycle and answered.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    all: u64,
    /// The funds that had no value on this page before this cycle.
    first: u64,
}

async fn read_asked(
    tx: &Transaction<'_>,
    cycle: &Cycle,
) -> Result<BTreeMap<(SourceName, String), Asked>, StoreError> {
    let rows = tx
        .query(
            "SELECT source, page, count(*),
                    count(*) FILTER (WHERE COALESCE(valued_since, $1) = $1)
             FROM runner.task
             WHERE planned_cycle = $1 AND acked_cycle = $1 AND outcome IN ('done', 'unchanged', 'absent', 'held')
               AND key NOT LIKE '*%' AND page <> 'filter'
             GROUP BY source, page
             UNION ALL
             -- A page about a part of the market is about the funds in the source's list.
             SELECT t.source, t.page, count(DISTINCT f.fund_id), 0
             FROM (SELECT DISTINCT source, page FROM runner.task
                   WHERE planned_cycle = $1 AND key LIKE '*_%') t
             JOIN runner.alias a ON a.source = t.source
             JOIN runner.fund f ON f.fund_id = a.fund_id AND f.in_universe
             GROUP BY t.source, t.page
             UNION ALL
             -- A page about the whole market is about the funds of which the source has reported this dataset; a page
             -- with another name than its dataset, and one without a report, is about the funds in the source's list.
             SELECT source, page, funds, CASE WHEN is_first THEN funds ELSE 0 END
             FROM (
                 SELECT t.source, t.page, bool_and(COALESCE(t.valued_since, $1) = $1) AS is_first,
                        COALESCE(NULLIF((
                            SELECT count(*) FROM runner.observation o JOIN runner.fund f USING (fund_id)
                            WHERE f.in_universe AND o.source = t.source AND o.dataset = t.page), 0), (
                            SELECT count(DISTINCT f.fund_id) FROM runner.alias a JOIN runner.fund f USING (fund_id)
                            WHERE f.in_universe AND a.source = t.source)) AS funds
                 FROM runner.task t
                 WHERE t.planned_cycle = $1 AND t.key = '*' AND EXISTS (
                     SELECT FROM runner.doubt d
                     WHERE d.cycle_id = $1 AND d.source = t.source AND d.page = t.page AND d.key = t.key)
                 GROUP BY t.source, t.page) whole",
            &[&cycle.id],
        )
        .await?;
    let mut asked = BTreeMap::new();
    for row in rows {
        let source: String = row.try_get(0)?;
        asked.insert(
            (read_source(&source)?, row.try_get(1)?),
            Asked {
                all: row.try_get::<_, i64>(2)?.unsigned_abs(),
                first: row.try_get::<_, i64>(3)?.unsigned_abs(),
            },
        );
    }
    Ok(asked)
}

async fn read_waiting(
    tx: &Transaction<'_>,
    cycle: &Cycle,
) -> Result<BTreeMap<Subject, Vec<Affected>>, StoreError> {
    let rows = tx
        .query(
            "SELECT source, page, kind, key, fund_code, evidence FROM runner.doubt
             WHERE cycle_id = $1 AND breach_id IS NULL ORDER BY source, page, kind, fund_code",
            &[&cycle.id],
        )
        .await?;
    let mut waiting: BTreeMap<Subject, Vec<Affected>> = BTreeMap::new();
    for row in rows {
        let (source, kind): (String, String) = (row.try_get(0)?, row.try_get(2)?);
        let kind = DoubtKind::from_name(&kind).ok_or_else(|| {
            StoreError::Inconsistent(format!("runner.doubt names the kind `{kind}`"))
        })?;
        let subject = Subject {
            source: read_source(&source)?,
            page: row.try_get(1)?,
            kind,
        };
        waiting.entry(subject).or_default().push(Affected {
            key: row.try_get(3)?,
            fund_code: row.try_get(4)?,
            evidence: serde_json::from_value(row.try_get(5)?).map_err(|error| {
                StoreError::Inconsistent(format!("the evidence of a doubt: {error}"))
            })?,
        });
    }
    Ok(waiting)
}

/// Deletes waiting doubts.
async fn forget(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    keys: &[&str],
) -> Result<(), StoreError> {
    tx.execute_counted(
        "runner.doubt",
        &counted::delete(
            "runner.doubt",
            "",
            "t.cycle_id = $1 AND t.source = $2 AND t.page = $3 AND t.kind = $4 AND t.breach_id IS NULL AND t.key = ANY($5)",
        ),
        &[
            &cycle.id,
            &subject.source.as_str(),
            &subject.page,
            &subject.kind.as_str(),
            &keys,
        ],
    )
    .await?;
    Ok(())
}

/// Decides which of the doubtful whole histories reach back, now that the inception dates are known. Returns the
/// histories that do not reach back. Only funds whose history has lost days stay in `affected`.
async fn settle_histories(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    affected: &mut BTreeMap<Subject, Vec<Affected>>,
) -> Result<Vec<(TaskId, Reach)>, StoreError> {
    let mut short = Vec::new();
    for (subject, funds) in affected.iter_mut() {
        if subject.kind != DoubtKind::Shortened {
            continue;
        }
        let codes: Vec<&str> = funds.iter().map(|fund| fund.fund_code.as_str()).collect();
        let rows = tx
            .query(
                "SELECT fund_code, inception_date FROM public.funds_master_info WHERE fund_code = ANY($1)",
                &[&codes],
            )
            .await?;
        let mut inceptions: BTreeMap<String, Option<Date>> = BTreeMap::new();
        for row in rows {
            inceptions.insert(row.try_get(0)?, row.try_get(1)?);
        }
        let mut settled: Vec<&str> = Vec::new();
        let mut lost = BTreeSet::new();
        for fund in funds.iter() {
            let inception = inceptions.get(&fund.fund_code).copied().flatten();
            let reach = whole_histories::reach_of(&fund.evidence, inception, cycle.cycle_date);
            if is_short(&reach) && inception.is_none() {
                // The fund's own page may still report its inception date.
                continue;
            }
            if !reaches_back(&reach) {
                let id = TaskId {
                    source: subject.source,
                    page: subject.page.clone(),
                    key: fund.key.clone(),
                };
                short.push((id, reach));
            }
            if is_shortened(&reach) {
                lost.insert(fund.key.clone());
            } else {
                settled.push(fund.key.as_str());
            }
        }
        forget(tx, cycle, subject, &settled).await?;
        funds.retain(|fund| lost.contains(&fund.key));
    }
    affected.retain(|_, funds| !funds.is_empty());
    Ok(short)
}

/// Finds pages that never had a value and for which all funds are absent. Pages that most funds have nothing on are left
/// out.
async fn find_all_absent(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    asked: &BTreeMap<(SourceName, String), Asked>,
    affected: &mut BTreeMap<Subject, Vec<Affected>>,
) -> Result<(), StoreError> {
    for ((source, page), asked) in asked {
        // One fund with a value shows that the page is not empty for all.
        if asked.first == 0 || asked.first < asked.all || page == TaskId::DIVIDENDS {
            continue;
        }
        let rows = tx
            .query(
                "SELECT key FROM runner.task
                 WHERE planned_cycle = $1 AND acked_cycle = $1 AND source = $2 AND page = $3
                   AND outcome IN ('absent', 'done') AND valued_since IS NULL
                   AND NOT EXISTS (SELECT FROM runner.task known
                       WHERE known.source = $2 AND known.page = $3 AND known.valued_since < $1)
                 ORDER BY key",
                &[&cycle.id, &source.as_str(), page],
            )
            .await?;
        let mut funds = Vec::with_capacity(rows.len());
        for row in rows {
            let key: String = row.try_get(0)?;
            funds.push(Affected {
                fund_code: key.clone(),
                key,
                evidence: schema::doubt::Evidence::new(),
            });
        }
        if !funds.is_empty() {
            let subject = Subject {
                source: *source,
                page: page.clone(),
                kind: DoubtKind::AllAbsent,
            };
            affected.insert(subject, funds);
        }
    }
    Ok(())
}

/// Finds first answers in which funds of different projects have the same series. Share classes of one project have the
/// same factsheet.
async fn find_equal(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    asked: &BTreeMap<(SourceName, String), Asked>,
    affected: &mut BTreeMap<Subject, Vec<Affected>>,
) -> Result<(), StoreError> {
    for ((source, page), asked) in asked {
        if asked.first == 0 {
            continue;
        }
        let rows = tx
            .query(
                "WITH first AS (
                     SELECT t.key, t.series_hash, COALESCE((
                         SELECT min(o.fields ->> 'factsheet_url') FROM runner.fund f
                         JOIN runner.observation o USING (fund_id)
                         WHERE f.fund_code = t.key AND o.dataset = 'factsheet_link'), t.key) AS project
                     FROM runner.task t
                     WHERE t.planned_cycle = $1 AND t.acked_cycle = $1 AND t.outcome = 'done'
                       AND t.source = $2 AND t.page = $3 AND t.valued_since = $1 AND t.series_hash IS NOT NULL)
                 SELECT key, encode(series_hash, 'hex') FROM first
                 WHERE series_hash IN (SELECT series_hash FROM first GROUP BY series_hash
                                       HAVING count(DISTINCT project) > 1)
                 ORDER BY key",
                &[&cycle.id, &source.as_str(), page],
            )
            .await?;
        let mut funds = Vec::with_capacity(rows.len());
        for row in rows {
            let (key, series): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            funds.push(Affected {
                fund_code: key.clone(),
                key,
                evidence: [("series".to_owned(), series)].into(),
            });
        }
        if !funds.is_empty() {
            let subject = Subject {
                source: *source,
                page: page.clone(),
                kind: DoubtKind::Equal,
            };
            affected.insert(subject, funds);
        }
    }
    Ok(())
}

/// Fails the tasks of a change that is not believed, and deletes the hashes that would let the next cycle skip them
/// (D12).
pub(super) async fn fail(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    keys: &[&str],
    why: &str,
) -> Result<(), StoreError> {
    tx.execute_counted(
        "runner.task",
        &counted::update(
            "runner.task",
            "outcome = 'failed', failure = $5, payload_hash = NULL, parser_version = NULL, beginning_bytes = NULL,
             beginning_hash = NULL, beginning_until = NULL",
            "",
            "t.source = $2 AND t.page = $3 AND t.key = ANY($4) AND t.planned_cycle = $1 AND t.acked_cycle = $1",
        ),
        &[
            &cycle.id,
            &subject.source.as_str(),
            &subject.page,
            &keys,
            &why,
        ],
    )
    .await?;
    Ok(())
}

/// Reverts first answers that are not believed, as if they had not been given.
async fn retract(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    funds: &[Affected],
) -> Result<(), StoreError> {
    if !matches!(subject.kind, DoubtKind::AllAbsent | DoubtKind::Equal) {
        return Ok(());
    }
    let keys: Vec<&str> = funds.iter().map(|fund| fund.key.as_str()).collect();
    tx.execute_counted(
        "runner.task",
        &counted::update(
            "runner.task",
            "answered_cycle = NULL, answered_outcome = NULL, answered_locator = NULL, last_answer_at = NULL,
             extents = '{}', valued_since = NULL, series_hash = NULL",
            "",
            "t.source = $1 AND t.page = $2 AND t.key = ANY($3)",
        ),
        &[&subject.source.as_str(), &subject.page, &keys],
    )
    .await?;
    if subject.kind == DoubtKind::Equal {
        daily::retract(tx, cycle.id, subject.source, &keys).await?;
    }
    Ok(())
}

/// Counts the records of a refused change.
async fn record_refused(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
) -> Result<(), StoreError> {
    let rows = tx
        .query(
            "SELECT answer FROM runner.doubt
             WHERE cycle_id = $1 AND source = $2 AND page = $3 AND kind = $4 AND breach_id IS NULL
               AND answer IS NOT NULL",
            &[
                &cycle.id,
                &subject.source.as_str(),
                &subject.page,
                &subject.kind.as_str(),
            ],
        )
        .await?;
    let mut report = BatchReport::default();
    for row in rows {
        count_refused(&mut report, &read_answer(row.try_get(0)?)?);
    }
    tasks::add_counts(tx, cycle.id, &report.tables).await
}

fn read_answer(json: serde_json::Value) -> Result<TaskAnswer, StoreError> {
    serde_json::from_value(json)
        .map_err(|error| StoreError::Inconsistent(format!("an answer that waits: {error}")))
}

/// Number of answers that are applied together.
const APPLIED_AT_ONCE: i64 = 50;

/// Applies the waiting parts that are believed, except those of tasks of which another part was refused.
async fn apply_believed(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    refused: &BTreeSet<(SourceName, String, String)>,
    precedence: &Precedence,
) -> Result<(), StoreError> {
    loop {
        let rows = tx
            .query(
                "DELETE FROM runner.doubt d USING (
                     SELECT source, page, key FROM runner.doubt
                     WHERE cycle_id = $1 AND breach_id IS NULL AND kind <> $3
                     GROUP BY source, page, key ORDER BY source, page, key LIMIT $2) next
                 WHERE d.cycle_id = $1 AND d.breach_id IS NULL AND d.kind <> $3
                   AND d.source = next.source AND d.page = next.page AND d.key = next.key
                 RETURNING d.source, d.page, d.key, d.answer",
                &[&cycle.id, &APPLIED_AT_ONCE, &DoubtKind::Shortened.as_str()],
            )
            .await?;
        if rows.is_empty() {
            return expect_nothing_waits(tx, cycle).await;
        }
        let mut answers: BTreeMap<(SourceName, String, String), Option<TaskAnswer>> =
            BTreeMap::new();
        let mut report = BatchReport::default();
        for row in rows {
            let source: String = row.try_get(0)?;
            let task = (read_source(&source)?, row.try_get(1)?, row.try_get(2)?);
            let json: Option<serde_json::Value> = row.try_get(3)?;
            let part = json.map(read_answer).transpose()?;
            if refused.contains(&task) {
                if let Some(part) = part {
                    count_refused(&mut report, &part);
                }
                continue;
            }
            match (answers.entry(task), part) {
                (std::collections::btree_map::Entry::Vacant(place), part) => {
                    place.insert(part);
                }
                (std::collections::btree_map::Entry::Occupied(mut place), Some(part)) => {
                    if let Some(whole) = place.get_mut() {
                        whole.observations.extend(part.observations);
                    }
                }
                (std::collections::btree_map::Entry::Occupied(mut place), None) => {
                    place.insert(None);
                }
            }
        }
        tasks::add_counts(tx, cycle.id, &report.tables).await?;
        let mut whole = Vec::with_capacity(answers.len());
        for ((source, page, key), answer) in answers {
            match answer {
                Some(answer) => whole.push(answer),
                None => {
                    let subject = Subject {
                        source,
                        page,
                        kind: DoubtKind::Settled,
                    };
                    let why = "so many changes waited for the judgement that this answer was not kept; requested again";
                    fail(tx, cycle, &subject, &[&key], why).await?;
                }
            }
        }
        let rules = Rules {
            examination: Examination::Believed,
            precedence,
        };
        write_answers(tx, cycle, &whole, rules).await?;
    }
}

/// Checks that all waiting parts were deleted. A part that a trigger kept would never be applied (D12).
async fn expect_nothing_waits(tx: &Transaction<'_>, cycle: &Cycle) -> Result<(), StoreError> {
    let row = tx
        .query_one(
            "SELECT count(*) FROM runner.doubt WHERE cycle_id = $1 AND breach_id IS NULL AND kind <> $2",
            &[&cycle.id, &DoubtKind::Shortened.as_str()],
        )
        .await?;
    let waiting: i64 = row.try_get(0)?;
    expect_rows("runner.doubt", waiting.unsigned_abs(), 0)
}

/// Ends the breaches of this cycle whose tasks were all answered and believed later: the site has recovered.
async fn end_breaches(tx: &Transaction<'_>, cycle: &Cycle) -> Result<(), StoreError> {
    tx.execute_counted(
        "runner.breach",
        &counted::update(
            "runner.breach",
            "state = 'over'",
            "",
            "t.cycle_id = $1 AND t.state = 'open' AND NOT EXISTS (
                 SELECT FROM runner.doubt d
                 JOIN runner.task k ON k.source = d.source AND k.page = d.page AND k.key = d.key
                 WHERE d.breach_id = t.breach_id
                   AND (k.acked_cycle IS DISTINCT FROM $1 OR k.outcome NOT IN ('done', 'unchanged', 'absent')))
               AND EXISTS (SELECT FROM runner.doubt d WHERE d.breach_id = t.breach_id)",
        ),
        &[&cycle.id],
    )
    .await?;
    Ok(())
}
