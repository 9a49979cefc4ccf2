//! The SEC's FundCheck: risk statistics, by its API in batches or by its page in a browser
//! (docs/sites.md, "SEC FundCheck").

mod api;
mod api_types;
pub mod contract;
mod page;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use schema::{PlannedTask, SourceName};
use url::Url;

use crate::page::PageSpec;
use crate::payload::{breach, json, text_of};
use crate::site::{
    Answer, BrowserVisit, BrowserWay, ReadContext, Reading, Request, Site, StatusMeaning, Via,
};
use crate::sites::findings::Findings;
use crate::sites::locate::{self, Root};
use crate::source_spec::{HostSetting, SourceSpec};
use api::ApiAnswer;

/// How long the page may take to be ready in a browser.
const PATIENCE: Duration = Duration::from_secs(30);

/// The API's path, which the site's own page requests, too.
const API_PATH: &str = "/api/funds";

/// The declaration of FundCheck: a JSON API and a JavaScript application, on two hosts.
pub const SPEC: SourceSpec = SourceSpec {
    name: SourceName::SecFundcheck,
    hosts: &[
        HostSetting {
            key: "page_url",
            default: "https://fundcheck.sec.or.th",
        },
        HostSetting {
            key: "api_url",
            default: "https://web-fct-api.sec.or.th",
        },
    ],
    requests_per_sec: 1.0,
    concurrent_requests: 1,
    max_requests_per_sec: None,
    history_pages: None,
    api_key: None,
    has_browser_pages: true,
    factsheet_hosts: None,
    pages: &contract::PAGES,
    build: |address| {
        let api = address.others.first().unwrap_or(&address.root);
        Arc::new(SecFundcheck::new(&address.root, api))
    },
};

/// The site FundCheck.
#[derive(Debug, Clone)]
pub struct SecFundcheck {
    page_root: Root,
    api_root: Root,
}

impl SecFundcheck {
    /// Makes the site with its pages at `page_url` and its API at `api_url`.
    #[must_use]
    pub fn new(page_url: &Url, api_url: &Url) -> Self {
        Self {
            page_root: Root::new(page_url),
            api_root: Root::new(api_url),
        }
    }

    /// The page of a fund. It becomes `sec_url`, even if the statistics come from the API.
    fn fund_page(&self, task: &PlannedTask) -> Result<Url, String> {
        let code = locate::fund_code(task)?;
        self.page_root.url(&format!(
            "/fund-detail;funds={}",
            locate::segment(code.as_str())?
        ))
    }

    fn findings(&self, task: &PlannedTask, context: &ReadContext) -> Result<Findings, Reading> {
        let broken = |reason: String| Reading::Broken(breach("key", "a fund code", &reason));
        let code = locate::fund_code(task).map_err(broken)?;
        let url = self.fund_page(task).map_err(broken)?;
        Ok(Findings::of_fund(
            SourceName::SecFundcheck,
            code,
            url.into(),
            context,
        ))
    }
}

impl Site for SecFundcheck {
    fn name(&self) -> SourceName {
        SourceName::SecFundcheck
    }

    fn pages(&self) -> &'static [PageSpec] {
        &contract::PAGES
    }

    fn request(&self, _page: &PageSpec, tasks: &[PlannedTask]) -> Result<Request, String> {
        let codes = tasks
            .iter()
            .map(|task| locate::fund_code(task).map(String::from))
            .collect::<Result<Vec<_>, _>>()?;
        let codes = serde_json::to_string(&codes).map_err(|error| error.to_string())?;
        Ok(Request {
            url: self.api_root.url(API_PATH)?,
            post_json: Some(codes),
            headers: vec![
                ("Accept", "application/json".to_owned()),
                ("Origin", self.page_root.origin().to_owned()),
                ("Referer", format!("{}/", self.page_root.as_str())),
            ],
            secret_header: None,
            max_body_bytes: contract::MAX_BODY_BYTES,
            must_end_in_html: false,
        })
    }

    fn by_browser(
        &self,
        _page: &PageSpec,
        task: &PlannedTask,
    ) -> Result<Option<BrowserWay>, String> {
        Ok(Some(BrowserWay::Visit(BrowserVisit {
            url: self.fund_page(task)?,
            ready_css: vec![page::READY],
            overlay_css: None,
            lazy_items_css: None,
            lazy_rest: Duration::ZERO,
            patience: PATIENCE,
            api_names: vec![
                locate::fund_code(task)?.as_str().to_owned(),
                API_PATH.to_owned(),
            ],
        })))
    }

    /// For one code, 400 and 404 mean that the SEC does not know the code. For several codes, they mean that one of the
    /// codes makes the batch fail.
    fn meaning(&self, _page: &PageSpec, status: u16, tasks: usize) -> StatusMeaning {
        match (status, tasks) {
            (400 | 404, 0 | 1) => StatusMeaning::Absent,
            (400 | 404, _) => StatusMeaning::Split,
            // No body: the SEC knows none of the codes.
            (204, _) => StatusMeaning::Absent,
            _ => StatusMeaning::usual(status, tasks),
        }
    }

    fn read(
        &self,
        _page: &PageSpec,
        tasks: &[PlannedTask],
        answer: &Answer,
        context: &ReadContext,
    ) -> Vec<Reading> {
        let for_all = |reading: Reading| tasks.iter().map(|_| reading.clone()).collect();
        if answer.via == Via::Browser {
            let read = |task| match self.findings(task, context) {
                Ok(findings) => page::read(&answer.body, findings),
                Err(reading) => reading,
            };
            return match tasks {
                [task] => vec![read(task)],
                _ => for_all(Reading::Broken(breach(
                    "page",
                    "one fund a visit",
                    "several",
                ))),
            };
        }
        let document = match json::document(&answer.body) {
            Ok(document) => document,
            Err(breach) => return for_all(Reading::Broken(breach)),
        };
        if text_of(&answer.body).is_ok_and(|text| text.trim_start().starts_with('<')) {
            // An HTML page instead of JSON: a protection that accepts only browsers.
            return for_all(Reading::NeedsBrowser(breach(
                "body",
                "an array of funds in JSON",
                &document,
            )));
        }
        let sorted = match ApiAnswer::read(&document) {
            Ok(sorted) => sorted,
            Err(breach) => return for_all(Reading::Broken(breach)),
        };
        tasks
            .iter()
            .map(
                |task| match (locate::fund_code(task), self.findings(task, context)) {
                    (Ok(code), Ok(findings)) => sorted.of_fund(&code, findings),
                    (_, Err(reading)) => reading,
                    (Err(reason), _) => Reading::Broken(breach("key", "a fund code", &reason)),
                },
            )
            .collect()
    }
}
