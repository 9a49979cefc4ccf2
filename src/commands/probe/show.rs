//! Formats the result of one probed page.

use std::fmt::Write as _;

use schema::columns::{Fields, Record as _};
use schema::observation::{DailyPoint, Portfolio};
use schema::task::Severity;
use schema::{FundCode, Number, Observation, ObservationData, Reject};
use sources::site::{Reading, Via};

use crate::commands::page_probe::Probed;

/// Maximum number of days shown of a series: the newest.
const DAYS_SHOWN: usize = 5;
/// Maximum number of rows shown of a portfolio.
const ROWS_SHOWN: usize = 10;
/// Maximum number of rejects shown of a page.
const REJECTS_SHOWN: usize = 20;
/// Maximum number of observations shown of the wanted fund.
const OBSERVATIONS_SHOWN: usize = 20;

/// Formats one page: the request, the response, and the parsed values of `code`.
pub(super) fn shown(probed: &Probed, code: &FundCode) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail: its results are ignored from here on.
    let answer = match &probed.answer {
        Ok(answer) => answer,
        Err(why) => {
            let _ = writeln!(text, "{}: NO ANSWER: {why}", probed.page);
            return text;
        }
    };
    let via = match answer.via {
        Via::Http => "by HTTP",
        Via::Browser => "in the browser",
        Via::InPage => "from inside a page in the browser",
    };
    let _ = writeln!(
        text,
        "{}: {} {via}: {}, {} bytes, {}",
        probed.page,
        answer.url,
        answer.status,
        answer.body.len(),
        answer.content_type.as_deref().unwrap_or("no content type")
    );
    if let Some(why) = &probed.changed_to_browser {
        let _ = writeln!(text, "  plain HTTP was not enough: {why}");
    }
    match &probed.reading {
        Some(Reading::Observed {
            observations,
            rejects,
            ..
        }) => said_block(&mut text, observations, rejects, code),
        Some(Reading::Part(part)) => {
            let _ = writeln!(
                text,
                "  {} records on this page of the list, {} statements under the source's own keys; {}",
                part.records,
                part.keyed.len(),
                if part.cursor.is_empty() {
                    "it is the last page"
                } else {
                    "more pages follow"
                }
            );
            for keyed in part.keyed.iter().take(KEYED_SHOWN) {
                let _ = writeln!(text, "  {}: {:?}", keyed.source_key, keyed.data);
            }
            said_block(&mut text, &part.observations, &part.rejects, code);
        }
        Some(Reading::Absent) => {
            let _ = writeln!(text, "  the source says that it does not have this");
        }
        Some(Reading::NeedsBrowser(breach)) => {
            let _ = writeln!(
                text,
                "  NOT READ: the page exists only in a browser (transport: Auto or Browser): {breach}"
            );
        }
        Some(Reading::Broken(breach)) => {
            let _ = writeln!(text, "  NOT READ: {breach}");
        }
        None => {}
    }
    text
}

/// Largest number of statements under the source's own keys that are shown.
const KEYED_SHOWN: usize = 5;

fn said_block(
    text: &mut String,
    observations: &[Observation],
    rejects: &[Reject],
    code: &FundCode,
) {
    let own = || observations.iter().filter(|said| said.fund_code == *code);
    let others = observations.len() - own().count();
    if observations.is_empty() {
        let _ = writeln!(text, "  the page says that there is nothing");
    }
    for observation in own().take(OBSERVATIONS_SHOWN) {
        observation_block(text, observation);
    }
    if others > 0 {
        let _ = writeln!(text, "  and {others} statements about other funds");
    }
    for reject in rejects.iter().take(REJECTS_SHOWN) {
        let word = match reject.severity {
            Severity::Rejected => "REJECTED",
            Severity::Noted => "noted",
        };
        let _ = writeln!(
            text,
            "  {word} {} {}: {}; found `{}`",
            reject.dataset,
            reject.field,
            reject.reason,
            line(&reject.sample)
        );
    }
    if rejects.len() > REJECTS_SHOWN {
        let _ = writeln!(
            text,
            "  … and {} more rejected or noted",
            rejects.len() - REJECTS_SHOWN
        );
    }
}

