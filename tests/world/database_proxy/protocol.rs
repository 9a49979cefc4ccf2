//! The PostgreSQL frontend/backend protocol, as far as a proxy needs it: messages, groups that get one answer, errors.

use std::collections::BTreeMap;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// Why a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// One side closed the connection.
    Gone,
    /// The proxy cut the connection.
    Cut,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// The longest message that the tests allow.
const LONGEST_MESSAGE: usize = 64 << 20;

struct Message {
    kind: u8,
    /// The bytes as received, including kind and length.
    bytes: Vec<u8>,
}

impl Message {
    fn body(&self) -> &[u8] {
        &self.bytes[5..]
    }
}

/// All messages that the runner sends before it waits for an answer.
pub struct Group {
    /// A description of the group's first message.
    pub text: String,
    bytes: Vec<u8>,
}

/// The two connections, to the runner and to the server, and the state of the protocol between them.
pub struct Conversation {
    client: TcpStream,
    server: UnixStream,
    /// The texts of prepared statements, by name.
    prepared: BTreeMap<Vec<u8>, String>,
    /// Whether the server waits for the rows of a COPY.
    copying: bool,
}

impl Conversation {
    pub fn new(client: TcpStream, server: UnixStream) -> Self {
        Self {
            client,
            server,
            prepared: BTreeMap::new(),
            copying: false,
        }
    }

    /// Forwards the start of the session unchanged, including the password exchange.
    pub async fn start(&mut self) -> Result<(), Ended> {
        let startup = read_startup(&mut self.client).await?;
        self.server.write_all(&startup).await?;
        loop {
            let message = read_message(&mut self.server).await?;
            self.client.write_all(&message.bytes).await?;
            match message.kind {
                b'Z' => return Ok(()),
                b'E' => return Err(Ended::Gone),
                // A request for a password or its continuation: neither AuthenticationOk (0) nor SASL's final message
                // (12).
                b'R' if ![0, 12].contains(&message.body()[3]) => {
                    let answer = read_message(&mut self.client).await?;
                    self.server.write_all(&answer.bytes).await?;
                }
                _ => {}
            }
        }
    }

    /// Reads the runner's next group. Messages that the server sends meanwhile are forwarded.
    pub async fn next_group(&mut self) -> Result<Group, Ended> {
        let mut group = Group {
            text: String::new(),
            bytes: Vec::new(),
        };
        loop {
            let message = if group.bytes.is_empty() {
                self.first_of_group().await?
            } else {
                read_message(&mut self.client).await?
            };
            group.bytes.extend_from_slice(&message.bytes);
            let text = self.describe(&message);
            if group.text.is_empty() {
                group.text = text;
            }
            match message.kind {
                b'Q' | b'S' => return Ok(group),
                b'X' => {
                    self.server.write_all(&message.bytes).await?;
                    return Err(Ended::Gone);
                }
                _ => {}
            }
        }
    }

