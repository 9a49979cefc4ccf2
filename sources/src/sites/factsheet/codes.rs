//! Decides which ISIN and Bloomberg codes on a factsheet are the fund's own, and which belong to another share class or
//! to the master fund (docs/decisions/0003). The form and the check digit of an ISIN are in [`super::isin`].
//!
//! Pure over the text of `pdftotext -layout`, which separates columns by several spaces. The Thai words of this text
//! are unreliable; the Latin codes are reliable.

use std::collections::BTreeSet;

use schema::observation::{CodeType, SecurityCode};
use schema::{Dataset, FundCode};

use super::isin;
use crate::sites::findings::Findings;
use crate::text::name;

/// The maximum length of a line, in bytes: longer lines are not text and are skipped.
const MAX_LINE: usize = 4_096;
/// Words for the fund that a feeder fund invests in. The codes of that fund are never the feeder's own.
const MASTER: [&str; 7] = [
    "master fund",
    "masterfund",
    "underlying fund",
    "target fund",
    "กองทุนหลัก",
    "กองทุนรวมหลัก",
    "กองทุนปลายทาง",
];

/// Words of labels, which are not names of classes.
const LABELS: [&str; 5] = ["code", "isin", "bloomberg", "ticker", "name"];

/// The fund or class to which a code belongs, according to the text beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    /// The label names the fund's own class, or the line names the fund.
    ThisClass,
    /// A label without a class.
    Unnamed,
    /// The code has no label of its own.
    Unlabelled,
    /// Another class of the project.
    OtherClass,
    /// The fund that this one invests in.
    Master,
}

/// A code found on a line.
struct Found {
    code: String,
    owner: Owner,
}

/// The codes of `fund` on the factsheet. For each type, the codes whose label names the fund's class, or whose line
/// contains the fund's code, are used. If there are none, the code under a label without a class is used, and after
/// that the code without a label. If one of the last two cases has several codes, none of them is used, and a reject is
/// added.
pub fn on_factsheet(text: &str, fund: &FundCode, findings: &mut Findings) -> Vec<SecurityCode> {
    let sheet = Sheet::new(text, fund);
    let (mut isins, mut tickers) = (Vec::new(), Vec::new());
    let mut in_bloomberg_table = false;
    let mut in_master_section = false;
    for line in sheet.lines() {
        if line.trim().is_empty() {
            in_master_section = false;
            continue;
        }
        let on_line = codes_on(line, in_bloomberg_table);
        in_master_section = in_master_section && !names(line, fund)
            || on_line.is_empty() && is_master_heading(line);
        let mut before = 0;
        for (place, one) in on_line.iter().enumerate() {
            let next = on_line.get(place + 1).map_or(line.len(), |next| next.start);
            let label = &line[before..one.start];
            let owner = if in_master_section {
                Owner::Master
            } else {
                sheet.owner(line, label, &line[one.end..next])
            };
            before = one.end;
            match &one.kind {
                Kind::WrongIsin => {
                    let is_said =
                        one.text.starts_with("TH") || label.to_lowercase().contains("isin");
                    if is_said && owner != Owner::Master {
                        findings.note(
                            Dataset::Codes,
                            CodeType::Isin.as_str(),
                            "wrong check digit; not used",
                            one.text,
                        );
                    }
                }
                Kind::Isin => isins.push(Found {
                    code: one.text.to_owned(),
                    owner,
                }),
                // A foreign ticker ends a label, but is not the code of a Thai fund.
                Kind::ForeignTicker => {}
                Kind::Ticker(code) => tickers.push(Found {
                    code: code.clone(),
                    owner,
                }),
            }
        }
        if line.to_ascii_lowercase().contains("bloomberg") {
            let has_ticker = on_line
                .iter()
                .any(|one| matches!(one.kind, Kind::Ticker(_) | Kind::ForeignTicker));
            in_bloomberg_table = !has_ticker && !says_no_ticker(line);
        }
    }
    let isins = thai_only(isins, findings);
    let mut codes = BTreeSet::new();
    for (code_type, found) in [(CodeType::Isin, isins), (CodeType::Bloomberg, tickers)] {
        for code in chosen(code_type, &found, findings) {
            codes.insert(SecurityCode { code_type, code });
        }
    }
    codes.into_iter().collect()
}

