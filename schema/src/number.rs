//! Exact decimal numbers (D5), parsed from the payload's text and stored as NUMERIC without conversion to a float.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// A decimal number as the warehouse stores it: |value| < 10^16 and at most 10 decimals (more are rounded half to
/// even). The form is canonical: no trailing zeros, no negative zero. It is serialised as text, so that no JSON reader
/// converts it to a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Number(Decimal);

/// The reason why a text is not a number that the warehouse can store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not the decimal notation `-12.5e3`.
    #[error("`{0}` is not a number")]
    NotANumber(String),
    /// |value| >= 10^16.
    #[error("`{0}` is out of range: numbers have at most 16 digits before the point")]
    OutOfRange(String),
}

/// 10^16: the absolute value of a number is smaller.
const BOUND: Decimal = Decimal::from_parts(0x6fc1_0000, 0x0023_86f2, 0, false, 0);

impl Number {
    /// Largest number of decimals; further ones are rounded half to even.
    pub const MAX_DECIMALS: u32 = 10;
    /// Largest number of digits before the decimal point.
    pub const MAX_INTEGER_DIGITS: usize = 16;

    /// Parses plain decimal or exponent notation (`12`, `-0.50`, `+3`, `1.5E-7`), as JSON and programs write it. The
    /// text rules of each source handle words, commas and units.
    ///
    /// # Errors
    /// The text has another form or its value is out of range. The error contains at most the first 40 characters.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        match Self::parse_plain(text) {
            Some(number) => Ok(number),
            None => Self::parse_any(text),
        }
    }

    /// Parses the most common form: an optional minus sign, then at most 18 characters: digits and at most one decimal
    /// point. `None` is not an error: the caller then uses [`Number::parse_any`], which gives equal results for this
    /// form.
    fn parse_plain(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', unsigned @ ..] => (true, unsigned),
            unsigned => (false, unsigned),
        };
        // 18 digits always fit into an i64.
        if unsigned.len() > 18 {
            return None;
        }
        let mut units = 0_i64;
        let mut point = None;
        for (at, byte) in unsigned.iter().enumerate() {
            match byte {
                b'0'..=b'9' => units = units * 10 + i64::from(byte - b'0'),
                b'.' if point.is_none() => point = Some(at),
                _ => return None,
            }
        }
        let whole_digits = point.unwrap_or(unsigned.len());
        let mut decimals = unsigned.len() - point.map_or(unsigned.len(), |at| at + 1);
        let fits =
            whole_digits <= Self::MAX_INTEGER_DIGITS && decimals <= Self::MAX_DECIMALS as usize;
        if !fits || whole_digits + decimals == 0 {
            return None;
        }
        while decimals > 0 && units % 10 == 0 {
            units /= 10;
            decimals -= 1;
        }
        let units = if negative { -units } else { units };
        Some(Self(Decimal::new(units, u32::try_from(decimals).ok()?)))
    }

    fn parse_any(text: &str) -> Result<Self, NumberError> {
        let excerpt = || text.chars().take(40).collect::<String>();
        let not_a_number = || NumberError::NotANumber(excerpt());
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, read_exponent(exponent).ok_or_else(not_a_number)?)
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || digits.len() > 5_000 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(not_a_number());
        }
        // The value is 0.d1d2d3… * 10^point; leading zeros are dropped.
        let leading_zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let digits = &digits[leading_zeros..];
        if digits.is_empty() {
            return Ok(Self(Decimal::ZERO));
        }
        let point = i64::try_from(whole.len()).map_err(|_| not_a_number())? + exponent
            - i64::try_from(leading_zeros).map_err(|_| not_a_number())?;
        if point > i64::try_from(Self::MAX_INTEGER_DIGITS).unwrap_or(i64::MAX) {
            return Err(NumberError::OutOfRange(excerpt()));
        }
        let zeros_before = usize::try_from(-point).unwrap_or(0).min(64);
        let whole_digits = usize::try_from(point).unwrap_or(0);
        let aligned: Vec<u8> = std::iter::repeat_n(b'0', zeros_before)
            .chain(digits.iter().copied())
            .chain(std::iter::repeat_n(
                b'0',
                whole_digits.saturating_sub(digits.len()),
            ))
            .collect();
        let (whole, decimals) = aligned.split_at(whole_digits);
        let mut plain = String::from(if negative { "-0" } else { "0" });
        plain.extend(whole.iter().copied().map(char::from));
        plain.push('.');
        // Half to even needs 10 decimals, one more digit to round by, and a sticky digit that represents all the rest.
        let kept = decimals.len().min(11);
        plain.extend(decimals[..kept].iter().copied().map(char::from));
        let sticky = decimals[kept..].iter().any(|digit| *digit != b'0');
        plain.push(if sticky { '1' } else { '0' });
        let exact = Decimal::from_str_exact(&plain).map_err(|_| not_a_number())?;
        let rounded = exact
            .round_dp_with_strategy(Self::MAX_DECIMALS, RoundingStrategy::MidpointNearestEven)
            .normalize();
        if rounded.abs() >= BOUND {
            return Err(NumberError::OutOfRange(excerpt()));
        }
        Ok(Self(if rounded.is_zero() {
            Decimal::ZERO
        } else {
            rounded
        }))
    }

    /// The number for PostgreSQL's NUMERIC.
    #[must_use]
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// Whether it is 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

