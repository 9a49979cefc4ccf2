//! A date as a site wrote it: the calendar date in Bangkok, and the rule that led to it. Every source parses its dates
//! through this type, so one rule decides the meaning of a time of day after a date.
//!
//! - A date alone, a time without a zone, or a time at Bangkok's own offset: the date as written.
//! - Midnight UTC: the date as written, because the sites write calendar dates in this form.
//! - Any other time with a zone: an instant, converted to Bangkok before its date is taken.

use jiff::civil::Date;
use jiff::{Span, ToSpan};

/// Bangkok's offset from UTC, in minutes; unchanged since 1920.
const BANGKOK: i32 = 7 * 60;
/// Minutes per day.
const DAY: i32 = 24 * 60;
/// The largest offset from UTC of any zone, in minutes.
const LARGEST_OFFSET: i32 = 14 * 60;
/// Number of years by which a two-digit Buddhist year precedes the Gregorian year with the same two digits.
const SHORT_YEAR_GAP: i16 = 43;

/// A calendar date in Bangkok, as a site stated it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatedDate {
    date: Date,
    clock: Clock,
    has_short_year: bool,
}

/// The kind of text after a date, and so the rule for its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// No zone, or Bangkok's own: the date as written.
    Local,
    /// Midnight UTC: the date as written.
    MidnightUtc,
    /// An instant: converted to Bangkok.
    Instant,
}

impl StatedDate {
    /// A date from its written date and the text after it. `None` if that text is not a time of day, or if the date is
    /// outside the calendar.
    pub(crate) fn new(written: Date, behind: &str, has_short_year: bool) -> Option<Self> {
        let (clock, days) = TimeOfDay::read(behind)?.clock();
        let shift: Span = days.days();
        Some(Self {
            date: written.checked_add(shift).ok()?,
            clock,
            has_short_year,
        })
    }

    /// A date with a four-digit year and a clock that does not change the date.
    pub(crate) const fn as_written(date: Date, clock: Clock) -> Self {
        Self {
            date,
            clock,
            has_short_year: false,
        }
    }

    /// The date in Bangkok.
    #[must_use]
    pub const fn date(self) -> Date {
        self.date
    }

    /// The rule that led to the date.
    #[must_use]
    pub const fn clock(self) -> Clock {
        self.clock
    }

    /// The Gregorian year that a two-digit year may mean instead of the Buddhist one, if that year is not later than
    /// `latest`. `12/02/26` is 1983 in the Buddhist calendar and 2026 in the Gregorian one.
    #[must_use]
    pub fn ambiguous_year(self, latest: i16) -> Option<i16> {
        let gregorian = self.date.year() + SHORT_YEAR_GAP;
        (self.has_short_year && gregorian <= latest).then_some(gregorian)
    }
}

/// The dates of one page, to detect a page that writes both calendar dates as midnight UTC and instants. On such a page
/// a midnight can be either, so none of its dates is reliable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageDates {
    midnight_utc: Option<Date>,
    instant: Option<Date>,
}

impl PageDates {
    /// Adds a date of the page and returns its calendar date.
    pub fn take(&mut self, stated: StatedDate) -> Date {
        let seen = match stated.clock {
            Clock::Local => None,
            Clock::MidnightUtc => Some(&mut self.midnight_utc),
            Clock::Instant => Some(&mut self.instant),
        };
        if let Some(seen) = seen {
            seen.get_or_insert(stated.date);
        }
        stated.date
    }

    /// The mixture of date forms on the page, if there is one.
    #[must_use]
    pub fn mixture(&self) -> Option<String> {
        let (midnight, instant) = self.midnight_utc.zip(self.instant)?;
        Some(format!(
            "midnight UTC for {midnight} and another time of day for {instant}"
        ))
    }
}

/// A time of day after a date, in minutes. Smaller parts only decide whether it is midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TimeOfDay {
    minutes: i32,
    is_midnight: bool,
    /// Minutes east of UTC; `None` if no zone is written.
    offset: Option<i32>,
}

impl TimeOfDay {
    /// A date without a time.
    const NONE: Self = Self {
        minutes: 0,
        is_midnight: true,
        offset: None,
    };

