//! WealthMagik: server-rendered HTML, parts of it only after JavaScript (docs/sites.md, "WealthMagik").

mod allocation;
mod api_types;
pub mod contract;
mod fee;
mod list;
mod page;
mod port;
mod profile;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use schema::{PlannedTask, SourceName};
use url::Url;

use crate::page::PageSpec;
use crate::payload::{breach, html};
use crate::site::{Answer, BrowserVisit, BrowserWay, ReadContext, Reading, Request, Site};
use crate::sites::factsheet::Factsheets;
use crate::sites::findings::Findings;
use crate::sites::locate::{self, Root};
use crate::source_spec::{HostSetting, SEC_DOCUMENTS, SourceSpec};

/// How long a page may take to be ready in a browser.
const PATIENCE: Duration = Duration::from_secs(30);

/// The declaration of WealthMagik: HTML and JavaScript pages.
pub const SPEC: SourceSpec = SourceSpec {
    name: SourceName::Wealthmagik,
    hosts: &[HostSetting {
        key: "base_url",
        default: "https://www.wealthmagik.com",
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
        Arc::new(Wealthmagik::new(
            &address.root,
            address.factsheet_hosts.clone(),
        ))
    },
};

/// The site WealthMagik.
#[derive(Debug, Clone)]
pub struct Wealthmagik {
    root: Root,
    factsheets: Factsheets,
}

impl Wealthmagik {
    /// Makes the site at `base_url`. Factsheet links may lead to its own host and to `factsheet_hosts`.
    #[must_use]
    pub fn new(base_url: &Url, factsheet_hosts: Vec<String>) -> Self {
        Self {
            root: Root::new(base_url),
            factsheets: Factsheets::new(SourceName::Wealthmagik, base_url, factsheet_hosts),
        }
    }

    /// The URL of a fund's page: from the path in the list, or derived from the code.
    fn fund_page(&self, page: &PageSpec, task: &PlannedTask) -> Result<Url, String> {
        let path = match task.locator.as_deref() {
            Some(path) if path.starts_with('/') => path.to_owned(),
            _ => format!(
                "/funds/{}",
                locate::segment(locate::fund_code(task)?.as_str())?
            ),
        };
        match page.name {
            contract::PROFILE | contract::PORT | contract::ALLOCATION | contract::FEE => {
                self.root.url(&format!("{path}/{}", page.name))
            }
            other => Err(format!("wealthmagik has no page `{other}`")),
        }
    }

    fn read_one(
        &self,
        page: &PageSpec,
        task: &PlannedTask,
        answer: &Answer,
        context: &ReadContext,
    ) -> Reading {
        let url = answer.url.to_string();
        if page.name == contract::LIST {
            return list::read(
                answer,
                &self.root,
                Findings::of_market(SourceName::Wealthmagik, url, context),
            );
        }
        let fund_code = match locate::fund_code(task) {
            Ok(fund_code) => fund_code,
            Err(reason) => return Reading::Broken(breach("key", "a fund code", &reason)),
        };
        let findings = Findings::of_fund(SourceName::Wealthmagik, fund_code, url, context);
        match page.name {
            contract::PROFILE => profile::read(answer, findings),
            contract::PORT => port::read(answer, findings),
            contract::ALLOCATION => allocation::read(answer, findings),
            contract::FEE => fee::read(answer, findings),
            contract::FACTSHEET => self.factsheets.read(task, answer, context),
            other => Reading::Broken(breach("page", "a page of wealthmagik", other)),
        }
    }
}

impl Site for Wealthmagik {
    fn name(&self) -> SourceName {
        SourceName::Wealthmagik
    }

    fn pages(&self) -> &'static [PageSpec] {
        &contract::PAGES
    }

    fn request(&self, page: &PageSpec, tasks: &[PlannedTask]) -> Result<Request, String> {
        let [task] = tasks else {
            return Err(format!(
                "wealthmagik/{}: one task a request, not {}",
                page.name,
                tasks.len()
            ));
        };
        let (url, accept) = match page.name {
            contract::FACTSHEET => return self.factsheets.request(task),
            contract::LIST => (
                self.root.url("/json-search/fundSearch.json")?,
                "application/json",
            ),
            _ => (self.fund_page(page, task)?, "text/html"),
        };
        Ok(Request {
            url,
            post_json: None,
            headers: vec![("Accept", accept.to_owned())],
            secret_header: None,
            max_body_bytes: contract::max_body_bytes(page.name),
            must_end_in_html: page.name != contract::LIST,
        })
    }

    fn by_browser(
        &self,
        page: &PageSpec,
        task: &PlannedTask,
    ) -> Result<Option<BrowserWay>, String> {
        let url = match page.name {
            contract::FACTSHEET => return Ok(None),
            contract::LIST => self.root.url("/funds")?,
            _ => self.fund_page(page, task)?,
        };
        Ok(Some(BrowserWay::Visit(BrowserVisit {
            url,
            ready_css: contract::ready_css(page.name),
            overlay_css: Some(contract::OVERLAY),
            lazy_items_css: contract::lazy_items_css(page.name),
            lazy_rest: contract::lazy_rest(page.name),
            patience: PATIENCE,
            api_names: if page.name == contract::LIST {
                Vec::new()
            } else {
                vec![locate::fund_code(task)?.as_str().to_owned()]
            },
        })))
    }

    fn hashed_part<'answer>(&self, page: &PageSpec, answer: &'answer Answer) -> Cow<'answer, [u8]> {
        match page.name {
            contract::LIST | contract::FACTSHEET => Cow::Borrowed(&answer.body),
            _ => Cow::Owned(html::without_foreign_scripts(
                &answer.body,
                &api_types::STATE_IDS,
            )),
        }
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
            .map(|task| self.read_one(page, task, answer, context))
            .collect()
    }
}
