//! The result of a run, for the comparison with an undisturbed run: the seven tables, the runner's own tables, and the
//! time of each task's acknowledgement.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use crate::world::{PageAsked, World};

/// Records each acknowledgement in its own transaction, so that a rollback also removes the record.
pub const AUDIT: &str = "
    CREATE SCHEMA audit;
    CREATE TABLE audit.acknowledged (
        number BIGINT GENERATED ALWAYS AS IDENTITY, source TEXT, page TEXT, key TEXT, locator TEXT, outcome TEXT);
    CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO audit.acknowledged (source, page, key, locator, outcome)
        VALUES (NEW.source, NEW.page, NEW.key, NEW.locator, NEW.outcome);
        RETURN NULL;
    END $$;
    CREATE TRIGGER note AFTER UPDATE OF acked_cycle ON runner.task FOR EACH ROW
        WHEN (NEW.acked_cycle IS NOT NULL) EXECUTE FUNCTION audit.note();";

/// Every row that depends only on what was observed (D4), without timestamps and identity values: a cycle whose start
/// was rolled back leaves a gap in the cycle numbers. Rows that depend on the order of arrival are left out (`history`,
/// inserted versus updated), but duplicates in them are reported.
const LEFT: &str = "
    SELECT 'funds_master_info ' || (to_jsonb(t) - '{scraped_at,cycle_id}'::text[])::text FROM public.funds_master_info t
    UNION ALL SELECT 'funds_daily ' || (to_jsonb(t) - '{scraped_at,cycle_id}'::text[])::text FROM public.funds_daily t
    UNION ALL SELECT 'funds_statistics ' || (to_jsonb(t) - '{scraped_at,cycle_id}'::text[])::text FROM public.funds_statistics t
    UNION ALL SELECT 'funds_fee ' || (to_jsonb(t) - '{scraped_at,cycle_id}'::text[])::text FROM public.funds_fee t
    UNION ALL SELECT 'funds_holding ' || (to_jsonb(t) - '{scraped_at,cycle_id}'::text[])::text FROM public.funds_holding t
    UNION ALL SELECT 'funds_allocations ' || (to_jsonb(t) - '{scraped_at,cycle_id}'::text[])::text FROM public.funds_allocations t
    UNION ALL SELECT 'funds_codes ' || (to_jsonb(t) - '{scraped_at,cycle_id}'::text[])::text FROM public.funds_codes t
    UNION ALL SELECT 'funds_dividends ' || (to_jsonb(t) - '{scraped_at,cycle_id}'::text[])::text FROM public.funds_dividends t
    UNION ALL SELECT 'funds_performance ' || (to_jsonb(t) - '{scraped_at,cycle_id}'::text[])::text FROM public.funds_performance t
    UNION ALL SELECT format('task %s, payload known %s, answered %s, planned %s, acknowledged %s',
                  to_jsonb(t) - '{attempts,payload_hash,last_answer_at,planned_cycle,acked_cycle,answered_cycle,valued_since}'::text[],
                  payload_hash IS NOT NULL, last_answer_at IS NOT NULL, planned_cycle IS NOT NULL, acked_cycle IS NOT NULL)
              FROM runner.task t
    UNION ALL SELECT format('observation %s %s', fund_code, to_jsonb(t) - '{fund_id,said_at,cycle_id}'::text[])
              FROM runner.observation t JOIN runner.fund USING (fund_id)
    UNION ALL SELECT 'dissent ' || (to_jsonb(t) - '{said_at,cycle_id}'::text[])::text FROM runner.daily_dissent t
    UNION ALL SELECT 'waiting ' || to_jsonb(t)::text FROM runner.daily_waiting t
    UNION ALL SELECT 'rejected ' || (to_jsonb(t) - '{reject_id,rejected_at,cycle_id}'::text[])::text FROM runner.rejected t
    UNION ALL SELECT 'list size ' || (to_jsonb(t) - 'cycle_id')::text FROM runner.list_size t
    UNION ALL SELECT 'fund ' || (to_jsonb(t) - '{fund_id,first_seen,last_seen,listed_cycle,entered_cycle,renamed_cycle}'::text[])::text FROM runner.fund t
    UNION ALL SELECT format('alias %s %s', fund_code, to_jsonb(t) - '{fund_id,first_cycle,last_cycle}'::text[])
              FROM runner.alias t JOIN runner.fund USING (fund_id)
    UNION ALL SELECT 'cycle ' || (to_jsonb(t) - '{cycle_id,started_at,closed_at,round}'::text[])::text FROM runner.cycle t
    UNION ALL SELECT format('count %s %s %s %s', table_name, observed, rejected, unreadable) FROM runner.cycle_count
    UNION ALL SELECT 'tasks ' || (to_jsonb(t) - 'cycle_id')::text FROM runner.cycle_task_count t
    UNION ALL SELECT format('%s times in history.change: %s', count(*), line)
              FROM (SELECT to_jsonb(t) - '{change_id,changed_at}'::text[] AS line FROM history.change t) t
              GROUP BY line HAVING count(*) > 1
    UNION ALL SELECT format('%s times in history.portfolio: %s', count(*), line)
              FROM (SELECT to_jsonb(t) - '{portfolio_id,replaced_at}'::text[] AS line FROM history.portfolio t) t
              GROUP BY line HAVING count(*) > 1";

