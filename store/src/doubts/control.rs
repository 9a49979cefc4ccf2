//! The control sample: funds whose own page is requested whatever the pages about many funds report. It distinguishes a
//! day without news from pages that are no longer updated.

use std::collections::BTreeSet;

use jiff::civil::Date;

use schema::cycle::Cycle;
use schema::doubt::{
    ControlFund, DoubtKind, DoubtLimits, Evidence, contradicted, control_funds, judge,
};
use schema::precedence::NAV_DIGESTS;
use schema::{FundCode, TaskId};

use super::super::connection::{Queries as _, Transaction};
use super::super::decode::read_code;
use super::super::error::StoreError;
use super::{
    Affected, Subject, judge as judging, record_breach, record_evidence, record_share,
    usual_permille,
};

/// The control sample of a cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Control {
    /// The funds. Repeated draws in one cycle give the same funds.
    pub funds: BTreeSet<FundCode>,
    /// Funds whose own page was answered in this cycle, with the dates to compare. Funds outside the sample may be
    /// included.
    answered: Vec<(String, ControlFund)>,
}

/// Draws the sample by a hash of cycle date and code: the funds differ between dates, and are the same after a restart.
/// If a page about many funds is unchanged in this cycle, every active fund whose own page was answered is compared,
/// with the date that such a page last reported for it.
pub(in super::super) async fn read_control(
    tx: &Transaction<'_>,
    cycle: &Cycle,
) -> Result<Control, StoreError> {
    let rows = tx
        .query(
            "WITH active AS (
                 SELECT m.fund_code, f.fund_id, count(*) OVER () AS funds
                 FROM public.funds_master_info m JOIN runner.fund f USING (fund_code)
                 WHERE m.fund_status = 'active'),
             unchanged AS (
                 SELECT count(*) > 0 AS is_any FROM runner.task
                 WHERE source = $3 AND page = $7 AND acked_cycle = $4 AND outcome = 'unchanged'),
             drawn AS (
                 SELECT * FROM active CROSS JOIN unchanged ORDER BY md5($1::text || fund_code), fund_code
                 LIMIT CASE WHEN (SELECT is_any FROM unchanged) THEN NULL ELSE $2::bigint END)
             SELECT d.fund_code, d.funds, n.nav_date, newest.nav_date
             FROM drawn d
             LEFT JOIN runner.news n ON n.fund_id = d.fund_id AND n.source = $3 AND (n.cycle_id = $4 OR d.is_any)
             LEFT JOIN runner.task t ON t.source = $3 AND t.page = $5 AND t.key = d.fund_code
                 AND t.planned_cycle = $4 AND t.acked_cycle = $4 AND t.outcome IN ('done', 'unchanged')
             LEFT JOIN LATERAL (
                 SELECT nav_date FROM public.funds_daily s
                 WHERE s.fund_code = d.fund_code AND t.key IS NOT NULL AND s.nav_value IS NOT NULL
                   AND s.nav_said_by & $6 <> 0
                 ORDER BY nav_date DESC LIMIT 1) newest ON true
             ORDER BY md5($1::text || d.fund_code), d.fund_code",
            &[
                &cycle.cycle_date.to_string(),
                &i64::try_from(control_funds(usize::MAX)).unwrap_or(i64::MAX),
                &NAV_DIGESTS.as_str(),
                &cycle.id,
                &TaskId::SERIES,
                &NAV_DIGESTS.bit(),
                &TaskId::PIECES,
            ],
        )
        .await?;
    let mut control = Control::default();
    for row in rows {
        let active: i64 = row.try_get(1)?;
        let code: &str = row.try_get(0)?;
        let (reported, own): (Option<Date>, Option<Date>) = (row.try_get(2)?, row.try_get(3)?);
        if let (Some(reported), Some(own)) = (reported, own) {
            control
                .answered
                .push((code.to_owned(), ControlFund { reported, own }));
        }
        let controls = control_funds(usize::try_from(active).unwrap_or(usize::MAX));
        if controls == 0 {
            return Ok(Control::default());
        }
        if control.funds.len() < controls {
            control.funds.insert(read_code(code)?);
        }
    }
    Ok(control)
}

/// Judges what the pages about many funds reported in this cycle. Returns `true` if these reports are not believed;
/// every fund's own page is then requested.
pub(in super::super) async fn check_news(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    control: &Control,
    limits: &DoubtLimits,
) -> Result<bool, StoreError> {
    let sample: Vec<ControlFund> = control.answered.iter().map(|(_, fund)| *fund).collect();
    let share = contradicted(&sample);
    let subject = Subject {
        source: NAV_DIGESTS,
        page: TaskId::PIECES.to_owned(),
        kind: DoubtKind::WithoutNews,
    };
    let verdict = judge(subject.kind, share, None, limits);
    if verdict.believed {
        return Ok(false);
    }
    let pieces = tx
        .query(
            "SELECT key FROM runner.task
             WHERE source = $2 AND page = $3 AND planned_cycle = $1 AND acked_cycle = $1 AND outcome IN ('done', 'unchanged')",
            &[&cycle.id, &subject.source.as_str(), &subject.page],
        )
        .await?;
    if pieces.is_empty() {
        // Judged earlier in this cycle: the breach is already recorded.
        return Ok(true);
    }
    let affected: Vec<Affected> = control
        .answered
        .iter()
        .filter(|(_, fund)| fund.own > fund.reported)
        .map(|(code, fund)| Affected {
            key: TaskId::WHOLE_MARKET.to_owned(),
            fund_code: code.clone(),
            evidence: Evidence::from([("nav_date".to_owned(), fund.reported.to_string())]),
        })
        .collect();
    let usual = usual_permille(tx, cycle, &subject).await?;
    record_share(tx, cycle, &subject, share, false).await?;
    let id = record_breach(tx, cycle, &subject, share, usual, verdict, &affected).await?;
    record_evidence(tx, cycle, &subject, id, &affected).await?;
    let mut keys = Vec::with_capacity(pieces.len());
    for row in &pieces {
        keys.push(row.try_get(0)?);
    }
    judging::fail(
        tx,
        cycle,
        &subject,
        &keys,
        &format!(
            "not believed (breach {id}, {}); master_runner status shows it",
            subject.kind
        ),
    )
    .await?;
    Ok(true)
}
