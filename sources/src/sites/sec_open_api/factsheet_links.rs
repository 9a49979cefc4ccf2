//! Parser of `factsheet/urls`: where the factsheet of a class is.

use schema::columns::FactsheetLink;
use schema::{Dataset, ObservationData};
use url::Url;

use super::api_types::FactsheetUrlRow;
use super::group::Group;
use super::page;
use crate::sites::MAX_LINK_CHARS;
use crate::sites::findings::Findings;

const FIELD: &str = "pdf_factsheet";

/// Parses the newest record of a class. The link to the asset manager's own site (`amc_url_factsheet`) is not used,
/// because it may lead to any host.
pub fn read(group: &Group<'_>, findings: &mut Findings) -> Option<ObservationData> {
    let (row, record): (FactsheetUrlRow<'_>, _) = group.last(Dataset::FactsheetLink, findings)?;
    let link = page::word(row.pdf_factsheet).and_then(|link| link.map(checked).transpose());
    let link = findings.field(Dataset::FactsheetLink, FIELD, link, record.raw())?;
    Some(ObservationData::FactsheetLink(FactsheetLink {
        factsheet_url: Some(link),
    }))
}

fn checked(link: String) -> Result<String, String> {
    let is_url = Url::parse(&link).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if is_url && link.chars().count() <= MAX_LINK_CHARS {
        return Ok(link);
    }
    Err("expected an http or https URL".to_owned())
}
