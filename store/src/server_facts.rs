//! Reads the properties of a database for `check`: server version, schema version and lock holder. It changes nothing.

use super::error::StoreError;
use super::reader::Reader;
use super::{migration, requirements, session, table_shape};

/// The properties of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// PostgreSQL's version, such as `16.4`.
    pub server_version: String,
    /// Version of the warehouse's schema; 0 if no runner has used the database yet.
    pub schema_version: i32,
    /// Whether the database contains tables of an older warehouse, which the first run adopts.
    pub to_be_adopted: bool,
    /// The session that holds the runner's lock.
    pub lock_holder: Option<String>,
}

impl Reader {
    /// Reads the properties of the database without changing it.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session or a schema newer than this program
    /// (O7): see [`StoreError::is_outage`].
    pub async fn server_facts(&self) -> Result<ServerFacts, StoreError> {
        self.refuse_pooler().await?;
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT split_part(current_setting('server_version'), ' ', 1),
                        to_regclass('public.funds_master_info') IS NOT NULL",
                &[],
            )
            .await?;
        requirements::check(&client).await?;
        let schema_version = migration::current(&client).await?;
        migration::refuse_newer(schema_version)?;
        if migration::is_current(schema_version) {
            table_shape::check(&client).await?;
        }
        Ok(ServerFacts {
            server_version: row.try_get(0)?,
            schema_version,
            to_be_adopted: schema_version == 0 && row.try_get(1)?,
            lock_holder: session::holder(&client).await?,
        })
    }
}
