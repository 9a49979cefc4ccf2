//! Finnomena: JSON, one request per page and fund, over HTTP or from inside the site's fund page in a browser
//! (docs/sites.md, "Finnomena").

mod api_types;
#[cfg(test)]
mod captured_tests;
pub mod contract;
mod dividend;
mod fee;
mod filter;
#[cfg(test)]
mod filter_tests;
pub(crate) mod fund;
mod list;
mod nav;
mod portfolio;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schema::{PlannedTask, SourceName};
use url::Url;

use crate::page::{FUNDS_A_PIECE, PageSpec};
use crate::payload::{breach, elements, json};
use crate::site::{
    Answer, BrowserVisit, BrowserWay, History, InPageRequest, ReadContext, Reading, Request, Site,
    StablePrefix, Via,
};
use crate::sites::factsheet::Factsheets;
use crate::sites::findings::Findings;
use crate::sites::locate::{self, Root};
use crate::source_spec::{HostSetting, SEC_DOCUMENTS, SourceSpec};
use crate::text::name;
use crate::text::stated_date::StatedDate;

/// The API's path to the funds, below the site's root.
const API: &str = "/fn3/api/fund/v2/public/funds";
/// The path to the newest NAVs of many funds.
const FILTER_API: &str = "/fn3/api/fund/v2/public/filter";
/// The path to the page about funds, from which a browser requests the JSON.
const FUND_PAGE: &str = "/fund";
/// The media type of all answers except factsheets.
const JSON: &str = "application/json";
/// How long the fund page may take to come to rest in a browser.
const PATIENCE: Duration = Duration::from_secs(20);

/// JSON over HTTP, or from inside the site's fund page.
pub const SPEC: SourceSpec = SourceSpec {
    name: SourceName::Finnomena,
    hosts: &[HostSetting {
        key: "base_url",
        default: "https://www.finnomena.com",
    }],
    requests_per_sec: 2.0,
    concurrent_requests: 3,
    max_requests_per_sec: None,
    history_pages: None,
    api_key: None,
    has_browser_pages: true,
    factsheet_hosts: Some(SEC_DOCUMENTS),
    pages: &contract::PAGES,
    build: |address| {
        Arc::new(Finnomena::new(
            &address.root,
            address.factsheet_hosts.clone(),
        ))
    },
};

/// The site Finnomena.
#[derive(Debug, Clone)]
pub struct Finnomena {
    root: Root,
    factsheets: Factsheets,
}

impl Finnomena {
    /// Makes the site at `base_url`. Factsheet links may lead to its own host and to `factsheet_hosts`.
    #[must_use]
    pub fn new(base_url: &Url, factsheet_hosts: Vec<String>) -> Self {
        Self {
            root: Root::new(base_url),
            factsheets: Factsheets::new(SourceName::Finnomena, base_url, factsheet_hosts),
        }
    }

    fn json(&self, page: &PageSpec, path: &str) -> Result<Request, String> {
        Ok(Request {
            url: self.root.url(path)?,
            post_json: None,
            headers: vec![
                ("Accept", JSON.to_owned()),
                ("Referer", format!("{}{FUND_PAGE}", self.root.as_str())),
            ],
            secret_header: None,
            max_body_bytes: contract::max_body_bytes(page.name),
            must_end_in_html: false,
        })
    }

