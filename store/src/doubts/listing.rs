//! Doubts about lists (D11): a list of the market is a single answer, so it is judged before any of it is applied.

use std::collections::BTreeMap;

use schema::columns::ListingFields;
use schema::cycle::Cycle;
use schema::doubt::{DoubtKind, DoubtLimits, Evidence, Share, judge};
use schema::{Observation, ObservationData, Outcome, TaskAnswer, TaskId};

use super::super::connection::{Queries as _, Transaction};
use super::super::error::StoreError;
use super::{
    Affected, Subject, mark_accepted, mark_taken, read_accepted, record_breach, record_evidence,
    record_share, repetition, second_source, take_message, usual_permille,
};

/// What the previous list reported about the fund of an entry.
struct Known {
    active: Option<bool>,
    name_th: Option<String>,
}

/// Compares a whole list with the previous one. Returns a mass change that is not believed, as a sentence; no entry of
/// the list is applied then.
pub(in super::super) async fn check_list(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answer: &TaskAnswer,
    limits: &DoubtLimits,
) -> Result<Option<String>, StoreError> {
    if answer.id.key != TaskId::WHOLE_MARKET || answer.outcome != Outcome::Done {
        return Ok(None);
    }
    let entries: Vec<(&Observation, &str, &ListingFields)> = answer
        .observations
        .iter()
        .filter_map(|observation| match &observation.data {
            ObservationData::Listing { source_key, fields } => {
                Some((observation, source_key.as_str(), fields))
            }
            _ => None,
        })
        .collect();
    if entries.is_empty() {
        return Ok(None);
    }
    let known = read_known(tx, answer, &entries).await?;
    let renamed = read_renamed(tx, answer, &entries).await?;
    let mut breach = None;
    for (kind, share, funds) in [
        status_changes(&entries, &known),
        name_changes(&entries, &known),
        renamed,
    ] {
        let subject = Subject {
            source: answer.id.source,
            page: answer.id.page.clone(),
            kind,
        };
        if let Some(why) = judge_list(tx, cycle, &subject, share, &funds, limits).await? {
            breach = Some(why);
        }
    }
    Ok(breach)
}

/// Judges the statuses that a list of several pages changes: the codes that become active or inactive, of the `asked`
/// ones. Returns a mass change that is not believed, as a sentence.
pub(in super::super) async fn judge_statuses(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    answer: &TaskAnswer,
    asked: u64,
    changed: &[(String, bool)],
    limits: &DoubtLimits,
) -> Result<Option<String>, StoreError> {
    let subject = Subject {
        source: answer.id.source,
        page: answer.id.page.clone(),
        kind: DoubtKind::Status,
    };
    let funds: Vec<Affected> = changed
        .iter()
        .map(|(code, is_active)| affected(code, "status", status_word(*is_active)))
        .collect();
    let share = Share {
        asked,
        affected: funds.len() as u64,
    };
    judge_list(tx, cycle, &subject, share, &funds, limits).await
}

const fn status_word(is_active: bool) -> &'static str {
    if is_active { "active" } else { "inactive" }
}

type Changes = (DoubtKind, Share, Vec<Affected>);

async fn judge_list(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    subject: &Subject,
    share: Share,
    funds: &[Affected],
    limits: &DoubtLimits,
) -> Result<Option<String>, StoreError> {
    if funds.is_empty() {
        return Ok(None);
    }
    let usual = usual_permille(tx, cycle, subject).await?;
    let verdict = judge(subject.kind, share, usual, limits);
    record_share(tx, cycle, subject, share, verdict.believed).await?;
    if verdict.believed {
        return Ok(None);
    }
    if read_accepted(tx, cycle).await?.contains(subject) {
        mark_taken(tx, cycle, subject).await?;
        return Ok(None);
    }
    let id = record_breach(tx, cycle, subject, share, usual, verdict, funds).await?;
    record_evidence(tx, cycle, subject, id, funds).await?;
    let accepted_by = if repetition::is_third(tx, cycle, subject, id, funds).await? {
        "repetition"
    } else if second_source::confirms(tx, cycle, subject, funds).await? {
        "second source"
    } else {
        // The supervisor logs the breach of a list as soon as its batch is committed.
        return take_message(tx, id).await.map(Some);
    };
    mark_accepted(tx, id, accepted_by).await?;
    mark_taken(tx, cycle, subject).await?;
    Ok(None)
}