    async fn first_of_group(&mut self) -> Result<Message, Ended> {
        let mut one = [0; 1];
        loop {
            tokio::select! {
                seen = self.client.peek(&mut one) => {
                    if seen? == 0 {
                        return Err(Ended::Gone);
                    }
                    return Ok(read_message(&mut self.client).await?);
                }
                ready = self.server.readable() => {
                    ready?;
                    match self.server.try_read(&mut one) {
                        Ok(0) => return Err(Ended::Gone),
                        Ok(_) => {
                            let message = rest_of_message(one[0], &mut self.server).await?;
                            self.client.write_all(&message.bytes).await?;
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
    }

    fn describe(&mut self, message: &Message) -> String {
        let mut strings = message.body().split(|byte| *byte == 0);
        let mut next = || strings.next().unwrap_or_default().to_vec();
        let words = |bytes: Vec<u8>| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        match message.kind {
            b'Q' => words(next()),
            b'P' => {
                let (name, text) = (next(), words(next()));
                self.prepared.insert(name, text.clone());
                format!("prepare {text}")
            }
            b'B' => {
                let (_portal, name) = (next(), next());
                let text = self.prepared.get(&name).cloned().unwrap_or_default();
                format!("run {text}")
            }
            b'C' => "close".to_owned(),
            b'd' | b'c' | b'f' => "copy".to_owned(),
            _ => String::new(),
        }
    }

    /// Forwards the group to the server and its answer to the runner.
    pub async fn pass(&mut self, group: &Group) -> Result<(), Ended> {
        self.server.write_all(&group.bytes).await?;
        loop {
            let message = read_message(&mut self.server).await?;
            self.client.write_all(&message.bytes).await?;
            if self.answered(message.kind) {
                return Ok(());
            }
        }
    }

    /// Forwards the group to the server and drops the answer.
    pub async fn pass_unanswered(&mut self, group: &Group) -> Result<(), Ended> {
        self.server.write_all(&group.bytes).await?;
        self.swallow().await?;
        Err(Ended::Cut)
    }

    async fn swallow(&mut self) -> Result<(), Ended> {
        loop {
            let message = read_message(&mut self.server).await?;
            if self.answered(message.kind) {
                return Ok(());
            }
        }
    }

    /// Whether the answer is complete: the server is ready, or waits for the rows of a COPY.
    fn answered(&mut self, kind: u8) -> bool {
        match kind {
            b'G' => self.copying = true,
            b'Z' => self.copying = false,
            _ => {}
        }
        matches!(kind, b'G' | b'Z')
    }

    /// Makes the server fail with this SQLSTATE in place of executing the group, in the current transaction. Class 57P
    /// ends the connection.
    pub async fn fail(&mut self, group: &Group, code: &str) -> Result<(), Ended> {
        if code.starts_with("57P") {
            let error = error_message("FATAL", code, "terminating connection: injected");
            self.client.write_all(&error).await?;
            return Err(Ended::Cut);
        }
        if self.copying {
            // CopyFail and Sync: the COPY fails and aborts its transaction.
            self.server
                .write_all(&[b'f', 0, 0, 0, 5, 0, b'S', 0, 0, 0, 4])
                .await?;
            self.client
                .write_all(&error_message("ERROR", code, "injected"))
                .await?;
            loop {
                let message = read_message(&mut self.server).await?;
                if self.answered(message.kind) {
                    self.client.write_all(&message.bytes).await?;
                    return Ok(());
                }
            }
        }
        if group.text == "COMMIT" {
            // A failed COMMIT has rolled the transaction back.
            self.server.write_all(&query("ROLLBACK")).await?;
            self.swallow().await?;
        }
        let raise =
            format!("DO $$BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '{code}'; END$$");
        let raising = Group {
            text: String::new(),
            bytes: query(&raise),
        };
        self.pass(&raising).await
    }

    /// Waits until the runner closes the connection.
    pub async fn until_client_is_gone(&mut self) {
        until_gone(&mut self.client).await;
    }

    /// Resets the connection to the runner, as after a power failure of the server's machine.
    pub fn reset(self) {
        let _ = self.client.set_zero_linger();
    }
}

/// Reads and drops all bytes until the connection ends.
pub async fn until_gone(client: &mut TcpStream) {
    let mut bytes = [0; 1024];
    while client.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

/// The code of a TLS request, sent in the place of a protocol version.
const SSL_REQUEST: u32 = 80_877_103;
/// The answer that the server does not speak TLS.
const NO_TLS: &[u8] = b"N";

/// Reads the first message, which has no kind. Refuses a TLS request before it.
pub async fn read_startup(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    loop {
        let mut bytes = vec![0; 4];
        client.read_exact(&mut bytes).await?;
        let length = length_of([bytes[0], bytes[1], bytes[2], bytes[3]])?;
        bytes.resize(length, 0);
        client.read_exact(&mut bytes[4..]).await?;
        if bytes[4..] != SSL_REQUEST.to_be_bytes() {
            return Ok(bytes);
        }
        client.write_all(NO_TLS).await?;
    }
}

async fn read_message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Message> {
    let kind = from.read_u8().await?;
    rest_of_message(kind, from).await
}

async fn rest_of_message(kind: u8, from: &mut (impl AsyncRead + Unpin)) -> io::Result<Message> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await?;
    let mut bytes = vec![0; 1 + length_of(length)?];
    bytes[0] = kind;
    bytes[1..5].copy_from_slice(&length);
    from.read_exact(&mut bytes[5..]).await?;
    Ok(Message { kind, bytes })
}

fn length_of(bytes: [u8; 4]) -> io::Result<usize> {
    usize::try_from(u32::from_be_bytes(bytes))
        .ok()
        .filter(|length| (4..LONGEST_MESSAGE).contains(length))
        .ok_or_else(|| io::Error::other("no message of the protocol"))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

fn error_message(severity: &str, code: &str, words: &str) -> Vec<u8> {
    let body = format!("S{severity}\0V{severity}\0C{code}\0M{words}\0\0");
    message(b'E', body.as_bytes())
}

/// The error message of a server that refuses a session.
pub fn refusal(code: &str, words: &str) -> Vec<u8> {
    error_message("FATAL", code, words)
}
