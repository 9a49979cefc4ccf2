//! The script that requests a URL from inside an open page, and the interpretation of its result. The rules are pure.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::backend::Incoming;
use super::http::{MAX_ERROR_BODY_BYTES, too_large_text};
use super::retry_after;
use super::visit_failure::VisitFailure;

/// The longest value of a response header that leaves the browser, in characters.
const MAX_HEADER_CHARS: usize = 1_000;

/// A function that requests a URL and returns the answer as JSON text. Its argument is a JSON array: URL, `Accept`, the
/// largest body, the largest error body (both in bytes), the time limit in milliseconds, the longest header value.
///
/// It reads the body piece by piece and aborts the request beyond the limit. The body leaves the browser in base64, so
/// its bytes are those of the answer.
pub const FETCH: &str = r"
(given) => (async () => {
  const [url, accept, mostBytes, mostErrorBytes, millis, mostChars] = JSON.parse(given);
  if (location.origin !== new URL(url).origin) { return {kind: 'elsewhere', url: location.href.slice(0, 200)}; }
  const controller = new AbortController();
  let bytes = 0, late = false;
  const timer = setTimeout(() => { late = true; controller.abort(); }, millis);
  try {
    const answer = await fetch(url, {
      headers: {Accept: accept}, mode: 'same-origin', credentials: 'same-origin', redirect: 'manual', cache: 'no-store',
      signal: controller.signal,
    });
    if (answer.type === 'opaqueredirect') { return {kind: 'redirected'}; }
    const most = answer.ok ? mostBytes : Math.min(mostBytes, mostErrorBytes);
    const pieces = [];
    const reader = answer.body ? answer.body.getReader() : null;
    while (reader && bytes < most + 1) {
      const {done, value} = await reader.read();
      if (done) { break; }
      bytes += value.byteLength;
      pieces.push(value);
    }
    if (bytes > most) {
      controller.abort();
      if (answer.ok) { return {kind: 'too_large'}; }
    }
    const body = await new Promise((resolve, reject) => {
      const file = new FileReader();
      file.onload = () => resolve(file.result.slice(file.result.indexOf(',') + 1));
      file.onerror = () => reject(file.error);
      file.readAsDataURL(new Blob(pieces).slice(0, most));
    });
    const header = (name) => { const text = answer.headers.get(name); return text && text.slice(0, mostChars); };
    return {
      kind: 'answered', status: answer.status, content_type: header('content-type'), retry_after: header('retry-after'),
      date: header('date'), body,
    };
  } catch (error) {
    return late ? {kind: 'late'} : {kind: 'failed', bytes, why: String(error).slice(0, 200)};
  } finally {
    clearTimeout(timer);
  }
})().then(JSON.stringify)";

/// The result of [`FETCH`].
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Fetched {
    Answered {
        status: u16,
        content_type: Option<String>,
        retry_after: Option<String>,
        date: Option<String>,
        /// In base64.
        body: String,
    },
    /// The answer is a redirect.
    Redirected,
    /// The body is larger than the limit.
    TooLarge,
    /// There was no whole answer within the time limit.
    Late,
    /// There was no whole answer; `bytes` of its body had arrived.
    Failed { bytes: u64, why: String },
    /// The tab shows a page of another host.
    Elsewhere { url: String },
}

/// The limits of a request.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// The largest decompressed body, in bytes.
    pub max_body_bytes: usize,
    /// The longest time until the last byte.
    pub timeout: Duration,
}

/// The arguments of [`FETCH`].
pub fn arguments(url: &Url, accept: &str, limits: FetchLimits) -> Vec<Value> {
    let millis = u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX);
    vec![
        url.as_str().into(),
        accept.into(),
        limits.max_body_bytes.into(),
        MAX_ERROR_BODY_BYTES.into(),
        millis.into(),
        MAX_HEADER_CHARS.into(),
    ]
}

