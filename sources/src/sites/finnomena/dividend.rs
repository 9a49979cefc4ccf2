//! Parser of `/funds/{fund_id}/dividend`: all dividends of a fund.

use schema::columns::DividendFields;
use schema::observation::Dividend;
use schema::{Dataset, ObservationData};

use crate::payload::breach;
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::findings::Findings;
use crate::sites::finnomena::api_types::{DividendList, PaidDividend};

/// Parses the page. An empty or null `dividends` is the answer of a fund that pays none. Several
/// dividends of one XD date are all part of the statement, with a note: [`schema::dividends`] adds them.
pub fn read(data: Field<'_>, mut findings: Findings) -> Reading {
    let list: DividendList<'_> = match data.required("data", "an object with `dividends`") {
        Ok(list) => list,
        Err(breach) => return Reading::Broken(breach),
    };
    if !list.dividends.is_present() {
        return Reading::Broken(data.breach(
            "data.dividends",
            "an array, empty or null where the fund pays none",
        ));
    }
    let elements = match list.dividends.elements() {
        Ok(Some(elements)) => elements,
        Ok(None) => return findings.said(),
        Err(reason) => return Reading::Broken(breach("data.dividends", "an array", &reason)),
    };
    let mut dividends: Vec<Dividend> = Vec::new();
    let (mut dates, mut values) = (0_usize, 0_usize);
    for element in &elements {
        let paid = match element.record::<PaidDividend<'_>>() {
            Ok(Some(paid)) => paid,
            Ok(None) => {
                let reason = "expected a dividend, found null";
                findings.reject(Dataset::Dividends, "*", reason, element.raw());
                continue;
            }
            Err(reason) => {
                findings.reject(Dataset::Dividends, "*", reason, element.raw());
                continue;
            }
        };
        dates += usize::from(paid.xd_date.is_present());
        values += usize::from(paid.value.is_present());
        let Some(dividend) = dividend(&paid, *element, &mut findings) else {
            continue;
        };
        if dividends.contains(&dividend) {
            continue;
        }
        if dividends
            .iter()
            .any(|other| other.xd_date == dividend.xd_date)
        {
            let reason = format!("{} has several dividends: they are added", dividend.xd_date);
            findings.note(Dataset::Dividends, "xd_date", reason, element.raw());
        }
        dividends.push(dividend);
    }
    for (key, seen) in [("xd_date", dates), ("value", values)] {
        if let Some(first) = elements.first().filter(|_| seen == 0) {
            return Reading::Broken(first.breach(
                &format!("data.dividends[].{key}"),
                "the key in each dividend",
            ));
        }
    }
    if !dividends.is_empty() {
        dividends.sort_unstable_by_key(|dividend| dividend.xd_date);
        findings.say(None, ObservationData::Dividends(dividends));
    }
    findings.said()
}

/// A dividend needs an XD date and a value. A value of 0 is no dividend.
fn dividend(
    paid: &PaidDividend<'_>,
    element: Field<'_>,
    findings: &mut Findings,
) -> Option<Dividend> {
    let xd_date = paid.xd_date.date().and_then(|stated| match stated {
        Some(stated) => Ok(Some(stated)),
        None => Err("expected a date, found nothing".to_owned()),
    });
    let xd_date = findings.dividend_day("xd_date", xd_date, element.raw())?;
    let value = paid.value.quantity().and_then(|value| match value {
        Some(value) => Ok(Some(value)),
        None => Err("expected a number, found nothing".to_owned()),
    });
    let value = findings.money(Dataset::Dividends, "value", value, element.raw())?;
    if value.is_zero() {
        let reason = "expected a dividend above 0, found 0; not used";
        findings.note(Dataset::Dividends, "value", reason, element.raw());
        return None;
    }
    let pay_date = findings.dividend_day("pay_date", paid.pay_date.date(), element.raw());
    Some(Dividend {
        xd_date,
        fields: DividendFields {
            pay_date,
            value: Some(value),
        },
        changed_on: None,
    })
}
