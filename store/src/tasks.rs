//! `runner.task`: checkpoint, acknowledgements and counts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use schema::cycle::{Cycle, Scope};
use schema::doubt::series_hash;
use schema::task::{KnownPrefix, PayloadHash, Severity};
use schema::{ObservationData, Outcome, PlannedTask, Reject, SourceName, TaskAnswer, TaskId};

use super::chains;
use super::connection::{Queries, Transaction, expect_rows};
use super::decode::read_source;
use super::error::StoreError;
use super::report::{TableCounts, TaskCounts, TaskPace};

/// A task to plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Its identity.
    pub id: TaskId,
    /// See [`schema::PlannedTask::locator`].
    pub locator: Option<String>,
    /// See [`schema::PlannedTask::extent`].
    pub extent: Option<String>,
}

/// Plans tasks that are not yet planned in the cycle. Returns how many were planned. The history of a project goes on
/// where it was paused; every other list begins with its first page.
pub(super) async fn plan(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    tasks: &[NewTask],
) -> Result<usize, StoreError> {
    let sources: Vec<&str> = tasks.iter().map(|task| task.id.source.as_str()).collect();
    let pages: Vec<&str> = tasks.iter().map(|task| task.id.page.as_str()).collect();
    let keys: Vec<&str> = tasks.iter().map(|task| task.id.key.as_str()).collect();
    let locators: Vec<Option<&str>> = tasks.iter().map(|task| task.locator.as_deref()).collect();
    let extents: Vec<Option<&str>> = tasks.iter().map(|task| task.extent.as_deref()).collect();
    // A task that the planner names twice is planned once.
    let planned = tx
        .execute_counted(
            "runner.task",
            "WITH new AS (
             SELECT DISTINCT ON (source, page, key) source, page, key, locator, extent
             FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
                  AS new (source, page, key, locator, extent)
             ), meant AS (
             SELECT FROM new LEFT JOIN runner.task known USING (source, page, key)
             WHERE known.planned_cycle IS DISTINCT FROM $6
             ), written AS (
             INSERT INTO runner.task AS known (source, page, key, locator, extent, planned_cycle)
             SELECT source, page, key, locator, extent, $6::bigint FROM new
             ON CONFLICT (source, page, key) DO UPDATE SET
                 locator = EXCLUDED.locator, extent = EXCLUDED.extent, planned_cycle = EXCLUDED.planned_cycle,
                 acked_cycle = NULL, attempts = 0, outcome = NULL, failure = NULL, refused_by = NULL,
                 chain = CASE WHEN known.page = $7 THEN jsonb_set(known.chain, '{turn}', '0') END
             WHERE known.planned_cycle IS DISTINCT FROM EXCLUDED.planned_cycle
             RETURNING 1)
             SELECT (SELECT count(*) FROM meant), (SELECT count(*) FROM written)",
            &[
                &sources,
                &pages,
                &keys,
                &locators,
                &extents,
                &cycle.id,
                &TaskId::PROJECT_HISTORY,
            ],
        )
        .await?;
    usize::try_from(planned).map_err(|_| StoreError::Inconsistent("too many tasks".to_owned()))
}

/// A selection of a cycle's tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// The source; `None` selects all.
    pub source: Option<SourceName>,
    /// The pages; `None` selects all.
    pub pages: Option<Vec<String>>,
    /// The largest number of tasks; `None` is unlimited.
    pub at_most: Option<u32>,
}

impl TaskFilter {
    /// All tasks.
    pub const WHOLE: Self = Self {
        source: None,
        pages: None,
        at_most: None,
    };
}

/// The tasks of a cycle that are not acknowledged and belong to a filter.
const LEFT: &str = "FROM runner.task
    WHERE planned_cycle = $1 AND acked_cycle IS DISTINCT FROM $1
      AND ($2::text IS NULL OR source = $2) AND ($3::text[] IS NULL OR page = ANY($3))";

