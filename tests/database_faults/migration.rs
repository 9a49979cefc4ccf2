//! The migration of a new warehouse, interrupted at each statement: the next start completes it.

use std::time::Duration;

use store::Writer;

use super::sweep::place;
use crate::world::extent::is_full;
use crate::world::{Act, Database, DatabaseProxy};

const PATIENCE: Duration = Duration::from_secs(10);

/// The name and kind of every object of the warehouse.
async fn objects(database: &Database) -> Vec<simulator::Row> {
    database
        .ask(
            "SELECT n.nspname, c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname IN ('public', 'runner', 'history') ORDER BY 1, 2, 3",
        )
        .await
}

/// Waits until the runner's last session has ended and released the lock, because the next start requests the lock only
/// once.
async fn until_alone(database: &Database) {
    let sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'master_runner' AND datname = current_database()";
    while !database.ask(sessions).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// An undisturbed migration: its statements and the objects that it creates.
struct Opening {
    statements: Vec<String>,
    objects: Vec<simulator::Row>,
}

/// Interrupts the migration at these of its statements, one start after the other, without a fault in the last start.
/// Returns the number of interrupted starts.
async fn interrupted(act: Act, chosen: &[usize], expected: &Opening) -> usize {
    let mut database = Database::create().await;
    let mut met = 0;
    for chosen in chosen {
        let (text, earlier) = place(&expected.statements, *chosen);
        let proxy = DatabaseProxy::before(&database.url()).await;
        let fault = text.clone();
        proxy.rule(move |asked| (asked.text == fault && asked.earlier == earlier).then_some(act));
        let opened = Writer::open(&proxy.url(), PATIENCE).await;
        // The end of a prepared statement is sent only if its session still exists.
        let acts = proxy.acts().len();
        assert!(
            acts == 1 || text == "close" && acts == 0,
            "{act:?} at {text} came by {acts} times"
        );
        met += acts;
        match opened {
            // These settings are optional on a server.
            Ok(writer) => {
                let optional = text.contains("client_connection_check_interval")
                    || text.contains("idle_session_timeout");
                // The runner does not wait for the end of a prepared statement: the next use of the session, if there
                // is one before the opening ends, meets the broken connection.
                let unawaited = text == "close";
                // This statement detects a pooler in front of the server. Without an answer, no pooler is assumed.
                let of_the_pooler =
                    ["BEGIN", "ROLLBACK", "SELECT pg_backend_pid()"].contains(&text.as_str());
                assert!(
                    of_the_pooler || unawaited || optional && act != Act::CutBefore,
                    "{act:?} at {text}"
                );
                drop(writer);
            }
            Err(error) => assert!(error.is_outage(), "{act:?} at {text}: {error:?}"),
        }
        until_alone(&database).await;
        let made = objects(&database).await;
        if !made.is_empty() {
            assert_eq!(made, expected.objects, "half of it; {act:?} at {text}");
            drop(Writer::open(&database.url(), PATIENCE).await.expect(&text));
            database = Database::create().await;
        }
    }
    drop(
        Writer::open(&database.url(), PATIENCE)
            .await
            .expect("it opens"),
    );
    assert_eq!(objects(&database).await, expected.objects, "after {act:?}");
    met
}

/// O7, D1: the migration of a new warehouse is interrupted at each of its statements: the connection is cut before it,
/// or cut after it, or the statement fails. A full run does each of the three at each statement. Afterwards the
/// warehouse exists completely or not at all, and the next start completes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_interrupted_at_any_statement_is_resumed_by_the_next_start() {
    let database = Database::create().await;
    let proxy = DatabaseProxy::before(&database.url()).await;
    drop(
        Writer::open(&proxy.url(), PATIENCE)
            .await
            .expect("it opens"),
    );
    let expected = Opening {
        statements: proxy.seen(),
        objects: objects(&database).await,
    };
    assert!(
        expected.statements.len() > 10 && expected.objects.len() > 30,
        "{} statements, {} objects",
        expected.statements.len(),
        expected.objects.len()
    );
    let at = |kind: usize| -> Vec<usize> {
        let all = 0..expected.statements.len();
        all.filter(|index| is_full() || index % 3 == kind).collect()
    };
    let (before, after, failed) = (at(0), at(1), at(2));
    let met = tokio::join!(
        interrupted(Act::CutBefore, &before, &expected),
        interrupted(Act::CutAfter, &after, &expected),
        interrupted(Act::Fail("53100"), &failed, &expected),
    );
    println!(
        "{} statements, {met:?} starts interrupted",
        expected.statements.len()
    );
}
