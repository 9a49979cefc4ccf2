//! `docs/data-model.md` documents exactly the columns that the migrations create.
//!
//! A heading `### schema.table` starts a table or view. Each row that follows documents one column:
//! "| `column` | type | unit | meaning | source |".

use std::collections::BTreeSet;

use schema::SourceName::{self, Adopted, Finnomena, SecFundcheck, SecOpenApi, Wealthmagik};
use schema::merge_daily::DayField;
use schema::precedence::supply::supplies;
use schema::precedence::{APPEND_TABLES, CODES, DAILY_TABLE, NAV_AND_AUM, PRICES, ROW_TABLES};

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

/// The names of the sources in the sentences about ranks.
const NAMES: [(&str, SourceName); 5] = [
    ("Finnomena", Finnomena),
    ("WealthMagik", Wealthmagik),
    ("SEC FundCheck", SecFundcheck),
    ("register", SecOpenApi),
    ("adopted", Adopted),
];

/// The sources in the sentence of a table that begins with these words, in their order.
fn documented_rank(table: &str, words: &str) -> Vec<SourceName> {
    let heading = format!("### public.{table}\n");
    let (_, section) = DOCUMENT.split_once(&heading).expect(table);
    let section = section.replace('\n', " ");
    let (_, sentence) = section.split_once(words).expect(words);
    let end = sentence.find(['.', ';']).expect("the end of the sentence");
    let mut found: Vec<(usize, SourceName)> = NAMES
        .iter()
        .filter_map(|(name, source)| Some((sentence[..end].find(name)?, *source)))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, source)| source).collect()
}

/// The sources of a rank, each at its first place.
fn declared(rank: impl IntoIterator<Item = SourceName>) -> Vec<SourceName> {
    let mut sources = Vec::new();
    for source in rank {
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

/// The names of the sources in the column "source". Adopted rows can fill every column.
const SUPPLIERS: [(&str, SourceName); 4] = [
    ("Finnomena", Finnomena),
    ("WealthMagik", Wealthmagik),
    ("SEC `", SecFundcheck),
    ("register", SecOpenApi),
];

/// A rank may name a source only for a column that it supplies. The declaration of these columns and the document
/// agree.
#[test]
fn the_document_names_the_sources_that_supply_each_column() {
    let mut compared = 0;
    for (table, cells) in documented() {
        let table = table.trim_start_matches("public.");
        let column = cells[0].trim_matches('`');
        let is_ranked = ROW_TABLES.iter().any(|ranked| {
            ranked.table == table && ranked.columns.iter().any(|known| known.name == column)
        }) || APPEND_TABLES.iter().any(|ranked| {
            ranked.table == table && ranked.columns.iter().any(|known| known.name == column)
        }) || table == DAILY_TABLE
            && DayField::ALL.iter().any(|field| field.column() == column);
        if !is_ranked {
            continue;
        }
        compared += 1;
        for (name, source) in SUPPLIERS {
            assert_eq!(
                cells[CELLS - 1].contains(name),
                supplies(source, table, Some(column)),
                "{table}.{column}: {name}"
            );
        }
    }
    assert!(compared > 40, "{compared} columns");
}

#[test]
fn the_document_names_the_ranks_that_are_declared() {
    for table in ROW_TABLES {
        assert_eq!(
            documented_rank(table.table, "Rank: "),
            declared(table.value_rank.iter().map(|(source, _)| *source)),
            "{}",
            table.table
        );
    }
    for table in APPEND_TABLES {
        assert_eq!(
            documented_rank(table.table, "Rank: "),
            declared(table.rank.iter().copied()),
            "{}",
            table.table
        );
    }
    assert_eq!(
        documented_rank("funds_codes", "Rank: "),
        declared(CODES.iter().map(|(source, _)| *source))
    );
    for (table, words, rank) in [
        (
            "funds_daily",
            "Rank of NAV and AUM: ",
            NAV_AND_AUM.as_slice(),
        ),
        ("funds_daily", "Rank of bid and offer: ", PRICES.as_slice()),
    ] {
        assert_eq!(
            documented_rank(table, words),
            declared(rank.iter().copied()),
            "{table}: {words}"
        );
    }
}