/// Counts the tasks of a filter that are not acknowledged.
pub(super) async fn count_left(
    client: &impl Queries,
    cycle: &Cycle,
    filter: &TaskFilter,
) -> Result<usize, StoreError> {
    let source = filter.source.map(SourceName::as_str);
    let row = client
        .query_one(
            &format!("SELECT count(*) {LEFT}"),
            &[&cycle.id, &source, &filter.pages],
        )
        .await?;
    let left: i64 = row.try_get(0)?;
    usize::try_from(left).map_err(|_| StoreError::Inconsistent("too many tasks".to_owned()))
}

/// Returns the unacknowledged tasks of a filter, sorted by fund, so that pages of one source on different hosts
/// alternate.
pub(super) async fn checkpoint(
    client: &impl Queries,
    cycle: &Cycle,
    filter: &TaskFilter,
) -> Result<Vec<PlannedTask>, StoreError> {
    let source = filter.source.map(SourceName::as_str);
    let rows = client
        .query(
            &format!(
                "SELECT source, page, key, locator, extent, attempts, payload_hash, parser_version,
                     beginning_bytes, beginning_hash, beginning_until, chain {LEFT}
                 ORDER BY source, key, page LIMIT $4"
            ),
            &[
                &cycle.id,
                &source,
                &filter.pages,
                &filter.at_most.map(i64::from),
            ],
        )
        .await?;
    let mut tasks = Vec::with_capacity(rows.len());
    for row in rows {
        let attempts: i32 = row.try_get(5)?;
        let hash: Option<Vec<u8>> = row.try_get(6)?;
        let version: Option<i32> = row.try_get(7)?;
        let hash = hash.and_then(read_hash);
        let bytes: Option<i32> = row.try_get(8)?;
        let begins: Option<Vec<u8>> = row.try_get(9)?;
        let until: Option<Date> = row.try_get(10)?;
        tasks.push(PlannedTask {
            id: TaskId {
                source: read_source(row.try_get(0)?)?,
                page: row.try_get(1)?,
                key: row.try_get(2)?,
            },
            locator: row.try_get(3)?,
            extent: row.try_get(4)?,
            attempts: attempts.unsigned_abs(),
            known_payload: hash.zip(version),
            known_prefix: read_prefix(bytes, begins, until),
            chain: chains::read(row.try_get(11)?)?,
        });
    }
    Ok(tasks)
}

fn read_hash(hash: Vec<u8>) -> Option<PayloadHash> {
    <[u8; 32]>::try_from(hash).ok().map(PayloadHash)
}

/// Returns the known prefix. If any of the three columns is NULL or invalid, it is `None`, and the whole page is
/// parsed.
fn read_prefix(
    bytes: Option<i32>,
    hash: Option<Vec<u8>>,
    until: Option<Date>,
) -> Option<KnownPrefix> {
    Some(KnownPrefix {
        bytes: u32::try_from(bytes?).ok()?,
        hash: read_hash(hash?)?,
        until: until?,
    })
}

