//! A range of days, as tasks of lists with dates name it.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

/// The days from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayRange {
    /// The first day.
    pub first: Date,
    /// The last day, not before the first one.
    pub last: Date,
}

impl DayRange {
    const SEPARATOR: &str = "..";

    /// Whether the day lies in the range.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

impl From<Date> for DayRange {
    fn from(day: Date) -> Self {
        Self {
            first: day,
            last: day,
        }
    }
}

/// `2026-10-01..2026-10-15`; a range of one day is that day.
impl fmt::Display for DayRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(f);
        }
        write!(f, "{}{}{}", self.first, Self::SEPARATOR, self.last)
    }
}

impl FromStr for DayRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once(Self::SEPARATOR).unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(format!("expected a day or two days, found `{text}`")),
        }
    }
}

/// What a task requests of a history in one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryTurn {
    /// The days of the first range of the history. A history that was read in part goes on where it stopped.
    pub days: DayRange,
    /// Largest number of pages in this cycle.
    pub pages: u32,
}

/// `2025-10-16..2026-10-15 40`: the days and the number of pages.
impl fmt::Display for HistoryTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.days, self.pages)
    }
}

impl FromStr for HistoryTurn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected days and a number of pages, found `{text}`");
        let (days, pages) = text.split_once(' ').ok_or_else(wrong)?;
        Ok(Self {
            days: days.parse()?,
            pages: pages.parse().map_err(|_| wrong())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_written_and_read() {
        for (text, is_range) in [
            ("2026-10-01..2026-10-15", true),
            ("2026-10-01", true),
            ("2026-10-15..2026-10-01", false),
            ("2026-10-01..", false),
            ("", false),
        ] {
            let range: Result<DayRange, String> = text.parse();
            assert_eq!(range.is_ok(), is_range, "{text}");
            if let Ok(range) = range {
                assert_eq!(range.to_string(), text);
                assert!(range.contains(range.first) && range.contains(range.last));
            }
        }
    }

    #[test]
    fn the_turn_of_a_history_is_written_and_read() {
        let text = "2025-10-16..2026-10-15 40";
        let turn: HistoryTurn = text.parse().expect("a turn");
        assert_eq!((turn.pages, turn.to_string()), (40, text.to_owned()));
        for wrong in ["", "2025-10-16", "2025-10-16 x", "x 40"] {
            assert!(wrong.parse::<HistoryTurn>().is_err(), "{wrong}");
        }
    }
}