/// The ISINs that a Thai fund can have: those that begin with `TH`. Foreign ISINs belong to a master fund or a holding;
/// they are noted if no Thai ISIN is present.
fn thai_only(isins: Vec<Found>, findings: &mut Findings) -> Vec<Found> {
    let (thai, foreign): (Vec<Found>, Vec<Found>) = isins
        .into_iter()
        .partition(|found| found.code.starts_with("TH"));
    if thai.is_empty() {
        let foreign: BTreeSet<String> = foreign
            .into_iter()
            .filter(|found| found.owner != Owner::Master)
            .map(|found| found.code)
            .collect();
        for code in foreign {
            let reason = "expected an ISIN that begins with TH, found a foreign one; not used";
            findings.note(Dataset::Codes, CodeType::Isin.as_str(), reason, &code);
        }
    }
    thai
}

fn chosen(code_type: CodeType, found: &[Found], findings: &mut Findings) -> BTreeSet<String> {
    let of = |owner: Owner| -> BTreeSet<String> {
        found
            .iter()
            .filter(|found| found.owner == owner)
            .map(|found| found.code.clone())
            .collect()
    };
    let own = of(Owner::ThisClass);
    if !own.is_empty() {
        return own;
    }
    let others = of(Owner::OtherClass);
    for owner in [Owner::Unnamed, Owner::Unlabelled] {
        // A code that a label assigns to another class belongs to that class, wherever else it is printed.
        let codes: BTreeSet<String> = of(owner).difference(&others).cloned().collect();
        if codes.len() > 1 {
            let sample = codes.into_iter().collect::<Vec<_>>().join(", ");
            let reason = "several codes, none on a line that names the fund: which is the fund's cannot be told";
            findings.reject(Dataset::Codes, code_type.as_str(), reason, &sample);
            return BTreeSet::new();
        }
        if !codes.is_empty() {
            return codes;
        }
    }
    if !others.is_empty() {
        let sample = others.into_iter().collect::<Vec<_>>().join(", ");
        let reason = "only codes of other classes; not used";
        findings.note(Dataset::Codes, code_type.as_str(), reason, &sample);
    }
    BTreeSet::new()
}

/// A factsheet and the fund whose codes are searched.
struct Sheet<'text> {
    text: &'text str,
    fund: &'text FundCode,
}

impl<'text> Sheet<'text> {
    const fn new(text: &'text str, fund: &'text FundCode) -> Self {
        Self { text, fund }
    }

    fn lines(&self) -> impl Iterator<Item = &'text str> {
        self.text.lines().filter(|line| line.len() <= MAX_LINE)
    }

    /// The owner of a code, according to its label (the text since the previous code) and the text after the code.
    fn owner(&self, line: &str, label: &str, behind: &str) -> Owner {
        let lower = label.to_lowercase();
        if MASTER.iter().any(|word| lower.contains(word)) {
            return Owner::Master;
        }
        let class = class_in(label).or_else(|| class_behind(behind));
        if let Some(class) = class {
            return if self.is_own_class(class) {
                Owner::ThisClass
            } else {
                Owner::OtherClass
            };
        }
        if names(line, self.fund) {
            return Owner::ThisClass;
        }
        if lower.contains("isin") || lower.contains("bloomberg") {
            Owner::Unnamed
        } else {
            Owner::Unlabelled
        }
    }

    /// Whether the class in a label is the fund's own: the whole code, or its last part (`D` of `X-D`, `X(D)` and
    /// `X D`). A class without a separator (`XD`) is its own only if the sheet also names the project, `X`.
    fn is_own_class(&self, class: &str) -> bool {
        let code = self.fund.as_str();
        if code == class {
            return true;
        }
        let Some(before) = code.strip_suffix(class) else {
            let bracketed = code
                .strip_suffix(')')
                .and_then(|rest| rest.strip_suffix(class));
            return bracketed.is_some_and(|before| before.ends_with('('));
        };
        if before.ends_with(['-', '(', ' ', '_', '/', '.']) {
            return true;
        }
        let project = FundCode::parse(before);
        before.len() > 1
            && project.is_ok_and(|project| self.lines().any(|line| names(line, &project)))
    }
}

/// The kind of a code on a line.
enum Kind {
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
struct OnLine<'line> {
    start: usize,
    end: usize,
    text: &'line str,
    kind: Kind,
}

/// The ISINs of a line, and its Bloomberg codes if a label or the table around it marks them as such; sorted by
/// position.
fn codes_on(line: &str, in_bloomberg_table: bool) -> Vec<OnLine<'_>> {
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

/// The longest runs of characters for which `part` is true, with their positions.
fn tokens(line: &str, part: fn(char) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + line[rest..].find(part)?;
        let end = line[start..]
            .find(|c| !part(c))
            .map_or(line.len(), |length| start + length);
        rest = end;
        Some((start, &line[start..end]))
    })
}

