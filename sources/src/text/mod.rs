//! Parsers of numbers, dates, periods and names as Thai sites write them: pure functions from text to values.
//!
//! Each parser returns a value, `None` for a missing-value word, or an error that contains the text.

pub mod missing;
pub mod name;
pub mod number;
pub mod period;
pub mod stated_date;
pub mod thai_date;

/// Replaces Thai digits (๐ to ๙) by Arabic ones and keeps everything else.
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
    // The ten digits are consecutive from U+0E50, so the difference is at most 9 for the characters passed in.
    ((c as u32) - ('๐' as u32)) as u8
}

/// At most the first 80 characters of `text`, for error messages.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(80).collect()
}
