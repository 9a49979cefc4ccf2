//! Mass changes (D11): the tables `runner.doubt`, `runner.breach` and `runner.change_share`.
//!
//! ```text
//! answer -> compared with what the source reported before -> nothing doubtful: applied and acknowledged
//!                                                         -> doubtful part: runner.doubt, task `held`
//! round ends -> judged per (source, page, kind) -> believed: applied and acknowledged as any answer
//!                                               -> not believed: runner.breach, task `failed`, hashes forgotten
//! ```
//! Doubtful data reaches the fund tables only after the judgement, so nothing has to be undone. Holding, applying and
//! refusing are each one transaction with the acknowledgement (D1). A list is judged at once, because it covers the
//! whole market.

mod control;
mod hold;
mod judge;
mod listing;
mod repetition;
mod second_source;

use std::collections::BTreeSet;

use schema::cycle::Cycle;
use schema::doubt::{DoubtKind, Evidence, Share, Verdict};
use schema::{SourceName, TaskId};

use super::connection::{Queries, Transaction};
use super::counted;
use super::decode::read_source;
use super::error::StoreError;
use super::report::BreachReport;

pub(super) use control::{check_news, read_control};
pub(super) use hold::{Doubtful, Waivers, emptied, hold};
pub(super) use judge::judge_round;
pub(super) use listing::{check_list, judge_statuses};

/// One kind of change on one page of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    source: SourceName,
    page: String,
    kind: DoubtKind,
}

/// Number of examples in the message of a breach.
const EXAMPLES: usize = 3;

/// A fund that shows a change.
struct Affected {
    key: String,
    fund_code: String,
    evidence: Evidence,
}

/// Records how many funds showed a change, for comparison in the next 30 days.
async fn record_share(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    share: Share,
    believed: bool,
) -> Result<(), StoreError> {
    tx.execute_expecting(
        "runner.change_share",
        1,
        "INSERT INTO runner.change_share (cycle_id, source, page, kind, asked, affected, believed)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (cycle_id, source, page, kind) DO UPDATE SET
             asked = EXCLUDED.asked, affected = EXCLUDED.affected, believed = EXCLUDED.believed",
        &[
            &cycle.id,
            &subject.source.as_str(),
            &subject.page,
            &subject.kind.as_str(),
            &as_count(share.asked),
            &as_count(share.affected),
            &believed,
        ],
    )
    .await?;
    Ok(())
}

fn as_count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The largest believed share of the last 30 days, in thousandths; `None` if no full cycle closed in these days.
async fn usual_permille(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
) -> Result<Option<u64>, StoreError> {
    let row = tx
        .query_one(
            "SELECT count(*) > 0, max(s.affected * 1000 / s.asked)
             FROM runner.cycle c
             LEFT JOIN runner.change_share s ON s.cycle_id = c.cycle_id AND s.source = $2 AND s.page = $3 AND s.kind = $4
                 AND s.believed AND s.asked > 0
             WHERE c.state = 'closed' AND c.scope = 'full' AND c.cycle_id <> $1
               AND c.cycle_date > $5::date - 30",
            &[
                &cycle.id,
                &subject.source.as_str(),
                &subject.page,
                &subject.kind.as_str(),
                &cycle.cycle_date,
            ],
        )
        .await?;
    let measured: bool = row.try_get(0)?;
    let largest: Option<i64> = row.try_get(1)?;
    Ok(measured.then(|| largest.unwrap_or(0).unsigned_abs()))
}

/// Records a mass change that is not believed. A second record in the same cycle replaces the first. Returns the id of
/// the breach.
async fn record_breach(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    share: Share,
    usual: Option<u64>,
    verdict: Verdict,
    affected: &[Affected],
) -> Result<i64, StoreError> {
    let row = tx
        .write_one(
            "runner.breach",
            "INSERT INTO runner.breach (cycle_id, source, page, kind, asked, affected, usual_permille, limit_permille, message)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '')
             ON CONFLICT (cycle_id, source, page, kind) DO UPDATE SET
                 asked = EXCLUDED.asked, affected = EXCLUDED.affected, state = 'open', reported = false
             RETURNING breach_id",
            &[
                &cycle.id,
                &subject.source.as_str(),
                &subject.page,
                &subject.kind.as_str(),
                &as_count(share.asked),
                &as_count(share.affected),
                &usual.map(as_count),
                &as_count(verdict.limit_permille),
            ],
        )
        .await?;
    let id: i64 = row.try_get(0)?;
    let examples: Vec<&str> = affected
        .iter()
        .map(|fund| fund.fund_code.as_str())
        .take(EXAMPLES)
        .collect();
    let message = message(id, subject, share, usual, verdict, &examples);
    tx.execute_expecting(
        "runner.breach",
        1,
        "UPDATE runner.breach SET message = $2 WHERE breach_id = $1",
        &[&id, &message],
    )
    .await?;
    Ok(id)
}

