//! `Content-Encoding`: parses the codings of an answer in every valid spelling, and decodes the body. Pure.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// The value of `Accept-Encoding`.
pub(super) const ACCEPTED: &str = "gzip, deflate, br";

/// The maximum number of codings of one body; real answers have one.
const MAX_CODINGS: usize = 3;
/// The first bytes of a gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The buffer of the Brotli decoder, in bytes.
const BROTLI_BUFFER: usize = 16 * 1024;

/// A coding that can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

impl Coding {
    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
        }
    }
}

/// The codings of a body in the order in which they were applied, and the header that lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Codings {
    codings: Vec<Coding>,
    header: String,
}

/// The reason why a body could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// The body exceeds the size limit of the page, decoded or between two codings.
    TooLarge,
    /// The header does not match the body, or the body is damaged: a sentence.
    Wrong(String),
}

impl Codings {
    /// Parses the codings of an answer. Names are case-insensitive; `x-gzip` is gzip; `identity` is no coding; several
    /// lines or a list are several codings (RFC 9110, sections 5.3 and 8.4).
    ///
    /// # Errors
    /// A coding that was not requested and cannot be decoded, or too many codings: a sentence.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, String> {
        let header = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect::<Vec<_>>()
            .join(", ");
        let mut codings = Vec::new();
        for name in header.split(',').map(str::trim) {
            match name.to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "deflate" => codings.push(Coding::Deflate),
                "br" => codings.push(Coding::Brotli),
                _ => {
                    return Err(format!(
                        "expected a Content-Encoding among {ACCEPTED}, found `{}`",
                        crate::text::excerpt(&header)
                    ));
                }
            }
        }
        if codings.len() > MAX_CODINGS {
            return Err(format!(
                "expected a Content-Encoding of at most {MAX_CODINGS} codings, found {}",
                codings.len()
            ));
        }
        Ok(Self { codings, header })
    }

    /// Whether the body has no coding.
    pub(super) const fn is_empty(&self) -> bool {
        self.codings.is_empty()
    }

    /// Decodes the body; each step may yield at most `most` bytes.
    pub(super) fn undo(&self, body: &Bytes, most: usize) -> Result<Bytes, Undecodable> {
        let mut decoded = body.clone();
        for coding in self.codings.iter().rev() {
            // An empty body is empty in every coding.
            if decoded.is_empty() {
                break;
            }
            decoded = Bytes::from(self.undo_one(*coding, &decoded, most)?);
        }
        if decoded.starts_with(&GZIP_MAGIC) {
            return Err(Undecodable::Wrong(self.lie("not compressed", "gzip")));
        }
        Ok(decoded)
    }

    /// Decodes as much of the body as possible: for an error page, which is shown but not parsed.
    pub(super) fn undo_what_can_be(&self, body: &[u8], most: usize) -> Vec<u8> {
        self.codings
            .iter()
            .rev()
            .fold(body.to_vec(), |coded, coding| {
                let (decoded, _) = decode(*coding, &coded, most);
                decoded
            })
    }

    fn undo_one(&self, coding: Coding, body: &[u8], most: usize) -> Result<Vec<u8>, Undecodable> {
        if coding != Coding::Gzip && body.starts_with(&GZIP_MAGIC) {
            return Err(Undecodable::Wrong(self.lie(coding.name(), "gzip")));
        }
        if coding == Coding::Gzip && !body.starts_with(&GZIP_MAGIC) {
            return Err(Undecodable::Wrong(self.lie(coding.name(), &shown(body))));
        }
        match decode(coding, body, most) {
            (decoded, Ok(())) if decoded.len() > most => Err(Undecodable::TooLarge),
            (decoded, Ok(())) => Ok(decoded),
            // Only gzip has magic bytes. If another coding yields no data, the body may be in a different coding.
            (decoded, Err(_)) if decoded.is_empty() && coding != Coding::Gzip => {
                Err(Undecodable::Wrong(self.lie(coding.name(), &shown(body))))
            }
            (_, Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(Undecodable::Wrong(format!(
                    "the body was cut: its {} bytes end within the {} data",
                    body.len(),
                    coding.name()
                )))
            }
            (decoded, Err(error)) => Err(Undecodable::Wrong(format!(
                "the body's {} data is damaged after {} decoded bytes: {error}",
                coding.name(),
                decoded.len()
            ))),
        }
    }

    /// The error text for a header that does not match its body.
    fn lie(&self, expected: &str, found: &str) -> String {
        let header = if self.header.is_empty() {
            "no Content-Encoding".to_owned()
        } else {
            format!("`Content-Encoding: {}`", crate::text::excerpt(&self.header))
        };
        format!(
            "the header and the body disagree: the answer has {header}; expected a body that is {expected}, found {found}"
        )
    }
}

/// The first characters of a body that does not match its coding.
fn shown(body: &[u8]) -> String {
    let start = &body[..body.len().min(40)];
    format!("`{}`", String::from_utf8_lossy(start).escape_debug())
}

