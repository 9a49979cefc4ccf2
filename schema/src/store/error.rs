//! What can go wrong between the runner and its database, told apart by what to do about it.

use tokio_postgres::error::{DbError, SqlState};

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
    /// The connection string asks for an encrypted connection.
    #[error(
        "the database setting asks for TLS (sslmode=require), which master_runner does not speak; nothing was changed; use sslmode=disable over a unix socket, a private network or a tunnel"
    )]
    TlsWanted,
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
    /// Another session was in the way (deadlock, serialisation, a lock that is held too long) or the statement took too
    /// long: the server has undone the transaction whole, and its session, with the lock, is as good as before.
    #[error("the database has undone the transaction: {0}")]
    Undone(String),
    /// A statement failed for its data (SQLSTATE class 22 or 23) where no single task is to blame.
    #[error("the database refuses a value: {0}; the transaction was rolled back")]
    BadData(String),
    /// The stored state contradicts itself, or the call does not fit it.
    #[error("the stored state is not as expected: {0}")]
    Inconsistent(String),
}

impl StoreError {
    /// Whether to wait and repeat. Everything else stays as it is however long one waits.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Outage(_) | Self::Undone(_))
    }

    /// Whether the session that met the error can be used again: then the advisory lock is kept (A8).
    #[must_use]
    pub const fn keeps_session(&self) -> bool {
        matches!(self, Self::Undone(_))
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
    /// D6: what is the data's fault is found by halving the batch; any other class is waited out.
    fn from(error: tokio_postgres::Error) -> Self {
        let text = with_causes(&error);
        let Some(db) = error.as_db_error() else {
            // A value that does not fit the column it is read from or bound to stays so however long one waits.
            let misfit =
                text.starts_with("error deserializing") || text.starts_with("error serializing");
            return if misfit {
                Self::Inconsistent(text)
            } else {
                Self::Outage(text)
            };
        };
        let text = said(db);
        if DATA_CLASSES.iter().any(|class| is_class(db.code(), class)) {
            Self::BadData(text)
        } else if is_undone(db.code()) {
            Self::Undone(text)
        } else {
            Self::Outage(text)
        }
    }
}

/// The server's words, its SQLSTATE, and what to do about it where that is known.
pub(super) fn said(db: &DbError) -> String {
    let advice = advice(db.code())
        .map(|advice| format!("; {advice}"))
        .unwrap_or_default();
    format!("{} (SQLSTATE {}){advice}", db.message(), db.code().code())
}

/// An error with its causes, each said once.
pub(super) fn with_causes(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

fn is_class(code: &SqlState, class: &str) -> bool {
    code.code().starts_with(class)
}

/// Transaction rollback (deadlock, serialisation), a lock that did not come, a statement that was cancelled; or any of
/// them met by the end of a prepared statement, whose answer nobody waits for: the next statement finds the transaction
/// aborted.
fn is_undone(code: &SqlState) -> bool {
    is_class(code, "40")
        || [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
            SqlState::IN_FAILED_SQL_TRANSACTION,
        ]
        .contains(code)
}

/// Whether the state of the server, not what was asked of it, is the cause: connection, resources, operator, system,
/// other sessions, a server that only reads.
pub(super) fn is_passing(code: &SqlState) -> bool {
    ["08", "53", "57", "58"]
        .iter()
        .any(|class| is_class(code, class))
        || is_undone(code)
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
}

/// What the operator can do about a state that lasts.
fn advice(code: &SqlState) -> Option<&'static str> {
    let known = [
        (SqlState::DISK_FULL, "free space on the server's disk"),
        (
            SqlState::TOO_MANY_CONNECTIONS,
            "end sessions or raise max_connections",
        ),
        (
            SqlState::OUT_OF_MEMORY,
            "the server needs more memory or fewer sessions",
        ),
        (
            SqlState::READ_ONLY_SQL_TRANSACTION,
            "the server only reads at present: a standby, or default_transaction_read_only is on",
        ),
        (
            SqlState::T_R_DEADLOCK_DETECTED,
            "another session locks the same tables in another order",
        ),
        (
            SqlState::LOCK_NOT_AVAILABLE,
            "another session holds a lock on a table of the warehouse: pg_locks names it",
        ),
        (
            SqlState::QUERY_CANCELED,
            "a statement took too long (a slow disk, a lock) or was cancelled by hand",
        ),
        (
            SqlState::INSUFFICIENT_PRIVILEGE,
            "give the role its rights back",
        ),
    ];
    known
        .into_iter()
        .find_map(|(state, advice)| (state == *code).then_some(advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_or_others_cause_is_passing_and_only_an_undone_transaction_keeps_the_session()
    {
        for (code, passing, undone) in [
            ("08006", true, false),
            ("25006", true, false),
            ("25P02", true, true),
            ("40001", true, true),
            ("40P01", true, true),
            ("53100", true, false),
            ("53200", true, false),
            ("53300", true, false),
            ("55P03", true, true),
            ("57014", true, true),
            ("57P01", true, false),
            ("57P03", true, false),
            ("58030", true, false),
            ("42P01", false, false),
            ("42501", false, false),
            ("22003", false, false),
            ("23505", false, false),
        ] {
            let code = SqlState::from_code(code);
            assert_eq!(is_passing(&code), passing, "{code:?}");
            assert_eq!(is_undone(&code), undone, "{code:?}");
        }
    }
}
