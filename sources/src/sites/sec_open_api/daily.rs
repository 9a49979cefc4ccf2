//! Parser of `daily-info/nav`: NAV, net asset, bid and offer of classes on the days of a range.

use jiff::civil::Date;
use schema::observation::{DailyPoint, KeyedObservation};
use schema::{Dataset, DayRange, Number, ObservationData};

use super::api_types::NavRow;
use super::page::{self, ListPage};
use crate::payload::breach;
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::findings::Findings;

/// Parses one page. The API ignores parameters whose names it does not know, so a record of a day outside `days` means
/// that the query was not understood: nothing of the page is used. The order of the records has no meaning, except that
/// of two records of one class and day the later one is valid.
pub fn read(list: ListPage<'_>, days: DayRange, url: &str, mut findings: Findings) -> Reading {
    let mut keyed: Vec<KeyedObservation> = Vec::with_capacity(list.records.len());
    for (row, record) in list.rows::<NavRow<'_>>(Dataset::Daily, &mut findings) {
        let day = match read_day(&row, record, &mut findings) {
            Ok(Some(found)) if !days.contains(found) => {
                let expected = format!("records of {days} only");
                return Reading::Broken(breach("items[].nav_date", &expected, &found.to_string()));
            }
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(reason) => {
                page::reject(&mut findings, Dataset::Daily, "nav_date", reason, record);
                continue;
            }
        };
        let class = match page::class_key(row.proj_id, row.fund_class_name) {
            Ok(class) => class,
            Err((field, reason)) => {
                page::reject(&mut findings, Dataset::Daily, field, reason, record);
                continue;
            }
        };
        let mut money = |field: &str, value: Field<'_>| {
            findings.money(Dataset::Daily, field, value.quantity(), record.raw())
        };
        let nav = money("last_val", row.last_val);
        let aum = money("net_asset", row.net_asset);
        let bid = money("buy_price", row.buy_price);
        let offer = money("sell_price", row.sell_price);
        // A NAV of 0 is none. A price of 0.0 means that units are not bought or sold; a net asset of 0 is a value.
        let unless_zero = |value: Option<Number>| value.filter(|value| !value.is_zero());
        let point = DailyPoint {
            nav_date: day,
            nav: unless_zero(nav),
            aum,
            bid: unless_zero(bid),
            offer: unless_zero(offer),
        };
        let values = [point.nav, point.aum, point.bid, point.offer];
        if values.iter().all(Option::is_none) {
            continue;
        }
        keyed.push(page::keyed(
            class,
            None,
            url,
            ObservationData::Daily(vec![point]),
        ));
    }
    list.part(findings, keyed, None)
}

/// The date of a record; `None` if it has none, which is rejected here.
fn read_day(
    row: &NavRow<'_>,
    record: Field<'_>,
    findings: &mut Findings,
) -> Result<Option<Date>, String> {
    let stated = row.nav_date.date()?;
    let day = findings.believed_nav_day(stated)?;
    if day.is_none() {
        let reason = "expected a date, found nothing".to_owned();
        page::reject(findings, Dataset::Daily, "nav_date", reason, record);
    }
    Ok(day)
}
