//! Repairs JSON with bare `NaN` and `Infinity`, or with raw control characters in strings, before it is parsed.
//! Finnomena sends such values, and one of them must not make the whole document unreadable (D6).

use std::borrow::Cow;

/// Makes JSON valid: replaces every `NaN`, `Infinity`, `-Infinity` and `+Infinity` outside strings by `null`, and every
/// raw control character in a string by a space. Takes one pass; returns valid JSON borrowed, without allocation.
#[must_use]
pub fn made_lawful(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut lawful: Option<String> = None;
    let mut copied = 0;
    let mut at = 0;
    let mut in_string = false;
    while let Some(byte) = bytes.get(at) {
        let (length, replacement) = match (in_string, byte) {
            (true, b'\\') => (2, None),
            (true, b'"') => {
                in_string = false;
                (1, None)
            }
            (true, 0..=0x1f) => (1, Some(" ")),
            (false, b'"') => {
                in_string = true;
                (1, None)
            }
            (false, b'N' | b'I' | b'-' | b'+') => match not_finite(&bytes[at..]) {
                Some(length) if stands_alone(bytes, at, length) => (length, Some("null")),
                _ => (1, None),
            },
            _ => (1, None),
        };
        if let Some(replacement) = replacement {
            let out = lawful.get_or_insert_with(|| String::with_capacity(text.len()));
            // Both ends are ASCII bytes, hence character boundaries.
            out.push_str(&text[copied..at]);
            out.push_str(replacement);
            copied = at + length;
        }
        at += length;
    }
    match lawful {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.push_str(&text[copied..]);
            Cow::Owned(out)
        }
    }
}

/// The length of the word for a non-finite number at the start of `bytes`.
fn not_finite(bytes: &[u8]) -> Option<usize> {
    [
        &b"NaN"[..],
        b"Infinity",
        b"-Infinity",
        b"+Infinity",
        b"-NaN",
    ]
    .into_iter()
    .find(|word| bytes.starts_with(word))
    .map(<[u8]>::len)
}

/// Whether the word is a whole token. `NaNa` and `xNaN` are kept, and the JSON parser rejects them.
fn stands_alone(bytes: &[u8], at: usize, length: usize) -> bool {
    let part_of_word = |byte: Option<&u8>| {
        byte.is_some_and(|byte| {
            byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'_' | b'.')
        })
    };
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    !part_of_word(before) && !part_of_word(bytes.get(at + length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bare_nan_is_null_and_strings_keep_theirs() {
        for (text, lawful) in [
            ("[NaN,1]", "[null,1]"),
            (
                "[ -Infinity , Infinity,+Infinity,-NaN]",
                "[ null , null,null,null]",
            ),
            (
                r#"{"NaN":"NaN \" NaN","a":NaN}"#,
                r#"{"NaN":"NaN \" NaN","a":null}"#,
            ),
            (r#"["\\",NaN]"#, r#"["\\",null]"#),
            (r#"["กองทุน NaN",NaN]"#, r#"["กองทุน NaN",null]"#),
            ("[NaNa,xNaN,-1]", "[NaNa,xNaN,-1]"),
            ("[\"a\tb\nc\"\t]", "[\"a b c\"\t]"),
        ] {
            assert_eq!(made_lawful(text), lawful, "{text}");
        }
        assert!(matches!(
            made_lawful(r#"{"a":[1,-2,"x"]}"#),
            Cow::Borrowed(_)
        ));
    }

    proptest! {
        #[test]
        fn lawful_json_is_untouched(text in any::<Vec<(String, i64)>>()) {
            let lawful = serde_json::to_string(&text).unwrap_or_else(|error| error.to_string());
            prop_assert_eq!(made_lawful(&lawful), lawful.as_str());
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}|[NaInfity\"\\\\ก,-]{0,40}") {
            let once = made_lawful(&text).into_owned();
            prop_assert_eq!(made_lawful(&once).into_owned(), once);
        }
    }
}