/// Decodes at most `most` + 1 bytes. Returns the data and how decoding ended.
fn decode(coding: Coding, body: &[u8], most: usize) -> (Vec<u8>, std::io::Result<()>) {
    match coding {
        Coding::Gzip => read_up_to(MultiGzDecoder::new(body), most),
        // By the standard, deflate is zlib data; some servers send it without the zlib header.
        Coding::Deflate if is_zlib(body) => read_up_to(ZlibDecoder::new(body), most),
        Coding::Deflate => read_up_to(DeflateDecoder::new(body), most),
        Coding::Brotli => read_up_to(
            brotli_decompressor::Decompressor::new(body, BROTLI_BUFFER),
            most,
        ),
    }
}

fn read_up_to(decoder: impl Read, most: usize) -> (Vec<u8>, std::io::Result<()>) {
    let mut decoded = Vec::new();
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let ended = decoder.take(one_more).read_to_end(&mut decoded);
    (decoded, ended.map(|_| ()))
}

/// Whether a body begins with a zlib header (RFC 1950).
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => {
            method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] = br#"{"status":true,"data":[]}"#;
    /// `hello` in Brotli.
    const BROTLI_HELLO: &[u8] = &[0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn codings(lines: &[&str]) -> Result<Codings, String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_ENCODING, line.parse().expect("a header value"));
        }
        Codings::of(&headers)
    }

    fn undone(lines: &[&str], body: &[u8]) -> Result<Vec<u8>, Undecodable> {
        let body = Bytes::copy_from_slice(body);
        codings(lines)
            .expect("known codings")
            .undo(&body, 1_000)
            .map(|decoded| decoded.to_vec())
    }

    #[test]
    fn every_lawful_spelling_is_decoded() {
        for (lines, body) in [
            (&["gzip"][..], gzip(TEXT)),
            (&["GZIP"], gzip(TEXT)),
            (&["x-gzip"], gzip(TEXT)),
            (&["X-GZip"], gzip(TEXT)),
            (&[" gzip , identity"], gzip(TEXT)),
            (&["deflate"], zlib(TEXT)),
            (&["Deflate"], zlib(TEXT)),
            (&["deflate"], deflate(TEXT)),
            (&["deflate, gzip"], gzip(&zlib(TEXT))),
            (&["deflate", "GZIP"], gzip(&zlib(TEXT))),
            (&["gzip"], [gzip(&TEXT[..5]), gzip(&TEXT[5..])].concat()),
            (&["identity"], TEXT.to_vec()),
            (&[""], TEXT.to_vec()),
            (&[], TEXT.to_vec()),
        ] {
            assert_eq!(undone(lines, &body).as_deref(), Ok(TEXT), "{lines:?}");
        }
        for lines in [["br"], ["BR"]] {
            assert_eq!(
                undone(&lines, BROTLI_HELLO).as_deref(),
                Ok(&b"hello"[..]),
                "{lines:?}"
            );
        }
        assert_eq!(undone(&["gzip"], b""), Ok(Vec::new()));
    }

    #[test]
    fn a_header_that_does_not_describe_its_body_is_named() {
        for (lines, body, named) in [
            (&["gzip"][..], TEXT.to_vec(), "`Content-Encoding: gzip`"),
            (&["GZIP"], zlib(TEXT), "`Content-Encoding: GZIP`"),
            (&["br"], gzip(TEXT), "`Content-Encoding: br`"),
            (&["deflate"], gzip(TEXT), "`Content-Encoding: deflate`"),
            (&["gzip"], gzip(&gzip(TEXT)), "`Content-Encoding: gzip`"),
            (&["identity"], gzip(TEXT), "`Content-Encoding: identity`"),
            (&[], gzip(TEXT), "no Content-Encoding"),
            (
                &["deflate"],
                b"<html></html>".to_vec(),
                "`Content-Encoding: deflate`",
            ),
            (&["br"], b"<html></html>".to_vec(), "`Content-Encoding: br`"),
        ] {
            match undone(lines, &body) {
                Err(Undecodable::Wrong(text)) => {
                    assert!(text.contains(named) && text.contains("expected"), "{text}");
                }
                other => panic!("{lines:?}: expected a disagreement, found {other:?}"),
            }
        }
        for unknown in ["zstd", "compress", "gzip, aes128gcm"] {
            let refused = codings(&[unknown]);
            assert!(
                refused.is_err_and(|text| text.contains(unknown)),
                "{unknown}"
            );
        }
        assert!(codings(&["gzip, gzip, gzip, gzip"]).is_err());
    }

    #[test]
    fn a_truncated_body_and_one_that_decompresses_too_far_are_distinguished() {
        let whole = gzip(TEXT);
        let cut = undone(&["gzip"], &whole[..whole.len() - 9]);
        assert!(matches!(cut, Err(Undecodable::Wrong(text)) if text.contains("was cut")));
        let bomb = gzip(&[0; 100_000]);
        assert_eq!(undone(&["gzip"], &bomb), Err(Undecodable::TooLarge));
        assert_eq!(
            undone(&["gzip, gzip"], &gzip(&bomb)),
            Err(Undecodable::TooLarge)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), name in "(gzip|deflate|br|identity|, ?){0,4}") {
            if let Ok(codings) = codings(&[&name]) {
                let _ = codings.undo(&Bytes::copy_from_slice(&bytes), 1_000);
                let _ = codings.undo_what_can_be(&bytes, 1_000);
            }
        }
    }
}
