//! Numbers, dates, periods, names and codes in the sites' spellings.

use jiff::civil::Date;
use rust_decimal::Decimal;
use schema::fund_code::is_zero_width;
use schema::{FundCode, Number};
use sources::text::stated_date::StatedDate;
use sources::text::{name as names, number as numbers, period as periods, thai_date};

use crate::holds;

/// D5: every number that is read is canonical, and a number that an exact decimal can represent is read exactly.
pub fn number(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match numbers::read(&text) {
        Ok(Some(quantity)) => holds::number(quantity.value),
        Ok(None) => {}
        Err(error) => holds::message(&error.to_string()),
    }
    match numbers::read_fee(&text) {
        Ok(cell) => holds::fee_cell(&cell),
        Err(error) => holds::message(&error.to_string()),
    }
    match Number::parse(&text) {
        Ok(number) => holds::number(number),
        Err(error) => holds::message(&error.to_string().replace('\0', "")),
    }
    // An independent oracle for plain decimals.
    let plain = !text.starts_with('+') && text.bytes().all(|byte| b"-.0123456789".contains(&byte));
    if let (true, Ok(exact)) = (plain, Decimal::from_str_exact(&text)) {
        let fits = exact.abs() < Decimal::from(10_000_000_000_000_000_u64);
        if fits && exact.scale() <= Number::MAX_DECIMALS {
            let read = Number::parse(&text).map(Number::decimal);
            assert_eq!(read, Ok(exact), "{text}");
        }
    }
}

/// A date is within the limits of the calendar rules, and its own text parses to the same date.
pub fn date(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for read in [thai_date::read(&text), thai_date::find_as_of(&text)] {
        match read {
            Ok(Some(stated)) => in_bounds(stated.date()),
            Ok(None) => {}
            Err(error) => holds::message(&error.to_string()),
        }
    }
}

fn in_bounds(day: Date) {
    // A conversion to Bangkok's time zone moves a date by at most a day.
    let (first, last) = (Date::constant(1799, 12, 31), date_of(2401));
    assert!(day >= first && day <= last, "{day}");
    if day >= date_of(1800) && day < last {
        let read_back = thai_date::read(&day.to_string());
        assert_eq!(
            read_back.map(|stated| stated.map(StatedDate::date)),
            Ok(Some(day))
        );
    }
}

const fn date_of(year: i16) -> Date {
    Date::constant(year, 1, 1)
}

/// A period is a positive number of days.
pub fn period(input: &[u8]) {
    match periods::read(&String::from_utf8_lossy(input)) {
        Ok(Some(days)) => assert!(days > 0, "{days}"),
        Ok(None) => {}
        Err(error) => holds::message(&error.to_string()),
    }
}

/// D5, D9: normalising a name or code a second time changes nothing, and characters without meaning have no effect.
pub fn name(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let normal = names::normalise(&text);
    assert_eq!(names::normalise(&normal), normal);
    assert!(
        !normal.chars().any(|c| c.is_control() || is_zero_width(c)),
        "{normal:?}"
    );
    assert_eq!(normal.trim(), normal);
    assert!(!normal.contains("  "), "{normal:?}");
    match FundCode::parse(&text) {
        Ok(code) => {
            holds::fund_code(&code);
            assert_eq!(names::fund_code(&text).as_ref(), Ok(&code));
            assert!(code.as_str().chars().count() <= FundCode::MAX_CHARS);
            assert!(
                !code
                    .as_str()
                    .chars()
                    .any(|c| c.is_control() || is_zero_width(c))
            );
            let visible: String = text.chars().filter(|c| !is_zero_width(*c)).collect();
            assert_eq!(
                FundCode::parse(&format!(" \u{200b} {visible}\u{feff} ")),
                Ok(code)
            );
        }
        Err(error) => holds::message(&error.to_string()),
    }
}
