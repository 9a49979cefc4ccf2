//! The share class that a label beside a code names, such as `D` in `ISIN code (class D)`.

use super::isin;

/// Words of labels, which are not names of classes.
const LABELS: [&str; 5] = ["code", "isin", "bloomberg", "ticker", "name"];

/// The class in a label: the word after "class", or a text alone in parentheses.
pub fn class_in(label: &str) -> Option<&str> {
    let lower = label.to_ascii_lowercase();
    let words = ["class", "ชนิดหน่วยลงทุน", "ชนิด", "ประเภท"];
    let behind_word = words
        .iter()
        .filter_map(|word| {
            let at = lower.rfind(word)?;
            class_name(&label[at + word.len()..])
        })
        .next();
    behind_word.or_else(|| {
        let (before, inside) = label.rsplit_once('(')?;
        let (inside, _) = inside.split_once(')')?;
        // If the parenthesis is attached to a word other than a label, it is part of that word: `K-USA-A(A)`.
        let last = before.split_whitespace().next_back().unwrap_or_default();
        let is_apart = before.is_empty() || before.ends_with(char::is_whitespace);
        if !is_apart && !LABELS.iter().any(|word| last.eq_ignore_ascii_case(word)) {
            return None;
        }
        let is_class = (1..=10).contains(&inside.len())
            && !["TH", "ISIN", "THB", "TB"].contains(&inside)
            && inside
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-');
        is_class.then_some(inside)
    })
}

/// The class in parentheses directly after a code.
pub fn class_behind(behind: &str) -> Option<&str> {
    let inside = behind.trim_start().strip_prefix('(')?;
    let (inside, _) = inside.split_once(')')?;
    class_in(inside)
}

/// The class name at the beginning of a text; `None` if it begins with other words, such as Thai ones.
fn class_name(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '-' | '"'));
    let end = text
        .find(|c: char| c.is_whitespace() || matches!(c, ':' | '=' | ',' | ';' | '|' | '"'))
        .unwrap_or(text.len());
    let mut name = &text[..end];
    // A closing parenthesis without an opening one belongs to the text around the name.
    while name.ends_with(')') && name.matches(')').count() > name.matches('(').count() {
        name = &name[..name.len() - 1];
    }
    let is_name = !name.is_empty()
        && name.is_ascii()
        && !isin::has_shape(name)
        && name.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && !name.bytes().any(|byte| byte.is_ascii_lowercase())
        && !LABELS.iter().any(|word| name.eq_ignore_ascii_case(word));
    is_name.then_some(name)
}
