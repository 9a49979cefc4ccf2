//! The promises about everything that is read from a page.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::{Date, date};
use rust_decimal::Decimal;
use schema::columns::{Record, Value};
use schema::observation::{CodeType, DailyPoint};
use schema::precedence::supply::may_state;
use schema::{FundCode, Number, Observation, ObservationData, Reject, SourceName};
use sources::text::name;
use sources::text::number::FeeCell;
use sources::{Breach, Reading};
use url::Url;

/// The cycle's date in all checks.
pub const CYCLE_DATE: Date = date(2026, 10, 15);
/// The longest reason, or part of a breach, in characters.
const MAX_REASON: usize = 1_000;
/// The largest number of rejects and notes of one page.
const MAX_REJECTS: usize = 12_000;
/// The largest number of statements that one record of a list with cursors leads to.
const MAX_STATEMENTS_A_RECORD: usize = 4;
/// The largest number of records that a page of such a list gets from the page before, in these checks: those of one
/// page.
const MAX_CARRIED_RECORDS: usize = 100;
/// The longest URL that is kept, in characters.
const MAX_URL: usize = sources::sites::MAX_LINK_CHARS;

/// A fee cell has exact numbers and bounded words, and never the marker 999999.
pub fn fee_cell(cell: &FeeCell) {
    match cell {
        FeeCell::NotSaid => {}
        FeeCell::Value(quantity) | FeeCell::AtMost(quantity) => {
            assert_ne!(quantity.value, Number::from(999_999));
            number(quantity.value);
        }
        FeeCell::UnknownWords(words) => message(words),
    }
}

/// Checks a complete reading.
pub fn reading(source: SourceName, reading: &Reading) {
    match reading {
        Reading::Observed {
            observations,
            rejects,
            ..
        } => {
            for observation in observations {
                self::observation(source, observation);
            }
            assert!(
                rejects.len() <= MAX_REJECTS,
                "{} rejects of one page",
                rejects.len()
            );
            rejects.iter().for_each(reject);
            let listed: Vec<&FundCode> = observations
                .iter()
                .filter(|observation| matches!(observation.data, ObservationData::Listing { .. }))
                .map(|observation| &observation.fund_code)
                .collect();
            let distinct: BTreeSet<&FundCode> = listed.iter().copied().collect();
            assert_eq!(distinct.len(), listed.len(), "a code is listed twice");
            let told: Vec<&FundCode> = observations
                .iter()
                .filter(|observation| matches!(observation.data, ObservationData::NavDigest(_)))
                .map(|observation| &observation.fund_code)
                .collect();
            let distinct: BTreeSet<&FundCode> = told.iter().copied().collect();
            assert_eq!(distinct.len(), told.len(), "a code is told of twice");
            assert!(told.len() <= 1_000, "{} rows of one page", told.len());
        }
        Reading::Part(part) => {
            for observation in &part.observations {
                self::observation(source, observation);
            }
            assert!(part.rejects.len() <= MAX_REJECTS);
            part.rejects.iter().for_each(reject);
            let records = part.records + MAX_CARRIED_RECORDS;
            assert!(part.keyed.len() <= records * MAX_STATEMENTS_A_RECORD);
            for keyed in &part.keyed {
                assert!(
                    !keyed.source_key.contains('\0') && keyed.source_key.chars().count() <= 201
                );
                keyed.as_of_date.into_iter().for_each(believable);
                supplied(source, &keyed.data);
                content(keyed.data.clone());
            }
        }
        Reading::Absent => {}
        Reading::NeedsBrowser(breach) | Reading::Broken(breach) => self::breach(breach),
    }
}

fn breach(breach: &Breach) {
    for part in [&breach.field, &breach.expected, &breach.found] {
        message(part);
    }
}

/// A message that will be stored in the database is bounded and contains no NUL (D5, D6).
pub fn message(text: &str) {
    assert!(!text.contains('\0'), "NUL in `{text}`");
    let chars = text.chars().count();
    assert!(chars <= MAX_REASON, "a message of {chars} characters");
}

fn reject(reject: &Reject) {
    message(&reject.field);
    message(&reject.reason);
    for text in [Some(&reject.sample), reject.fund_code.as_ref()]
        .into_iter()
        .flatten()
    {
        message(text);
        assert!(text.chars().count() <= Reject::SAMPLE_CHARS);
    }
}