    fn read_one(
        &self,
        page: &PageSpec,
        task: &PlannedTask,
        answer: &Answer,
        context: &ReadContext,
        seen_before: Option<StatedDate>,
    ) -> nav::Navs {
        let document = match json::document(&answer.body) {
            Ok(document) => document,
            Err(breach) => return (Reading::Broken(breach), None),
        };
        if answer.via == Via::Http
            && document.trim_start().starts_with('<')
            && let Err(breach) = json::root(&document)
        {
            // A page instead of JSON: the front door refuses plain clients so, with the status of a good answer.
            return (Reading::NeedsBrowser(breach), None);
        }
        let data = match api_types::data(&document) {
            Ok(data) => data,
            Err(reading) => return (*reading, None),
        };
        let url = answer.url.to_string();
        if matches!(page.name, contract::LIST | contract::FILTER) {
            let findings = Findings::of_market(SourceName::Finnomena, url, context);
            let reading = if page.name == contract::LIST {
                list::read(data, findings)
            } else {
                filter::read(data, findings)
            };
            return (reading, None);
        }
        let fund_code = match locate::fund_code(task) {
            Ok(fund_code) => fund_code,
            Err(reason) => {
                let breach = breach("key", "a fund code", &reason);
                return (Reading::Broken(breach), None);
            }
        };
        if let Some(breach) = wrong_fund(data, task) {
            return (Reading::Broken(breach), None);
        }
        let mut findings = Findings::of_fund(SourceName::Finnomena, fund_code, url, context);
        if let Some(stated) = seen_before {
            findings.seen_before(stated);
        }
        let reading = match page.name {
            contract::NAV => return nav::read(data, findings),
            contract::FUND => fund::read(data, findings),
            contract::FEE => fee::read(data, findings),
            contract::PORTFOLIO => portfolio::read(data, findings),
            contract::DIVIDEND => dividend::read(data, findings),
            other => Reading::Broken(breach("page", "a page of finnomena", other)),
        };
        (reading, None)
    }
}

/// The path of the days in a NAV history.
const NAVS: [&str; 2] = ["data", "navs"];
/// The shortest valid element, in bytes. A payload that is long enough to exceed [`json::MAX_ELEMENTS`] is always
/// parsed whole.
const SHORTEST_DAY: usize = 16;

/// The answer without the elements that end within its first `known` bytes, and the number of bytes removed.
fn beyond(answer: &Answer, known: usize) -> Option<(Answer, usize)> {
    let body = &answer.body;
    if body.len() > SHORTEST_DAY * json::MAX_ELEMENTS {
        return None;
    }
    let open = elements::array_at(body, &NAVS)?;
    let shorter = elements::without(body, open, known)?;
    let by = body.len() - shorter.len();
    let answer = Answer {
        body: Bytes::from(shorter),
        ..answer.clone()
    };
    Some((answer, by))
}

/// The date of a history's first element. The dates of a known prefix are not parsed again; this date shows their
/// format, so that later dates in another format are detected as a mixture.
fn first_day(answer: &Answer) -> Option<StatedDate> {
    let open = elements::array_at(&answer.body, &NAVS)?;
    let end = elements::end_of_elements(&answer.body, open, 1)?;
    let element = std::str::from_utf8(answer.body.get(open..end)?).ok()?;
    let element = element.trim_start_matches(|c: char| c == '[' || c.is_whitespace());
    let day: api_types::NavDay<'_> = json::root(element).ok()?.record().ok()??;
    day.date.date().ok()?
}

/// The length of the settled prefix in the whole payload: the end of the first `count` elements of the shortened
/// answer, plus the `by` bytes removed.
fn settled_bytes(answer: &Answer, count: usize, by: usize) -> Option<usize> {
    let open = elements::array_at(&answer.body, &NAVS)?;
    let end = elements::end_of_elements(&answer.body, open, count)?;
    Some(end + by)
}

/// The breach of an answer about another fund than the requested one. The `fund_id` decides if it is present, otherwise
/// the code.
fn wrong_fund(data: json::Field<'_>, task: &PlannedTask) -> Option<crate::site::Breach> {
    let of = match data.record::<api_types::AnswerOf<'_>>() {
        Ok(Some(of)) => of,
        // An answer that names two funds cannot be assigned to either.
        Err(reason) if data.raw().starts_with('{') => {
            return Some(breach("data.fund_id", "one fund's id and code", &reason));
        }
        Ok(None) | Err(_) => return None,
    };
    if let (Ok(Some(fund_id)), Some(asked)) = (of.fund_id.text(), task.locator.as_deref())
        && !fund_id.is_empty()
    {
        let same = name::normalise(&fund_id) == asked;
        return (!same).then(|| {
            of.fund_id
                .breach("data.fund_id", &format!("`{asked}`, the requested fund"))
        });
    }
    let Ok(Some(said)) = of.short_code.text() else {
        return None;
    };
    let same = name::fund_code(&said) == name::fund_code(&task.id.key);
    (!same).then(|| {
        of.short_code.breach(
            "data.short_code",
            &format!("`{}`, the requested fund", task.id.key),
        )
    })
}

