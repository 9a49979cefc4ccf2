//! Spellings of true values: numbers, dates and names in the sites' forms. The truth is decided first, the spelling
//! after it.

use jiff::civil::Date;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::edge_case::EdgeCase;

/// `units / 10^places` in the tables' canonical form: no trailing zeros, no exponent, no negative zero.
pub(crate) fn scaled(units: i64, places: u32) -> String {
    let one = 10_i64.pow(places);
    let sign = if units < 0 { "-" } else { "" };
    let whole = units.abs() / one;
    let fraction = format!("{:0width$}", units.abs() % one, width = places as usize);
    let fraction = if places == 0 {
        ""
    } else {
        fraction.trim_end_matches('0')
    };
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// Appends zeros that do not change the number.
pub(crate) fn trailing_zeros(number: &str) -> String {
    if number.contains('.') {
        format!("{number}00")
    } else {
        format!("{number}.00")
    }
}

/// The number in exponent form: `1.2345E1`.
pub(crate) fn exponent(number: &str) -> String {
    let (sign, magnitude) = number
        .strip_prefix('-')
        .map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let (digits, power) = if whole == "0" {
        let significant = fraction.trim_start_matches('0');
        let leading = fraction.len() - significant.len();
        (
            significant.to_owned(),
            -(i64::try_from(leading).expect("a short number") + 1),
        )
    } else {
        (
            format!("{whole}{fraction}"),
            i64::try_from(whole.len()).expect("a short number") - 1,
        )
    };
    if digits.is_empty() {
        return "0E0".to_owned();
    }
    let (first, rest) = digits.split_at(1);
    let rest = if rest.is_empty() { "0" } else { rest };
    format!("{sign}{first}.{rest}E{power}")
}

/// A number of exactly ten decimals near `number`, and a longer spelling that rounds half-even to it: a tie on an even
/// last digit.
pub(crate) fn more_than_ten_decimals(number: &str) -> (String, String) {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let truth = format!("{whole}.{fraction:1<9}4");
    let spelt = format!("{truth}5");
    (truth, spelt)
}

/// The number with commas between thousands.
pub(crate) fn with_commas(number: &str) -> String {
    let (whole, fraction) = number
        .split_once('.')
        .map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |rest| ("-", rest));
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    fraction.map_or(format!("{sign}{grouped}"), |fraction| {
        format!("{sign}{grouped}.{fraction}")
    })
}

/// A negative number with its sign as U+2212, or in accounting parentheses.
pub(crate) fn negative(number: &str, parentheses: bool) -> String {
    let magnitude = number.trim_start_matches('-');
    if parentheses {
        format!("({magnitude})")
    } else {
        format!("\u{2212}{magnitude}")
    }
}

/// Finnomena's dates: midnight UTC of the Thai calendar date.
pub(crate) fn rfc3339(date: Date) -> String {
    format!("{date}T00:00:00Z")
}

/// `YYYYMMDD`, Gregorian.
pub(crate) fn compact(date: Date) -> String {
    date.strftime("%Y%m%d").to_string()
}

/// `dd/mm/yyyy` in the Buddhist year.
pub(crate) fn slashes(date: Date) -> String {
    format!("{:02}/{:02}/{}", date.day(), date.month(), buddhist(date))
}

const SHORT_MONTHS: [&str; 12] = [
    "ม.ค.",
    "ก.พ.",
    "มี.ค.",
    "เม.ย.",
    "พ.ค.",
    "มิ.ย.",
    "ก.ค.",
    "ส.ค.",
    "ก.ย.",
    "ต.ค.",
    "พ.ย.",
    "ธ.ค.",
];
const LONG_MONTHS: [&str; 12] = [
    "มกราคม",
    "กุมภาพันธ์",
    "มีนาคม",
    "เมษายน",
    "พฤษภาคม",
    "มิถุนายน",
    "กรกฎาคม",
    "สิงหาคม",
    "กันยายน",
    "ตุลาคม",
    "พฤศจิกายน",
    "ธันวาคม",
];

fn buddhist(date: Date) -> i16 {
    date.year() + 543
}

/// A date in the form that the edge case selects for a Thai page.
pub(crate) fn page_date(date: Date, kind: Option<EdgeCase>) -> String {
    let month = usize::from(date.month().unsigned_abs()) - 1;
    let day = date.day();
    match kind {
        Some(EdgeCase::DateShortYear) => format!(
            "ข้อมูล ณ วันที่ {day} {} {:02}",
            SHORT_MONTHS[month].trim_end_matches('.'),
            buddhist(date) % 100
        ),
        Some(EdgeCase::DateThaiDigits) => thai_digits(&format!(
            "ณ วันที่ {day} {} {}",
            LONG_MONTHS[month],
            buddhist(date)
        )),
        Some(EdgeCase::DateEnglish) => format!("as of {}", date.strftime("%d %b %Y")),
        Some(EdgeCase::DateSlashes) => format!("ข้อมูล ณ วันที่ {}", slashes(date)),
        _ => format!(
            "ข้อมูล ณ วันที่ {day} {} {}",
            SHORT_MONTHS[month],
            buddhist(date)
        ),
    }
}