/// Acknowledges tasks in the transaction that writes their rows (D1).
pub(super) async fn acknowledge(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answers: &[(usize, &TaskAnswer, Outcome)],
    held: &BTreeSet<usize>,
) -> Result<(), StoreError> {
    if answers.is_empty() {
        return Ok(());
    }
    let mut columns = AckColumns::default();
    for (at, answer, outcome) in answers {
        columns.push(cycle, answer, outcome, held.contains(at));
    }
    // `IS NOT DISTINCT FROM` prevents the use of the index on the cycle. With that index the server would read every
    // task of the cycle for each answer.
    let acknowledged = tx
        .execute(
            "UPDATE runner.task t SET
                 chain = CASE WHEN a.answered AND NOT a.paused THEN NULL ELSE t.chain END,
                 acked_cycle = $1, outcome = a.outcome, failure = a.failure, attempts = a.attempts,
                 payload_hash = CASE WHEN a.outcome = 'done' THEN a.hash ELSE t.payload_hash END,
                 parser_version = CASE WHEN a.outcome = 'done' THEN a.version ELSE t.parser_version END,
                 beginning_bytes = CASE WHEN a.outcome = 'done' THEN a.begins ELSE t.beginning_bytes END,
                 beginning_hash = CASE WHEN a.outcome = 'done' THEN a.begins_hash ELSE t.beginning_hash END,
                 beginning_until = CASE WHEN a.outcome = 'done' THEN a.begins_until ELSE t.beginning_until END,
                 last_answer_at = CASE WHEN a.answered THEN now() ELSE t.last_answer_at END,
                 answered_cycle = CASE WHEN a.answered THEN $1 ELSE t.answered_cycle END,
                 answered_locator = CASE WHEN a.answered THEN t.locator ELSE t.answered_locator END,
                 answered_outcome = CASE WHEN a.answered THEN a.outcome ELSE t.answered_outcome END,
                 extents = CASE WHEN a.answered AND t.extent IS NOT NULL
                     THEN t.extents || jsonb_build_object(t.extent, $11::text) ELSE t.extents END,
                 valued_since = CASE WHEN a.has_values THEN COALESCE(t.valued_since, $1)
                     WHEN NOT a.has_values THEN NULL ELSE t.valued_since END,
                 series_hash = CASE WHEN a.outcome = 'done' THEN COALESCE(a.series_hash, t.series_hash)
                     ELSE t.series_hash END
             FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::bytea[], $9::integer[], $10::bool[],
                         $12::integer[], $13::bytea[], $14::date[], $15::bool[], $16::bytea[], $17::bool[])
                  AS a (source, page, key, outcome, failure, attempts, hash, version, answered, begins, begins_hash, begins_until,
                        has_values, series_hash, paused)
             WHERE t.source = a.source AND t.page = a.page AND t.key = a.key
               AND t.planned_cycle IS NOT DISTINCT FROM $1",
            &[
                &cycle.id,
                &columns.sources,
                &columns.pages,
                &columns.keys,
                &columns.outcomes,
                &columns.failures,
                &columns.attempts,
                &columns.hashes,
                &columns.versions,
                &columns.answered,
                &cycle.cycle_date.to_string(),
                &columns.beginning_bytes,
                &columns.beginning_hashes,
                &columns.beginnings_until,
                &columns.has_values,
                &columns.series_hashes,
                &columns.paused,
            ],
        )
        .await?;
    if acknowledged != answers.len() as u64 {
        // Tasks that are planned in this cycle but were not updated: the database itself prevented the update.
        let planned = tx
            .query_one(
                "SELECT count(*) FROM unnest($2::text[], $3::text[], $4::text[]) AS a (source, page, key)
                 JOIN runner.task t USING (source, page, key) WHERE t.planned_cycle = $1",
                &[&cycle.id, &columns.sources, &columns.pages, &columns.keys],
            )
            .await?;
        let planned = planned.try_get::<_, i64>(0)?.unsigned_abs();
        expect_rows("runner.task", planned, acknowledged)?;
        return Err(StoreError::Inconsistent(format!(
            "{} of {} answered tasks are planned in cycle {}; nothing of the batch was committed",
            acknowledged,
            answers.len(),
            cycle.id
        )));
    }
    Ok(())
}

#[derive(Default)]
struct AckColumns<'answer> {
    sources: Vec<&'static str>,
    pages: Vec<&'answer str>,
    keys: Vec<&'answer str>,
    outcomes: Vec<&'static str>,
    failures: Vec<Option<String>>,
    attempts: Vec<i32>,
    hashes: Vec<Option<Vec<u8>>>,
    versions: Vec<Option<i32>>,
    answered: Vec<bool>,
    beginning_bytes: Vec<Option<i32>>,
    beginning_hashes: Vec<Option<Vec<u8>>>,
    beginnings_until: Vec<Option<Date>>,
    has_values: Vec<Option<bool>>,
    series_hashes: Vec<Option<Vec<u8>>>,
    paused: Vec<bool>,
}

/// The outcome of a task whose answer, or a part of it, waits for the judgement of the round.
const HELD: &str = "held";

/// Largest length of a stored failure text, in characters.
const FAILURE_CHARS: usize = 1_000;