    /// Parses the lower-case text after a date: nothing, `t17:30:00.000z`, ` 17:30 น.`, ` 5:30 pm utc+07:00`.
    fn read(behind: &str) -> Option<Self> {
        let rest = behind.trim_end_matches(['.', ',']).trim_end();
        if rest.is_empty() {
            return Some(Self::NONE);
        }
        if let Some(offset) = offset(rest) {
            // A date with a zone and no time is a calendar date, not an instant.
            return (offset.abs() <= LARGEST_OFFSET).then_some(Self::NONE);
        }
        let time = rest
            .strip_prefix(['t', ' ', ','])?
            .trim_start()
            .trim_start_matches("เวลา")
            .trim_start();
        let (hours, rest) = digits(time)?;
        let (hours, minutes, rest) = match (hours.len(), rest.strip_prefix([':', '.'])) {
            (1 | 2, Some(rest)) => {
                let (minutes, rest) = digits(rest)?;
                (hours, minutes, rest)
            }
            // 1730 and 173000: the basic form of ISO 8601.
            (4 | 6, _) => {
                let seconds = &hours[4..];
                if !seconds.is_empty() && seconds.parse::<u8>().ok()? > 60 {
                    return None;
                }
                let (hours, minutes) = hours[..4].split_at(2);
                return Self::with_zone(hours, minutes, time[4..].starts_with("00"), rest);
            }
            _ => return None,
        };
        let (seconds, rest) = match rest.strip_prefix([':', '.']).and_then(digits) {
            Some((seconds, rest)) => (seconds, rest),
            None => ("0", rest),
        };
        if seconds.len() > 2 || seconds.parse::<u8>().ok()? > 60 {
            return None;
        }
        let (fraction, rest) = match rest.strip_prefix(['.', ',']).and_then(digits) {
            Some((fraction, rest)) => (fraction, rest),
            None => ("0", rest),
        };
        let no_more = [seconds, fraction]
            .iter()
            .all(|part| part.bytes().all(|digit| digit == b'0'));
        Self::with_zone(hours, minutes, no_more, rest)
    }

