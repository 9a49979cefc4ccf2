//! What the parsers of all lists share: the envelope, the key of a class, and the collected statements.

use jiff::civil::Date;
use schema::observation::KeyedObservation;
use schema::{Dataset, FundCode, Number, ObservationData};
use serde::Deserialize;

use super::api_types::{Envelope, GatewayError};
use super::contract;
use crate::payload::json::Field;
use crate::payload::{breach, json};
use crate::site::{Answer, Breach, ListPart, Reading};
use crate::sites::findings::Findings;
use crate::text::{missing, name, number};

/// The class name of a project with one class. Its code is the name of the project.
const MAIN_CLASS: &str = "main";
/// The longest part of a key, in characters.
const MAX_KEY_CHARS: usize = 100;

/// A share class as the register names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassKey {
    /// `proj_id`, `/` and the class name.
    pub source_key: String,
    /// The fund code, if the class name is the code.
    pub fund_code: Option<FundCode>,
}

/// Reads the key of a class.
///
/// # Errors
/// The field that is missing or cannot be read, and why.
pub fn class_key(
    proj_id: Field<'_>,
    class_name: Field<'_>,
) -> Result<ClassKey, (&'static str, String)> {
    let proj_id = project_key(proj_id).map_err(|why| ("proj_id", why))?;
    let class = key_part(class_name).map_err(|why| ("fund_class_name", why))?;
    let fund_code = if is_main(&class) {
        None
    } else {
        let code = name::fund_code(&class);
        Some(code.map_err(|error| ("fund_class_name", error.to_string()))?)
    };
    Ok(ClassKey {
        source_key: format!("{proj_id}/{class}"),
        fund_code,
    })
}

/// Reads the key of a project, which is the beginning of the keys of its classes.
///
/// # Errors
/// The field is missing or cannot be read, or has the character that separates project and class.
pub fn project_key(proj_id: Field<'_>) -> Result<String, String> {
    let proj_id = key_part(proj_id)?;
    if proj_id.contains('/') {
        return Err(format!("expected the id of a project, found `{proj_id}`"));
    }
    Ok(proj_id)
}

/// The key of a project's only class.
///
/// # Errors
/// The field that is missing or cannot be read, and why.
pub fn main_class_key(proj_id: Field<'_>) -> Result<ClassKey, (&'static str, String)> {
    let proj_id = project_key(proj_id).map_err(|why| ("proj_id", why))?;
    Ok(ClassKey {
        source_key: format!("{proj_id}/{MAIN_CLASS}"),
        fund_code: None,
    })
}

fn is_main(class: &str) -> bool {
    class.eq_ignore_ascii_case(MAIN_CLASS)
}

/// A part of a key, or another name: white space is folded, because class names occur with stray blanks.
pub fn key_part(field: Field<'_>) -> Result<String, String> {
    let text = field.text()?.map(|text| name::normalise(&text));
    match text.filter(|text| !missing::is_missing(text)) {
        None => Err("expected a name, found nothing".to_owned()),
        Some(text) if text.chars().count() > MAX_KEY_CHARS => {
            Err(format!("expected at most {MAX_KEY_CHARS} characters"))
        }
        Some(text) => Ok(text),
    }
}

/// The status inside an answer of the gateway that has the HTTP status 200; `None` for an ordinary answer.
pub fn status_inside(body: &[u8]) -> Option<u16> {
    /// The gateway's own answers are short.
    const LONGEST: usize = 4_096;
    let document = json::document(Some(body).filter(|body| body.len() <= LONGEST)?).ok()?;
    let error: GatewayError<'_> = json::root(&document).ok()?.record().ok()??;
    let status = [error.status, error.status_capital]
        .into_iter()
        .find(|status| status.is_present())?;
    status.text().ok()??.parse().ok()
}

/// One page of a list: its records, and the cursor of the next page.
pub struct ListPage<'json> {
    pub records: Vec<Field<'json>>,
    pub cursor: String,
}

impl<'json> ListPage<'json> {
    /// Reads the envelope.
    ///
    /// # Errors
    /// What is missing in it, or more records than were requested.
    pub fn read(document: &'json str) -> Result<Self, Breach> {
        let root = json::root(document)?;
        let envelope: Envelope<'_> =
            root.required("body", "an object with items and next_cursor")?;
        if !envelope.items.is_present() || !envelope.next_cursor.is_present() {
            return Err(root.breach("body", "an object with items and next_cursor"));
        }
        let records = envelope
            .items
            .elements()
            .map_err(|reason| breach("items", "an array of records", &reason))?
            .unwrap_or_default();
        if records.len() > contract::RECORDS_A_PAGE {
            let expected = format!("at most {} records", contract::RECORDS_A_PAGE);
            return Err(breach("items", &expected, &records.len().to_string()));
        }
        let cursor = envelope
            .next_cursor
            .text()
            .map_err(|reason| breach("next_cursor", "a text", &reason))?
            .unwrap_or_default();
        Ok(Self { records, cursor })
    }

    /// The records of the page as `T`. A record that is none is rejected.
    pub fn rows<T: Deserialize<'json>>(
        &self,
        dataset: Dataset,
        findings: &mut Findings,
    ) -> Vec<(T, Field<'json>)> {
        let mut rows = Vec::with_capacity(self.records.len());
        for record in &self.records {
            match record.record() {
                Ok(Some(row)) => rows.push((row, *record)),
                Ok(None) => {
                    let reason = "expected a record, found null".to_owned();
                    reject(findings, dataset, "*", reason, *record);
                }
                Err(reason) => reject(findings, dataset, "*", reason, *record),
            }
        }
        rows
    }

    /// The part of the list, from what was found in its records.
    pub fn part(
        self,
        findings: Findings,
        keyed: Vec<KeyedObservation>,
        carry: Option<String>,
    ) -> Reading {
        match findings.said() {
            Reading::Observed {
                observations,
                rejects,
                ..
            } => Reading::Part(Box::new(ListPart {
                observations,
                keyed,
                rejects,
                records: self.records.len(),
                cursor: self.cursor,
                carry,
                next_range: None,
                ends_turn: false,
            })),
            other => other,
        }
    }
}

/// The URL of a list without its cursor: the `source_url` of its statements.
pub fn list_url(answer: &Answer) -> String {
    let mut url = answer.url.clone();
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != CURSOR)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(kept);
    url.into()
}

/// The query parameter that names the next page.
pub const CURSOR: &str = "next_cursor";

/// A statement under the key of a class.
pub fn keyed(
    class: ClassKey,
    as_of_date: Option<Date>,
    url: &str,
    data: ObservationData,
) -> KeyedObservation {
    KeyedObservation {
        source_key: class.source_key,
        fund_code: class.fund_code,
        as_of_date,
        url: url.to_owned(),
        data,
    }
}

/// A word without the blanks around it; `None` if it is missing.
///
/// # Errors
/// The field is no text.
pub fn word(field: Field<'_>) -> Result<Option<String>, String> {
    let text = field.text()?.map(|text| name::normalise(&text));
    Ok(text.filter(|text| !missing::is_missing(text)))
}

/// A plausible percentage.
///
/// # Errors
/// The field is no number, or too large.
pub fn percent(field: Field<'_>) -> Result<Option<Number>, String> {
    let quantity = field.quantity().and_then(number::believed)?;
    Ok(quantity.map(|quantity| quantity.value))
}

/// Rejects a whole record.
pub fn reject(
    findings: &mut Findings,
    dataset: Dataset,
    field: &str,
    reason: String,
    record: Field<'_>,
) {
    findings.reject(dataset, field, reason, record.raw());
}
