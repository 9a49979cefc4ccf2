//! Decides which values are plausible for a field. Pure: returns the value, or the reason for rejecting it. An
//! implausible value would replace a good one.

use jiff::civil::{Date, date};
use schema::Number;

use crate::text::number::{FeeCell, Quantity, Unit};
use crate::text::stated_date::StatedDate;

/// The earliest plausible date of a NAV or of a portfolio.
const EARLIEST_DAY: Date = date(1970, 1, 1);
/// The earliest plausible inception date: no Thai fund is older.
const EARLIEST_INCEPTION: Date = date(1960, 1, 1);
/// Largest plausible fee, in percent.
const LARGEST_FEE: i32 = 100;

/// Checks a price or an amount of money: a NAV, a bid, an offer, the assets of a fund.
///
/// # Errors
/// The value is below 0, or a percentage.
pub fn money(quantity: Quantity) -> Result<Number, String> {
    let Quantity { value, unit } = quantity;
    if unit == Some(Unit::Percent) {
        return Err(format!("expected an amount in baht, found `{value} %`"));
    }
    at_least_zero(value)
}

fn at_least_zero(value: Number) -> Result<Number, String> {
    if value.decimal().is_sign_negative() {
        Err(format!("expected 0 or more, found `{value}`"))
    } else {
        Ok(value)
    }
}

/// The meaning of a fee column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeeColumn {
    /// The highest rate that may be charged, in percent.
    Cap,
    /// The rate that is charged, in percent.
    Charged,
    /// The smallest purchase, in baht.
    Minimum,
}

/// What a fee cell means for its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeeValue {
    /// A value of the column.
    Is(Number),
    /// No value, as the site states.
    NotSaid,
    /// No value; the reason becomes a note, not a reject.
    Noted(String),
    /// An implausible value, with the reason.
    Refused(String),
}

/// The value of a fee cell for a column. `written_beside` are units that the page writes beside the cell.
#[must_use]
pub fn fee(cell: FeeCell, column: FeeColumn, written_beside: &[Option<Unit>]) -> FeeValue {
    let (quantity, is_cap) = match cell {
        FeeCell::NotSaid => return FeeValue::NotSaid,
        FeeCell::UnknownWords(words) => {
            return FeeValue::Noted(format!(
                "expected a number or a known word, found `{words}`; treated as missing"
            ));
        }
        FeeCell::Value(quantity) => (quantity, false),
        FeeCell::AtMost(quantity) => (quantity, true),
    };
    let has = |unit| quantity.unit == Some(unit) || written_beside.contains(&Some(unit));
    let value = quantity.value;
    match column {
        FeeColumn::Minimum if is_cap => FeeValue::Noted(format!(
            "expected a smallest amount, found `at most {value}`; not used"
        )),
        FeeColumn::Minimum if has(Unit::Percent) => {
            FeeValue::Noted("expected baht, found percent; not used".to_owned())
        }
        FeeColumn::Cap | FeeColumn::Charged if has(Unit::Baht) => {
            FeeValue::Noted("expected percent, found baht; not used".to_owned())
        }
        FeeColumn::Charged if is_cap => FeeValue::Noted(format!(
            "expected the rate charged, found `at most {value}`; not used"
        )),
        FeeColumn::Minimum => at_least_zero(value).map_or_else(FeeValue::Refused, FeeValue::Is),
        FeeColumn::Cap | FeeColumn::Charged => {
            if value.decimal().is_sign_negative() || value > Number::from(LARGEST_FEE) {
                FeeValue::Refused(format!(
                    "expected a fee from 0 to {LARGEST_FEE} %, found `{value}`"
                ))
            } else {
                FeeValue::Is(value)
            }
        }
    }
}

/// The dates that are plausible in a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Believed {
    cycle_date: Date,
}

impl Believed {
    /// The dates that are plausible in the cycle with this date.
    #[must_use]
    pub const fn in_cycle_of(cycle_date: Date) -> Self {
        Self { cycle_date }
    }

    /// Whether another cycle may accept this date if this one rejects it.
    #[must_use]
    pub fn depends_on_cycle(self, stated: StatedDate) -> bool {
        stated.date() > self.cycle_date || stated.ambiguous_year(self.cycle_date.year()).is_some()
    }

    /// Checks the date of a NAV: not after the cycle date.
    ///
    /// # Errors
    /// The reason why it is not plausible.
    pub fn nav_day(self, stated: StatedDate) -> Result<Date, String> {
        self.day(stated, 0, "a NAV date")
    }

    /// Checks the as-of date of a portfolio or a statistic: at most 31 days after the cycle date.
    ///
    /// # Errors
    /// The reason why it is not plausible.
    pub fn as_of_day(self, stated: StatedDate) -> Result<Date, String> {
        self.day(stated, 31, "an as-of date")
    }

    /// Checks the XD date or the payment date of a dividend, which is announced before: at most 365 days after the
    /// cycle date.
    ///
    /// # Errors
    /// The reason why it is not plausible.
    pub fn dividend_day(self, stated: StatedDate) -> Result<Date, String> {
        self.day(stated, 365, "a day of a dividend")
    }

    fn day(self, stated: StatedDate, days_ahead: i32, what: &str) -> Result<Date, String> {
        self.year_is_clear(stated)?;
        let day = stated.date();
        if day < EARLIEST_DAY {
            return Err(format!(
                "expected {what} since {EARLIEST_DAY}, found `{day}`"
            ));
        }
        let latest = later(self.cycle_date, days_ahead);
        if latest.is_some_and(|latest| day > latest) {
            let bound = match days_ahead {
                0 => format!("the cycle's date, {}", self.cycle_date),
                days => format!("{days} days after the cycle's date, {}", self.cycle_date),
            };
            return Err(format!("expected {what} not after {bound}, found `{day}`"));
        }
        Ok(day)
    }