fn observation(source: SourceName, observation: &Observation) {
    assert_eq!(observation.source, source);
    fund_code(&observation.fund_code);
    assert!(observation.url.chars().count() <= 3 * MAX_URL + 200);
    if let Some(day) = observation.as_of_date {
        believable(day);
    }
    supplied(source, &observation.data);
    content(observation.data.clone());
}

/// A source states only columns that it is declared to supply: a configured rank may name it for these alone.
fn supplied(source: SourceName, said: &ObservationData) {
    let statement_key = (source, said.dataset());
    let columns: Vec<String> = match said.clone() {
        ObservationData::Master(fields)
        | ObservationData::Risk(fields)
        | ObservationData::DividendPolicy(fields) => fields.into_fields().into_keys().collect(),
        ObservationData::Fees(fields) | ObservationData::Minimums(fields) => {
            fields.into_fields().into_keys().collect()
        }
        // The statistics of WealthMagik fill no table.
        ObservationData::Statistics(fields) if source != SourceName::Wealthmagik => {
            fields.into_fields().into_keys().collect()
        }
        ObservationData::Daily(points) => {
            let reports = |has: fn(&DailyPoint) -> bool| points.iter().any(has);
            [
                ("nav_value", reports(|point| point.nav.is_some())),
                ("bid", reports(|point| point.bid.is_some())),
                ("offer", reports(|point| point.offer.is_some())),
                ("aum", reports(|point| point.aum.is_some())),
            ]
            .into_iter()
            .filter(|(_, is_reported)| *is_reported)
            .map(|(column, _)| column.to_owned())
            .collect()
        }
        _ => return,
    };
    for column in columns {
        assert!(
            may_state(statement_key, &column),
            "{statement_key:?}: {column}"
        );
    }
}

fn content(said: ObservationData) {
    match said {
        ObservationData::Listing { source_key, fields } => {
            assert!(!source_key.contains('\0') && !source_key.trim().is_empty());
            assert!(source_key.chars().count() <= MAX_URL);
            record(fields);
        }
        ObservationData::Master(fields)
        | ObservationData::Risk(fields)
        | ObservationData::DividendPolicy(fields) => {
            if let Some(level) = fields.risk_level {
                assert!((1..=8).contains(&level), "risk level {level}");
            }
            if let Some(word) = &fields.is_dividend {
                assert!(word == "จ่าย" || word == "ไม่จ่าย", "is_dividend `{word}`");
            }
            record(fields);
        }
        ObservationData::Fees(fields) | ObservationData::Minimums(fields) => {
            let marker = Number::from(999_999);
            let is_marker = |value: &Value| *value == Value::Number(marker);
            assert!(!fields.clone().into_fields().values().any(is_marker));
            for (field, value) in fields.clone().into_fields() {
                if let Value::Number(value) = value {
                    let is_minimum = field.starts_with("min_");
                    let most = Decimal::from(if is_minimum { i64::MAX } else { 100 });
                    let plausible = !value.decimal().is_sign_negative() && value.decimal() <= most;
                    assert!(plausible, "{field} {value}");
                }
            }
            record(fields);
        }
        ObservationData::Statistics(fields) => {
            if let Some(days) = fields.recovering_period {
                assert!(days > 0, "a recovering period of {days} days");
            }
            record(fields);
        }
        ObservationData::FactsheetLink(fields) => {
            let link = fields.factsheet_url.as_deref().unwrap_or("");
            assert!(link.chars().count() <= MAX_URL && !link.contains('\0'));
            let url = Url::parse(link);
            assert!(
                url.is_ok_and(|url| matches!(url.scheme(), "http" | "https")),
                "factsheet link `{link}`"
            );
        }
        ObservationData::Codes(codes) | ObservationData::ProfileCodes(codes) => {
            assert!(!codes.is_empty());
            assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
            for code in codes {
                let plausible = match code.code_type {
                    CodeType::Isin => code.code.len() == 12,
                    CodeType::Bloomberg => {
                        code.code.len() <= 40 && code.code.is_ascii() && code.code.ends_with(" TB")
                    }
                };
                assert!(plausible, "{code:?}");
            }
        }
        ObservationData::Portfolio(portfolio) => {
            assert!((1..=20_000).contains(&portfolio.rows.len()));
            for row in portfolio.rows {
                self::name(&row.name);
                row.percent.into_iter().for_each(number);
            }
        }
        ObservationData::Dividends(dividends) => {
            let in_order =
                |pair: &[schema::observation::Dividend]| pair[0].xd_date < pair[1].xd_date;
            assert!(!dividends.is_empty() && dividends.windows(2).all(in_order));
            for dividend in dividends {
                announced(dividend.xd_date);
                let value = dividend.fields.value;
                assert!(
                    value.is_some_and(|value| value > Number::from(0)),
                    "{value:?}"
                );
                record(dividend.fields);
            }
        }
        ObservationData::Performance(rows) => {
            assert!(!rows.is_empty());
            for row in rows {
                believable(row.as_of_date);
                name(&row.period);
                assert!(!row.fields.clone().into_fields().is_empty());
                record(row.fields);
            }
        }
        ObservationData::NavDigest(news) => {
            assert!(!news.source_key.trim().is_empty() && !news.source_key.contains('\0'));
            assert!(news.source_key.chars().count() <= MAX_URL);
            believable(news.nav_date);
            assert!(
                news.nav_date <= CYCLE_DATE,
                "the NAV date {}",
                news.nav_date
            );
            assert!(!news.nav.decimal().is_sign_negative(), "NAV {}", news.nav);
            number(news.nav);
            assert!(!news.nav.is_zero(), "0 is no NAV");
        }
        ObservationData::Daily(points) => {
            assert!(!points.is_empty());
            let in_order =
                |pair: &[schema::observation::DailyPoint]| pair[0].nav_date < pair[1].nav_date;
            assert!(
                points.windows(2).all(in_order),
                "one entry a date, in order"
            );
            for point in points {
                believable(point.nav_date);
                assert!(
                    point.nav_date <= CYCLE_DATE,
                    "the NAV date {}",
                    point.nav_date
                );
                let values = [point.nav, point.aum, point.bid, point.offer];
                let is_negative = |value: &Number| value.decimal().is_sign_negative();
                assert!(!values.iter().flatten().any(is_negative), "{values:?}");
                assert!(values.iter().any(Option::is_some));
                assert!(point.nav.is_none_or(|nav| !nav.is_zero()));
                values.into_iter().flatten().for_each(number);
            }
        }
    }
}

