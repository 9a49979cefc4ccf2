//! Access to the formats of payloads, shared by all sites: JSON, HTML, PDF text.

pub mod bare_nan;
mod bounded_tree;
pub mod elements;
pub mod html;
pub mod json;
pub mod pdf_text;

use crate::site::Breach;
use crate::text::excerpt;

/// The body as text: strict UTF-8, with an optional byte order mark.
///
/// # Errors
/// Bytes that are not UTF-8, with their offset.
pub fn text_of(body: &[u8]) -> Result<&str, Breach> {
    let text = std::str::from_utf8(body).map_err(|error| Breach {
        field: "body".to_owned(),
        expected: "text in UTF-8".to_owned(),
        found: format!(
            "other bytes at offset {} of {}",
            error.valid_up_to(),
            body.len()
        ),
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A breach whose `found` is shortened.
#[must_use]
pub fn breach(field: &str, expected: &str, found: &str) -> Breach {
    let found = if found.trim().is_empty() {
        "nothing".to_owned()
    } else {
        excerpt(found.trim())
    };
    Breach::new(field, expected, &found)
}
