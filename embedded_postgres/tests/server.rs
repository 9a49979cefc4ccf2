//! The private server with the real PostgreSQL: as root below a closed home directory, as an ordinary user, after kill
//! -9 of the runner, and after kill -9 of the postmaster.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use embedded_postgres::{EmbeddedPostgres, EmbeddedSettings, Stopped};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use tokio_postgres::{Client, NoTls};

/// The data folder for a stand-in runner, a child process of a test. Unset in an ordinary run of these tests.
const STAND_IN: &str = "MASTER_RUNNER_TEST_STAND_IN";

fn at(data_dir: &Path) -> EmbeddedSettings {
    EmbeddedSettings {
        data_dir: data_dir.to_path_buf(),
        bin_dir: None,
    }
}

/// A folder that every user can enter.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
        .expect("opened");
    folder
}

async fn connect(server: &EmbeddedPostgres) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.connection_string(), NoTls)
        .await
        .expect("connected");
    tokio::spawn(connection);
    client
}

async fn count(server: &EmbeddedPostgres) -> i64 {
    let client = connect(server).await;
    let row = client.query_one("SELECT count(*) FROM kept", &[]).await;
    row.expect("counted").get(0)
}

/// Whether a process exists and is not a zombie.
fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), signal).expect("signalled");
}

/// Starts this test program again as a stand-in for a runner that lives until it is killed.
fn stand_in(program: &Path, data_dir: &Path, uid: Option<(u32, u32)>) -> Child {
    let mut command = Command::new(program);
    command
        .args(["--exact", "stand_in_runner", "--nocapture"])
        .env(STAND_IN, data_dir)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    if let Some((uid, gid)) = uid {
        command.uid(uid).gid(gid);
    }
    command.spawn().expect("started")
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "waited for {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Does nothing in an ordinary run. As a child process it starts the server, writes a row, reports that in a file, and
/// waits to be killed.
#[tokio::test]
async fn stand_in_runner() {
    let Some(data_dir) = std::env::var_os(STAND_IN).map(PathBuf::from) else {
        return;
    };
    let server = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect("started");
    let client = connect(&server).await;
    let made = client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS kept (at TIMESTAMPTZ); INSERT INTO kept VALUES (now())",
        )
        .await;
    made.expect("a row");
    let facts = format!("{}\n{}", server.server_pid(), server.data_dir().display());
    std::fs::write(data_dir.with_extension("up.new"), facts).expect("written");
    std::fs::rename(
        data_dir.with_extension("up.new"),
        data_dir.with_extension("up"),
    )
    .expect("said");
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .expect("the end of the standard input");
    drop(client);
    server.stop().await.expect("stopped");
}