fn record(fields: impl Record) {
    for value in fields.into_fields().into_values() {
        match value {
            Value::Text(text) => name(&text),
            Value::Number(value) => number(value),
            Value::Date(day) => announced(day),
            Value::Int(_) | Value::Flag(_) => {}
        }
    }
}

/// An inception date or a day of a dividend may be announced a little before.
fn announced(day: Date) {
    let latest = CYCLE_DATE.checked_add(366.days()).expect("a date");
    assert!(day >= date(1900, 1, 1) && day <= latest, "{day}");
}

fn believable(day: Date) {
    let latest = CYCLE_DATE.checked_add(31.days()).expect("a date");
    assert!(day >= date(1970, 1, 1) && day <= latest, "the date {day}");
}

/// A name or other text of a source is visible, normalised and bounded, and contains no NUL (D5).
pub fn name(text: &str) {
    assert!(!text.is_empty() && text.chars().count() <= name::MAX_CHARS);
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert_eq!(name::normalise(text), text, "a name is normalised once");
}

/// A code is normalised by construction (D9): parsing it again changes nothing.
pub fn fund_code(code: &FundCode) {
    assert_eq!(FundCode::parse(code.as_str()).as_ref(), Ok(code));
    assert!(!code.as_str().contains("  "), "{code:?}");
}

/// A number is exact, in range and canonical, and its text parses to the same number (D5).
pub fn number(number: Number) {
    let decimal = number.decimal();
    assert!(decimal.abs() < Decimal::from(10_000_000_000_000_000_u64));
    assert!(decimal.scale() <= Number::MAX_DECIMALS);
    assert_eq!(
        decimal.normalize().scale(),
        decimal.scale(),
        "trailing zeros"
    );
    assert!(!(decimal.is_zero() && decimal.is_sign_negative()), "-0");
    assert_eq!(Number::parse(&number.to_string()), Ok(number));
}
