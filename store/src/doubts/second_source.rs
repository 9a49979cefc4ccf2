//! Acceptance of a mass change by a second source that reports it as well (D11).

use std::collections::{BTreeMap, BTreeSet};

use schema::cycle::Cycle;
use schema::doubt::{DoubtKind, Evidence};

use super::super::connection::{Queries as _, Transaction};
use super::super::error::StoreError;
use super::{Affected, Subject};

/// Largest number of funds that are compared, which is enough to decide.
const LOOKED_UP: usize = 500;

/// Whether another source reports the change for at least half of the funds.
pub(super) async fn confirms(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    funds: &[Affected],
) -> Result<bool, StoreError> {
    let looked_up = &funds[..funds.len().min(LOOKED_UP)];
    let codes: Vec<&str> = looked_up
        .iter()
        .map(|fund| fund.fund_code.as_str())
        .collect();
    let confirmed = match subject.kind {
        DoubtKind::Absent => absent_elsewhere(tx, cycle, subject, &codes).await?,
        DoubtKind::Settled if !is_about_rows(looked_up) => {
            same_days_elsewhere(tx, subject, looked_up).await?
        }
        DoubtKind::Settled | DoubtKind::Zeroed | DoubtKind::Names => {
            same_fields_elsewhere(tx, subject, looked_up).await?
        }
        DoubtKind::Codes => same_codes_elsewhere(tx, subject, looked_up).await?,
        DoubtKind::Status | DoubtKind::Renamed => {
            not_listed_elsewhere(tx, cycle, subject, &codes).await?
        }
        DoubtKind::Equal
        | DoubtKind::Shortened
        | DoubtKind::WithoutNews
        | DoubtKind::AllAbsent
        | DoubtKind::AllZero => 0,
    };
    Ok(confirmed > 0 && confirmed * 2 >= looked_up.len())
}

/// Separates the parts of the evidence about dividends and performance: the date, the period, and the column.
const PART_SEPARATOR: char = ' ';

/// Whether the change is about dividends or performance, whose evidence names the row and the column.
fn is_about_rows(funds: &[Affected]) -> bool {
    let mut fields = funds.iter().flat_map(|fund| fund.evidence.keys());
    fields.any(|field| field.contains(PART_SEPARATOR))
}

/// Counts the funds for which another source answered a page with "absent" in this cycle.
async fn absent_elsewhere(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    codes: &[&str],
) -> Result<usize, StoreError> {
    let rows = tx
        .query(
            "SELECT DISTINCT key FROM runner.task
             WHERE planned_cycle = $1 AND acked_cycle = $1 AND source <> $2 AND key = ANY($3)
               AND (outcome = 'absent' OR (outcome = 'held' AND EXISTS (
                   SELECT FROM runner.doubt d
                   WHERE d.cycle_id = $1 AND d.source = task.source AND d.page = task.page AND d.key = task.key
                     AND d.kind = 'absent')))",
            &[&cycle.id, &subject.source.as_str(), &codes],
        )
        .await?;
    Ok(rows.len())
}

/// Counts the funds for which another source reports the new NAV of a rewritten day.
async fn same_days_elsewhere(
    tx: &Transaction<'_>,
    subject: &Subject,
    funds: &[Affected],
) -> Result<usize, StoreError> {
    let (mut codes, mut dates, mut navs) = (Vec::new(), Vec::new(), Vec::new());
    for fund in funds {
        for (date, values) in &fund.evidence {
            if let Some(nav) = values.split('/').next().filter(|nav| !nav.is_empty()) {
                codes.push(fund.fund_code.as_str());
                dates.push(date.as_str());
                navs.push(nav);
            }
        }
    }
    let bit = subject.source.bit();
    let rows = tx
        .query(
            "SELECT DISTINCT said.fund_code
             FROM unnest($1::text[], $2::text[], $3::text[]) AS said (fund_code, nav_date, nav)
             WHERE EXISTS (SELECT FROM public.funds_daily d
                     WHERE d.fund_code = said.fund_code COLLATE \"C\" AND d.nav_date = said.nav_date::date
                       AND d.nav_value = said.nav::numeric AND d.nav_said_by & ~$4::smallint <> 0)
                OR EXISTS (SELECT FROM runner.daily_dissent d
                     WHERE d.fund_code = said.fund_code COLLATE \"C\" AND d.nav_date = said.nav_date::date
                       AND d.nav_value = said.nav::numeric AND d.source <> $5)",
            &[&codes, &dates, &navs, &bit, &subject.source.as_str()],
        )
        .await?;
    Ok(rows.len())
}

