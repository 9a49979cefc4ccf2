//! `funds_codes`: ISIN and Bloomberg codes. A code is removed only if another code of its type replaces it (D3).

use std::collections::{BTreeMap, BTreeSet};

use schema::fold::StoredCode;
use schema::{FundCode, SourceName};

use super::connection::{Queries as _, Transaction};
use super::error::StoreError;
use super::history::{self, Change};

/// The codes that a fund should have: type and code, with the source that reported it.
pub(super) type WantedCodes = BTreeMap<(String, String), (SourceName, StoredCode)>;

/// What was done with one code of a fund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeEffect {
    Inserted,
    Updated,
    Unchanged,
}

/// Effects by fund, type and code.
pub(super) type CodeEffects = BTreeMap<(FundCode, String, String), CodeEffect>;

pub(super) async fn write(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    wanted: &BTreeMap<FundCode, WantedCodes>,
) -> Result<CodeEffects, StoreError> {
    let mut effects = CodeEffects::new();
    if wanted.is_empty() {
        return Ok(effects);
    }
    let funds: Vec<&str> = wanted.keys().map(FundCode::as_str).collect();
    let rows = tx
        .query(
            "SELECT fund_code, type, code, factsheet_url FROM public.funds_codes WHERE fund_code = ANY($1)",
            &[&funds],
        )
        .await?;
    let mut standing: BTreeMap<String, BTreeMap<(String, String), Option<String>>> =
        BTreeMap::new();
    for row in rows {
        standing
            .entry(row.try_get(0)?)
            .or_default()
            .insert((row.try_get(1)?, row.try_get(2)?), row.try_get(3)?);
    }
    let none = BTreeMap::new();
    let (mut write_funds, mut write_types, mut write_codes, mut write_urls) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut removed: Vec<(&str, String, String)> = Vec::new();
    let mut changes = Vec::new();
    for (fund, codes) in wanted {
        let before = standing.get(fund.as_str()).unwrap_or(&none);
        for ((code_type, code), (_, held)) in codes {
            let effect = match before.get(&(code_type.clone(), code.clone())) {
                // A missing URL never overwrites one that is stored (D3).
                Some(url) if held.url.is_none() || *url == held.url => CodeEffect::Unchanged,
                Some(_) => CodeEffect::Updated,
                None => CodeEffect::Inserted,
            };
            effects.insert((fund.clone(), code_type.clone(), code.clone()), effect);
            if effect != CodeEffect::Unchanged {
                write_funds.push(fund.as_str());
                write_types.push(code_type.as_str());
                write_codes.push(code.as_str());
                write_urls.push(held.url.as_deref());
            }
        }
        let types: BTreeSet<&str> = codes
            .keys()
            .map(|(code_type, _)| code_type.as_str())
            .collect();
        for (code_type, code) in before.keys() {
            if codes.contains_key(&(code_type.clone(), code.clone()))
                || !types.contains(code_type.as_str())
            {
                continue;
            }
            let replaced_by = codes
                .iter()
                .find(|((new_type, _), _)| new_type == code_type);
            changes.push(Change {
                table: "funds_codes",
                fund_code: fund.to_string(),
                key: code_type.clone(),
                field: "code",
                old_value: code.clone(),
                new_value: replaced_by.map(|((_, new), _)| new.clone()),
                source: replaced_by.map(|(_, (source, _))| source.as_str()),
            });
            removed.push((fund.as_str(), code_type.clone(), code.clone()));
        }
    }
    history::write(tx, cycle_id, &changes).await?;
    for (fund, code_type, code) in &removed {
        tx.execute_expecting(
            "public.funds_codes",
            1,
            "DELETE FROM public.funds_codes WHERE fund_code = $1 AND type = $2 AND code = $3",
            &[fund, code_type, code],
        )
        .await?;
    }
    tx.execute_expecting(
        "public.funds_codes",
        write_funds.len(),
        "INSERT INTO public.funds_codes AS standing (fund_code, type, code, factsheet_url)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
         ON CONFLICT (fund_code, type, code) DO UPDATE SET
             factsheet_url = COALESCE(EXCLUDED.factsheet_url, standing.factsheet_url), scraped_at = now()
         WHERE EXCLUDED.factsheet_url IS DISTINCT FROM standing.factsheet_url
           AND EXCLUDED.factsheet_url IS NOT NULL",
        &[&write_funds, &write_types, &write_codes, &write_urls],
    )
    .await?;
    Ok(effects)
}
