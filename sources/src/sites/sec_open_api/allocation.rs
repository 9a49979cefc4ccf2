//! Parser of `factsheet/asset-allocation`: the allocation of a project by asset class, for all its classes.

use schema::observation::PortfolioKind;
use schema::{Number, ObservationData};

use super::api_types::AssetRow;
use super::group::Group;
use super::page;
use crate::payload::json::Field;
use crate::sites::findings::Findings;
use crate::sites::portfolio_rows::PortfolioRows;

/// Parses the records of the newest date, in the order of `asset_seq`; a record without one is last.
pub fn read(group: &Group<'_>, findings: &mut Findings) -> Option<ObservationData> {
    let mut rows = PortfolioRows::new(PortfolioKind::AssetAllocation);
    let mut assets: Vec<(Option<Number>, AssetRow<'_>, Field<'_>)> = Vec::new();
    for record in group.newest_records() {
        match record.record::<AssetRow<'_>>() {
            Ok(row) => {
                let row = row.unwrap_or_default();
                let place = row.asset_seq.quantity();
                let place = findings.field(rows.dataset(), "asset_seq", place, record.raw());
                assets.push((place.map(|place| place.value), row, record));
            }
            Err(reason) => rows.take(findings, Err(reason), Ok::<_, String>(None), record.raw()),
        }
    }
    assets.sort_by_key(|(place, ..)| (place.is_none(), *place));
    for (_, row, record) in assets {
        let percent = page::percent(row.asset_ratio);
        rows.take(findings, row.asset_name.text(), percent, record.raw());
    }
    rows.into_portfolio().map(ObservationData::Portfolio)
}
