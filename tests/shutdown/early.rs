//! Stops before the runner has a database, or even its configuration.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use embedded_postgres::{EmbeddedPostgres, EmbeddedSettings};
use futures_util::StreamExt as _;
use nix::sys::signal::Signal;

use super::running::{Running, wait_until};
use crate::world::{Database, World};

/// The runner handles signals before anything else. Here it reads its configuration from a pipe that has no data yet.
/// It sends no request and does not touch the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_before_the_configuration_is_read_is_a_stop_like_any_other() {
    let world = World::plain(3).await;
    let pipe = world.dir().join("late.ron");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let command = world.command(&["--once", "--config", "late.ron"]);
    let mut running = Running::spawn(command, &world);
    running.hears_signals().await;
    running.signal(Signal::SIGTERM);
    // Opening the pipe for writing blocks until the runner opens it for reading, and the runner waits for the data.
    let configuration = std::fs::read_to_string(world.dir().join("runner.ron")).expect("a file");
    tokio::task::spawn_blocking(move || std::fs::write(pipe, configuration))
        .await
        .expect("no panic")
        .expect("written");
    running.ended(&world).await.exits(4);
    assert_eq!(world.simulator.log().requests.len(), 0);
    let schemas: i64 = world
        .one("SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'runner'")
        .await;
    assert_eq!(schemas, 0, "the database was touched");
}

/// The number of server processes in this data directory.
fn servers_in(data_dir: &Path) -> usize {
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter(|entry| {
            let cwd = std::fs::read_link(entry.path().join("cwd"));
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let named = data_dir.as_os_str().as_encoded_bytes();
            cwd.is_ok_and(|cwd| cwd.starts_with(data_dir))
                || command.windows(named.len()).any(|part| part == named)
        })
        .count()
}

async fn stop_while_the_server_starts(after: Duration) -> (Option<i32>, Duration) {
    let mut world = World::plain(4).await;
    std::fs::set_permissions(world.dir(), std::fs::Permissions::from_mode(0o755))
        .expect("the server's user gets to its folder");
    let data_dir = world.dir().join("data/postgres");
    world.settings.more = format!("database: Embedded(data_dir: {data_dir:?}),");
    let args = ["--once", "--cycle", "monthly"];
    let mut command = world.command(&args);
    command.env_remove("DATABASE_URL");
    let mut running = Running::spawn(command, &world);
    running.hears_signals().await;
    tokio::time::sleep(after.saturating_sub(running.began.elapsed())).await;
    let stopped = running.stop(&world, Signal::SIGTERM).await;
    eprintln!(
        "after {after:?}: exit {:?} after {:?}",
        stopped.run.code, stopped.took
    );
    let said = &stopped.run.output;
    assert!(matches!(stopped.run.code, Some(4 | 0)), "{said}");
    assert!(stopped.took < Duration::from_secs(10), "{said}");
    assert_eq!(
        servers_in(&data_dir),
        0,
        "the server runs on; the run printed:\n{said}"
    );
    let half = data_dir.with_file_name("postgres.building");
    assert!(!half.exists(), "half a cluster is left");
    // The same command completes.
    if stopped.run.code == Some(4) {
        let mut command = world.command(&args);
        command.env_remove("DATABASE_URL");
        Running::spawn(command, &world).ended(&world).await.exits(0);
    }
    let settings = EmbeddedSettings {
        data_dir,
        bin_dir: None,
    };
    let server = EmbeddedPostgres::start(&settings).await.expect("a server");
    world.database = Database::elsewhere(server.connection_string());
    world.assert_truth().await;
    server.stop().await.expect("the server stops");
    (stopped.run.code, stopped.took)
}

/// Covers `initdb`, the server's start, the creation of the database and the first sessions: the stop undoes what has
/// begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_private_server_starts_leaves_no_server_running() {
    let moments = [20, 150, 500, 900, 1200, 1800].map(Duration::from_millis);
    let ends: Vec<(Option<i32>, Duration)> = futures_util::stream::iter(moments)
        .map(stop_while_the_server_starts)
        .buffer_unordered(3)
        .collect()
        .await;
    let early = ends.iter().filter(|(code, _)| *code == Some(4)).count();
    assert!(early >= 2, "none was early enough: {ends:?}");
}

/// A server in crash recovery may need minutes to start; a stop does not wait for it. Here another process keeps the
/// lock on the server's start.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_server_that_does_not_come_up() {
    let mut world = World::plain(3).await;
    std::fs::set_permissions(world.dir(), std::fs::Permissions::from_mode(0o755))
        .expect("the server's user gets to its folder");
    let data = world.dir().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let turn = std::fs::File::create(data.join("postgres.lock")).expect("a file");
    turn.lock().expect("our turn");
    world.settings.more = format!("database: Embedded(data_dir: {:?}),", data.join("postgres"));
    let mut command = world.command(&["--once"]);
    command.env_remove("DATABASE_URL");
    let mut running = Running::spawn(command, &world);
    running.hears_signals().await;
    // The runner waits, asleep between two attempts.
    let began = Instant::now();
    wait_until("the runner has been waiting", async || {
        began.elapsed() > Duration::from_millis(700)
    })
    .await;
    let stopped = running.stop(&world, Signal::SIGINT).await;
    stopped.run.exits(4);
    assert!(stopped.took < Duration::from_secs(2), "{:?}", stopped.took);
}
