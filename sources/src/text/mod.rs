//! How Thai sites write numbers, dates, periods and names: pure functions from text to values.
//!
//! Each reader knows three answers: a value, "not said" (a missing-value word), or an error that names what was found.

pub mod missing;
pub mod name;
pub mod number;
pub mod period;
pub mod stated_date;
pub mod thai_date;

/// Arabic digits for Thai ones (๐ to ๙); everything else stays.
#[must_use]
pub fn with_arabic_digits(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '๐'..='๙' => char::from(b'0' + thai_digit(c)),
            other => other,
        })
        .collect()
}

/// The value of a Thai digit.
const fn thai_digit(c: char) -> u8 {
    // The ten digits stand in a row from U+0E50, so the difference is at most 9 for the characters passed in.
    ((c as u32) - ('๐' as u32)) as u8
}

/// At most the first 80 characters of `text`, for error messages.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(80).collect()
}