impl<'answer> AckColumns<'answer> {
    fn push(
        &mut self,
        cycle: &Cycle,
        answer: &'answer TaskAnswer,
        outcome: &Outcome,
        is_held: bool,
    ) {
        // A whole list that a partial cycle reads changes no status. Its hash is not stored, so that the next full
        // cycle reads it again.
        let forget = cycle.scope == Scope::Partial && answer.id.key == TaskId::WHOLE_MARKET;
        let payload = answer.payload.filter(|_| !forget);
        // A prefix that is too long for the column is not stored.
        let known_prefix = answer
            .known_prefix
            .filter(|_| !forget)
            .and_then(|known_prefix| {
                let bytes = i32::try_from(known_prefix.bytes).ok()?;
                Some((bytes, known_prefix))
            });
        self.sources.push(answer.id.source.as_str());
        self.pages.push(&answer.id.page);
        self.keys.push(&answer.id.key);
        self.outcomes
            .push(if is_held { HELD } else { outcome.as_str() });
        self.failures.push(match outcome {
            Outcome::Failed(why) | Outcome::Deferred(why) => Some(
                why.chars()
                    .filter(|c| *c != '\0')
                    .take(FAILURE_CHARS)
                    .collect(),
            ),
            Outcome::Done | Outcome::Unchanged | Outcome::Absent => None,
        });
        self.attempts
            .push(i32::try_from(answer.attempts).unwrap_or(i32::MAX));
        self.hashes.push(payload.map(|(hash, _)| hash.0.to_vec()));
        self.versions.push(payload.map(|(_, version)| version));
        self.answered.push(outcome.is_answer() && !is_held);
        self.has_values.push(match outcome {
            _ if is_held => None,
            Outcome::Done | Outcome::Absent => Some(!answer.is_without_values()),
            Outcome::Unchanged | Outcome::Failed(_) | Outcome::Deferred(_) => None,
        });
        self.series_hashes.push(newest_days(answer));
        self.paused.push(answer.is_paused);
        self.beginning_bytes
            .push(known_prefix.map(|(bytes, _)| bytes));
        self.beginning_hashes
            .push(known_prefix.map(|(_, known_prefix)| known_prefix.hash.0.to_vec()));
        self.beginnings_until
            .push(known_prefix.map(|(_, known_prefix)| known_prefix.until));
    }
}

/// The hash of the newest days of the NAV series in an answer.
fn newest_days(answer: &TaskAnswer) -> Option<Vec<u8>> {
    let points = answer
        .observations
        .iter()
        .find_map(|observation| match &observation.data {
            ObservationData::Daily(points) => Some(points),
            _ => None,
        })?;
    series_hash(points).map(|hash| hash.to_vec())
}

/// Records the constraint that refuses a task's answer. The task is not requested again while the constraint exists.
pub(super) async fn note_refusal(
    tx: &Transaction<'_>,
    id: &TaskId,
    constraint: &str,
) -> Result<(), StoreError> {
    tx.execute_expecting(
        "runner.task",
        1,
        "UPDATE runner.task SET refused_by = $4 WHERE source = $1 AND page = $2 AND key = $3",
        &[&id.source.as_str(), &id.page, &id.key, &constraint],
    )
    .await
}

/// Writes the rejects of answers.
pub(super) async fn write_rejects(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    rejects: &[(&TaskId, &Reject)],
) -> Result<(), StoreError> {
    if rejects.is_empty() {
        return Ok(());
    }
    let clean = Reject::sample_of;
    let sources: Vec<&str> = rejects.iter().map(|(id, _)| id.source.as_str()).collect();
    let pages: Vec<&str> = rejects.iter().map(|(id, _)| id.page.as_str()).collect();
    let keys: Vec<&str> = rejects.iter().map(|(id, _)| id.key.as_str()).collect();
    let codes: Vec<Option<String>> = rejects
        .iter()
        .map(|(_, reject)| reject.fund_code.as_deref().map(clean))
        .collect();
    let datasets: Vec<&str> = rejects
        .iter()
        .map(|(_, reject)| reject.dataset.as_str())
        .collect();
    let fields: Vec<String> = rejects
        .iter()
        .map(|(_, reject)| clean(&reject.field))
        .collect();
    let reasons: Vec<String> = rejects
        .iter()
        .map(|(_, reject)| clean(&reject.reason))
        .collect();
    let samples: Vec<String> = rejects
        .iter()
        .map(|(_, reject)| clean(&reject.sample))
        .collect();
    let severities: Vec<&str> = rejects
        .iter()
        .map(|(_, reject)| match reject.severity {
            Severity::Rejected => "rejected",
            Severity::Noted => "noted",
        })
        .collect();
    tx.execute_expecting(
        "runner.rejected",
        rejects.len(),
        "INSERT INTO runner.rejected (cycle_id, source, page, key, fund_code, dataset, field, reason, sample, severity)
         SELECT $1::bigint, *
         FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])",
        &[
            &cycle.id, &sources, &pages, &keys, &codes, &datasets, &fields, &reasons, &samples,
            &severities,
        ],
    )
    .await
}

