//! `docs/data-model.md` documents exactly the columns that the migrations create.
//!
//! A heading `### schema.table` starts a table or view. Each row that follows documents one column:
//! "| `column` | type | unit | meaning | source |".

use std::collections::BTreeSet;

use crate::world::World;

const DOCUMENT: &str = include_str!("../../../docs/data-model.md");
/// The number of cells in a row: column, type, unit, meaning, source.
const CELLS: usize = 5;

/// The documented columns: the table and the cells of each row.
fn documented() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut table = None;
    let mut rows = Vec::new();
    for line in DOCUMENT.lines() {
        if line.starts_with('#') {
            table = line.strip_prefix("### ").map(str::trim);
        } else if let (Some(table), true) = (table, line.starts_with("| `")) {
            let cells = line.trim().trim_matches('|').split('|');
            rows.push((table, cells.map(str::trim).collect()));
        }
    }
    rows
}

/// Returns `schema.table column type` for each column of the database. An array has the name of its element type.
async fn existing(world: &World) -> Vec<String> {
    world
        .text(
            "SELECT table_schema || '.' || table_name || ' ' || column_name || ' ' ||
                    CASE data_type WHEN 'ARRAY' THEN ltrim(udt_name, '_') || '[]' ELSE data_type END
             FROM information_schema.columns
             WHERE table_schema IN ('public', 'runner', 'history')",
        )
        .await
}

#[test]
fn each_documented_column_has_all_its_cells() {
    for (table, cells) in documented() {
        let is_whole = cells.len() == CELLS && cells.iter().all(|cell| !cell.is_empty());
        assert!(is_whole, "{table}: expected {CELLS} cells, found {cells:?}");
    }
}

#[tokio::test]
async fn the_document_names_every_column_with_its_type_and_no_other() {
    let documented: Vec<String> = documented()
        .into_iter()
        .filter_map(|(table, cells)| {
            let (column, sql_type) = (cells.first()?.trim_matches('`'), cells.get(1)?);
            Some(format!("{table} {column} {sql_type}"))
        })
        .collect();
    let existing = existing(&World::new().await).await;
    assert!(existing.len() > 100, "{} columns", existing.len());
    let names: BTreeSet<&String> = documented.iter().collect();
    assert_eq!(
        names.len(),
        documented.len(),
        "a column is documented twice"
    );
    let columns: BTreeSet<&String> = existing.iter().collect();
    let undocumented: Vec<_> = columns.difference(&names).collect();
    let unknown: Vec<_> = names.difference(&columns).collect();
    assert!(
        undocumented.is_empty() && unknown.is_empty(),
        "docs/data-model.md lacks {undocumented:#?} and has {unknown:#?}, which the database does not have"
    );
}