    /// Checks an inception date: at most 365 days after the cycle date.
    ///
    /// # Errors
    /// The reason why it is not plausible.
    pub fn inception(self, stated: StatedDate) -> Result<Date, String> {
        self.year_is_clear(stated)?;
        let day = stated.date();
        let latest = later(self.cycle_date, 365);
        if day < EARLIEST_INCEPTION || latest.is_some_and(|latest| day > latest) {
            return Err(format!(
                "expected a first day since {EARLIEST_INCEPTION} and not more than a year after the cycle's date, {}, found `{day}`",
                self.cycle_date
            ));
        }
        Ok(day)
    }

    fn year_is_clear(self, stated: StatedDate) -> Result<(), String> {
        match stated.ambiguous_year(self.cycle_date.year()) {
            None => Ok(()),
            Some(gregorian) => Err(format!(
                "expected a Buddhist year, found two digits that may mean {gregorian} (in the Buddhist calendar `{}`)",
                stated.date()
            )),
        }
    }
}

/// The date `days` days later; `None` beyond the end of the calendar, which means no limit.
fn later(day: Date, days: i32) -> Option<Date> {
    use jiff::ToSpan;
    day.checked_add(days.days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{number, thai_date};

    const CYCLE: Believed = Believed::in_cycle_of(date(2026, 2, 16));

    fn stated(text: &str) -> StatedDate {
        thai_date::read(text).expect("a date").expect("a date")
    }

    #[test]
    fn money_is_not_negative_and_no_percent() {
        for (text, taken) in [
            ("12.3456", true),
            ("0", true),
            ("1,000 บาท", true),
            ("-0.00", true),
            ("-0.0001", false),
            ("(12.34)", false),
            ("12.34%", false),
            ("0 % ต่อปี", false),
        ] {
            let quantity = number::read(text).expect("a number").expect("a number");
            assert_eq!(money(quantity).is_ok(), taken, "{text}");
        }
    }

    fn value(text: &str, column: FeeColumn) -> FeeValue {
        fee(number::read_fee(text).expect("a fee cell"), column, &[])
    }

    #[test]
    fn a_fee_lies_between_0_and_100_percent() {
        for text in [
            "1,605%",
            "1000000",
            "100.01",
            "-0.5",
            "(1.07%)",
            "ไม่เกิน 1,605% ต่อปี",
        ] {
            assert!(
                matches!(value(text, FeeColumn::Cap), FeeValue::Refused(_)),
                "{text}"
            );
        }
        for text in ["0", "100", "1.605", "1.07% ต่อปี"] {
            assert!(
                matches!(value(text, FeeColumn::Charged), FeeValue::Is(_)),
                "{text}"
            );
        }
        assert!(matches!(
            value("-500", FeeColumn::Minimum),
            FeeValue::Refused(_)
        ));
        assert!(matches!(
            value("1,000,000 บาท", FeeColumn::Minimum),
            FeeValue::Is(_)
        ));
    }

    #[test]
    fn a_cap_is_read_only_for_fields_that_are_caps() {
        let one_six = Number::parse("1.605").expect("a number");
        for text in ["ไม่เกิน 1.605% ต่อปี", "ไม่เกิน1.605 %", "ไม่เกิน ๑.๖๐๕ ต่อปี"]
        {
            assert_eq!(value(text, FeeColumn::Cap), FeeValue::Is(one_six), "{text}");
            for column in [FeeColumn::Charged, FeeColumn::Minimum] {
                assert!(
                    matches!(value(text, column), FeeValue::Noted(_)),
                    "{text} {column:?}"
                );
            }
        }
        assert!(matches!(
            value("ไม่เกิน 10 บาท", FeeColumn::Cap),
            FeeValue::Noted(_)
        ));
    }

    #[test]
    fn a_unit_beside_the_cell_counts_as_one_in_it() {
        let cell = || number::read_fee("1000").expect("a fee cell");
        for (column, unit) in [
            (FeeColumn::Cap, Unit::Baht),
            (FeeColumn::Charged, Unit::Baht),
            (FeeColumn::Minimum, Unit::Percent),
        ] {
            assert!(
                matches!(fee(cell(), column, &[None, Some(unit)]), FeeValue::Noted(_)),
                "{column:?}"
            );
        }
    }

    #[test]
    fn a_nav_date_lies_not_after_the_cycles_date() {
        for (text, taken) in [
            ("2026-02-16", true),
            ("2026-02-17", false),
            ("2026-02-16T17:00:00Z", false),
            ("2026-02-16T16:59:59Z", true),
            ("2099-01-01", false),
            ("1969-12-31", false),
            ("1992-03-01", true),
            ("12/02/26", false),
            ("12/02/69", true),
        ] {
            assert_eq!(CYCLE.nav_day(stated(text)).is_ok(), taken, "{text}");
        }
        assert!(CYCLE.as_of_day(stated("2026-02-28")).is_ok());
        assert!(CYCLE.as_of_day(stated("31/01/26")).is_err());
    }

    #[test]
    fn an_inception_may_lie_a_year_ahead_and_not_in_a_doubtful_year() {
        for (text, taken) in [
            ("2027-02-16", true),
            ("2027-02-17", false),
            ("1959-12-31", false),
            ("12/02/26", false),
            ("12/02/35", true),
            ("12/02/2526", true),
        ] {
            assert_eq!(CYCLE.inception(stated(text)).is_ok(), taken, "{text}");
        }
    }

    #[test]
    fn a_cycle_at_the_end_of_the_calendar_bounds_nothing() {
        let last = Believed::in_cycle_of(Date::MAX);
        assert!(last.nav_day(stated("2199-01-01")).is_ok());
    }
}
