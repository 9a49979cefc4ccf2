//! Parser of `/funds/{fund_id}/fee`: the fee rates of the fund's own share class.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::civil::Date;
use schema::columns::FeeFields;
use schema::{Dataset, Number, ObservationData};

use crate::payload::breach;
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::fee_kind::{Description, FeeKind, kind_of};
use crate::sites::findings::Findings;
use crate::sites::finnomena::api_types::{Fee, FeeList};
use crate::sites::plausible::FeeColumn;
use crate::text::name;
use crate::text::number::Unit;
use crate::text::stated_date::StatedDate;

/// The maximum rate, the charged rate, and the date of the last update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rates {
    cap: Option<Number>,
    actual: Option<Number>,
    last_update: Option<Date>,
}

/// Parses the page.
pub fn read(data: Field<'_>, mut findings: Findings) -> Reading {
    let list: FeeList<'_> = match data.required("data", "an object with `fees`") {
        Ok(list) => list,
        Err(breach) => return Reading::Broken(breach),
    };
    if !list.fees.is_present() {
        return Reading::Broken(data.breach("data.fees", "an array"));
    }
    let elements = match list.fees.elements() {
        Ok(Some(elements)) if !elements.is_empty() => elements,
        Ok(_) => return findings.said(),
        Err(reason) => return Reading::Broken(breach("data.fees", "an array", &reason)),
    };
    let mut fees = Vec::with_capacity(elements.len());
    for element in &elements {
        match element.record::<Fee<'_>>() {
            Ok(Some(fee)) => fees.push((fee, *element)),
            Ok(None) => findings.reject(
                Dataset::Fees,
                "*",
                "expected a fee, found null",
                element.raw(),
            ),
            Err(reason) => findings.reject(Dataset::Fees, "*", reason, element.raw()),
        }
    }
    if fees.is_empty() {
        return findings.said();
    }
    if !fees.iter().any(|(fee, _)| fee.description.is_present()) {
        return Reading::Broken(
            elements[0].breach("data.fees[].description", "the key in each fee"),
        );
    }
    type HasKey = fn(&Fee<'_>) -> bool;
    let keys: [(&str, HasKey); 2] = [
        ("rate", |fee| fee.rate.is_present()),
        ("actual_value", |fee| fee.actual_value.is_present()),
    ];
    for (key, is_present) in keys {
        if !fees.iter().any(|(fee, _)| is_present(fee)) {
            let field = format!("data.fees[].{key}");
            return Reading::Broken(elements[0].breach(&field, "the key in each fee"));
        }
    }
    if !fees.iter().any(|(fee, _)| fee.class_abbr_name.is_present()) {
        // Without this key the owner of a fee is unknown, and the fees of all classes would be used as the fund's own.
        return Reading::Broken(
            elements[0].breach("data.fees[].class_abbr_name", "the key in each fee"),
        );
    }
    let Some(own) = of_own_class(fees, &mut findings) else {
        findings.note(
            Dataset::Fees,
            "class_abbr_name",
            "no fee of the fund's own class or of `main`",
            elements[0].raw(),
        );
        return findings.said();
    };
    let mut by_kind: BTreeMap<FeeKind, Rates> = BTreeMap::new();
    for (fee, element) in own {
        if let Some((kind, rates)) = rates(&fee, element, &mut findings) {
            take(&mut by_kind, kind, rates, element, &mut findings);
        }
    }
    if by_kind.is_empty() {
        findings.note(
            Dataset::Fees,
            "description",
            "no fee that is a column of funds_fee",
            elements[0].raw(),
        );
    }
    let fields = columns(&by_kind);
    if fields != FeeFields::default() {
        findings.say(None, ObservationData::Fees(fields));
    }
    findings.said()
}

/// The rows of the fund's own class; if there is none, those of `main`, `-` or no class; never those of another class.
/// `None` if all rows belong to other classes.
fn of_own_class<'json>(
    fees: Vec<(Fee<'json>, Field<'json>)>,
    findings: &mut Findings,
) -> Option<Vec<(Fee<'json>, Field<'json>)>> {
    let (mut own, mut main) = (Vec::new(), Vec::new());
    for (fee, element) in fees {
        let class = match fee.class_abbr_name.text() {
            Ok(Some(class)) => name::normalise(&class),
            Ok(None) => String::new(),
            Err(reason) => {
                findings.reject(Dataset::Fees, "class_abbr_name", reason, element.raw());
                continue;
            }
        };
        let names_the_fund =
            name::fund_code(&class).is_ok_and(|class| findings.fund_code() == Some(&class));
        if names_the_fund {
            own.push((fee, element));
        } else if class.is_empty() || class == "-" || class.eq_ignore_ascii_case("main") {
            main.push((fee, element));
        }
    }
    let rows = if own.is_empty() { main } else { own };
    (!rows.is_empty()).then_some(rows)
}