/// Counts the histories of projects that a cycle has read in part and paused.
pub(super) async fn count_paused(client: &impl Queries, cycle_id: i64) -> Result<u64, StoreError> {
    let row = client
        .query_one(
            "SELECT count(*) FROM runner.task
             WHERE planned_cycle = $1 AND acked_cycle = $1 AND page = $2 AND outcome = 'done' AND chain IS NOT NULL",
            &[&cycle_id, &TaskId::PROJECT_HISTORY],
        )
        .await?;
    Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
}

/// Counts the tasks of a cycle by source and outcome.
pub(super) async fn count(
    client: &impl Queries,
    cycle_id: i64,
) -> Result<BTreeMap<SourceName, TaskCounts>, StoreError> {
    let rows = client
        .query(
            "SELECT source, CASE WHEN acked_cycle = planned_cycle THEN outcome END, count(*)
             FROM runner.task WHERE planned_cycle = $1 GROUP BY 1, 2",
            &[&cycle_id],
        )
        .await?;
    let mut by_source: BTreeMap<SourceName, TaskCounts> = BTreeMap::new();
    for row in rows {
        let counts = by_source.entry(read_source(row.try_get(0)?)?).or_default();
        let outcome: Option<String> = row.try_get(1)?;
        let tasks = row.try_get::<_, i64>(2)?.unsigned_abs();
        counts.planned += tasks;
        match outcome.as_deref() {
            Some("done") => counts.done += tasks,
            Some("unchanged") => counts.unchanged += tasks,
            Some("absent") => counts.absent += tasks,
            Some("failed") => counts.failed += tasks,
            Some("deferred") => counts.deferred += tasks,
            _ => counts.open += tasks,
        }
    }
    Ok(by_source)
}

/// The number of tasks of a cycle answered within the last two minutes, by source. A shorter period would jump with
/// each batch.
pub(super) async fn paces(
    client: &impl Queries,
    cycle_id: i64,
) -> Result<Vec<(SourceName, TaskPace)>, StoreError> {
    let rows = client
        .query(
            "SELECT task.source, count(*),
                    least(120, extract(epoch FROM now() - cycle.started_at))::int8
             FROM runner.task task JOIN runner.cycle cycle ON cycle.cycle_id = task.planned_cycle
             WHERE task.planned_cycle = $1 AND task.acked_cycle = $1
               AND task.last_answer_at > now() - interval '2 minutes'
             GROUP BY task.source, cycle.started_at ORDER BY task.source",
            &[&cycle_id],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let pace = TaskPace {
                answered: row.try_get::<_, i64>(1)?.unsigned_abs(),
                secs: row.try_get::<_, i64>(2)?.unsigned_abs(),
            };
            Ok((read_source(row.try_get(0)?)?, pace))
        })
        .collect()
}

/// Stores how the tasks of a closing cycle ended, because the next cycle reuses their rows.
pub(super) async fn keep_counts(
    tx: &Transaction<'_>,
    cycle_id: i64,
    counts: &BTreeMap<SourceName, TaskCounts>,
) -> Result<(), StoreError> {
    for (source, counts) in counts {
        let numbers = [
            counts.planned,
            counts.done,
            counts.unchanged,
            counts.absent,
            counts.failed,
        ]
        .map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        let [planned, done, unchanged, absent, failed] = &numbers;
        tx.execute_expecting(
            "runner.cycle_task_count",
            1,
            "INSERT INTO runner.cycle_task_count (cycle_id, source, planned, done, unchanged, absent, failed)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (cycle_id, source) DO UPDATE SET planned = EXCLUDED.planned, done = EXCLUDED.done,
                 unchanged = EXCLUDED.unchanged, absent = EXCLUDED.absent, failed = EXCLUDED.failed",
            &[&cycle_id, &source.as_str(), planned, done, unchanged, absent, failed],
        )
        .await?;
    }
    Ok(())
}

