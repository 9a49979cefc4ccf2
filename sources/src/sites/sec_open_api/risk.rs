//! Parser of `factsheet/risk-spectrum`: the risk level of a project, for all its classes.

use schema::columns::MasterFields;
use schema::{Dataset, ObservationData};

use super::api_types::RiskRow;
use super::group::Group;
use super::page;
use crate::sites::findings::Findings;

/// Parses the newest record of a project.
pub fn read(group: &Group<'_>, findings: &mut Findings) -> Option<ObservationData> {
    let (row, record): (RiskRow<'_>, _) = group.last(Dataset::Risk, findings)?;
    let read =
        page::word(row.risk_spectrum).and_then(|word| word.map(|word| level(&word)).transpose());
    let risk_level = findings.field(Dataset::Risk, "risk_spectrum", read, record.raw())?;
    Some(ObservationData::Risk(MasterFields {
        risk_level: Some(risk_level),
        ..MasterFields::default()
    }))
}

/// `RS1` to `RS8`. `RS81` and `RS8+` are the level 8+, which is stored as 8.
fn level(word: &str) -> Result<i32, String> {
    let unknown = || format!("expected RS1 to RS8, RS81 or RS8+, found {word}");
    match word.to_uppercase().strip_prefix("RS").map(str::trim) {
        Some("81" | "8+") => Ok(8),
        Some(digit) if digit.len() == 1 => {
            let level = digit.parse().map_err(|_| unknown())?;
            (1..=8)
                .contains(&level)
                .then_some(level)
                .ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}
