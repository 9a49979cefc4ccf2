//! `runner.cycle`: begins, resumes and closes cycles, and reads what the schedule needs of them.

use jiff::civil::Date;
use tokio_postgres::Row;

use schema::cycle::{Cycle, CycleKind, CycleRequest, ScheduleFacts, Scope};
use schema::doubt::DoubtLimits;
use schema::precedence::{Precedence, UNIVERSE};

use super::connection::{Queries, Transaction};
use super::counted;
use super::doubts;
use super::error::StoreError;
use super::funds;
use super::lineage;
use super::market_changes;
use super::remerge;
use super::report::{CycleStatus, CycleTotals};
use super::resets;
use super::retention::Retention;
use super::tasks;

const COLUMNS: &str = "cycle_id, cycle_date, kind, scope, round, state";

struct StoredCycle {
    cycle: Cycle,
    open: bool,
}

fn read_cycle(row: &Row) -> Result<StoredCycle, StoreError> {
    let (kind, scope, state): (String, String, String) =
        (row.try_get(2)?, row.try_get(3)?, row.try_get(5)?);
    let known = (CycleKind::from_name(&kind), Scope::from_name(&scope));
    let (Some(kind), Some(scope)) = known else {
        return Err(StoreError::Inconsistent(format!(
            "runner.cycle names the kind `{kind}` and the scope `{scope}`"
        )));
    };
    Ok(StoredCycle {
        cycle: Cycle {
            id: row.try_get(0)?,
            cycle_date: row.try_get(1)?,
            kind,
            scope,
            round: row.try_get(4)?,
            resumed: true,
        },
        open: state == "open",
    })
}

/// Begins or resumes a cycle.
pub(super) async fn begin(
    tx: &Transaction<'_>,
    request: &CycleRequest,
) -> Result<Cycle, StoreError> {
    let newest = tx
        .query_opt(
            &format!(
                "SELECT {COLUMNS} FROM runner.cycle
                 WHERE cycle_date = $1 AND kind = $2 AND scope = $3 AND state <> 'abandoned'
                 ORDER BY cycle_id DESC LIMIT 1"
            ),
            &[
                &request.cycle_date,
                &request.kind.as_str(),
                &request.scope.as_str(),
            ],
        )
        .await?;
    if let Some(row) = newest.filter(|_| !request.fresh) {
        let StoredCycle { cycle, open } = read_cycle(&row)?;
        if open {
            return Ok(cycle);
        }
        if request.resume_closed_failures
            && let Some(cycle) = reopen_failures(tx, cycle).await?
        {
            return Ok(cycle);
        }
    }
    // A full cycle replaces every open one. A partial cycle leaves an open full cycle to be resumed.
    tx.execute_counted(
        "runner.cycle",
        &counted::update(
            "runner.cycle",
            "state = 'abandoned', closed_at = now()",
            "",
            "t.state = 'open' AND (t.scope = 'partial' OR $1 = 'full')",
        ),
        &[&request.scope.as_str()],
    )
    .await?;
    resets::forget_reset(tx).await?;
    let row = tx
        .write_one(
            "runner.cycle",
            &format!(
                "INSERT INTO runner.cycle (cycle_date, kind, scope) VALUES ($1, $2, $3) RETURNING {COLUMNS}"
            ),
            &[&request.cycle_date, &request.kind.as_str(), &request.scope.as_str()],
        )
        .await?;
    let mut cycle = read_cycle(&row)?.cycle;
    cycle.resumed = false;
    Ok(cycle)
}

/// Reopens a closed cycle for its failed tasks only, which are requested once more in round 2.
async fn reopen_failures(
    tx: &Transaction<'_>,
    mut cycle: Cycle,
) -> Result<Option<Cycle>, StoreError> {
    if unacknowledge_failures(tx, &cycle).await? == 0 {
        return Ok(None);
    }
    cycle.round = 2;
    tx.execute_expecting(
        "runner.cycle",
        1,
        "UPDATE runner.cycle SET state = 'open', closed_at = NULL, round = 2 WHERE cycle_id = $1",
        &[&cycle.id],
    )
    .await?;
    Ok(Some(cycle))
}

