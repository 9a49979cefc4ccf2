//! What all five hosts share: reading a request, faults, robots.txt, clients that are not a browser, the log, and sending an answer.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use jiff::civil::Date;
use percent_encoding::percent_decode_str;

use crate::faults::{FaultKind, Faults, RetryAfter, Site, spoil};
use crate::market::{Fund, Market, Standing};
use crate::replica::{UnknownCode, Urls};
use crate::request_log::LogBook;
use crate::{control, documents, finnomena, html, sec, wealthmagik};

/// A larger request body than any of the sites expects.
const MOST_BODY_BYTES: usize = 1 << 20;
/// Shorter bodies are not worth compressing.
const LEAST_COMPRESSED_BYTES: usize = 1_024;

/// What a host answers for robots.txt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Robots {
    /// This text.
    Text(String),
    /// 404.
    Missing,
    /// This status and an error page.
    Status(u16),
}

impl Robots {
    fn default_of(site: Site) -> Self {
        match site {
            Site::Finnomena | Site::WealthMagik | Site::SecPage => Robots::Text(
                "User-agent: *\nAllow: /\nDisallow: /admin/\nDisallow: /login\n".to_owned(),
            ),
            Site::SecApi | Site::Documents => Robots::Missing,
        }
    }
}

/// Everything the five hosts look at while they answer.
pub(crate) struct World {
    pub(crate) market: RwLock<Market>,
    pub(crate) faults: Faults,
    pub(crate) log: LogBook,
    pub(crate) urls: OnceLock<Urls>,
    pub(crate) latency: Duration,
    /// WealthMagik's pages are built by a script.
    pub(crate) scripted_wealthmagik: bool,
    pub(crate) stopped: Arc<AtomicBool>,
    robots: Mutex<HashMap<Site, Robots>>,
    /// Hosts that answer 403 to clients that are not a browser.
    browser_only: Mutex<HashMap<Site, bool>>,
}

impl World {
    pub(crate) fn new(market: Market, latency: Duration, scripted_wealthmagik: bool) -> Self {
        World {
            faults: Faults::new(market.seed),
            market: RwLock::new(market),
            log: LogBook::new(),
            urls: OnceLock::new(),
            latency,
            scripted_wealthmagik,
            stopped: Arc::default(),
            robots: Mutex::default(),
            browser_only: Mutex::default(),
        }
    }

    pub(crate) fn market(&self) -> RwLockReadGuard<'_, Market> {
        self.market.read().expect("no holder of the market panics")
    }

    pub(crate) fn market_mut(&self) -> RwLockWriteGuard<'_, Market> {
        self.market.write().expect("no holder of the market panics")
    }

    pub(crate) fn urls(&self) -> &Urls {
        self.urls
            .get()
            .expect("the addresses are known before the first request")
    }

    pub(crate) fn revise_nav(&self, code: &str, date: Date, nav: &str) -> Result<(), UnknownCode> {
        self.change(code, |fund| {
            fund.nav.revisions.insert(date, nav.to_owned());
        })
    }

    pub(crate) fn set_active(&self, code: &str, active: bool) -> Result<(), UnknownCode> {
        self.change(code, |fund| {
            let was_active = fund.has_rows();
            fund.standing = if active {
                Standing::Active
            } else {
                Standing::Inactive { was_active }
            };
        })
    }

    fn change(&self, code: &str, change: impl FnOnce(&mut Fund)) -> Result<(), UnknownCode> {
        let mut market = self.market_mut();
        change(
            market
                .by_code_mut(code)
                .ok_or_else(|| UnknownCode(code.to_owned()))?,
        );
        Ok(())
    }

    pub(crate) fn set_robots(&self, site: Site, robots: Robots) {
        self.robots
            .lock()
            .expect("no holder of the robots panics")
            .insert(site, robots);
    }

    pub(crate) fn set_browser_only(&self, site: Site, only: bool) {
        self.browser_only
            .lock()
            .expect("no holder of the hosts panics")
            .insert(site, only);
    }

    fn is_browser_only(&self, site: Site) -> bool {
        self.browser_only
            .lock()
            .expect("no holder of the hosts panics")
            .get(&site)
            .copied()
            .unwrap_or_default()
    }

    fn robots(&self, site: Site) -> Answer {
        let robots = self
            .robots
            .lock()
            .expect("no holder of the robots panics")
            .get(&site)
            .cloned();
        match robots.unwrap_or_else(|| Robots::default_of(site)) {
            Robots::Text(text) => Answer {
                status: 200,
                content_type: "text/plain; charset=utf-8",
                body: text.into_bytes(),
            },
            Robots::Missing => Answer::not_found(),
            Robots::Status(status) => Answer::html(status, html::error_page(status)),
        }
    }
}

/// A request as the sites see it.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) path_and_query: String,
    /// The path's segments, percent-decoded one by one: a code may hold an encoded slash.
    pub(crate) segments: Vec<String>,
    pub(crate) query: HashMap<String, String>,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }
}

/// How a fault wants an answer to look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    /// Lists have a third of their entries.
    pub(crate) shrunk: bool,
    /// The frame without any value.
    pub(crate) empty: bool,
    /// The answer will not arrive as it is made.
    pub(crate) spoilt: bool,
}

/// An answer before it is sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: impl ToString) -> Self {
        Answer {
            status,
            content_type: "application/json; charset=utf-8",
            body: body.to_string().into_bytes(),
        }
    }

    pub(crate) fn html(status: u16, body: String) -> Self {
        Answer {
            status,
            content_type: "text/html; charset=utf-8",
            body: body.into_bytes(),
        }
    }

    pub(crate) fn not_found() -> Self {
        Answer::html(404, html::error_page(404))
    }
}

