//! Errors between the runner and its database, classified by what to do about them.

use tokio_postgres::error::{DbError, Severity, SqlState};

use schema::failpoint::Injected;

/// Why the store could not complete a call.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The text in `database` is not a connection string.
    #[error("the database setting cannot be used: {0}")]
    BadConnectionString(String),
    /// The server answers and refuses permanently: wrong password, no such database, no permission.
    #[error(
        "the database refuses: {0}; nothing was changed; correct the database setting or its rights"
    )]
    Refused(String),
    /// Another runner holds the lock: a database has one runner at a time (O2).
    #[error(
        "another runner holds this database ({who}); nothing was changed; wait for it or stop it, or start with --standby"
    )]
    AnotherRunner {
        /// Process, host and start of the holder, as far as the server reports them.
        who: String,
    },
    /// The database was migrated by a newer program (O7).
    #[error(
        "the database has schema version {found}, this program knows up to {known}; nothing was changed; use the newer master_runner"
    )]
    NewerSchema {
        /// Version in the database.
        found: i32,
        /// Newest version of this program.
        known: i32,
    },
    /// The database lacks something that the runner needs; waiting cannot fix it (O9).
    #[error("the database cannot be used as it is: {0}; nothing was changed")]
    Unfit(String),
    /// A migration failed and was rolled back completely.
    #[error("the database could not be migrated: {0}; nothing was changed")]
    Migration(String),
    /// An existing warehouse cannot be taken over as it is.
    #[error("the existing tables cannot be adopted: {0}; nothing was changed")]
    Adoption(String),
    /// The database is unreachable, restarting, overloaded or read-only: wait and repeat (A2).
    #[error("the database is not available: {0}")]
    Outage(String),
    /// The server has rolled the transaction back, because of another session (deadlock, serialisation, lock timeout)
    /// or because the statement took too long. The session, and with it the lock, can still be used.
    #[error("the database has undone the transaction: {0}")]
    Undone(String),
    /// A statement failed because of its data (SQLSTATE class 22 or 23), and no single task causes it.
    #[error("the database refuses a value: {0}; the transaction was rolled back")]
    BadData(DataRefusal),
    /// The server refuses a statement, and will refuse it again however long the runner waits (A2).
    #[error(
        "the database refuses a statement that the runner needs: {0}; the transaction was rolled back, what was committed before is safe"
    )]
    Permanent(String),
    /// A statement wrote another number of rows than expected, for example because a trigger or rule of the database
    /// dropped rows (D12).
    #[error(
        "the table {table} did not take what was written: expected {expected} rows, the server reports {found}; a trigger that returns NULL, a rule or a row security policy on {table} drops rows; the transaction was rolled back, what was committed before is safe; next: find it with `\\d {table}` in `master_runner psql`, drop or correct it, and start again"
    )]
    RowsMissing {
        /// The table, with its schema.
        table: String,
        /// Rows that the statement should have written.
        expected: u64,
        /// Rows that the server reports.
        found: u64,
    },
    /// The stored state contradicts itself, or the call does not fit it.
    #[error("the stored state is not as expected: {0}")]
    Inconsistent(String),
}

impl StoreError {
    /// Whether the caller should wait and repeat the call. Waiting does not fix any other error.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Outage(_) | Self::Undone(_))
    }

    /// Whether the session can still be used after the error, which keeps the advisory lock (A8).
    #[must_use]
    pub const fn keeps_session(&self) -> bool {
        matches!(self, Self::Undone(_))
    }

    /// Whether the batch must be halved until the task that causes the error is found (D6).
    #[must_use]
    pub const fn is_bad_data(&self) -> bool {
        matches!(self, Self::BadData(_))
    }
}

/// Why the server refuses the data of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRefusal {
    /// The server's message with the SQLSTATE.
    pub why: String,
    /// The constraint that refuses the data, as `NAME on SCHEMA.TABLE`, or `NOT NULL of COLUMN on SCHEMA.TABLE`. `None`
    /// if the value itself is invalid.
    pub constraint: Option<String>,
}

