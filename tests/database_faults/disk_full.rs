//! A full disk of the server: as an error at several statements, and on a real small file system that is filled and
//! emptied. Only root may mount one; it is in a mount namespace that ends with its shell.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::live::Live;
use super::{ONCE, market, skipped};
use crate::world::{Act, Database, DatabaseProxy, World, server_programs};

/// `$1` is the folder of the server programs. Reads the commands `fill` and `free`, and ends when its input closes.
const SCRIPT: &str = r#"
set -eu
here=$(mktemp -d /tmp/mr-test-full.XXXXXX)
trap 'rm -rf "$here"' EXIT
mkdir "$here/small"
mount -t tmpfs -o size=24m tmpfs "$here/small"
chmod 755 "$here"
chown postgres "$here" "$here/small"
as() { runuser -u postgres -- "$@"; }
as "$1/initdb" --pgdata="$here/data" --username=tests --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
as "$1/postgres" -D "$here/data" -k "$here" -c listen_addresses= -c fsync=off >"$here/server.log" 2>&1 &
trap 'kill -QUIT "$(head -n 1 "$here/data/postmaster.pid")"; wait; umount "$here/small"; rm -rf "$here"' EXIT
for try in $(seq 100); do
  "$1/pg_isready" -q -h "$here" -U tests && break
  sleep 0.1
done
echo "$here"
while read -r word; do
  case $word in
    fill) dd if=/dev/zero of="$here/small/ballast" bs=8k 2>/dev/null || true ;;
    free) rm -f "$here/small/ballast" ;;
  esac
  echo "$word"
done
"#;

struct SmallDisk {
    shell: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl SmallDisk {
    /// Starts the shell. Returns it and the folder of its server's socket.
    fn start() -> (Self, String) {
        let mut shell = Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                SCRIPT,
                "sh",
            ])
            .arg(server_programs())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut disk = Self {
            input: shell.stdin.take(),
            output: BufReader::new(shell.stdout.take().expect("piped")),
            shell,
        };
        let folder = disk.line();
        assert!(
            !folder.is_empty(),
            "the server on the small disk did not start"
        );
        (disk, folder)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the shell answers");
        line.trim().to_owned()
    }

    fn tell(&mut self, word: &str) {
        let input = self.input.as_mut().expect("it listens");
        writeln!(input, "{word}").expect("the shell listens");
        assert_eq!(self.line(), word);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.input = None;
        // The shell ends when its input closes, and removes the server and the file system.
        let _ = self.shell.wait();
    }
}

/// A2, D1: the server reports a full disk several times in a row, at writes and at a COMMIT. The runner reports each
/// with advice, waits, and repeats the work.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_full_disk_is_waited_for() {
    let world = World::new(market()).await;
    let proxy = DatabaseProxy::before(&world.database.url()).await;
    let mut left = [
        ("run INSERT INTO runner.observation", 0, 2),
        ("run INSERT INTO public.", 0, 2),
        // A COMMIT in the middle of the run, not one of the migration.
        ("COMMIT", 10, 2),
    ];
    proxy.rule(move |asked| {
        let (_, _, times) = left.iter_mut().find(|(text, earlier, times)| {
            asked.text.starts_with(text) && asked.earlier >= *earlier && *times > 0
        })?;
        *times -= 1;
        Some(Act::Fail("53100"))
    });
    let mut command = world.command(&ONCE);
    command.env("DATABASE_URL", proxy.url());
    let run = Live::start(command).ended().await;
    run.exits(0)
        .says("waiting for the database (committing a batch); nothing is lost")
        .says("(SQLSTATE 53100); free space on the server's disk")
        .says("the database works again");
    assert!(!run.output.contains("an actor failed"), "{}", run.output);
    assert_eq!(proxy.acts().len(), 6, "{:?}", proxy.acts());
    world.assert_truth().await;
}

/// A2, D1: no block is free for the warehouse; the runner reports it and waits. It continues once there is space again.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_really_full_is_waited_for() {
    if !nix::unistd::geteuid().is_root() {
        skipped(
            "disk_full::a_disk_that_is_really_full_is_waited_for",
            "only root can mount a small file system",
        );
        return;
    }
    let mut world = World::new(market()).await;
    let (mut disk, folder) = SmallDisk::start();
    let owner = Database::elsewhere(format!("host={folder} user=tests dbname=postgres"));
    let owner = owner.connect().await;
    for statement in [
        format!("CREATE TABLESPACE small LOCATION '{folder}/small'"),
        "CREATE DATABASE funds_db TABLESPACE small".to_owned(),
    ] {
        owner.batch_execute(&statement).await.expect("it is made");
    }
    world.database = Database::elsewhere(format!("host={folder} user=tests dbname=funds_db"));
    let proxy = DatabaseProxy::before(&world.database.url()).await;
    proxy.rule(|asked| (asked.text == "COMMIT" && asked.earlier == 6).then_some(Act::Hold));
    let mut command = world.command(&ONCE);
    command.env("DATABASE_URL", proxy.url());
    let mut live = Live::start(command);
    proxy.holds().await;
    disk.tell("fill");
    proxy.release();
    live.says("(SQLSTATE 53100); free space on the server's disk")
        .await;
    disk.tell("free");
    let run = live.ended().await;
    run.exits(0).says("nothing is lost");
    assert!(!run.output.contains("an actor failed"), "{}", run.output);
    world.assert_truth().await;
}
