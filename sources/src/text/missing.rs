//! The words that sites write for a missing value.

/// Lower-case words that mean a missing value in a cell for a number, a date or a descriptive text.
const WORDS: [&str; 17] = [
    "",
    "-",
    "--",
    "–",
    "—",
    "−",
    "n/a",
    "n.a.",
    "null",
    "none",
    "nan",
    "infinity",
    "-infinity",
    "undefined",
    "ไม่มีข้อมูล",
    "ไม่ระบุ",
    "ไม่กำหนด",
];

/// Whether `text` (already normalised by [`crate::text::name::normalise`]) means a missing value.
#[must_use]
pub fn is_missing(text: &str) -> bool {
    // Check the length first, so that a long hostile text is not copied.
    text.len() <= 64 && WORDS.contains(&text.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::is_missing;

    #[test]
    fn missing_value_words_are_missing_and_values_are_not() {
        for word in [
            "", "-", "–", "N/A", "n/a", "null", "None", "NaN", "Infinity",
        ] {
            assert!(is_missing(word), "{word:?}");
        }
        for value in ["0", "NA", "- 1", "K-NA", "ยกเว้น"] {
            assert!(!is_missing(value), "{value:?}");
        }
    }
}
