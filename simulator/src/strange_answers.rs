//! Answers that are valid HTTP and still unusable: huge bodies, compression bombs, slow bodies, endless redirects.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use futures_util::stream::{self, Stream, StreamExt};
use serde::{Deserialize, Serialize};

/// The compression of a bomb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// `Content-Encoding: gzip`.
    Gzip,
    /// `Content-Encoding: deflate`.
    Deflate,
    /// `Content-Encoding: br`.
    Brotli,
    /// `Content-Encoding: gzip, gzip`: a bomb in a bomb.
    GzipTwice,
}

/// The size of a bomb after decompression.
const UNFOLDED_BYTES: usize = 100 << 20;
const MEBIBYTE: usize = 1 << 20;

/// As many spaces as [`UNFOLDED_BYTES`], compressed with Brotli. They are a constant because no dependency encodes
/// Brotli.
const BROTLI_SPACES: &[u8] = &[
    203, 255, 255, 63, 248, 37, 64, 226, 177, 64, 32, 247, 254, 143, 255, 255, 127, 240, 75, 0,
    196, 97, 17, 128, 238, 253, 31, 255, 255, 255, 224, 151, 0, 136, 195, 2, 0, 221, 251, 63, 254,
    255, 255, 193, 47, 1, 16, 135, 5, 0, 186, 247, 127, 252, 255, 255, 131, 95, 2, 32, 14, 11, 0,
    116, 239, 255, 248, 255, 255, 7, 191, 4, 64, 28, 22, 0, 232, 222, 255, 241, 255, 255, 15, 126,
    9, 128, 56, 44, 0, 208, 189, 255, 227, 255, 255, 31, 252, 18, 0, 113, 88, 0, 160, 123, 255,
    199, 255, 255, 63, 248, 37, 0, 226, 176, 0, 64, 247, 254, 143, 255, 255, 127, 240, 75, 0, 196,
    97, 1, 128, 238, 253, 31, 255, 255, 255, 224, 151, 0, 136, 195, 2, 0, 221, 251, 63, 254, 255,
    255, 193, 47, 1, 16, 135, 5, 0, 186, 247, 127, 249, 255, 255, 131, 95, 2, 32, 14, 11, 0, 116,
    239, 127, 0,
];

impl Packing {
    /// The value of `Content-Encoding`.
    pub(crate) fn content_encoding(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Deflate => "deflate",
            Packing::Brotli => "br",
            Packing::GzipTwice => "gzip, gzip",
        }
    }

    /// A hundred mebibytes of spaces, compressed.
    pub(crate) fn bomb(self) -> Vec<u8> {
        match self {
            Packing::Brotli => BROTLI_SPACES.to_vec(),
            Packing::Gzip => gzip_spaces(),
            Packing::GzipTwice => {
                let mut twice = GzEncoder::new(Vec::new(), Compression::fast());
                twice.write_all(&gzip_spaces()).expect("memory takes all");
                twice.finish().expect("memory takes all")
            }
            Packing::Deflate => {
                let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
                write_spaces(&mut packed);
                packed.finish().expect("memory takes all")
            }
        }
    }
}

fn gzip_spaces() -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    write_spaces(&mut packed);
    packed.finish().expect("memory takes all")
}

fn write_spaces(out: &mut impl Write) {
    let block = vec![b' '; MEBIBYTE];
    for _ in 0..UNFOLDED_BYTES / MEBIBYTE {
        out.write_all(&block).expect("memory takes all");
    }
}

/// This many mebibytes of spaces, followed by the answer.
pub(crate) fn behind_spaces(
    mebibytes: usize,
    answer: Vec<u8>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let block = Bytes::from(vec![b' '; MEBIBYTE]);
    stream::iter((0..mebibytes).map(move |_| Ok(block.clone())))
        .chain(stream::iter([Ok(Bytes::from(answer))]))
}

