//! The provisional universe (D8): until the list that decides which funds exist has been read for the first time, the
//! funds in another source's list have rows.

use schema::SourceName;
use schema::cycle::{Cycle, Scope};
use schema::fund_status::register_says_active;
use schema::precedence::{PROVISIONAL_UNIVERSE, Precedence};

use super::TABLES;
use super::connection::{Queries as _, Transaction};
use super::counted;
use super::days;
use super::decode::{read_number, read_source};
use super::error::StoreError;
use super::funds;
use super::unapplied_days;
use super::universe;

/// Enters the funds of the newest provisional lists into the universe, as active funds. Nothing happens in a partial
/// cycle, or if any fund has entered the universe in another way. Returns the number of funds that entered.
pub(super) async fn enter(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    precedence: &Precedence,
) -> Result<usize, StoreError> {
    if cycle.scope != Scope::Full {
        return Ok(0);
    }
    let sources: Vec<&str> = PROVISIONAL_UNIVERSE
        .iter()
        .copied()
        .map(SourceName::as_str)
        .collect();
    let rows = tx
        .query(
            "SELECT f.fund_id, f.fund_code FROM runner.fund f
             WHERE NOT f.in_universe
               AND NOT EXISTS (SELECT FROM runner.fund WHERE listed_cycle IS NOT NULL OR register_status IS NOT NULL OR (in_universe AND NOT provisional))
               AND EXISTS (SELECT FROM runner.alias a WHERE a.fund_id = f.fund_id AND a.source = ANY($1)
                   AND a.last_cycle = (SELECT max(last_cycle) FROM runner.alias b WHERE b.source = a.source))
             ORDER BY f.fund_id",
            &[&sources],
        )
        .await?;
    let mut entering: Vec<(i64, String)> = Vec::with_capacity(rows.len());
    for row in rows {
        entering.push((row.try_get(0)?, row.try_get(1)?));
    }
    if entering.is_empty() {
        return Ok(0);
    }
    universe::enter(tx, cycle, precedence, &entering, true).await?;
    funds::apply_status(tx, cycle).await?;
    Ok(entering.len())
}

/// Number of funds whose days are moved together, which limits the memory.
const FUNDS_AT_ONCE: usize = 500;

/// To be called when a list that decides was read: provisional funds that it calls active are funds of the universe
/// like all others. The other provisional funds leave the universe: their rows are removed, the statements about them
/// stay stored and are used again if a later list calls them active.
pub(super) async fn settle(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let rows = tx
        .query(
            "SELECT fund_code, register_status,
                    CASE WHEN listed_cycle = (SELECT max(listed_cycle) FROM runner.fund) THEN list_says_active END
             FROM runner.fund WHERE provisional ORDER BY fund_code",
            &[],
        )
        .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut leaving: Vec<String> = Vec::new();
    for row in &rows {
        let list_says_active: Option<bool> = row.try_get(2)?;
        if register_says_active(row.try_get(1)?).or(list_says_active) != Some(true) {
            leaving.push(row.try_get(0)?);
        }
    }
    for codes in leaving.chunks(FUNDS_AT_ONCE) {
        keep_days(tx, codes).await?;
        // The master table is last, because the others refer to it.
        for table in TABLES.iter().rev() {
            remove(tx, &format!("public.{table}"), codes).await?;
        }
        remove(tx, "runner.daily_dissent", codes).await?;
    }
    tx.execute_expecting(
        "runner.fund",
        rows.len(),
        "UPDATE runner.fund SET provisional = false, in_universe = fund_code <> ALL($1),
             entered_cycle = CASE WHEN fund_code <> ALL($1) THEN entered_cycle END
         WHERE provisional",
        &[&leaving],
    )
    .await?;
    if !leaving.is_empty() {
        tracing::warn!(
            funds = leaving.len(),
            "a list that decides which funds exist was read for the first time; the rows of funds that it does not call active are removed"
        );
    }
    Ok(())
}

async fn remove(tx: &Transaction<'_>, table: &str, codes: &[String]) -> Result<(), StoreError> {
    tx.execute_counted(
        table,
        &counted::delete(table, "", "t.fund_code = ANY($1)"),
        &[&codes],
    )
    .await?;
    Ok(())
}

/// Stores the reported days of funds that leave the universe with the days of other codes outside it.
async fn keep_days(tx: &Transaction<'_>, codes: &[String]) -> Result<(), StoreError> {
    let (names, bits): (Vec<&str>, Vec<i16>) = SourceName::ALL
        .iter()
        .map(|source| (source.as_str(), source.bit()))
        .unzip();
    let rows = tx
        .query(
            "SELECT d.fund_code, d.nav_date, said.source,
                    CASE WHEN d.nav_said_by & said.bit <> 0 THEN d.nav_value::text END,
                    CASE WHEN d.bid_said_by & said.bit <> 0 THEN d.bid::text END,
                    CASE WHEN d.offer_said_by & said.bit <> 0 THEN d.offer::text END,
                    CASE WHEN d.aum_said_by & said.bit <> 0 THEN d.aum::text END
             FROM public.funds_daily d CROSS JOIN unnest($2::text[], $3::smallint[]) AS said (source, bit)
             WHERE d.fund_code = ANY($1)
               AND (d.nav_said_by | d.bid_said_by | d.offer_said_by | d.aum_said_by) & said.bit <> 0
             UNION ALL
             SELECT fund_code, nav_date, source, nav_value::text, bid::text, offer::text, aum::text
             FROM runner.daily_dissent WHERE fund_code = ANY($1)",
            &[&codes, &names, &bits],
        )
        .await?;
    let mut days = days::Statements::new();
    for row in rows {
        let mut values = [None; 4];
        for (at, value) in values.iter_mut().enumerate() {
            *value = read_number(row.try_get(3 + at)?)?;
        }
        let of_fund = days.entry(row.try_get(0)?).or_default();
        let said = of_fund.entry(row.try_get(1)?).or_default();
        days::add(said, read_source(row.try_get(2)?)?, values);
    }
    unapplied_days::keep_waiting(tx, &days).await
}
