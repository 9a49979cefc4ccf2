//! Parser of `daily-info/dividend-history`: the dividends of all classes.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schema::columns::DividendFields;
use schema::observation::Dividend;
use schema::{Dataset, ObservationData};

use super::api_types::DividendRow;
use super::page::{self, ClassKey, ListPage};
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::findings::Findings;
use crate::text::{missing, name};

/// Parses one page. The dividends of a class are one statement; those on the other pages of the list are further ones.
/// Several dividends of one class and day are all part of it: [`schema::dividends`] puts them together.
pub fn read(list: ListPage<'_>, url: &str, mut findings: Findings) -> Reading {
    let mut classes: BTreeMap<ClassKey, BTreeMap<Date, Vec<Dividend>>> = BTreeMap::new();
    for (row, record) in list.rows::<DividendRow<'_>>(Dataset::Dividends, &mut findings) {
        let class = match class_key(&row) {
            Ok(class) => class,
            Err((field, reason)) => {
                page::reject(&mut findings, Dataset::Dividends, field, reason, record);
                continue;
            }
        };
        let Some(dividend) = read_dividend(&row, record, &mut findings) else {
            continue;
        };
        let of_class = classes.entry(class).or_default();
        let of_day = of_class.entry(dividend.xd_date).or_default();
        if of_day.contains(&dividend) {
            continue;
        }
        if !of_day.is_empty() {
            let reason = format!(
                "{} has several dividends of one class; one that a later change corrects is left out, and the others are added",
                dividend.xd_date
            );
            findings.note(Dataset::Dividends, "book_close_date", reason, record.raw());
        }
        of_day.push(dividend);
    }
    let keyed = classes
        .into_iter()
        .map(|(class, dividends)| {
            let dividends = dividends.into_values().flatten();
            let data = ObservationData::Dividends(dividends.collect());
            page::keyed(class, None, url, data)
        })
        .collect();
    list.part(findings, keyed, None)
}

/// A project with one class may have no class name here, or the name of the project, which is the code of the class.
fn class_key(row: &DividendRow<'_>) -> Result<ClassKey, (&'static str, String)> {
    let class = row
        .class_abbr_name
        .text()
        .map_err(|why| ("class_abbr_name", why))?;
    if class.is_none_or(|class| missing::is_missing(&name::normalise(&class))) {
        return page::main_class_key(row.proj_id);
    }
    page::class_key(row.proj_id, row.class_abbr_name).map_err(|(field, why)| match field {
        "fund_class_name" => ("class_abbr_name", why),
        field => (field, why),
    })
}

/// A dividend needs an XD date and a value. A value of 0 is no dividend.
fn read_dividend(
    row: &DividendRow<'_>,
    record: Field<'_>,
    findings: &mut Findings,
) -> Option<Dividend> {
    let xd_date = row.book_close_date.date().and_then(|stated| {
        stated
            .map(Some)
            .ok_or_else(|| "expected a date, found nothing".to_owned())
    });
    let xd_date = findings.dividend_day("book_close_date", xd_date, record.raw())?;
    let value = row.dividend_value.quantity().and_then(|value| {
        value
            .map(Some)
            .ok_or_else(|| "expected a number, found nothing".to_owned())
    });
    let value = findings.money(Dataset::Dividends, "dividend_value", value, record.raw())?;
    if value.is_zero() {
        let reason = "expected a dividend above 0, found 0; not used";
        findings.note(Dataset::Dividends, "dividend_value", reason, record.raw());
        return None;
    }
    let pay_date = findings.dividend_day("dividend_date", row.dividend_date.date(), record.raw());
    Some(Dividend {
        xd_date,
        fields: DividendFields {
            pay_date,
            value: Some(value),
        },
        changed_on: changed_on(row, record, findings),
    })
}

/// The day of the last change. A dividend without it is stored, with a note: a later row of its XD date replaces it.
fn changed_on(row: &DividendRow<'_>, record: Field<'_>, findings: &mut Findings) -> Option<Date> {
    let stated = row.last_upd_date.date().and_then(|stated| {
        stated.ok_or_else(|| "expected the day of the last change, found nothing".to_owned())
    });
    match stated {
        Ok(stated) => Some(stated.date()),
        Err(reason) => {
            findings.note(Dataset::Dividends, "last_upd_date", reason, record.raw());
            None
        }
    }
}
