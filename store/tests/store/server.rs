//! One private PostgreSQL server for the test binary, and a new database for each test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

static SERVER: OnceLock<PathBuf> = OnceLock::new();
static NEXT_DATABASE: AtomicU32 = AtomicU32::new(1);

/// The server runs as long as this process: it ends when the pipe to its standard input closes.
const RUN: &str = r#"
    cd "$1" && "$2/initdb" -D data -U runner -A trust -E UTF8 --locale=C.UTF-8 -N >initdb.log 2>&1 || exit 1
    "$2/postgres" -D data -F -k "$1" -c listen_addresses= -c max_connections=200 -c full_page_writes=off >server.log 2>&1 &
    server=$!
    cat >/dev/null
    kill -INT $server
    wait $server
    cd / && rm -rf "$1"
"#;

/// Returns the directory of the server's socket.
fn server() -> &'static Path {
    SERVER.get_or_init(|| {
        let directory = tempfile::Builder::new()
            .prefix("mr")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        let child = as_owner(&directory, "sh")
            .args(["-c", RUN, "postgres-for-tests"])
            .arg(&directory)
            .arg(binaries())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // The pipe stays open until this process ends.
        std::mem::forget(child);
        let give_up = Instant::now() + Duration::from_secs(60);
        let is_up = || {
            Command::new(binaries().join("pg_isready"))
                .args(["-q", "-U", "runner", "-h"])
                .arg(&directory)
                .status()
                .unwrap()
                .success()
        };
        while !is_up() {
            assert!(
                Instant::now() < give_up,
                "PostgreSQL did not start: see {directory:?}"
            );
            sleep(Duration::from_millis(50));
        }
        directory
    })
}

/// Returns a command that runs the program as a user other than root, because PostgreSQL refuses to start as root. If
/// this process is root, the directory is given to the user `postgres`.
pub fn as_owner(directory: &Path, program: &str) -> Command {
    if output("id", &["-u"]).trim() != "0" {
        return Command::new(program);
    }
    output("chown", &["postgres", directory.to_str().unwrap()]);
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", program]);
    command
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn binaries() -> PathBuf {
    let mut installed: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    installed.sort();
    installed
        .pop()
        .expect("PostgreSQL is not installed; apt-get install postgresql")
        .1
}

/// Creates a new, empty database and returns its connection string.
pub async fn fresh_database() -> String {
    let socket = server().display().to_string();
    let name = format!("test_{}", NEXT_DATABASE.fetch_add(1, Ordering::Relaxed));
    let admin = connect(&format!("host={socket} user=runner dbname=postgres")).await;
    admin
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    format!("host={socket} user=runner dbname={name}")
}

/// A plain client.
pub async fn connect(database: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(database, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}
