//! Converts the columns, keys and foreign keys of an older warehouse's tables to those of the runner.

use tokio_postgres::Transaction;

use schema::columns::{FeeFields, Kind, MasterFields, Record, StatisticsFields};

use super::super::error::StoreError;
use super::refused;

/// A table of the older warehouse that is adopted.
pub(super) struct AdoptedTable {
    pub name: &'static str,
    /// The columns of the key after the fund code.
    pub key: &'static [&'static str],
    /// Whether the key contains `row_no`, a column that an older warehouse does not have.
    pub numbered: bool,
}

/// The seven tables. The master table is first, because the others refer to it.
pub(super) const ADOPTED_TABLES: [AdoptedTable; 7] = [
    table("funds_master_info", &[], false),
    table("funds_daily", &["nav_date"], false),
    table("funds_statistics", &[], false),
    table("funds_fee", &[], false),
    table("funds_holding", &["source", "holding_type"], true),
    table("funds_allocations", &["source", "type"], true),
    table("funds_codes", &["type", "code"], false),
];

const fn table(name: &'static str, key: &'static [&'static str], numbered: bool) -> AdoptedTable {
    AdoptedTable {
        name,
        key,
        numbered,
    }
}

impl AdoptedTable {
    /// All columns of the key.
    pub(super) fn key_columns(&self) -> Vec<&'static str> {
        let mut columns = vec!["fund_code"];
        columns.extend(self.key);
        if self.numbered {
            columns.push("row_no");
        }
        columns
    }

    /// The required columns with their types.
    fn columns(&self) -> Vec<(&'static str, &'static str)> {
        let said = |columns: &[schema::columns::Column]| -> Vec<(&'static str, &'static str)> {
            columns
                .iter()
                .map(|column| (column.name, sql_type(column.kind)))
                .collect()
        };
        let mut columns = vec![("fund_code", "text")];
        match self.name {
            "funds_master_info" => {
                columns.extend(said(MasterFields::COLUMNS));
                columns.extend([("fund_status", "text"), ("source_url", "text")]);
            }
            "funds_daily" => columns.extend([
                ("nav_date", "date"),
                ("nav_value", "numeric"),
                ("bid", "numeric"),
                ("offer", "numeric"),
                ("aum", "numeric"),
                ("source", "text"),
            ]),
            "funds_statistics" => {
                columns.push(("as_of_date", "date"));
                columns.extend(said(StatisticsFields::COLUMNS));
                columns.push(("sec_url", "text"));
            }
            "funds_fee" => {
                columns.extend(said(FeeFields::COLUMNS));
                columns.push(("source_url", "text"));
            }
            "funds_codes" => columns.extend([
                ("type", "text"),
                ("code", "text"),
                ("factsheet_url", "text"),
            ]),
            portfolio => {
                columns.extend([
                    ("source", "text"),
                    ("type", "text"),
                    ("row_no", "integer"),
                    ("name", "text"),
                    ("percent", "numeric"),
                    ("as_of_date", "date"),
                    ("source_url", "text"),
                ]);
                if portfolio == "funds_holding" {
                    columns.push(("holding_type", "text"));
                }
            }
        }
        columns.push(("scraped_at", "timestamp with time zone"));
        columns
    }
}

const fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Number => "numeric",
        Kind::Int => "integer",
        Kind::Date => "date",
        Kind::Flag => "boolean",
    }
}

