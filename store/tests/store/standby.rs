//! Which holders are regarded as frozen, judged by what a real server reports about their sessions
//! (docs/decisions/0004).

use std::time::{Duration, Instant};

use store::{FROZEN_AFTER, HolderWatch, LOOK_EVERY, Look, Writer};
use tokio_postgres::Client;

use crate::server::{connect, fresh_database};

/// What the holder does while it is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Idle,
    IdleInTransaction,
    StuckInCopy,
    Beats,
    LongStatement,
    WaitsForALock,
    ByHand,
}

/// How long each holder is watched.
const WATCHED: Duration = Duration::from_secs(8);

async fn watched(holder: Holder) -> Look {
    let database = fresh_database().await;
    // Creates the tables; the writer is dropped, so that no session holds the lock.
    drop(Writer::open(&database, Duration::ZERO).await.unwrap());
    let name = match holder {
        Holder::ByHand => "psql",
        _ => "master_runner",
    };
    let session = connect(&format!("{database} application_name={name}")).await;
    session
        .batch_execute("SELECT pg_advisory_lock(1836217710, 1)")
        .await
        .unwrap();
    let other = connect(&database).await;
    let mut watch = HolderWatch::open(&database).await.unwrap();
    let doing = tokio::spawn(act(holder, session, other));
    let began = Instant::now();
    let mut found = None;
    while began.elapsed() < WATCHED && found.is_none() {
        match watch.look().await.unwrap() {
            Look::Held { .. } => {}
            look => found = Some((look, began.elapsed())),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    doing.abort();
    let Some((look, after)) = found else {
        return Look::Held { who: String::new() };
    };
    assert!(
        after >= FROZEN_AFTER,
        "{holder:?}: too early, after {after:?}"
    );
    if matches!(look, Look::Ended { .. }) {
        while watch.look().await.unwrap() != Look::Free {
            assert!(began.elapsed() < WATCHED * 2, "{holder:?} still holds it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    look
}

async fn act(holder: Holder, mut session: Client, mut other: Client) {
    match holder {
        Holder::Idle | Holder::ByHand => std::future::pending().await,
        Holder::IdleInTransaction => {
            let transaction = session.transaction().await.unwrap();
            transaction.batch_execute("SELECT 1").await.unwrap();
            std::future::pending::<()>().await;
        }
        Holder::StuckInCopy => {
            session
                .batch_execute("CREATE TEMP TABLE staged (n int)")
                .await
                .unwrap();
            let _sink = session
                .copy_in::<_, &'static [u8]>("COPY staged FROM STDIN")
                .await
                .unwrap();
            std::future::pending::<()>().await;
        }
        Holder::Beats => loop {
            session.batch_execute("SELECT 1").await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        },
        // The result of the statement does not matter.
        Holder::LongStatement => {
            let _ = session.batch_execute("SELECT pg_sleep(60)").await;
        }
        Holder::WaitsForALock => {
            let held = other.transaction().await.unwrap();
            held.batch_execute("LOCK TABLE runner.task").await.unwrap();
            let _ = session.batch_execute("BEGIN; LOCK TABLE runner.task").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn o2_a_silent_holder_is_ended_and_one_that_works_is_not() {
    let holders = [
        Holder::Idle,
        Holder::IdleInTransaction,
        Holder::StuckInCopy,
        Holder::Beats,
        Holder::LongStatement,
        Holder::WaitsForALock,
        Holder::ByHand,
    ];
    let watching = holders.map(|holder| (holder, tokio::spawn(watched(holder))));
    for (holder, look) in watching {
        let look = look.await.unwrap();
        let fits = match holder {
            Holder::Idle | Holder::IdleInTransaction | Holder::StuckInCopy => {
                matches!(look, Look::Ended { .. })
            }
            Holder::Beats | Holder::LongStatement | Holder::WaitsForALock => {
                matches!(look, Look::Held { .. })
            }
            Holder::ByHand => {
                matches!(&look, Look::Untouchable { why, .. } if why.contains("by hand"))
            }
        };
        assert!(fits, "{holder:?}: {look:?}");
    }
}
