//! Parser of `factsheet/statistics`: the risk statistics of a class.

use schema::columns::StatisticsFields;
use schema::{Dataset, Number, ObservationData};

use super::api_types::StatisticsRow;
use super::group::Group;
use crate::payload::json::Field;
use crate::sites::findings::Findings;
use crate::text::{number, period};

/// Parses the newest record of a class. A 0 means that the asset manager has not filled the field in.
pub fn read(group: &Group<'_>, findings: &mut Findings) -> Option<ObservationData> {
    let (row, record): (StatisticsRow<'_>, _) = group.last(Dataset::Statistics, findings)?;
    let mut zeros: Vec<&str> = Vec::new();
    let mut value = |field: &'static str, value: Field<'_>| -> Option<Number> {
        let read = value.quantity().and_then(number::believed);
        let read = findings.field(Dataset::Statistics, field, read, record.raw())?;
        if read.value.is_zero() {
            zeros.push(field);
            return None;
        }
        Some(read.value)
    };
    let mut fields = StatisticsFields {
        sharpe_ratio: value("sharpe_ratio", row.sharpe_ratio),
        alpha: value("alpha", row.alpha),
        beta: value("beta", row.beta),
        max_drawdown: value("maximum_drawdown", row.maximum_drawdown),
        tracking_error: value("tracking_error", row.tracking_error),
        turnover_ratio: value("portfolio_turnover_ratio", row.portfolio_turnover_ratio),
        fx_hedging: value("fx_hedging", row.fx_hedging),
        recovering_period: None,
    };
    fields.recovering_period = findings.field(
        Dataset::Statistics,
        "recovering_period",
        recovering_period(row.recovering_period),
        record.raw(),
    );
    if !zeros.is_empty() {
        let reason = format!("0 in {}: treated as missing", zeros.join(", "));
        findings.note(Dataset::Statistics, "*", reason, record.raw());
    }
    (fields != StatisticsFields::default()).then_some(ObservationData::Statistics(fields))
}

/// Days, from Thai words. A bare 0 is missing, like the other zeros.
fn recovering_period(value: Field<'_>) -> Result<Option<i32>, String> {
    match value.text()? {
        Some(text) if text.trim() == "0" => Ok(None),
        Some(text) => period::read(&text).map_err(|error| error.to_string()),
        None => Ok(None),
    }
}