impl Site for Finnomena {
    fn name(&self) -> SourceName {
        SourceName::Finnomena
    }

    fn pages(&self) -> &'static [PageSpec] {
        &contract::PAGES
    }

    fn request(&self, page: &PageSpec, tasks: &[PlannedTask]) -> Result<Request, String> {
        if page.name == contract::LIST {
            return self.json(page, API);
        }
        let [task] = tasks else {
            return Err(format!(
                "finnomena/{}: one task a request, not {}",
                page.name,
                tasks.len()
            ));
        };
        if page.name == contract::FACTSHEET {
            return self.factsheets.request(task);
        }
        if page.name == contract::FILTER {
            let number: u32 = task.id.key.parse().map_err(|_| {
                format!(
                    "{}: expected a page number, found `{}`",
                    task.id, task.id.key
                )
            })?;
            let path = format!("{FILTER_API}?page={number}&limit={FUNDS_A_PIECE}");
            return self.json(page, &path);
        }
        let fund = format!("{API}/{}", locate::segment(locate::locator(task)?)?);
        match page.name {
            contract::NAV => {
                // Without an extent, request the whole history, so that nothing is missed.
                let range = task.extent.as_deref().unwrap_or("MAX");
                if !contract::RANGES.contains(&range) {
                    return Err(format!("{}: finnomena knows no range `{range}`", task.id));
                }
                self.json(page, &format!("{fund}/nav/q?range={range}"))
            }
            contract::FUND => self.json(page, &fund),
            contract::FEE => self.json(page, &format!("{fund}/fee")),
            contract::PORTFOLIO => self.json(page, &format!("{fund}/portfolio")),
            contract::DIVIDEND => self.json(page, &format!("{fund}/dividend")),
            other => Err(format!("finnomena has no page `{other}`")),
        }
    }

    /// Requests the JSON from inside the site's fund page. A factsheet is a PDF on another host.
    fn by_browser(
        &self,
        page: &PageSpec,
        task: &PlannedTask,
    ) -> Result<Option<BrowserWay>, String> {
        if page.name == contract::FACTSHEET {
            return Ok(None);
        }
        let request = self.request(page, std::slice::from_ref(task))?;
        Ok(Some(BrowserWay::Request(InPageRequest {
            page: BrowserVisit {
                url: self.root.url(FUND_PAGE)?,
                ready_css: Vec::new(),
                overlay_css: None,
                lazy_items_css: None,
                lazy_rest: Duration::ZERO,
                patience: PATIENCE,
                api_names: Vec::new(),
            },
            url: request.url,
            accept: JSON,
            max_body_bytes: request.max_body_bytes,
        })))
    }

    fn read_history(
        &self,
        page: &PageSpec,
        task: &PlannedTask,
        answer: &Answer,
        known: usize,
        context: &ReadContext,
    ) -> Option<History> {
        if page.name != contract::NAV {
            return None;
        }
        let (answer, by, seen_before) = match known {
            0 => (answer.clone(), 0, None),
            known => {
                let (shorter, by) = beyond(answer, known)?;
                (shorter, by, first_day(answer))
            }
        };
        let (reading, settled) = self.read_one(page, task, &answer, context, seen_before);
        let settled = settled.and_then(|(count, until)| {
            let bytes = settled_bytes(&answer, count, by)?;
            Some(StablePrefix { bytes, until })
        });
        Some(History { reading, settled })
    }

    fn read(
        &self,
        page: &PageSpec,
        tasks: &[PlannedTask],
        answer: &Answer,
        context: &ReadContext,
    ) -> Vec<Reading> {
        tasks
            .iter()
            .map(|task| match page.name {
                contract::FACTSHEET => self.factsheets.read(task, answer, context),
                _ => self.read_one(page, task, answer, context, None).0,
            })
            .collect()
    }
}
