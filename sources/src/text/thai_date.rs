//! Parser of dates as Thai sites write them, to the Gregorian calendar.

use jiff::civil::Date;

use crate::text::stated_date::{Clock, StatedDate};
use crate::text::{excerpt, missing, name, with_arabic_digits};

/// A text that is neither a date nor a missing-value word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a date, a missing-value word or nothing, found `{0}`")]
pub struct UnreadableDate(pub String);

/// Month names without dots and spaces, lower case: Thai abbreviation, Thai name, English abbreviation, English name.
const MONTHS: [[&str; 4]; 12] = [
    ["มค", "มกราคม", "jan", "january"],
    ["กพ", "กุมภาพันธ์", "feb", "february"],
    ["มีค", "มีนาคม", "mar", "march"],
    ["เมย", "เมษายน", "apr", "april"],
    ["พค", "พฤษภาคม", "may", "may"],
    ["มิย", "มิถุนายน", "jun", "june"],
    ["กค", "กรกฎาคม", "jul", "july"],
    ["สค", "สิงหาคม", "aug", "august"],
    ["กย", "กันยายน", "sep", "september"],
    ["ตค", "ตุลาคม", "oct", "october"],
    ["พย", "พฤศจิกายน", "nov", "november"],
    ["ธค", "ธันวาคม", "dec", "december"],
];

/// Words that may precede a date.
const PREFIXES: [&str; 7] = ["ข้อมูล", "ณ", "วันที่", "as of", "as at", "date", ":"];

/// Parses a date; `Ok(None)` for a missing-value word and for the year 0001, which sites write for "no date".
///
/// Accepted forms: `2026-02-12`, `20260212`, `12/02/2569`, `12-2-69`, `12 ก.พ. 2569`, `12กุมภาพันธ์2569`,
/// `Feb 12, 2026`, Thai digits, words such as `ณ วันที่` before the date, and a time of day after it, which
/// [`StatedDate`] interprets. A year above 2400 is Buddhist (minus 543); a two-digit year is Buddhist (plus 1957).
///
/// # Errors
/// Anything else, and dates that do not exist.
pub fn read(text: &str) -> Result<Option<StatedDate>, UnreadableDate> {
    match midnight(text) {
        Some(stated) => Ok(Some(stated)),
        None => read_written(text),
    }
}

/// The general case of [`read`]: handles all accepted forms.
fn read_written(text: &str) -> Result<Option<StatedDate>, UnreadableDate> {
    let unreadable = || UnreadableDate(excerpt(text));
    if text.len() > 1_024 {
        return Err(unreadable());
    }
    let plain = with_arabic_digits(&name::normalise(text)).to_lowercase();
    let rest = without_prefixes(&plain);
    if missing::is_missing(rest) {
        return Ok(None);
    }
    let (parts, behind) = split_parts(rest);
    let (day, month, year) = match parts.as_slice() {
        [Part::Digits(digits)] if digits.len() == 8 && digits.is_ascii() => {
            (&digits[6..], Month::Digits(&digits[4..6]), &digits[..4])
        }
        // A lone zero: the site's empty date field.
        [Part::Digits(digits)] if digits.bytes().all(|digit| digit == b'0') => return Ok(None),
        [Part::Digits(year), Part::Digits(month), Part::Digits(day)] if year.len() == 4 => {
            (*day, Month::Digits(month), *year)
        }
        [Part::Digits(day), Part::Digits(month), Part::Digits(year)] => {
            (*day, Month::Digits(month), *year)
        }
        [Part::Digits(day), Part::Word(word), Part::Digits(year)] => {
            (*day, Month::Word(word), *year)
        }
        [Part::Word(word), Part::Digits(day), Part::Digits(year)] => {
            (*day, Month::Word(word), *year)
        }
        _ => return Err(unreadable()),
    };
    let month = match month {
        Month::Digits(digits) => small(digits),
        Month::Word(word) => month_of(word),
    }
    .ok_or_else(unreadable)?;
    let day = small(day).ok_or_else(unreadable)?;
    match gregorian_year(year) {
        Some(Year::NoDate) => Ok(None),
        Some(Year::Gregorian(gregorian)) => Date::new(gregorian, month, day)
            .ok()
            .and_then(|date| StatedDate::new(date, behind, year.len() == 2))
            .map(Some)
            .ok_or_else(unreadable),
        None => Err(unreadable()),
    }
}

/// The fast path for the usual dates of a long history: `2026-02-12` or `2026-02-12T00:00:00Z`, with a year from 1900
/// to 2199. `None` for every other text; the general case parses these, and gives the same result for the usual dates.
fn midnight(text: &str) -> Option<StatedDate> {
    let (date, clock) = match text.strip_suffix("T00:00:00Z") {
        Some(date) => (date, Clock::MidnightUtc),
        None => (text, Clock::Local),
    };
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date.as_bytes() else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i16, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i16::from(digit - b'0'))
        })
    };
    let year = number(&[y1, y2, y3, y4]).filter(|year| (1900..2200).contains(year))?;
    let month = i8::try_from(number(&[m1, m2])?).ok()?;
    let day = i8::try_from(number(&[d1, d2])?).ok()?;
    let date = Date::new(year, month, day).ok()?;
    Some(StatedDate::as_written(date, clock))
}

