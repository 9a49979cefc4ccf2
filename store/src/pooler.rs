//! Detects a transaction pooler between the program and the server (A8).
//!
//! Such a pooler assigns any idle server process to each transaction. The advisory lock and the settings belong to a
//! server process, so they would affect the sessions of other clients, and the runner's next transaction could run
//! without them. Two sessions reveal the pooler: while the first has a transaction open, the second must still be
//! served by its previous process.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::error::StoreError;

/// Number of checks. Between two checks, other clients may take the process that would reveal the pooler.
const LOOKS: usize = 3;
/// Time limit of each statement. A session without a pooler never waits for a process that the other session uses.
const PATIENCE: Duration = Duration::from_secs(5);

const MEND: &str = "next: name the server itself in the database setting, not its pooler (PgBouncer: usually port 5432 in the place of 6432; Supabase: port 5432 in the place of 6543; Neon: the host name without `-pooler`), or set `pool_mode = session` for this database";

/// The processes seen in the checks of both sessions. Pure.
#[derive(Debug, Default)]
struct Seen {
    /// Server processes that served the first session.
    own: BTreeSet<i32>,
    /// Server processes that the second session used during its transactions.
    held: BTreeSet<i32>,
}

impl Seen {
    /// Returns the evidence for a pooler, if there is any.
    fn proof(&self) -> Option<String> {
        if let Some(both) = self.own.intersection(&self.held).next() {
            return Some(format!("server process {both} has served two sessions"));
        }
        match *self.own.iter().copied().collect::<Vec<i32>>().as_slice() {
            [one, other, ..] => Some(format!(
                "one session was served by the server processes {one} and {other}"
            )),
            _ => None,
        }
    }
}

/// Refuses a connection through a pooler in transaction or statement mode. The second session must be unused. A query
/// without an answer proves nothing: the next statement of the session fails with the real reason.
pub(super) async fn refuse(first: &Client, second: &Client) -> Result<(), StoreError> {
    let mut seen = Seen::default();
    for _ in 0..LOOKS {
        // Twice, because a pooler that assigns its server processes in rotation gives the second query another process.
        for _ in 0..2 {
            let Ok(Ok(Some(own))) = timeout(PATIENCE, process(first)).await else {
                return Ok(());
            };
            seen.own.insert(own);
        }
        let held = match timeout(PATIENCE, hold(second)).await {
            Ok(Ok(Some(held))) => held,
            Ok(Err(error)) if refuses_transactions(&error) => {
                return Err(refusal("it takes no transaction of several statements"));
            }
            Ok(_) | Err(_) => return Ok(()),
        };
        let meanwhile = timeout(PATIENCE, process(first)).await;
        let released = timeout(PATIENCE, second.batch_execute("ROLLBACK")).await;
        let meanwhile = match meanwhile {
            Ok(Ok(Some(meanwhile))) => meanwhile,
            Err(_) if matches!(released, Ok(Ok(()))) => {
                return Err(refusal(
                    "a session was not served while another had a transaction open",
                ));
            }
            Ok(_) | Err(_) => return Ok(()),
        };
        seen.own.insert(meanwhile);
        seen.held.insert(held);
        if let Some(proof) = seen.proof() {
            return Err(refusal(&proof));
        }
    }
    Ok(())
}

fn refusal(proof: &str) -> StoreError {
    StoreError::Unfit(format!(
        "a connection pooler in transaction mode is in front of the server ({proof}), and the runner's lock and settings need a session of their own; {MEND}"
    ))
}

/// Whether PgBouncer in statement mode ended the session. The message identifies it.
fn refuses_transactions(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|error| error.message().contains("statement pooling"))
}

/// Opens a transaction and returns the process id of its server process. Only the simple protocol works with every
/// pooler.
async fn hold(client: &Client) -> Result<Option<i32>, tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    process(client).await
}

/// Returns the id of the server process that answers.
async fn process(client: &Client) -> Result<Option<i32>, tokio_postgres::Error> {
    let messages = client.simple_query("SELECT pg_backend_pid()").await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pooler_is_proved_by_processes_that_change_or_are_shared() {
        let proof = |own: &[i32], held: &[i32]| {
            let seen = Seen {
                own: own.iter().copied().collect(),
                held: held.iter().copied().collect(),
            };
            seen.proof()
        };
        assert_eq!(proof(&[], &[]), None);
        assert_eq!(proof(&[7], &[8]), None);
        let shared = proof(&[7], &[7]).unwrap_or_default();
        assert!(
            shared.contains("server process 7 has served two"),
            "{shared}"
        );
        let changed = proof(&[7, 9], &[8]).unwrap_or_default();
        assert!(changed.contains("processes 7 and 9"), "{changed}");
    }
}
