//! WebDriver BiDi: concurrent commands to one browser, and the browser's events, over a WebSocket.
//!
//! Classic WebDriver runs one command at a time in a session, so a page with an endless script would block all other
//! pages. With BiDi each tab answers independently, and the browser reports which requests each page has in flight.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::page_requests::{PageRequests, Traffic};

/// How long the WebSocket may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest message, in bytes: a document of the largest size, escaped twice.
const MAX_MESSAGE_BYTES: usize = 256 << 20;
/// The events to subscribe to.
const EVENTS: [&str; 5] = [
    "network.beforeRequestSent",
    "network.responseCompleted",
    "network.fetchError",
    "browsingContext.downloadWillBegin",
    "browsingContext.userPromptOpened",
];
/// Kinds of requests that do not contribute to the page's content; a visit does not wait for them.
const BESIDE: [&str; 4] = ["image", "audio", "video", "track"];

/// The reason why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BidiError {
    /// The connection is closed.
    #[error("the browser closed its connection")]
    Closed,
    /// The browser refused the command.
    #[error("{error}: {message}")]
    Refused {
        /// BiDi's error code, such as `no such frame`.
        error: String,
        /// The browser's error text.
        message: String,
    },
}

/// A connection to one browser. Dropping it closes it.
pub struct Bidi {
    shared: Arc<Shared>,
    outbox: mpsc::UnboundedSender<Message>,
    talking: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    last_id: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    waiting: HashMap<u64, oneshot::Sender<Result<Value, BidiError>>>,
    /// The requests of each watched tab, by its context.
    pages: BTreeMap<String, PageRequests>,
}

impl Bidi {
    /// Connects to `url` and subscribes to the events.
    ///
    /// # Errors
    /// No server answers at `url`, or the server does not support BiDi. The error is a sentence for the operator.
    pub async fn connect(url: &str) -> Result<Self, String> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let connecting = tokio_tungstenite::connect_async_with_config(url, Some(config), true);
        let (socket, _) = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))?
            .map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared::default());
        let (outbox, mut to_send) = mpsc::unbounded_channel::<Message>();
        let (mut sink, mut stream) = socket.split();
        let heard = Arc::clone(&shared);
        let answering = outbox.downgrade();
        let talking = tokio::spawn(async move {
            loop {
                tokio::select! {
                    message = to_send.recv() => match message {
                        Some(message) => {
                            if sink.send(message).await.is_err() {
                                break;
                            }
                        }
                        None => break,
                    },
                    message = stream.next() => match message {
                        Some(Ok(Message::Text(text))) => {
                            if let Some(answer) = heard.hear(text.as_str())
                                && let Some(outbox) = answering.upgrade()
                            {
                                // The browser may have closed the connection by now.
                                let _ = outbox.send(answer);
                            }
                        }
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => break,
                    },
                }
            }
            heard.close();
        });
        let bidi = Self {
            shared,
            outbox,
            talking,
        };
        bidi.command("session.subscribe", json!({"events": EVENTS}))
            .await
            .map_err(|error| error.to_string())?;
        // A browser without this command still reports downloads.
        bidi.tell(
            "browser.setDownloadBehavior",
            &json!({"downloadBehavior": {"type": "denied"}}),
        );
        Ok(bidi)
    }

    /// Sends a command and waits for its result. Dropping the future does not undo the command.
    pub async fn command(&self, method: &str, params: Value) -> Result<Value, BidiError> {
        let (hand_over, handed_over) = oneshot::channel();
        let id = self.shared.next_id();
        {
            let mut state = self.shared.state.lock();
            if state.closed {
                return Err(BidiError::Closed);
            }
            state.waiting.insert(id, hand_over);
        }
        let _forgotten = Forgotten(&self.shared, id);
        self.send(id, method, &params)?;
        handed_over.await.unwrap_or(Err(BidiError::Closed))
    }

    /// Sends a command without waiting for its result.
    pub fn tell(&self, method: &str, params: &Value) {
        // A closed browser needs no command.
        let _ = self.send(self.shared.next_id(), method, params);
    }

    fn send(&self, id: u64, method: &str, params: &Value) -> Result<(), BidiError> {
        let text = json!({"id": id, "method": method, "params": params}).to_string();
        self.outbox
            .send(Message::text(text))
            .map_err(|_| BidiError::Closed)
    }

    /// Starts to track the requests of this tab, with none so far.
    pub fn watch(&self, context: &str) {
        self.shared
            .state
            .lock()
            .pages
            .insert(context.to_owned(), PageRequests::default());
    }

    /// Stops tracking the requests of this tab.
    pub fn unwatch(&self, context: &str) {
        self.shared.state.lock().pages.remove(context);
    }

    /// The requests of a watched tab: how many are in flight, and how long they have been quiet.
    pub fn traffic(&self, context: &str, since: Instant) -> Option<Traffic> {
        let state = self.shared.state.lock();
        let page = state.pages.get(context)?;
        Some(page.traffic(since, Instant::now()))
    }

    /// The status by which the page's API answered; see [`PageRequests::api_status`].
    pub fn api_status(&self, context: &str, names: &[String]) -> Option<u16> {
        let state = self.shared.state.lock();
        state.pages.get(context)?.api_status(names)
    }

    /// The file that the page of a watched tab offers for download.
    pub fn download(&self, context: &str) -> Option<String> {
        let state = self.shared.state.lock();
        state.pages.get(context)?.download().map(str::to_owned)
    }
}

