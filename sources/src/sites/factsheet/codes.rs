//! Which ISIN and Bloomberg code a factsheet's text gives for one fund. Pure over the text of `pdftotext -layout`, in
//! which columns stand apart by runs of spaces. Thai words in it are unreliable; Latin codes are safe (SOURCES section 6).

use std::collections::BTreeSet;

use schema::observation::{CodeType, SecurityCode};
use schema::{Dataset, FundCode};

use super::isin;
use crate::sites::findings::Findings;
use crate::text::name;

/// The longest line that is looked at, in bytes: longer ones are no text.
const MAX_LINE: usize = 4_096;

/// A code found on a line.
struct Found {
    code: String,
    names_the_fund: bool,
}

/// The codes of `fund` on the factsheet. Of several, only those on a line that names the fund's code exactly count; else
/// a single one; else none, with a reject.
pub fn on_factsheet(text: &str, fund: &FundCode, findings: &mut Findings) -> Vec<SecurityCode> {
    let (mut isins, mut tickers) = (Vec::new(), Vec::new());
    let mut in_bloomberg_table = false;
    for line in text.lines().filter(|line| line.len() <= MAX_LINE) {
        let lower = line.to_lowercase();
        // The feeder's master fund has an ISIN of its own, which is not this fund's.
        if lower.contains("master fund") || lower.contains("กองทุนหลัก") {
            continue;
        }
        let names_the_fund = names(line, fund);
        for token in line
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|token| isin::has_shape(token))
        {
            if isin::is_valid(token) {
                isins.push(Found {
                    code: token.to_owned(),
                    names_the_fund,
                });
            } else if token.starts_with("TH") || lower.contains("isin") {
                findings.note(
                    Dataset::Codes,
                    "ISIN",
                    "wrong check digit: not taken",
                    token,
                );
            }
        }
        let labelled = labelled_ticker(line);
        if lower.contains("bloomberg") {
            in_bloomberg_table = labelled.is_none();
        }
        let in_table = in_bloomberg_table
            .then(|| cells(line).find_map(ticker))
            .flatten();
        if let Some(code) = labelled.or(in_table) {
            tickers.push(Found {
                code,
                names_the_fund,
            });
        }
    }
    // A Thai fund's ISIN is Thai: where one is there, foreign ones belong to others.
    if isins.iter().any(|found| found.code.starts_with("TH")) {
        isins.retain(|found| found.code.starts_with("TH"));
    }
    let mut codes = BTreeSet::new();
    for (code_type, found) in [(CodeType::Isin, isins), (CodeType::Bloomberg, tickers)] {
        for code in chosen(code_type, &found, findings) {
            codes.insert(SecurityCode { code_type, code });
        }
    }
    codes.into_iter().collect()
}

fn chosen(code_type: CodeType, found: &[Found], findings: &mut Findings) -> BTreeSet<String> {
    let all: BTreeSet<String> = found.iter().map(|found| found.code.clone()).collect();
    if all.len() <= 1 {
        return all;
    }
    let own: BTreeSet<String> = found
        .iter()
        .filter(|found| found.names_the_fund)
        .map(|found| found.code.clone())
        .collect();
    if own.is_empty() {
        let sample = all.into_iter().collect::<Vec<_>>().join(", ");
        let reason =
            "several codes, none on a line that names the fund: which is the fund's cannot be told";
        findings.reject(Dataset::Codes, code_type.as_str(), reason, &sample);
    }
    own
}

/// Whether a line names the fund's code exactly: as a cell of its own, or among words that are no part of a code
/// (`SSF` is not named by `SSFE`, nor `TERF` by `TERF #1`).
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

/// Whether what stands before a code is not part of it.
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

/// Whether what stands behind a code is not part of it.
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

/// Whether a word beside a code is a label, Thai text or an ISIN rather than a piece of a longer code.
fn is_no_code(word: &str) -> bool {
    const LABELS: [&str; 9] = [
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
        || LABELS.contains(&plain.as_str())
}

/// The cells of a line: what stands apart by two or more spaces, a tab, `|` or `:`.
fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(['\t', '|', ':'])
        .flat_map(|part| part.split("  "))
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
}

/// The value behind a label such as `Bloomberg Code :` on the same line.
fn labelled_ticker(line: &str) -> Option<String> {
    // Lower-casing ASCII keeps the places of bytes.
    let at = line.to_ascii_lowercase().find("bloomberg")?;
    let behind = line.get(at + "bloomberg".len()..)?;
    let value = behind
        .split_once([':', '='])
        .map_or(behind, |(_, value)| value);
    let mut words = value.split_whitespace().skip_while(|word| {
        let word = word.to_ascii_lowercase();
        !word.is_ascii() || matches!(word.as_str(), "code" | "ticker" | "(ticker)" | "-")
    });
    ticker(&format!("{} {}", words.next()?, words.next()?))
}

/// A Bloomberg code of a Thai fund: one word and the market ` TB`.
fn ticker(cell: &str) -> Option<String> {
    let cell = cell.strip_suffix(" Equity").unwrap_or(cell);
    let (symbol, market) = cell.split_once(' ')?;
    let plausible = (2..=30).contains(&symbol.len())
        && symbol.bytes().all(|byte| byte.is_ascii_graphic())
        && symbol.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && market == "TB";
    plausible.then(|| cell.to_owned())
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
            Reading::Said { rejects, .. } => (
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
