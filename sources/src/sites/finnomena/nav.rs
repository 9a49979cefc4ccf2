//! Parser of `/funds/{fund_id}/nav/q`: NAV and AUM by date.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::ToSpan;
use jiff::civil::Date;
use schema::observation::DailyPoint;
use schema::{Dataset, ObservationData};

use crate::payload::breach;
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::findings::Findings;
use crate::sites::finnomena::api_types::{NavDay, NavHistory};

/// The elements of a history that are at least this many days older than its newest date are settled. A daily cycle
/// requests a month, and a date within the known prefix discards the prefix, so this is a little more than a month.
const SETTLED_AFTER_DAYS: i64 = 35;

/// The reading, the number of settled elements at the beginning, and the last date in them.
pub type Navs = (Reading, Option<(usize, Date)>);

/// Parses a history. An empty or null `navs` is an answer. Of two entries for one date, the later in the list takes
/// precedence where it has values, and the pair is noted.
pub fn read(data: Field<'_>, findings: Findings) -> Navs {
    let mut days = Vec::new();
    let reading = read_days(data, findings, &mut days);
    (reading, settled(&days))
}

/// The longest prefix of elements whose dates are all earlier than those after it and at least [`SETTLED_AFTER_DAYS`]
/// older than the newest one. Returns its number of elements and its last date; `None` if it is empty.
fn settled(days: &[Option<Date>]) -> Option<(usize, Date)> {
    // An element without a known date could have any date.
    let days: Vec<Date> = days.iter().copied().collect::<Option<_>>()?;
    let newest = days.iter().max()?;
    let last = newest.checked_sub(SETTLED_AFTER_DAYS.days()).ok()?;
    let mut latest: Vec<Date> = Vec::with_capacity(days.len());
    for day in &days {
        latest.push(latest.last().map_or(*day, |before| *before.max(day)));
    }
    let mut earliest_beyond = Date::MAX;
    for (at, (day, until)) in days.iter().zip(latest).enumerate().rev() {
        if until < earliest_beyond && until <= last {
            return Some((at + 1, until));
        }
        earliest_beyond = earliest_beyond.min(*day);
    }
    None
}

fn read_days(data: Field<'_>, mut findings: Findings, seen: &mut Vec<Option<Date>>) -> Reading {
    let history: NavHistory<'_> = match data.required("data", "an object with `navs`") {
        Ok(history) => history,
        Err(breach) => return Reading::Broken(breach),
    };
    if !history.navs.is_present() {
        return Reading::Broken(
            data.breach("data.navs", "an array, empty or null where there is no NAV"),
        );
    }
    let elements = match history.navs.elements() {
        Ok(Some(elements)) if !elements.is_empty() => elements,
        Ok(_) => return findings.said(),
        Err(reason) => return Reading::Broken(breach("data.navs", "an array", &reason)),
    };
    let mut days: BTreeMap<Date, DailyPoint> = BTreeMap::new();
    let (mut dates, mut values, mut amounts) = (0_usize, 0_usize, 0_usize);
    for element in &elements {
        seen.push(None);
        let day = match element.record::<NavDay<'_>>() {
            Ok(Some(day)) => day,
            Ok(None) => {
                findings.reject(
                    Dataset::Daily,
                    "*",
                    "expected a day, found null",
                    element.raw(),
                );
                continue;
            }
            Err(reason) => {
                findings.reject(Dataset::Daily, "*", reason, element.raw());
                continue;
            }
        };
        dates += usize::from(day.date.is_present());
        values += usize::from(day.value.is_present());
        amounts += usize::from(day.amount.is_present());
        let Some(nav_date) = nav_date(&day, *element, &mut findings) else {
            continue;
        };
        if let Some(last) = seen.last_mut() {
            *last = Some(nav_date);
        }
        if let Some(point) = point(nav_date, &day, *element, &mut findings) {
            take(&mut days, point, *element, &mut findings);
        }
    }
    for (key, seen) in [("date", dates), ("value", values)] {
        if seen == 0 {
            return Reading::Broken(
                elements[0].breach(&format!("data.navs[].{key}"), "the key in each day"),
            );
        }
    }
    // The other dates and fields are kept, but a renamed field must not be mistaken for missing data (D7).
    if values < elements.len() {
        let reason = format!(
            "expected the key in each of {} days, found it in {values}",
            elements.len()
        );
        findings.reject(Dataset::Daily, "value", reason, elements[0].raw());
    }
    if amounts == 0 {
        let reason = "no day has the key `amount`";
        findings.reject(Dataset::Daily, "amount", reason, elements[0].raw());
    }
    let points: Vec<DailyPoint> = days.into_values().collect();
    if !points.is_empty() {
        findings.say(None, ObservationData::Daily(points));
    }
    findings.said()
}

