//! Whether an answer to the question for a whole history is one. Pure.
//!
//! A site may answer `range=MAX` with its last month. Such an answer is loaded like any other, but the history does not
//! count as read, and the next cycle asks for all of it again.

use jiff::civil::Date;

/// How many days after its inception a fund may have its first NAV.
const FIRST_NAV_AFTER_DAYS: i32 = 31;
/// An answer no longer than this is as long as the shortest range a site offers, so its repetition proves nothing.
const SHORT_DAYS: i32 = 35;

/// What is known of a fund's history when it is answered whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The first day of the answer; `None` where it has none.
    pub first_day: Option<Date>,
    /// The fund's first day, as sources report it.
    pub inception: Option<Date>,
    /// The oldest day that the same source reported before the answer.
    pub oldest_known: Option<Date>,
    /// The first day of the whole answer before this one.
    pub first_day_before: Option<Date>,
    /// The cycle's date.
    pub cycle_date: Date,
}

/// Whether the answer reaches back to the inception, to the oldest day known, or to where the answer before began. A first
/// answer that is longer than the shortest range is whole: a site's data may begin later than the fund.
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

/// Whether the answer has lost days: it begins later than what its source reported before.
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
            // The inception decides, some days later included.
            (old, old, None, None, true),
            (old, Some(date(2010, 4, 20)), None, None, true),
            (month, month, None, None, true),
            (month, old, None, None, false),
            (year, old, None, None, true),
            // The site has no older days: it says so twice.
            (year, old, year, year, true),
            (year, old, None, year, true),
            (Some(date(2025, 10, 16)), old, year, year, false),
            // A month is what the shortest range brings, however often.
            (month, old, month, month, false),
            // Where no inception is known, what is known of the series decides.
            (month, None, None, None, true),
            (month, None, month, None, true),
            (month, None, old, None, false),
            (old, None, month, None, true),
            // No day at all.
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
