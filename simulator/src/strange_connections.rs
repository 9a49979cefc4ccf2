//! Connection faults that act before there is an HTTP answer, or in place of one: failing TLS, endless headers, first
//! lines that are not HTTP.
//!
//! These faults act below HTTP. This module therefore reads the request's head itself to decide whether a fault
//! matches.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::faults::Strangeness;
use crate::hosts::Site;
use crate::site::World;

/// The largest request head that is read.
const MOST_HEAD_BYTES: usize = 64 << 10;
/// The connection of a client that has not sent its request within this time is closed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest time that an answer is written: longer than any client reads.
const ENDLESS: Duration = Duration::from_secs(120);

/// The result of reading a new connection.
pub(crate) enum Admitted {
    /// No fault matches; the bytes are what has been read already.
    Ordinary(TcpStream, Vec<u8>),
    /// The connection has ended.
    Over,
}

/// Reads the beginning of a connection and applies the fault that matches it, if any.
pub(crate) async fn admit(world: &World, site: Site, mut stream: TcpStream) -> Admitted {
    match world.faults.strangeness(site, None) {
        Some(Strangeness::SelfSigned) => {
            world.log.refuse(site);
            // The client ends the handshake. If it does not, nothing is served after it.
            let _ = tokio::time::timeout(PATIENCE, self_signed().accept(stream)).await;
            return Admitted::Over;
        }
        Some(_) => {
            world.log.refuse(site);
            let mut first = [0; 1];
            let _ = tokio::time::timeout(PATIENCE, stream.read(&mut first)).await;
            return Admitted::Over;
        }
        None => {}
    }
    let Ok(Ok(head)) = tokio::time::timeout(PATIENCE, head_of(&mut stream)).await else {
        return Admitted::Over;
    };
    let text = String::from_utf8_lossy(&head);
    let mut words = text.split(' ');
    let (method, path) = (words.next().unwrap_or("-"), words.next().unwrap_or("/"));
    let Some(strangeness) = world.faults.strangeness(site, Some(path)) else {
        return Admitted::Ordinary(stream, head);
    };
    let user_agent = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("user-agent"))
        .map_or("", |(_, value)| value);
    let number = world.log.start(site, method, path, user_agent, false);
    // The result does not matter: the client may close the connection at any point.
    let _ = tokio::time::timeout(ENDLESS, answer(strangeness, &mut stream)).await;
    world.log.ended(number);
    Admitted::Over
}

/// Reads until the request's head is complete, the client stops sending, or the bytes are TLS or too many.
async fn head_of(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let read = stream.read_buf(&mut head).await?;
        let is_tls = head.first() == Some(&0x16);
        let is_whole = head.windows(4).any(|end| end == b"\r\n\r\n");
        if read == 0 || is_tls || is_whole || head.len() > MOST_HEAD_BYTES {
            return Ok(head);
        }
    }
}

async fn answer(strangeness: Strangeness, stream: &mut TcpStream) -> io::Result<()> {
    match strangeness {
        Strangeness::SelfSigned | Strangeness::HangsUpAtOnce | Strangeness::HangsUp => Ok(()),
        Strangeness::NoStatusLine => {
            stream
                .write_all(b"* OK [CAPABILITY IMAP4rev1] ready\r\n\r\n")
                .await
        }
        Strangeness::NonsenseStatus => {
            stream
                .write_all(b"HTTP/1.1 OK 200\r\nContent-Length: 2\r\n\r\n{}")
                .await
        }
        Strangeness::GiantHeader => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-Giant: ").await?;
            stream.write_all(&vec![b'x'; 8 << 20]).await?;
            stream.write_all(b"\r\nContent-Length: 2\r\n\r\n{}").await
        }
        Strangeness::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream
                    .write_all(format!("X-More: {}\r\n", "x".repeat(1_000)).as_bytes())
                    .await?;
            }
        }
    }
}

/// A TLS server with a new key and certificate.
fn self_signed() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
        .expect("a key and a certificate for a valid name");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            config
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key.into())
        })
        .expect("certificate and key belong together");
    TlsAcceptor::from(std::sync::Arc::new(config))
}