/// Converts the columns to the runner's types, mostly without rewriting the table, and adds missing columns.
pub(super) async fn widen(tx: &Transaction<'_>, table: &AdoptedTable) -> Result<(), StoreError> {
    let name = table.name;
    let standing = tx
        .query(
            "SELECT a.attname::text, format_type(a.atttypid, NULL), format_type(a.atttypid, a.atttypmod),
                    COALESCE(c.collname::text, ''), a.attnotnull, a.atthasdef OR a.attidentity <> ''
             FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
             WHERE a.attrelid = to_regclass('public.' || $1) AND a.attnum > 0 AND NOT a.attisdropped",
            &[&name],
        )
        .await?;
    let key = table.key_columns();
    let wanted = table.columns();
    let mut steps = Vec::new();
    let mut known = Vec::new();
    for row in &standing {
        let (column, from, whole): (String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (collation, not_null, filled): (String, bool, bool) =
            (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        let Some((column, to)) = wanted.iter().find(|(wanted, _)| *wanted == column) else {
            if not_null && !filled {
                steps.push(format!(
                    "ALTER COLUMN \"{}\" DROP NOT NULL",
                    column.replace('"', "\"\"")
                ));
            }
            continue;
        };
        known.push(*column);
        let is_key = key.contains(column);
        let collate = if is_key && *to == "text" {
            " COLLATE \"C\""
        } else {
            ""
        };
        if whole != *to || (!collate.is_empty() && collation != "C") {
            keep_unreadable(tx, name, column, &from, to).await?;
            let using = conversion(column, &from, to).ok_or_else(|| {
                StoreError::Adoption(format!(
                    "public.{name}.{column} is of type {whole}, which cannot become {to}; change its type by hand or rename the table"
                ))
            })?;
            steps.push(format!("ALTER COLUMN {column} TYPE {to}{collate}{using}"));
        }
        if not_null && !is_key && *column != "scraped_at" {
            steps.push(format!("ALTER COLUMN {column} DROP NOT NULL"));
        }
    }
    for (column, to) in &wanted {
        if !known.contains(column) {
            let identifies = key.contains(column) && (!table.numbered || *column == "fund_code");
            if identifies {
                return Err(StoreError::Adoption(format!(
                    "public.{name} has no column {column}, so it is not a table of an older warehouse; rename it and start again"
                )));
            }
            let collate = if key.contains(column) && *to == "text" {
                " COLLATE \"C\""
            } else {
                ""
            };
            steps.push(format!("ADD COLUMN {column} {to}{collate}"));
        }
    }
    if !steps.is_empty() {
        let alter = format!("ALTER TABLE public.{name} {}", steps.join(", "));
        tx.batch_execute(&alter)
            .await
            .map_err(refused(&format!("the columns of public.{name}")))?;
    }
    tx.batch_execute(&format!(
        "UPDATE public.{name} SET scraped_at = now() WHERE scraped_at IS NULL;
         ALTER TABLE public.{name} ALTER COLUMN scraped_at SET DEFAULT now(), ALTER COLUMN scraped_at SET NOT NULL"
    ))
    .await
    .map_err(refused(&format!("public.{name}.scraped_at")))
}

const NUMBER: &str = r"^\s*[-+]?[0-9]+(\.[0-9]*)?\s*$";
const DATE: &str = r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}";

fn readable(to: &str) -> &'static str {
    if to == "date" { DATE } else { NUMBER }
}

/// Returns the USING clause for a column's new type; `None` if the column cannot be converted.
fn conversion(column: &str, from: &str, to: &str) -> Option<String> {
    let from_text = matches!(from, "text" | "character varying" | "character");
    let from_float = matches!(from, "real" | "double precision");
    let from_number = matches!(from, "numeric" | "smallint" | "integer" | "bigint");
    Some(match to {
        "text" if from == "character" => format!(" USING rtrim({column}::text)"),
        "text" if from_text => String::new(),
        "text" => format!(" USING {column}::text"),
        "numeric" if from_number => String::new(),
        "numeric" | "integer" if from_float => format!(
            " USING CASE WHEN {column}::text ~ '^-?[0-9]' THEN {column}::text::numeric::{to} END"
        ),
        "integer" if from_number => String::new(),
        "numeric" | "integer" | "date" if from_text => format!(
            " USING CASE WHEN {column} ~ '{}' THEN {}::{to} END",
            readable(to),
            if to == "integer" {
                format!("{column}::numeric")
            } else {
                column.to_owned()
            },
        ),
        "date" if from.starts_with("timestamp") || from == "date" => String::new(),
        // The session's time zone is UTC, so a time without zone is interpreted as UTC and the table is not rewritten.
        "timestamp with time zone" if from.starts_with("timestamp") || from == "date" => {
            String::new()
        }
        _ => return None,
    })
}

