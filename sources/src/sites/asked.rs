//! Test helpers for the parsers of all sites: make a task, parse a body as the answer to it, and list what was read.

use bytes::Bytes;
use jiff::civil::{Date, date};
use schema::task::Severity;
use schema::{Observation, PlannedTask, Reject, TaskId};

use crate::page::PageSpec;
use crate::site::{Answer, ReadContext, Reading, Site, Via};

/// The cycle date in all tests of parsers.
pub const CYCLE_DATE: Date = date(2026, 2, 16);

/// The page with this name.
pub fn page(site: &dyn Site, name: &str) -> PageSpec {
    *site
        .pages()
        .iter()
        .find(|page| page.name == name)
        .expect("a page of the site")
}

/// A task for a fund.
pub fn task(site: &dyn Site, page: &str, key: &str, locator: Option<&str>) -> PlannedTask {
    PlannedTask {
        locator: locator.map(str::to_owned),
        ..PlannedTask::new(TaskId {
            source: site.name(),
            page: page.to_owned(),
            key: key.to_owned(),
        })
    }
}

/// Parses `body` as the answer to `tasks`.
pub fn read_all(
    site: &dyn Site,
    page_name: &str,
    tasks: &[PlannedTask],
    body: &[u8],
    via: Via,
) -> Vec<Reading> {
    let page = page(site, page_name);
    let url = site.request(&page, tasks).expect("a request").url;
    let answer = Answer {
        url,
        status: 200,
        content_type: None,
        body: Bytes::copy_from_slice(body),
        via,
    };
    let _ = site.hashed_part(&page, &answer);
    let readings = site.read(
        &page,
        tasks,
        &answer,
        &ReadContext {
            cycle_date: CYCLE_DATE,
        },
    );
    assert_eq!(readings.len(), tasks.len(), "exactly one reading a task");
    readings
}

/// The observations, and each reject as `severity field`.
pub fn said(reading: Reading) -> (Vec<Observation>, Vec<String>) {
    match reading {
        Reading::Observed {
            observations,
            rejects,
            ..
        } => {
            let rejects = rejects.iter().map(short).collect();
            (observations, rejects)
        }
        other => panic!("expected a page that was read, found {other:?}"),
    }
}

/// A reject as `severity field`.
pub fn short(reject: &Reject) -> String {
    let severity = match reject.severity {
        Severity::Rejected => "rejected",
        Severity::Noted => "noted",
    };
    format!("{severity} {}", reject.field)
}

/// The present values of an observation as `field=value`, in the order of the field names.
pub fn fields(said: schema::ObservationData) -> Vec<String> {
    use schema::ObservationData;
    use schema::columns::Record;
    let fields = match said {
        ObservationData::Listing { fields, .. } => fields.into_fields(),
        ObservationData::Master(fields)
        | ObservationData::Risk(fields)
        | ObservationData::DividendPolicy(fields) => fields.into_fields(),
        ObservationData::Fees(fields) | ObservationData::Minimums(fields) => fields.into_fields(),
        ObservationData::Statistics(fields) => fields.into_fields(),
        ObservationData::FactsheetLink(fields) => fields.into_fields(),
        ObservationData::Codes(codes) | ObservationData::ProfileCodes(codes) => {
            return codes
                .into_iter()
                .map(|code| format!("{}={}", code.code_type.as_str(), code.code))
                .collect();
        }
        ObservationData::Portfolio(portfolio) => {
            let unreadable =
                (portfolio.unreadable > 0).then(|| format!("unreadable={}", portfolio.unreadable));
            return portfolio
                .rows
                .into_iter()
                .map(|row| format!("{}={}", row.name, shown(row.percent)))
                .chain(unreadable)
                .collect();
        }
        ObservationData::NavDigest(news) => {
            return vec![format!(
                "{} {} {}",
                news.source_key, news.nav_date, news.nav
            )];
        }
        ObservationData::Dividends(dividends) => {
            return dividends
                .into_iter()
                .map(|dividend| listed(dividend.xd_date.to_string(), dividend.fields))
                .collect();
        }
        ObservationData::Performance(rows) => {
            return rows
                .into_iter()
                .map(|row| listed(format!("{} {}", row.as_of_date, row.period), row.fields))
                .collect();
        }
        ObservationData::Daily(points) => {
            return points
                .into_iter()
                .map(|point| {
                    let values = [point.nav, point.aum, point.bid, point.offer].map(shown);
                    format!("{} {}", point.nav_date, values.join(" "))
                })
                .collect();
        }
    };
    fields
        .into_iter()
        .map(|(field, value)| format!("{field}={value}"))
        .collect()
}

/// The key of a row and its present values.
fn listed(key: String, fields: impl schema::columns::Record) -> String {
    let fields = fields.into_fields().into_iter();
    fields.fold(key, |line, (field, value)| {
        format!("{line} {field}={value}")
    })
}

fn shown(number: Option<schema::Number>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}