/// Counts the funds for which a statement of another source contains every new value.
async fn same_fields_elsewhere(
    tx: &Transaction<'_>,
    subject: &Subject,
    funds: &[Affected],
) -> Result<usize, StoreError> {
    let said = others_say(tx, subject, funds).await?;
    let confirmed = funds.iter().filter(|fund| {
        said.get(&fund.fund_code).is_some_and(|statements| {
            statements
                .iter()
                .any(|fields| says_all(fields, &fund.evidence))
        })
    });
    Ok(confirmed.count())
}

fn says_all(fields: &serde_json::Value, evidence: &Evidence) -> bool {
    !evidence.is_empty()
        && evidence.iter().all(|(field, value)| {
            let said = match field.split_once(PART_SEPARATOR) {
                Some((date, rest)) => value_of_row(fields, date, rest),
                None => fields.get(field),
            };
            let said = said.map(|said| match said {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            said.as_ref() == Some(value)
        })
}

/// The value in a row of dividends or performance. `rest` is the column, after the period and a blank if there is one.
fn value_of_row<'said>(
    statement: &'said serde_json::Value,
    date: &str,
    rest: &str,
) -> Option<&'said serde_json::Value> {
    let (period, column) = rest.rsplit_once(PART_SEPARATOR).unwrap_or(("", rest));
    let rows = statement.get("rows")?.as_array()?;
    let row = rows.iter().find(|row| {
        let text = |name: &str| row.get(name).and_then(serde_json::Value::as_str);
        text("date") == Some(date) && text("word").unwrap_or_default() == period
    })?;
    row.get("fields")?.get(column)
}

/// Counts the funds whose new codes are on another source's factsheet.
async fn same_codes_elsewhere(
    tx: &Transaction<'_>,
    subject: &Subject,
    funds: &[Affected],
) -> Result<usize, StoreError> {
    let said = others_say(tx, subject, funds).await?;
    let prints = |fields: &serde_json::Value| -> BTreeSet<String> {
        let codes = fields.get("codes").and_then(serde_json::Value::as_array);
        codes
            .into_iter()
            .flatten()
            .filter_map(|code| code.get("code")?.as_str().map(str::to_owned))
            .collect()
    };
    let confirmed = funds.iter().filter(|fund| {
        let printed: BTreeSet<String> = said
            .get(&fund.fund_code)
            .into_iter()
            .flatten()
            .flat_map(prints)
            .collect();
        let mut new = fund.evidence.values().flat_map(|codes| codes.split(' '));
        !printed.is_empty() && new.all(|code| printed.contains(code))
    });
    Ok(confirmed.count())
}

/// Returns the statements of the other sources about the funds, by fund.
async fn others_say(
    tx: &Transaction<'_>,
    subject: &Subject,
    funds: &[Affected],
) -> Result<BTreeMap<String, Vec<serde_json::Value>>, StoreError> {
    let codes: Vec<&str> = funds.iter().map(|fund| fund.fund_code.as_str()).collect();
    let rows = tx
        .query(
            "SELECT f.fund_code, o.fields FROM runner.fund f JOIN runner.observation o USING (fund_id)
             WHERE f.fund_code = ANY($1) AND o.source <> $2 AND o.source <> 'adopted'",
            &[&codes, &subject.source.as_str()],
        )
        .await?;
    let mut said: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    for row in rows {
        said.entry(row.try_get(0)?)
            .or_default()
            .push(row.try_get(1)?);
    }
    Ok(said)
}

/// Counts the funds that another source listed before and no longer lists, although it answered its list in this cycle.
async fn not_listed_elsewhere(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    codes: &[&str],
) -> Result<usize, StoreError> {
    let rows = tx
        .query(
            "SELECT f.fund_code FROM runner.fund f
             WHERE f.fund_code = ANY($3) AND EXISTS (
                 SELECT FROM runner.alias a
                 JOIN runner.task t ON t.source = a.source AND t.key = '*' AND t.acked_cycle = $1 AND t.outcome = 'done'
                 WHERE a.fund_id = f.fund_id AND a.source <> $2
                 GROUP BY a.source HAVING max(a.last_cycle) < $1)",
            &[&cycle.id, &subject.source.as_str(), &codes],
        )
        .await?;
    Ok(rows.len())
}
