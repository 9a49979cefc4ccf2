//! A new session at a WebDriver server, asked for with the very capabilities it should have and nothing else.
//!
//! The WebDriver library adds options of another browser to every session it makes itself. A Selenium server splits what
//! is asked for by browser, and its driver takes the part that is not ours: a browser without our User-Agent that loads
//! whatever a page asks for.

use std::time::Duration;

use fantoccini::Client;
use hyper_rustls::HttpsConnectorBuilder;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::http::chain;

/// What a server may answer, at most; an answer holds one session's capabilities.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// A server's complaint is shown up to so many characters: Selenium's hold a stack trace.
const MAX_COMPLAINT_CHARS: usize = 300;
/// Longest wait for a server that starts a browser, whoever still waits for it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// The server's address as a folder, in which a session's paths lie: without the slash at its end, those of a server
/// below a path (`http://grid:4444/wd/hub`) would take the place of its last part.
pub fn as_folder(server: &Url) -> Url {
    let mut folder = server.clone();
    if !folder.path().ends_with('/') {
        folder.set_path(&format!("{}/", server.path()));
    }
    folder
}

/// Starts a session. Dropping the future ends the session as soon as the server has made it: a browser that nobody waits
/// for any more does not stay with a server that is not ours.
pub async fn start(server: &Url, capabilities: Map<String, Value>) -> Result<Client, String> {
    let server = as_folder(server);
    let (hand_over, handed_over) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        if let Err(Ok(unwanted)) = hand_over.send(make(&server, capabilities).await) {
            let closed: Result<(), _> = Client::close(unwanted).await;
            tracing::debug!(?closed, "a session that came too late");
        }
    });
    handed_over
        .await
        .unwrap_or_else(|_| Err("the session's task ended".to_owned()))
}

async fn make(server: &Url, capabilities: Map<String, Value>) -> Result<Client, String> {
    let asking = server
        .join("session")
        .map_err(|error| format!("{server} is no address of a server: {error}"))?;
    let client = reqwest::Client::builder()
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
    let id = session_id(&body)?;
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .https_or_http()
        .enable_http1()
        .build();
    Client::with_existing_session(server.as_str(), &id, connector)
        .await
        .map_err(|error| error.to_string())
}

/// An answer in WebDriver's words.
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
    },
    Complaint {
        message: String,
    },
}

/// The session that was made, or why there is none.
fn session_id(body: &[u8]) -> Result<String, String> {
    match serde_json::from_slice::<Answer>(body) {
        Ok(Answer {
            value: Outcome::Session { session_id },
        }) => Ok(session_id),
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
                Ok("a-b"),
            ),
            (
                r#"{"value":{"error":"unknown error","message":"Process unexpectedly closed\nBuild info: 3","stacktrace":"x"}}"#,
                Err("Process unexpectedly closed"),
            ),
            ("moo!", Err("its answer is none of WebDriver's: moo!")),
            ("", Err("its answer is none of WebDriver's: ")),
        ] {
            let id = session_id(body.as_bytes());
            assert_eq!(id.as_deref().map_err(String::as_str), expected, "{body}");
        }
        let long = json!({"value": {"message": "m".repeat(9_000)}}).to_string();
        let complaint = session_id(long.as_bytes()).expect_err("a complaint");
        assert_eq!(complaint.chars().count(), MAX_COMPLAINT_CHARS);
    }
}
