//! Measures the size of the warehouse on disk.

use crate::Trouble;
use crate::server::Database;

/// Every table with rows, with the bytes per row including indexes and TOAST.
const SIZES: &str = "SELECT relnamespace::regnamespace || '.' || relname, reltuples::bigint,
        pg_total_relation_size(oid), pg_total_relation_size(oid) / reltuples::bigint
    FROM pg_class
    WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('public', 'runner', 'history') AND reltuples > 0
    ORDER BY pg_total_relation_size(oid) DESC";

/// A Markdown table of the sizes.
///
/// # Errors
/// Errors of the server.
pub async fn table(title: &str, database: &Database) -> Result<String, Trouble> {
    let client = database.connect().await?;
    client.batch_execute("VACUUM ANALYZE").await?;
    let mut text = format!(
        "\n{title}\n\n| table | rows | bytes | bytes per row, indexes included |\n|---|---|---|---|\n"
    );
    for row in client.query(SIZES, &[]).await? {
        let (name, rows, bytes, each): (String, i64, i64, i64) = (
            row.try_get(0)?,
            row.try_get(1)?,
            row.try_get(2)?,
            row.try_get(3)?,
        );
        text.push_str(&format!("| {name} | {rows} | {bytes} | {each} |\n"));
    }
    Ok(text)
}