/// Notes the end of a request when the answer is sent or the client has left.
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
        .strip_prefix("/__replica/")
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
    let asked = Asked {
        method: parts.method.to_string(),
        segments: segments(parts.uri.path()),
        query: parts.uri.query().map(query).unwrap_or_default(),
        path_and_query,
        body,
    };
    let Some(ending) = ending else {
        return plain_response(control::answer(&world, site, &asked));
    };
    tokio::time::sleep(world.latency).await;
    let kinds = world.faults.hit(site, &asked.path_and_query);
    for kind in &kinds {
        if let FaultKind::Slow(millis) = kind {
            tokio::time::sleep(Duration::from_millis(*millis)).await;
        }
    }
    let (answer, retry_after) = match refusal(&world, site, &kinds) {
        Some(refusal) => refusal,
        None if asked.segments() == ["robots.txt"] => (world.robots(site), None),
        None if world.is_browser_only(site) && !from_browser => {
            (Answer::html(403, html::challenge_page()), None)
        }
        None => (
            spoilt(site_answer(&world, site, &asked, &kinds), &kinds),
            None,
        ),
    };
    world.log.answered(ending.number, answer.status);
    let gzip = parts
        .headers
        .get(header::ACCEPT_ENCODING)
        .is_some_and(|value| value.to_str().is_ok_and(|value| value.contains("gzip")));
    send(answer, retry_after.as_deref(), &kinds, gzip, ending)
}

fn site_answer(world: &World, site: Site, asked: &Asked, kinds: &[FaultKind]) -> Answer {
    let spoils = |kind: &FaultKind| {
        matches!(
            kind,
            FaultKind::CutBody
                | FaultKind::CutText
                | FaultKind::Stalled
                | FaultKind::RenamedField { .. }
        )
    };
    let view = View {
        shrunk: kinds.contains(&FaultKind::ShrunkList),
        empty: kinds.contains(&FaultKind::EmptyPage),
        spoilt: kinds.iter().any(spoils),
    };
    match site {
        Site::Finnomena => finnomena::answer(world, asked, view),
        Site::WealthMagik => wealthmagik::answer(world, asked, view),
        Site::SecPage => sec::page_answer(world, asked, view),
        Site::SecApi => sec::api_answer(world, asked, view),
        Site::Documents => documents::answer(world, asked),
    }
}

/// The answer of a fault that needs no page, with its `Retry-After`.
fn refusal(world: &World, site: Site, kinds: &[FaultKind]) -> Option<(Answer, Option<String>)> {
    kinds.iter().find_map(|kind| match kind {
        FaultKind::Status(status) => Some((Answer::html(*status, html::error_page(*status)), None)),
        FaultKind::Throttle {
            status,
            retry_after,
        } => {
            let header = match retry_after {
                RetryAfter::Seconds(seconds) => Some((*seconds, seconds.to_string())),
                RetryAfter::DateInSeconds(seconds) => Some((*seconds, http_date(*seconds))),
                RetryAfter::Unsaid => None,
            };
            if let Some((seconds, _)) = header {
                world
                    .log
                    .hand_out_retry_after(site, Duration::from_secs(seconds));
            }
            Some((
                Answer::html(*status, html::error_page(*status)),
                header.map(|(_, text)| text),
            ))
        }
        FaultKind::HtmlInsteadOfJson | FaultKind::ErrorPage => {
            Some((Answer::html(200, html::error_page(500)), None))
        }
        _ => None,
    })
}

fn http_date(seconds_from_now: u64) -> String {
    let then = Timestamp::try_from(SystemTime::now() + Duration::from_secs(seconds_from_now))
        .unwrap_or_default();
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The answer after the faults that only spoil its text.
fn spoilt(mut answer: Answer, kinds: &[FaultKind]) -> Answer {
    for kind in kinds {
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
    retry_after: Option<&str>,
    kinds: &[FaultKind],
    gzip: bool,
    ending: Ending,
) -> Response {
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK))
        .header(header::CONTENT_TYPE, answer.content_type);
    if let Some(retry_after) = retry_after {
        response = response.header(header::RETRY_AFTER, retry_after);
    }
    let mut bytes = answer.body;
    let body = if kinds.contains(&FaultKind::Stalled) {
        response = response.header(header::CONTENT_LENGTH, bytes.len());
        let _ = bytes;
        Body::from_stream(
            stream::pending::<Result<Bytes, Infallible>>().inspect(move |_| drop_later(&ending)),
        )
    } else if kinds.contains(&FaultKind::CutBody) {
        response = response.header(header::CONTENT_LENGTH, bytes.len());
        bytes.truncate(bytes.len() / 2);
        let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        Body::from_stream(
            stream::iter([Ok(Bytes::from(bytes)), Err(cut)]).inspect(move |_| drop_later(&ending)),
        )
    } else {
        if gzip && bytes.len() >= LEAST_COMPRESSED_BYTES && answer.content_type != documents::PDF {
            bytes = compressed(&bytes);
            response = response.header(header::CONTENT_ENCODING, "gzip");
        }
        response = response.header(header::CONTENT_LENGTH, bytes.len());
        Body::from_stream(
            stream::iter([Ok::<_, Infallible>(Bytes::from(bytes))])
                .inspect(move |_| drop_later(&ending)),
        )
    };
    response.body(body).expect("status and headers are valid")
}

/// Keeps the ending alive in a body: it drops when the body is sent or given up.
fn drop_later(_: &Ending) {}

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

/// A browser says in which mode it fetches, and carries the session cookie that the pages' script sets.
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