/// Finds the date after "ณ วันที่" or "as of" in a longer text. Other words may be between them.
///
/// # Errors
/// The phrase is present, but no date follows within 80 characters.
pub fn find_as_of(text: &str) -> Result<Option<StatedDate>, UnreadableDate> {
    let plain = name::normalise(text);
    let lower = plain.to_lowercase();
    let Some(behind) = ["ข้อมูล ณ วันที่", "ณ วันที่", "ณวันที่", "as of"]
        .iter()
        .find_map(|phrase| lower.split_once(phrase).map(|(_, behind)| behind))
    else {
        return Ok(None);
    };
    let near: String = behind.chars().take(80).collect();
    let words: Vec<&str> = near.split(' ').filter(|word| !word.is_empty()).collect();
    // The date may be one word (31/01/2569) or three (31 ม.ค. 2569), anywhere in the following words.
    for start in 0..words.len() {
        for length in (1..=3_usize).rev() {
            let Some(candidate) = words.get(start..start + length) else {
                continue;
            };
            let candidate = candidate.join(" ");
            if let Ok(date) = read(&candidate) {
                return Ok(date);
            }
        }
    }
    Err(UnreadableDate(excerpt(&near)))
}

enum Part<'text> {
    Digits(&'text str),
    Word(String),
}

enum Month<'text> {
    Digits(&'text str),
    Word(&'text str),
}

enum Year {
    NoDate,
    Gregorian(i16),
}

fn without_prefixes(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some(shorter) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = shorter.trim_start();
    }
    rest
}

/// The first three groups of digits or words (words between two numbers form one group), and the text after the last
/// group.
fn split_parts(text: &str) -> (Vec<Part<'_>>, &str) {
    let mut parts = Vec::new();
    let mut digits_seen = 0;
    let mut rest = text;
    loop {
        rest = rest
            .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '/' | '-' | ',' | '.'));
        if rest.is_empty() || parts.len() >= 4 {
            return (parts, rest);
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            let (number, behind) = rest.split_at(digits);
            parts.push(Part::Digits(number));
            digits_seen += 1;
            let complete = digits_seen == 3
                || number.len() == 8
                || (digits_seen == 2 && parts.iter().any(|part| matches!(part, Part::Word(_))));
            if complete {
                return (parts, behind);
            }
            rest = behind;
            continue;
        }
        let end = rest
            .find(|c: char| c.is_ascii_digit() || matches!(c, '/' | '-' | ','))
            .unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let word: String = word
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '.')
            .collect();
        // The words for the era are ignored: the size of the year determines the calendar.
        let word = word
            .strip_suffix("พศ")
            .or_else(|| word.strip_suffix("คศ"))
            .unwrap_or(&word)
            .to_owned();
        if !word.is_empty() {
            parts.push(Part::Word(word));
        }
        rest = behind;
    }
}

fn small(digits: &str) -> Option<i8> {
    (1..=2)
        .contains(&digits.len())
        .then(|| digits.parse().ok())?
}

fn month_of(word: &str) -> Option<i8> {
    let found = MONTHS
        .iter()
        .position(|names| names.contains(&word))
        .or_else(|| (word == "sept").then_some(8))?;
    i8::try_from(found + 1).ok()
}