/// A query for the constraints of the database, in the format of [`super::error::DataRefusal::constraint`].
const CONSTRAINTS: &str = "
    SELECT format('%s on %s.%s', k.conname, n.nspname, c.relname)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT format('%s on %s.%s', x.relname, n.nspname, c.relname)
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
        JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT format('NOT NULL of %s on %s.%s', a.attname, n.nspname, c.relname)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attnotnull AND NOT a.attisdropped AND a.attnum > 0";

/// Removes the acknowledgement of the failed and deferred tasks of a cycle, so that they are requested again. A task
/// whose answer was refused by a constraint that still exists keeps it.
async fn unacknowledge_failures(tx: &Transaction<'_>, cycle: &Cycle) -> Result<u64, StoreError> {
    let failed = format!(
        "t.planned_cycle = $1 AND t.acked_cycle = $1 AND t.outcome IN ('failed', 'deferred')
             AND (t.refused_by IS NULL OR t.refused_by NOT IN ({CONSTRAINTS}))"
    );
    let handing_out = counted::update(
        "runner.task",
        "acked_cycle = NULL, attempts = 0, refused_by = NULL",
        "",
        &failed,
    );
    tx.execute_counted("runner.task", &handing_out, &[&cycle.id])
        .await
}

/// Begins round 2. Returns the number of tasks to request in it.
pub(super) async fn begin_round_two(
    tx: &Transaction<'_>,
    cycle: &mut Cycle,
    limits: &DoubtLimits,
    precedence: &Precedence,
) -> Result<usize, StoreError> {
    doubts::judge_round(tx, cycle, limits, precedence).await?;
    unacknowledge_failures(tx, cycle).await?;
    tx.execute_expecting(
        "runner.cycle",
        1,
        "UPDATE runner.cycle SET round = 2 WHERE cycle_id = $1",
        &[&cycle.id],
    )
    .await?;
    let left = tasks::count_left(tx, cycle, &tasks::TaskFilter::WHOLE).await?;
    cycle.round = 2;
    Ok(left)
}

/// Closes a cycle: remaining tasks end failed, absences and the links between codes are recorded, stale fields are
/// derived again, and retention is applied.
pub(super) async fn close(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    reason: &str,
    retention: &Retention,
    limits: &DoubtLimits,
    precedence: &Precedence,
) -> Result<CycleTotals, StoreError> {
    doubts::judge_round(tx, cycle, limits, precedence).await?;
    doubts::forget_old(tx, cycle).await?;
    tx.execute_counted(
        "runner.task",
        "WITH meant AS (
             SELECT source, page, key FROM runner.task
             WHERE planned_cycle = $1 AND (acked_cycle IS DISTINCT FROM $1 OR outcome = 'deferred')
         ), written AS (
             UPDATE runner.task t SET acked_cycle = $1, outcome = 'failed',
                 failure = CASE WHEN acked_cycle = $1 THEN COALESCE(failure, $2) ELSE $2 END
             FROM meant WHERE (t.source, t.page, t.key) = (meant.source, meant.page, meant.key) RETURNING 1)
         SELECT (SELECT count(*) FROM meant), (SELECT count(*) FROM written)",
        &[&cycle.id, &reason],
    )
    .await?;
    if cycle.scope == Scope::Full && universe_list_answered(tx, cycle).await? {
        funds::record_absences(tx, cycle.cycle_date).await?;
        funds::apply_status(tx, cycle).await?;
    }
    if cycle.scope == Scope::Full {
        lineage::record(tx, cycle).await?;
    }
    tx.execute_expecting(
        "runner.cycle",
        1,
        "UPDATE runner.cycle SET state = 'closed', closed_at = now() WHERE cycle_id = $1",
        &[&cycle.id],
    )
    .await?;
    if cycle.scope == Scope::Full && cycle.kind == CycleKind::Monthly {
        remerge::derive_stale(tx, cycle, precedence).await?;
    }
    resets::forget_reset(tx).await?;
    retention.apply(tx).await?;
    let totals = totals(tx, cycle).await?;
    tasks::keep_counts(tx, cycle.id, &totals.tasks).await?;
    Ok(totals)
}

