//! Finds the codes on a line: texts in the form of an ISIN, and Bloomberg codes that a label or a table marks as such.
//! Whose codes they are is decided in [`super::owner`].

use super::isin;
use super::line_parts::{is_whole_cell, tokens};
use super::ticker::tickers;

/// The kind of a code on a line.
pub enum Kind {
    /// An ISIN with a correct check digit.
    Isin,
    /// A text in the form of an ISIN with a wrong check digit.
    WrongIsin,
    /// A Bloomberg code of the Thai market, in its stored form.
    Ticker(String),
    /// A Bloomberg code of another market.
    ForeignTicker,
}

/// A code and its position on a line.
pub struct OnLine<'line> {
    /// The position of its first byte.
    pub start: usize,
    /// The position after its last byte.
    pub end: usize,
    /// The code as it is printed.
    pub text: &'line str,
    /// What it is.
    pub kind: Kind,
}

/// The ISINs of a line, and its Bloomberg codes if a label or the table around it marks them as such; sorted by
/// position.
pub fn codes_on(line: &str, in_bloomberg_table: bool) -> Vec<OnLine<'_>> {
    let mut found = Vec::new();
    for (start, token) in tokens(line, |c| c.is_ascii_alphanumeric()) {
        if isin::has_shape(token) {
            let kind = if isin::is_valid(token) {
                Kind::Isin
            } else {
                Kind::WrongIsin
            };
            let end = start + token.len();
            found.push(OnLine {
                start,
                end,
                text: token,
                kind,
            });
        }
    }
    // Lower-casing ASCII keeps the byte positions.
    let labelled_from = line.to_ascii_lowercase().find("bloomberg");
    for (start, end, code) in tickers(line) {
        let is_labelled = labelled_from.is_some_and(|from| from < start);
        let is_cell = in_bloomberg_table && code.is_some() && is_whole_cell(line, start, end);
        if is_labelled || is_cell {
            let text = &line[start..end];
            let kind = code.map_or(Kind::ForeignTicker, Kind::Ticker);
            found.push(OnLine {
                start,
                end,
                text,
                kind,
            });
        }
    }
    found.sort_by_key(|one| one.start);
    without_overlaps(found)
}

/// Removes codes that share characters with an earlier one: in `X:KH TB` both `X:KH` and `KH TB` have the form of a
/// ticker. The code of the Thai market is kept, else the first.
fn without_overlaps(found: Vec<OnLine<'_>>) -> Vec<OnLine<'_>> {
    let mut kept: Vec<OnLine<'_>> = Vec::with_capacity(found.len());
    for one in found {
        match kept.last_mut() {
            Some(last) if one.start < last.end => {
                if matches!(
                    (&last.kind, &one.kind),
                    (Kind::ForeignTicker, Kind::Ticker(_))
                ) {
                    *last = one;
                }
            }
            _ => kept.push(one),
        }
    }
    kept
}

/// Whether a line states that there is no Bloomberg code: a lone dash or N/A after the word.
pub fn says_no_ticker(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let Some((_, behind)) = lower.rsplit_once("bloomberg") else {
        return false;
    };
    behind
        .split(|c: char| c.is_whitespace() || c == ':' || c == '=')
        .any(|word| matches!(word, "-" | "–" | "n/a"))
}