fn nav_date(day: &NavDay<'_>, element: Field<'_>, findings: &mut Findings) -> Option<Date> {
    let read = day
        .date
        .date()
        .and_then(|stated| stated.ok_or_else(|| "the entry has no date".to_owned()));
    findings.nav_day(Dataset::Daily, "date", read.map(Some), element.raw())
}

fn point(
    nav_date: Date,
    day: &NavDay<'_>,
    element: Field<'_>,
    findings: &mut Findings,
) -> Option<DailyPoint> {
    let nav = findings.money(Dataset::Daily, "value", day.value.quantity(), element.raw());
    if nav.is_some_and(schema::Number::is_zero) {
        findings.note(
            Dataset::Daily,
            "value",
            format!("the NAV of {nav_date} is 0: treated as missing"),
            element.raw(),
        );
    }
    let point = DailyPoint {
        nav_date,
        nav: nav.filter(|nav| !nav.is_zero()),
        aum: findings.money(
            Dataset::Daily,
            "amount",
            day.amount.quantity(),
            element.raw(),
        ),
        bid: None,
        offer: None,
    };
    (point.nav.is_some() || point.aum.is_some()).then_some(point)
}

fn take(
    days: &mut BTreeMap<Date, DailyPoint>,
    point: DailyPoint,
    element: Field<'_>,
    findings: &mut Findings,
) {
    match days.entry(point.nav_date) {
        Entry::Vacant(place) => {
            place.insert(point);
        }
        Entry::Occupied(mut place) => {
            let earlier = *place.get();
            let later = DailyPoint {
                nav: point.nav.or(earlier.nav),
                aum: point.aum.or(earlier.aum),
                ..point
            };
            place.insert(later);
            let reason = format!(
                "two entries for {}: the later one in the list is used, the earlier one has NAV {} and AUM {}",
                point.nav_date,
                shown(earlier.nav),
                shown(earlier.aum)
            );
            findings.note(Dataset::Daily, "date", reason, element.raw());
        }
    }
}

fn shown(value: Option<schema::Number>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn what_is_settled_lies_before_all_the_rest_and_a_month_before_the_newest_day() {
        let old = |day| Some(date(2026, 1, day));
        let new = |day| Some(date(2026, 3, day));
        for (days, expected) in [
            (vec![], None),
            (vec![old(1)], None),
            (vec![new(1), new(2)], None),
            (vec![old(1), old(2), new(20)], Some((2, date(2026, 1, 2)))),
            (vec![old(1), old(25), new(1)], Some((2, date(2026, 1, 25)))),
            (vec![old(1), old(26), new(1)], Some((1, date(2026, 1, 1)))),
            // Out of order, each way; a date on both sides of the boundary; a date that cannot be parsed.
            (vec![old(2), old(1), new(20)], Some((2, date(2026, 1, 2)))),
            (
                vec![old(2), new(19), old(3), new(20)],
                Some((1, date(2026, 1, 2))),
            ),
            (vec![new(20), old(2), old(1)], None),
            (
                vec![old(1), old(3), new(20), old(3)],
                Some((1, date(2026, 1, 1))),
            ),
            (vec![old(1), old(3), new(20), old(1)], None),
            (vec![old(1), None, new(20)], None),
        ] {
            assert_eq!(settled(&days), expected, "{days:?}");
        }
    }
}
