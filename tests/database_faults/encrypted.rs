//! A server as hosting providers configure it: encrypted sessions only, a certificate of a private authority, a role
//! with a password.

use std::process::Command;
use std::time::{Duration, Instant};

use super::live::Live;
use super::market;
use super::real_server::OwnServer;
use crate::world::{Database, World};

/// Creates an authority, an unrelated authority, and the server's certificate for `localhost`. `$1` is the server's
/// data folder.
const CERTIFICATES: &str = r#"
    set -e; cd "$1"
    for name in ca other; do
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$name" -keyout $name.key -out ../$name.crt
    done
    printf 'subjectAltName=DNS:localhost\n' >server.ext
    openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout server.key -out server.csr
    openssl x509 -req -in server.csr -days 2 -CA ../ca.crt -CAkey ca.key -CAcreateserial -extfile server.ext -out server.crt
    chmod 600 server.key
    chown --reference=PG_VERSION server.key server.crt
"#;

/// Allows network sessions only with encryption and the password. Returns the port.
async fn demand_tls(server: &mut OwnServer) -> u16 {
    let made = Command::new("sh")
        .args(["-c", CERTIFICATES, "sh"])
        .arg(&server.data_dir)
        .output()
        .expect("a shell starts");
    assert!(made.status.success(), "{made:?}");
    let path = server.data_dir.join("pg_hba.conf");
    let rules = std::fs::read_to_string(&path).expect("pg_hba.conf is read");
    std::fs::write(
        &path,
        format!("hostssl all runner all scram-sha-256\n{rules}"),
    )
    .expect("pg_hba.conf is written");
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port is free")
        .port();
    server
        .admin(&format!(
            "CREATE ROLE runner LOGIN PASSWORD 'secret'; ALTER SYSTEM SET listen_addresses = 'localhost';
             ALTER SYSTEM SET port = {port}; ALTER SYSTEM SET ssl = on"
        ))
        .await;
    server.down().await;
    server.up().await;
    port
}

/// In each mode and with each form of the address, the tables equal the truth, even if a session is lost during the
/// run. A session that is not encrypted or not trusted is refused before any work.
#[tokio::test(flavor = "multi_thread")]
async fn over_tls_every_mode_comes_to_the_truth() {
    let mut world = World::new(market()).await;
    let mut server = OwnServer::start(&world).await;
    let port = demand_tls(&mut server).await;
    let socket = server
        .connection()
        .replace("port=5432", &format!("port={port}"));
    let folder = world.dir();
    let authority = folder.join("ca.crt");
    let authority = authority.display();
    for (mode, address) in [
        (
            "sequential",
            format!("host=localhost port={port} user=runner password=secret dbname=in_sequential"),
        ),
        (
            "hybrid",
            format!(
                "postgres://runner:secret@localhost:{port}/in_hybrid?sslmode=verify-full&sslrootcert={authority}"
            ),
        ),
        (
            "parallel",
            format!(
                "host=localhost port={port} user=runner password=secret dbname=in_parallel sslmode=verify-ca sslrootcert={authority} channel_binding=require"
            ),
        ),
    ] {
        let name = format!("in_{mode}");
        server
            .admin(&format!("CREATE DATABASE {name} OWNER runner"))
            .await;
        world.database =
            Database::elsewhere(socket.replace("dbname=funds_db", &format!("dbname={name}")));
        for refused in ["sslmode=disable", "sslmode=verify-full sslrootcert=OTHER"] {
            let other = folder.join("other.crt");
            let refused = refused.replace("OTHER", &other.display().to_string());
            let mut command = world.command(&["--once", "--mode", mode, "--cycle", "monthly"]);
            command.env(
                "DATABASE_URL",
                format!(
                    "host=localhost port={port} user=runner password=secret dbname={name} {refused}"
                ),
            );
            let run = Live::start(command).ended().await;
            run.exits(1).says("the database refuses: ");
            assert!(!run.output.contains("secret"), "{}", run.output);
        }
        let schemas: i64 = world
            .one("SELECT count(*) FROM pg_namespace WHERE nspname = 'runner'")
            .await;
        assert_eq!(schemas, 0, "{mode}: the database was touched");

        world.settings.requests_per_sec = 40.0;
        let mut command = world.command(&["--once", "--mode", mode, "--cycle", "monthly"]);
        command.env("DATABASE_URL", &address);
        let live = Live::start(command);
        let at_work = "SELECT to_regclass('runner.last_batch') IS NOT NULL";
        let give_up = Instant::now() + Duration::from_secs(60);
        while !world.one::<bool>(at_work).await {
            assert!(Instant::now() < give_up, "{mode}: nothing was begun");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let ended: i64 = world
            .one(
                "SELECT count(*) FROM (
                     SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
                     WHERE ssl AND usename = 'runner') AS ended",
            )
            .await;
        assert!(ended > 0, "{mode}: no session is encrypted");
        live.ended().await.exits(0);
        world.assert_truth().await;
    }
}
