//! `runner.request`: changes of data that a command requests (`remerge`, `reset-source`, `accept`). All of them are
//! applied in the same way, whether or not a runner holds the database.
//!
//! ```text
//! command ── no holder ──> takes the lock, applies its request, releases the lock
//!    │
//!    └── a runner holds it ──> RequestDesk::place ──> runner.request ──> Writer::answer_requests (the holder's loader)
//!                                                        └── RequestDesk::answer (polled by the command) <──┘
//! ```
//!
//! A request is applied and marked in one transaction on the writer's connection. It is therefore applied exactly once,
//! even if the command or the runner dies. A new command is one more variant of [`ChangeRequest`].

use deadpool_postgres::ClientWrapper;
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use schema::precedence::Precedence;
use schema::{SourceName, failpoint};

use super::connection::{Queries as _, Transaction};
use super::counted;
use super::doubts;
use super::error::StoreError;
use super::report::BreachReport;
use super::session;
use super::{remerge, resets};

/// Number of answered requests that are kept, the newest first.
const KEPT: i64 = 1_000;

/// A change of data that a command requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeRequest {
    /// Derives the rows of the fund tables again by the ranks in force (D4).
    Remerge,
    /// Deletes what is known about a source's pages, so that the next cycle reads all of them in full.
    ResetSource(SourceName),
    /// Accepts a mass change that was refused, by the number of its breach (D11).
    Accept(i64),
}

/// The result of applying a request.
pub(super) enum Applied {
    /// The request was applied. The sentence describes what changed.
    Done(String),
    /// The request does not fit the stored data. Nothing was changed.
    Refused(String),
}

impl ChangeRequest {
    /// The command as it is typed, and as it is stored in `runner.request`.
    #[must_use]
    pub const fn command(&self) -> &'static str {
        match self {
            Self::Remerge => "remerge",
            Self::ResetSource(_) => "reset-source",
            Self::Accept(_) => "accept",
        }
    }

    /// Every command, for the error message about an unknown one.
    const COMMANDS: [&str; 3] = ["remerge", "reset-source", "accept"];

    fn arguments(&self) -> Value {
        match self {
            Self::Remerge => json!({}),
            Self::ResetSource(source) => json!({ "source": source.as_str() }),
            Self::Accept(breach_id) => json!({ "breach_id": breach_id }),
        }
    }

    /// Parses a row of `runner.request`, which any user with the right may have written.
    ///
    /// # Errors
    /// A sentence: this version does not know the command, or an argument is missing or invalid.
    fn read(command: &str, arguments: &Value) -> Result<Self, String> {
        match command {
            "remerge" => Ok(Self::Remerge),
            "reset-source" => {
                let found = &arguments["source"];
                found
                    .as_str()
                    .and_then(|name| name.parse().ok())
                    .map(Self::ResetSource)
                    .ok_or_else(|| {
                        format!(
                            "reset-source: expected the argument `source` to name a source ({}), found {found}; nothing was changed",
                            names(SourceName::ALL.iter().map(|source| source.as_str()))
                        )
                    })
            }
            "accept" => {
                let found = &arguments["breach_id"];
                found.as_i64().map(Self::Accept).ok_or_else(|| {
                    format!(
                        "accept: expected the argument `breach_id` to be the number of a breach, found {found}; nothing was changed"
                    )
                })
            }
            unknown => Err(format!(
                "the runner that holds the database does not know the command `{unknown}`, it knows {}; nothing was changed; a newer version may know it",
                names(Self::COMMANDS)
            )),
        }
    }

    async fn apply(
        &self,
        tx: &Transaction<'_>,
        precedence: &Precedence,
    ) -> Result<Applied, StoreError> {
        Ok(Applied::Done(match self {
            Self::Remerge => remerged(remerge::all(tx, precedence).await?),
            Self::ResetSource(source) => {
                let reset = resets::reset(tx, *source).await?;
                reset_answer(*source, reset)
            }
            Self::Accept(breach_id) => match doubts::accept(tx, *breach_id).await? {
                Some(breach) => accepted(&breach),
                None => return Ok(Applied::Refused(no_such_breach(*breach_id))),
            },
        }))
    }
}

fn names<'name>(all: impl IntoIterator<Item = &'name str>) -> String {
    all.into_iter().collect::<Vec<_>>().join(", ")
}

fn remerged(changed: u64) -> String {
    let found = match changed {
        0 => "every row was right; no row was written".to_owned(),
        1 => "1 row differed and was corrected".to_owned(),
        rows => format!("{rows} rows differed and were corrected"),
    };
    format!("The rows were merged again from what the sources reported: {found}.")
}

fn accepted(breach: &BreachReport) -> String {
    format!(
        "Breach {} of {} is accepted: the next cycle that reads this page takes the change, and every later one is compared with it. Nothing was fetched. `master_runner --once` requests the refused pages now. It was: {}",
        breach.id, breach.source, breach.message
    )
}

fn no_such_breach(breach_id: i64) -> String {
    format!(
        "no open breach has the number {breach_id}: it was accepted before, or the site recovered; nothing was changed; `master_runner status` lists the open ones"
    )
}

