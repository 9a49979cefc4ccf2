//! Numbers as sites write them, with separators, signs, units and words; parsed exactly to [`Number`] (D5).

use schema::Number;

use crate::text::{excerpt, missing, name, with_arabic_digits};

/// A number with its written unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    /// The value without its unit.
    pub value: Number,
    /// The unit, if one was written.
    pub unit: Option<Unit>,
}

/// A unit written after a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `%`, `% ต่อปี`.
    Percent,
    /// `บาท`, `THB`.
    Baht,
}

/// A text that is neither a number nor a missing-value word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a number, a missing-value word or nothing, found `{0}`")]
pub struct UnreadableNumber(pub String);

/// Parses a number; `Ok(None)` for a missing-value word.
///
/// # Errors
/// Anything else, or a number that does not fit into [`Number`].
pub fn read(text: &str) -> Result<Option<Quantity>, UnreadableNumber> {
    let unreadable = || UnreadableNumber(excerpt(text));
    // No cell is longer; a longer text is not worth normalising.
    if text.len() > 4_096 {
        return Err(unreadable());
    }
    let text = with_arabic_digits(&name::normalise(text));
    if missing::is_missing(&text) {
        return Ok(None);
    }
    if let Some(opened) = text.strip_prefix('(') {
        // Accounting notation: parentheses mean minus.
        let (inner, behind) = opened.split_once(')').ok_or_else(unreadable)?;
        let (digits, unit_inside) = split_unsigned(inner.trim()).ok_or_else(unreadable)?;
        let unit = match (read_unit(unit_inside), read_unit(behind)) {
            (Some(inside), Some(outside)) => inside.or(outside),
            _ => return Err(unreadable()),
        };
        let value = Number::parse(&format!("-{digits}")).map_err(|_| unreadable())?;
        return Ok(Some(Quantity { value, unit }));
    }
    let (sign, unsigned) = match text.chars().next() {
        Some('+') => ("", &text[1..]),
        Some(dash @ ('-' | '−' | '–')) => ("-", &text[dash.len_utf8()..]),
        _ => ("", text.as_str()),
    };
    let (digits, behind) = split_unsigned(unsigned.trim_start()).ok_or_else(unreadable)?;
    let unit = read_unit(behind).ok_or_else(unreadable)?;
    let value = Number::parse(&format!("{sign}{digits}")).map_err(|_| unreadable())?;
    Ok(Some(Quantity { value, unit }))
}

/// A cell of a fee or a minimum purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeeCell {
    /// A missing-value word, a word such as "as charged", or the marker 999999 for "no cap".
    NotSaid,
    /// A number, or a word for 0.
    Value(Quantity),
    /// "At most" a number: a maximum.
    AtMost(Quantity),
    /// Unknown words, shortened.
    UnknownWords(String),
}

/// Words of fee cells that mean 0: waived, not charged, none.
const FREE: [&str; 3] = ["ยกเว้น", "ไม่เรียกเก็บ", "ไม่มี"];
/// Words of fee cells that mean a missing value: as charged, as paid, see the note, not set.
const AS_CHARGED: [&str; 5] = [
    "ตามที่เก็บจริง",
    "ตามที่จ่ายจริง",
    "จ่ายตามจริง",
    "ดูหมายเหตุ",
    "ไม่กำหนด",
];
/// The word before a maximum: at most.
const AT_MOST: &str = "ไม่เกิน";

/// Parses a cell of a fee or a minimum purchase. In addition to [`read`] it accepts the words that occur in such cells,
/// and the marker 999999, which means "no cap, as charged" and is not a value.
///
/// # Errors
/// A cell without letters that is not a number.
pub fn read_fee(text: &str) -> Result<FeeCell, UnreadableNumber> {
    // No cell is longer; a longer text is not worth normalising.
    if text.len() > 4_096 {
        return Err(UnreadableNumber(excerpt(text)));
    }
    let plain = name::normalise(text);
    if FREE.contains(&plain.as_str()) {
        let value = Number::from(0);
        return Ok(FeeCell::Value(Quantity { value, unit: None }));
    }
    if AS_CHARGED.contains(&plain.as_str()) {
        return Ok(FeeCell::NotSaid);
    }
    if let Some(cap) = plain.strip_prefix(AT_MOST)
        && let Ok(Some(cap)) = read(cap)
    {
        return Ok(without_no_cap_marker(Some(cap)).map_or(FeeCell::NotSaid, FeeCell::AtMost));
    }
    match read(&plain) {
        Ok(quantity) => {
            Ok(without_no_cap_marker(quantity).map_or(FeeCell::NotSaid, FeeCell::Value))
        }
        Err(_) if plain.chars().any(char::is_alphabetic) => {
            Ok(FeeCell::UnknownWords(excerpt(&plain)))
        }
        Err(unreadable) => Err(unreadable),
    }
}

