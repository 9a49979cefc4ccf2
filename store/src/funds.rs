//! `runner.fund` and `runner.alias`: identity (D9), the universe, and the standing in Finnomena's list (D8).

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use jiff::civil::Date;

use schema::cycle::Cycle;
use schema::fund_status::{ListStanding, fund_status, register_says_active};
use schema::precedence::UNIVERSE;
use schema::{FundCode, Observation, ObservationData};

use super::connection::{Queries, Transaction, expect_rows};
use super::decode::read_code;
use super::error::StoreError;

/// A fund in `runner.fund`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fund {
    pub id: i64,
    /// Whether it has rows in the fund tables.
    pub in_universe: bool,
}

/// The funds of a batch by code.
pub(super) type Funds = BTreeMap<FundCode, Fund>;

/// Which funds are active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveFunds {
    /// Whether any fund is active.
    pub any: bool,
    /// The active ones among the requested codes.
    pub asked: BTreeSet<FundCode>,
}

/// Reads whether any fund is active, and which of `asked` are.
pub(super) async fn read_active(
    client: &impl Queries,
    asked: &BTreeSet<FundCode>,
) -> Result<ActiveFunds, StoreError> {
    let asked: Vec<&str> = asked.iter().map(FundCode::as_str).collect();
    let any = client
        .query_one(
            "SELECT EXISTS (SELECT FROM public.funds_master_info m JOIN runner.fund f USING (fund_code)
                            WHERE m.fund_status = 'active')",
            &[],
        )
        .await?;
    let rows = client
        .query(
            "SELECT fund_code FROM public.funds_master_info m JOIN runner.fund f USING (fund_code)
             WHERE fund_code = ANY($1) AND m.fund_status = 'active'",
            &[&asked],
        )
        .await?;
    let codes = rows.iter().map(|row| read_code(row.try_get(0)?));
    Ok(ActiveFunds {
        any: any.try_get(0)?,
        asked: codes.collect::<Result<_, _>>()?,
    })
}

/// Inserts the missing codes into `runner.fund` and returns all of them.
pub(super) async fn ensure(
    tx: &Transaction<'_>,
    codes: &BTreeSet<&FundCode>,
) -> Result<Funds, StoreError> {
    let wanted: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let mut funds = read(tx, &wanted).await?;
    if funds.len() < codes.len() {
        tx.execute(
            "INSERT INTO runner.fund (fund_code)
             SELECT code FROM unnest($1::text[]) AS wanted (code)
             WHERE NOT EXISTS (SELECT 1 FROM runner.fund WHERE fund_code = code COLLATE \"C\")",
            &[&wanted],
        )
        .await?;
        funds = read(tx, &wanted).await?;
        expect_rows("runner.fund", codes.len() as u64, funds.len() as u64)?;
    }
    Ok(funds)
}

async fn read(tx: &Transaction<'_>, codes: &[&str]) -> Result<Funds, StoreError> {
    let rows = tx
        .query(
            "SELECT fund_code, fund_id, in_universe FROM runner.fund WHERE fund_code = ANY($1)",
            &[&codes],
        )
        .await?;
    let mut funds = Funds::new();
    for row in rows {
        let fund = Fund {
            id: row.try_get(1)?,
            in_universe: row.try_get(2)?,
        };
        funds.insert(read_code(row.try_get(0)?)?, fund);
    }
    Ok(funds)
}

/// Records list entries: the source's keys, and the funds that enter the universe. Returns the ids of the new ones.
pub(super) async fn record_listings(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    listings: &[&Observation],
    funds: &mut Funds,
) -> Result<BTreeSet<i64>, StoreError> {
    let mut sources = Vec::new();
    let mut keys = Vec::new();
    let mut ids = Vec::new();
    let mut entering = BTreeSet::new();
    for listing in listings {
        let ObservationData::Listing { source_key, fields } = &listing.data else {
            continue;
        };
        let Some(fund) = funds.get_mut(&listing.fund_code) else {
            continue;
        };
        sources.push(listing.source.as_str());
        keys.push(source_key.as_str());
        ids.push(fund.id);
        let says_active = listing.source == UNIVERSE && fields.sec_is_active == Some(true);
        if says_active && !fund.in_universe {
            fund.in_universe = true;
            entering.insert(fund.id);
        }
    }
    tx.execute_counted(
        "runner.alias",
        "WITH listed AS (
             SELECT DISTINCT source, source_key, fund_id
             FROM unnest($1::text[], $2::text[], $3::bigint[]) AS listed (source, source_key, fund_id)
         ), meant AS (
             SELECT 1 FROM listed LEFT JOIN runner.alias held USING (source, source_key, fund_id)
             WHERE held.last_cycle IS DISTINCT FROM $4
         ), written AS (
         INSERT INTO runner.alias (source, source_key, fund_id, first_cycle, last_cycle)
         SELECT source, source_key, fund_id, $4::bigint, $4::bigint FROM listed
         ON CONFLICT (source, source_key, fund_id) DO UPDATE SET last_cycle = EXCLUDED.last_cycle
         WHERE alias.last_cycle IS DISTINCT FROM EXCLUDED.last_cycle
         RETURNING 1)
         SELECT (SELECT count(*) FROM meant), (SELECT count(*) FROM written)",
        &[&sources, &keys, &ids, &cycle.id],
    )
    .await?;
    if !entering.is_empty() {
        let entering: Vec<i64> = entering.iter().copied().collect();
        tx.execute_expecting(
            "runner.fund",
            entering.len(),
            "UPDATE runner.fund SET in_universe = true, entered_cycle = $2 WHERE fund_id = ANY($1)",
            &[&entering, &cycle.id],
        )
        .await?;
    }
    Ok(entering)
}

