//! Adopts an older warehouse in place: the transaction of the first migration converts its seven tables to those of the
//! runner. No data is deleted: rows that do not fit are moved to `history.adopted`, and the users' views are recreated.

mod rows;
mod statements;
mod tables;
mod views;

use tokio_postgres::Transaction;

use super::error::{StoreError, of_migration};
use tables::{ADOPTED_TABLES, AdoptedTable};

/// An older warehouse whose tables are ready for the migration.
pub(super) struct Adoption;

/// Prepares the tables of an older warehouse; `None` if the database has none of them.
pub(super) async fn prepare(tx: &Transaction<'_>) -> Result<Option<Adoption>, StoreError> {
    let mut found: Vec<&'static AdoptedTable> = Vec::new();
    for table in &ADOPTED_TABLES {
        if exists(tx, table.name).await? {
            found.push(table);
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    for table in &found {
        tx.batch_execute(&format!(
            "LOCK TABLE public.{} IN ACCESS EXCLUSIVE MODE",
            table.name
        ))
        .await?;
    }
    tx.batch_execute(rows::LEFTOVERS).await?;
    let names: Vec<&str> = found.iter().map(|table| table.name).collect();
    let views = views::take_down(tx, &names).await?;
    tables::drop_foreign_keys(tx, &names).await?;
    for table in &found {
        tables::widen(tx, table).await?;
    }
    rows::normalise_codes(tx, &found).await?;
    for table in &found {
        rows::settle(tx, table).await?;
        tables::ensure_key(tx, table).await?;
    }
    views::put_back(tx, &views).await?;
    tracing::info!(tables = ?names, views = views.len(), "adopting the tables of an older warehouse");
    Ok(Some(Adoption))
}

async fn exists(tx: &Transaction<'_>, table: &str) -> Result<bool, StoreError> {
    let row = tx
        .query_opt(
            "SELECT c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'public' AND c.relname = $1",
            &[&table],
        )
        .await?;
    match row
        .map(|row| row.try_get::<_, String>(0))
        .transpose()?
        .as_deref()
    {
        None => Ok(false),
        Some("r") => Ok(true),
        Some(_) => Err(StoreError::Adoption(format!(
            "public.{table} is not an ordinary table (a view, a partitioned or a foreign table); rename it and start again"
        ))),
    }
}

impl Adoption {
    /// Completes the adoption after the migration: every row becomes a statement of the source `adopted`.
    pub(super) async fn finish(self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        rows::add_missing_master_rows(tx).await?;
        for table in ADOPTED_TABLES.iter().skip(1) {
            tables::ensure_foreign_key(tx, table.name).await?;
        }
        tx.batch_execute(
            "INSERT INTO history.adopted (table_name, fund_code, row_before, reason)
             SELECT table_name, fund_code, row_before, reason FROM adopted_leftover;
             DROP TABLE adopted_leftover;
             INSERT INTO runner.fund (fund_code, in_universe)
             SELECT fund_code, true FROM public.funds_master_info ORDER BY fund_code;",
        )
        .await
        .map_err(of_migration)?;
        statements::write(tx).await
    }
}

/// Converts the error of an adoption step, with the name of the step.
fn refused(doing: &str) -> impl Fn(tokio_postgres::Error) -> StoreError + '_ {
    move |error| match of_migration(error) {
        StoreError::Migration(why) => StoreError::Adoption(format!("{doing}: {why}")),
        other => other,
    }
}