async fn read_known(
    tx: &Transaction<'_>,
    answer: &TaskAnswer,
    entries: &[(&Observation, &str, &ListingFields)],
) -> Result<BTreeMap<String, Known>, StoreError> {
    let codes: Vec<&str> = entries
        .iter()
        .map(|(observation, ..)| observation.fund_code.as_str())
        .collect();
    let rows = tx
        .query(
            "SELECT f.fund_code, o.fields -> 'sec_is_active' = 'true'::jsonb, o.fields ->> 'full_name_th'
             FROM runner.fund f
             JOIN runner.observation o ON o.fund_id = f.fund_id AND o.source = $2 AND o.dataset = 'listing'
             WHERE f.fund_code = ANY($1)",
            &[&codes, &answer.id.source.as_str()],
        )
        .await?;
    let mut known = BTreeMap::new();
    for row in rows {
        known.insert(
            row.try_get(0)?,
            Known {
                active: row.try_get(1)?,
                name_th: row.try_get(2)?,
            },
        );
    }
    Ok(known)
}

fn status_changes(
    entries: &[(&Observation, &str, &ListingFields)],
    known: &BTreeMap<String, Known>,
) -> Changes {
    let mut share = Share::default();
    let mut funds = Vec::new();
    for (observation, _, fields) in entries {
        let code = observation.fund_code.as_str();
        let before = known.get(code).and_then(|known| known.active);
        let (Some(before), Some(now)) = (before, fields.sec_is_active) else {
            continue;
        };
        share.asked += 1;
        if before != now {
            funds.push(affected(code, "status", status_word(now)));
        }
    }
    share.affected = funds.len() as u64;
    (DoubtKind::Status, share, funds)
}

fn name_changes(
    entries: &[(&Observation, &str, &ListingFields)],
    known: &BTreeMap<String, Known>,
) -> Changes {
    let mut share = Share::default();
    let mut funds = Vec::new();
    for (observation, _, fields) in entries {
        let code = observation.fund_code.as_str();
        let before = known.get(code).and_then(|known| known.name_th.as_ref());
        let (Some(before), Some(now)) = (before, fields.full_name_th.as_ref()) else {
            continue;
        };
        share.asked += 1;
        if before != now {
            funds.push(affected(code, "full_name_th", now));
        }
    }
    share.affected = funds.len() as u64;
    (DoubtKind::Names, share, funds)
}

/// Finds entries whose key the source used for another code before.
async fn read_renamed(
    tx: &Transaction<'_>,
    answer: &TaskAnswer,
    entries: &[(&Observation, &str, &ListingFields)],
) -> Result<Changes, StoreError> {
    let (mut codes, mut keys) = (Vec::new(), Vec::new());
    for (observation, key, _) in entries {
        codes.push(observation.fund_code.as_str());
        keys.push(*key);
    }
    let rows = tx
        .query(
            "SELECT listed.fund_code, bool_or(f.fund_code = listed.fund_code COLLATE \"C\")
             FROM unnest($1::text[], $2::text[]) AS listed (fund_code, source_key)
             JOIN runner.alias a ON a.source = $3 AND a.source_key = listed.source_key COLLATE \"C\"
             JOIN runner.fund f USING (fund_id)
             GROUP BY listed.fund_code",
            &[&codes, &keys, &answer.id.source.as_str()],
        )
        .await?;
    let mut share = Share::default();
    let mut funds = Vec::new();
    for row in rows {
        let (code, is_known): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        share.asked += 1;
        if !is_known {
            funds.push(affected(&code, "fund_code", &code));
        }
    }
    share.affected = funds.len() as u64;
    Ok((DoubtKind::Renamed, share, funds))
}

fn affected(code: &str, field: &str, value: &str) -> Affected {
    Affected {
        key: TaskId::WHOLE_MARKET.to_owned(),
        fund_code: code.to_owned(),
        evidence: Evidence::from([(field.to_owned(), value.to_owned())]),
    }
}