impl Drop for Bidi {
    fn drop(&mut self) {
        self.talking.abort();
    }
}

/// Removes the waiting entry of a command when its call ends.
struct Forgotten<'shared>(&'shared Shared, u64);

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.0.state.lock().waiting.remove(&self.1);
    }
}

/// A message of the browser.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Heard {
    Success {
        id: u64,
        result: Value,
    },
    Error {
        id: Option<u64>,
        error: String,
        #[serde(default)]
        message: String,
    },
    Event {
        method: String,
        params: Event,
    },
}

/// The used fields of all [`EVENTS`].
#[derive(Deserialize)]
struct Event {
    context: Option<String>,
    request: Option<EventRequest>,
    response: Option<EventResponse>,
    navigation: Option<String>,
    #[serde(rename = "suggestedFilename")]
    file: Option<String>,
    #[serde(rename = "type")]
    prompt: Option<String>,
}

#[derive(Deserialize)]
struct EventRequest {
    request: String,
    url: String,
    #[serde(default)]
    destination: String,
    #[serde(rename = "initiatorType")]
    initiator: Option<String>,
}

#[derive(Deserialize)]
struct EventResponse {
    status: u16,
    #[serde(rename = "bodySize")]
    body_bytes: Option<u64>,
}

impl Shared {
    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Handles a message. Returns the message to send in response, if any.
    fn hear(&self, text: &str) -> Option<Message> {
        let (id, outcome) = match serde_json::from_str(text) {
            Ok(Heard::Success { id, result }) => (id, Ok(result)),
            Ok(Heard::Error {
                id: Some(id),
                error,
                message,
            }) => (id, Err(BidiError::Refused { error, message })),
            Ok(Heard::Event { method, params }) => return self.happened(&method, params),
            // An error without a command id, or a message outside the protocol: no call waits for it.
            Ok(Heard::Error { id: None, .. }) | Err(_) => return None,
        };
        let waiting = self.state.lock().waiting.remove(&id);
        if let Some(waiting) = waiting {
            // The call may have been dropped.
            let _ = waiting.send(outcome);
        }
        None
    }

