//! Whether a transaction pooler stands between the program and the server (A8).
//!
//! Such a pooler gives every transaction whichever server process is idle. The advisory lock and the settings belong to a
//! server process: they would reach strangers, and the next transaction would run without them. Two sessions show it: while
//! one holds a transaction open, the other must still be served by the process that it had before.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::error::StoreError;

/// How often both sessions are looked at: between two looks, strangers may take the process that would show the pooler.
const LOOKS: usize = 3;
/// A server process that the other session holds is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(5);

const MEND: &str = "next: name the server itself in the database setting, not its pooler (PgBouncer: usually port 5432 in the place of 6432; Supabase: port 5432 in the place of 6543; Neon: the host name without `-pooler`), or set `pool_mode = session` for this database";

/// What the looks at both sessions have shown. Pure.
#[derive(Debug, Default)]
struct Seen {
    /// Server processes that served the first session.
    own: BTreeSet<i32>,
    /// Server processes that the second session held meanwhile.
    held: BTreeSet<i32>,
}

impl Seen {
    /// What it proves, if a pooler is proved.
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

/// Refuses what is reached through a pooler in transaction or statement mode. The second session must be unused. A question
/// without an answer proves nothing: whoever uses the session next meets the reason.
pub(super) async fn refuse(first: &Client, second: &Client) -> Result<(), StoreError> {
    let mut seen = Seen::default();
    for _ in 0..LOOKS {
        // Twice: a pooler that hands its server processes out in turn gives the second question another one.
        for _ in 0..2 {
            let Ok(Ok(own)) = timeout(PATIENCE, process(first)).await else {
                return Ok(());
            };
            seen.own.insert(own);
        }
        let held = match timeout(PATIENCE, hold(second)).await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) if refuses_transactions(&error) => {
                return Err(refusal("it takes no transaction of several statements"));
            }
            Ok(Err(_)) | Err(_) => return Ok(()),
        };
        let meanwhile = timeout(PATIENCE, process(first)).await;
        let released = timeout(PATIENCE, second.batch_execute("ROLLBACK")).await;
        let meanwhile = match meanwhile {
            Ok(Ok(meanwhile)) => meanwhile,
            Err(_) if matches!(released, Ok(Ok(()))) => {
                return Err(refusal(
                    "a session was not served while another had a transaction open",
                ));
            }
            Ok(Err(_)) | Err(_) => return Ok(()),
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
        "a connection pooler in transaction mode stands before the server ({proof}), and the runner's lock and settings need a session of their own; {MEND}"
    ))
}

/// PgBouncer in statement mode ends the session with these words.
fn refuses_transactions(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|error| error.message().contains("statement pooling"))
}

/// Opens a transaction; the server process that runs it. Poolers know the simple protocol alone for certain.
async fn hold(client: &Client) -> Result<i32, tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    process(client).await
}

/// The server process that answers.
async fn process(client: &Client) -> Result<i32, tokio_postgres::Error> {
    let messages = client.simple_query("SELECT pg_backend_pid()").await?;
    Ok(messages
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        })
        .unwrap_or_default())
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