/// The possible Bloomberg codes of a line: `SYMBOL TB`, `SYMBOL:TB`, or either followed by ` Equity`. Returns start,
/// end and, for the Thai market, the code in its stored form, `SYMBOL TB`.
fn tickers(line: &str) -> Vec<(usize, usize, Option<String>)> {
    let mut found = Vec::new();
    let mut before: Option<(usize, &str)> = None;
    for (start, word) in tokens(line, |c| c.is_ascii_graphic() && c != ':' && c != '|') {
        let market = word.trim_end_matches([',', ';', ')', '.']);
        let is_market = market.len() == 2 && market.bytes().all(|byte| byte.is_ascii_uppercase());
        if let Some((symbol_start, symbol)) = before
            && is_market
            && joins(&line[symbol_start + symbol.len()..start])
            && is_symbol(symbol)
        {
            let mut end = start + market.len();
            let equity = line[end..].trim_start();
            if equity
                .get(..6)
                .is_some_and(|word| word.eq_ignore_ascii_case("equity"))
            {
                end = line.len() - equity.len() + 6;
            }
            let symbol = symbol.trim_start_matches('(');
            let code = (market == "TB").then(|| format!("{symbol} TB"));
            found.push((symbol_start, end, code));
        }
        before = Some((start, word));
    }
    found
}

/// Whether the text between a symbol and its market joins them: one space, or a colon.
fn joins(between: &str) -> bool {
    between == " " || between.trim() == ":"
}

