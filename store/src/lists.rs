//! Checks of whole lists: a list that shrank, or that lost a whole company, is not accepted (D7, D8).

use std::collections::{BTreeMap, BTreeSet};

use schema::cycle::{Cycle, Scope};
use schema::{Observation, ObservationData, Outcome, TaskAnswer, TaskId};

use super::connection::{Queries as _, Transaction};
use super::error::StoreError;

/// Largest percentage of entries that a list may lose, compared with the largest list of the last [`YARD_STICK_DAYS`]
/// days.
pub(super) const MAX_SHRINKAGE_PERCENT: u64 = 10;
/// A list is compared with the largest list of this many days, because many small losses add up.
const YARD_STICK_DAYS: i32 = 30;
/// Smallest number of lost funds that is a breach. A company with fewer funds may close all of them in one night.
const COMPANY_FUNDS: usize = 3;
/// Largest number of funds of a lost company that a breach names.
const EXAMPLES: usize = 3;

/// Number of entries of a list, and how many of them the list calls active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListSize {
    pub entries: u64,
    pub active: u64,
}

impl ListSize {
    fn of(observations: &[&Observation]) -> Self {
        let listings = observations
            .iter()
            .filter_map(|observation| match &observation.data {
                ObservationData::Listing { fields, .. } => Some(fields.sec_is_active == Some(true)),
                _ => None,
            });
        let mut size = Self {
            entries: 0,
            active: 0,
        };
        for active in listings {
            size.entries += 1;
            size.active += u64::from(active);
        }
        size
    }
}

/// Returns why a list of size `found` is a breach, if the largest recent list had the size `before`.
pub(super) fn breach(before: ListSize, found: ListSize) -> Option<String> {
    let kept_percent = 100 - MAX_SHRINKAGE_PERCENT;
    if found.entries * 100 < before.entries * kept_percent {
        let least = (before.entries * kept_percent).div_ceil(100);
        return Some(format!(
            "the list shrank: expected at least {least} entries ({kept_percent} % of the {} of the largest list of the last {YARD_STICK_DAYS} days), found {}",
            before.entries, found.entries
        ));
    }
    if before.active > 0 && found.active == 0 {
        return Some(format!(
            "the list names no active fund: expected about {}, as in the last {YARD_STICK_DAYS} days, found 0",
            before.active
        ));
    }
    None
}

/// Compares a whole list with the lists of the closed full cycles of the last 30 days, or with the newest list if that
/// is older. Returns the breach as a sentence for the operator. In a full cycle the size of an accepted list is stored,
/// and later lists are compared with it once the cycle is closed.
///
/// `said` is what the list says in this batch: a list with cursors may have several pages in it. Its pages in earlier
/// batches are stored.
pub(super) async fn check(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answer: &TaskAnswer,
    said: &[&Observation],
) -> Result<Option<String>, StoreError> {
    let is_whole = answer.id.key == TaskId::WHOLE_MARKET && answer.is_finished();
    if !is_whole || answer.outcome != Outcome::Done {
        return Ok(None);
    }
    let mut found = ListSize::of(said);
    if answer.is_list_part && answer.id.page == TaskId::CLASSES {
        found.entries += earlier_pages(tx, cycle, answer).await?;
    }
    let source = answer.id.source.as_str();
    let before = tx
        .query_opt(
            "WITH known AS (
                 SELECT s.entries, s.active_entries, c.cycle_date, cycle_id
                 FROM runner.list_size s JOIN runner.cycle c USING (cycle_id)
                 WHERE s.source = $1 AND s.page = $2 AND c.state = 'closed' AND c.scope = 'full')
             SELECT max(entries), max(active_entries) FROM known
             WHERE cycle_date > $3::date - $4::integer OR cycle_id = (SELECT max(cycle_id) FROM known)
             HAVING count(*) > 0",
            &[&source, &answer.id.page, &cycle.cycle_date, &YARD_STICK_DAYS],
        )
        .await?;
    if let Some(row) = before {
        let (entries, active): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let before = ListSize {
            entries: entries.unsigned_abs(),
            active: active.unsigned_abs(),
        };
        let breach = match breach(before, found) {
            Some(breach) => Some(breach),
            None => lost_company(tx, cycle, answer, said).await?,
        };
        if let Some(breach) = breach {
            return Ok(Some(format!(
                "{breach}; nothing from it was stored, what was loaded before is unchanged; if the market really shrank so far: master_runner reset-source {source}"
            )));
        }
    }
    // Other pages about the whole market name no funds, so they have no size and are not compared.
    if cycle.scope == Scope::Full && found.entries > 0 {
        tx.execute_expecting(
            "runner.list_size",
            1,
            "INSERT INTO runner.list_size (source, page, cycle_id, entries, active_entries)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (source, page, cycle_id) DO UPDATE SET
                 entries = EXCLUDED.entries, active_entries = EXCLUDED.active_entries",
            &[
                &source,
                &answer.id.page,
                &cycle.id,
                &i64::try_from(found.entries).unwrap_or(i64::MAX),
                &i64::try_from(found.active).unwrap_or(i64::MAX),
            ],
        )
        .await?;
    }
    Ok(None)
}

