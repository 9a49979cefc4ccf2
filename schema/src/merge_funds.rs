//! Several sources' statements about one fund become one row (D4). Pure: a function of what was observed.

use std::collections::BTreeMap;

use crate::columns::{Fields, Value};
use crate::fold::{Content, Held, HeldCode};
use crate::precedence::{CODES, RowTable, STALE_AFTER_MONTHLY_CYCLES, Voice};
use crate::{Dataset, SourceName};

/// Everything held about one fund, by who says it.
pub type Statements = BTreeMap<Voice, Held>;

/// A row with who won each field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergedRow {
    /// Present values by column, the as-of date and the page's URL among them.
    pub fields: Fields,
    /// Whose value stands.
    pub winners: BTreeMap<String, Voice>,
}

/// Merges one row; `None` where nobody says anything for the table. `closed_monthly` are the ids of the closed full
/// monthly cycles: by them a field that its source has stopped saying goes stale.
#[must_use]
pub fn merge_row(
    table: &RowTable,
    statements: &Statements,
    closed_monthly: &[i64],
) -> Option<MergedRow> {
    let mut row = MergedRow::default();
    for column in table.columns {
        let says = |voice: &&Voice| field(statements, **voice, column.name).is_some();
        let still_says = |voice: &&Voice| {
            says(voice) && !is_stale(&statements[*voice], column.name, closed_monthly)
        };
        let winner = table
            .value_rank
            .iter()
            .find(still_says)
            .or_else(|| table.value_rank.iter().find(says));
        if let Some(voice) = winner
            && let Some(value) = field(statements, *voice, column.name)
        {
            row.fields.insert(column.name.to_owned(), value.clone());
            row.winners.insert(column.name.to_owned(), *voice);
        }
    }
    let spoke = |voice: &&Voice| {
        statements.get(*voice).is_some_and(|held| {
            let said = matches!(&held.content, Content::Fields(fields) if !fields.is_empty());
            said || (table.dated && held.as_of_date.is_some())
        })
    };
    let first = table.url_rank.iter().find(spoke);
    if first.is_none() && !table.always {
        return None;
    }
    if let Some(voice) = first {
        let url = &statements[voice].url;
        if !url.is_empty() {
            row.fields
                .insert(table.url_column.to_owned(), Value::Text(url.clone()));
            row.winners.insert(table.url_column.to_owned(), *voice);
        }
    }
    if table.dated {
        let dated = table.value_rank.iter().find_map(|voice| {
            let as_of_date = statements.get(voice)?.as_of_date?;
            Some((voice, as_of_date))
        });
        if let Some((voice, as_of_date)) = dated {
            row.fields
                .insert("as_of_date".to_owned(), Value::Date(as_of_date));
            row.winners.insert("as_of_date".to_owned(), *voice);
        }
    }
    Some(row)
}

fn field<'held>(statements: &'held Statements, voice: Voice, name: &str) -> Option<&'held Value> {
    match &statements.get(&voice)?.content {
        Content::Fields(fields) => fields.get(name),
        _ => None,
    }
}

/// Whether the source has not said the field for [`STALE_AFTER_MONTHLY_CYCLES`] closed monthly cycles.
#[must_use]
pub fn is_stale(held: &Held, name: &str, closed_monthly: &[i64]) -> bool {
    held.unsaid.get(name).is_some_and(|since| {
        let passed = closed_monthly.iter().filter(|cycle| *cycle >= since);
        passed.count() >= STALE_AFTER_MONTHLY_CYCLES
    })
}

/// The codes of a fund: for each type those of the highest-ranked source that says one of it.
#[must_use]
pub fn merge_codes(statements: &Statements) -> BTreeMap<(String, String), (SourceName, HeldCode)> {
    let mut merged: BTreeMap<(String, String), (SourceName, HeldCode)> = BTreeMap::new();
    let mut settled: BTreeMap<&str, SourceName> = BTreeMap::new();
    for source in CODES {
        let Some(Held {
            content: Content::Codes(codes),
            ..
        }) = statements.get(&(source, Dataset::Codes))
        else {
            continue;
        };
        for code in codes {
            if *settled.entry(&code.code_type).or_insert(source) == source {
                merged.insert(
                    (code.code_type.clone(), code.code.clone()),
                    (source, code.clone()),
                );
            }
        }
    }
    merged
}