/// Whether a word can be a symbol and is not a word of a label.
fn is_symbol(word: &str) -> bool {
    let word = word.trim_start_matches('(');
    let is_label = ["code", "ticker", "(ticker)", "bloomberg", "isin", "-"]
        .iter()
        .any(|label| word.eq_ignore_ascii_case(label));
    (2..=30).contains(&word.len())
        && !is_label
        && word.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a part of a line is a separate cell: two spaces, a tab, `|` or the end of the line on either side.
fn is_whole_cell(line: &str, start: usize, end: usize) -> bool {
    let (before, behind) = (&line[..start], &line[end..]);
    let opens = before.trim().is_empty() || before.ends_with("  ") || before.ends_with(['\t', '|']);
    let closes =
        behind.trim().is_empty() || behind.starts_with("  ") || behind.starts_with(['\t', '|']);
    opens && closes
}

/// Whether a line states that there is no Bloomberg code: a lone dash or N/A after the word.
fn says_no_ticker(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let Some((_, behind)) = lower.rsplit_once("bloomberg") else {
        return false;
    };
    behind
        .split(|c: char| c.is_whitespace() || c == ':' || c == '=')
        .any(|word| matches!(word, "-" | "–" | "n/a"))
}

/// Whether a line is only the heading of a section about the master fund.
fn is_master_heading(line: &str) -> bool {
    let mut rest = line.trim().to_lowercase();
    if !MASTER.iter().any(|word| rest.contains(word)) {
        return false;
    }
    for word in MASTER
        .iter()
        .rev()
        .chain(&["information", "details", "ข้อมูล", "'s", "’s"])
    {
        rest = rest.replace(word, "");
    }
    rest.chars().all(|c| !c.is_alphanumeric())
}

/// The class in a label: the word after "class", or a text alone in parentheses.
fn class_in(label: &str) -> Option<&str> {
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
fn class_behind(behind: &str) -> Option<&str> {
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

/// Whether a line contains exactly the fund's code: as a separate cell, or among words that are not part of a code
/// (`SSFE` does not match `SSF`, `TERF #1` does not match `TERF`).
fn names(line: &str, fund: &FundCode) -> bool {
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

/// The cells of a line, separated by two or more spaces, a tab, `|` or `:`.
fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(['\t', '|', ':'])
        .flat_map(|part| part.split("  "))
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;
    use schema::SourceName;

    use super::*;
    use crate::site::{ReadContext, Reading};

    fn codes(text: &str, fund: &str) -> (Vec<String>, Vec<String>) {
        let fund = FundCode::parse(fund).expect("a code");
        let context = ReadContext {
            cycle_date: date(2026, 2, 16),
        };
        let mut findings = Findings::of_fund(
            SourceName::Finnomena,
            fund.clone(),
            "u".to_owned(),
            &context,
        );
        let codes = on_factsheet(text, &fund, &mut findings)
            .into_iter()
            .map(|code| code.code)
            .collect();
        match findings.said() {
            Reading::Observed { rejects, .. } => (
                codes,
                rejects.into_iter().map(|reject| reject.field).collect(),
            ),
            _ => (codes, Vec::new()),
        }
    }

    // Check digits computed by hand from ISO 6166.
    const A: &str = "TH1234567895";
    const B: &str = "TH0000000008";

    #[test]
    fn a_single_isin_and_a_labelled_bloomberg_code_are_taken() {
        assert!(isin::is_valid(A) && isin::is_valid(B));
        let text = format!("กองทุนเปิด\n ISIN Code : {A}      Bloomberg Code : KFGTECH TB    x\n");
        assert_eq!(codes(&text, "KFGTECH").0, [A, "KFGTECH TB"]);
        assert_eq!(
            codes("Bloomberg Code : KFGTECH TB", "KFGTECH").0,
            ["KFGTECH TB"]
        );
        assert_eq!(
            codes("BLOOMBERG CODE  KFGTECH TB Equity", "KFGTECH").0,
            ["KFGTECH TB"]
        );
        assert_eq!(codes("Bloomberg Code : -", "KFGTECH").0, [""; 0]);
    }

    #[test]
    fn of_several_isins_only_the_one_on_the_funds_own_line_counts() {
        let text = format!("ชนิด SCBEUROPE-SSF   {A}\nชนิด SCBEUROPE-SSFE  {B}\n");
        assert_eq!(codes(&text, "SCBEUROPE-SSF").0, [A]);
        assert_eq!(codes(&text, "SCBEUROPE-SSFE").0, [B]);
        assert_eq!(codes(&text, "SSF"), (vec![], vec!["ISIN".to_owned()]));
        let text = format!("K-USA-A {A}\nK-USA-A(A) {B}\nTERF #1  {B}\n");
        assert_eq!(codes(&text, "K-USA-A").0, [A]);
        assert_eq!(codes(&text, "K-USA-A(A)").0, [B]);
        assert_eq!(codes(&text, "TERF").0, [""; 0]);
        assert_eq!(codes(&text, "TERF #1").0, [B]);
    }

    #[test]
    fn a_wrong_check_digit_is_ignored_and_noted() {
        assert_eq!(
            codes("ISIN TH1234567890", "A"),
            (vec![], vec!["ISIN".to_owned()])
        );
        assert_eq!(codes(&format!("ISIN TH1234567890\n{A}"), "A").0, [A]);
    }

    #[test]
    fn of_codes_that_share_characters_one_counts() {
        for (text, expected) in [
            ("Bloomberg Cnullode : KH TB    x", vec!["KH TB"]),
            ("Bloomberg : AA:BB TB", vec!["BB TB"]),
            ("Bloomberg : AA BB CC TB", vec!["CC TB"]),
            ("Bloomberg : KFGTECH TB US", vec!["KFGTECH TB"]),
        ] {
            assert_eq!(codes(text, "A").0, expected, "{text}");
        }
    }

    #[test]
    fn a_label_that_names_a_class_gives_that_class_its_code() {
        let both = format!("ISIN code : {A}\nISIN code (class D) : {B}\n");
        for (fund, code) in [
            ("KKP EQ", A),
            ("KKP EQ-D", B),
            ("KKP EQ(D)", B),
            ("KKP EQ D", B),
            ("K-USA-A(D)", B),
            // A name that merely ends in the letter is not the class.
            ("KFGOLD", A),
            ("FUND", A),
            ("KKP EQ-A", A),
            ("KKP EQ-SSFD", A),
        ] {
            assert_eq!(
                codes(&both, fund),
                (vec![code.to_owned()], vec![]),
                "{fund}"
            );
        }
        // Without a separator the sheet must name the project.
        assert_eq!(codes(&format!("Fund : KKPEQ\n{both}"), "KKPEQD").0, [B]);
        for text in [
            format!("ISIN code : {A}   ISIN code (Class D) : {B}"),
            format!("ISIN : {A}\nISIN class D : {B}"),
            format!("ISIN : {A}\nISIN : {B} (class D)"),
            format!("ISIN code (D) : {B}\nISIN code : {A}"),
            format!("ISIN : {A}\nClass D   ISIN : {B}"),
            format!("รหัส ISIN : {A}\nรหัส ISIN (ชนิด D) : {B}"),
            format!("ISIN : {A}\nISIN (class KKP EQ-D) {B}").replace("KKP EQ-D", "KKPEQ-D"),
        ] {
            assert_eq!(codes(&text, "KKPEQ").0, [A], "{text}");
            assert_eq!(codes(&text, "KKPEQ-D").0, [B], "{text}");
        }
        let classes = format!("ISIN (class A) : {A}\nISIN (class SSF) : {B}\n");
        assert_eq!(codes(&classes, "X-A").0, [A]);
        assert_eq!(codes(&classes, "X-SSF").0, [B]);
        for other in ["X-SSFE", "X-D", "X"] {
            assert_eq!(
                codes(&classes, other),
                (vec![], vec!["ISIN".to_owned()]),
                "{other}"
            );
        }
    }

    #[test]
    fn a_bloomberg_code_is_stored_in_one_form() {
        for text in [
            "Bloomberg Ticker : KKUSAEA:TB",
            "Bloomberg Ticker KKUSAEA:TB",
            "Bloomberg Code: KKUSAEA TB Equity",
            "BLOOMBERG CODE  KKUSAEA:TB EQUITY",
            "Bloomberg : KKUSAEA : TB",
            "Bloomberg (Ticker)  KKUSAEA TB",
            "Bloomberg Ticker KKUSAEA:TB | Master Fund's Bloomberg Ticker MORAMFI:LX",
            "Master Fund's Bloomberg Ticker QQQ:US | Bloomberg Ticker KKUSAEA:TB",
            "Bloomberg Code   Risk\nKKUSAEA TB      6\n",
            "Bloomberg Code   Risk\nKKUSAEA:TB Equity      6\n",
        ] {
            assert_eq!(codes(text, "K-USA-A(A)").0, ["KKUSAEA TB"], "{text}");
        }
        let classes = "Bloomberg : KFGTECH TB\nBloomberg (class D) : KFGTECHD:TB";
        assert_eq!(codes(classes, "KFGTECH").0, ["KFGTECH TB"]);
        assert_eq!(codes(classes, "KFGTECH-D").0, ["KFGTECHD TB"]);
        for text in [
            "Bloomberg Ticker : QQQ:US",
            "Bloomberg Ticker : -\nPTT TB   5 %",
            "Bloomberg Ticker : QQQ US\nPTT TB   5 %",
            "Bloomberg Code : TB",
            "Holdings PTT TB",
        ] {
            assert_eq!(codes(text, "KFGTECH").0, [""; 0], "{text}");
        }
    }

    #[test]
    fn a_master_funds_codes_are_never_the_feeders() {
        for text in [
            "Master Fund's Bloomberg Ticker MASTER:TB".to_owned(),
            "Bloomberg code of the master fund : MASTER TB".to_owned(),
            format!("กองทุนหลัก ISIN : {B}"),
            format!("Master Fund\nISIN : {B}\nBloomberg : MASTER TB\n"),
            format!("ข้อมูลกองทุนหลัก\nISIN : {B}\n"),
        ] {
            assert_eq!(codes(&text, "KFGTECH").0, [""; 0], "{text}");
            let own = format!("ISIN : {A}\nBloomberg : KFGTECH TB\n\n{text}\n\n");
            assert_eq!(codes(&own, "KFGTECH").0, [A, "KFGTECH TB"], "{own}");
        }
    }

    #[test]
    fn a_lone_foreign_isin_is_noted_and_not_taken() {
        for text in [
            "ISIN : US0378331005",
            "ISIN code : GB0002634946\nBloomberg : -",
            "US0378331005\nAU0000XVGZA3",
        ] {
            let (taken, notes) = codes(text, "KFGTECH");
            assert_eq!(taken, [""; 0], "{text}");
            assert!(
                notes.iter().all(|field| field == "ISIN") && !notes.is_empty(),
                "{text}"
            );
        }
        assert_eq!(
            codes(&format!("ISIN : US0378331005\nISIN : {A}"), "X"),
            (vec![A.to_owned()], vec![])
        );
    }

    #[test]
    fn the_master_funds_isin_is_not_the_feeders() {
        assert_eq!(
            codes(&format!("กองทุนหลัก ISIN : US0378331005\nISIN: {A}"), "A").0,
            [A]
        );
        assert_eq!(codes("Master fund ISIN : US0378331005", "A").0, [""; 0]);
        assert_eq!(
            codes(&format!("ISIN : US0378331005\nISIN: {A}"), "A").0,
            [A]
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}|(Bloomberg|TH1234567895|KFGTECH|TB|[ :()#ก\\n]){0,30}") {
            let _ = codes(&text, "KFGTECH");
        }
    }
}
