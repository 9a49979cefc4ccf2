//! Parser of `/filter?page=&limit=100`: the newest NAV of many funds. It contains no AUM and fills no table. The
//! planner uses it to skip funds whose own page has nothing new. If a row cannot be used, its fund is requested.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use schema::observation::NavDigest;
use schema::task::Severity;
use schema::{Dataset, FundCode, Number, ObservationData};

use crate::payload::breach;
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::findings::Findings;
use crate::sites::finnomena::api_types::{FilterPage, FilterRow};
use crate::sites::plausible;
use crate::text::{missing, name};

/// The maximum number of rows used of a page: ten times the requested number.
pub const MAX_ROWS: usize = 1_000;

/// A parsed row: `None` for the news of a fund that has no NAV yet.
type Row = (FundCode, Option<NavDigest>);

/// Parses one page. A page without funds is absent: the source has no page of this number. A code that occurs with two
/// different rows is not used.
pub fn read(data: Field<'_>, mut findings: Findings) -> Reading {
    let page: FilterPage<'_> = match data.required("data", "an object with `funds`") {
        Ok(page) => page,
        Err(breach) => return Reading::Broken(breach),
    };
    if !page.funds.is_present() {
        return Reading::Broken(data.breach("data.funds", "an array of funds"));
    }
    let elements = match page.funds.elements() {
        Ok(Some(elements)) if !elements.is_empty() => elements,
        Ok(_) => return Reading::Absent,
        Err(reason) => return Reading::Broken(breach("data.funds", "an array of funds", &reason)),
    };
    let mut told: BTreeMap<FundCode, Option<NavDigest>> = BTreeMap::new();
    let (mut rows, mut navs, mut dates) = (0_usize, 0_usize, 0_usize);
    for element in elements.iter().take(MAX_ROWS) {
        let row = match element.record::<FilterRow<'_>>() {
            Ok(Some(row)) => row,
            Ok(None) => {
                let reason = "expected a fund, found null";
                findings.reject(Dataset::NavDigest, "*", reason, element.raw());
                continue;
            }
            Err(reason) => {
                findings.reject(Dataset::NavDigest, "*", reason, element.raw());
                continue;
            }
        };
        navs += usize::from(row.nav.is_present());
        dates += usize::from(row.nav_date.is_present());
        if let Some((code, news)) = read_row(&row, *element, &mut findings) {
            rows += 1;
            take(&mut told, code, news, *element, &mut findings);
        }
    }
    for (key, seen) in [("nav", navs), ("nav_date", dates)] {
        if seen == 0 {
            return Reading::Broken(
                elements[0].breach(&format!("data.funds[].{key}"), "the key in each fund"),
            );
        }
    }
    if rows == 0 {
        return Reading::Broken(elements[0].breach(
            "data.funds[]",
            "funds with fund_id, short_code, nav and nav_date",
        ));
    }
    if elements.len() > MAX_ROWS {
        let reason = format!("{} rows, of which {MAX_ROWS} were taken", elements.len());
        findings.note(Dataset::NavDigest, "funds", reason, "");
    }
    for (code, news) in told {
        if let Some(news) = news {
            findings.say_of(code, None, ObservationData::NavDigest(news));
        }
    }
    findings.said()
}

fn read_row(row: &FilterRow<'_>, element: Field<'_>, findings: &mut Findings) -> Option<Row> {
    let mut reject = |code: Option<&FundCode>, field: &str, reason: String| {
        let code = code.map(ToString::to_string);
        let severity = Severity::Rejected;
        findings.push(
            code,
            Dataset::NavDigest,
            field,
            reason,
            element.raw(),
            severity,
        );
    };
    let code = match row.short_code.text() {
        Ok(Some(code)) => name::fund_code(&code).map_err(|error| error.to_string()),
        Ok(None) => Err("the fund code is blank".to_owned()),
        Err(reason) => Err(reason),
    };
    let code = code
        .map_err(|reason| reject(None, "short_code", reason))
        .ok()?;
    let source_key = match row.fund_id.text() {
        Ok(key) => Ok(key
            .map(|key| name::normalise(&key))
            .filter(|key| !missing::is_missing(key) && key.chars().count() <= 100)),
        Err(reason) => Err(reason),
    };
    let source_key = source_key
        .and_then(|key| key.ok_or_else(|| "the row has no fund_id".to_owned()))
        .map_err(|reason| reject(Some(&code), "fund_id", reason))
        .ok()?;
    let nav = row
        .nav
        .quantity()
        .and_then(|quantity| quantity.map(plausible::money).transpose())
        .map_err(|reason| reject(Some(&code), "nav", reason))
        .ok()?;
    let stated = row
        .nav_date
        .date()
        .map_err(|reason| reject(Some(&code), "nav_date", reason))
        .ok()?;
    // As on the fund's own page, 0 is not a NAV.
    let Some((nav, stated)) = nav.filter(|nav| !Number::is_zero(*nav)).zip(stated) else {
        return Some((code, None));
    };
    let nav_date = match findings.believed_nav_day(Some(stated)) {
        Ok(nav_date) => nav_date?,
        Err(reason) => {
            let of = Some(code.to_string());
            let severity = Severity::Rejected;
            findings.push(
                of,
                Dataset::NavDigest,
                "nav_date",
                reason,
                element.raw(),
                severity,
            );
            return None;
        }
    };
    let news = NavDigest {
        source_key,
        nav_date,
        nav,
    };
    Some((code, Some(news)))
}

fn take(
    told: &mut BTreeMap<FundCode, Option<NavDigest>>,
    code: FundCode,
    news: Option<NavDigest>,
    element: Field<'_>,
    findings: &mut Findings,
) {
    match told.entry(code) {
        Entry::Vacant(place) => {
            place.insert(news);
        }
        Entry::Occupied(place) if *place.get() == news => {}
        Entry::Occupied(mut place) => {
            place.insert(None);
            let code = Some(place.key().to_string());
            let reason = "the code has two values: neither is used".to_owned();
            let severity = Severity::Noted;
            findings.push(
                code,
                Dataset::NavDigest,
                "short_code",
                reason,
                element.raw(),
                severity,
            );
        }
    }
}
