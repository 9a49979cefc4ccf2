//! Doubts about dividends and performance: compares the rows of a statement with those that the same source reported
//! before. Pure functions.

use crate::append::{self, Rows};
use crate::columns::{Fields, Value};
use crate::fold::{Content, StoredObservation};

use super::{DoubtKind, Evidence, FIGURES_OF_A_FIRST_STATEMENT, is_zero};

/// Number of rewritten rows kept as evidence, the newest ones.
const EVIDENCE_ROWS: usize = 10;

/// Compares the rows of a statement with the known ones. The statement is doubtful if every figure of it is 0 and other
/// figures are known, or if it rewrites a present value of a known row. A known row is settled: it is published once,
/// for an XD date or for a period that has ended. New rows are not doubted.
pub(super) fn examine_rows(
    held: Option<&StoredObservation>,
    said: Rows,
) -> Option<(DoubtKind, Evidence)> {
    let known = match held.map(|held| &held.content) {
        Some(Content::Rows(rows)) => Some(rows),
        Some(_) => return None,
        None => None,
    };
    let is_all_zero = {
        let mut figures = figures(&said).peekable();
        figures.peek().is_some() && figures.all(|zero| zero)
    };
    if is_all_zero {
        let kind = match known {
            None if figures(&said).count() >= FIGURES_OF_A_FIRST_STATEMENT => DoubtKind::AllZero,
            Some(known) if figures(known).any(|zero| !zero) => DoubtKind::Zeroed,
            _ => return None,
        };
        let zeros = said.iter().rev().take(EVIDENCE_ROWS);
        let evidence = zeros.flat_map(|(key, row)| {
            let zero = |(field, value): (&String, &Value)| {
                is_zero(value).map(|_| (format!("{key} {field}"), "0".to_owned()))
            };
            row.fields.iter().filter_map(zero).collect::<Vec<_>>()
        });
        return Some((kind, evidence.collect()));
    }
    let known = known?;
    let keys: Vec<_> = said.keys().cloned().collect();
    let mut folded = known.clone();
    append::add(&mut folded, said);
    let mut evidence = Evidence::new();
    let mut rewritten_rows = 0;
    for key in keys.iter().rev() {
        let (Some(before), Some(now)) = (known.get(key), folded.get(key)) else {
            continue;
        };
        let rewritten = rewritten(&before.fields, &now.fields);
        if rewritten.is_empty() || rewritten_rows == EVIDENCE_ROWS {
            continue;
        }
        rewritten_rows += 1;
        evidence.extend(
            rewritten
                .into_iter()
                .map(|(field, value)| (format!("{key} {field}"), value)),
        );
    }
    (!evidence.is_empty()).then_some((DoubtKind::Settled, evidence))
}

/// Whether each figure is 0.
fn figures(rows: &Rows) -> impl Iterator<Item = bool> {
    rows.values()
        .flat_map(|row| row.fields.values())
        .filter_map(is_zero)
}

/// The present values that are replaced, with the new ones.
fn rewritten(before: &Fields, now: &Fields) -> Vec<(String, String)> {
    let replaced = |(field, old): (&String, &Value)| {
        let new = now.get(field).filter(|new| *new != old)?;
        Some((field.clone(), new.to_string()))
    };
    before.iter().filter_map(replaced).collect()
}
