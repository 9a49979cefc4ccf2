//! Counts written rows by the id of the transaction that wrote them.

use crate::Trouble;
use crate::server::Database;

/// The tables that a pass over unchanged sources must not write, in addition to the seven tables.
const OTHERS: [&str; 4] = [
    "runner.observation",
    "runner.daily_dissent",
    "history.change",
    "history.portfolio",
];

/// The id of a transaction that begins now.
///
/// # Errors
/// Errors of the server.
pub async fn next_transaction(database: &Database) -> Result<i64, Trouble> {
    let client = database.connect().await?;
    let row = client
        .query_one("SELECT pg_current_xact_id()::text::bigint", &[])
        .await?;
    Ok(row.try_get(0)?)
}

/// Number of rows with values that this transaction or a later one has written.
///
/// # Errors
/// Errors of the server.
pub async fn rows_since(database: &Database, transaction: i64) -> Result<i64, Trouble> {
    let client = database.connect().await?;
    let mut written = 0;
    let seven = simulator::TABLES
        .iter()
        .map(|(name, _)| format!("public.{name}"));
    for table in seven.chain(OTHERS.map(str::to_owned)) {
        let counting = format!("SELECT count(*) FROM {table} WHERE xmin::text::bigint >= $1");
        written += client
            .query_one(&counting, &[&transaction])
            .await?
            .try_get::<_, i64>(0)?;
    }
    Ok(written)
}