#[tokio::test]
async fn what_was_stored_is_there_at_the_second_start_which_is_fast() {
    let folder = open_folder();
    let data_dir = folder.path().join("data/postgres");
    let server = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect("first start");
    assert!(server.started());
    assert_eq!(server.data_dir(), data_dir.canonicalize().expect("there"));
    assert_eq!(server.notice(), None);
    let mode = std::fs::metadata(&data_dir)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    let client = connect(&server).await;
    client
        .batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1), (2)")
        .await
        .expect("stored");
    for (setting, value) in [
        ("listen_addresses", ""),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("unix_socket_permissions", "0700"),
        ("logging_collector", "on"),
    ] {
        let row = client
            .query_one("SELECT current_setting($1)", &[&setting])
            .await;
        assert_eq!(
            row.expect("a setting").get::<_, String>(0),
            value,
            "{setting}"
        );
    }
    drop(client);
    let pid = server.server_pid();
    assert_eq!(server.stop().await.expect("stopped"), Stopped::Down);
    wait_for("the end of the server", || !alive(pid));

    let began = Instant::now();
    let server = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect("second start");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(count(&server).await, 2);
    server.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_path_too_long_and_too_strange_for_a_socket_works_too() {
    let folder = open_folder();
    let data_dir = folder
        .path()
        .join("it's $(a) \"folder\", with กองทุน")
        .join("d".repeat(90))
        .join("postgres");
    let server = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect("started");
    connect(&server).await;
    server.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_server_left_by_a_killed_runner_is_taken_over_and_then_stopped() {
    let folder = open_folder();
    let data_dir = folder.path().join("postgres");
    let program = std::env::current_exe().expect("this program");
    let mut runner = stand_in(&program, &data_dir, None);
    wait_for("the stand-in", || data_dir.with_extension("up").exists());
    runner.kill().expect("killed by signal 9");
    runner.wait().expect("gone");

    let server = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect("taken over");
    assert!(!server.started());
    let facts = std::fs::read_to_string(data_dir.with_extension("up")).expect("said");
    assert!(facts.starts_with(&format!("{}\n", server.server_pid())));
    assert_eq!(count(&server).await, 1);
    let pid = server.server_pid();
    assert_eq!(server.stop().await.expect("stopped"), Stopped::Down);
    wait_for("the end of the server", || !alive(pid));
}

#[tokio::test]
async fn a_server_that_another_runner_uses_is_left_to_it() {
    let folder = open_folder();
    let data_dir = folder.path().join("postgres");
    let first = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect("started");
    let second = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect("adopted");
    assert!(first.started() && !second.started());
    assert_eq!(first.stop().await.expect("left"), Stopped::StillUsed);
    connect(&second).await;
    assert_eq!(second.stop().await.expect("stopped"), Stopped::Down);
}

#[tokio::test]
async fn two_first_starts_at_once_make_one_cluster() {
    let folder = open_folder();
    let settings = at(&folder.path().join("postgres"));
    let (one, two) = tokio::join!(
        EmbeddedPostgres::start(&settings),
        EmbeddedPostgres::start(&settings)
    );
    let (one, two) = (one.expect("one"), two.expect("two"));
    assert_eq!(one.server_pid(), two.server_pid());
    assert!(one.started() != two.started());
    one.stop().await.expect("left");
    two.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_killed_postmaster_loses_nothing_that_was_committed() {
    let folder = open_folder();
    let data_dir = folder.path().join("postgres");
    let server = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect("started");
    let client = connect(&server).await;
    client
        .batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1), (2), (3)")
        .await
        .expect("stored");
    // A busy session does not notice at once that its postmaster has died.
    let busy = tokio::spawn(async move {
        client
            .batch_execute("SELECT count(*) FROM generate_series(1, 30000000)")
            .await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    signal(server.server_pid(), Signal::SIGKILL);
    let before = server.server_pid();
    drop(server);

    let server = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect("started again");
    assert!(server.started());
    assert_ne!(server.server_pid(), before);
    assert_eq!(count(&server).await, 3);
    // The statement may have succeeded or failed. The new server may only start after the old session has ended.
    assert!(busy.is_finished());
    assert_eq!(server.stop().await.expect("stopped"), Stopped::Down);
}

#[tokio::test]
async fn a_server_that_died_under_a_runner_is_brought_back_at_the_same_address() {
    let folder = open_folder();
    let server = EmbeddedPostgres::start(&at(&folder.path().join("postgres")))
        .await
        .expect("started");
    assert!(
        !server.reviver().revive().await.expect("alive"),
        "nothing to do"
    );
    signal(server.server_pid(), Signal::SIGKILL);
    wait_for("the end of the postmaster", || !alive(server.server_pid()));
    assert!(server.reviver().revive().await.expect("revived"));
    connect(&server).await;
    assert_eq!(server.stop().await.expect("stopped"), Stopped::Down);
}

#[tokio::test]
async fn a_directory_of_another_version_is_refused_with_both_versions_named() {
    let folder = open_folder();
    let data_dir = folder.path().join("postgres");
    std::fs::create_dir(&data_dir).expect("made");
    std::fs::write(data_dir.join("PG_VERSION"), "9\n").expect("written");
    let said = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect_err("refused")
        .to_string();
    assert!(
        said.contains("was made by PostgreSQL 9, and the programs found are PostgreSQL "),
        "{said}"
    );
    assert_eq!(
        std::fs::read_dir(&data_dir).expect("listed").count(),
        1,
        "nothing was changed"
    );
}

#[tokio::test]
async fn a_folder_with_other_things_in_it_is_refused() {
    let folder = open_folder();
    std::fs::write(folder.path().join("thesis.odt"), "x").expect("written");
    let said = EmbeddedPostgres::start(&at(folder.path()))
        .await
        .expect_err("refused")
        .to_string();
    assert!(
        said.contains("not a PostgreSQL data directory") && said.contains("thesis.odt"),
        "{said}"
    );
}

#[tokio::test]
async fn a_folder_without_the_programs_is_named() {
    let folder = open_folder();
    let settings = EmbeddedSettings {
        data_dir: folder.path().join("postgres"),
        bin_dir: Some(folder.path().to_path_buf()),
    };
    let said = EmbeddedPostgres::start(&settings)
        .await
        .expect_err("refused")
        .to_string();
    assert!(said.contains("apt-get install postgresql"), "{said}");
}

#[tokio::test]
async fn below_a_closed_home_it_works_for_root_and_for_its_owner() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).expect("closed");
    let data_dir = home.path().join("project/data/postgres");
    let server = EmbeddedPostgres::start(&at(&data_dir))
        .await
        .expect("started");
    connect(&server).await;
    let real = server.data_dir().to_path_buf();
    if Uid::effective().is_root() {
        assert!(
            real.starts_with("/var/lib/master_runner/postgres"),
            "{real:?}"
        );
        let notice = server.notice().expect("said so");
        assert!(
            notice.contains(&real.display().to_string())
                && notice.contains(&data_dir.display().to_string())
        );
        assert_ne!(std::fs::metadata(&real).expect("there").uid(), 0);
    } else {
        assert_eq!(real, data_dir.canonicalize().expect("there"));
    }
    assert_eq!(server.stop().await.expect("stopped"), Stopped::Down);
    if real != data_dir {
        std::fs::remove_dir_all(&real).expect("swept");
        let lock = real.with_extension("lock");
        std::fs::remove_file(lock).expect("swept");
    }
}

#[test]
fn an_ordinary_user_needs_no_root() {
    let folder = open_folder();
    let program = folder.path().join("runner");
    std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("copied");
    let home = folder.path().join("home");
    std::fs::create_dir(&home).expect("made");
    let data_dir = home.join("data").with_file_name("postgres");
    let name = format!("mr_test_{}", std::process::id());
    let user = Uid::effective().is_root().then(|| {
        let added = Command::new("useradd")
            .args(["--no-create-home", &name])
            .status();
        assert!(added.expect("useradd runs").success());
        let user = nix::unistd::User::from_name(&name)
            .expect("asked")
            .expect("added");
        nix::unistd::chown(&home, Some(user.uid), Some(user.gid)).expect("given");
        (user.uid.as_raw(), user.gid.as_raw())
    });
    let mut runner = stand_in(&program, &data_dir, user);
    wait_for("the ordinary user's server", || {
        data_dir.with_extension("up").exists() || runner.try_wait().expect("asked").is_some()
    });
    let owner = std::fs::metadata(data_dir.join("PG_VERSION")).map(|file| file.uid());
    drop(runner.stdin.take());
    let status = runner.wait().expect("ended");
    if user.is_some() {
        let removed = Command::new("userdel")
            .arg(&name)
            .status()
            .expect("userdel runs");
        assert!(removed.success());
    }
    assert!(status.success());
    let expected = user.map_or(Uid::effective().as_raw(), |(uid, _)| uid);
    assert_eq!(owner.expect("a cluster"), expected);
    assert!(!data_dir.join("postmaster.pid").exists(), "stopped");
}
