//! The server answers and refuses: a password that is changed during a run, a connection that must be encrypted.

use super::live::Live;
use super::real_server::OwnServer;
use super::{ONCE, market};
use crate::world::{Act, DatabaseProxy, World};

/// Makes the server require a password for the role `runner`.
async fn by_password(server: &OwnServer) {
    let path = server.data_dir.join("pg_hba.conf");
    let rules = std::fs::read_to_string(&path).expect("pg_hba.conf is read");
    std::fs::write(&path, format!("local all runner scram-sha-256\n{rules}"))
        .expect("pg_hba.conf is written");
    server
        .admin(
            "CREATE ROLE runner LOGIN PASSWORD 'first'; GRANT ALL ON DATABASE funds_db TO runner;
             GRANT ALL ON SCHEMA public TO runner",
        )
        .await;
    server.admin("SELECT pg_reload_conf()").await;
}

/// A2, O3: the password is changed during a run. The open session continues. The next session is refused: the runner
/// reports it and waits. If it lasts, the run ends with exit code 1, restarts no actor and keeps everything
/// acknowledged. With the right password the same command resumes and requests no acknowledged page again.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_changed_in_mid_run_is_waited_for_and_then_ends_the_run_in_order() {
    let mut world = World::new(market()).await;
    let server = OwnServer::start(&world).await;
    by_password(&server).await;
    let proxy = DatabaseProxy::before(&server.connection_as("runner")).await;
    let start = |world: &World, password: &str| {
        let mut command = world.command(&ONCE);
        command.env(
            "DATABASE_URL",
            format!("{} password={password}", proxy.url()),
        );
        Live::start(command)
    };
    // The proxy holds two COMMITs back.
    let mut batches = 0;
    proxy.rule(move |asked| {
        batches += u32::from(asked.text == "COMMIT");
        (asked.text == "COMMIT" && [20, 40].contains(&batches)).then_some(Act::Hold)
    });
    let mut live = start(&world, "first");
    proxy.holds().await;
    // The password is changed and changed back: the runner waits.
    server
        .admin("ALTER ROLE runner PASSWORD 'second'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'runner'")
        .await;
    proxy.release();
    live.says("the database refuses: password authentication failed for user \"runner\"")
        .await;
    server.admin("ALTER ROLE runner PASSWORD 'first'").await;
    proxy.holds().await;
    // The password is changed for good.
    server
        .admin("ALTER ROLE runner PASSWORD 'second'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'runner'")
        .await;
    proxy.release();
    let run = live.ended().await;
    run.exits(1)
        .says("the database has been refusing the session for 3")
        .says("if the password, the role or the database was changed, correct the database setting or DATABASE_URL and start again")
        .says("what was acknowledged is safe, the same command resumes from there");
    assert!(!run.output.contains("an actor failed"), "{}", run.output);
    assert!(
        !run.output.contains("first") && !run.output.contains("second"),
        "a password was printed: {}",
        run.output
    );
    // With the old password a start is refused at once; with the new one the cycle resumes.
    start(&world, "first")
        .ended()
        .await
        .exits(1)
        .says("the database refuses: password authentication failed for user \"runner\"");
    world.database = server.database();
    let acknowledged = "SELECT source, page, key, last_answer_at FROM runner.task WHERE acked_cycle = planned_cycle ORDER BY 1, 2, 3";
    let before = world.ask(acknowledged).await;
    assert!(before.len() > 20, "{} tasks acknowledged", before.len());
    start(&world, "second")
        .ended()
        .await
        .exits(0)
        .says("resumed=true");
    let after = world.ask(acknowledged).await;
    let lost = before.iter().filter(|task| !after.contains(task)).count();
    assert_eq!(lost, 0, "acknowledged tasks were asked again");
    world.assert_truth().await;
}

/// A wrong parameter of the address is named before any work, without any part of the password.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_parameter_of_the_address_is_named() {
    let world = World::plain(3).await;
    for (parameter, named) in [
        ("sslmod=require", "the unknown parameter sslmod"),
        ("pgbouncer=true", "the unknown parameter pgbouncer"),
        ("sslmode=always", "a value of sslmode that it cannot have"),
    ] {
        for url in [
            format!("postgres://me:hunter2@127.0.0.1/funds_db?{parameter}"),
            format!("{} password=hunter2 {parameter}", world.database.url()),
        ] {
            let mut command = world.command(&["--once"]);
            command.env("DATABASE_URL", url);
            let run = Live::start(command).ended().await;
            run.exits(78).says("DATABASE_URL").says(named);
            assert!(!run.output.contains("hunter2"), "{}", run.output);
        }
    }
    let schemas: i64 = world
        .one("SELECT count(*) FROM pg_namespace WHERE nspname = 'runner'")
        .await;
    assert_eq!(schemas, 0, "the database was touched");
}
