//! Normalises names of funds, companies and holdings without loss of meaning (D5).

use schema::FundCode;
use schema::fund_code::{FundCodeError, is_zero_width};
use unicode_normalization::UnicodeNormalization;

/// The maximum length of a name, in characters. Real names have up to about 300; a longer name means a broken page.
pub const MAX_CHARS: usize = 2_000;

/// A name in the form in which the warehouse stores it: NFC, decomposed sara am composed, no zero-width characters,
/// trimmed, with each run of white space and control characters replaced by one space. `%`, `'` and all other
/// characters with a meaning are kept.
#[must_use]
pub fn normalise(text: &str) -> String {
    let visible: String = text
        .chars()
        .filter(|c| !is_zero_width(*c) && *c != '\0')
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut folded = String::with_capacity(visible.len());
    for word in visible.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    // Compose sara am first: NFC does not compose its compatibility decomposition (nikhahit, sara aa).
    compose_sara_am(&folded).nfc().collect()
}

/// A fund code from a site's text (D9).
///
/// # Errors
/// The errors of [`FundCode::parse`].
pub fn fund_code(text: &str) -> Result<FundCode, FundCodeError> {
    FundCode::parse(text)
}

/// Replaces nikhahit and sara aa, with or without a tone mark between them, by the letter sara am.
fn compose_sara_am(text: &str) -> String {
    const NIKHAHIT: char = '\u{0E4D}';
    const SARA_AA: char = '\u{0E32}';
    const SARA_AM: char = '\u{0E33}';
    if !text.contains(NIKHAHIT) {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut composed = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        match rest {
            [NIKHAHIT, SARA_AA, ..] => {
                composed.push(SARA_AM);
                at += 2;
            }
            [NIKHAHIT, tone @ '\u{0E48}'..='\u{0E4B}', SARA_AA, ..] => {
                composed.push(*tone);
                composed.push(SARA_AM);
                at += 3;
            }
            [other, ..] => {
                composed.push(*other);
                at += 1;
            }
            [] => break,
        }
    }
    composed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_fold_white_space_and_keep_what_carries_meaning() {
        for (raw, name) in [
            ("  หุ้น\tไทย\u{a0}\r\n A ", "หุ้น ไทย A"),
            ("KASIKORNBANK (KBANK)", "KASIKORNBANK (KBANK)"),
            ("7% O'Neil & Co", "7% O'Neil & Co"),
            ("น\u{0E49}\u{0E4D}\u{0E32}มัน", "น้ำมัน"),
            ("น\u{0E4D}\u{0E49}\u{0E32}มัน", "น้ำมัน"),
            ("ส\u{0E4D}\u{0E32}รอง", "สำรอง"),
            ("A\u{200b}B\u{feff} \u{200b} C", "AB C"),
            ("e\u{301}", "é"),
            ("A\0B", "AB"),
            ("กองทุน ๓/๒๕๖๘ (:USD)", "กองทุน ๓/๒๕๖๘ (:USD)"),
        ] {
            assert_eq!(normalise(raw), name, "{raw:?}");
        }
    }

    #[test]
    fn a_code_with_zero_width_characters_between_spaces_is_one_code() {
        assert_eq!(
            fund_code("KKP \u{200b} NDQ100").map(|code| code.to_string()),
            Ok("KKP NDQ100".to_owned())
        );
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,60}|[\u{0E00}-\u{0E5B} \\t\u{200b}]{0,40}") {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once), once);
        }
    }
}
