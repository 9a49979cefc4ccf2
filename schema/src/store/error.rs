//! What can go wrong between the runner and its database, told apart by what to do about it.

use tokio_postgres::error::SqlState;

use crate::failpoint::Injected;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The text in `database` is not a connection string.
    #[error(
        "the database setting is not a PostgreSQL URL or connection string: {0}; expected something like postgres://user@host/funds_db"
    )]
    BadConnectionString(String),
    /// The server answers, and refuses for good: wrong password, no such database, no permission.
    #[error(
        "the database refuses: {0}; nothing was changed; correct the database setting or its rights"
    )]
    Refused(String),
    /// O2: one runner at a time per database.
    #[error(
        "another runner holds this database ({who}); nothing was changed; wait for it or stop it, or start with --standby"
    )]
    AnotherRunner {
        /// Process, host and start of the holder, as far as the server tells.
        who: String,
    },
    /// O7: the database was migrated by a newer program.
    #[error(
        "the database has schema version {found}, this program knows up to {known}; nothing was changed; use the newer master_runner"
    )]
    NewerSchema {
        /// Version in the database.
        found: i32,
        /// Newest version of this program.
        known: i32,
    },
    /// A migration failed and was rolled back whole.
    #[error("the database could not be migrated: {0}; nothing was changed")]
    Migration(String),
    /// An older warehouse cannot be taken over as it stands.
    #[error("the existing tables cannot be adopted: {0}; nothing was changed")]
    Adoption(String),
    /// The database is away, restarting, overloaded or read-only: wait and repeat (A2).
    #[error("the database is not available: {0}")]
    Outage(String),
    /// A statement failed for its data (SQLSTATE class 22 or 23) where no single task is to blame.
    #[error("the database refuses a value: {0}; the transaction was rolled back")]
    BadData(String),
    /// The stored state contradicts itself, or the call does not fit it.
    #[error("the stored state is not as expected: {0}")]
    Inconsistent(String),
}

impl StoreError {
    /// Whether to wait and repeat with a new connection. Everything else stays as it is however long one waits.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Outage(_))
    }

    /// Whether a batch must be halved until the task that causes it is found (D6).
    #[must_use]
    pub const fn is_bad_data(&self) -> bool {
        matches!(self, Self::BadData(_))
    }
}

/// Data exception, integrity constraint violation, and program limit exceeded (a key too long for an index): repeating
/// helps in none of them.
const DATA_CLASSES: [&str; 3] = ["22", "23", "54"];

impl From<Injected> for StoreError {
    fn from(injected: Injected) -> Self {
        if injected.outage {
            Self::Outage(injected.to_string())
        } else {
            Self::Inconsistent(injected.to_string())
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    /// D6: what is the data's fault is found by halving the batch; any other class is an outage.
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) => {
                let text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
                if DATA_CLASSES.iter().any(|class| is_class(db.code(), class)) {
                    Self::BadData(text)
                } else {
                    Self::Outage(text)
                }
            }
            None => {
                // A value that does not fit the column it is read from or bound to stays so however long one waits.
                let text = error.to_string();
                if text.starts_with("error deserializing") || text.starts_with("error serializing")
                {
                    Self::Inconsistent(text)
                } else {
                    Self::Outage(text)
                }
            }
        }
    }
}

fn is_class(code: &SqlState, class: &str) -> bool {
    code.code().starts_with(class)
}
