//! The making of the warehouse, interrupted at each statement: the next start goes on, as if nothing had been.

use std::time::Duration;

use schema::store::{StoreError, Writer};

use crate::world::{Act, Database, DatabaseProxy};

const PATIENCE: Duration = Duration::from_secs(10);

/// Every object of the warehouse, by name.
async fn objects(database: &Database) -> Vec<replica::Row> {
    database
        .ask(
            "SELECT n.nspname, c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname IN ('public', 'runner', 'history') ORDER BY 1, 2, 3",
        )
        .await
}

/// O7, D1: opening a new warehouse is cut off before and after each of its statements, and failed at each; the next start
/// finds or makes the same warehouse.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_interrupted_at_any_statement_is_gone_on_with_by_the_next_start() {
    let database = Database::create().await;
    let proxy = DatabaseProxy::before(&database.url()).await;
    drop(
        Writer::open(&proxy.url(), PATIENCE)
            .await
            .expect("it opens"),
    );
    let (statements, expected) = (proxy.seen().len(), objects(&database).await);
    assert!(
        statements > 10 && expected.len() > 30,
        "{statements} statements, {} objects",
        expected.len()
    );
    for act in [Act::CutBefore, Act::CutAfter, Act::Fail("53100")] {
        for chosen in 0..statements {
            let database = Database::create().await;
            let proxy = DatabaseProxy::before(&database.url()).await;
            let mut index = 0;
            proxy.rule(move |_| {
                index += 1;
                (index == chosen + 1).then_some(act)
            });
            let interrupted = Writer::open(&proxy.url(), PATIENCE).await;
            let [(text, _)] = &proxy.acts()[..] else {
                panic!("statement {chosen} never came by");
            };
            match interrupted {
                // A server without this setting is as good; and nobody waits for the end of a prepared statement.
                Ok(writer) => {
                    let optional = text.contains("client_connection_check_interval")
                        || text.contains("idle_session_timeout")
                        || text == "close";
                    assert!(optional && act != Act::CutBefore, "{act:?} at {text}");
                    drop(writer);
                }
                Err(error) => assert!(
                    matches!(error, StoreError::Outage(_)),
                    "{act:?} at {text}: {error:?}"
                ),
            }
            Writer::open(&database.url(), PATIENCE)
                .await
                .unwrap_or_else(|error| panic!("after {act:?} at {text}: {error}"));
            assert_eq!(objects(&database).await, expected, "{act:?} at {text}");
        }
    }
}