fn rates(fee: &Fee<'_>, element: Field<'_>, findings: &mut Findings) -> Option<(FeeKind, Rates)> {
    let description = findings.field(
        Dataset::Fees,
        "description",
        fee.description.text(),
        element.raw(),
    )?;
    let kind = match kind_of(&description) {
        Description::Is(kind) => kind,
        Description::NoColumn => return None,
        Description::Unclear => {
            findings.note(
                Dataset::Fees,
                "description",
                "the direction of the switching is unclear; not used",
                element.raw(),
            );
            return None;
        }
    };
    let mut unit = |field: &str, value: Field<'_>| {
        findings
            .field(Dataset::Fees, field, value.text(), element.raw())
            .and_then(|text| unit_of(&text))
    };
    let unit_of_both = unit("unit", fee.unit);
    let cap_unit = unit("rate_unit", fee.rate_unit);
    let actual_unit = unit("actual_value_unit", fee.actual_value_unit);
    // The time of the last update of the row, not a calendar date of the fund: it only orders two rows.
    let last_update = match fee.last_update.date() {
        Ok(stated) => stated.map(StatedDate::date),
        Err(reason) => {
            findings.note(Dataset::Fees, "last_update", reason, element.raw());
            None
        }
    };
    let mut rate = |field: &str, column: FeeColumn, value: Field<'_>, own_unit: Option<Unit>| {
        let asked = (column, &[own_unit, unit_of_both][..]);
        findings.fee(Dataset::Fees, field, value.fee_cell(), asked, element.raw())
    };
    let rates = Rates {
        cap: rate("rate", FeeColumn::Cap, fee.rate, cap_unit),
        actual: rate(
            "actual_value",
            FeeColumn::Charged,
            fee.actual_value,
            actual_unit,
        ),
        last_update,
    };
    Some((kind, rates))
}

/// Resolves two rows for one fee: the one updated later takes precedence, otherwise the first.
fn take(
    by_kind: &mut BTreeMap<FeeKind, Rates>,
    kind: FeeKind,
    rates: Rates,
    element: Field<'_>,
    findings: &mut Findings,
) {
    match by_kind.entry(kind) {
        Entry::Vacant(place) => {
            place.insert(rates);
        }
        Entry::Occupied(mut place) => {
            let held = *place.get();
            let (winner, loser) = if rates.last_update > held.last_update {
                (rates, held)
            } else {
                (held, rates)
            };
            place.insert(Rates {
                cap: winner.cap.or(loser.cap),
                actual: winner.actual.or(loser.actual),
                last_update: winner.last_update,
            });
            if (held.cap, held.actual) != (rates.cap, rates.actual) {
                let reason = format!(
                    "two rows for the fee {kind:?}: the one updated later counts, else the first"
                );
                findings.note(Dataset::Fees, "description", reason, element.raw());
            }
        }
    }
}

fn columns(by_kind: &BTreeMap<FeeKind, Rates>) -> FeeFields {
    let cap = |kind| by_kind.get(&kind).and_then(|rates| rates.cap);
    let actual = |kind| by_kind.get(&kind).and_then(|rates| rates.actual);
    FeeFields {
        front_end_max: cap(FeeKind::FrontEnd),
        front_end_actual: actual(FeeKind::FrontEnd),
        back_end_max: cap(FeeKind::BackEnd),
        back_end_actual: actual(FeeKind::BackEnd),
        management_max: cap(FeeKind::Management),
        management_actual: actual(FeeKind::Management),
        ter_max: cap(FeeKind::TotalExpense),
        ter_actual: actual(FeeKind::TotalExpense),
        switching_in_max: cap(FeeKind::SwitchingIn),
        switching_in_actual: actual(FeeKind::SwitchingIn),
        switching_out_max: cap(FeeKind::SwitchingOut),
        switching_out_actual: actual(FeeKind::SwitchingOut),
        min_initial_buy: None,
        min_next_buy: None,
    }
}

fn unit_of(text: &str) -> Option<Unit> {
    let text = text.to_lowercase();
    let text = text.trim();
    if text.starts_with('%') {
        // "% ของ … บาท" is a percentage, whatever follows.
        return Some(Unit::Percent);
    }
    ["บาท", "thb", "baht", "฿"]
        .iter()
        .any(|baht| text.contains(baht))
        .then_some(Unit::Baht)
}