    fn happened(&self, method: &str, event: Event) -> Option<Message> {
        let context = event.context?;
        if method == "browsingContext.userPromptOpened" {
            // Accept the prompt that delays leaving a page; dismiss every other prompt.
            let accept = event.prompt.as_deref() == Some("beforeunload");
            let params = json!({"context": context, "accept": accept});
            let command = json!({"id": self.next_id(), "method": "browsingContext.handleUserPrompt", "params": params});
            return Some(Message::text(command.to_string()));
        }
        let now = Instant::now();
        let mut state = self.state.lock();
        let page = state.pages.get_mut(&context)?;
        if method == "browsingContext.downloadWillBegin" {
            page.downloads(event.file.as_deref().unwrap_or("without a name"));
            return None;
        }
        let request = event.request?;
        match (method, event.response) {
            ("network.beforeRequestSent", _) => {
                let is_beside = BESIDE.contains(&request.destination.as_str())
                    || request.initiator.as_deref() == Some("beacon");
                if !is_beside {
                    page.started(&request.request, event.navigation.is_some(), now);
                }
            }
            ("network.responseCompleted", Some(response)) => page.ended(
                &request.request,
                &request.url,
                response.status,
                response.body_bytes,
                now,
            ),
            _ => page.ended(&request.request, &request.url, 0, None, now),
        }
        None
    }

    fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        // Dropping the senders ends the waiting calls with an error.
        state.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = r#""request": {"request": "7", "url": "http://a.th/api?code=X", "destination": "", "initiatorType": "fetch"}"#;

    fn event(method: &str, more: &str) -> String {
        format!(
            r#"{{"type": "event", "method": "{method}", "params": {{"context": "tab", "navigation": null, "isBlocked": false, {more}}}}}"#
        )
    }

    #[test]
    fn events_of_a_watched_tab_are_followed_and_others_dropped() {
        let shared = Shared::default();
        let begins = event("network.beforeRequestSent", REQUEST);
        assert!(shared.hear(&begins).is_none(), "nothing is watched yet");
        shared
            .state
            .lock()
            .pages
            .insert("tab".to_owned(), PageRequests::default());
        let zero = Instant::now();
        let in_flight = || {
            let state = shared.state.lock();
            state.pages["tab"].traffic(zero, Instant::now()).in_flight
        };
        assert_eq!(in_flight(), 0);
        shared.hear(&begins);
        shared.hear(
            &begins
                .replace("\"destination\": \"\"", "\"destination\": \"image\"")
                .replace("\"7\"", "\"8\""),
        );
        shared.hear(
            &begins
                .replace("\"tab\"", "\"another\"")
                .replace("\"7\"", "\"9\""),
        );
        assert_eq!(in_flight(), 1);
        shared.hear(&event(
            "network.responseCompleted",
            &format!(r#"{REQUEST}, "response": {{"status": 404, "bodySize": 90, "url": ""}}"#),
        ));
        assert_eq!(in_flight(), 0);
        assert_eq!(
            shared.state.lock().pages["tab"].api_status(&["X".to_owned()]),
            Some(404)
        );
        shared.hear(&event(
            "browsingContext.downloadWillBegin",
            r#""suggestedFilename": "page.csv", "url": "http://a.th/""#,
        ));
        assert_eq!(
            shared.state.lock().pages["tab"].download(),
            Some("page.csv")
        );
        for rubbish in [
            "",
            "moo",
            "{}",
            r#"{"type": "event", "method": "x", "params": {}}"#,
        ] {
            assert!(shared.hear(rubbish).is_none(), "{rubbish}");
        }
    }

    #[test]
    fn prompts_are_dismissed_and_leaving_is_never_prevented() {
        let shared = Shared::default();
        for (kind, accept) in [("alert", "false"), ("beforeunload", "true")] {
            let opened = event(
                "browsingContext.userPromptOpened",
                &format!(r#""type": "{kind}""#),
            );
            let Some(Message::Text(answer)) = shared.hear(&opened) else {
                panic!("no answer to {kind}");
            };
            assert!(
                answer.as_str().contains(&format!("\"accept\":{accept}")),
                "{answer}"
            );
        }
    }

    #[tokio::test]
    async fn a_closed_connection_ends_every_command() {
        let shared = Shared::default();
        let (hand_over, handed_over) = oneshot::channel();
        shared.state.lock().waiting.insert(1, hand_over);
        shared.close();
        assert!(handed_over.await.is_err());
        assert!(shared.state.lock().closed);
    }
}
