//! The share class code, which identifies a fund in every table; normalised by its constructor (D9).

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// A share class code. Two codes name the same fund if they are equal after trimming, folding of white space to one
/// space, removal of zero-width characters and NFC. Case is significant (docs/sites.md).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FundCode(String);

/// The reason why a text is not a fund code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FundCodeError {
    /// Nothing is left after trimming.
    #[error("the fund code is blank")]
    Blank,
    /// Much longer than any real code: hostile or broken input.
    #[error("the fund code has {0} characters; at most {max} are read", max = FundCode::MAX_CHARS)]
    TooLong(usize),
    /// The code contains a control character.
    #[error("the fund code holds the control character {0:?}")]
    Control(char),
    /// The code begins with the character that marks the keys of pages about many funds.
    #[error("the fund code begins with `{}`", FundCode::RESERVED_FIRST)]
    MarketKey,
}

impl FundCode {
    /// The largest length of a code, in characters; real codes have at most about 30.
    pub const MAX_CHARS: usize = 100;

    /// No code begins with this character: the keys of pages about many funds do.
    pub const RESERVED_FIRST: char = '*';

    /// Normalises `raw` to a code.
    ///
    /// # Errors
    /// The text is blank, longer than [`Self::MAX_CHARS`], contains a control character, or begins with
    /// [`FundCode::RESERVED_FIRST`].
    pub fn parse(raw: &str) -> Result<Self, FundCodeError> {
        // Remove zero-width characters first: they must not separate white space from white space, or a letter from its
        // mark.
        let visible: String = raw.chars().filter(|c| !is_zero_width(*c)).collect();
        let mut code = String::with_capacity(visible.len());
        for word in visible.split_whitespace() {
            if !code.is_empty() {
                code.push(' ');
            }
            code.extend(word.nfc());
        }
        if code.is_empty() {
            return Err(FundCodeError::Blank);
        }
        if code.starts_with(FundCode::RESERVED_FIRST) {
            return Err(FundCodeError::MarketKey);
        }
        let chars = code.chars().count();
        if chars > Self::MAX_CHARS {
            return Err(FundCodeError::TooLong(chars));
        }
        match code.chars().find(|c| c.is_control()) {
            Some(c) => Err(FundCodeError::Control(c)),
            None => Ok(Self(code)),
        }
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character has no width and no meaning in a code or a name.
#[must_use]
pub const fn is_zero_width(c: char) -> bool {
    matches!(
        c,
        '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{00AD}'
    )
}

impl fmt::Display for FundCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for FundCode {
    type Error = FundCodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<FundCode> for String {
    fn from(code: FundCode) -> Self {
        code.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_trimmed_folded_and_kept_otherwise() {
        for (raw, code) in [
            (" SCBGLOW", "SCBGLOW"),
            ("KKP  NDQ100-UH-E\u{a0}", "KKP NDQ100-UH-E"),
            ("TERF #1", "TERF #1"),
            ("007", "007"),
            ("NA", "NA"),
            ("KK BRIC 7%#1", "KK BRIC 7%#1"),
            ("\u{feff}ABG\u{200b}", "ABG"),
            ("O'Neil", "O'Neil"),
            ("KKP \u{200b} NDQ100", "KKP NDQ100"),
            ("e\u{200b}\u{301}", "é"),
        ] {
            assert_eq!(FundCode::parse(raw).map(String::from), Ok(code.to_owned()));
        }
        assert_ne!(FundCode::parse("abc"), FundCode::parse("ABC"));
        assert_eq!(FundCode::parse(" \t "), Err(FundCodeError::Blank));
        assert_eq!(FundCode::parse(" *A"), Err(FundCodeError::MarketKey));
        assert_eq!(FundCode::parse("A\0B"), Err(FundCodeError::Control('\0')));
    }
}
