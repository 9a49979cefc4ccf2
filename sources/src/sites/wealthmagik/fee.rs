//! Parser of `/funds/<code>/fee`: fees and minimum purchases; `ffs` is the maximum rate, `actual` the charged rate.

use std::collections::BTreeMap;

use schema::columns::FeeFields;
use schema::{Dataset, Number, ObservationData};

use crate::payload::breach;
use crate::payload::html::{HtmlPage, text};
use crate::site::{Answer, Reading, Via};
use crate::sites::findings::Findings;
use crate::sites::plausible::FeeColumn;
use crate::sites::wealthmagik::contract::FEE_REQUIRED;
use crate::sites::wealthmagik::page::{incomplete, names, unrendered};
use crate::text::number;

/// The prefix of an id before its field.
const ID: &str = "wmg.funddetailfee.text.";
/// The fields in percent.
const PERCENT: [&str; 12] = [
    "frontEndFee-ffs",
    "frontEndFee-actual",
    "backEndFee-ffs",
    "backEndFee-actual",
    "switchingInFee-ffs",
    "switchingInFee-actual",
    "switchingOutFee-ffs",
    "switchingOutFee-actual",
    "managementFee-ffs",
    "managementFee-actual",
    "totalExpenseRatio-ffs",
    ACTUAL_TER,
];
/// The only field of a charged rate whose id ends in `-ffs`.
const ACTUAL_TER: &str = "totalExpenseRatioActual-ffs";
/// The fields in baht.
const BAHT: [&str; 2] = ["initialPurchase-ffs", "additionalPurchase-ffs"];

/// Parses the page.
pub fn read(answer: &Answer, mut findings: Findings) -> Reading {
    let page = match HtmlPage::parse(&answer.body) {
        Ok(page) => page,
        Err(breach) => return Reading::Broken(breach),
    };
    let Some(asked) = findings.fund_code().cloned() else {
        return Reading::Broken(breach("key", "a fund code", "none"));
    };
    if let Err(breach) = names(&page, None, &asked) {
        return Reading::Broken(breach);
    }
    let mut cells: BTreeMap<String, String> = BTreeMap::new();
    for (id, element) in page.ids() {
        // The ids of the total expense ratio are irregular: with or without the prefix.
        let field = id.strip_prefix(ID).unwrap_or(&id);
        if PERCENT.contains(&field) || BAHT.contains(&field) {
            let cell = text(&element);
            // Of two elements with one id, the first that is not empty is used.
            let place = cells.entry(field.to_owned()).or_default();
            if place.is_empty() {
                *place = cell;
            }
        }
    }
    if cells.is_empty() && !page.all(".emptyData").is_empty() {
        return Reading::Absent;
    }
    let lacking: Vec<&str> = FEE_REQUIRED
        .into_iter()
        .filter(|field| !cells.contains_key(*field))
        .collect();
    if !lacking.is_empty() || (answer.via == Via::Http && cells.values().all(String::is_empty)) {
        let found = if lacking.is_empty() {
            "only empty cells".to_owned()
        } else {
            format!("no {}", lacking.join(", no "))
        };
        let expected = format!("the cells {}", FEE_REQUIRED.join(", "));
        let what = breach(ID, &expected, &found);
        return if cells.is_empty() {
            unrendered(&page, what)
        } else {
            incomplete(&page, answer.via, what)
        };
    }
    let fees = fields(&cells, &mut findings);
    if fees != FeeFields::default() {
        findings.say(None, ObservationData::Fees(fees));
    }
    findings.said()
}

fn fields(cells: &BTreeMap<String, String>, findings: &mut Findings) -> FeeFields {
    let mut value = |field: &str, column: FeeColumn| -> Option<Number> {
        let cell = cells.get(field)?;
        let read = number::read_fee(cell).map_err(|error| error.to_string());
        findings.fee(Dataset::Fees, field, read, (column, &[]), cell)
    };
    let mut percent = |field: &str| {
        let column = if field.ends_with("-actual") || field == ACTUAL_TER {
            FeeColumn::Charged
        } else {
            FeeColumn::Cap
        };
        value(field, column)
    };
    let fees = FeeFields {
        front_end_max: percent("frontEndFee-ffs"),
        front_end_actual: percent("frontEndFee-actual"),
        back_end_max: percent("backEndFee-ffs"),
        back_end_actual: percent("backEndFee-actual"),
        switching_in_max: percent("switchingInFee-ffs"),
        switching_in_actual: percent("switchingInFee-actual"),
        switching_out_max: percent("switchingOutFee-ffs"),
        switching_out_actual: percent("switchingOutFee-actual"),
        management_max: percent("managementFee-ffs"),
        management_actual: percent("managementFee-actual"),
        ter_max: percent("totalExpenseRatio-ffs"),
        ter_actual: percent(ACTUAL_TER),
        min_initial_buy: None,
        min_next_buy: None,
    };
    FeeFields {
        min_initial_buy: value("initialPurchase-ffs", FeeColumn::Minimum),
        min_next_buy: value("additionalPurchase-ffs", FeeColumn::Minimum),
        ..fees
    }
}
