//! A private server that dies during a cycle. Only the runner can restart it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use embedded_postgres::{EmbeddedPostgres, EmbeddedSettings};
use master_runner::stop_signals::StopSignals;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use simulator::MarketConfig;

use crate::world::{Database, World, ended};

/// D1, A2: the runner restarts the private server after a kill -9 of the postmaster during a cycle. The cycle
/// completes, and the tables equal the truth.
#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_that_is_killed_in_mid_cycle_comes_back_and_nothing_is_lost() {
    let mut world = World::new(MarketConfig {
        funds: 40,
        days: 60,
        latency_ms: 5,
        ..MarketConfig::default()
    })
    .await;
    let data_dir = on_a_private_server(&mut world);
    let mut command = world.command(&["--once", "--cycle", "monthly"]);
    command.env_remove("DATABASE_URL");
    let run = command.spawn().expect("the runner starts");
    let mut killed = Vec::new();
    for requests in [60, 140] {
        while world.simulator.log().requests.len() < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        killed.push(kill_postmaster(&data_dir, killed.last().copied()).await);
    }
    ended(run)
        .await
        .exits(0)
        .says("the private PostgreSQL had died and was started again");

    let settings = EmbeddedSettings {
        data_dir,
        bin_dir: None,
    };
    let server = EmbeddedPostgres::start(&settings)
        .await
        .expect("the server starts");
    world.database = Database::elsewhere(server.connection_string());
    world.assert_truth().await;
    server.stop().await.expect("the server stops");
}

/// A finished run closes its database connections before it stops its private server. Otherwise a connection would
/// report the loss of the server below the summary.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_done_does_not_miss_the_server_it_stops() {
    let mut world = World::new(MarketConfig {
        funds: 12,
        days: 20,
        ..MarketConfig::default()
    })
    .await;
    on_a_private_server(&mut world);
    for _ in 0..4 {
        let mut command = world.command(&["--once", "--fresh", "--cycle", "daily"]);
        command.env_remove("DATABASE_URL");
        let run = ended(command.spawn().expect("the runner starts")).await;
        run.exits(0);
        assert!(!run.output.contains("WARN"), "{}", run.output);
    }
}

/// The command `psql` opens on the private server: it reaches the socket, as the right user.
#[tokio::test]
async fn psql_opens_on_the_private_server() {
    let folder = tempfile::tempdir().expect("a folder");
    // The server's user needs access to the folder.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
        .expect("the folder is opened");
    let settings = EmbeddedSettings {
        data_dir: folder.path().join("postgres"),
        bin_dir: None,
    };
    let server = EmbeddedPostgres::start(&settings)
        .await
        .expect("the server starts");
    let database = server.connection_string();
    let arguments = [
        "--quiet",
        "--command",
        "CREATE TABLE kept AS SELECT generate_series(1, 4)",
    ];
    let ended = master_runner::psql::open(
        &server.psql_program(),
        &database.parse().expect("an address"),
        &arguments.map(Into::into),
        &StopSignals::listen(),
    )
    .await;
    assert!(ended.expect("opened").expect("not stopped").success());
    let (client, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls)
        .await
        .expect("connected");
    tokio::spawn(connection);
    let row = client.query_one("SELECT count(*) FROM kept", &[]).await;
    assert_eq!(row.expect("counted").get::<_, i64>(0), 4);
    server.stop().await.expect("the server stops");
}

/// Makes the world's runners use a private server, and returns its data folder.
fn on_a_private_server(world: &mut World) -> PathBuf {
    // The server's user needs access to the folder.
    std::fs::set_permissions(world.dir(), std::fs::Permissions::from_mode(0o755))
        .expect("the folder is opened");
    let data_dir = world.dir().join("data/postgres");
    world.settings.more = format!("database: Embedded(data_dir: {data_dir:?}),");
    data_dir
}

/// Waits for a postmaster other than `before` and kills it. Returns its process id.
async fn kill_postmaster(data_dir: &Path, before: Option<i32>) -> i32 {
    loop {
        let pid = std::fs::read_to_string(data_dir.join("postmaster.pid"))
            .ok()
            .filter(|text| text.contains("ready"))
            .and_then(|text| text.lines().next()?.trim().parse::<i32>().ok());
        match pid {
            Some(pid) if Some(pid) != before => {
                kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the postmaster is killed");
                return pid;
            }
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
