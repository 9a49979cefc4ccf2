//! Plain HTTP: one exchange, with limits on time, header size, body size and decompressed size. It follows no redirect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use url::Url;

use crate::api_key::SecretHeader;

use super::backend::{Blame, Incoming, Outgoing, Prepared, Wire, WireFailure};
use super::content_coding::{self, Codings, Undecodable};
use super::http_client::{chain, client_builder};
use super::proxy::{Proxies, ProxyServer};
use super::retry_after;
use super::site_clock::SiteClocks;
use super::waiting::WaitingOn;

/// The maximum size of the response headers, in bytes.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The maximum number of header lines.
const MAX_HEADERS: usize = 200;
/// A compressed body above this size, in bytes, is decompressed in a blocking thread, because decompression (about
/// 300 MB/s) would delay the actors, which share one thread.
const LARGE_CODED_BODY: usize = 64 * 1024;
/// The maximum number of bytes kept of an error body, which is shown but not parsed.
pub(super) const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;

/// The HTTP client for all hosts: keeps connections open, follows no redirects, keeps no cookies.
pub struct HttpWire(Arc<Clients>);

struct Clients {
    direct: reqwest::Client,
    /// One client per proxy of the environment.
    proxied: Vec<(ProxyServer, reqwest::Client)>,
    proxies: Proxies,
    clocks: SiteClocks,
    request_timeout: Duration,
    /// Whether the lack of file descriptors has been reported.
    told_too_few_descriptors: AtomicBool,
}

impl HttpWire {
    /// A client with this User-Agent. `request_timeout` limits each request from connecting to its last byte. `clocks`
    /// receives the dates of the answers.
    ///
    /// # Errors
    /// The TLS roots cannot be loaded, or the User-Agent is not a valid header value.
    pub fn new(
        user_agent: &str,
        request_timeout: Duration,
        proxies: Proxies,
        clocks: SiteClocks,
    ) -> Result<Self, reqwest::Error> {
        let builder = || {
            client_builder()
                .user_agent(user_agent)
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(request_timeout.min(Duration::from_secs(10)))
                .http1_max_headers(MAX_HEADERS)
                .http2_max_header_list_size(MAX_HEADER_BYTES as u32)
                .pool_idle_timeout(Duration::from_secs(30))
                // Bodies are decoded in this module: reqwest accepts only one spelling of each coding and passes
                // unknown codings through.
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .referer(false)
                // The module `proxy` reads the environment, for HTTP and for the browser.
                .no_proxy()
        };
        let proxied = proxies
            .servers()
            .map(|server| {
                let proxy = reqwest::Proxy::all(server.expose().clone())?;
                Ok((server.clone(), builder().proxy(proxy).build()?))
            })
            .collect::<Result<_, reqwest::Error>>()?;
        Ok(Self(Arc::new(Clients {
            direct: builder().build()?,
            proxied,
            proxies,
            clocks,
            request_timeout,
            told_too_few_descriptors: AtomicBool::new(false),
        })))
    }
}

