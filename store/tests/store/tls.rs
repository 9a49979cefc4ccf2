//! TLS connections to a real server, with the test's own certificate authority.

use std::path::PathBuf;
use std::time::Duration;

use store::{Reader, StoreError, Writer};

/// Creates the authority `ca`, an unrelated authority `other`, a server certificate for `localhost` and a client
/// certificate for `bycert`. Then starts a server that requires TLS over TCP. The role `bycert` must present its
/// certificate, `bypassword` its password, and other roles neither.
const SET_UP: &str = r#"
    set -e; cd "$1"
    for name in ca other; do
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$name" -keyout $name.key -out $name.crt
    done
    printf 'subjectAltName=DNS:localhost\n' >server.ext
    printf 'subjectAltName=DNS:runner\n' >client.ext
    for name in server client; do
        common=localhost; [ $name = client ] && common=bycert
        openssl req -newkey rsa:2048 -nodes -subj "/CN=$common" -keyout $name.key -out $name.csr
        openssl x509 -req -in $name.csr -days 2 -CA ca.crt -CAkey ca.key -CAcreateserial -extfile $name.ext -out $name.crt
    done
    chmod 600 *.key
    "$2/initdb" -D data -U runner -A trust -E UTF8 --locale=C.UTF-8 -N
    printf 'local all all trust\nhostssl all bycert all cert\nhostssl all bypassword all scram-sha-256\nhostssl all all all trust\n' >data/pg_hba.conf
    "$2/pg_ctl" -D data -w -l log -o "-F -k $1 -p $3 -c listen_addresses=localhost -c ssl=on -c ssl_cert_file=$1/server.crt -c ssl_key_file=$1/server.key -c ssl_ca_file=$1/ca.crt" start >/dev/null
    psql -h "$1" -p $3 -U runner -d postgres -c "CREATE ROLE bycert SUPERUSER LOGIN" -c "CREATE ROLE bypassword SUPERUSER LOGIN PASSWORD 'secret'" -c "CREATE DATABASE funds_db"
"#;

struct Server {
    directory: PathBuf,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("mrtls")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let server = Self { directory, port };
        server.shell(SET_UP);
        // The user of the test must also be able to read the client's key.
        server.shell(
            r#"cp "$1/client.key" "$1/readable.key"; chmod 644 "$1/readable.key"; chmod 755 "$1""#,
        );
        server
    }

    fn shell(&self, script: &str) {
        let done = crate::server::as_owner(&self.directory, "sh")
            .args(["-c", script, "tls"])
            .arg(&self.directory)
            .arg(crate::server::binaries())
            .arg(self.port.to_string())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(
            done.success(),
            "the server is not set up: see {:?}",
            self.directory
        );
    }

    fn at(&self, host: &str, user: &str, parameters: &str) -> String {
        format!(
            "host={host} port={} user={user} dbname=funds_db {}",
            self.port,
            parameters.replace("DIR", &self.directory.display().to_string())
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shell(r#""$2/pg_ctl" -D "$1/data" -m immediate stop"#);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sslmode_accepts_and_refuses_what_libpq_does() {
    let server = Server::start();
    for (host, user, parameters, refused) in [
        ("localhost", "runner", "", None),
        ("localhost", "runner", "sslmode=prefer", None),
        ("localhost", "runner", "sslmode=require", None),
        ("127.0.0.1", "runner", "sslmode=require", None),
        (
            "localhost",
            "runner",
            "sslmode=verify-ca sslrootcert=DIR/ca.crt",
            None,
        ),
        (
            "127.0.0.1",
            "runner",
            "sslmode=verify-ca sslrootcert=DIR/ca.crt",
            None,
        ),
        (
            "localhost",
            "runner",
            "sslmode=verify-full sslrootcert=DIR/ca.crt",
            None,
        ),
        (
            "localhost",
            "runner",
            "sslmode=verify-full sslrootcert=DIR/server.crt",
            None,
        ),
        (
            "localhost",
            "bypassword",
            "password=secret sslmode=verify-full sslrootcert=DIR/ca.crt channel_binding=require",
            None,
        ),
        (
            "localhost",
            "bycert",
            "sslmode=verify-full sslrootcert=DIR/ca.crt sslcert=DIR/client.crt sslkey=DIR/readable.key",
            None,
        ),
        (
            "localhost",
            "runner",
            "sslmode=disable",
            Some("no encryption"),
        ),
        (
            "127.0.0.1",
            "runner",
            "sslmode=verify-full sslrootcert=DIR/ca.crt",
            Some("not valid for name"),
        ),
        (
            "localhost",
            "runner",
            "sslmode=verify-ca sslrootcert=DIR/other.crt",
            Some("UnknownIssuer"),
        ),
        (
            "localhost",
            "runner",
            "sslmode=require sslrootcert=DIR/other.crt",
            Some("UnknownIssuer"),
        ),
        (
            "localhost",
            "runner",
            "sslrootcert=system",
            Some("certificate"),
        ),
        (
            "localhost",
            "runner",
            "sslmode=verify-full sslrootcert=DIR/none.crt",
            Some("sslrootcert"),
        ),
        (
            "localhost",
            "bycert",
            "sslmode=require",
            Some("certificate"),
        ),
        (
            "localhost",
            "bypassword",
            "password=wrong sslmode=require",
            Some("password authentication failed"),
        ),
    ] {
        let address = server.at(host, user, parameters);
        let opened = Writer::open(&address, Duration::from_secs(10)).await;
        match (&opened, refused) {
            (Ok(_), None) => {}
            (Err(StoreError::Refused(why)), Some(words)) if why.contains(words) => {}
            _ => panic!("{host} {user} {parameters}: expected {refused:?}, found {opened:?}"),
        }
        drop(opened);
        let facts = match Reader::new(&address, 1) {
            Ok(reader) => reader.server_facts().await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert_eq!(facts.is_ok(), refused.is_none(), "{parameters}: {facts:?}");
    }
}
