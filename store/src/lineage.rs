//! `runner.fund_lineage`: the links between the codes of one fund, computed anew when a full cycle closes.
//!
//! They are computed there because a link needs facts of several pages: the list, ISINs, the register's profiles, and
//! both ends of the NAV series. In the transaction that closes the cycle all of them are stored, so a link never
//! depends on the order of the batches, and a crash leaves the links of the cycle before. A partial cycle computes
//! none, as it changes no status.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rust_decimal::Decimal;
use tokio_postgres::Row;

use schema::cycle::Cycle;
use schema::fund_status::register_says_active;
use schema::lineage::{CodeFacts, Link, Listing, NavDay, links};
use schema::precedence::{REGISTER, UNIVERSE};
use schema::{FundCode, Number};

use super::connection::{Queries, Transaction};
use super::decode::read_code;
use super::error::StoreError;

/// The facts of every code that has rows. Parameters: the deciding source, the register.
///
/// - A code that Finnomena's list ever had is judged by that list, any other one by the register's. Only whole lists
///   count. A code that the list calls inactive has left it.
/// - A code without a neighbour in its project needs no NAVs: the hand-over rule compares codes of one project.
const FACTS: &str = "
    WITH newest AS MATERIALIZED (
        SELECT (SELECT max(listed_cycle) FROM runner.fund) AS list,
               (SELECT max(cycle_id) FROM runner.list_size WHERE source = $2) AS register
    ), registered AS MATERIALIZED (
        SELECT fund_id, max(last_cycle) AS until,
               CASE WHEN min(split_part(source_key, '/', 1)) = max(split_part(source_key, '/', 1))
                    THEN min(split_part(source_key, '/', 1)) END AS project
        FROM runner.alias WHERE source = $2 GROUP BY fund_id
    ), shared AS MATERIALIZED (
        SELECT project FROM registered JOIN runner.fund f USING (fund_id)
        WHERE f.in_universe GROUP BY project HAVING count(*) > 1
    )
    SELECT f.fund_code, f.listed_cycle, f.listed_cycle = newest.list AND f.list_says_active IS DISTINCT FROM false,
           registered.until, registered.until >= newest.register, f.register_status,
           ARRAY(SELECT a.source_key FROM runner.alias a WHERE a.fund_id = f.fund_id AND a.source = $1
                 ORDER BY a.source_key),
           ARRAY(SELECT a.last_cycle = max(a.last_cycle) OVER () FROM runner.alias a
                 WHERE a.fund_id = f.fund_id AND a.source = $1 ORDER BY a.source_key),
           ARRAY(SELECT c.code FROM public.funds_codes c WHERE c.fund_code = f.fund_code AND c.type = 'ISIN'
                 UNION
                 SELECT entry ->> 'code' FROM runner.observation o
                 CROSS JOIN LATERAL jsonb_array_elements(o.fields -> 'codes') AS code (entry)
                 WHERE o.fund_id = f.fund_id AND o.source = $2 AND o.dataset = 'profile_codes'
                   AND entry ->> 'type' = 'ISIN'),
           registered.project, first.nav_date, first.nav_value, last.nav_date, last.nav_value
    FROM runner.fund f CROSS JOIN newest
    LEFT JOIN registered USING (fund_id)
    LEFT JOIN shared USING (project)
    LEFT JOIN LATERAL (
        SELECT d.nav_date, d.nav_value FROM public.funds_daily d
        WHERE d.fund_code = f.fund_code AND d.nav_value IS NOT NULL AND shared.project IS NOT NULL
        ORDER BY d.nav_date LIMIT 1) first ON true
    LEFT JOIN LATERAL (
        SELECT d.nav_date, d.nav_value FROM public.funds_daily d
        WHERE d.fund_code = f.fund_code AND d.nav_value IS NOT NULL AND shared.project IS NOT NULL
        ORDER BY d.nav_date DESC LIMIT 1) last ON true
    WHERE f.in_universe";