fn observation_block(text: &mut String, observation: &Observation) {
    let as_of = observation
        .as_of_date
        .map(|date| format!(" as of {date}"))
        .unwrap_or_default();
    let _ = writeln!(text, "  {}{as_of}", observation.data.dataset());
    match &observation.data {
        ObservationData::Listing { source_key, fields } => {
            let _ = writeln!(text, "    {:<22}{}", "source key", line(source_key));
            fields_block(text, &fields.clone().into_fields());
        }
        ObservationData::Master(fields)
        | ObservationData::Risk(fields)
        | ObservationData::DividendPolicy(fields) => {
            fields_block(text, &fields.clone().into_fields());
        }
        ObservationData::Fees(fields) | ObservationData::Minimums(fields) => {
            fields_block(text, &fields.clone().into_fields());
        }
        ObservationData::Statistics(fields) => fields_block(text, &fields.clone().into_fields()),
        ObservationData::FactsheetLink(fields) => fields_block(text, &fields.clone().into_fields()),
        ObservationData::Codes(codes) | ObservationData::ProfileCodes(codes) => {
            for code in codes {
                let _ = writeln!(text, "    {:<22}{}", code.code_type.as_str(), code.code);
            }
        }
        ObservationData::Portfolio(portfolio) => portfolio_block(text, portfolio),
        ObservationData::Daily(days) => days_block(text, days),
        ObservationData::Dividends(dividends) => {
            for dividend in dividends.iter().take(ROWS_SHOWN) {
                let _ = writeln!(text, "    XD {}", dividend.xd_date);
                fields_block(text, &dividend.fields.clone().into_fields());
            }
        }
        ObservationData::Performance(rows) => {
            for row in rows.iter().take(ROWS_SHOWN) {
                let _ = writeln!(text, "    {} {}", row.as_of_date, line(&row.period));
                fields_block(text, &row.fields.clone().into_fields());
            }
        }
        ObservationData::NavDigest(news) => {
            let _ = writeln!(text, "    {:<22}{}", "source key", line(&news.source_key));
            let _ = writeln!(
                text,
                "    {:<22}{} of {}",
                "newest NAV", news.nav, news.nav_date
            );
        }
    }
}

fn fields_block(text: &mut String, fields: &Fields) {
    if fields.is_empty() {
        let _ = writeln!(text, "    (no fields)");
    }
    for (name, value) in fields {
        let _ = writeln!(text, "    {name:<22}{}", line(&value.to_string()));
    }
}

fn portfolio_block(text: &mut String, portfolio: &Portfolio) {
    let _ = writeln!(
        text,
        "    {} rows, {} of them unreadable",
        portfolio.rows.len(),
        portfolio.unreadable
    );
    for row in portfolio.rows.iter().take(ROWS_SHOWN) {
        let _ = writeln!(text, "    {:>10}  {}", number(row.percent), line(&row.name));
    }
}

fn days_block(text: &mut String, days: &[DailyPoint]) {
    let _ = writeln!(
        text,
        "    {} days; {:<12}{:>14}{:>20}{:>14}{:>14}",
        days.len(),
        "the newest:",
        "nav",
        "aum",
        "bid",
        "offer"
    );
    let mut newest: Vec<&DailyPoint> = days.iter().collect();
    newest.sort_by_key(|day| std::cmp::Reverse(day.nav_date));
    for day in newest.into_iter().take(DAYS_SHOWN) {
        let _ = writeln!(
            text,
            "    {:<20}{:>14}{:>20}{:>14}{:>14}",
            day.nav_date.to_string(),
            number(day.nav),
            number(day.aum),
            number(day.bid),
            number(day.offer)
        );
    }
}

fn number(number: Option<Number>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// A site's text as one line without control characters, which could control the terminal.
fn line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;