impl Clients {
    async fn send(&self, outgoing: &Outgoing) -> Result<Incoming, WireFailure> {
        let proxy = self.proxies.route(&outgoing.url);
        let client = self
            .proxied
            .iter()
            .find(|(server, _)| Some(server) == proxy)
            .map_or(&self.direct, |(_, client)| client);
        let url = outgoing.url.clone();
        let mut request = match &outgoing.post_json {
            Some(json) => client
                .post(url)
                .header(CONTENT_TYPE, "application/json")
                .body(json.clone()),
            None => client.get(url),
        };
        request = request.header(ACCEPT_ENCODING, content_coding::ACCEPTED);
        for (name, value) in &outgoing.headers {
            request = request.header(*name, value);
        }
        if let Some(SecretHeader { name, value }) = &outgoing.secret_header {
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| host_failure("the key has characters that no header may have"))?;
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        let mut response = request
            .send()
            .await
            .map_err(|error| self.no_answer(&outgoing.url, &error, proxy))?;
        let status = response.status();
        if let Some(date) = response.headers().get(DATE) {
            self.clocks
                .answered(&outgoing.url, &String::from_utf8_lossy(date.as_bytes()));
        }
        if let (407, Some(proxy)) = (status.as_u16(), proxy) {
            return Err(host_failure(&wants_password(proxy)));
        }
        bounded_headers(response.headers())?;
        let codings = Codings::of(response.headers());
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
        let most = outgoing.max_body_bytes;
        let body = if status.is_success() {
            let codings = codings.map_err(|text| WireFailure {
                text,
                blame: Blame::Final,
            })?;
            let coded = whole_body(&mut response, most).await?;
            let body = decoded(coded, codings, most).await?;
            if outgoing.must_end_in_html && !ends_in_html(&body) {
                return Err(host_failure(&format!(
                    "the body was cut: its {} bytes do not end in </html>",
                    body.len()
                )));
            }
            body
        } else {
            let most = most.min(MAX_ERROR_BODY_BYTES);
            let start = start_of_body(&mut response, most).await;
            match codings {
                Ok(codings) if !codings.is_empty() => {
                    let mut body = codings.undo_what_can_be(&start, most);
                    body.truncate(most);
                    body.into()
                }
                _ => start,
            }
        };
        Ok(Incoming { body, ..incoming })
    }

    fn no_answer(
        &self,
        url: &Url,
        error: &reqwest::Error,
        proxy: Option<&ProxyServer>,
    ) -> WireFailure {
        let fault = connection_fault(&chain(error), error.is_connect(), proxy, SystemTime::now());
        match fault.kind {
            FaultKind::Clock => self.clocks.certificate_out_of_date(url),
            FaultKind::Descriptors => {
                if !self.told_too_few_descriptors.swap(true, Ordering::Relaxed) {
                    tracing::error!("{}", fault.text);
                }
            }
            FaultKind::Proxy | FaultKind::Site => {}
        }
        WireFailure {
            text: fault.text,
            blame: match fault.kind {
                FaultKind::Descriptors => Blame::Machine,
                _ => Blame::Host,
            },
        }
    }
}

/// The reason why there was no answer, as far as the error shows it.
#[derive(Debug, PartialEq, Eq)]
struct ConnectionFault {
    kind: FaultKind,
    text: String,
}

/// The cause of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    /// This machine has no free file descriptor.
    Descriptors,
    /// Possibly this machine's clock: the certificate is not valid at its time.
    Clock,
    /// The proxy of the environment.
    Proxy,
    /// The site, or the network.
    Site,
}

/// Classifies a connection error, so that faults of this machine are not blamed on the site.
fn connection_fault(
    causes: &str,
    while_connecting: bool,
    proxy: Option<&ProxyServer>,
    now: SystemTime,
) -> ConnectionFault {
    let lower = causes.to_ascii_lowercase();
    // The text of EMFILE and ENFILE on Linux.
    if lower.contains("too many open files") {
        return ConnectionFault {
            kind: FaultKind::Descriptors,
            text: format!(
                "this machine has too few file descriptors ({causes}); raise `ulimit -n` (systemd: LimitNOFILE); no site is at fault"
            ),
        };
    }
    let out_of_date = [
        "not valid yet",
        "certificate expired",
        "certificate has expired",
    ];
    if out_of_date.iter().any(|words| lower.contains(words)) {
        return ConnectionFault {
            kind: FaultKind::Clock,
            text: format!(
                "the certificate is out of date by this machine's clock, which shows {}: correct the clock if that is wrong ({causes})",
                httpdate::fmt_http_date(now)
            ),
        };
    }
    match proxy {
        Some(proxy) if lower.contains("407") || lower.contains("authentication required") => {
            ConnectionFault {
                kind: FaultKind::Proxy,
                text: wants_password(proxy),
            }
        }
        Some(proxy) if while_connecting => ConnectionFault {
            kind: FaultKind::Proxy,
            text: format!(
                "no connection through the proxy {proxy} of {}: {causes}; start the proxy, or correct or unset the variable",
                proxy.variable
            ),
        },
        _ => ConnectionFault {
            kind: FaultKind::Site,
            text: format!("no answer: {causes}"),
        },
    }
}

