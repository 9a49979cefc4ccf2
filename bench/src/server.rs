//! A private PostgreSQL server for one run of the benchmarks, with the settings of every embedded server.

use std::time::Duration;

use embedded_postgres::{EmbeddedPostgres, EmbeddedSettings};
use store::Writer;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::Trouble;
use crate::processes;

/// The server; its data folder is removed with it.
pub struct Server {
    postgres: EmbeddedPostgres,
    // Removes the folder when dropped.
    _folder: TempDir,
    databases: std::cell::Cell<u32>,
}

impl Server {
    /// Starts the server.
    ///
    /// # Errors
    /// Errors of the server.
    pub async fn start() -> Result<Self, Trouble> {
        let folder = TempDir::with_prefix("master_runner-bench-")?;
        let postgres = EmbeddedPostgres::start(&EmbeddedSettings {
            data_dir: folder.path().join("postgres"),
            bin_dir: None,
        })
        .await?;
        Ok(Self {
            postgres,
            _folder: folder,
            databases: std::cell::Cell::new(0),
        })
    }

    /// Stops the server.
    ///
    /// # Errors
    /// Errors of the server.
    pub async fn stop(self) -> Result<(), Trouble> {
        self.postgres.stop().await?;
        Ok(())
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// Errors of the server.
    pub async fn database(&self) -> Result<Database, Trouble> {
        let number = self.databases.get() + 1;
        self.databases.set(number);
        let name = format!("bench_{number}");
        let admin = self.postgres.connection_string();
        connect(&admin)
            .await?
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await?;
        Ok(Database {
            connection: format!("{admin} dbname={name}"),
            name,
        })
    }

    /// Drops a database to free its disk space.
    ///
    /// # Errors
    /// Errors of the server.
    pub async fn remove(&self, database: Database) -> Result<(), Trouble> {
        connect(&self.postgres.connection_string())
            .await?
            .batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", database.name))
            .await?;
        Ok(())
    }

    /// Processor time used so far by the server and its child processes.
    ///
    /// # Errors
    /// The server cannot be found.
    pub fn cpu(&self) -> Result<Duration, Trouble> {
        processes::cpu_of_server(self.postgres.data_dir())
    }
}

/// One database of the server.
pub struct Database {
    connection: String,
    name: String,
}

impl Database {
    /// Opens a session.
    ///
    /// # Errors
    /// Errors of the server.
    pub async fn connect(&self) -> Result<Client, Trouble> {
        connect(&self.connection).await
    }

    /// The value for `DATABASE_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.connection
    }

    /// Opens the writer, which creates all tables.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn writer(&self) -> Result<Writer, Trouble> {
        Ok(Writer::open(&self.connection, Duration::from_secs(10)).await?)
    }

    /// Runs CHECKPOINT, so that a measurement does not include the disk writes of earlier work.
    ///
    /// # Errors
    /// Errors of the server.
    pub async fn settle(&self) -> Result<(), Trouble> {
        self.connect().await?.batch_execute("CHECKPOINT").await?;
        Ok(())
    }
}

async fn connect(connection: &str) -> Result<Client, Trouble> {
    let (client, talking) = tokio_postgres::connect(connection, NoTls).await?;
    tokio::spawn(talking);
    Ok(client)
}
