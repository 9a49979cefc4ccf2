//! Reads the codes of a fund from the text of its factsheet: of all codes on the sheet, those that are the fund's own,
//! and not those of another share class or of the master fund (docs/decisions/0003).
//!
//! Pure over the text of `pdftotext -layout`. The Thai words of this text are unreliable; the Latin codes are reliable.

use std::collections::BTreeSet;

use schema::observation::{CodeType, SecurityCode};
use schema::{Dataset, FundCode};

use super::codes_on_line::{Kind, codes_on, says_no_ticker};
use super::fund_mention::names;
use super::master_fund;
use super::owner::{Owner, Sheet};
use crate::sites::findings::Findings;

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
            || on_line.is_empty() && master_fund::is_heading(line);
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

#[cfg(test)]
#[path = "own_codes_tests.rs"]
mod tests;