    fn with_zone(hours: &str, minutes: &str, no_more: bool, rest: &str) -> Option<Self> {
        if minutes.len() != 2 {
            return None;
        }
        let (mut hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        let rest = rest.trim_start();
        let rest = rest
            .strip_prefix("น.")
            .or_else(|| rest.strip_prefix('น'))
            .unwrap_or(rest);
        let halves = [("am", 0), ("a.m.", 0), ("pm", 12), ("p.m.", 12)];
        let half = halves
            .iter()
            .find_map(|(word, hours)| Some((rest.strip_prefix(word)?, *hours)));
        let rest = match half {
            Some((rest, added)) => {
                if !(1..=12).contains(&hours) {
                    return None;
                }
                hours = hours % 12 + added;
                rest
            }
            None => rest,
        };
        if !(0..24).contains(&hours) || !(0..60).contains(&minutes) {
            return None;
        }
        let rest = rest.trim();
        let offset = match rest {
            "" => None,
            zone => Some(offset(zone).filter(|offset| offset.abs() <= LARGEST_OFFSET)?),
        };
        let minutes = hours * 60 + minutes;
        Some(Self {
            minutes,
            is_midnight: minutes == 0 && no_more,
            offset,
        })
    }

    /// The rule that applies, and the number of days by which it moves the date.
    const fn clock(self) -> (Clock, i32) {
        match self.offset {
            None | Some(BANGKOK) => (Clock::Local, 0),
            Some(0) if self.is_midnight => (Clock::MidnightUtc, 0),
            Some(offset) => {
                let in_bangkok = self.minutes - offset + BANGKOK;
                (Clock::Instant, in_bangkok.div_euclid(DAY))
            }
        }
    }
}

/// Splits the digits at the beginning of a text, at least one, from the text after them.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A zone's offset from UTC in minutes: `z`, `utc`, `gmt`, `ict`, `+07`, `+0700`, `+07:00`, `utc+7`.
fn offset(zone: &str) -> Option<i32> {
    let zone = zone.trim();
    match zone {
        "z" | "utc" | "gmt" => return Some(0),
        "ict" => return Some(BANGKOK),
        _ => {}
    }
    let signed = zone
        .strip_prefix("utc")
        .or_else(|| zone.strip_prefix("gmt"))
        .unwrap_or(zone);
    let sign = match signed.chars().next()? {
        '+' => 1,
        '-' | '−' => -1,
        _ => return None,
    };
    let unsigned = signed.trim_start_matches(['+', '-', '−']);
    let (hours, minutes) = match unsigned.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if unsigned.len() == 4 && unsigned.is_ascii() => unsigned.split_at(2),
        None => (unsigned, "0"),
    };
    let number = |digits: &str| {
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        ((1..=2).contains(&digits.len()) && all_digits).then(|| digits.parse::<i32>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::text::thai_date;

    fn read(text: &str) -> Option<(Date, Clock)> {
        let stated = thai_date::read(text).ok().flatten()?;
        Some((stated.date(), stated.clock()))
    }

    /// D13: a timestamp with a zone is converted to Bangkok before its date is taken; midnight UTC is the date as
    /// written.
    #[test]
    fn a_time_of_day_decides_the_date_by_its_zone() {
        let twelfth = date(2026, 2, 12);
        for (text, clock) in [
            ("2026-02-11T17:00:00Z", Clock::Instant),
            ("2026-02-11T17:00:00.000Z", Clock::Instant),
            ("2026-02-11 17:00:00 UTC", Clock::Instant),
            ("2026-02-11T23:59:59.9999999Z", Clock::Instant),
            ("2026-02-12T16:59:59Z", Clock::Instant),
            ("2026-02-12T00:00:01Z", Clock::Instant),
            ("2026-02-12T04:02:51Z", Clock::Instant),
            ("20260211T170000Z", Clock::Instant),
            ("2569-02-11T17:00:00Z", Clock::Instant),
            ("11/02/2569 17:00 +00:00", Clock::Instant),
            ("11 ก.พ. 2569 5:30 PM GMT", Clock::Instant),
            ("2026-02-11T12:00:00-05:00", Clock::Instant),
            ("2026-02-12T00:00:00+05:30", Clock::Instant),
            ("2026-02-13T01:30:00+09:00", Clock::Instant),
            ("2026-02-12T00:00:00Z", Clock::MidnightUtc),
            ("2026-02-12T00:00Z", Clock::MidnightUtc),
            ("2026-02-12T00:00:00.000Z", Clock::MidnightUtc),
            ("2026-02-12T00:00:00+00:00", Clock::MidnightUtc),
            ("2026-02-12 00:00:00.0000000 Z", Clock::MidnightUtc),
            ("12/02/2569 00:00:00 UTC", Clock::MidnightUtc),
            ("2026-02-12T00:00:00+07:00", Clock::Local),
            ("2026-02-12T23:30:00+0700", Clock::Local),
            ("2026-02-12T17:00:00", Clock::Local),
            ("2026-02-12T15:08:32.48", Clock::Local),
            ("2026-02-12 00:00:00.0000000", Clock::Local),
            ("2026-02-12 17:30", Clock::Local),
            ("12/02/2569 17.30 น.", Clock::Local),
            ("12/02/2569 เวลา 17:30 น.", Clock::Local),
            ("2026-02-12Z", Clock::Local),
            ("2026-02-12+07:00", Clock::Local),
            ("2026-02-12", Clock::Local),
        ] {
            assert_eq!(read(text), Some((twelfth, clock)), "{text}");
        }
    }

    #[test]
    fn a_conversion_crosses_months_and_years() {
        for (text, day) in [
            ("2026-02-28T17:00:00Z", date(2026, 3, 1)),
            ("2025-12-31T18:30:00Z", date(2026, 1, 1)),
            ("2024-02-28T20:00:00Z", date(2024, 2, 29)),
            ("2026-01-01T06:59:00+14:00", date(2025, 12, 31)),
        ] {
            assert_eq!(read(text), Some((day, Clock::Instant)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_of_day_makes_no_date() {
        for text in [
            "2026-02-12T25:00:00Z",
            "2026-02-12T24:00:00Z",
            "2026-02-12T12:60:00Z",
            "2026-02-12T12:00:00+15:00",
            "2026-02-12T12:00:00X",
            "2026-02-12T",
            "2026-02-12T5Z",
            "2026-02-12 13:00 PM",
            "2026-02-12 tomorrow",
        ] {
            assert!(thai_date::read(text).is_err(), "{text}");
        }
        // Year 1 means "no date", whatever its time.
        assert_eq!(thai_date::read("0001-01-01T17:00:00Z"), Ok(None));
    }

    #[test]
    fn only_midnight_utc_beside_an_instant_is_a_mixture() {
        let mixture = |texts: &[&str]| {
            let mut dates = PageDates::default();
            for text in texts {
                if let Ok(Some(stated)) = thai_date::read(text) {
                    dates.take(stated);
                }
            }
            dates.mixture().is_some()
        };
        assert!(mixture(&["2026-02-12T00:00:00Z", "2026-02-12T17:00:00Z"]));
        assert!(mixture(&[
            "2026-02-11T17:00:00Z",
            "",
            "2026-02-12T00:00:00Z"
        ]));
        assert!(mixture(&[
            "2026-02-12T00:00:00+00:00",
            "2026-02-12T02:00:00+09:00"
        ]));
        assert!(!mixture(&["2026-02-11T17:00:00Z", "2026-02-12T17:00:00Z"]));
        assert!(!mixture(&[
            "2026-02-11T17:00:00Z",
            "2026-02-12",
            "13/02/2569"
        ]));
        assert!(!mixture(&[
            "2026-02-12T00:00:00Z",
            "2026-02-13T00:00:00+07:00"
        ]));
    }

    #[test]
    fn a_two_digit_year_is_ambiguous_where_it_may_be_gregorian() {
        let ambiguous = |text: &str| {
            let stated = thai_date::read(text).ok().flatten()?;
            stated.ambiguous_year(2026)
        };
        for (text, year) in [
            ("12/02/26", 2026),
            ("12 Feb 25", 2025),
            ("12-ก.พ.-09", 2009),
        ] {
            assert_eq!(ambiguous(text), Some(year), "{text}");
        }
        for text in [
            "12/02/69",
            "12/02/27",
            "12 ก.พ. 35",
            "12/02/1983",
            "12/02/2526",
        ] {
            assert_eq!(ambiguous(text), None, "{text}");
        }
    }
}