/// Sends one byte every `millis` milliseconds.
pub(crate) fn drops(answer: Vec<u8>, millis: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::iter(answer).then(move |byte| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(Bytes::from(vec![byte]))
    })
}

/// The target of the next redirect of a chain; `None` at its end.
pub(crate) fn next_hop(path_and_query: &str, hops: u32) -> Option<String> {
    const HOP: &str = "hop=";
    let (path, taken) = match path_and_query.rsplit_once(HOP) {
        Some((path, taken)) => (path, taken.parse().unwrap_or(0)),
        None => (path_and_query, 0),
    };
    if taken >= hops {
        return None;
    }
    let path = path.trim_end_matches(['?', '&']);
    let joint = if path.contains('?') { '&' } else { '?' };
    Some(format!("{path}{joint}{HOP}{}", taken + 1))
}

/// Encodes `text` in TIS-620, the one-byte encoding of old Thai pages (a subset of windows-874). Other characters
/// become `?`.
pub(crate) fn in_tis_620(text: &str) -> Vec<u8> {
    text.chars()
        .map(|letter| match u32::from(letter) {
            ascii @ 0..=0x7f => ascii as u8,
            thai @ 0xe01..=0xe5b => (thai - 0xe00 + 0xa0) as u8,
            _ => b'?',
        })
        .collect()
}

/// `body` with another value for its first `"key":`.
pub(crate) fn with_first_value(body: &str, key: &str, value: &str) -> Option<String> {
    let label = format!("\"{key}\":");
    let start = body.find(&label)? + label.len();
    let length = length_of_scalar(&body[start..])?;
    Some(format!(
        "{}{value}{}",
        &body[..start],
        &body[start + length..]
    ))
}

fn length_of_scalar(rest: &str) -> Option<usize> {
    if let Some(text) = rest.strip_prefix('"') {
        let mut escaped = false;
        for (place, letter) in text.char_indices() {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Some(place + 2),
                _ => {}
            }
        }
        return None;
    }
    rest.find([',', '}', ']'])
}

/// `body` with another text in the first element whose class attribute equals `class`.
pub(crate) fn with_first_text(body: &str, class: &str, text: &str) -> Option<String> {
    let label = format!("class=\"{class}\"");
    let tag = body.find(&label)? + label.len();
    let start = tag + body[tag..].find('>')? + 1;
    let length = body[start..].find('<')?;
    Some(format!(
        "{}{text}{}",
        &body[..start],
        &body[start + length..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_redirects_has_an_end() {
        assert_eq!(next_hop("/a", 2).as_deref(), Some("/a?hop=1"));
        assert_eq!(next_hop("/a?hop=1", 2).as_deref(), Some("/a?hop=2"));
        assert_eq!(next_hop("/a?hop=2", 2), None);
        assert_eq!(next_hop("/a?x=1", 2).as_deref(), Some("/a?x=1&hop=1"));
        assert_eq!(next_hop("/a?x=1&hop=1", 2).as_deref(), Some("/a?x=1&hop=2"));
    }

    #[test]
    fn the_first_value_alone_is_another() {
        let body = r#"{"a":"x\"y","b":1,"c":[{"b":2}]}"#;
        assert_eq!(
            with_first_value(body, "b", "9e9").as_deref(),
            Some(r#"{"a":"x\"y","b":9e9,"c":[{"b":2}]}"#)
        );
        assert_eq!(
            with_first_value(body, "a", "null").as_deref(),
            Some(r#"{"a":null,"b":1,"c":[{"b":2}]}"#)
        );
        assert_eq!(
            with_first_text("<i class=\"n\"> 1 </i><i class=\"n\">2</i>", "n", "x").as_deref(),
            Some("<i class=\"n\">x</i><i class=\"n\">2</i>")
        );
    }

    #[test]
    fn thai_text_has_a_byte_a_letter() {
        assert_eq!(in_tis_620("กA๛"), [0xa1, b'A', 0xfb]);
    }
}
