//! A transaction pooler between the program and the server: a real PgBouncer in each of its modes.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use store::{HolderWatch, Reader, StoreError, Writer};

use crate::server::{as_owner, fresh_database};

const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// PgBouncer runs until its standard input is closed.
const RUN: &str = r#""$0" -q "$1" & cat >/dev/null; kill -KILL $!; wait $!"#;

struct PgBouncer {
    directory: PathBuf,
    process: Child,
    database: String,
}

impl PgBouncer {
    /// Starts a PgBouncer in front of a new database.
    async fn start(settings: &str) -> Self {
        let database = fresh_database().await;
        let directory = tempfile::Builder::new()
            .prefix("mrpool")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        let file = directory.join("pgbouncer.ini");
        std::fs::write(
            &file,
            format!(
                "[databases]\nfunds_db = {database}\n[pgbouncer]\nunix_socket_dir = {}\nlisten_port = 6432\nauth_type = any\nignore_startup_parameters = extra_float_digits\n{settings}\n",
                directory.display()
            ),
        )
        .unwrap();
        let process = as_owner(&directory, "sh")
            .args(["-c", RUN, PROGRAM])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self {
            directory,
            process,
            database,
        };
        let give_up = Instant::now() + Duration::from_secs(20);
        while !started.directory.join(".s.PGSQL.6432").exists() {
            assert!(
                Instant::now() < give_up,
                "{PROGRAM} did not start; apt-get install pgbouncer"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        started
    }

    fn address(&self) -> String {
        format!(
            "host={} port=6432 user=runner dbname=funds_db",
            self.directory.display()
        )
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Writer, check and standby refuse the pooler, and the database behind it is not changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_shares_sessions_is_refused_with_what_to_use() {
    for settings in [
        "pool_mode = transaction",
        "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 5",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = statement",
    ] {
        let pooler = PgBouncer::start(settings).await;
        let address = pooler.address();
        let refused = [
            Writer::open(&address, Duration::ZERO).await.err(),
            Reader::new(&address, 1).unwrap().server_facts().await.err(),
            HolderWatch::open(&address).await.err(),
        ];
        for error in refused {
            let Some(error @ StoreError::Unfit(_)) = error else {
                panic!("{settings}: {error:?}");
            };
            let said = error.to_string();
            for part in [
                "a connection pooler in transaction mode",
                "nothing was changed",
                "name the server itself",
                "pool_mode = session",
            ] {
                assert!(said.contains(part), "{settings}: {part}\n{said}");
            }
        }
        let facts = Reader::new(&pooler.database, 1)
            .unwrap()
            .server_facts()
            .await
            .unwrap();
        assert_eq!(facts.schema_version, 0, "{settings}");
    }
}

/// In session mode, the runner and a reader work, and a second runner is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_in_session_mode_is_accepted() {
    let pooler = PgBouncer::start("pool_mode = session").await;
    let address = pooler.address();
    let writer = Writer::open(&address, Duration::ZERO).await.unwrap();
    let second = Writer::open(&address, Duration::ZERO).await.err();
    assert!(
        matches!(second, Some(StoreError::AnotherRunner { .. })),
        "{second:?}"
    );
    let facts = Reader::new(&address, 1)
        .unwrap()
        .server_facts()
        .await
        .unwrap();
    assert!(facts.schema_version > 0);
    drop(writer);
}
