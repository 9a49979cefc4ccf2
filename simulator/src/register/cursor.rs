//! Cursors: opaque texts that are valid for one query only.

use std::hash::{DefaultHasher, Hash, Hasher};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The cursor that leads to the rows from `start` on. `query` names the query, page size included.
pub(crate) fn cursor_to(start: usize, query: &str, epoch: u64) -> String {
    base64(format!("{start}|{}", seal(start, query, epoch)).as_bytes())
}

/// The first row that a cursor leads to; `None` if the cursor is not one of this query.
pub(crate) fn start_of(cursor: &str, query: &str, epoch: u64) -> Option<usize> {
    let text = String::from_utf8(bytes_of(cursor)?).ok()?;
    let start = text.split('|').next()?.parse().ok()?;
    (cursor_to(start, query, epoch) == cursor).then_some(start)
}

fn seal(start: usize, query: &str, epoch: u64) -> String {
    let mut hasher = DefaultHasher::new();
    (start, query, epoch).hash(&mut hasher);
    let first = hasher.finish();
    first.hash(&mut hasher);
    format!(
        "{}=",
        base64(&[first.to_be_bytes(), hasher.finish().to_be_bytes()].concat())
    )
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    bytes
        .chunks(3)
        .flat_map(|three| {
            let byte = |place: usize| u32::from(three.get(place).copied().unwrap_or_default());
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            (0..4_usize).map(move |place| {
                if place > three.len() {
                    '='
                } else {
                    char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize])
                }
            })
        })
        .collect()
}

/// The bytes of a base64 text; `None` if it has other characters.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for place in 0..4 {
            let value = match four.get(place) {
                Some(letter) => ALPHABET.iter().position(|known| known == letter)?,
                None => 0,
            };
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_for_its_query_only() {
        let cursor = cursor_to(200, "nav proj_id=A", 0);
        assert_eq!(start_of(&cursor, "nav proj_id=A", 0), Some(200));
        assert_eq!(start_of(&cursor, "nav proj_id=B", 0), None);
        assert_eq!(start_of(&cursor, "nav proj_id=A", 1), None);
        assert_eq!(start_of("AAAA", "nav proj_id=A", 0), None);
    }

    #[test]
    fn base64_is_the_standard_one() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(bytes_of(text).as_deref(), Some(bytes.as_bytes()));
        }
    }
}
