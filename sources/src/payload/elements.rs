//! Locates the elements of an array in the bytes of a JSON document without parsing it, so that known elements can be
//! skipped. Correct for documents that a parser has accepted. For others the result is arbitrary, but no function
//! panics.

/// Locates the array under these keys (`["data", "navs"]`): returns the offset after its `[`.
#[must_use]
pub fn array_at(body: &[u8], path: &[&str]) -> Option<usize> {
    // The number of open brackets, and the number of keys of the path that the current container matches.
    let (mut depth, mut found) = (0_usize, 0_usize);
    // The last string, and the key of the next value.
    let (mut text, mut key): (Option<&[u8]>, Option<&[u8]>) = (None, None);
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => {
                let end = end_of_text(body, at)?;
                text = body.get(at + 1..end - 1);
                at = end;
                continue;
            }
            b':' => key = text,
            b',' => key = None,
            b'{' | b'[' => {
                if depth == found + 1 && key == path.get(found).map(|key| key.as_bytes()) {
                    found += 1;
                    if found == path.len() {
                        return (*byte == b'[').then_some(at + 1);
                    }
                }
                depth += 1;
                key = None;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                // A valid object has each key once, so a key that was not found in it does not exist.
                if depth == found {
                    return None;
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Locates the end of the first `count` elements of the array that opens before `open`: the offset of the comma after
/// the last of them. `None` if the array has no further elements.
#[must_use]
pub fn end_of_elements(body: &[u8], open: usize, count: usize) -> Option<usize> {
    let (mut depth, mut ended) = (0_usize, 0_usize);
    let mut at = open;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => {
                at = end_of_text(body, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                ended += 1;
                if ended == count {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The document without the elements that end at `end`; the array opens before `open`. `None` if no element follows.
#[must_use]
pub fn without(body: &[u8], open: usize, end: usize) -> Option<Vec<u8>> {
    let (head, rest) = (body.get(..open)?, body.get(end.max(open)..)?);
    let rest = rest.trim_ascii_start().strip_prefix(b",")?;
    Some([head, rest].concat())
}

/// The offset after the string that begins at `at`.
fn end_of_text(body: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match body.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: [&str; 2] = ["data", "navs"];

    #[test]
    fn the_array_is_found_under_its_keys_alone() {
        for (body, from_there) in [
            (r#"{"data":{"navs":[1,2]}}"#, Some("1,2]}}")),
            (
                r#" {"a":[{"navs":[0]}],"data" : { "navs" : [3]}}"#,
                Some("3]}}"),
            ),
            (
                r#"{"navs":[0],"data":{"a":{"navs":[0]},"navs":[4]}}"#,
                Some("4]}}"),
            ),
            (
                r#"{"a":"\"data\":{","b":"data","data":{"c":"navs","navs":[5]}}"#,
                Some("5]}}"),
            ),
            ("\u{feff}{\"data\":{\"x\":NaN,\"navs\":[6]}}", Some("6]}}")),
            (r#"{"data":{"navs":null,"x":[0]}}"#, None),
            (r#"{"data":{"navs":{"navs":[0]}}}"#, None),
            (r#"{"data":null,"navs":[0]}"#, None),
            (r#"{"data":[{"navs":[0]}]}"#, None),
            (r#"{"data":{"x":1},"y":{"navs":[0]}}"#, None),
            (r#"[{"data":{"navs":[0]}}]"#, None),
            (r#"{"data":{"navs"#, None),
            ("}}]]", None),
            ("", None),
        ] {
            let found = array_at(body.as_bytes(), &PATH).map(|open| &body[open..]);
            assert_eq!(found, from_there, "{body}");
        }
    }

    #[test]
    fn elements_end_at_the_commas_between_them() {
        let body = r#"[{"a":[1,2],"b":",]"} , "x\",", NaN,{}]"#;
        let ends: Vec<_> = (0..6)
            .map(|count| end_of_elements(body.as_bytes(), 1, count).map(|end| &body[end..]))
            .collect();
        assert_eq!(
            ends,
            [
                None,
                Some(r#", "x\",", NaN,{}]"#),
                Some(", NaN,{}]"),
                Some(",{}]"),
                None,
                None
            ]
        );
    }

    #[test]
    fn a_document_without_some_elements_keeps_all_else() {
        let body = br#"{"n":[{} ,{"a":1},2],"m":0}"#;
        for (end, expected) in [
            (8, Some(r#"{"n":[{"a":1},2],"m":0}"#)),
            (17, Some(r#"{"n":[2],"m":0}"#)),
            // No comma at these offsets: the last element, the middle of an element, beyond the body.
            (19, None),
            (12, None),
            (99, None),
        ] {
            let expected = expected.map(|text| text.as_bytes().to_vec());
            assert_eq!(without(body, 6, end), expected, "{end}");
        }
    }
}
