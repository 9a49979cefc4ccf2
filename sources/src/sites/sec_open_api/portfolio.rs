//! Parser of `outstanding/portfolio`: the full quarterly portfolio of a project, for all its classes.

use schema::ObservationData;
use schema::observation::PortfolioKind;

use super::api_types::HoldingRow;
use super::group::Group;
use super::page;
use crate::sites::findings::Findings;
use crate::sites::portfolio_rows::PortfolioRows;

/// The `assetliab_id` of the row with the total of all rows.
const TOTAL: &str = "903";

/// Parses the records of the newest quarter. A holding is named by its code, or by its kind if it has no code.
pub fn read(group: &Group<'_>, findings: &mut Findings) -> Option<ObservationData> {
    let mut rows = PortfolioRows::new(PortfolioKind::FullHoldings);
    for record in group.newest_records() {
        let row = match record.record::<HoldingRow<'_>>() {
            Ok(row) => row.unwrap_or_default(),
            Err(reason) => {
                rows.take(findings, Err(reason), Ok::<_, String>(None), record.raw());
                continue;
            }
        };
        if page::word(row.assetliab_id).is_ok_and(|id| id.as_deref() == Some(TOTAL)) {
            continue;
        }
        let name = page::word(row.issue_code).and_then(|code| match code {
            Some(code) => Ok(Some(code)),
            None => page::word(row.assetliab_desc),
        });
        rows.take(findings, name, page::percent(row.percent_nav), record.raw());
    }
    rows.into_portfolio().map(ObservationData::Portfolio)
}
