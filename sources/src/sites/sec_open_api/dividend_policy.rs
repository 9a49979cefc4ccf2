//! Parser of `factsheet/dividend-policy`: whether a class pays dividends.

use schema::columns::{MasterFields, PAYS_DIVIDENDS, PAYS_NO_DIVIDENDS};
use schema::{Dataset, ObservationData};

use super::api_types::DividendPolicyRow;
use super::group::Group;
use super::page;
use crate::sites::findings::Findings;

/// Parses the newest record of a class.
pub fn read(group: &Group<'_>, findings: &mut Findings) -> Option<ObservationData> {
    let (row, record): (DividendPolicyRow<'_>, _) =
        group.last(Dataset::DividendPolicy, findings)?;
    let read = page::word(row.dividend_policy).and_then(|word| match word.as_deref() {
        None => Ok(None),
        Some("Y" | "y") => Ok(Some(PAYS_DIVIDENDS)),
        Some("N" | "n") => Ok(Some(PAYS_NO_DIVIDENDS)),
        Some(other) => Err(format!("expected Y or N, found {other}")),
    });
    let word = findings.field(
        Dataset::DividendPolicy,
        "dividend_policy",
        read,
        record.raw(),
    )?;
    Some(ObservationData::DividendPolicy(MasterFields {
        is_dividend: Some(word.to_owned()),
        ..MasterFields::default()
    }))
}
