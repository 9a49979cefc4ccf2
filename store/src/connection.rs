//! The writer's connection. It caches prepared statements, so that the server parses and plans each statement only
//! once. The cache has no limit: the text of each statement is constant and contains no values.

use bytes::Bytes;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, CopyInSink, Error, GenericClient, Row, RowStream, Statement};

use super::error::{StoreError, of_statement};

/// Values for the parameters `$1`, `$2` … of a statement.
type Parameters<'call> = &'call [&'call (dyn ToSql + Sync)];

/// Runs SQL on the writer's connection, in its transaction, or on a reader's connection.
pub(super) trait Queries: Sync {
    /// The client type of the library.
    type Client: GenericClient + Sync;

    /// The `tokio_postgres` client that runs the statements.
    fn client(&self) -> &Self::Client;

    /// Returns the prepared statement.
    fn statement(&self, sql: &str) -> impl Future<Output = Result<Statement, Error>> + Send;

    /// Returns all rows.
    fn query(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send {
        async move {
            let run = async {
                let statement = self.statement(sql).await?;
                self.client().query(&statement, parameters).await
            };
            run.await.map_err(|error| of_statement(Some(sql), &error))
        }
    }

    /// Returns exactly one row.
    fn query_one(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = Result<Row, StoreError>> + Send {
        async move {
            let run = async {
                let statement = self.statement(sql).await?;
                self.client().query_one(&statement, parameters).await
            };
            run.await.map_err(|error| of_statement(Some(sql), &error))
        }
    }

    /// Returns the row, if there is one.
    fn query_opt(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send {
        async move {
            let run = async {
                let statement = self.statement(sql).await?;
                self.client().query_opt(&statement, parameters).await
            };
            run.await.map_err(|error| of_statement(Some(sql), &error))
        }
    }

    /// Returns the number of rows that were written.
    fn execute(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        async move {
            let run = async {
                let statement = self.statement(sql).await?;
                self.client().execute(&statement, parameters).await
            };
            run.await.map_err(|error| of_statement(Some(sql), &error))
        }
    }

    /// Returns the row that a statement with RETURNING writes to `table`. If it writes no row, this is an error (D12).
    fn write_one(
        &self,
        table: &str,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = Result<Row, StoreError>> + Send {
        async move {
            let row = self.query_opt(sql, parameters).await?;
            row.ok_or_else(|| StoreError::RowsMissing {
                table: table.to_owned(),
                expected: 1,
                found: 0,
            })
        }
    }

    /// Runs a statement that must write exactly `expected` rows of `table` (D12).
    fn execute_expecting(
        &self,
        table: &str,
        expected: usize,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        async move {
            let found = self.execute(sql, parameters).await?;
            expect_rows(table, expected as u64, found)
        }
    }

    /// Runs a statement for which only the server knows the number of rows. It returns one row: how many rows of
    /// `table` had to be written and how many were written. Returns that number.
    fn execute_counted(
        &self,
        table: &str,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        async move {
            let row = self.query_one(sql, parameters).await?;
            let (expected, found): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            expect_rows(table, expected.unsigned_abs(), found.unsigned_abs())?;
            Ok(found.unsigned_abs())
        }
    }
}

/// Compares the number of rows that a statement had to write with the number that the server reports (D12).
pub(super) fn expect_rows(table: &str, expected: u64, found: u64) -> Result<(), StoreError> {
    if found == expected {
        return Ok(());
    }
    Err(StoreError::RowsMissing {
        table: table.to_owned(),
        expected,
        found,
    })
}

/// A reader runs each statement once, so it does not cache them.
impl Queries for Client {
    type Client = Self;

    fn client(&self) -> &Self {
        self
    }

    async fn statement(&self, sql: &str) -> Result<Statement, Error> {
        self.prepare(sql).await
    }
}

/// The writer's connection. Dropping it ends the session at once.
#[derive(Debug)]
pub(super) struct Connection(pub(super) ClientWrapper);

impl Connection {
    /// Begins a transaction. Without [`Transaction::commit`] it is rolled back when dropped.
    pub(super) async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(Transaction(self.0.transaction().await?))
    }
}

impl Queries for Connection {
    type Client = Client;

    fn client(&self) -> &Client {
        &self.0
    }

    async fn statement(&self, sql: &str) -> Result<Statement, Error> {
        self.0.prepare_cached(sql).await
    }
}

/// A transaction, or a savepoint in one.
pub(super) struct Transaction<'connection>(deadpool_postgres::Transaction<'connection>);

impl<'connection> Queries for Transaction<'connection> {
    type Client = tokio_postgres::Transaction<'connection>;

    fn client(&self) -> &Self::Client {
        &self.0
    }

    async fn statement(&self, sql: &str) -> Result<Statement, Error> {
        self.0.prepare_cached(sql).await
    }
}

impl Transaction<'_> {
    /// Returns the rows as a stream.
    pub(super) async fn query_raw(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<RowStream, StoreError> {
        let run = async {
            let statement = self.statement(sql).await?;
            let parameters = parameters.iter().copied();
            self.0.query_raw(&statement, parameters).await
        };
        run.await.map_err(|error| of_statement(Some(sql), &error))
    }

    /// Runs statements without parameters in sequence.
    pub(super) async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.0.batch_execute(sql).await
    }

    /// Starts a `COPY … FROM STDIN` and returns its sink.
    pub(super) async fn copy_in(&self, sql: &str) -> Result<CopyInSink<Bytes>, StoreError> {
        let run = async {
            let statement = self.statement(sql).await?;
            self.0.copy_in(&statement).await
        };
        run.await.map_err(|error| of_statement(Some(sql), &error))
    }

    /// Begins a savepoint.
    pub(super) async fn savepoint(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(Transaction(self.0.transaction().await?))
    }

    /// Commits the transaction, or releases the savepoint.
    pub(super) async fn commit(self) -> Result<(), Error> {
        self.0.commit().await
    }

    /// Rolls back the transaction, or everything since the savepoint.
    pub(super) async fn rollback(self) -> Result<(), Error> {
        self.0.rollback().await
    }
}