/// The quantity, or `None` for the marker 999999, which means "no cap".
fn without_no_cap_marker(quantity: Option<Quantity>) -> Option<Quantity> {
    quantity.filter(|quantity| quantity.value != Number::from(999_999))
}

/// The largest plausible absolute value of a percentage or ratio. The largest real values, of turnover ratios and gross
/// positions, are below a hundredth of this limit. A larger value is an error of the site and would replace a good
/// value.
const MAX_RATE: i64 = 1_000_000;

/// Checks that the quantity is plausible as a percentage or ratio.
///
/// # Errors
/// The absolute value is larger than `MAX_RATE`.
pub fn believed(quantity: Option<Quantity>) -> Result<Option<Quantity>, String> {
    match quantity {
        Some(Quantity { value, .. }) if value.decimal().abs() > MAX_RATE.into() => Err(format!(
            "expected a percent or ratio of at most {MAX_RATE}, found `{value}`"
        )),
        other => Ok(other),
    }
}

/// Splits an unsigned number from the text after it and removes its thousands separators. `None` if there is no number,
/// or if its commas do not separate thousands (`1,5` may contain a decimal comma).
fn split_unsigned(text: &str) -> Option<(String, &str)> {
    let mantissa_end = text
        .find(|c: char| !(c.is_ascii_digit() || c == ',' || c == '.'))
        .unwrap_or(text.len());
    let (mantissa, behind) = text.split_at(mantissa_end);
    let (whole, decimals) = match mantissa.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (mantissa, None),
    };
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let separated = whole.contains(',');
    if separated && !(1..=3).contains(&first.len()) {
        return None;
    }
    if groups.any(|group| group.len() != 3) || decimals.is_some_and(|d| d.contains([',', '.'])) {
        return None;
    }
    let mut digits: String = whole.chars().filter(|c| *c != ',').collect();
    if let Some(decimals) = decimals {
        digits.push('.');
        digits.push_str(decimals);
    }
    if !digits.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (exponent, behind) = split_exponent(behind);
    digits.push_str(exponent);
    Some((digits, behind))
}

/// Splits an exponent (`E-7`) from the text after it.
fn split_exponent(text: &str) -> (&str, &str) {
    let Some(rest) = text.strip_prefix(['e', 'E']) else {
        return ("", text);
    };
    let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    let digits = unsigned.len()
        - unsigned
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    if digits == 0 {
        return ("", text);
    }
    text.split_at(text.len() - unsigned.len() + digits)
}