fn reset_answer(source: SourceName, reset: resets::Reset) -> String {
    let resets::Reset { pages, after_cycle } = reset;
    if pages == 0 {
        return format!("Nothing is known of {source} yet; nothing was changed.");
    }
    let when = if after_cycle {
        "once the open cycle has closed, and the cycle after it"
    } else {
        "and the next cycle"
    };
    format!(
        "Payload hashes, ranges and list sizes of {pages} pages of {source} are forgotten {when} reads these pages in full. No row of the warehouse was touched. `master_runner --once --cycle monthly --only {source}` reads all of them now."
    )
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestAnswer {
    /// Whether the request was applied. If not, nothing was changed.
    pub is_done: bool,
    /// One sentence for the person who made the request.
    pub answer: String,
}

/// A request that the holder of the database has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredRequest {
    /// The number of the request.
    pub id: i64,
    /// The command, as it was written.
    pub command: String,
    /// User, host and process of the command.
    pub requested_by: String,
    /// The answer.
    pub answer: RequestAnswer,
}

/// Whether any request is waiting. This is one short statement, because the holder polls it often.
pub(super) async fn any_waits(client: &super::connection::Connection) -> Result<bool, StoreError> {
    let row = client
        .query_one(
            "SELECT EXISTS (SELECT FROM runner.request WHERE state = 'waiting')",
            &[],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Applies and marks the oldest waiting request in this transaction.
///
/// # Errors
/// An outage, or an error that waiting cannot fix; nothing was changed then. If the database refuses the change itself,
/// that is the request's answer and not an error.
pub(super) async fn answer_oldest(
    tx: &mut Transaction<'_>,
    precedence: &Precedence,
) -> Result<Option<AnsweredRequest>, StoreError> {
    failpoint::REQUEST_OPENED.pass().await?;
    let row = tx
        .query_opt(
            "SELECT id, command, arguments, requested_by FROM runner.request
             WHERE state = 'waiting' ORDER BY id LIMIT 1 FOR UPDATE",
            &[],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    answer_row(tx, precedence, &row).await.map(Some)
}

/// Writes and applies a request in this transaction, for a command that holds the lock itself. If a request of this
/// `requested_by` was already answered, it is not applied again.
pub(super) async fn place_and_answer(
    tx: &mut Transaction<'_>,
    precedence: &Precedence,
    change: &ChangeRequest,
    requested_by: &str,
) -> Result<RequestAnswer, StoreError> {
    let answered = tx
        .query_opt(
            "SELECT id FROM runner.request
             WHERE requested_by = $1 AND command = $2 AND state <> 'waiting' LIMIT 1",
            &[&requested_by, &change.command()],
        )
        .await?;
    if let Some(row) = answered
        && let Some(answer) = read_answer(tx, row.try_get(0)?).await?
    {
        return Ok(answer);
    }
    let row = tx
        .write_one(
            "runner.request",
            "INSERT INTO runner.request (command, arguments, requested_by) VALUES ($1, $2, $3)
             RETURNING id, command, arguments, requested_by",
            &[&change.command(), &change.arguments(), &requested_by],
        )
        .await?;
    Ok(answer_row(tx, precedence, &row).await?.answer)
}

async fn answer_row(
    tx: &mut Transaction<'_>,
    precedence: &Precedence,
    row: &Row,
) -> Result<AnsweredRequest, StoreError> {
    let (id, command, arguments, requested_by): (i64, String, Value, String) = (
        row.try_get(0)?,
        row.try_get(1)?,
        row.try_get(2)?,
        row.try_get(3)?,
    );
    let (state, answer) = match ChangeRequest::read(&command, &arguments) {
        Err(why) => ("refused", why),
        Ok(change) => apply(tx, precedence, &change).await?,
    };
    failpoint::REQUEST_WRITTEN.pass().await?;
    tx.execute_expecting(
        "runner.request",
        1,
        "UPDATE runner.request SET state = $2, answer = $3, answered_at = now() WHERE id = $1",
        &[&id, &state, &answer],
    )
    .await?;
    Ok(AnsweredRequest {
        id,
        command,
        requested_by,
        answer: RequestAnswer {
            is_done: state == "done",
            answer,
        },
    })
}

/// Applies a change completely or not at all. Returns the state and the answer of the request.
async fn apply(
    tx: &mut Transaction<'_>,
    precedence: &Precedence,
    change: &ChangeRequest,
) -> Result<(&'static str, String), StoreError> {
    let savepoint = tx.savepoint().await?;
    savepoint.batch_execute(session::WHOLE_TABLES).await?;
    match change.apply(&savepoint, precedence).await {
        Ok(Applied::Done(answer)) => {
            savepoint.commit().await?;
            Ok(("done", answer))
        }
        Ok(Applied::Refused(why)) => {
            savepoint.rollback().await?;
            Ok(("refused", why))
        }
        Err(error) if error.is_outage() => Err(error),
        Err(error) => {
            savepoint.rollback().await?;
            Ok((
                "failed",
                format!("{}: {error}; nothing was changed", change.command()),
            ))
        }
    }
}

/// Deletes old answered requests (O6).
pub(super) async fn forget_old(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute_counted(
        "runner.request",
        &counted::delete(
            "runner.request",
            "",
            "t.state <> 'waiting' AND t.id <= (
                 SELECT id FROM runner.request WHERE state <> 'waiting' ORDER BY id DESC OFFSET $1 LIMIT 1)",
        ),
        &[&KEPT],
    )
    .await?;
    Ok(())
}

/// The command's side of a request: writes the request for the holder of the database and reads the answer. It holds no
/// lock.
#[derive(Debug)]
pub struct RequestDesk {
    client: ClientWrapper,
}

impl RequestDesk {
    /// Connects.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix: see [`StoreError::is_outage`].
    pub async fn open(database: &str) -> Result<Self, StoreError> {
        let mut config = session::read_config(database)?;
        config
            .config_mut()
            .application_name("master_runner request");
        Ok(Self {
            client: session::connect(&config).await?,
        })
    }

    /// Writes the request once per `requested_by`, so that it is found again after a lost connection. Returns its
    /// number; `None` if the schema of the holder is older than `runner.request`.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a role without the right to write: see
    /// [`StoreError::is_outage`].
    pub async fn place(
        &self,
        change: &ChangeRequest,
        requested_by: &str,
    ) -> Result<Option<i64>, StoreError> {
        let placed = self
            .client
            .query_one(
                "WITH placed AS (
                     INSERT INTO runner.request (command, arguments, requested_by)
                     SELECT $1, $2, $3
                     WHERE NOT EXISTS (SELECT FROM runner.request WHERE requested_by = $3 AND command = $1)
                     RETURNING id)
                 SELECT id FROM placed
                 UNION ALL SELECT id FROM runner.request WHERE requested_by = $3 AND command = $1",
                &[&change.command(), &change.arguments(), &requested_by],
            )
            .await;
        match placed {
            Ok(row) => Ok(Some(row.try_get(0)?)),
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                Err(session::refusal(&error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the answer, if there is one.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused statement: see [`StoreError::is_outage`].
    pub async fn answer(&self, id: i64) -> Result<Option<RequestAnswer>, StoreError> {
        read_answer(&*self.client, id).await
    }

    /// Returns the session that holds the runner's lock, if any.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused statement: see [`StoreError::is_outage`].
    pub async fn holder(&self) -> Result<Option<String>, StoreError> {
        session::holder(&self.client).await
    }
}

/// Returns the answer to a request, if there is one.
pub(super) async fn read_answer(
    client: &impl super::connection::Queries,
    id: i64,
) -> Result<Option<RequestAnswer>, StoreError> {
    let row = client
        .query_opt(
            "SELECT state, answer FROM runner.request WHERE id = $1 AND state <> 'waiting'",
            &[&id],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let state: String = row.try_get(0)?;
    Ok(Some(RequestAnswer {
        is_done: state == "done",
        answer: row.try_get(1)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_read_as_it_was_written() {
        let requests = [
            ChangeRequest::Remerge,
            ChangeRequest::ResetSource(SourceName::Wealthmagik),
            ChangeRequest::ResetSource(SourceName::SecFundcheck),
        ];
        for request in requests {
            let read = ChangeRequest::read(request.command(), &request.arguments());
            assert_eq!(read, Ok(request));
            assert!(ChangeRequest::COMMANDS.contains(&request.command()));
        }
    }

    #[test]
    fn a_request_that_cannot_be_read_is_refused_with_what_was_expected() {
        for (command, arguments, words) in [
            (
                "DROP TABLE",
                json!({}),
                "does not know the command `DROP TABLE`, it knows remerge, reset-source",
            ),
            ("Remerge", json!({}), "does not know the command `Remerge`"),
            ("reset-source", json!({}), "found null"),
            (
                "reset-source",
                json!({ "source": "bloomberg" }),
                "(finnomena, wealthmagik, sec_fundcheck",
            ),
            ("reset-source", json!({ "source": 7 }), "found 7"),
            ("reset-source", json!(["finnomena"]), "found null"),
            ("reset-source", json!("finnomena"), "found null"),
        ] {
            let why = ChangeRequest::read(command, &arguments).unwrap_err();
            assert!(why.contains(words), "{why}");
            assert!(why.contains("nothing was changed"), "{why}");
        }
    }

    #[test]
    fn the_answer_states_what_changed() {
        for (changed, words) in [
            (0, "no row was written"),
            (1, "1 row differed"),
            (7, "7 rows"),
        ] {
            assert!(remerged(changed).contains(words));
        }
        let reset = |pages, after_cycle| {
            reset_answer(SourceName::Finnomena, resets::Reset { pages, after_cycle })
        };
        assert!(reset(0, false).contains("nothing was changed"));
        assert!(
            reset(12, false).contains("12 pages of finnomena are forgotten and the next cycle")
        );
        assert!(reset(12, true).contains("once the open cycle has closed"));
    }
}