fn gregorian_year(digits: &str) -> Option<Year> {
    let year: i16 = match digits.len() {
        2 | 4 => digits.parse().ok()?,
        _ => return None,
    };
    match (digits.len(), year) {
        (2, short) => Some(Year::Gregorian(short + 1957)),
        // 544 is the Gregorian year 1 in the Buddhist calendar.
        (_, 0 | 1 | 544) => Some(Year::NoDate),
        (_, buddhist @ 2401..=2800) => Some(Year::Gregorian(buddhist - 543)),
        (_, gregorian @ 1800..=2400) => Some(Year::Gregorian(gregorian)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn day(read: Result<Option<StatedDate>, UnreadableDate>) -> Option<Date> {
        read.ok().flatten().map(StatedDate::date)
    }

    #[test]
    fn every_form_of_a_date_is_read() {
        let expected = date(2026, 2, 12);
        for text in [
            "2026-02-12",
            "2026-02-12T00:00:00Z",
            "2026-02-12T00:00:00+07:00",
            "2026-02-12 00:00:00.0000000",
            "2569-02-12",
            "20260212",
            "12/02/2569",
            "12/2/2569",
            "12/02/69",
            "12/02/2026",
            "12-02-2569",
            "12.02.2569",
            "12 ก.พ. 2569",
            "12 ก.พ 2569",
            "12 กพ 2569",
            "12 ก. พ. 69",
            "12ก.พ.69",
            "12-ก.พ.-69",
            "12 กุมภาพันธ์ 2569",
            "12 กุมภาพันธ์ พ.ศ. 2569",
            "๑๒ กุมภาพันธ์ ๒๕๖๙",
            "12 Feb 2026",
            "12 february 2026",
            "Feb 12, 2026",
            "12-Feb-2026",
            "12 FEB 69",
            "ข้อมูล ณ วันที่ 12/02/2569",
            "ข้อมูล ณ วันที่ : 12 ก.พ. 2569",
            "ณ วันที่\u{a0}12 ก.พ. 69",
            "as of 12 Feb 2026",
            "As of: 12/02/2569",
            "12/02/2569 17:30 น.",
        ] {
            assert_eq!(day(read(text)), Some(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_one_reads(
            year in 0_u32..2700, month in 0_u32..14, day in 0_u32..33, behind in "(T00:00:00Z)?[ 0Z]?",
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}{behind}");
            if let Some(date) = midnight(&text) {
                prop_assert_eq!(read_written(&text), Ok(Some(date)));
            }
            if (1990..2100).contains(&year) && Date::new(i16::try_from(year).unwrap(), i8::try_from(month).unwrap(), i8::try_from(day).unwrap()).is_ok() {
                prop_assert_eq!(midnight(&text).is_some(), matches!(behind.as_str(), "" | "T00:00:00Z"));
            }
        }
    }

    #[test]
    fn every_thai_month_is_known() {
        for (month, names) in (1..).zip([
            ["ม.ค.", "มกราคม"],
            ["ก.พ.", "กุมภาพันธ์"],
            ["มี.ค.", "มีนาคม"],
            ["เม.ย.", "เมษายน"],
            ["พ.ค.", "พฤษภาคม"],
            ["มิ.ย.", "มิถุนายน"],
            ["ก.ค.", "กรกฎาคม"],
            ["ส.ค.", "สิงหาคม"],
            ["ก.ย.", "กันยายน"],
            ["ต.ค.", "ตุลาคม"],
            ["พ.ย.", "พฤศจิกายน"],
            ["ธ.ค.", "ธันวาคม"],
        ]) {
            for name in names {
                assert_eq!(
                    day(read(&format!("1 {name} 2568"))),
                    Some(date(2025, month, 1)),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn year_0001_is_no_date_and_never_2001() {
        for text in [
            "0001-01-01T00:00:00Z",
            "0001-01-01",
            "01/01/0001",
            "00010101",
            "00000000",
            "0",
            "01/01/0544",
            "",
            "-",
            "N/A",
            "null",
        ] {
            assert_eq!(read(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn days_no_calendar_has_are_errors() {
        for text in [
            "2026-02-30",
            "31/02/2569",
            "29/02/2568",
            "20261301",
            "00/01/2569",
            "ม.ค. 2569",
            "12 กพพ 2569",
            "12/02/569",
            "1770854400",
            "yesterday",
            "12",
            "12/02",
            "2026-02-12x",
            "99999999",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        // 2567 is a leap year only after conversion to 2024.
        assert_eq!(day(read("29/02/2567")), Some(date(2024, 2, 29)));
    }

    #[test]
    fn an_as_of_date_is_found_in_a_sentence() {
        for text in [
            "สถิติ ข้อมูล ณ วันที่ 31/01/2569",
            "ข้อมูล ณ วันที่ จัดทำ 31/01/2569 โดยบริษัท",
            "ข้อมูล ณ วันที่ 31 ม.ค. 2569 (รายเดือน)",
        ] {
            assert_eq!(day(find_as_of(text)), Some(date(2026, 1, 31)), "{text}");
        }
        assert_eq!(find_as_of("ไม่มีวันที่"), Ok(None));
        assert!(find_as_of("ข้อมูล ณ วันที่ เร็ว ๆ นี้").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(year in 1960_i16..2050, month in 1_i8..=12, of_month in 1_i8..=28) {
            let expected = Some(date(year, month, of_month));
            let buddhist = year + 543;
            prop_assert_eq!(day(read(&format!("{year:04}{month:02}{of_month:02}"))), expected);
            prop_assert_eq!(day(read(&format!("{year:04}-{month:02}-{of_month:02}T00:00:00Z"))), expected);
            prop_assert_eq!(day(read(&format!("{of_month}/{month}/{buddhist}"))), expected);
            let name = MONTHS[usize::try_from(month - 1).unwrap_or(0)][1];
            prop_assert_eq!(day(read(&format!("ณ วันที่ {of_month} {name} {buddhist}"))), expected);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[0-9/. ก-๙tzTZ:-]{0,30}") {
            let _ = read(&text);
            let _ = find_as_of(&text);
        }
    }
}