impl TryFrom<Decimal> for Number {
    type Error = NumberError;

    fn try_from(decimal: Decimal) -> Result<Self, Self::Error> {
        // A number that the runner stored needs no rounding.
        if decimal.scale() <= Self::MAX_DECIMALS && decimal.abs() < BOUND {
            let canonical = decimal.normalize();
            return Ok(Self(if canonical.is_zero() {
                Decimal::ZERO
            } else {
                canonical
            }));
        }
        Self::parse(&decimal.to_string())
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Self {
        Self(Decimal::from(value))
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Number {
    type Error = NumberError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.to_string()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_exactly_and_canonically() {
        for (text, canonical) in [
            ("12.3400", "12.34"),
            ("-0.0", "0"),
            ("+7", "7"),
            ("1.5E3", "1500"),
            ("1e-10", "0.0000000001"),
            ("4e-11", "0"),
            ("0.12345678905", "0.123456789"),
            ("0.12345678915", "0.1234567892"),
            ("0.123456789050000000000000000000000000001", "0.1234567891"),
            ("1543950235.81", "1543950235.81"),
            ("9999999999999999", "9999999999999999"),
            ("007", "7"),
            (".5", "0.5"),
            ("5.", "5"),
            ("100", "100"),
            ("1e-999999", "0"),
        ] {
            assert_eq!(
                Number::parse(text).map(String::from),
                Ok(canonical.to_owned()),
                "{text}"
            );
        }
        for text in [
            "",
            "-",
            ".",
            "e5",
            "1e",
            "NaN",
            "1,000",
            "1 2",
            "--1",
            "0x10",
            "१",
            "1e9999999",
        ] {
            assert!(
                matches!(Number::parse(text), Err(NumberError::NotANumber(_))),
                "{text}"
            );
        }
        for text in [
            "10000000000000000",
            "1e16",
            "9999999999999999.99999999999",
            "-1e300",
        ] {
            assert!(
                matches!(Number::parse(text), Err(NumberError::OutOfRange(_))),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn ordinary_numbers_go_the_short_way(units in 0_u32.., decimals in 0_u32..=4) {
            let text = Decimal::new(i64::from(units), decimals).to_string();
            prop_assert!(Number::parse_plain(&text).is_some());
        }

        #[test]
        fn what_is_written_is_read_back(units in -9_999_999_999_999_999_i64..=9_999_999_999_999_999, decimals in 0_u32..=10) {
            let number = Number::try_from(Decimal::new(units, decimals)).unwrap();
            prop_assert_eq!(Number::parse(&number.to_string()).unwrap(), number);
            prop_assert_eq!(number.decimal(), Decimal::new(units, decimals));
        }

        #[test]
        fn the_short_way_reads_what_the_long_one_reads(text in "-?[0-9]{0,18}[.]?[0-9]{0,12}[-+e. ]?") {
            if let Some(plain) = Number::parse_plain(&text) {
                prop_assert_eq!(Ok(plain), Number::parse_any(&text));
                prop_assert_eq!(plain.to_string(), Number::parse_any(&text).unwrap().to_string());
            }
        }

        #[test]
        fn no_text_panics(text in "[-+.eE0-9, ]{0,60}") {
            let _ = Number::parse(&text);
        }
    }
}