/// Failures by source and reason, the most frequent first.
pub(super) async fn failures(
    client: &impl Queries,
    cycle_id: i64,
    limit: i64,
) -> Result<Vec<(SourceName, String, u64)>, StoreError> {
    let rows = client
        .query(
            "SELECT source, failure, count(*) FROM runner.task
             WHERE planned_cycle = $1 AND acked_cycle = $1 AND outcome IN ('failed', 'deferred')
             GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT $2",
            &[&cycle_id, &limit],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let failure: Option<String> = row.try_get(1)?;
            Ok((
                read_source(row.try_get(0)?)?,
                failure.unwrap_or_else(|| "no reason given".to_owned()),
                row.try_get::<_, i64>(2)?.unsigned_abs(),
            ))
        })
        .collect()
}

/// Adds the counts of a batch to those of its cycle.
pub(super) async fn add_counts(
    tx: &Transaction<'_>,
    cycle_id: i64,
    tables: &BTreeMap<String, TableCounts>,
) -> Result<(), StoreError> {
    if tables.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = tables.keys().map(String::as_str).collect();
    let mut columns: [Vec<i64>; 9] = Default::default();
    for counts in tables.values() {
        for (column, number) in columns.iter_mut().zip(as_columns(counts)) {
            column.push(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
    let [a, b, c, d, e, f, g, h, i] = &columns;
    tx.execute_expecting(
        "runner.cycle_count",
        tables.len(),
        "INSERT INTO runner.cycle_count AS held (cycle_id, table_name, observed, inserted, updated, unchanged,
             superseded, rejected, unreadable, rows_inserted, rows_updated)
         SELECT $1::bigint, *
         FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
             $9::bigint[], $10::bigint[], $11::bigint[])
         ON CONFLICT (cycle_id, table_name) DO UPDATE SET
             observed = held.observed + EXCLUDED.observed, inserted = held.inserted + EXCLUDED.inserted,
             updated = held.updated + EXCLUDED.updated, unchanged = held.unchanged + EXCLUDED.unchanged,
             superseded = held.superseded + EXCLUDED.superseded, rejected = held.rejected + EXCLUDED.rejected,
             unreadable = held.unreadable + EXCLUDED.unreadable,
             rows_inserted = held.rows_inserted + EXCLUDED.rows_inserted,
             rows_updated = held.rows_updated + EXCLUDED.rows_updated",
        &[&cycle_id, &names, a, b, c, d, e, f, g, h, i],
    )
    .await
}

const fn as_columns(counts: &TableCounts) -> [u64; 9] {
    let records = &counts.records;
    [
        records.observed,
        records.inserted,
        records.updated,
        records.unchanged,
        records.superseded,
        records.rejected,
        counts.unreadable,
        counts.rows_inserted,
        counts.rows_updated,
    ]
}

/// The counts of a cycle by table.
pub(super) async fn read_counts(
    client: &impl Queries,
    cycle_id: i64,
) -> Result<BTreeMap<String, TableCounts>, StoreError> {
    let rows = client
        .query(
            "SELECT table_name, observed, inserted, updated, unchanged, superseded, rejected, unreadable,
                    rows_inserted, rows_updated
             FROM runner.cycle_count WHERE cycle_id = $1",
            &[&cycle_id],
        )
        .await?;
    let mut tables = BTreeMap::new();
    for row in rows {
        let mut numbers = [0_u64; 9];
        for (at, number) in numbers.iter_mut().enumerate() {
            *number = row.try_get::<_, i64>(at + 1)?.unsigned_abs();
        }
        let mut counts = TableCounts::default();
        [
            counts.records.observed,
            counts.records.inserted,
            counts.records.updated,
            counts.records.unchanged,
            counts.records.superseded,
            counts.records.rejected,
            counts.unreadable,
            counts.rows_inserted,
            counts.rows_updated,
        ] = numbers;
        tables.insert(row.try_get(0)?, counts);
    }
    Ok(tables)
}