impl std::fmt::Display for DataRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl DataRefusal {
    fn of(db: &DbError) -> Self {
        let named = |what: &str, table: &str| {
            let schema = db.schema().unwrap_or("public");
            format!("{what} on {schema}.{table}")
        };
        let constraint = match (db.constraint(), db.table(), db.column()) {
            _ if !is_class(db.code(), "23") => None,
            (Some(constraint), Some(table), _) => Some(named(constraint, table)),
            (None, Some(table), Some(column)) => {
                Some(named(&format!("NOT NULL of {column}"), table))
            }
            _ => None,
        };
        Self {
            why: said(db),
            constraint,
        }
    }
}

/// The consequence of an SQLSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The data of a batch is the cause: the batch is halved (D6).
    Data,
    /// The server has rolled the transaction back; the session can still be used.
    Undone,
    /// The state of the server is the cause, or the session has ended: wait, then open another session.
    Passing,
    /// Waiting does not help, and no single task is the cause: the run ends.
    Permanent,
}

/// Classifies an SQLSTATE. This is the only place for that decision.
///
/// - Classes 22 and 23 are data. So is 54000, which the server reports for a value that is too long for an index: it is
///   the value of one task. The other codes of class 54 concern the statement or the table.
/// - 25P02 occurs if an earlier statement failed and its answer was not awaited. Repeating the transaction shows the
///   cause.
/// - 26000 and 42P05 concern prepared statements, which a new session prepares again.
pub(super) fn class_of(code: &SqlState) -> Class {
    let undone = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::IN_FAILED_SQL_TRANSACTION,
    ];
    let passing = [
        SqlState::IO_ERROR,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::DUPLICATE_PSTATEMENT,
    ];
    let of = |classes: &[&str]| classes.iter().any(|class| is_class(code, class));
    if of(&["22", "23"]) || *code == SqlState::PROGRAM_LIMIT_EXCEEDED {
        Class::Data
    } else if of(&["40"]) || undone.contains(code) {
        Class::Undone
    } else if of(&["08", "53", "55", "57"]) || passing.contains(code) {
        Class::Passing
    } else {
        Class::Permanent
    }
}

/// Classifies an error of the server. A FATAL error has ended the session, whatever its code. A cached plan that no
/// longer fits its table is prepared again by a new session.
fn class_of_error(db: &DbError) -> Class {
    let ended = matches!(
        db.parsed_severity(),
        Some(Severity::Fatal | Severity::Panic)
    );
    let stale_plan = db.routine() == Some("RevalidateCachedQuery");
    match class_of(db.code()) {
        Class::Permanent if ended || stale_plan => Class::Passing,
        class => class,
    }
}

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
    fn from(error: tokio_postgres::Error) -> Self {
        of_statement(None, &error)
    }
}

/// Converts an error of the client library or the server. `statement` is the SQL text for the message.
pub(super) fn of_statement(statement: Option<&str>, error: &tokio_postgres::Error) -> StoreError {
    let Some(db) = error.as_db_error() else {
        let text = with_causes(error);
        // A value that does not fit its column or parameter type: waiting cannot fix it.
        let misfit = text.starts_with("error deserializing")
            || text.starts_with("error serializing")
            || text.starts_with("query returned an unexpected number");
        return if misfit {
            StoreError::Permanent(format!(
                "{text}{}; {COMPARE}",
                statement.map(in_statement).unwrap_or_default()
            ))
        } else {
            StoreError::Outage(text)
        };
    };
    match class_of_error(db) {
        Class::Data => StoreError::BadData(DataRefusal::of(db)),
        Class::Undone => StoreError::Undone(said(db)),
        Class::Passing => StoreError::Outage(said(db)),
        Class::Permanent => StoreError::Permanent(permanent(statement, db)),
    }
}

/// The command that names every difference between the tables and what this version expects.
const COMPARE: &str = "next: `master_runner check` names the table, column or key that differs and the statement that corrects it";