/// Records Finnomena's whole, valid list of a full cycle as the standing of every code (D8): which codes are listed and
/// active, and which were renamed (the list has their key under another code).
pub(super) async fn record_standing(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    listings: &[&Observation],
    funds: &Funds,
) -> Result<(), StoreError> {
    let mut ids = Vec::new();
    let mut says = Vec::new();
    let mut keys = Vec::new();
    for listing in listings {
        if let (ObservationData::Listing { source_key, fields }, Some(fund)) =
            (&listing.data, funds.get(&listing.fund_code))
        {
            ids.push(fund.id);
            says.push(fields.sec_is_active);
            keys.push(source_key.as_str());
        }
    }
    let listed: BTreeSet<i64> = ids.iter().copied().collect();
    tx.execute_expecting(
        "runner.fund",
        listed.len(),
        "UPDATE runner.fund f
         SET listed_cycle = $3, list_says_active = listed.says, renamed = false, absent_on = '{}', last_seen = now()
         FROM unnest($1::bigint[], $2::bool[]) AS listed (fund_id, says)
         WHERE f.fund_id = listed.fund_id",
        &[&ids, &says, &cycle.id],
    )
    .await?;
    tx.execute_counted(
        "runner.fund",
        "WITH meant AS (
             SELECT DISTINCT f.fund_id FROM runner.fund f JOIN runner.alias a USING (fund_id)
             WHERE a.source = $3 AND a.source_key = ANY($1)
               AND f.listed_cycle IS DISTINCT FROM $2 AND NOT f.renamed
         ), written AS (
             UPDATE runner.fund f SET renamed = true, renamed_cycle = $2
             FROM meant WHERE f.fund_id = meant.fund_id RETURNING 1)
         SELECT (SELECT count(*) FROM meant), (SELECT count(*) FROM written)",
        &[&keys, &cycle.id, &UNIVERSE.as_str()],
    )
    .await?;
    Ok(())
}

/// Records, when a full cycle closes, which funds were absent from a list that was answered in it.
pub(super) async fn record_absences(
    tx: &Transaction<'_>,
    cycle_date: Date,
) -> Result<(), StoreError> {
    tx.execute_counted(
        "runner.fund",
        "WITH meant AS (
             SELECT fund_id FROM runner.fund WHERE in_universe AND NOT ($1 = ANY(absent_on))
               AND listed_cycle IS DISTINCT FROM (SELECT max(listed_cycle) FROM runner.fund)
         ), written AS (
             UPDATE runner.fund f SET absent_on = absent_on || $1::date
             FROM meant WHERE f.fund_id = meant.fund_id RETURNING 1)
         SELECT (SELECT count(*) FROM meant), (SELECT count(*) FROM written)",
        &[&cycle_date],
    )
    .await?;
    Ok(())
}

/// Updates `fund_status` from the standing in the lists. Returns the number of changes.
pub(super) async fn apply_status(tx: &Transaction<'_>, cycle: &Cycle) -> Result<u64, StoreError> {
    let rows = tx
        .query_raw(
            "SELECT f.fund_code, m.fund_status, f.renamed, cardinality(f.absent_on),
                    CASE WHEN f.listed_cycle = (SELECT max(listed_cycle) FROM runner.fund)
                         THEN f.list_says_active END,
                    f.provisional, f.register_status
             FROM runner.fund f JOIN public.funds_master_info m USING (fund_code)",
            &[],
        )
        .await?;
    let mut rows = std::pin::pin!(rows);
    let mut codes: Vec<String> = Vec::new();
    let mut statuses: Vec<&str> = Vec::new();
    let mut replaced = 0;
    while let Some(row) = rows.try_next().await? {
        let absences: i32 = row.try_get(3)?;
        let standing = ListStanding {
            register_says_active: register_says_active(row.try_get(6)?),
            says_active: row.try_get(4)?,
            renamed: row.try_get(2)?,
            absences: usize::try_from(absences).unwrap_or(0),
            provisional: row.try_get(5)?,
        };
        let before: Option<String> = row.try_get(1)?;
        if let Some(status) = fund_status(standing)
            && before.as_deref() != Some(status.as_str())
        {
            replaced += usize::from(before.is_some());
            codes.push(row.try_get(0)?);
            statuses.push(status.as_str());
        }
    }
    if codes.is_empty() {
        return Ok(0);
    }
    tx.execute_expecting(
        "history.change",
        replaced,
        "INSERT INTO history.change (cycle_id, table_name, fund_code, key, field, old_value, new_value, source)
         SELECT $3, 'funds_master_info', m.fund_code, '', 'fund_status', m.fund_status, new.status, $4
         FROM unnest($1::text[], $2::text[]) AS new (fund_code, status)
         JOIN public.funds_master_info m ON m.fund_code = new.fund_code COLLATE \"C\"
         WHERE m.fund_status IS NOT NULL",
        &[&codes, &statuses, &cycle.id, &UNIVERSE.as_str()],
    )
    .await?;
    let changed = codes.len();
    tx.execute_expecting(
        "public.funds_master_info",
        changed,
        "UPDATE public.funds_master_info m SET fund_status = new.status, scraped_at = now()
             FROM unnest($1::text[], $2::text[]) AS new (fund_code, status)
             WHERE m.fund_code = new.fund_code COLLATE \"C\"",
        &[&codes, &statuses],
    )
    .await?;
    tx.execute_expecting(
        "runner.cycle",
        1,
        "UPDATE runner.cycle SET status_changes = status_changes + $2 WHERE cycle_id = $1",
        &[&cycle.id, &i64::try_from(changed).unwrap_or(i64::MAX)],
    )
    .await?;
    Ok(changed as u64)
}
