//! Parser of `/funds`: the list of funds and their status (D8).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use schema::columns::ListingFields;
use schema::task::Severity;
use schema::{Dataset, FundCode, ObservationData};

use crate::payload::breach;
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::findings::{Findings, MAX_LISTED, too_many_funds};
use crate::sites::finnomena::api_types::ListedFund;
use crate::text::{missing, name};

/// Parses the whole list.
///
/// If a code is listed twice, an active entry takes precedence over an inactive one; of two active entries the first is
/// used. The other entry is noted.
pub fn read(data: Field<'_>, mut findings: Findings) -> Reading {
    let elements = match data.elements() {
        Ok(Some(elements)) if !elements.is_empty() => elements,
        Ok(_) => return Reading::Broken(data.breach("data", "an array of funds")),
        Err(reason) => return Reading::Broken(breach("data", "an array of funds", &reason)),
    };
    if elements.len() > MAX_LISTED {
        return Reading::Broken(too_many_funds("data", elements.len()));
    }
    let mut seen_active_key = false;
    let mut listed: BTreeMap<FundCode, (String, ListingFields)> = BTreeMap::new();
    for element in elements {
        let fund = match element.record::<ListedFund<'_>>() {
            Ok(Some(fund)) => fund,
            Ok(None) => {
                findings.reject(
                    Dataset::Listing,
                    "*",
                    "expected a fund, found null",
                    element.raw(),
                );
                continue;
            }
            Err(reason) => {
                findings.reject(Dataset::Listing, "*", reason, element.raw());
                continue;
            }
        };
        seen_active_key |= fund.sec_is_active.is_present();
        let Some((code, source_key)) = identity(&fund, element, &mut findings) else {
            continue;
        };
        let fields = fields(&fund, &code, element, &mut findings);
        match listed.entry(code) {
            Entry::Vacant(place) => {
                place.insert((source_key, fields));
            }
            Entry::Occupied(mut place) => {
                let beaten = if fields.sec_is_active == Some(true)
                    && place.get().1.sec_is_active != Some(true)
                {
                    place.insert((source_key, fields)).0
                } else {
                    source_key
                };
                findings.push(
                    Some(place.key().to_string()),
                    Dataset::Listing,
                    "short_code",
                    format!(
                        "the code is listed twice; the entry with fund_id {beaten} was not used"
                    ),
                    element.raw(),
                    Severity::Noted,
                );
            }
        }
    }
    if !seen_active_key {
        return Reading::Broken(
            Field::default().breach("data[].sec_is_active", "the key in each fund"),
        );
    }
    if listed.is_empty() {
        return Reading::Broken(data.breach(
            "data[].short_code, data[].fund_id",
            "a code and an id in each fund",
        ));
    }
    for (code, (source_key, fields)) in listed {
        findings.say_of(code, None, ObservationData::Listing { source_key, fields });
    }
    findings.said()
}

fn identity(
    fund: &ListedFund<'_>,
    element: Field<'_>,
    findings: &mut Findings,
) -> Option<(FundCode, String)> {
    let code = match fund.short_code.text() {
        Ok(Some(short_code)) => name::fund_code(&short_code).map_err(|error| error.to_string()),
        Ok(None) => Err("the fund code is blank".to_owned()),
        Err(reason) => Err(reason),
    };
    let code = match code {
        Ok(code) => code,
        Err(reason) => {
            findings.reject(Dataset::Listing, "short_code", reason, element.raw());
            return None;
        }
    };
    let fund_id = findings
        .field(
            Dataset::Listing,
            "fund_id",
            fund.fund_id.text(),
            element.raw(),
        )
        .map(|fund_id| name::normalise(&fund_id))
        .filter(|fund_id| !missing::is_missing(fund_id) && fund_id.chars().count() <= 100);
    if fund_id.is_none() {
        findings.push(
            Some(code.to_string()),
            Dataset::Listing,
            "fund_id",
            "the fund has no fund_id to ask for".to_owned(),
            element.raw(),
            Severity::Rejected,
        );
    }
    Some((code, fund_id?))
}

fn fields(
    fund: &ListedFund<'_>,
    code: &FundCode,
    element: Field<'_>,
    findings: &mut Findings,
) -> ListingFields {
    let stated = if fund.sec_is_active.is_present() {
        fund.sec_is_active.flag()
    } else {
        Err("expected true, false or null, found no such key".to_owned())
    };
    let sec_is_active = match stated {
        Ok(flag) => flag,
        Err(reason) => {
            let code = Some(code.to_string());
            let severity = Severity::Rejected;
            findings.push(
                code,
                Dataset::Listing,
                "sec_is_active",
                reason,
                element.raw(),
                severity,
            );
            None
        }
    };
    let mut text = |field: &str, read: Result<Option<String>, String>| {
        findings
            .field(Dataset::Listing, field, read, element.raw())
            .map(|text| name::normalise(&text))
            .filter(|text| !missing::is_missing(text) && text.chars().count() <= name::MAX_CHARS)
    };
    ListingFields {
        full_name_th: text("name_th", fund.name_th.text()),
        category_id: text("aimc_category_id", fund.aimc_category_id.text()),
        sec_is_active,
        status: None,
    }
}