/// The answer in the result of [`FETCH`], as plain HTTP would have returned it. `our_now`: the time for a `Retry-After`
/// with a date, if the answer has no date of its own.
pub fn answered(
    fetched: Value,
    limits: FetchLimits,
    our_now: SystemTime,
) -> Result<Incoming, VisitFailure> {
    let nonsense = |error: &dyn std::fmt::Display| {
        VisitFailure::Lost(format!("the browser answers nonsense: {error}"))
    };
    match serde_json::from_value(fetched).map_err(|error| nonsense(&error))? {
        Fetched::Answered {
            status,
            content_type,
            retry_after,
            date,
            body,
        } => Ok(Incoming {
            status,
            content_type,
            location: None,
            retry_after: retry_after
                .and_then(|value| retry_after::delay(&value, date.as_deref(), our_now)),
            body: Bytes::from(STANDARD.decode(body).map_err(|error| nonsense(&error))?),
        }),
        Fetched::Redirected => Err(VisitFailure::Page(
            "the answer is a redirect, which is not followed from inside a page".to_owned(),
        )),
        Fetched::TooLarge => Err(VisitFailure::Page(too_large_text(limits.max_body_bytes))),
        Fetched::Late => Err(VisitFailure::Host(format!(
            "no whole answer within {} s in the browser",
            limits.timeout.as_secs_f64()
        ))),
        Fetched::Failed { bytes: 0, why } => Err(VisitFailure::Host(format!(
            "no answer in the browser: {why}"
        ))),
        Fetched::Failed { bytes, why } => Err(VisitFailure::Host(format!(
            "the body was cut after {bytes} bytes: {why}"
        ))),
        Fetched::Elsewhere { url } => {
            Err(VisitFailure::TabLost(format!("the page went on to {url}")))
        }
    }
}

/// What a page that was opened to request from stands for.
#[derive(Debug, PartialEq, Eq)]
pub enum PageStatus {
    /// Requests can be sent from it.
    Open,
    /// The host refuses or throttles this client, or fails. The status answers the request, too.
    Answers,
    /// The page itself is missing or unusable, which says nothing about the request.
    Unusable,
}

/// The meaning of the status of a page that was opened to request from; 0: unknown.
pub const fn page_status(status: u16) -> PageStatus {
    match status {
        0 | 200..=299 => PageStatus::Open,
        401 | 403 | 408 | 421 | 429 | 500..=599 => PageStatus::Answers,
        _ => PageStatus::Unusable,
    }
}

/// Whether an answer ends the session: the page's cookies may have expired, and the next session starts without them.
pub const fn ends_session(status: u16) -> bool {
    matches!(status, 401 | 403)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: FetchLimits = FetchLimits {
        max_body_bytes: 4,
        timeout: Duration::from_secs(30),
    };

    #[test]
    fn an_answer_is_that_of_plain_http() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let date = |secs| httpdate::fmt_http_date(now + Duration::from_secs(secs));
        for (retry_after, date_of_answer, delay) in [
            (json!(null), json!(null), None),
            (json!("7"), json!(null), Some(7)),
            (json!(date(90)), json!(null), Some(90)),
            (json!(date(90)), json!(date(60)), Some(30)),
        ] {
            let fetched = json!({
                "kind": "answered", "status": 429, "content_type": "application/json", "retry_after": retry_after,
                "date": date_of_answer, "body": "AP9d",
            });
            let incoming = answered(fetched, LIMITS, now).expect("an answer");
            assert_eq!(incoming.status, 429);
            assert_eq!(incoming.body, Bytes::from_static(b"\0\xff]"));
            assert_eq!(incoming.content_type.as_deref(), Some("application/json"));
            assert_eq!(incoming.retry_after, delay.map(Duration::from_secs));
        }
    }

    #[test]
    fn each_failure_names_its_cause() {
        for (fetched, expected) in [
            (
                json!({"kind": "redirected"}),
                "Page(\"the answer is a redirect",
            ),
            (
                json!({"kind": "too_large"}),
                "Page(\"the body is larger than the 4 bytes",
            ),
            (
                json!({"kind": "late"}),
                "Host(\"no whole answer within 30 s",
            ),
            (
                json!({"kind": "failed", "bytes": 0, "why": "x"}),
                "Host(\"no answer in the browser: x",
            ),
            (
                json!({"kind": "failed", "bytes": 9, "why": "x"}),
                "Host(\"the body was cut after 9 bytes: x",
            ),
            (
                json!({"kind": "elsewhere", "url": "http://b.th/"}),
                "TabLost(\"the page went on to http://b.th/",
            ),
            (
                json!({"kind": "answered", "status": 200, "body": "?"}),
                "Lost(\"the browser answers nonsense",
            ),
            (json!(null), "Lost(\"the browser answers nonsense"),
        ] {
            let failure = answered(fetched, LIMITS, SystemTime::UNIX_EPOCH).expect_err(expected);
            assert!(format!("{failure:?}").starts_with(expected), "{failure:?}");
        }
    }

    #[test]
    fn a_page_without_its_document_says_nothing_about_the_request() {
        for (status, expected) in [
            (0, PageStatus::Open),
            (200, PageStatus::Open),
            (302, PageStatus::Unusable),
            (404, PageStatus::Unusable),
            (403, PageStatus::Answers),
            (429, PageStatus::Answers),
            (503, PageStatus::Answers),
        ] {
            assert_eq!(page_status(status), expected, "{status}");
            assert_eq!(ends_session(status), status == 403);
        }
    }
}
