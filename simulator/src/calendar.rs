//! The calendar of business days: all weekdays, or the weekdays that are not a holiday of the Thai exchange.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

/// Holidays on the same day of every year, as (month, day).
const FIXED: [(i8, i8); 15] = [
    (1, 1),
    (4, 6),
    (4, 13),
    (4, 14),
    (4, 15),
    (5, 1),
    (5, 4),
    (6, 3),
    (7, 28),
    (8, 12),
    (10, 13),
    (10, 23),
    (12, 5),
    (12, 10),
    (12, 31),
];
/// Holidays that follow the lunar calendar (Makha Bucha, Visakha Bucha, Asarnha Bucha), as (year, month, day).
const LUNAR: [(i16, i8, i8); 12] = [
    (2025, 2, 12),
    (2025, 5, 11),
    (2025, 7, 10),
    (2026, 3, 3),
    (2026, 5, 31),
    (2026, 7, 29),
    (2027, 2, 21),
    (2027, 5, 20),
    (2027, 7, 18),
    (2028, 2, 10),
    (2028, 5, 8),
    (2028, 7, 6),
];

/// The rule for the days that have a NAV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Calendar {
    /// Monday to Friday.
    #[default]
    Weekdays,
    /// Monday to Friday without the Thai holidays.
    Thai,
}

impl Calendar {
    pub(crate) fn is_business_day(self, date: Date) -> bool {
        !is_weekend(date) && (self == Calendar::Weekdays || !is_thai_holiday(date))
    }

    /// The business day that is `count` business days before `date`.
    pub(crate) fn before(self, date: Date, count: u32) -> Date {
        let mut day = date;
        let mut left = count;
        while left > 0 {
            day = day.yesterday().expect("dates stay within jiff's range");
            left -= u32::from(self.is_business_day(day));
        }
        day
    }

    /// The first business day after `date`.
    pub(crate) fn after(self, date: Date) -> Date {
        let mut day = date;
        loop {
            day = day.tomorrow().expect("dates stay within jiff's range");
            if self.is_business_day(day) {
                return day;
            }
        }
    }
}

fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn is_named_holiday(date: Date) -> bool {
    FIXED.contains(&(date.month(), date.day()))
        || LUNAR.contains(&(date.year(), date.month(), date.day()))
}

/// Whether the date is a Thai holiday. A holiday on a weekend moves to the Monday after it.
fn is_thai_holiday(date: Date) -> bool {
    let on_the_weekend_before = || {
        (1..=2)
            .map(|days| date.saturating_sub(days.days()))
            .any(is_named_holiday)
    };
    is_named_holiday(date) || (date.weekday() == Weekday::Monday && on_the_weekend_before())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn thai_holidays_are_not_business_days() {
        for (day, weekdays, thai) in [
            (date(2026, 4, 10), true, true),
            // Songkran.
            (date(2026, 4, 14), true, false),
            (date(2026, 4, 16), true, true),
            // 5 December 2026 is a Saturday.
            (date(2026, 12, 7), true, false),
            (date(2026, 12, 8), true, true),
            (date(2026, 12, 6), false, false),
            // Visakha Bucha, a Sunday.
            (date(2026, 6, 1), true, false),
        ] {
            assert_eq!(Calendar::Weekdays.is_business_day(day), weekdays, "{day}");
            assert_eq!(Calendar::Thai.is_business_day(day), thai, "{day}");
        }
        assert_eq!(
            Calendar::Thai.before(date(2026, 4, 16), 1),
            date(2026, 4, 10)
        );
        assert_eq!(Calendar::Thai.after(date(2026, 4, 10)), date(2026, 4, 16));
    }
}
