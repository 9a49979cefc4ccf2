//! Parser of `factsheet/fees`: the fee rates of a class, one record for each fee and effective period.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schema::columns::FeeFields;
use schema::{Dataset, Number, ObservationData};

use super::api_types::FeeRow;
use super::group::Group;
use crate::payload::json::Field;
use crate::sites::fee_kind::{Description, FeeKind, kind_of};
use crate::sites::findings::Findings;
use crate::sites::plausible::FeeColumn;

/// The two rates of a fee.
type Rates = [Option<Number>; 2];

/// Parses the records of a class. Of several records of one fee the one with the latest date counts, even if it has no
/// value.
pub fn read(group: &Group<'_>, findings: &mut Findings) -> Option<ObservationData> {
    let mut newest: BTreeMap<FeeKind, (Option<Date>, FeeRow<'_>, Field<'_>)> = BTreeMap::new();
    for (date, record) in &group.records {
        let Some((kind, row)) = read_kind(*record, findings) else {
            continue;
        };
        if newest.get(&kind).is_none_or(|(known, ..)| known <= date) {
            newest.insert(kind, (*date, row, *record));
        }
    }
    let rates: BTreeMap<FeeKind, Rates> = newest
        .into_iter()
        .map(|(kind, (_, row, record))| (kind, rates(&row, record, findings)))
        .collect();
    let fields = columns(&rates);
    (fields != FeeFields::default()).then_some(ObservationData::Fees(fields))
}

fn read_kind<'json>(
    record: Field<'json>,
    findings: &mut Findings,
) -> Option<(FeeKind, FeeRow<'json>)> {
    let row = record.record::<FeeRow<'_>>();
    let row = findings.field(Dataset::Fees, "*", row, record.raw())?;
    let description = findings.field(
        Dataset::Fees,
        "fee_type_desc",
        row.fee_type_desc.text(),
        record.raw(),
    )?;
    match kind_of(&description) {
        Description::Is(kind) => Some((kind, row)),
        Description::NoColumn => None,
        Description::Unclear => {
            let reason = "the direction of the switching is unclear; not used";
            findings.note(Dataset::Fees, "fee_type_desc", reason, record.raw());
            None
        }
    }
}

/// The rates of one record. If neither is another number than 0, the asset manager has not filled them in.
fn rates(row: &FeeRow<'_>, record: Field<'_>, findings: &mut Findings) -> Rates {
    let both = [row.rate, row.actual_value];
    if both.into_iter().all(is_unfilled) {
        if both
            .into_iter()
            .any(|value| value.is_present() && !value.is_null())
        {
            let reason = "0 and no other number: treated as missing";
            findings.note(Dataset::Fees, "rate", reason, record.raw());
        }
        return [None, None];
    }
    let mut fee = |field: &str, value: Field<'_>, column: FeeColumn| {
        findings.fee(
            Dataset::Fees,
            field,
            value.fee_cell(),
            (column, &[]),
            record.raw(),
        )
    };
    [
        fee("rate", row.rate, FeeColumn::Cap),
        fee("actual_value", row.actual_value, FeeColumn::Charged),
    ]
}

fn is_unfilled(value: Field<'_>) -> bool {
    value
        .quantity()
        .is_ok_and(|quantity| quantity.is_none_or(|quantity| quantity.value.is_zero()))
}

fn columns(rates: &BTreeMap<FeeKind, Rates>) -> FeeFields {
    let of = |kind| rates.get(&kind).copied().unwrap_or_default();
    let [front_end_max, front_end_actual] = of(FeeKind::FrontEnd);
    let [back_end_max, back_end_actual] = of(FeeKind::BackEnd);
    let [management_max, management_actual] = of(FeeKind::Management);
    let [ter_max, ter_actual] = of(FeeKind::TotalExpense);
    let [switching_in_max, switching_in_actual] = of(FeeKind::SwitchingIn);
    let [switching_out_max, switching_out_actual] = of(FeeKind::SwitchingOut);
    FeeFields {
        front_end_max,
        front_end_actual,
        back_end_max,
        back_end_actual,
        management_max,
        management_actual,
        ter_max,
        ter_actual,
        switching_in_max,
        switching_in_actual,
        switching_out_max,
        switching_out_actual,
        min_initial_buy: None,
        min_next_buy: None,
    }
}
