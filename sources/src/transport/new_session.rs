//! Creates a session at a WebDriver server with exactly the given capabilities.
//!
//! The WebDriver library adds options of another browser to every session that it creates. A Selenium server splits the
//! capabilities by browser, and its driver uses the part for the other browser. The result is a browser without this
//! program's User-Agent that loads every resource of a page.

use std::time::Duration;

use fantoccini::Client;
use hyper_rustls::HttpsConnectorBuilder;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::http_client::{chain, client_builder};

/// The maximum size of a server's answer, in bytes; it contains the capabilities of one session.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// The maximum length of a server's error text, in characters: Selenium's texts contain a stack trace.
const MAX_COMPLAINT_CHARS: usize = 300;
/// The longest wait for a server to start a browser, independent of the callers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// The server's URL with a slash at its end, so that the paths of a session are appended to it. Without the slash they
/// would replace the last part of a server's path (`http://grid:4444/wd/hub`).
pub fn as_folder(server: &Url) -> Url {
    let mut folder = server.clone();
    if !folder.path().ends_with('/') {
        folder.set_path(&format!("{}/", server.path()));
    }
    folder
}

/// A session that has started.
pub struct Started {
    /// The client for its classic commands.
    pub client: Client,
    /// The URL of its WebSocket, if it has one without TLS.
    pub bidi_url: Option<String>,
}

/// Starts a session. If the future is dropped, the session is ended as soon as the server has created it, so that no
/// unused browser stays on a remote server.
pub async fn start(server: &Url, capabilities: Map<String, Value>) -> Result<Started, String> {
    let server = as_folder(server);
    let (hand_over, handed_over) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        if let Err(Ok(unwanted)) = hand_over.send(make(&server, capabilities).await) {
            let closed: Result<(), _> = Client::close(unwanted.client).await;
            tracing::debug!(?closed, "a session that came too late");
        }
    });
    handed_over
        .await
        .unwrap_or_else(|_| Err("the session's task ended".to_owned()))
}

async fn make(server: &Url, capabilities: Map<String, Value>) -> Result<Started, String> {
    let asking = server
        .join("session")
        .map_err(|error| format!("{server} is no address of a server: {error}"))?;
    let client = client_builder()
        .no_proxy()
        .timeout(ANSWER_TIMEOUT)
        .build()
        .map_err(|error| format!("no HTTP client: {error}"))?;
    let asked = json!({"capabilities": {"alwaysMatch": capabilities}}).to_string();
    let mut answer = client
        .post(asking)
        .header("Content-Type", "application/json; charset=utf-8")
        .body(asked)
        .send()
        .await
        .map_err(|error| chain(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| chain(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(format!(
                "its answer is longer than {MAX_ANSWER_BYTES} bytes"
            ));
        }
    }
    let made = session_of(&body)?;
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::with_existing_session(server.as_str(), &made.id, connector)
        .await
        .map_err(|error| error.to_string())?;
    Ok(Started {
        client,
        bidi_url: made.bidi_url,
    })
}

/// An answer of the WebDriver protocol.
#[derive(Deserialize)]
struct Answer {
    value: Outcome,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    Session {
        #[serde(rename = "sessionId")]
        session_id: String,
        #[serde(default)]
        capabilities: Matched,
    },
    Complaint {
        message: String,
    },
}

/// The capabilities of the session, as far as they are used.
#[derive(Default, Deserialize)]
struct Matched {
    #[serde(rename = "webSocketUrl", default)]
    web_socket_url: Value,
}

/// The identifiers of a session.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    id: String,
    bidi_url: Option<String>,
}

/// Parses the created session, or returns the reason why there is none.
fn session_of(body: &[u8]) -> Result<Made, String> {
    match serde_json::from_slice::<Answer>(body) {
        Ok(Answer {
            value:
                Outcome::Session {
                    session_id,
                    capabilities,
                },
        }) => Ok(Made {
            id: session_id,
            bidi_url: capabilities
                .web_socket_url
                .as_str()
                .filter(|url| url.starts_with("ws://"))
                .map(str::to_owned),
        }),
        Ok(Answer {
            value: Outcome::Complaint { message },
        }) => Err(first_line(&message)),
        Err(_) => Err(format!(
            "its answer is none of WebDriver's: {}",
            first_line(&String::from_utf8_lossy(body))
        )),
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(MAX_COMPLAINT_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_a_server_below_a_path_stay_below_it() {
        for (server, session) in [
            ("http://127.0.0.1:4444", "http://127.0.0.1:4444/session"),
            ("http://grid:4444/wd/hub", "http://grid:4444/wd/hub/session"),
            (
                "http://grid:4444/wd/hub/",
                "http://grid:4444/wd/hub/session",
            ),
        ] {
            let server = Url::parse(server).expect("a URL");
            let joined = as_folder(&server).join("session").expect("a URL");
            assert_eq!(joined.as_str(), session);
        }
    }

    #[test]
    fn a_servers_answer_is_a_session_or_one_bounded_line() {
        for (body, expected) in [
            (
                r#"{"value":{"sessionId":"a-b","capabilities":{"browserName":"firefox"}}}"#,
                Ok(("a-b", None)),
            ),
            (
                r#"{"value":{"sessionId":"a-b","capabilities":{"webSocketUrl":"ws://127.0.0.1:1/session/a-b"}}}"#,
                Ok(("a-b", Some("ws://127.0.0.1:1/session/a-b"))),
            ),
            (
                r#"{"value":{"sessionId":"a-b","capabilities":{"webSocketUrl":"wss://grid/session/a-b"}}}"#,
                Ok(("a-b", None)),
            ),
            (
                r#"{"value":{"sessionId":"a-b","capabilities":{"webSocketUrl":true}}}"#,
                Ok(("a-b", None)),
            ),
            (
                r#"{"value":{"error":"unknown error","message":"Process unexpectedly closed\nBuild info: 3","stacktrace":"x"}}"#,
                Err("Process unexpectedly closed"),
            ),
            ("moo!", Err("its answer is none of WebDriver's: moo!")),
            ("", Err("its answer is none of WebDriver's: ")),
        ] {
            let made = session_of(body.as_bytes());
            let made = made
                .as_ref()
                .map(|made| (made.id.as_str(), made.bidi_url.as_deref()))
                .map_err(String::as_str);
            assert_eq!(made, expected, "{body}");
        }
        let long = json!({"value": {"message": "m".repeat(9_000)}}).to_string();
        let complaint = session_of(long.as_bytes()).expect_err("a complaint");
        assert_eq!(complaint.chars().count(), MAX_COMPLAINT_CHARS);
    }
}