/// Replaces ASCII digits by Thai digits.
pub(crate) fn thai_digits(text: &str) -> String {
    text.chars()
        .map(|letter| {
            letter
                .to_digit(10)
                .and_then(|digit| char::from_u32(0x0e50 + digit))
                .unwrap_or(letter)
        })
        .collect()
}

/// A name in the tables' form and in a site's spelling.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) truth: String,
    pub(crate) spelt: String,
}

impl Name {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        let truth = text.into();
        Name {
            spelt: truth.clone(),
            truth,
        }
    }
}

/// The edge cases of names.
pub(crate) const NAME_KINDS: &[Option<EdgeCase>] = &[
    Some(EdgeCase::NamePercent),
    Some(EdgeCase::NameApostrophe),
    Some(EdgeCase::NameThaiDigits),
    Some(EdgeCase::NameUsdSuffix),
    Some(EdgeCase::NameOver255),
    Some(EdgeCase::NameWhiteSpace),
    Some(EdgeCase::NameSaraAm),
    Some(EdgeCase::NameZeroWidth),
    Some(EdgeCase::NameDecomposed),
    Some(EdgeCase::NameMarkup),
];

/// A name of the given kind, built from two plain words.
pub(crate) fn awkward_name(kind: Option<EdgeCase>, first: &str, second: &str) -> Name {
    let Some(kind) = kind else {
        return Name::plain(format!("{first} {second}"));
    };
    match kind {
        EdgeCase::NamePercent => Name::plain(format!("{first} 7% {second} 100%")),
        EdgeCase::NameApostrophe => Name::plain(format!("{first} Investor's {second}")),
        EdgeCase::NameThaiDigits => Name::plain(format!("{first} {second} ๒๕/๗๕")),
        EdgeCase::NameUsdSuffix => Name::plain(format!("{first} {second} (:USD)")),
        EdgeCase::NameOver255 => Name::plain(format!("{first} {}", [second; 60].join(" "))),
        EdgeCase::NameWhiteSpace => Name {
            truth: format!("{first} {second} Plus Fund"),
            spelt: format!("\u{a0} {first}\t{second}\r\n  Plus\u{a0}\u{a0}Fund \n"),
        },
        EdgeCase::NameSaraAm => Name {
            truth: format!("{first} ทองคำและน้ำมัน {second}"),
            spelt: format!("{first} ทองค\u{e4d}\u{e32}และน\u{e49}\u{e4d}\u{e32}มัน {second}"),
        },
        EdgeCase::NameZeroWidth => Name {
            truth: format!("{first} {second}-Plus"),
            spelt: format!("\u{feff}{first} \u{200b}{second}\u{200b}-\u{200c}Plus\u{200d}"),
        },
        EdgeCase::NameDecomposed => Name {
            truth: format!("{first} Soci\u{e9}t\u{e9} {second}"),
            spelt: format!("{first} Socie\u{301}te\u{301} {second}"),
        },
        EdgeCase::NameMarkup => Name::plain(format!("{first} \"A&B\" <{second}> &amp; C")),
        other => unreachable!("{other:?} is not a kind of name"),
    }
}

/// A random number of at most `places` decimals between two bounds in units, without trailing zeros.
pub(crate) fn random_number(random: &mut ChaCha8Rng, low: i64, high: i64, places: u32) -> String {
    scaled(random.random_range(low..=high), places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelt_without_changing_them() {
        assert_eq!(scaled(-70, 2), "-0.7");
        assert_eq!(scaled(0, 2), "0");
        assert_eq!(scaled(123_400, 4), "12.34");
        assert_eq!(exponent("12.34"), "1.234E1");
        assert_eq!(exponent("0.05"), "5.0E-2");
        assert_eq!(exponent("0"), "0E0");
        assert_eq!(with_commas("1234567.5"), "1,234,567.5");
        assert_eq!(
            more_than_ten_decimals("1.5"),
            ("1.5111111114".to_owned(), "1.51111111145".to_owned())
        );
    }

    #[test]
    fn dates_are_spelt_in_the_buddhist_year() {
        let date = jiff::civil::date(2026, 9, 30);
        assert_eq!(page_date(date, None), "ข้อมูล ณ วันที่ 30 ก.ย. 2569");
        assert_eq!(
            page_date(date, Some(EdgeCase::DateShortYear)),
            "ข้อมูล ณ วันที่ 30 ก.ย 69"
        );
        assert_eq!(
            page_date(date, Some(EdgeCase::DateThaiDigits)),
            "ณ วันที่ ๓๐ กันยายน ๒๕๖๙"
        );
        assert_eq!(slashes(date), "30/09/2569");
    }
}