fn read_facts(row: &Row) -> Result<CodeFacts, StoreError> {
    let (mut until, mut is_listed): (Option<i64>, Option<bool>) =
        (row.try_get(1)?, row.try_get(2)?);
    if until.is_none() {
        until = row.try_get(3)?;
        let in_newest: Option<bool> = row.try_get(4)?;
        let has_ended = register_says_active(row.try_get(5)?) == Some(false);
        is_listed = in_newest.map(|in_newest| in_newest && !has_ended);
    }
    let listing = match until {
        None => Listing::Never,
        Some(_) if is_listed == Some(true) => Listing::Now,
        Some(cycle) => Listing::Until(cycle),
    };
    let (ids, held_last): (Vec<String>, Vec<bool>) = (row.try_get(6)?, row.try_get(7)?);
    let isins: Vec<String> = row.try_get(8)?;
    let navs = nav_day(row, 10)?.zip(nav_day(row, 12)?);
    Ok(CodeFacts {
        code: read_code(row.try_get(0)?)?,
        listing,
        finnomena_ids: ids.into_iter().zip(held_last).collect(),
        isins: isins.into_iter().collect(),
        project: row.try_get(9)?,
        navs,
    })
}

/// The day and the NAV in two columns.
fn nav_day(row: &Row, at: usize) -> Result<Option<NavDay>, StoreError> {
    let (date, nav): (Option<Date>, Option<Decimal>) = (row.try_get(at)?, row.try_get(at + 1)?);
    let (Some(date), Some(nav)) = (date, nav) else {
        return Ok(None);
    };
    let nav = Number::try_from(nav).map_err(|error| {
        StoreError::Inconsistent(format!(
            "public.funds_daily has a NAV out of range: {error}"
        ))
    })?;
    Ok(Some(NavDay { date, nav }))
}

/// Makes `runner.fund_lineage` equal to the links that the stored facts give. Writes only rows that differ. A link that
/// is no longer true is deleted.
pub(super) async fn record(tx: &Transaction<'_>, cycle: &Cycle) -> Result<(), StoreError> {
    let rows = tx
        .query(FACTS, &[&UNIVERSE.as_str(), &REGISTER.as_str()])
        .await?;
    let facts: Vec<CodeFacts> = rows.iter().map(read_facts).collect::<Result<_, _>>()?;
    let mut stored = read_stored(tx).await?;
    let mut written = Vec::new();
    for link in links(&facts) {
        let evidence = serde_json::to_value(&link.evidence).map_err(|error| {
            StoreError::Inconsistent(format!("the evidence of a link is not JSON: {error}"))
        })?;
        let pair = (link.old.to_string(), link.new.to_string());
        let is_stored = stored
            .get(&pair)
            .is_some_and(|found| found.is_of(&link) && found.evidence == evidence);
        if is_stored {
            stored.remove(&pair);
            continue;
        }
        // The cycle is that in which the link was found in this form; newer evidence for it does not change that.
        let found = stored.get(&pair).filter(|found| found.is_of(&link));
        let cycle_id = found.map_or(cycle.id, |found| found.cycle_id);
        written.push((link, evidence, cycle_id));
    }
    delete(tx, stored.keys()).await?;
    insert(tx, &written).await
}

/// A row of `runner.fund_lineage`.
struct StoredLink {
    rule: String,
    is_certain: bool,
    evidence: serde_json::Value,
    cycle_id: i64,
}

impl StoredLink {
    fn is_of(&self, link: &Link) -> bool {
        self.rule == link.rule.as_str() && self.is_certain == link.is_certain
    }
}

async fn read_stored(
    tx: &Transaction<'_>,
) -> Result<BTreeMap<(String, String), StoredLink>, StoreError> {
    let rows = tx
        .query(
            "SELECT old_code, new_code, rule, is_certain, evidence, cycle_id FROM runner.fund_lineage",
            &[],
        )
        .await?;
    let mut stored = BTreeMap::new();
    for row in rows {
        let link = StoredLink {
            rule: row.try_get(2)?,
            is_certain: row.try_get(3)?,
            evidence: row.try_get(4)?,
            cycle_id: row.try_get(5)?,
        };
        stored.insert((row.try_get(0)?, row.try_get(1)?), link);
    }
    Ok(stored)
}