fn wants_password(proxy: &ProxyServer) -> String {
    format!(
        "the proxy {proxy} of {} refuses this user (407): put user name and password into the variable",
        proxy.variable
    )
}

#[async_trait]
impl Wire for HttpWire {
    async fn prepare(&self, _: &Outgoing, _: &WaitingOn) -> Result<Box<dyn Prepared>, WireFailure> {
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
            "the answer has {bytes} bytes of headers; at most {MAX_HEADER_BYTES} are accepted"
        ),
        blame: Blame::Final,
    })
}

/// Reads the body of a good answer as it was sent.
async fn whole_body(response: &mut reqwest::Response, most: usize) -> Result<Bytes, WireFailure> {
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
        if body.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Decodes the body. The size limit is applied while decoding, so that a small answer cannot expand without limit.
async fn decoded(coded: Bytes, codings: Codings, most: usize) -> Result<Bytes, WireFailure> {
    let undone = if !codings.is_empty() && coded.len() > LARGE_CODED_BODY {
        tokio::task::spawn_blocking(move || codings.undo(&coded, most))
            .await
            .map_err(|error| host_failure(&format!("the body was not decoded: {error}")))?
    } else {
        codings.undo(&coded, most)
    };
    undone.map_err(|why| match why {
        Undecodable::TooLarge => too_large(most),
        Undecodable::Wrong(text) => host_failure(&text),
    })
}

fn too_large(most: usize) -> WireFailure {
    WireFailure {
        text: too_large_text(most),
        blame: Blame::Final,
    }
}

pub(super) fn too_large_text(most: usize) -> String {
    format!("the body is larger than the {most} bytes this page may have")
}

/// Reads the first bytes of an error body; a failure while reading it is ignored.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Faults of this machine are reported as its own.
    #[test]
    fn a_local_fault_is_not_reported_as_the_sites() {
        let proxies = Proxies::from_variables(|name| {
            (name == "HTTPS_PROXY").then(|| "socks5://me:hunter2@p.th:1080".into())
        });
        let proxies = proxies.expect("readable");
        let proxy = proxies.route(&Url::parse("https://a.th").expect("a URL"));
        let refused = "tcp connect error: Connection refused (os error 111)";
        for (causes, connecting, proxy, kind, words) in [
            (
                "tcp open error: Too many open files (os error 24)",
                true,
                None,
                FaultKind::Descriptors,
                "ulimit -n",
            ),
            (
                "dns error: Too many open files in system (os error 23)",
                true,
                proxy,
                FaultKind::Descriptors,
                "file descriptors",
            ),
            (
                "invalid peer certificate: certificate not valid yet: verification time 9 (UNIX)",
                true,
                None,
                FaultKind::Clock,
                "1970",
            ),
            (
                "invalid peer certificate: certificate expired: verification time 9",
                true,
                proxy,
                FaultKind::Clock,
                "clock",
            ),
            (
                refused,
                true,
                proxy,
                FaultKind::Proxy,
                "socks5://p.th:1080 of HTTPS_PROXY",
            ),
            (
                "tunnel error: proxy authorization required: 407",
                true,
                proxy,
                FaultKind::Proxy,
                "(407)",
            ),
            (refused, true, None, FaultKind::Site, "no answer: tcp"),
            (
                "connection closed before message completed",
                false,
                proxy,
                FaultKind::Site,
                "no answer",
            ),
        ] {
            let fault = connection_fault(causes, connecting, proxy, SystemTime::UNIX_EPOCH);
            assert_eq!(fault.kind, kind, "{causes}");
            assert!(fault.text.contains(words), "{}", fault.text);
            assert!(!fault.text.contains("hunter2"), "{}", fault.text);
        }
    }

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
