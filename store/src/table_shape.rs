//! Compares the tables of the database with the ones that this version of the program needs. At the start, a table,
//! column, type or primary key that differs is reported with the statement that fixes it, before any write (O9).
//!
//! `schema/tables.txt` lists what the migrations create. A test compares it with a new database.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::error::StoreError;

/// The shape that the migrations create.
const EXPECTED: &str = include_str!("../../schema/tables.txt");

/// A column with its type as the server names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ColumnShape {
    name: String,
    sql_type: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shape {
    columns: Vec<ColumnShape>,
    key: Vec<String>,
    /// The columns of each unique index, sorted.
    unique: Vec<Vec<String>>,
    /// Columns that are NOT NULL and have no default.
    demanded: Vec<String>,
}

/// Tables by qualified name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableShape(BTreeMap<String, Shape>);

/// Returns one row per column: table, column, position in the primary key or 0, whether it is demanded, type.
const READ: &str = "
    SELECT n.nspname || '.' || c.relname, a.attname,
           COALESCE(array_position(i.indkey::smallint[], a.attnum), 0)
               + CASE WHEN i.indkey IS NULL OR NOT a.attnum = ANY(i.indkey::smallint[]) THEN 0
                      ELSE 1 - array_lower(i.indkey::smallint[], 1) END,
           a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '',
           format_type(a.atttypid, a.atttypmod)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
      AND (n.nspname || '.' || c.relname) = ANY($1)
    ORDER BY 1, a.attnum";

/// Returns one row per unique index that an upsert can use: table, and columns sorted by name.
const READ_UNIQUE: &str = "
    SELECT n.nspname || '.' || c.relname,
           ARRAY(SELECT a.attname::text FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum = ANY((i.indkey::smallint[])[0:i.indnkeyatts - 1])
                 ORDER BY a.attname::text COLLATE \"C\")
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
      AND (n.nspname || '.' || c.relname) = ANY($1)";

impl TableShape {
    /// The tables that this version needs.
    #[must_use]
    pub fn expected() -> Self {
        let mut shape = Self::default();
        for line in EXPECTED.lines() {
            let words: Vec<&str> = line.splitn(5, ' ').collect();
            if let [table, column, place, demanded, sql_type] = words.as_slice() {
                shape.add(
                    table,
                    column,
                    place.parse().unwrap_or(0),
                    *demanded == "demanded",
                    sql_type,
                );
            }
        }
        shape
    }

    /// Reads the shape of the tables with these names.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused statement: see [`StoreError::is_outage`].
    pub async fn read(client: &Client, tables: &[String]) -> Result<Self, StoreError> {
        let mut shape = Self::default();
        for row in client.query(READ, &[&tables]).await? {
            let (table, column, sql_type): (&str, &str, &str) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(4)?);
            shape.add(table, column, row.try_get(2)?, row.try_get(3)?, sql_type);
        }
        for row in client.query(READ_UNIQUE, &[&tables]).await? {
            let (table, columns): (&str, Vec<String>) = (row.try_get(0)?, row.try_get(1)?);
            if let Some(shape) = shape.0.get_mut(table) {
                shape.unique.push(columns);
            }
        }
        Ok(shape)
    }

    fn add(&mut self, table: &str, column: &str, place: i32, demanded: bool, sql_type: &str) {
        let shape = self.0.entry(table.to_owned()).or_default();
        shape.columns.push(ColumnShape {
            name: column.to_owned(),
            sql_type: sql_type.to_owned(),
        });
        if demanded {
            shape.demanded.push(column.to_owned());
        }
        if let Some(at) = usize::try_from(place).ok().filter(|place| *place > 0) {
            if shape.key.len() < at {
                shape.key.resize(at, String::new());
            }
            column.clone_into(&mut shape.key[at - 1]);
        }
    }

    /// The names of the tables.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// The shape in the format of `schema/tables.txt`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (table, shape) in &self.0 {
            for column in &shape.columns {
                let place = shape.key.iter().position(|key| *key == column.name);
                let demanded = if shape.demanded.contains(&column.name) {
                    "demanded"
                } else {
                    "-"
                };
                text.push_str(&format!(
                    "{table} {} {} {demanded} {}\n",
                    column.name,
                    place.map_or(0, |at| at + 1),
                    column.sql_type
                ));
            }
        }
        text
    }

    /// Returns the differences that keep this program from working with `found`, each with the statement that fixes it.
    /// Additional columns are allowed if a row may leave them out.
    #[must_use]
    pub fn differences(&self, found: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (table, wanted) in &self.0 {
            match found.0.get(table) {
                None => differences.push(format!(
                    "the table {table} is missing; restore it from a backup (pg_restore --table={})",
                    table.rsplit('.').next().unwrap_or(table)
                )),
                Some(is) => compare(table, wanted, is, &mut differences),
            }
        }
        differences
    }
}

fn compare(table: &str, wanted: &Shape, is: &Shape, differences: &mut Vec<String>) {
    let known = |name: &str| wanted.columns.iter().any(|column| column.name == name);
    for column in &wanted.columns {
        let ColumnShape { name, sql_type } = column;
        match is.columns.iter().find(|found| found.name == *name) {
            None => {
                let renamed = is
                    .columns
                    .iter()
                    .find(|found| found.sql_type == *sql_type && !known(&found.name));
                differences.push(match renamed {
                    Some(found) => format!(
                        "the column {name} of {table} is missing; if it was renamed to {0}: ALTER TABLE {table} RENAME COLUMN {0} TO {name}; else: ALTER TABLE {table} ADD COLUMN {name} {sql_type}",
                        found.name
                    ),
                    None => format!(
                        "the column {name} of {table} is missing: ALTER TABLE {table} ADD COLUMN {name} {sql_type}"
                    ),
                });
            }
            Some(found) if found.sql_type != *sql_type => differences.push(format!(
                "the column {name} of {table} has the type {}, expected {sql_type}: ALTER TABLE {table} ALTER COLUMN {name} TYPE {sql_type}",
                found.sql_type
            )),
            Some(_) => {}
        }
    }
    for name in is.demanded.iter().filter(|name| !known(name)) {
        differences.push(format!(
            "the column {name} of {table} is not the runner's, has no default and must not be NULL, so no row can be added: ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL"
        ));
    }
    // An upsert needs a unique index over the columns of the key, in any order. Adopted tables keep their own primary
    // key.
    let mut expected = wanted.key.clone();
    expected.sort();
    if !expected.is_empty() && !is.unique.contains(&expected) {
        let key = wanted.key.join(", ");
        differences.push(if is.key.is_empty() {
            format!("{table} has no primary key, expected ({key}): ALTER TABLE {table} ADD PRIMARY KEY ({key})")
        } else {
            format!(
                "{table} has the primary key ({}) and no unique index over ({key}): ALTER TABLE {table} ADD UNIQUE ({key})",
                is.key.join(", ")
            )
        });
    }
}

/// Largest number of differences in one error.
const NAMED: usize = 10;

/// Refuses a database whose tables differ from what this version needs.
pub(super) async fn check(client: &Client) -> Result<(), StoreError> {
    let expected = TableShape::expected();
    let found = TableShape::read(client, &expected.names()).await?;
    let differences = expected.differences(&found);
    if differences.is_empty() {
        return Ok(());
    }
    let more = match differences.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let named: Vec<&str> = differences.iter().take(NAMED).map(String::as_str).collect();
    Err(StoreError::Unfit(format!("{}{more}", named.join("; "))))
}