/// Returns the message of a breach and marks it as reported.
async fn take_message(tx: &Transaction<'_>, breach_id: i64) -> Result<String, StoreError> {
    let row = tx
        .write_one(
            "runner.breach",
            "UPDATE runner.breach SET reported = true WHERE breach_id = $1 RETURNING message",
            &[&breach_id],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// The message about a mass change that is not believed.
fn message(
    id: i64,
    subject: &Subject,
    share: Share,
    usual: Option<u64>,
    verdict: Verdict,
    examples: &[&str],
) -> String {
    let usual = usual.map_or_else(
        || "no cycle of the last 30 days to compare with".to_owned(),
        |usual| format!("at most {} in the last 30 days", percent(usual)),
    );
    format!(
        "{}: {} of {} funds {} ({}; {usual}; limit {}), such as {}; nothing of it was applied, what was loaded before is unchanged; if the change is right: master_runner accept {id}",
        subject.page,
        share.affected,
        share.asked,
        subject.kind.shown(),
        percent(share.permille()),
        percent(verdict.limit_permille),
        examples.join(", "),
    )
}

fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// Writes the evidence of a breach, so that the same change is recognised in the next cycles.
async fn record_evidence(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    breach_id: i64,
    affected: &[Affected],
) -> Result<(), StoreError> {
    let keys: Vec<&str> = affected.iter().map(|fund| fund.key.as_str()).collect();
    let codes: Vec<&str> = affected
        .iter()
        .map(|fund| fund.fund_code.as_str())
        .collect();
    let evidence: Vec<serde_json::Value> = affected
        .iter()
        .map(|fund| serde_json::json!(fund.evidence))
        .collect();
    tx.execute_expecting(
        "runner.doubt",
        keys.len(),
        "INSERT INTO runner.doubt (cycle_id, source, page, key, fund_code, kind, evidence, breach_id)
         SELECT $1::bigint, $2, $3, new.key, new.fund_code, $4, new.evidence, $5::bigint
         FROM unnest($6::text[], $7::text[], $8::jsonb[]) AS new (key, fund_code, evidence)
         ON CONFLICT (cycle_id, source, page, key, fund_code, kind) DO UPDATE SET
             evidence = EXCLUDED.evidence, answer = NULL, breach_id = EXCLUDED.breach_id",
        &[
            &cycle.id,
            &subject.source.as_str(),
            &subject.page,
            &subject.kind.as_str(),
            &breach_id,
            &keys,
            &codes,
            &evidence,
        ],
    )
    .await?;
    Ok(())
}

/// Records doubts for tasks whose answers were applied but which must be judged at the end of the round.
pub(super) async fn wait_for_the_round(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    kind: DoubtKind,
    waiting: &[(&TaskId, Evidence)],
) -> Result<(), StoreError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let sources: Vec<&str> = waiting.iter().map(|(id, _)| id.source.as_str()).collect();
    let pages: Vec<&str> = waiting.iter().map(|(id, _)| id.page.as_str()).collect();
    let keys: Vec<&str> = waiting.iter().map(|(id, _)| id.key.as_str()).collect();
    let evidence: Vec<serde_json::Value> = waiting
        .iter()
        .map(|(_, evidence)| serde_json::json!(evidence))
        .collect();
    tx.execute_expecting(
        "runner.doubt",
        keys.len(),
        "INSERT INTO runner.doubt (cycle_id, source, page, key, fund_code, kind, evidence)
         SELECT $1::bigint, new.source, new.page, new.key, new.key, $2, new.evidence
         FROM unnest($3::text[], $4::text[], $5::text[], $6::jsonb[]) AS new (source, page, key, evidence)
         ON CONFLICT (cycle_id, source, page, key, fund_code, kind) DO UPDATE SET
             evidence = EXCLUDED.evidence, breach_id = NULL",
        &[&cycle.id, &kind.as_str(), &sources, &pages, &keys, &evidence],
    )
    .await?;
    Ok(())
}

/// Marks a breach as accepted. Answers about its page are then not doubted for its kind of change.
async fn mark_accepted(
    tx: &Transaction<'_>,
    breach_id: i64,
    accepted_by: &str,
) -> Result<(), StoreError> {
    tx.execute_expecting(
        "runner.breach",
        1,
        "UPDATE runner.breach SET state = 'accepted', accepted_by = $2, taken_cycle = NULL, reported = false
         WHERE breach_id = $1",
        &[&breach_id, &accepted_by],
    )
    .await?;
    Ok(())
}

/// Accepts a breach for the operator. Nothing is fetched; the next cycle that reads the page applies the change.
/// Returns the breach, or `None` if no open breach has this number.
pub(super) async fn accept(
    tx: &Transaction<'_>,
    breach_id: i64,
) -> Result<Option<BreachReport>, StoreError> {
    let row = tx
        .query_opt(
            "SELECT source, message FROM runner.breach WHERE breach_id = $1 AND state = 'open'",
            &[&breach_id],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let (source, message): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    mark_accepted(tx, breach_id, "operator").await?;
    Ok(Some(BreachReport {
        id: breach_id,
        source: read_source(&source)?,
        message,
        accepted_by: Some("operator".to_owned()),
    }))
}

/// Returns the breaches that are open or accepted and not reported in that state yet, and marks them as reported.
pub(super) async fn take_unreported(tx: &Transaction<'_>) -> Result<Vec<BreachReport>, StoreError> {
    let rows = tx
        .query(
            "UPDATE runner.breach SET reported = true WHERE NOT reported AND state <> 'over'
             RETURNING breach_id, source, message, accepted_by",
            &[],
        )
        .await?;
    read_reports(&rows)
}

/// The breaches of a cycle that are still open.
pub(super) async fn open_in(
    client: &impl Queries,
    cycle_id: i64,
) -> Result<Vec<BreachReport>, StoreError> {
    let rows = client
        .query(
            "SELECT breach_id, source, message, accepted_by FROM runner.breach
             WHERE cycle_id = $1 AND state = 'open' ORDER BY breach_id",
            &[&cycle_id],
        )
        .await?;
    read_reports(&rows)
}

/// The newest breach of each source, page and kind that is still open, at most `limit`, for `status`.
pub(super) async fn newest_open(
    client: &impl Queries,
    limit: i64,
) -> Result<Vec<BreachReport>, StoreError> {
    let rows = client
        .query(
            "SELECT DISTINCT ON (source, page, kind) breach_id, source, message, accepted_by
             FROM runner.breach b
             WHERE state = 'open' AND NOT EXISTS (
                 SELECT FROM runner.breach newer
                 WHERE newer.source = b.source AND newer.page = b.page AND newer.kind = b.kind
                   AND newer.breach_id > b.breach_id)
               AND cycle_id >= (SELECT COALESCE(max(cycle_id), 0) FROM runner.cycle WHERE scope = 'full' AND state = 'closed')
             ORDER BY source, page, kind, breach_id DESC LIMIT $1",
            &[&limit],
        )
        .await?;
    read_reports(&rows)
}

fn read_reports(rows: &[tokio_postgres::Row]) -> Result<Vec<BreachReport>, StoreError> {
    rows.iter()
        .map(|row| {
            let source: String = row.try_get(1)?;
            Ok(BreachReport {
                id: row.try_get(0)?,
                source: read_source(&source)?,
                message: row.try_get(2)?,
                accepted_by: row.try_get(3)?,
            })
        })
        .collect()
}

/// Deletes doubts of other cycles that no longer wait for a judgement, and evidence and shares that are older than 60
/// days.
pub(super) async fn forget_old(tx: &Transaction<'_>, cycle: &Cycle) -> Result<(), StoreError> {
    tx.execute_counted(
        "runner.doubt",
        &counted::delete(
            "runner.doubt",
            "runner.cycle c",
            "c.cycle_id = t.cycle_id AND t.cycle_id <> $1 AND (t.breach_id IS NULL OR c.cycle_date < $2::date - 60)",
        ),
        &[&cycle.id, &cycle.cycle_date],
    )
    .await?;
    tx.execute_counted(
        "runner.change_share",
        &counted::delete(
            "runner.change_share",
            "runner.cycle c",
            "c.cycle_id = t.cycle_id AND c.cycle_date < $1::date - 60",
        ),
        &[&cycle.cycle_date],
    )
    .await?;
    Ok(())
}

/// The accepted changes that no cycle has applied yet, or that this cycle applies.
async fn read_accepted(
    tx: &Transaction<'_>,
    cycle: &Cycle,
) -> Result<BTreeSet<Subject>, StoreError> {
    let rows = tx
        .query(
            "SELECT source, page, kind FROM runner.breach
             WHERE state = 'accepted' AND (taken_cycle IS NULL OR taken_cycle = $1)",
            &[&cycle.id],
        )
        .await?;
    let mut accepted = BTreeSet::new();
    for row in rows {
        let (source, kind): (String, String) = (row.try_get(0)?, row.try_get(2)?);
        if let Some(kind) = DoubtKind::from_name(&kind) {
            accepted.insert(Subject {
                source: read_source(&source)?,
                page: row.try_get(1)?,
                kind,
            });
        }
    }
    Ok(accepted)
}

/// Marks an accepted change as applied by this cycle.
async fn mark_taken(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
) -> Result<(), StoreError> {
    tx.execute_counted(
        "runner.breach",
        &counted::update(
            "runner.breach",
            "taken_cycle = $4",
            "",
            "t.source = $1 AND t.page = $2 AND t.kind = $3 AND t.state = 'accepted' AND t.taken_cycle IS NULL",
        ),
        &[
            &subject.source.as_str(),
            &subject.page,
            &subject.kind.as_str(),
            &cycle.id,
        ],
    )
    .await?;
    Ok(())
}
