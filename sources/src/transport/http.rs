//! One HTTP exchange: bounded in time, header size, body size and decompressed size; no redirect is followed here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};

use super::host::HostKey;
use super::retry_after;
use super::waiting::WaitingOn;
use super::wire::{Blame, Incoming, Outgoing, Prepared, Wire, WireFailure};

/// Most bytes of response headers taken.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Most header lines taken.
const MAX_HEADERS: usize = 200;
/// Most bytes kept of the body of an error answer: it is shown, not read.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;

/// A client for every host: keeps connections, follows no redirects, keeps no cookies.
pub struct HttpWire(Arc<Clients>);

struct Clients {
    client: reqwest::Client,
    /// Loopback hosts are never reached through a proxy of the environment.
    loopback: reqwest::Client,
    request_timeout: Duration,
}

impl HttpWire {
    /// A client with this User-Agent; `request_timeout` bounds each request from connecting to its last byte.
    ///
    /// # Errors
    /// The TLS roots cannot be loaded or the User-Agent is not a header value.
    pub fn new(user_agent: &str, request_timeout: Duration) -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(user_agent)
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(request_timeout.min(Duration::from_secs(10)))
                .http1_max_headers(MAX_HEADERS)
                .http2_max_header_list_size(MAX_HEADER_BYTES as u32)
                .pool_idle_timeout(Duration::from_secs(30))
                .referer(false)
        };
        Ok(Self(Arc::new(Clients {
            client: builder().build()?,
            loopback: builder().no_proxy().build()?,
            request_timeout,
        })))
    }
}

impl Clients {
    async fn send(&self, outgoing: &Outgoing) -> Result<Incoming, WireFailure> {
        let on_loopback = HostKey::of(&outgoing.url).is_some_and(|host| host.is_loopback());
        let client = if on_loopback {
            &self.loopback
        } else {
            &self.client
        };
        let url = outgoing.url.clone();
        let mut request = match &outgoing.post_json {
            Some(json) => client
                .post(url)
                .header(CONTENT_TYPE, "application/json")
                .body(json.clone()),
            None => client.get(url),
        };
        for (name, value) in &outgoing.headers {
            request = request.header(*name, value);
        }
        let mut response = request
            .send()
            .await
            .map_err(|error| host_failure(&format!("no answer: {}", chain(&error))))?;
        let status = response.status();
        bounded_headers(response.headers())?;
        let headers = response.headers();
        let text = |name: HeaderName| {
            let value = headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let incoming = Incoming {
            status: status.as_u16(),
            content_type: text(CONTENT_TYPE),
            location: text(LOCATION),
            retry_after: text(RETRY_AFTER).and_then(|value| {
                retry_after::delay(&value, text(DATE).as_deref(), SystemTime::now())
            }),
            body: Bytes::new(),
        };
        let body = if status.is_success() {
            whole_body(&mut response, outgoing).await?
        } else {
            start_of_body(
                &mut response,
                outgoing.max_body_bytes.min(MAX_ERROR_BODY_BYTES),
            )
            .await
        };
        Ok(Incoming { body, ..incoming })
    }
}

#[async_trait]
impl Wire for HttpWire {
    async fn prepare(&self, _: &WaitingOn) -> Result<Box<dyn Prepared>, WireFailure> {
        Ok(Box::new(Arc::clone(&self.0)))
    }
}

#[async_trait]
impl Prepared for Arc<Clients> {
    async fn exchange(self: Box<Self>, outgoing: &Outgoing) -> Result<Incoming, WireFailure> {
        match tokio::time::timeout(self.request_timeout, self.send(outgoing)).await {
            Ok(result) => result,
            Err(_) => Err(host_failure(&format!(
                "no whole answer within {} s",
                self.request_timeout.as_secs_f64()
            ))),
        }
    }
}

fn bounded_headers(headers: &HeaderMap) -> Result<(), WireFailure> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if bytes <= MAX_HEADER_BYTES {
        return Ok(());
    }
    Err(WireFailure {
        text: format!(
            "the answer has {bytes} bytes of headers; at most {MAX_HEADER_BYTES} are taken"
        ),
        blame: Blame::Final,
    })
}

/// The body of a good answer, or why it is not one. Chunks are counted as they are decompressed, so that a small
/// answer cannot unfold into a large one.
async fn whole_body(
    response: &mut reqwest::Response,
    outgoing: &Outgoing,
) -> Result<Bytes, WireFailure> {
    let mut body = BytesMut::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| {
            host_failure(&format!(
                "the body was cut after {} bytes: {}",
                body.len(),
                chain(&error)
            ))
        })?;
        let Some(chunk) = chunk else { break };
        if body.len() + chunk.len() > outgoing.max_body_bytes {
            return Err(WireFailure {
                text: format!(
                    "the body is larger than the {} bytes this page may have",
                    outgoing.max_body_bytes
                ),
                blame: Blame::Final,
            });
        }
        body.extend_from_slice(&chunk);
    }
    if outgoing.must_end_in_html && !ends_in_html(&body) {
        return Err(host_failure(&format!(
            "the body was cut: its {} bytes do not end in </html>",
            body.len()
        )));
    }
    Ok(body.freeze())
}

/// The first bytes of an error's body; what cannot be had of it is not missed.
async fn start_of_body(response: &mut reqwest::Response, most: usize) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == most {
            break;
        }
    }
    body.freeze()
}

fn ends_in_html(body: &[u8]) -> bool {
    const END: &[u8] = b"</html>";
    let trimmed = body.trim_ascii_end();
    trimmed
        .len()
        .checked_sub(END.len())
        .is_some_and(|start| trimmed[start..].eq_ignore_ascii_case(END))
}

fn host_failure(text: &str) -> WireFailure {
    WireFailure {
        text: text.to_owned(),
        blame: Blame::Host,
    }
}

/// An error with its causes; reqwest's own text names the URL again and not the reason.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    if causes.is_empty() {
        error.to_string()
    } else {
        causes.join(": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_only_if_it_ends_in_html() {
        for (body, whole) in [
            ("<html></html>", true),
            ("<html></HTML>\r\n \n", true),
            ("<html></htm", false),
            ("", false),
            ("</html><p>", false),
        ] {
            assert_eq!(ends_in_html(body.as_bytes()), whole, "{body:?}");
        }
    }
}
