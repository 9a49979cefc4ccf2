//! Parser of `factsheet/subscription-redemption-minimums`: the minimum purchases of a class.

use schema::columns::FeeFields;
use schema::{Dataset, Number, ObservationData};

use super::api_types::MinimumsRow;
use super::group::Group;
use super::page;
use crate::payload::json::Field;
use crate::sites::findings::Findings;
use crate::sites::plausible::FeeColumn;
use crate::text::excerpt;

/// The currency of the columns.
const BAHT: &str = "THB";

/// Parses the newest record of a class. An amount of 0 is a value.
pub fn read(group: &Group<'_>, findings: &mut Findings) -> Option<ObservationData> {
    let (row, record): (MinimumsRow<'_>, _) = group.last(Dataset::Minimums, findings)?;
    let mut amount = |field: &str, value: Field<'_>, currency: Field<'_>| {
        in_baht(findings, field, (value, currency), record)
    };
    let fields = FeeFields {
        min_initial_buy: amount(
            "minimum_sub_ipo",
            row.minimum_sub_ipo,
            row.minimum_sub_ipo_cur,
        ),
        min_next_buy: amount("minimum_sub", row.minimum_sub, row.minimum_sub_cur),
        ..FeeFields::default()
    };
    (fields != FeeFields::default()).then_some(ObservationData::Minimums(fields))
}

/// An amount, if its currency is baht. Currencies are padded with blanks.
fn in_baht(
    findings: &mut Findings,
    field: &str,
    (value, currency): (Field<'_>, Field<'_>),
    record: Field<'_>,
) -> Option<Number> {
    let cell = (FeeColumn::Minimum, &[][..]);
    let amount = findings.fee(
        Dataset::Minimums,
        field,
        value.fee_cell(),
        cell,
        record.raw(),
    )?;
    let currency = findings.field(Dataset::Minimums, field, page::word(currency), record.raw());
    let currency = currency.unwrap_or_else(|| "no currency".to_owned());
    if currency.eq_ignore_ascii_case(BAHT) {
        return Some(amount);
    }
    let reason = format!("expected {BAHT}, found {}; not used", excerpt(&currency));
    findings.note(Dataset::Minimums, field, reason, record.raw());
    None
}