/// Parses the text after a number: `Some(None)` if it is empty, `Some(Some(unit))` for a unit, `None` for anything
/// else.
fn read_unit(behind: &str) -> Option<Option<Unit>> {
    let behind = behind.trim().to_lowercase();
    if behind.is_empty() {
        return Some(None);
    }
    if ["บาท", "thb", "baht", "฿"]
        .iter()
        .any(|baht| behind.starts_with(baht))
    {
        return Some(Some(Unit::Baht));
    }
    let after_sign = behind.strip_prefix('%').map(str::trim_start);
    let remark = after_sign.unwrap_or(&behind);
    if ["percent", "เปอร์เซ็นต์"].contains(&behind.as_str()) {
        return Some(Some(Unit::Percent));
    }
    let yearly = ["ต่อปี", "p.a", "per annum", "per year"]
        .iter()
        .any(|yearly| remark.starts_with(yearly));
    let plain_percent = after_sign.is_some()
        && (remark.is_empty() || remark.starts_with(['(', '*']) || remark.starts_with("ของ"));
    (yearly || plain_percent).then_some(Some(Unit::Percent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(read: Result<Option<Quantity>, UnreadableNumber>) -> Option<String> {
        read.ok()
            .flatten()
            .map(|quantity| quantity.value.to_string())
    }

    #[test]
    fn every_form_of_a_number_is_read_exactly() {
        for (text, expected) in [
            ("1,234,567.8900", "1234567.89"),
            ("12.34%", "12.34"),
            (" 12.34 % ", "12.34"),
            ("+3.5", "3.5"),
            ("-0.70026", "-0.70026"),
            ("−1.5", "-1.5"),
            ("–1.5", "-1.5"),
            ("(12.34)", "-12.34"),
            ("(12.34%)", "-12.34"),
            ("(1,000.50) %", "-1000.5"),
            ("1,000 บาท", "1000"),
            ("1,000.00 THB", "1000"),
            ("1.07% ต่อปี", "1.07"),
            ("1.07 ต่อปี", "1.07"),
            ("1.07% (รวมภาษีมูลค่าเพิ่ม)", "1.07"),
            ("๑๒.๓๔", "12.34"),
            ("\u{a0}5\u{a0}%", "5"),
            ("1.5E-7", "0.00000015"),
            ("12.34 percent", "12.34"),
            ("12.34 เปอร์เซ็นต์", "12.34"),
            (".5", "0.5"),
            ("0", "0"),
            ("-0.00", "0"),
            ("1543950235.81", "1543950235.81"),
            ("0.12345678905", "0.123456789"),
        ] {
            assert_eq!(value(read(text)).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn words_for_missing_are_no_value_and_nonsense_is_an_error() {
        for text in ["", " ", "-", "–", "N/A", "null", "None", "NaN", "\u{a0}"] {
            assert_eq!(read(text), Ok(None), "{text:?}");
        }
        for text in [
            "abc",
            "1,5",
            "1,23,456",
            "12.3.4",
            "1 2",
            "--1",
            "(1",
            "(-1)",
            "%",
            ",",
            ".",
            "1,",
            "12 หน่วย",
            "99999999999999999",
            "1/2",
            "5 และ 6",
            "ยกเว้น",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn fee_cells_know_their_words_and_999999_is_no_fee() {
        let fee = |text: &str| match read_fee(text) {
            Ok(FeeCell::Value(quantity)) => Some(quantity.value.to_string()),
            _ => None,
        };
        for text in [
            "ยกเว้น",
            " ไม่เรียกเก็บ ",
            "ไม่มี",
            "\u{a0}ไม่มี\u{200b}",
            "0",
            "0.00%",
        ] {
            assert_eq!(fee(text).as_deref(), Some("0"), "{text}");
        }
        for text in [
            "ตามที่เก็บจริง",
            "ตามที่จ่ายจริง",
            "จ่ายตามจริง",
            "ดูหมายเหตุ",
            "ไม่กำหนด",
            "ไม่เกิน 999999",
            "999999",
            "999999.00",
            "999,999",
            "999,999.00 บาท",
            "999999%",
            "๙๙๙๙๙๙",
            "9.99999E5",
            "-",
        ] {
            assert_eq!(read_fee(text), Ok(FeeCell::NotSaid), "{text}");
        }
        assert_eq!(value(read("999999")).as_deref(), Some("999999"));
    }

    #[test]
    fn words_that_are_not_known_are_kept_to_be_shown() {
        for text in [
            "ตามดุลยพินิจ",
            "ไม่เกินที่ตลาดกำหนด",
            "ไม่มี (เดิม 1.07%)",
            "see prospectus",
            "1.07 หรือ 0.5",
            "N/A*",
        ] {
            assert_eq!(
                read_fee(text),
                Ok(FeeCell::UnknownWords(text.to_owned())),
                "{text}"
            );
        }
        // An unreadable number is not a word.
        for text in ["1,5", "12.3.4", "--", "1/2", "%"] {
            assert!(
                !matches!(read_fee(text), Ok(FeeCell::UnknownWords(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_rate_beyond_belief_is_unreadable() {
        for (text, good) in [
            ("1000000", true),
            ("-1000000", true),
            ("1000000.1", false),
            ("-1000000000000000", false),
        ] {
            assert_eq!(
                read(text)
                    .map_err(|error| error.to_string())
                    .and_then(believed)
                    .is_ok(),
                good,
                "{text}"
            );
        }
        assert_eq!(believed(None), Ok(None));
    }

    #[test]
    fn the_unit_is_read() {
        for (text, unit) in [
            ("10 บาท", Some(Unit::Baht)),
            ("10บาท/รายการ", Some(Unit::Baht)),
            ("10 % ต่อปี", Some(Unit::Percent)),
            ("10", None),
        ] {
            assert_eq!(
                read(text).ok().flatten().map(|q| q.unit),
                Some(unit),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_with_separators_is_read_back(units in 0_u64..9_999_999_999_999, decimals in 0_usize..7, negative: bool) {
            let digits = format!("{units:0>width$}", width = decimals + 1);
            let (whole, fraction) = digits.split_at(digits.len() - decimals);
            let mut grouped = String::new();
            for (place, digit) in whole.chars().enumerate() {
                if place > 0 && (whole.len() - place) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            let sign = if negative { "-" } else { "" };
            let point = if decimals > 0 { "." } else { "" };
            let exact = Number::parse(&format!("{sign}{whole}{point}{fraction}")).ok();
            let read_back = read(&format!("{sign}{grouped}{point}{fraction} %")).ok().flatten().map(|q| q.value);
            prop_assert_eq!(read_back, exact);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[-+−(),.0-9eE%๐-๙ บาทต่อปี]{0,30}") {
            let _ = read(&text);
            let _ = read_fee(&text);
        }
    }
}
