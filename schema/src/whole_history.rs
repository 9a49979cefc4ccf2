//! Whether the answer to a request for the whole history contains the whole history. Pure functions.
//!
//! A site may answer `range=MAX` with the last month only. Such an answer is loaded like any other, but the whole
//! history is not marked as read, and the next cycle requests it again.

use jiff::civil::Date;

/// The largest number of days between a fund's inception and its first NAV.
const FIRST_NAV_AFTER_DAYS: i32 = 31;
/// An answer of at most this many days is no longer than the shortest range that a site offers. Two such answers with
/// the same first day therefore do not show that the site has no older days.
const SHORT_DAYS: i32 = 35;

/// What is known about a fund's history when the whole of it was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The first day of the answer; `None` if the answer has no day.
    pub first_day: Option<Date>,
    /// The fund's inception date, as the sources report it.
    pub inception: Option<Date>,
    /// The oldest day that the same source reported before the answer.
    pub oldest_known: Option<Date>,
    /// The first day of the previous answer to a request for the whole history.
    pub first_day_before: Option<Date>,
    /// The cycle's date.
    pub cycle_date: Date,
}

/// Whether the answer reaches back to the inception, to the oldest known day, or to the first day of the previous
/// answer. A first answer that is longer than the shortest range is accepted as whole as well, because a site's data
/// may begin later than the fund.
#[must_use]
pub fn reaches_back(reach: &Reach) -> bool {
    let known = [reach.oldest_known, reach.first_day_before];
    let Some(first_day) = reach.first_day else {
        return known == [None, None];
    };
    if let Some(inception) = reach.inception {
        if (first_day - inception).get_days() <= FIRST_NAV_AFTER_DAYS {
            return true;
        }
        if is_short(reach) {
            return false;
        }
    }
    known == [None, None] || known.into_iter().flatten().any(|known| first_day <= known)
}

/// Whether the answer is no longer than the shortest range that a site offers.
#[must_use]
pub fn is_short(reach: &Reach) -> bool {
    reach
        .first_day
        .is_some_and(|first_day| (reach.cycle_date - first_day).get_days() <= SHORT_DAYS)
}

/// Whether days are missing: the answer begins later than an earlier report of the same source.
#[must_use]
pub fn is_shortened(reach: &Reach) -> bool {
    let mut known = [reach.oldest_known, reach.first_day_before]
        .into_iter()
        .flatten();
    !reaches_back(reach)
        && match reach.first_day {
            Some(first_day) => known.any(|known| first_day > known),
            None => known.next().is_some(),
        }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_history_is_whole_where_it_begins_early_enough() {
        let today = date(2026, 10, 15);
        let month = Some(date(2026, 9, 15));
        let year = Some(date(2025, 10, 15));
        let old = Some(date(2010, 5, 3));
        for (first_day, inception, oldest_known, first_day_before, whole) in [
            // The answer begins at the inception date, with some days of tolerance.
            (old, old, None, None, true),
            (old, Some(date(2010, 4, 20)), None, None, true),
            (month, month, None, None, true),
            (month, old, None, None, false),
            (year, old, None, None, true),
            // The site has no older days: two answers begin with the same day.
            (year, old, year, year, true),
            (year, old, None, year, true),
            (Some(date(2025, 10, 16)), old, year, year, false),
            // The shortest range returns one month, so a repetition of it proves nothing.
            (month, old, month, month, false),
            // Without an inception date, the answer is compared with the known days.
            (month, None, None, None, true),
            (month, None, month, None, true),
            (month, None, old, None, false),
            (old, None, month, None, true),
            // An answer without any day.
            (None, old, None, None, true),
            (None, old, old, None, false),
            (None, None, None, month, false),
        ] {
            let reach = Reach {
                first_day,
                inception,
                oldest_known,
                first_day_before,
                cycle_date: today,
            };
            assert_eq!(reaches_back(&reach), whole, "{reach:?}");
        }
    }
}
