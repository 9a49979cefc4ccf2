//! Real failures of a server that belongs to the test: killed during a transaction and restarted, out of connections,
//! read-only, disk full.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use embedded_postgres::{EmbeddedPostgres, EmbeddedSettings};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_postgres::NoTls;

use super::live::Live;
use super::{ONCE, market};
use crate::world::{Act, Database, DatabaseProxy, World};

/// A server that belongs to one test and ends with it.
pub struct OwnServer {
    pub data_dir: PathBuf,
    settings: EmbeddedSettings,
    connection: String,
}

impl OwnServer {
    /// Creates a new cluster in the world's folder and starts it.
    pub async fn start(world: &World) -> Self {
        // The server's user needs access to the folder.
        std::fs::set_permissions(world.dir(), std::fs::Permissions::from_mode(0o755))
            .expect("the folder is opened");
        let data_dir = world.dir().join("own");
        let settings = EmbeddedSettings {
            data_dir: data_dir.clone(),
            bin_dir: None,
        };
        let mut server = Self {
            data_dir,
            settings,
            connection: String::new(),
        };
        server.up().await;
        server
    }

    /// Starts the server.
    pub async fn up(&mut self) {
        let running = EmbeddedPostgres::start(&self.settings)
            .await
            .expect("the server starts");
        self.connection = running.connection_string();
        // Dropping the handle does not stop the server.
    }

    /// Stops the server with an orderly shutdown.
    pub async fn down(&self) {
        let running = EmbeddedPostgres::start(&self.settings)
            .await
            .expect("the server is there");
        running.stop().await.expect("the server stops");
    }

    fn postmaster(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.data_dir.join("postmaster.pid")).ok()?;
        Some(Pid::from_raw(text.lines().next()?.trim().parse().ok()?))
    }

    /// Kills the postmaster with SIGKILL.
    pub fn kill(&self) {
        let pid = self.postmaster().expect("the server runs");
        kill(pid, Signal::SIGKILL).expect("the postmaster is killed");
    }

    /// The owner's connection string.
    pub fn connection(&self) -> String {
        self.connection.clone()
    }

    /// The connection string of this role.
    pub fn connection_as(&self, role: &str) -> String {
        self.connection
            .replace("user=master_runner", &format!("user={role}"))
    }

    /// Executes statements as the server's owner, each in its own transaction.
    pub async fn admin(&self, sql: &str) {
        let client = session(&self.connection).await;
        for statement in sql.split(';') {
            client.batch_execute(statement).await.expect(statement);
        }
    }

    /// This server's database.
    pub fn database(&self) -> Database {
        Database::elsewhere(self.connection())
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if let Some(pid) = self.postmaster() {
            // An error means that the server has ended already.
            let _ = kill(pid, Signal::SIGQUIT);
        }
    }
}

async fn session(connection: &str) -> tokio_postgres::Client {
    let (client, talking) = tokio_postgres::connect(connection, NoTls)
        .await
        .expect("the server answers");
    tokio::spawn(talking);
    client
}

/// Starts a run through a proxy that holds back the `nth` statement with this beginning.
async fn held_at(
    world: &World,
    server: &OwnServer,
    text: &'static str,
    nth: usize,
) -> (Live, DatabaseProxy) {
    let proxy = DatabaseProxy::before(&server.connection()).await;
    let mut seen = 0;
    proxy.rule(move |asked| {
        seen += usize::from(asked.text.starts_with(text));
        (asked.text.starts_with(text) && seen == nth).then_some(Act::Hold)
    });
    let mut command = world.command(&ONCE);
    command.env("DATABASE_URL", proxy.url());
    let live = Live::start(command);
    proxy.holds().await;
    (live, proxy)
}

async fn ends_well(live: Live, mut world: World, server: &OwnServer) {
    let run = live.ended().await;
    run.exits(0).says("nothing is lost");
    assert!(
        !run.output.contains("actors restarted") && !run.output.contains("an actor failed"),
        "{}",
        run.output
    );
    world.database = server.database();
    world.assert_truth().await;
}

/// D1, A2: the postmaster is killed with SIGKILL during a transaction and restarted some seconds later.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_mid_transaction_and_started_again_loses_nothing() {
    let world = World::new(market()).await;
    let mut server = OwnServer::start(&world).await;
    let (mut live, proxy) = held_at(&world, &server, "run WITH new AS", 3).await;
    server.kill();
    proxy.release();
    live.says("waiting for the database").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.up().await;
    ends_well(live, world, &server).await;
}

/// A2: other sessions take all of the server's connections for ordinary users. The runner loses its session and cannot
/// reconnect.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_out_of_connections_is_waited_for() {
    let world = World::new(market()).await;
    let mut server = OwnServer::start(&world).await;
    server
        .admin("CREATE ROLE runner LOGIN; GRANT ALL ON DATABASE funds_db TO runner; GRANT ALL ON SCHEMA public TO runner; ALTER SYSTEM SET max_connections = 8")
        .await;
    server.down().await;
    server.up().await;
    let as_runner = server.connection_as("runner");
    let proxy = DatabaseProxy::before(&as_runner).await;
    proxy.rule(|asked| (asked.text == "COMMIT" && asked.earlier == 20).then_some(Act::Hold));
    let mut command = world.command(&ONCE);
    command.env("DATABASE_URL", proxy.url());
    let mut live = Live::start(command);
    proxy.holds().await;
    // The server has 8 connections: 3 are reserved for superusers and one is the runner's.
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(session(&as_runner).await);
    }
    server
        .admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'master_runner'")
        .await;
    others.push(taken(&as_runner).await);
    proxy.release();
    live.says("(SQLSTATE 53300); end sessions or raise max_connections")
        .await;
    drop(others);
    ends_well(live, world, &server).await;
}

/// Connects as soon as a connection is free.
async fn taken(connection: &str) -> tokio_postgres::Client {
    for _ in 0..200 {
        if let Ok((client, talking)) = tokio_postgres::connect(connection, NoTls).await {
            tokio::spawn(talking);
            return client;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no connection became free");
}

/// A2: the server is read-only for a while, as a hot standby is, or a server with that setting.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_reads_is_waited_for() {
    let world = World::new(market()).await;
    let server = OwnServer::start(&world).await;
    let (mut live, proxy) = held_at(&world, &server, "START TRANSACTION", 25).await;
    server
        .admin("ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()")
        .await;
    proxy.release();
    live.says("(SQLSTATE 25006); the server only reads at present")
        .await;
    // The line above may come from a heartbeat, for which the runner does not wait. This line shows that it waits.
    live.says("nothing is lost").await;
    server
        .admin("SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf()")
        .await;
    ends_well(live, world, &server).await;
}
