//! `factsheet/fees` and `factsheet/subscription-redemption-minimums`.

use super::class::Class;
use super::query::Query;
use super::sheet::{Sheet, class_rows};
use crate::generator::spelling::scaled;
use crate::json::Json;
use crate::market::Market;

/// Currencies are padded with blanks to this width.
const CURRENCY_WIDTH: usize = 50;

pub(crate) fn rows(market: &Market, query: &Query) -> Vec<String> {
    class_rows(market, query, |class, sheet| {
        let fees = &class.data.fees;
        let zero = Some("0".to_owned());
        let mut rows = Vec::new();
        if fees.zeros_of_main {
            let name = "main".to_owned();
            rows.extend(
                fees.fees
                    .iter()
                    .map(|fee| row(class, sheet, &name, fee.description, [&zero, &zero])),
            );
        }
        let name = class.name_spelt();
        // An earlier factsheet had other rates.
        let earlier = Some(scaled(
            700 + i64::try_from(sheet.age).unwrap_or_default(),
            2,
        ));
        rows.extend(fees.fees.iter().map(|fee| {
            let numbers = if sheet.age == 0 {
                [&fee.rate, &fee.actual]
            } else {
                [&earlier, &earlier]
            };
            row(class, sheet, &name, fee.description, numbers)
        }));
        rows
    })
}

fn row(
    class: &Class<'_>,
    sheet: Sheet,
    name: &str,
    description: &str,
    [rate, actual]: [&Option<String>; 2],
) -> Json {
    let number = |number: &Option<String>| number.as_ref().map_or(Json::Null, Json::raw);
    let mut members = vec![
        ("proj_id", Json::text(class.proj_id)),
        ("fund_class_name", Json::text(name)),
    ];
    members.extend(sheet.members());
    members.extend([
        ("fee_type_desc", Json::text(description)),
        ("rate", number(rate)),
        ("actual_value", number(actual)),
        (
            "fee_other_desc",
            Json::text("ค่าธรรมเนียมดังกล่าวรวมภาษีมูลค่าเพิ่มแล้ว"),
        ),
        sheet.updated(class.data.seed),
    ]);
    Json::Object(members)
}

pub(crate) fn minimum_rows(market: &Market, query: &Query) -> Vec<String> {
    class_rows(market, query, |class, sheet| {
        vec![minimum_row(class, sheet)]
    })
}

fn minimum_row(class: &Class<'_>, sheet: Sheet) -> Json {
    let fees = &class.data.fees;
    let currency = || Json::text(format!("{:CURRENCY_WIDTH$}", fees.currency));
    let [first, next] = fees
        .minimums
        .map(|amount| amount + i64::try_from(sheet.age).unwrap_or_default());
    let mut members = vec![
        ("proj_id", Json::text(class.proj_id)),
        ("fund_class_name", Json::text(class.name_spelt())),
    ];
    members.extend(sheet.members());
    members.extend([
        ("minimum_sub_ipo", Json::raw(first)),
        ("minimum_sub_ipo_cur", currency()),
        ("minimum_sub", Json::raw(next)),
        ("minimum_sub_cur", currency()),
        ("minimum_sub_unit", Json::text("")),
        ("minimum_redempt", Json::raw(0)),
        ("minimum_redempt_cur", currency()),
        ("minimum_redempt_unit", Json::text("")),
        ("lowbal_val", Json::raw(0)),
        ("lowbal_val_cur", Json::text(fees.currency)),
        ("lowbal_unit", Json::text("")),
        sheet.updated(class.data.seed),
    ]);
    Json::Object(members)
}
