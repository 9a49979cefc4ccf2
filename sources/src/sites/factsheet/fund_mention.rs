//! Whether a line names a fund by exactly its code.

use schema::FundCode;

use super::isin;
use super::line_parts::cells;
use crate::text::name;

/// Whether a line contains exactly the fund's code: as a separate cell, or among words that are not part of a code
/// (`SSFE` does not match `SSF`, `TERF #1` does not match `TERF`).
pub fn names(line: &str, fund: &FundCode) -> bool {
    let code = fund.as_str();
    cells(line).any(|cell| {
        let cell = name::normalise(cell);
        if cell == code {
            return true;
        }
        cell.match_indices(code)
            .any(|(at, _)| ends_before(&cell[..at]) && begins_after(&cell[at + code.len()..]))
    })
}

/// Whether the text before a code is not part of it.
fn ends_before(before: &str) -> bool {
    let Some(last) = before.chars().next_back() else {
        return true;
    };
    match last {
        ':' | '=' | '|' | ',' | ';' => true,
        '(' => before.len() == 1 || before.ends_with(" ("),
        c if c.is_whitespace() => before.split_whitespace().next_back().is_none_or(is_no_code),
        _ => false,
    }
}

/// Whether the text after a code is not part of it.
fn begins_after(behind: &str) -> bool {
    let Some(first) = behind.chars().next() else {
        return true;
    };
    match first {
        ':' | '=' | '|' | ',' | ';' => true,
        ')' => behind[1..].chars().next().is_none_or(char::is_whitespace),
        c if c.is_whitespace() => behind.split_whitespace().next().is_none_or(is_no_code),
        _ => false,
    }
}

/// Whether a word beside a code is a label, Thai text or an ISIN, and not a piece of a longer code.
fn is_no_code(word: &str) -> bool {
    const WORDS: [&str; 9] = [
        "class",
        "code",
        "isin",
        "fund",
        "unit",
        "bloomberg",
        "ticker",
        "name",
        "shareclass",
    ];
    let plain = word
        .trim_matches(|c: char| c.is_ascii_punctuation())
        .to_lowercase();
    let only_marks = plain.is_empty() && !word.contains('#');
    only_marks
        || !word.is_ascii()
        || word.ends_with([':', '='])
        || isin::has_shape(word)
        || WORDS.contains(&plain.as_str())
}
