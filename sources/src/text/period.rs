//! Periods such as "1 ปี 2 เดือน 3 วัน", converted to days.

use crate::text::{excerpt, missing, name, with_arabic_digits};

/// A text that is not a period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a period such as `1 ปี 2 เดือน 3 วัน`, found `{0}`")]
pub struct UnreadablePeriod(pub String);

/// The largest plausible number of years, months or days.
const MAX_COUNT: i32 = 100_000;

/// Converts with 365 days per year and 30 per month; 0 days in total is a missing value. `None` if a number is negative
/// or too large.
#[must_use]
pub fn days(years: i32, months: i32, days: i32) -> Option<Option<i32>> {
    let all = [years, months, days];
    all.iter()
        .all(|count| (0..=MAX_COUNT).contains(count))
        .then(|| Some(365 * years + 30 * months + days).filter(|total| *total != 0))
}

/// Parses a period in Thai or English words; `Ok(None)` for a missing-value word and for 0 days.
///
/// # Errors
/// A number without a unit, a unit without a number, a unit twice, or anything else.
pub fn read(text: &str) -> Result<Option<i32>, UnreadablePeriod> {
    let unreadable = || UnreadablePeriod(excerpt(text));
    if text.len() > 512 {
        return Err(unreadable());
    }
    let plain = with_arabic_digits(&name::normalise(text)).to_lowercase();
    if missing::is_missing(&plain) {
        return Ok(None);
    }
    let mut counts: [Option<i32>; 3] = [None; 3];
    let mut rest = plain.as_str();
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = rest.split_at(digits);
        let count: i32 = number.parse().map_err(|_| unreadable())?;
        let behind = behind.trim_start();
        let end = behind
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(behind.len());
        let (unit, following) = behind.split_at(end);
        let place = match unit.trim().trim_end_matches(',') {
            "ปี" | "year" | "years" | "y" => 0,
            "เดือน" | "month" | "months" | "m" => 1,
            "วัน" | "day" | "days" | "d" => 2,
            _ => return Err(unreadable()),
        };
        if counts[place].replace(count).is_some() {
            return Err(unreadable());
        }
        rest = following;
    }
    let [years, months, single_days] = counts.map(|count| count.unwrap_or(0));
    days(years, months, single_days).ok_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_in_days_and_zero_is_no_value() {
        for (text, expected) in [
            ("1 ปี 2 เดือน 3 วัน", Some(428)),
            ("2 เดือน", Some(60)),
            ("10 วัน", Some(10)),
            ("1ปี2เดือน", Some(425)),
            ("๑ ปี", Some(365)),
            ("1 year 3 days", Some(368)),
            ("0 วัน", None),
            ("0 ปี 0 เดือน 0 วัน", None),
            ("-", None),
            ("N/A", None),
            ("", None),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in ["5", "ปี", "1 ปี 2 ปี", "-1 วัน", "1 หน่วย", "99999999999 วัน"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
