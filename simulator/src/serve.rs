//! Answers one request: logs it, applies faults, serves robots.txt, refuses clients that are not a browser, sends the
//! answer.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, Stream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;

use crate::faults::{ChainFault, FaultKind, RetryAfter, spoil};
use crate::hosts::Site;
use crate::mass_changes::{Absence, PageKind};
use crate::site::{Answer, Asked, View, World};
use crate::strange_answers::{behind_spaces, drops, in_tis_620, next_hop};
use crate::{control, documents, finnomena, html, register, sec, wealthmagik};

/// Larger than any request body that the sites expect.
const MOST_BODY_BYTES: usize = 1 << 20;
/// Shorter bodies are not worth compressing.
const LEAST_COMPRESSED_BYTES: usize = 1_024;

/// The delay before a cut connection ends, so that the first half of the body arrives.
const CUT_AFTER: Duration = Duration::from_millis(20);

/// Records the end of a request when it is dropped: the answer is sent or the client has left.
struct Ending {
    world: Arc<World>,
    number: usize,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.world.log.ended(self.number);
    }
}

/// Answers one request of one host.
pub(crate) async fn serve(world: Arc<World>, site: Site, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path_and_query = parts
        .uri
        .path_and_query()
        .map_or("/", |whole| whole.as_str())
        .to_owned();
    let own_path = parts
        .uri
        .path()
        .strip_prefix("/__simulator/")
        .map(str::to_owned);
    let from_browser = is_browser(&parts.headers);
    let ending = own_path.is_none().then(|| {
        let user_agent = parts
            .headers
            .get(header::USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .unwrap_or_default();
        let number = world.log.start(
            site,
            parts.method.as_str(),
            &path_and_query,
            &user_agent,
            from_browser,
        );
        Ending {
            world: Arc::clone(&world),
            number,
        }
    });
    let body = axum::body::to_bytes(body, MOST_BODY_BYTES)
        .await
        .unwrap_or_default();
    if let Some(ending) = &ending {
        world.log.asks(ending.number, &body);
    }
    let asked = Asked {
        method: parts.method.to_string(),
        segments: segments(parts.uri.path()),
        query: parts.uri.query().map(query).unwrap_or_default(),
        subscription_key: parts
            .headers
            .get(register::KEY_HEADER)
            .map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned()),
        path_and_query,
        body,
    };
    let Some(ending) = ending else {
        return plain_response(control::answer(&world, site, &asked));
    };
    if !world.latency.is_zero() {
        tokio::time::sleep(world.latency).await;
    }
    let kinds = world.faults.hit(site, &asked.path_and_query);
    for kind in &kinds {
        if let FaultKind::Slow(millis) = kind {
            tokio::time::sleep(Duration::from_millis(*millis)).await;
        }
    }
    let (answer, extra_header) = match refusal(&world, site, &asked, &kinds) {
        Some(refusal) => refusal,
        None if asked.segments() == ["robots.txt"] => (world.robots(site), None),
        None if world.is_browser_only(site) && !from_browser => {
            (Answer::html(403, html::challenge_page()), None)
        }
        None if site == Site::SecOpenApi => register_answer(&world, &asked, &kinds),
        None => (
            spoilt(site_answer(&world, site, &asked, &kinds), &kinds),
            None,
        ),
    };
    world.log.answered(ending.number, answer.status);
    let one_request_a_connection = world.faults.is_strange(site);
    let gzip = parts
        .headers
        .get(header::ACCEPT_ENCODING)
        .is_some_and(|value| value.to_str().is_ok_and(|value| value.contains("gzip")));
    let mut response = send(answer, extra_header, &kinds, gzip, ending);
    if one_request_a_connection {
        // A connection fault may match the next request, and connection faults are only applied where a connection
        // begins.
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn site_answer(world: &World, site: Site, asked: &Asked, kinds: &[FaultKind]) -> Answer {
    let page = PageKind::of(site, &asked.segments());
    if let Some(absent) = page
        .and_then(|page| world.mass_changes.absence(site, page))
        .and_then(|how| absence(site, how))
    {
        return absent;
    }
    let mut answer = page_answer(world, site, asked, kinds);
    if site == Site::Finnomena
        && page.is_some_and(|page| world.mass_changes.hides_ids(site, page))
        && let Ok(body) = std::str::from_utf8(&answer.body)
    {
        answer.body = without_ids(body).into_bytes();
    }
    answer
}

/// The answer of a site whose pages of a kind have no content. None if the page itself shows it (`EmptyFrame`).
fn absence(site: Site, how: Absence) -> Option<Answer> {
    let empty_data = match site {
        Site::Finnomena => "{\"status\":true,\"service_code\":\"51\",\"data\":[]}",
        _ => "{\"data\":[]}",
    };
    Some(match (how, site) {
        (Absence::NotFound, Site::Finnomena) => finnomena::not_found(),
        (Absence::NotFound, Site::SecApi) => Answer::json(404, "{\"message\":\"Not Found\"}"),
        (Absence::NotFound, _) => Answer::not_found(),
        (Absence::NoContent, _) => Answer::json(204, ""),
        (Absence::EmptyArray, _) => Answer::json(200, "[]"),
        (Absence::EmptyData, _) => Answer::json(200, empty_data),
        (Absence::EmptyFrame, _) => return None,
    })
}

/// Removes the fund's id and code from an answer of Finnomena.
fn without_ids(body: &str) -> String {
    let mut rest = body.to_owned();
    for key in ["fund_id", "short_code"] {
        let label = format!("\"{key}\":\"");
        while let Some(start) = rest.find(&label) {
            let value = start + label.len();
            let Some(end) = rest[value..].find('"').map(|length| value + length + 1) else {
                break;
            };
            let end = end + usize::from(rest[end..].starts_with(','));
            rest.replace_range(start..end, "");
        }
    }
    rest
}

fn page_answer(world: &World, site: Site, asked: &Asked, kinds: &[FaultKind]) -> Answer {
    let view = view_of(kinds);
    match site {
        Site::Finnomena => finnomena::answer(world, asked, view),
        Site::WealthMagik => wealthmagik::answer(world, asked, view),
        Site::SecPage => sec::page_answer(world, asked, view),
        Site::SecApi => sec::api_answer(world, asked, view),
        Site::Documents => documents::answer(world, asked),
        Site::SecOpenApi => register::answer(world, asked, view).0,
    }
}

/// The register's answer, with the `Retry-After` of its call limit.
fn register_answer(world: &World, asked: &Asked, kinds: &[FaultKind]) -> (Answer, ExtraHeader) {
    let (answer, retry_secs) = register::answer(world, asked, view_of(kinds));
    let header = retry_secs.map(|seconds| {
        let site = Site::SecOpenApi;
        world
            .log
            .hand_out_retry_after(site, Duration::from_secs(seconds));
        (header::RETRY_AFTER, seconds.to_string())
    });
    (spoilt(answer, kinds), header)
}

/// How the faults of a request change the content of its answer.
fn view_of(kinds: &[FaultKind]) -> View {
    let spoils = |kind: &FaultKind| {
        matches!(
            kind,
            FaultKind::CutBody
                | FaultKind::CutText
                | FaultKind::Stalled
                | FaultKind::RenamedField { .. }
                | FaultKind::FirstValue { .. }
                | FaultKind::FirstText { .. }
                | FaultKind::Tis620
                | FaultKind::Huge { .. }
                | FaultKind::Bomb(_)
                | FaultKind::Dripping(_)
                | FaultKind::Attachment
        )
    };
    View {
        shrunk: kinds.contains(&FaultKind::ShrunkList),
        empty: kinds.contains(&FaultKind::EmptyPage),
        spoilt: kinds.iter().any(spoils),
        chain: kinds.iter().find_map(|kind| match kind {
            FaultKind::CursorRepeats { pages } => Some(ChainFault::Repeats { pages: *pages }),
            FaultKind::EmptyPageWithCursor => Some(ChainFault::EmptyPage),
            FaultKind::EndlessChain => Some(ChainFault::Endless),
            _ => None,
        }),
        outside_range: kinds.contains(&FaultKind::RowsOutsideRange),
        rows: kinds.iter().find_map(|kind| match kind {
            FaultKind::LazyRows(rows) => Some(*rows),
            _ => None,
        }),
    }
}

/// A header that belongs to the answer of a fault.
type ExtraHeader = Option<(HeaderName, String)>;

/// The answer of a fault that needs no page content, with its `Retry-After` or `Location`.
fn refusal(
    world: &World,
    site: Site,
    asked: &Asked,
    kinds: &[FaultKind],
) -> Option<(Answer, ExtraHeader)> {
    kinds.iter().find_map(|kind| match kind {
        FaultKind::RedirectChain(hops) => next_hop(&asked.path_and_query, *hops).map(|to| {
            let answer = Answer::html(302, html::error_page(302));
            (answer, Some((header::LOCATION, to)))
        }),
        FaultKind::Body {
            status,
            content_type: _,
            body,
        } => Some((Answer::html(*status, body.clone()), None)),
        FaultKind::Status(status) => Some((Answer::html(*status, html::error_page(*status)), None)),
        FaultKind::Redirect(to) => Some((
            Answer::html(302, html::error_page(302)),
            Some((header::LOCATION, to.clone())),
        )),
        FaultKind::Throttle {
            status,
            retry_after,
        } => {
            let header = match retry_after {
                RetryAfter::Seconds(seconds) => Some((*seconds, seconds.to_string())),
                RetryAfter::DateInSeconds(seconds) => {
                    let from_now = i64::try_from(*seconds).unwrap_or(i64::MAX);
                    Some((*seconds, http_date(from_now)))
                }
                RetryAfter::Unsaid => None,
            };
            if let Some((seconds, _)) = header {
                world
                    .log
                    .hand_out_retry_after(site, Duration::from_secs(seconds));
            }
            Some((
                Answer::html(*status, html::error_page(*status)),
                header.map(|(_, text)| (header::RETRY_AFTER, text)),
            ))
        }
        FaultKind::HtmlInsteadOfJson | FaultKind::ErrorPage => {
            Some((Answer::html(200, html::error_page(500)), None))
        }
        _ => None,
    })
}

fn http_date(seconds_from_now: i64) -> String {
    let then = Timestamp::now()
        .checked_add(SignedDuration::from_secs(seconds_from_now))
        .unwrap_or(Timestamp::MAX);
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Applies the faults that only change the answer's text.
fn spoilt(mut answer: Answer, kinds: &[FaultKind]) -> Answer {
    for kind in kinds {
        if kind == &FaultKind::Tis620
            && let Ok(body) = std::str::from_utf8(&answer.body)
        {
            answer.body = in_tis_620(body);
        }
        if let Some(body) = std::str::from_utf8(&answer.body)
            .ok()
            .and_then(|body| spoil(kind, body))
        {
            answer.body = body.into_bytes();
        }
    }
    answer
}

fn send(
    answer: Answer,
    extra_header: ExtraHeader,
    kinds: &[FaultKind],
    gzip: bool,
    ending: Ending,
) -> Response {
    let content_type = kinds.iter().find_map(|kind| match kind {
        FaultKind::ContentType(content_type) | FaultKind::Body { content_type, .. } => {
            Some(content_type.as_str())
        }
        FaultKind::Tis620 => Some("text/html; charset=windows-874"),
        _ => None,
    });
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK))
        .header(
            header::CONTENT_TYPE,
            content_type.unwrap_or(answer.content_type),
        );
    if let Some((name, value)) = extra_header {
        response = response.header(name, value);
    }
    let clock_off = kinds.iter().find_map(|kind| match kind {
        FaultKind::ClockOff(days) => Some(i64::from(*days) * 86_400),
        _ => None,
    });
    if let Some(seconds) = clock_off {
        response = response.header(header::DATE, http_date(seconds));
    }
    if kinds.contains(&FaultKind::Attachment) {
        response = response.header(
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"page.csv\"",
        );
    }
    let mut bytes = answer.body;
    let whole_length = bytes.len();
    for kind in kinds {
        let (body, length) = match kind {
            FaultKind::Huge {
                mebibytes,
                says_length,
            } => {
                let length = says_length.then_some((mebibytes << 20) + whole_length);
                (until_sent(behind_spaces(*mebibytes, bytes), ending), length)
            }
            FaultKind::Dripping(millis) => (
                until_sent(drops(bytes, *millis).boxed(), ending),
                Some(whole_length),
            ),
            FaultKind::Bomb(packing) => {
                let bomb = packing.bomb();
                let length = bomb.len();
                response = response.header(header::CONTENT_ENCODING, packing.content_encoding());
                (
                    until_sent(stream::iter([Ok(Bytes::from(bomb))]), ending),
                    Some(length),
                )
            }
            _ => continue,
        };
        if let Some(length) = length {
            response = response.header(header::CONTENT_LENGTH, length);
        }
        return response.body(body).expect("status and headers are valid");
    }
    let body = if kinds.contains(&FaultKind::Stalled) {
        until_sent(stream::pending(), ending)
    } else if kinds.contains(&FaultKind::CutBody) {
        bytes.truncate(whole_length / 2);
        // The first half is sent before the connection ends; otherwise not even the head would arrive.
        let cut = stream::once(async {
            tokio::time::sleep(CUT_AFTER).await;
            Err(io::ErrorKind::ConnectionReset.into())
        });
        until_sent(stream::iter([Ok(Bytes::from(bytes))]).chain(cut), ending)
    } else {
        if gzip && bytes.len() >= LEAST_COMPRESSED_BYTES && answer.content_type != documents::PDF {
            bytes = compressed(&bytes);
            response = response.header(header::CONTENT_ENCODING, "gzip");
        }
        let length = bytes.len();
        let body = until_sent(stream::iter([Ok(Bytes::from(bytes))]), ending);
        return response
            .header(header::CONTENT_LENGTH, length)
            .body(body)
            .expect("status and headers are valid");
    };
    response
        .header(header::CONTENT_LENGTH, whole_length)
        .body(body)
        .expect("status and headers are valid")
}

/// A body that owns the request's `Ending`, which is dropped when the body is sent or abandoned.
fn until_sent(
    chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ending: Ending,
) -> Body {
    Body::from_stream(chunks.inspect(move |_| {
        let _held = &ending;
    }))
}

fn plain_response(answer: Answer) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK))
        .header(header::CONTENT_TYPE, answer.content_type)
        .body(Body::from(answer.body))
        .expect("status and headers are valid")
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing into memory succeeds")
}

/// Whether a browser sent the request: it has a `Sec-Fetch-Mode` header, or the session cookie that the pages' script
/// sets.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key("sec-fetch-mode")
        || headers.get(header::COOKIE).is_some_and(|value| {
            value
                .to_str()
                .is_ok_and(|value| value.contains(html::SESSION_COOKIE))
        })
}

fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(decoded)
        .collect()
}

fn query(text: &str) -> HashMap<String, String> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (decoded(key), decoded(&value.replace('+', " "))))
        .collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