const ACKNOWLEDGED: &str = "SELECT source, page, key, coalesce(locator, ''), outcome,
            (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint
     FROM audit.acknowledged ORDER BY number";

/// All rows of `LEFT`, sorted, with the simulator's addresses replaced by names.
pub async fn left_in(world: &World) -> Vec<String> {
    let urls = world.simulator.urls();
    let names = [
        (&urls.finnomena, "FINNOMENA"),
        (&urls.wealthmagik, "WEALTHMAGIK"),
        (&urls.sec_page, "SEC-PAGE"),
        (&urls.sec_api, "SEC-API"),
        (&urls.documents, "DOCUMENTS"),
        (&urls.sec_open_api, "SEC-OPEN-API"),
    ];
    let mut left: Vec<String> = world
        .ask(LEFT)
        .await
        .into_iter()
        .flatten()
        .flatten()
        .map(|line| {
            names
                .iter()
                .fold(line, |line, (url, name)| line.replace(*url, name))
        })
        .collect();
    left.sort_unstable();
    left
}

/// Removes the additional rows of a fund whose preferred source failed in round 1. Such a fund also reads the factsheet
/// at the second source's URL. The rows of the seven tables stay.
pub fn without_second_factsheets(lines: &[String]) -> Vec<String> {
    let told_of = |line: &String| {
        ["\"page\": \"factsheet\"", "\"dataset\": \"codes\""]
            .iter()
            .any(|part| line.contains(part))
            || ["count funds_codes", "tasks "]
                .iter()
                .any(|start| line.starts_with(start))
    };
    let kept = lines.iter().filter(|line| !told_of(line));
    kept.cloned().collect()
}

/// The first missing and surplus lines; empty if there is no difference.
pub fn difference(expected: &[String], found: &[String]) -> String {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for line in expected {
        *counts.entry(line).or_default() += 1;
    }
    for line in found {
        *counts.entry(line).or_default() -= 1;
    }
    counts
        .iter()
        .filter(|(_, count)| **count != 0)
        .map(|(line, count)| {
            let sign = if *count > 0 { '-' } else { '+' };
            format!("  {sign} {line}\n")
        })
        .take(16)
        .collect()
}

/// Describes each task that was acknowledged with an answer and acknowledged or requested again after that COMMIT. A
/// task that failed or was deferred may be requested again.
pub async fn asked_again(world: &World) -> Vec<String> {
    let rows = world
        .database
        .connect()
        .await
        .query(ACKNOWLEDGED, &[])
        .await
        .expect("the audit answers");
    let mut told = Vec::new();
    let mut answered: BTreeMap<(String, String, String), i64> = BTreeMap::new();
    // Two tasks may share a page (two classes with one factsheet). The later acknowledgement is used.
    let mut pages: BTreeMap<PageAsked, Duration> = BTreeMap::new();
    for row in rows {
        let (source, page, key, locator, outcome): (String, String, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
        let committed: i64 = row.get(5);
        let task = (source.clone(), page.clone(), key.clone());
        if answered.contains_key(&task) {
            told.push(format!(
                "{task:?} was answered and acknowledged again ({outcome})"
            ));
        }
        if outcome == "failed" || outcome == "deferred" {
            continue;
        }
        answered.insert(task, committed);
        let asked = PageAsked::of_task(&source, &page, &key, &locator)
            .unwrap_or_else(|| panic!("how is {source}/{page} asked?"));
        let committed = Duration::from_micros(committed.unsigned_abs());
        let latest = pages.entry(asked).or_default();
        *latest = committed.max(*latest);
    }
    let began = world
        .simulator
        .began_at()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is right");
    let mut seen = 0;
    for request in &world.simulator.log().requests {
        for page in PageAsked::of_request(request) {
            let Some(committed) = pages.get(&page) else {
                continue;
            };
            seen += 1;
            let started = began + request.started;
            if started > *committed {
                told.push(format!(
                    "{page:?} was asked {:?} after it was acknowledged",
                    started.saturating_sub(*committed)
                ));
            }
        }
    }
    assert!(
        seen >= pages.len() && !pages.is_empty(),
        "{seen} requests for {} acknowledged pages: the test does not know how they are asked",
        pages.len()
    );
    told
}