/// Stores whole rows whose text cannot be converted to the new type, before the cell becomes NULL.
async fn keep_unreadable(
    tx: &Transaction<'_>,
    name: &str,
    column: &str,
    from: &str,
    to: &str,
) -> Result<(), StoreError> {
    let from_text = matches!(from, "text" | "character varying" | "character");
    if !from_text || !matches!(to, "numeric" | "integer" | "date") {
        return Ok(());
    }
    tx.batch_execute(&format!(
        "INSERT INTO adopted_leftover (table_name, fund_code, row_before, reason)
         SELECT '{name}', fund_code, to_jsonb(t), '{column} cannot be read as {to}; it became NULL'
         FROM public.{name} t WHERE trim({column}) <> '' AND {column} !~ '{}'",
        readable(to)
    ))
    .await
    .map_err(refused(&format!("public.{name}.{column}")))
}

/// Drops the foreign keys between the seven tables. They are created again as RESTRICT.
pub(super) async fn drop_foreign_keys(
    tx: &Transaction<'_>,
    names: &[&str],
) -> Result<(), StoreError> {
    let rows = tx
        .query(
            "SELECT format('ALTER TABLE public.%I DROP CONSTRAINT %I', r.relname, c.conname)
             FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
             JOIN pg_namespace n ON n.oid = r.relnamespace
             WHERE c.contype = 'f' AND n.nspname = 'public' AND r.relname = ANY($1)
               AND c.confrelid = to_regclass('public.funds_master_info')",
            &[&names],
        )
        .await?;
    for row in rows {
        tx.batch_execute(row.try_get(0)?).await?;
    }
    Ok(())
}

/// Ensures that the runner's key is unique. It becomes the primary key if there is none.
pub(super) async fn ensure_key(
    tx: &Transaction<'_>,
    table: &AdoptedTable,
) -> Result<(), StoreError> {
    let (name, columns) = (table.name, table.key_columns());
    let kind = match has_unique(tx, name, &columns).await? {
        UniqueOn::TheseColumns => return Ok(()),
        UniqueOn::Others => "UNIQUE",
        UniqueOn::Nothing => "PRIMARY KEY",
    };
    tx.batch_execute(&format!(
        "ALTER TABLE public.{name} ADD {kind} ({})",
        columns.join(", ")
    ))
    .await
    .map_err(refused(&format!("the key of public.{name}")))
}

/// The columns on which a table is unique.
#[derive(PartialEq, Eq)]
pub(super) enum UniqueOn {
    TheseColumns,
    /// There is a primary key on other columns.
    Others,
    /// There is no primary key.
    Nothing,
}

/// Looks for a complete unique index on exactly these columns.
pub(super) async fn has_unique(
    tx: &Transaction<'_>,
    name: &str,
    columns: &[&str],
) -> Result<UniqueOn, StoreError> {
    let rows = tx
        .query(
            "SELECT i.indisprimary,
                    (SELECT array_agg(a.attname::text) FROM pg_attribute a
                     WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey::smallint[]))
             FROM pg_index i
             WHERE i.indrelid = to_regclass('public.' || $1) AND i.indisunique AND i.indpred IS NULL
               AND i.indexprs IS NULL",
            &[&name],
        )
        .await?;
    let mut keys = UniqueOn::Nothing;
    for row in rows {
        let indexed: Vec<String> = row.try_get(1)?;
        if indexed.len() == columns.len()
            && columns
                .iter()
                .all(|column| indexed.iter().any(|name| name == column))
        {
            return Ok(UniqueOn::TheseColumns);
        }
        if row.try_get(0)? {
            keys = UniqueOn::Others;
        }
    }
    Ok(keys)
}

/// Ensures that every fund code refers to the master table. Deleting a referenced master row is refused.
pub(super) async fn ensure_foreign_key(tx: &Transaction<'_>, name: &str) -> Result<(), StoreError> {
    let row = tx
        .query_one(
            "SELECT EXISTS (
                 SELECT 1 FROM pg_constraint WHERE contype = 'f' AND conrelid = to_regclass('public.' || $1)
                   AND confrelid = to_regclass('public.funds_master_info'))",
            &[&name],
        )
        .await?;
    if row.try_get(0)? {
        return Ok(());
    }
    tx.batch_execute(&format!(
        "ALTER TABLE public.{name} ADD FOREIGN KEY (fund_code)
         REFERENCES public.funds_master_info (fund_code) ON DELETE RESTRICT"
    ))
    .await
    .map_err(refused(&format!(
        "the reference of public.{name} to funds_master_info"
    )))
}
