//! Migrates the database to the schema version of this program. The migrations are embedded in the program and applied
//! completely or not at all, under the lock (O7).

use schema::migrations::MIGRATIONS;
use tokio_postgres::{Client, Transaction};

use super::adoption;
use super::error::{StoreError, of_migration};
use super::session;

const VERSIONS: &str = "
    CREATE SCHEMA IF NOT EXISTS runner;
    CREATE TABLE IF NOT EXISTS runner.schema_version (
        version    INTEGER PRIMARY KEY,
        name       TEXT NOT NULL,
        checksum   TEXT NOT NULL,
        applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE runner.schema_version IS 'Migrations that were applied to this database';";

/// The newest version that this program knows.
fn newest_known() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// The schema version of the database; 0 if no runner has used the database yet.
pub(super) async fn current(client: &Client) -> Result<i32, StoreError> {
    let row = client
        .query_one(
            "SELECT to_regclass('runner.schema_version') IS NOT NULL",
            &[],
        )
        .await?;
    if !row.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let row = client
        .query_one(
            "SELECT COALESCE(max(version), 0) FROM runner.schema_version",
            &[],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Whether a database of this version needs no migration.
pub(super) fn is_current(found: i32) -> bool {
    found == newest_known()
}

/// Refuses a newer database (O7).
pub(super) fn refuse_newer(found: i32) -> Result<(), StoreError> {
    let known = newest_known();
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    Ok(())
}

/// Returns an outage if the server did not carry out the COMMIT of a migration. The next session repeats the migration.
pub(super) async fn refuse_older(client: &Client) -> Result<(), StoreError> {
    let (found, known) = (current(client).await?, newest_known());
    if found < known {
        return Err(StoreError::Outage(format!(
            "the migration from schema version {found} to {known} was not committed"
        )));
    }
    Ok(())
}

/// Migrates the database to this program's version in one transaction, and adopts the tables of an older warehouse.
pub(super) async fn migrate(client: &mut Client) -> Result<(), StoreError> {
    let (found, known) = (current(client).await?, newest_known());
    refuse_newer(found)?;
    if found == known {
        return Ok(());
    }
    let tx = client.transaction().await?;
    tx.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s'")
        .await?;
    tx.batch_execute(session::WHOLE_TABLES).await?;
    let adoption = if found == 0 {
        adoption::prepare(&tx).await?
    } else {
        None
    };
    tx.batch_execute(VERSIONS).await.map_err(of_migration)?;
    apply(&tx, found).await?;
    if let Some(adoption) = adoption {
        adoption.finish(&tx).await?;
    }
    tx.commit().await?;
    tracing::info!(from = found, to = known, "database migrated");
    Ok(())
}

async fn apply(tx: &Transaction<'_>, found: i32) -> Result<(), StoreError> {
    for migration in MIGRATIONS
        .iter()
        .filter(|migration| migration.version > found)
    {
        tx.batch_execute(migration.sql)
            .await
            .map_err(of_migration)?;
        tx.execute(
            "INSERT INTO runner.schema_version (version, name, checksum)
             VALUES ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'))",
            &[&migration.version, &migration.name, &migration.sql],
        )
        .await?;
    }
    Ok(())
}