/// Largest length of a statement in an error message, in characters.
const STATEMENT_CHARS: usize = 120;

fn in_statement(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let text = words.join(" ");
    let mut shown: String = text.chars().take(STATEMENT_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!(" in the statement `{shown}`")
}

fn permanent(statement: Option<&str>, db: &DbError) -> String {
    let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
    if let Some(table) = db.table() {
        text.push_str(&format!(
            ", table {}.{table}",
            db.schema().unwrap_or("public")
        ));
    }
    if let Some(column) = db.column() {
        text.push_str(&format!(", column {column}"));
    }
    if let Some(context) = db.where_() {
        text.push_str(&format!(
            ", raised in {}",
            context.lines().next().unwrap_or_default()
        ));
    }
    if let Some(statement) = statement {
        text.push_str(&in_statement(statement));
    }
    format!("{text}; {}", mend(db.code()))
}

/// Advice to the operator about a permanent refusal.
fn mend(code: &SqlState) -> &'static str {
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        "next: `master_runner check` names the GRANT lines that are missing"
    } else if is_class(code, "P0") {
        "next: a trigger or function of the database raises this; correct or drop it"
    } else if is_class(code, "XX") || is_class(code, "58") {
        "next: read the server's log; if it reports damaged files, restore from a backup"
    } else {
        COMPARE
    }
}

/// The server's message, its SQLSTATE and, for some codes, advice.
pub(super) fn said(db: &DbError) -> String {
    let advice = advice(db.code())
        .map(|advice| format!("; {advice}"))
        .unwrap_or_default();
    format!("{} (SQLSTATE {}){advice}", db.message(), db.code().code())
}

/// An error with its causes, without repeating equal texts.
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

/// Whether waiting helps: the transaction was rolled back, or the state of the server is the cause.
fn is_passing(code: &SqlState) -> bool {
    matches!(class_of(code), Class::Undone | Class::Passing)
}

/// Advice to the operator about a state of the server that lasts.
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
    ];
    known
        .into_iter()
        .find_map(|(state, advice)| (state == *code).then_some(advice))
}

/// Converts the error of a migration. A refused statement would be refused again; a temporary error is an outage.
pub(super) fn of_migration(error: tokio_postgres::Error) -> StoreError {
    match error.as_db_error() {
        Some(db) if !is_passing(db.code()) => {
            let hint = db
                .hint()
                .map(|hint| format!(" ({hint})"))
                .unwrap_or_default();
            StoreError::Migration(format!("{}{hint}", db.message()))
        }
        _ => StoreError::from(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A2, D6: the SQLSTATE decides the consequence.
    #[test]
    fn sqlstate_decides_between_halving_waiting_and_ending() {
        use Class::{Data, Passing, Permanent, Undone};
        for (code, class) in [
            ("08006", Passing),
            ("25006", Passing),
            ("25P02", Undone),
            ("26000", Passing),
            ("40001", Undone),
            ("40P01", Undone),
            ("53100", Passing),
            ("53200", Passing),
            ("53300", Passing),
            ("55000", Passing),
            ("55006", Passing),
            ("55P03", Undone),
            ("57014", Undone),
            ("57P01", Passing),
            ("57P03", Passing),
            ("58030", Passing),
            ("22003", Data),
            ("22P05", Data),
            ("23505", Data),
            ("23514", Data),
            ("54000", Data),
            ("0A000", Permanent),
            ("25001", Permanent),
            ("42501", Permanent),
            ("42703", Permanent),
            ("42P01", Permanent),
            ("42P10", Permanent),
            ("42804", Permanent),
            ("44000", Permanent),
            ("54001", Permanent),
            ("54011", Permanent),
            ("58P01", Permanent),
            ("P0001", Permanent),
            ("XX000", Permanent),
            ("XX001", Permanent),
        ] {
            assert_eq!(class_of(&SqlState::from_code(code)), class, "{code}");
        }
    }
}
