//! Parser of `general-info/profiles`: every share class of the register with its company, names, status and ISIN.

use schema::columns::{ListingFields, MasterFields};
use schema::fund_status::REGISTER_STATUSES;
use schema::observation::{CodeType, SecurityCode};
use schema::{Dataset, FundCode, ObservationData};

use super::api_types::Profile;
use super::page::{self, ClassKey, ListPage};
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::factsheet::isin;
use crate::sites::findings::Findings;
use crate::text::name;

/// The words of the column `fund_tax_type`.
const TAX_TYPES: [&str; 5] = ["RMF", "SSF", "TESG", "TESGX", "LTF"];

/// Parses one page.
pub fn read(list: ListPage<'_>, mut findings: Findings) -> Reading {
    for (profile, record) in list.rows::<Profile<'_>>(Dataset::Listing, &mut findings) {
        if let Err((field, reason)) = read_profile(&profile, record, &mut findings) {
            page::reject(&mut findings, Dataset::Listing, field, reason, record);
        }
    }
    list.part(findings, Vec::new(), None)
}

fn read_profile(
    profile: &Profile<'_>,
    record: Field<'_>,
    findings: &mut Findings,
) -> Result<(), (&'static str, String)> {
    let ClassKey {
        source_key,
        fund_code,
    } = page::class_key(profile.proj_id, profile.fund_class_name)?;
    let fund_code = match fund_code {
        Some(code) => code,
        None => project_code(profile).map_err(|why| ("proj_abbr_name", why))?,
    };
    let status = page::word(profile.fund_status).map_err(|why| ("fund_status", why))?;
    let status = match status {
        Some(word) if REGISTER_STATUSES.contains(&word.as_str()) => word,
        other => {
            let found = other.unwrap_or_else(|| "nothing".to_owned());
            let reason = format!(
                "expected one of {}, found {found}",
                REGISTER_STATUSES.join(", ")
            );
            return Err(("fund_status", reason));
        }
    };
    let fields = ListingFields {
        status: Some(status),
        ..ListingFields::default()
    };
    let listing = ObservationData::Listing { source_key, fields };
    findings.say_of(fund_code.clone(), None, listing);
    let mut text = |field: &'static str, value: Field<'_>| {
        findings.field(Dataset::Master, field, page::word(value), record.raw())
    };
    let master = MasterFields {
        full_name_th: text("proj_name_th", profile.proj_name_th),
        full_name_en: text("proj_name_en", profile.proj_name_en),
        amc: text("comp_name_en", profile.comp_name_en),
        feeder_master_fund: text("feederfund_master_fund", profile.feederfund_master_fund),
        management_style: text("management_style", profile.management_style),
        ..MasterFields::default()
    };
    let inception_date = findings.inception("regis_date", profile.regis_date.date(), record.raw());
    let master = MasterFields {
        inception_date,
        fund_tax_type: read_tax_type(profile, record, findings),
        ..master
    };
    findings.say_of(fund_code.clone(), None, ObservationData::Master(master));
    read_isin(profile, record, fund_code, findings);
    Ok(())
}

/// A word that is not known is a note: the class has no tax type then.
fn read_tax_type(
    profile: &Profile<'_>,
    record: Field<'_>,
    findings: &mut Findings,
) -> Option<String> {
    const FIELD: &str = "fund_class_tax_incentive_type";
    let read = page::word(profile.fund_class_tax_incentive_type);
    let word = findings.field(Dataset::Master, FIELD, read, record.raw())?;
    if TAX_TYPES.contains(&word.as_str()) {
        return Some(word);
    }
    let reason = format!("expected one of {}, found {word}", TAX_TYPES.join(", "));
    findings.note(Dataset::Master, FIELD, reason, record.raw());
    None
}

/// A wrong check digit makes no ISIN. A class without one makes no statement about its codes. The codes of its factsheet
/// are another dataset.
fn read_isin(
    profile: &Profile<'_>,
    record: Field<'_>,
    fund_code: FundCode,
    findings: &mut Findings,
) {
    let code = findings.field(
        Dataset::ProfileCodes,
        "fund_class_isin_code",
        page::word(profile.fund_class_isin_code),
        record.raw(),
    );
    let Some(code) = code else {
        return;
    };
    if !isin::is_valid(&code) {
        let reason = format!("expected an ISIN with its check digit, found {code}");
        findings.note(
            Dataset::ProfileCodes,
            "fund_class_isin_code",
            reason,
            record.raw(),
        );
        return;
    }
    let codes = vec![SecurityCode {
        code_type: CodeType::Isin,
        code,
    }];
    findings.say_of(fund_code, None, ObservationData::ProfileCodes(codes));
}

/// The code of a project's only class.
fn project_code(profile: &Profile<'_>) -> Result<FundCode, String> {
    let code = profile.proj_abbr_name.text()?.unwrap_or_default();
    name::fund_code(&code).map_err(|error| error.to_string())
}
