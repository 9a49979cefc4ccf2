//! Reads the entries of a configured precedence: a table or `table.column`, and the names of sources.

use super::supply::supplies;
use super::{APPEND_TABLES, CODES_TABLE, DAILY_TABLE, ROW_TABLES};
use crate::SourceName;
use crate::columns::Column;

/// A wrong part of a configured precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrecedenceProblem {
    /// The table or column as it is written.
    pub place: String,
    /// The position of the source in the list, from 0; `None` for a problem of the whole entry.
    pub at: Option<usize>,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

/// A table or column whose rank can be set.
pub(super) struct Place<'written> {
    pub table: &'static str,
    pub column: Option<&'written str>,
}

/// The tables that have a rank, each with the columns whose rank can be set. A table without such columns is ranked
/// as a whole.
pub(super) fn ranked_tables() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let names = |columns: &'static [Column]| columns.iter().map(|column| column.name).collect();
    let days = vec!["nav_value", "bid", "offer", "aum"];
    ROW_TABLES
        .into_iter()
        .map(move |table| (table.table, names(table.columns)))
        .chain([(DAILY_TABLE, days), (CODES_TABLE, Vec::new())])
        .chain(APPEND_TABLES.map(|table| (table.table, Vec::new())))
}

/// Reads `table` or `table.column`. The error is what was found and what was expected.
pub(super) fn read_place(written: &str) -> Result<Place<'_>, (String, String)> {
    let (table, column) = match written.split_once('.') {
        Some((table, column)) => (table, Some(column)),
        None => (written, None),
    };
    let Some((known, columns)) = ranked_tables().find(|(known, _)| *known == table) else {
        let tables: Vec<&str> = ranked_tables().map(|(table, _)| table).collect();
        return Err((
            "not the name of a table that is merged by rank".to_owned(),
            format!("{}, or a column such as funds_daily.bid", tables.join(", ")),
        ));
    };
    match column {
        Some(_) if columns.is_empty() => Err((
            format!("a column of {known}, whose rows have one rank"),
            format!("\"{known}\""),
        )),
        Some(column) if !columns.contains(&column) => Err((
            format!("not a column of {known} that is merged by rank"),
            format!("one of {}", columns.join(", ")),
        )),
        _ => Ok(Place {
            table: known,
            column,
        }),
    }
}

pub(super) fn read_sources(
    written: &str,
    place: &Place<'_>,
    names: &[&str],
    problems: &mut Vec<PrecedenceProblem>,
) -> Vec<SourceName> {
    let suppliers: Vec<&str> = SourceName::REQUESTED
        .iter()
        .filter(|source| supplies(**source, place.table, place.column))
        .map(|source| source.as_str())
        .collect();
    let mut wrong = |at: Option<usize>, found: String, expected: String| {
        problems.push(PrecedenceProblem {
            place: written.to_owned(),
            at,
            found,
            expected,
        });
    };
    let allowed = if suppliers.is_empty() {
        "no entry: no source supplies it today".to_owned()
    } else {
        format!("one of {}", suppliers.join(", "))
    };
    if names.is_empty() {
        wrong(None, "an empty list".to_owned(), allowed.clone());
    }
    let mut sources = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let found = match name.parse::<SourceName>() {
            Err(_) => format!("{name:?}, which is not a source"),
            Ok(SourceName::Adopted) => format!("{name:?}, which always ranks last"),
            Ok(source) if !suppliers.contains(&source.as_str()) => {
                format!("{name:?}, which never supplies {written}")
            }
            Ok(source) if sources.contains(&source) => {
                let expected = "each source once".to_owned();
                wrong(Some(at), format!("{name:?} for the second time"), expected);
                continue;
            }
            Ok(source) => {
                sources.push(source);
                continue;
            }
        };
        wrong(Some(at), found, allowed.clone());
    }
    sources
}