/// The number of entries on the pages of the register's list in earlier batches, which are stored.
async fn earlier_pages(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answer: &TaskAnswer,
) -> Result<u64, StoreError> {
    let row = tx
        .query_one(
            "SELECT count(*) FROM runner.alias WHERE source = $1 AND last_cycle = $2",
            &[&answer.id.source.as_str(), &cycle.id],
        )
        .await?;
    Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
}

/// An active fund of a company, as the previous list contained it.
struct ListedFund {
    company: String,
    fund_code: String,
    source_key: String,
}

/// Finds a company whose active funds were all in the previous list and are all missing from this one, both by code and
/// by key. Returns the breach.
async fn lost_company(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answer: &TaskAnswer,
    said: &[&Observation],
) -> Result<Option<String>, StoreError> {
    let (mut codes, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for observation in said {
        if let ObservationData::Listing { source_key, .. } = &observation.data {
            codes.insert(observation.fund_code.as_str());
            keys.insert(source_key.as_str());
        }
    }
    let rows = tx
        .query(
            "SELECT m.amc, m.fund_code, a.source_key
             FROM runner.alias a
             JOIN runner.fund f USING (fund_id)
             JOIN public.funds_master_info m USING (fund_code)
             WHERE a.source = $1 AND m.fund_status = 'active' AND m.amc IS NOT NULL
               AND a.last_cycle = (SELECT max(last_cycle) FROM runner.alias WHERE source = $1 AND last_cycle < $2)",
            &[&answer.id.source.as_str(), &cycle.id],
        )
        .await?;
    let mut before = Vec::with_capacity(rows.len());
    for row in rows {
        before.push(ListedFund {
            company: row.try_get(0)?,
            fund_code: row.try_get(1)?,
            source_key: row.try_get(2)?,
        });
    }
    Ok(missing_company(&before, &codes, &keys))
}

/// The breach of the largest company of `before` of which neither a code nor a key is present.
fn missing_company(
    before: &[ListedFund],
    codes: &BTreeSet<&str>,
    keys: &BTreeSet<&str>,
) -> Option<String> {
    let mut companies: BTreeMap<&str, (BTreeSet<&str>, bool)> = BTreeMap::new();
    for fund in before {
        let (funds, is_present) = companies.entry(&fund.company).or_default();
        funds.insert(&fund.fund_code);
        *is_present |=
            codes.contains(fund.fund_code.as_str()) || keys.contains(fund.source_key.as_str());
    }
    let (company, funds) = companies
        .into_iter()
        .filter(|(_, (funds, is_present))| !is_present && funds.len() >= COMPANY_FUNDS)
        .map(|(company, (funds, _))| (company, funds))
        .max_by_key(|(company, funds)| (funds.len(), std::cmp::Reverse(*company)))?;
    let count = funds.len();
    let examples: Vec<&str> = funds.into_iter().take(EXAMPLES).collect();
    Some(format!(
        "a whole company disappeared from the list: expected some of the {count} active funds of {company}, found none; among them {}",
        examples.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_is_missing_only_if_neither_code_nor_key_of_any_fund_is_present() {
        let fund = |company: &str, fund_code: &str| ListedFund {
            company: company.to_owned(),
            fund_code: fund_code.to_owned(),
            source_key: format!("key of {fund_code}"),
        };
        let large: Vec<ListedFund> = (0..COMPANY_FUNDS)
            .map(|number| fund("Large", &format!("L{number:02}")))
            .collect();
        let missing = |before: &[ListedFund], codes: &[&str], keys: &[&str]| {
            missing_company(
                before,
                &codes.iter().copied().collect(),
                &keys.iter().copied().collect(),
            )
        };
        let breach = missing(&large, &["X"], &[]).expect("all are missing");
        assert!(
            breach.ends_with("of Large, found none; among them L00, L01, L02"),
            "{breach}"
        );
        assert_eq!(missing(&large, &["L02"], &[]), None, "one code is enough");
        assert_eq!(
            missing(&large, &[], &["key of L02"]),
            None,
            "renamed funds keep their key"
        );
        assert_eq!(
            missing(&large[1..], &[], &[]),
            None,
            "too few funds to tell"
        );
        let mut two = large;
        two.extend((0..=COMPANY_FUNDS).map(|number| fund("Larger", &format!("M{number:02}"))));
        let breach = missing(&two, &[], &[]).expect("both are missing");
        assert!(breach.contains("of Larger,"), "{breach}");
    }

    #[test]
    fn a_list_that_shrinks_by_more_than_a_tenth_is_a_breach() {
        let size = |entries, active| ListSize { entries, active };
        for (before, found, is_breach) in [
            (size(100, 60), size(90, 50), false),
            (size(100, 60), size(89, 60), true),
            (size(100, 60), size(140, 80), false),
            (size(100, 60), size(100, 0), true),
            (size(100, 0), size(100, 0), false),
            (size(5, 5), size(4, 4), true),
            (size(0, 0), size(0, 0), false),
        ] {
            assert_eq!(
                breach(before, found).is_some(),
                is_breach,
                "{before:?} {found:?}"
            );
        }
    }
}
