//! `runner.publication`: how late the official register publishes the NAVs of a fund.
//!
//! Only the newest NAV of each cycle is a sample. The days before it may have been published earlier than the cycle
//! that read them: in the first cycle, or after a gap.

use jiff::civil::Date;

use schema::cycle::Cycle;
use schema::merge_daily::DayField;
use schema::precedence::REGISTER;

use super::connection::{Queries as _, Transaction};
use super::days::Statements;
use super::error::StoreError;

/// Number of samples that are kept of each fund.
const SAMPLES: i32 = 5;

/// Records the newest NAV dates in these statements. To be called in the transaction that writes them.
pub(super) async fn record(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    newest: &[(String, Date)],
) -> Result<(), StoreError> {
    if newest.is_empty() {
        return Ok(());
    }
    let codes: Vec<&str> = newest.iter().map(|(code, _)| code.as_str()).collect();
    let dates: Vec<Date> = newest.iter().map(|(_, date)| *date).collect();
    // A newer date of the same cycle replaces the sample of that cycle.
    tx.execute_counted(
        "runner.publication",
        "WITH new AS (
             SELECT f.fund_id, said.newest, ($4::date - said.newest)::smallint AS lag
             FROM unnest($1::text[], $2::date[]) AS said (fund_code, newest) JOIN runner.fund f USING (fund_code)
         ), meant AS (
             SELECT FROM new LEFT JOIN runner.publication known USING (fund_id)
             WHERE known.newest IS NULL OR known.newest < new.newest
         ), written AS (
             INSERT INTO runner.publication AS known (fund_id, newest, cycle_id, lags)
             SELECT fund_id, newest, $3::bigint, ARRAY[lag] FROM new
             ON CONFLICT (fund_id) DO UPDATE SET
                 newest = EXCLUDED.newest, cycle_id = EXCLUDED.cycle_id,
                 lags = CASE WHEN known.cycle_id = EXCLUDED.cycle_id
                     THEN trim_array(known.lags, 1) || EXCLUDED.lags
                     ELSE known.lags[greatest(1, cardinality(known.lags) - $5 + 2):] || EXCLUDED.lags END
             WHERE known.newest < EXCLUDED.newest
             RETURNING 1)
         SELECT (SELECT count(*) FROM meant), (SELECT count(*) FROM written)",
        &[&codes, &dates, &cycle.id, &cycle.cycle_date, &SAMPLES],
    )
    .await?;
    Ok(())
}

/// The newest NAV date that the register reports for each fund in these statements.
pub(super) fn newest(statements: &Statements) -> Vec<(String, Date)> {
    let newest = statements.iter().filter_map(|(code, days)| {
        let (date, _) = days.iter().rev().find(|(_, said)| {
            said.iter().any(|(source, values)| {
                *source == REGISTER && values[DayField::Nav as usize].is_some()
            })
        })?;
        Some((code.clone(), *date))
    });
    newest.collect()
}
