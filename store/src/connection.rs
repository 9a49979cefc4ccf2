//! The writer's connection: a statement that it has seen before is not read and analysed by the server once more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, CopyInSink, Error, GenericClient, Row, RowStream, Statement};

use super::error::{StoreError, of_statement};
use super::session::Talking;

/// Most statements that are remembered: the store has fewer, each with its own text; more would be a text that is put
/// together with values in it.
const REMEMBERED: usize = 200;

/// Values for the places `$1`, `$2` … of a statement.
type Parameters<'call> = &'call [&'call (dyn ToSql + Sync)];

/// The statements that the server knows already, by their text.
#[derive(Debug, Default)]
struct Prepared(Mutex<HashMap<Box<str>, Statement>>);

impl Prepared {
    fn known(&self, sql: &str) -> Option<Statement> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(sql).cloned()
    }

    fn remember(&self, sql: &str, statement: &Statement) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < REMEMBERED {
            known.insert(sql.into(), statement.clone());
        }
    }

    async fn statement(
        &self,
        client: &(impl GenericClient + Sync),
        sql: &str,
    ) -> Result<Statement, Error> {
        if let Some(statement) = self.known(sql) {
            return Ok(statement);
        }
        let statement = client.prepare(sql).await?;
        self.remember(sql, &statement);
        Ok(statement)
    }
}

/// Asks in SQL: on the writer's connection, in its transaction, or on a reader's own connection.
pub(super) trait Queries: Sync {
    /// What speaks with the server.
    type Client: GenericClient + Sync;

    /// What speaks with the server.
    fn client(&self) -> &Self::Client;

    /// The statement as the server knows it.
    fn statement(&self, sql: &str) -> impl Future<Output = Result<Statement, Error>> + Send;

    /// All rows.
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

    /// The one row.
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

    /// The row, if there is one.
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

    /// How many rows it wrote.
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

    /// The row that a statement had to write to `table`, as it is returned (D12).
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

    /// Runs a statement that has to write exactly `expected` rows of `table` (D12).
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

    /// Runs a statement whose rows only the server can count: it answers one row, how many rows of `table` it had to
    /// write and how many it wrote. Returns how many.
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

/// Compares the rows that a statement had to write with those that the server reports (D12).
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

/// A reader asks once and is gone: nothing is worth remembering.
impl Queries for Client {
    type Client = Self;

    fn client(&self) -> &Self {
        self
    }

    async fn statement(&self, sql: &str) -> Result<Statement, Error> {
        self.prepare(sql).await
    }
}

/// The writer's connection.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    prepared: Prepared,
    /// Dropped with the connection, which ends the session at once.
    _talking: Talking,
}

impl Connection {
    pub(super) fn new(client: Client, talking: Talking) -> Self {
        Self {
            client,
            prepared: Prepared::default(),
            _talking: talking,
        }
    }

    /// Begins a transaction; dropped without [`Transaction::commit`], it is rolled back.
    pub(super) async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(Transaction {
            transaction: self.client.transaction().await?,
            prepared: &self.prepared,
        })
    }
}

impl Queries for Connection {
    type Client = Client;

    fn client(&self) -> &Client {
        &self.client
    }

    async fn statement(&self, sql: &str) -> Result<Statement, Error> {
        self.prepared.statement(&self.client, sql).await
    }
}

/// A transaction, or a savepoint in one.
pub(super) struct Transaction<'connection> {
    transaction: tokio_postgres::Transaction<'connection>,
    prepared: &'connection Prepared,
}

impl<'connection> Queries for Transaction<'connection> {
    type Client = tokio_postgres::Transaction<'connection>;

    fn client(&self) -> &Self::Client {
        &self.transaction
    }

    async fn statement(&self, sql: &str) -> Result<Statement, Error> {
        self.prepared.statement(&self.transaction, sql).await
    }
}

impl Transaction<'_> {
    /// The rows one after the other, as they come.
    pub(super) async fn query_raw(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<RowStream, StoreError> {
        let run = async {
            let statement = self.statement(sql).await?;
            let parameters = parameters.iter().copied();
            self.transaction.query_raw(&statement, parameters).await
        };
        run.await.map_err(|error| of_statement(Some(sql), &error))
    }

    /// Statements without values, one after the other.
    pub(super) async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.transaction.batch_execute(sql).await
    }

    /// Where the rows of a `COPY … FROM STDIN` go.
    pub(super) async fn copy_in(&self, sql: &str) -> Result<CopyInSink<Bytes>, StoreError> {
        let run = async {
            let statement = self.statement(sql).await?;
            self.transaction.copy_in(&statement).await
        };
        run.await.map_err(|error| of_statement(Some(sql), &error))
    }

    /// A savepoint.
    pub(super) async fn savepoint(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(Transaction {
            transaction: self.transaction.transaction().await?,
            prepared: self.prepared,
        })
    }

    /// Makes everything last, or lets go of the savepoint.
    pub(super) async fn commit(self) -> Result<(), Error> {
        self.transaction.commit().await
    }

    /// Undoes everything, or everything since the savepoint.
    pub(super) async fn rollback(self) -> Result<(), Error> {
        self.transaction.rollback().await
    }
}
