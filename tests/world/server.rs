//! One private PostgreSQL server for all tests of this process, and a new database for each test.
//!
//! A shell runs the server and waits on a pipe from this process. However the tests end, the pipe closes, and the shell
//! stops the server and removes its data.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::NoTls;

/// Runs as a user that PostgreSQL accepts. `$1` is the folder of the server programs.
const SCRIPT: &str = r#"
set -eu
bin=$1
here=$(mktemp -d /tmp/mr-test-pg.XXXXXX)
trap 'rm -rf "$here"' EXIT
"$bin/initdb" --pgdata="$here/data" --username=tests --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$here/initdb.log" 2>&1 || { cat "$here/initdb.log" >&2; exit 1; }
"$bin/postgres" -D "$here/data" -k "$here" -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=200 -c track_commit_timestamp=on >"$here/server.log" 2>&1 &
server=$!
trap 'kill -QUIT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$here"' EXIT
for try in $(seq 100); do
  "$bin/pg_isready" -q -h "$here" -U tests && break
  sleep 0.1
done
chmod 0777 "$here"
echo "$here"
read -r _ || true
"#;

struct Server {
    socket_dir: PathBuf,
    /// The shell's standard input is the pipe that keeps the server running.
    _shell: Child,
}

/// The folder of PostgreSQL's server programs.
pub fn server_programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.path().join("bin"))
                .collect()
        })
        .unwrap_or_default();
    versions.retain(|bin| bin.join("initdb").is_file());
    versions.sort_by_key(|bin| {
        let version = bin
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok())
    });
    versions
        .pop()
        .expect("PostgreSQL's server programs are installed: apt-get install postgresql")
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut command = if nix::unistd::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let mut shell = command
            .args(["-c", SCRIPT, "sh"])
            .arg(server_programs())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("its output is piped"))
            .read_line(&mut line)
            .expect("the server says where it listens");
        assert!(!line.trim().is_empty(), "the test server did not start");
        Server {
            socket_dir: PathBuf::from(line.trim()),
            _shell: shell,
        }
    })
}

/// A new, empty database.
pub struct Database {
    name: String,
    connection: String,
}

impl Database {
    /// Creates the database.
    pub async fn create() -> Self {
        let name = fresh_name();
        let admin = connect("postgres").await;
        admin
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .expect("a database is created");
        Self {
            connection: connection_string(&name),
            name,
        }
    }

    /// Creates a database with the content of this one. No session may be connected to this one meanwhile.
    pub async fn copy(&self) -> Self {
        let name = fresh_name();
        let copying = format!("CREATE DATABASE {name} TEMPLATE {}", self.name);
        let admin = connect("postgres").await;
        admin
            .batch_execute(&copying)
            .await
            .expect("a database is copied");
        Self {
            connection: connection_string(&name),
            name,
        }
    }

    /// Drops the database and ends all its sessions.
    pub async fn remove(self) {
        let removing = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let admin = connect("postgres").await;
        admin
            .batch_execute(&removing)
            .await
            .expect("a database is removed");
    }

    /// A database on another server than the tests' own.
    pub fn elsewhere(connection: String) -> Self {
        Self {
            name: "funds_db".to_owned(),
            connection,
        }
    }

    /// The `DATABASE_URL` for the runner.
    pub fn url(&self) -> String {
        self.connection.clone()
    }

    /// Opens a connection of the test's own.
    pub async fn connect(&self) -> tokio_postgres::Client {
        connect_to(&self.connection).await
    }

    /// The result of an SQL query, each cell as text.
    pub async fn ask(&self, sql: &str) -> Vec<simulator::Row> {
        let answer = self.connect().await.simple_query(sql).await.expect(sql);
        answer
            .iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|cell| row.get(cell).map(str::to_owned))
                        .collect(),
                ),
                _ => None,
            })
            .collect()
    }

    /// Allows or forbids new connections to this database.
    pub async fn allow_connections(&self, allowed: bool) {
        let name = &self.name;
        connect("postgres")
            .await
            .batch_execute(&format!(
                "ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}"
            ))
            .await
            .expect("the database is altered");
    }

    /// Ends every session of this database, as a restart of the server does.
    pub async fn end_sessions(&self) {
        connect("postgres")
            .await
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                &[&self.name],
            )
            .await
            .expect("sessions can be ended");
    }
}

fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("funds_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn connection_string(database: &str) -> String {
    format!(
        "host={} user=tests dbname={database}",
        server().socket_dir.display()
    )
}

async fn connect(database: &str) -> tokio_postgres::Client {
    connect_to(&connection_string(database)).await
}

async fn connect_to(database: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(database, NoTls)
        .await
        .expect("the test server answers");
    tokio::spawn(connection);
    client
}