async fn universe_list_answered(tx: &Transaction<'_>, cycle: &Cycle) -> Result<bool, StoreError> {
    let row = tx
        .query_one(
            "SELECT EXISTS (
                 SELECT 1 FROM runner.task
                 WHERE source = $2 AND key = '*' AND acked_cycle = $1 AND outcome IN ('done', 'unchanged')
                   AND page IN (SELECT page FROM runner.list_size WHERE source = $2))
             AND EXISTS (SELECT 1 FROM runner.fund WHERE listed_cycle IS NOT NULL)",
            &[&cycle.id, &UNIVERSE.as_str()],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Largest number of failure reasons in a summary.
const MAX_FAILURES: i64 = 50;

/// The totals of a cycle so far.
pub(super) async fn totals(
    client: &impl Queries,
    cycle: &Cycle,
) -> Result<CycleTotals, StoreError> {
    let row = client
        .query_one(
            "SELECT status_changes FROM runner.cycle WHERE cycle_id = $1",
            &[&cycle.id],
        )
        .await?;
    Ok(CycleTotals {
        tasks: tasks::count(client, cycle.id).await?,
        tables: tasks::read_counts(client, cycle.id).await?,
        failures: tasks::failures(client, cycle.id, MAX_FAILURES).await?,
        status_changes: row.try_get::<_, i64>(0)?.unsigned_abs(),
        breaches: doubts::open_in(client, cycle.id).await?,
        changes: market_changes::read(client, cycle.id).await?,
        paused_histories: tasks::count_paused(client, cycle.id).await?,
    })
}

/// Returns the facts that the schedule depends on. Ignores cycles closed with a date after `closed_until`; `None`
/// includes all.
pub(super) async fn schedule_facts(
    client: &impl Queries,
    closed_until: Option<Date>,
) -> Result<ScheduleFacts, StoreError> {
    let closed = client
        .query_one(
            "SELECT max(cycle_date) FILTER (WHERE kind = 'daily'), max(cycle_date) FILTER (WHERE kind = 'monthly')
             FROM runner.cycle WHERE scope = 'full' AND state = 'closed' AND ($1::date IS NULL OR cycle_date <= $1)",
            &[&closed_until],
        )
        .await?;
    let open = client
        .query_opt(
            &format!(
                "SELECT {COLUMNS} FROM runner.cycle WHERE scope = 'full' AND state = 'open'
                 ORDER BY cycle_id DESC LIMIT 1"
            ),
            &[],
        )
        .await?;
    let failed = client
        .query_opt(
            &format!(
                "SELECT {COLUMNS} FROM runner.cycle WHERE cycle_id =
                     (SELECT max(cycle_id) FROM runner.cycle WHERE scope = 'full' AND state = 'closed')
                 AND EXISTS (SELECT FROM runner.task t
                     WHERE t.planned_cycle = cycle_id AND t.acked_cycle = cycle_id AND t.outcome = 'failed')"
            ),
            &[],
        )
        .await?;
    Ok(ScheduleFacts {
        failed: failed
            .map(|row| read_cycle(&row))
            .transpose()?
            .map(|stored| stored.cycle),
        last_closed_daily: closed.try_get(0)?,
        last_closed_monthly: closed.try_get(1)?,
        open: open
            .map(|row| read_cycle(&row))
            .transpose()?
            .map(|stored| stored.cycle),
    })
}

/// Returns the newest cycles first.
pub(super) async fn newest(
    client: &impl Queries,
    limit: usize,
) -> Result<Vec<CycleStatus>, StoreError> {
    let rows = client
        .query(
            &format!(
                "SELECT {COLUMNS}, started_at, closed_at,
                     (SELECT sum(planned)::bigint FROM runner.cycle_task_count t WHERE t.cycle_id = c.cycle_id),
                     (SELECT sum(failed)::bigint FROM runner.cycle_task_count t WHERE t.cycle_id = c.cycle_id)
                 FROM runner.cycle c ORDER BY cycle_id DESC LIMIT $1"
            ),
            &[&i64::try_from(limit).unwrap_or(i64::MAX)],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let cycle = read_cycle(row)?.cycle;
            Ok(CycleStatus {
                id: cycle.id,
                cycle_date: cycle.cycle_date,
                kind: cycle.kind,
                scope: cycle.scope,
                state: row.try_get(5)?,
                started_at: row.try_get(6)?,
                closed_at: row.try_get(7)?,
                planned: row.try_get::<_, Option<i64>>(8)?.map(i64::unsigned_abs),
                failed: row.try_get::<_, Option<i64>>(9)?.map(i64::unsigned_abs),
            })
        })
        .collect()
}
