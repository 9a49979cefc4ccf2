//! A minimal HTTP client for the simulator, and the folder of real samples.

use std::io;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer: status, head and body bytes.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        let text = self
            .text()
            .replace(":NaN", ":null")
            .replace(":Infinity", ":null");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Whether the body is shorter than the announced `Content-Length`.
    pub fn is_cut(&self) -> bool {
        let promised = self.head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse::<usize>()
                .ok()
        });
        promised.is_some_and(|promised| promised > self.body.len())
    }
}

pub async fn ask(method: &str, url: &str, headers: &str, body: &str) -> io::Result<Answer> {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host).await?;
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: test\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes).await;
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Err(ended
            .err()
            .unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    Ok(Answer {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    })
}

pub async fn get(url: &str) -> Answer {
    ask("GET", url, "", "")
        .await
        .unwrap_or_else(|error| panic!("{url}: {error}"))
}

pub async fn post(url: &str, body: &str) -> Answer {
    ask("POST", url, "", body)
        .await
        .unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// The folder of real samples. If there is none, prints that and returns None.
pub fn real_folder() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/real");
    let folder = std::env::var_os("REAL_DIR").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no real samples at {}", folder.display());
    None
}