async fn delete<'pair>(
    tx: &Transaction<'_>,
    pairs: impl Iterator<Item = &'pair (String, String)>,
) -> Result<(), StoreError> {
    let (old, new): (Vec<&str>, Vec<&str>) =
        pairs.map(|(old, new)| (old.as_str(), new.as_str())).unzip();
    if old.is_empty() {
        return Ok(());
    }
    tx.execute_expecting(
        "runner.fund_lineage",
        old.len(),
        "DELETE FROM runner.fund_lineage t USING unnest($1::text[], $2::text[]) AS gone (old_code, new_code)
         WHERE t.old_code = gone.old_code AND t.new_code = gone.new_code",
        &[&old, &new],
    )
    .await
}

async fn insert(
    tx: &Transaction<'_>,
    links: &[(Link, serde_json::Value, i64)],
) -> Result<(), StoreError> {
    if links.is_empty() {
        return Ok(());
    }
    let rows = links.iter().map(|(link, evidence, cycle_id)| {
        serde_json::json!({
            "old_code": link.old, "new_code": link.new, "rule": link.rule.as_str(),
            "is_certain": link.is_certain, "evidence": evidence, "cycle_id": cycle_id,
        })
    });
    tx.execute_expecting(
        "runner.fund_lineage",
        links.len(),
        "INSERT INTO runner.fund_lineage (old_code, new_code, rule, is_certain, evidence, cycle_id)
         SELECT old_code, new_code, rule, is_certain, evidence, cycle_id
         FROM jsonb_to_recordset($1::jsonb) AS new (old_code text, new_code text, rule text, is_certain boolean,
             evidence jsonb, cycle_id bigint)",
        &[&serde_json::Value::Array(rows.collect())],
    )
    .await
}

/// A link of a fund, for an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameLink {
    /// The old code.
    pub old: FundCode,
    /// The next code.
    pub new: FundCode,
    /// The rule: `finnomena_id`, `isin` or `hand_over`.
    pub rule: String,
    /// Whether the link is certain; otherwise it is a proposal.
    pub is_certain: bool,
    /// The values behind it, as JSON.
    pub evidence: String,
}

/// Returns the links of a fund from the oldest name to the newest: every certain link of its chain, and the proposals
/// that name one of the codes of the chain.
pub(super) async fn names(
    client: &impl Queries,
    fund_code: &FundCode,
) -> Result<Vec<NameLink>, StoreError> {
    let rows = client
        .query(
            "WITH RECURSIVE older (name, age) AS (
                 SELECT $1::text COLLATE \"C\", 0
                 UNION ALL
                 SELECT l.old_code, age + 1 FROM older
                 JOIN runner.fund_lineage l ON l.new_code = older.name AND l.is_certain
             ), newer (name, age) AS (
                 SELECT $1::text COLLATE \"C\", 0
                 UNION ALL
                 SELECT l.new_code, age - 1 FROM newer
                 JOIN runner.fund_lineage l ON l.old_code = newer.name AND l.is_certain
             ), names AS (SELECT * FROM older UNION SELECT * FROM newer)
             SELECT l.old_code, l.new_code, l.rule, l.is_certain, l.evidence::text
             FROM runner.fund_lineage l
             LEFT JOIN names old ON old.name = l.old_code LEFT JOIN names new ON new.name = l.new_code
             WHERE old.name IS NOT NULL OR new.name IS NOT NULL
             ORDER BY COALESCE(old.age, new.age + 1) DESC, l.is_certain DESC, 1, 2",
            &[&fund_code.as_str()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(NameLink {
                old: read_code(row.try_get(0)?)?,
                new: read_code(row.try_get(1)?)?,
                rule: row.try_get(2)?,
                is_certain: row.try_get(3)?,
                evidence: row.try_get(4)?,
            })
        })
        .collect()
}
