//! Parser of `/funds/{fund_id}`: names, AMC, category, risk, dividend policy, minimum purchases, link to the factsheet.

use schema::columns::{FactsheetLink, FeeFields, MasterFields, PAYS_DIVIDENDS, PAYS_NO_DIVIDENDS};
use schema::{Dataset, ObservationData};
use url::Url;

use crate::payload::breach;
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::findings::Findings;
use crate::sites::finnomena::api_types::Fund;
use crate::sites::plausible::FeeColumn;
use crate::text::{missing, name, with_arabic_digits};

/// Parses the page.
pub fn read(data: Field<'_>, mut findings: Findings) -> Reading {
    let fund: Fund<'_> = match data.required("data", "an object that describes a fund") {
        Ok(fund) => fund,
        Err(breach) => return Reading::Broken(breach),
    };
    let lacking: Vec<&str> = [
        (
            "name_th or name_en",
            fund.name_th.is_present() || fund.name_en.is_present(),
        ),
        ("inception_date", fund.inception_date.is_present()),
        ("fund_fact_sheet", fund.fund_fact_sheet.is_present()),
    ]
    .into_iter()
    .filter_map(|(key, is_present)| (!is_present).then_some(key))
    .collect();
    if !lacking.is_empty() {
        return Reading::Broken(breach(
            "data",
            "a fund with a name, inception_date and fund_fact_sheet, null where not said",
            &format!("no {}", lacking.join(", no ")),
        ));
    }
    let master = MasterFields {
        full_name_th: text(Dataset::Master, "name_th", fund.name_th, &mut findings),
        full_name_en: text(Dataset::Master, "name_en", fund.name_en, &mut findings),
        amc: text(
            Dataset::Master,
            "amc_name_en",
            fund.amc_name_en,
            &mut findings,
        ),
        category: text(
            Dataset::Master,
            "aimc_category_name_en",
            fund.aimc_category_name_en,
            &mut findings,
        ),
        risk_level: risk_level(&fund, &mut findings),
        is_dividend: text(
            Dataset::Master,
            "dividend_policy",
            fund.dividend_policy,
            &mut findings,
        )
        .map(|policy| dividend_word(&policy)),
        inception_date: findings.inception(
            "inception_date",
            fund.inception_date.date(),
            fund.inception_date.raw(),
        ),
        ..MasterFields::default()
    };
    if master != MasterFields::default() {
        findings.say(None, ObservationData::Master(master));
    }
    let minimums = FeeFields {
        min_initial_buy: minimum("minimum_initial", fund.minimum_initial, &mut findings),
        min_next_buy: minimum("minimum_subsequent", fund.minimum_subsequent, &mut findings),
        ..FeeFields::default()
    };
    if minimums != FeeFields::default() {
        findings.say(None, ObservationData::Minimums(minimums));
    }
    if let Some(link) = factsheet_link(fund.fund_fact_sheet, &mut findings) {
        findings.say(
            None,
            ObservationData::FactsheetLink(FactsheetLink {
                factsheet_url: Some(link),
            }),
        );
    }
    let silence = data.breach("data", "at least one value about the fund");
    findings.into_reading_unless_silent(silence)
}

/// The word of `is_dividend`: `ไม่จ่าย` only if the source states it; any other stated policy is `จ่าย`.
fn dividend_word(policy: &str) -> String {
    if policy.starts_with(PAYS_NO_DIVIDENDS) || policy.starts_with("ไม่มี") {
        PAYS_NO_DIVIDENDS.to_owned()
    } else {
        PAYS_DIVIDENDS.to_owned()
    }
}

fn text(
    dataset: Dataset,
    field: &str,
    value: Field<'_>,
    findings: &mut Findings,
) -> Option<String> {
    let said = findings
        .field(dataset, field, value.text(), value.raw())
        .map(|text| name::normalise(&text))
        .filter(|text| !missing::is_missing(text))?;
    if said.chars().count() > name::MAX_CHARS {
        findings.reject(
            dataset,
            field,
            format!("longer than {} characters", name::MAX_CHARS),
            &said,
        );
        return None;
    }
    Some(said)
}

/// `risk_level`, or else the number at the beginning of `risk_spectrum` ("6 - …").
fn risk_level(fund: &Fund<'_>, findings: &mut Findings) -> Option<i32> {
    let level = findings
        .field(
            Dataset::Master,
            "risk_level",
            fund.risk_level.text(),
            fund.risk_level.raw(),
        )
        .filter(|level| !missing::is_missing(&name::normalise(level)));
    if let Some(level) = level {
        match leading_risk(&level) {
            Some(level) => return Some(level),
            None => findings.reject(
                Dataset::Master,
                "risk_level",
                "expected a number from 1 to 8",
                &level,
            ),
        }
    }
    let spectrum = text(
        Dataset::Master,
        "risk_spectrum",
        fund.risk_spectrum,
        findings,
    )?;
    let level = leading_risk(&spectrum);
    if level.is_none() {
        findings.reject(
            Dataset::Master,
            "risk_spectrum",
            "expected a text that begins with 1 to 8",
            &spectrum,
        );
    }
    level
}

/// The risk level, 1 to 8, at the beginning of a text; `8+` is 8. A remark may follow, but not another digit.
#[must_use]
pub fn leading_risk(text: &str) -> Option<i32> {
    let text = with_arabic_digits(text.trim());
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, behind) = text.split_at(end);
    // `6.0` is an integer in decimal notation; `6.5` is not a level.
    if let Some(decimals) = behind.strip_prefix('.')
        && decimals
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_digit() && c != '0')
    {
        return None;
    }
    let level: i32 = digits.parse().ok()?;
    (1..=8).contains(&level).then_some(level)
}

fn minimum(field: &str, value: Field<'_>, findings: &mut Findings) -> Option<schema::Number> {
    let asked = (FeeColumn::Minimum, &[][..]);
    findings.fee(
        Dataset::Minimums,
        field,
        value.fee_cell(),
        asked,
        value.raw(),
    )
}

fn factsheet_link(value: Field<'_>, findings: &mut Findings) -> Option<String> {
    let link = text(Dataset::FactsheetLink, "fund_fact_sheet", value, findings)?;
    match Url::parse(&link) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Some(link),
        _ => {
            findings.reject(
                Dataset::FactsheetLink,
                "fund_fact_sheet",
                "expected an http or https URL",
                &link,
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_risk_level_is_the_number_a_text_begins_with() {
        for (text, level) in [
            ("6", Some(6)),
            ("6.0", Some(6)),
            ("6 - เสี่ยงสูง", Some(6)),
            ("8+ - เสี่ยงสูงมาก", Some(8)),
            ("๕ - เสี่ยง", Some(5)),
            ("6.5", None),
            ("0", None),
            ("81", None),
            ("สูง 6", None),
        ] {
            assert_eq!(leading_risk(text), level, "{text}");
        }
    }

    #[test]
    fn only_an_explicit_no_means_no_dividend() {
        for (policy, word) in [
            ("ไม่จ่าย", "ไม่จ่าย"),
            ("จ่าย", "จ่าย"),
            ("จ่ายไม่เกิน 4 ครั้ง", "จ่าย"),
            ("ไม่จ่ายเงินปันผล", "ไม่จ่าย"),
        ] {
            assert_eq!(dividend_word(policy), word);
        }
    }
}
