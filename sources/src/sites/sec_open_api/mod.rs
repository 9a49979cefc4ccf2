//! The Thai SEC's official register: its Open API v2, JSON lists with cursors, for holders of a free key
//! (docs/sites.md, "SEC Open API v2").

mod allocation;
mod api_types;
pub mod contract;
mod daily;
mod dividend_policy;
mod dividends;
mod factsheet_links;
mod fees;
mod group;
mod grouped;
mod history;
mod keys;
mod minimums;
mod page;
mod performance;
mod portfolio;
mod profiles;
#[cfg(test)]
mod project_tests;
mod risk;
#[cfg(test)]
mod series_tests;
mod statistics;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use schema::day_range::HistoryTurn;
use schema::{DayRange, PlannedTask, SourceName};
use url::Url;

use crate::api_key::ApiKey;
use crate::page::PageSpec;
use crate::payload::{breach, json};
use crate::site::{Answer, Breach, BrowserWay, ReadContext, Reading, Request, Site, StatusMeaning};
use crate::sites::factsheet::Factsheets;
use crate::sites::findings::Findings;
use crate::sites::locate::Root;
use crate::source_spec::{HostSetting, KeySetting, SEC_DOCUMENTS, SourceSpec};
use keys::Keys;
use page::ListPage;

/// The API's path to everything about funds.
const API: &str = "/v2/fund";

/// JSON lists over HTTP, with a key.
pub const SPEC: SourceSpec = SourceSpec {
    name: SourceName::SecOpenApi,
    hosts: &[HostSetting {
        key: "base_url",
        default: "https://api.sec.or.th",
    }],
    requests_per_sec: 5.0,
    concurrent_requests: 4,
    // The documentation allows 5,000 requests in 300 s, at least 16 ms apart.
    max_requests_per_sec: Some(60.0),
    history_pages: Some(2_000),
    api_key: Some(KeySetting {
        primary: "SEC_API_KEY",
        secondary: "SEC_API_KEY_SECONDARY",
        portal: "https://secopendata.sec.or.th",
    }),
    has_browser_pages: false,
    factsheet_hosts: Some(SEC_DOCUMENTS),
    pages: &contract::PAGES,
    build: |address| {
        Arc::new(SecOpenApi::new(
            &address.root,
            address.keys.clone(),
            address.factsheet_hosts.clone(),
        ))
    },
};

/// The register.
#[derive(Debug)]
pub struct SecOpenApi {
    root: Root,
    keys: Keys,
    factsheets: Factsheets,
}

impl SecOpenApi {
    /// The register at `base_url`. Of several keys the first one is used until it is refused. Factsheet links may lead to
    /// `factsheet_hosts`.
    #[must_use]
    pub fn new(base_url: &Url, keys: Vec<ApiKey>, factsheet_hosts: Vec<String>) -> Self {
        Self {
            root: Root::new(base_url),
            keys: Keys::new(keys),
            factsheets: Factsheets::new(SourceName::SecOpenApi, base_url, factsheet_hosts),
        }
    }

    fn read_one(
        &self,
        page: &PageSpec,
        task: &PlannedTask,
        answer: &Answer,
        context: &ReadContext,
    ) -> Reading {
        // No content: nothing now. It never means that a fund is gone.
        let is_empty = answer.body.is_empty() || matches!(self.status_of(answer), 204 | 404);
        if page.name == contract::PROJECT_HISTORY {
            let read = if is_empty {
                Ok(Reading::Part(Box::default()))
            } else {
                read_days(task, answer, context)
            };
            let read = read.and_then(|reading| read_history(reading, task));
            return read.unwrap_or_else(Reading::Broken);
        }
        if is_empty {
            return Reading::Absent;
        }
        if is_daily(page.name) {
            return read_days(task, answer, context).unwrap_or_else(Reading::Broken);
        }
        let document = match json::document(&answer.body) {
            Ok(document) => document,
            Err(breach) => return Reading::Broken(breach),
        };
        let list = match ListPage::read(&document) {
            Ok(list) => list,
            Err(breach) => return Reading::Broken(breach),
        };
        let url = page::list_url(answer);
        let findings = Findings::of_market(SourceName::SecOpenApi, url.clone(), context);
        match page.name {
            contract::PROFILES => profiles::read(list, findings),
            contract::DIVIDENDS => dividends::read(list, &url, findings),
            contract::PERFORMANCE => performance::read(list, context.cycle_date, &url, findings),
            other => match grouped::of_page(other) {
                Some(grouped) => {
                    let position = task.chain.as_ref();
                    let carried = position.and_then(|position| position.carry.as_deref());
                    grouped.read(list, carried, &url, findings)
                }
                None => Reading::Broken(breach("page", "a page of the register", other)),
            },
        }
    }
}

/// Whether the page has daily values, of all classes or of one project.
fn is_daily(page: &str) -> bool {
    contract::path(page) == contract::path(contract::DAILY)
}

/// Parses one page of daily values.
fn read_days(
    task: &PlannedTask,
    answer: &Answer,
    context: &ReadContext,
) -> Result<Reading, Breach> {
    let days = days(task).map_err(|reason| breach("days", "a range of days", &reason))?;
    let document = json::document(&answer.body)?;
    let list = ListPage::read(&document)?;
    let url = page::list_url(answer);
    let findings = Findings::of_market(SourceName::SecOpenApi, url.clone(), context);
    Ok(daily::read(list, days, &url, findings))
}

/// Adds how the history of a project goes on after a page of it.
fn read_history(mut reading: Reading, task: &PlannedTask) -> Result<Reading, Breach> {
    let wrong = |reason: String| breach("days", "a range of days", &reason);
    if let Reading::Part(part) = &mut reading {
        let (days, turn) = (days(task).map_err(wrong)?, turn(task).map_err(wrong)?);
        history::go_on(part, days, task.chain.as_ref(), turn);
    }
    Ok(reading)
}

/// The days that a request of daily values is about: the day in the key of the task, or those in the locator for a
/// project. A history that was read in part goes on with its present range.
fn days(task: &PlannedTask) -> Result<DayRange, String> {
    let range = task.chain.as_ref().and_then(|chain| chain.range.as_deref());
    let text = match (task.id.page.as_str(), range) {
        (contract::DAILY, _) => task.id.part(),
        (contract::PROJECT_HISTORY, None) => return turn(task).map(|turn| turn.days),
        (contract::PROJECT_HISTORY, range) => range,
        _ => task.locator.as_deref(),
    };
    let days = text.unwrap_or_default().parse();
    days.map_err(|reason: String| format!("{}: {reason}", task.id))
}

/// What a task requests of a history in this cycle.
fn turn(task: &PlannedTask) -> Result<HistoryTurn, String> {
    let turn = task.locator.as_deref().unwrap_or_default().parse();
    turn.map_err(|reason: String| format!("{}: {reason}", task.id))
}

/// The project that a task of daily values is about; `None` if it is about all of them.
fn project(task: &PlannedTask) -> Option<&str> {
    task.id
        .part()
        .filter(|_| [contract::PROJECT_DAYS, contract::PROJECT_HISTORY].contains(&&*task.id.page))
}

/// The first and the last period that a task of [`contract::PORTFOLIO`] is about.
fn quarters(task: &PlannedTask) -> Result<(&str, &str), String> {
    let extent = task.extent.as_deref().unwrap_or_default();
    extent
        .split_once('-')
        .ok_or_else(|| format!("{}: expected two periods, found `{extent}`", task.id))
}

impl Site for SecOpenApi {
    fn name(&self) -> SourceName {
        SourceName::SecOpenApi
    }

    fn pages(&self) -> &'static [PageSpec] {
        &contract::PAGES
    }

    fn request(&self, page: &PageSpec, tasks: &[PlannedTask]) -> Result<Request, String> {
        let [task] = tasks else {
            return Err(format!(
                "sec_open_api/{}: one task a request, not {}",
                page.name,
                tasks.len()
            ));
        };
        if page.name == contract::FACTSHEET {
            // Without the key, which is for the register alone.
            return self.factsheets.request(task);
        }
        let path = contract::path(page.name)
            .ok_or_else(|| format!("the register has no page `{}`", page.name))?;
        let mut url = self.root.url(&format!("{API}/{path}"))?;
        {
            let mut query = url.query_pairs_mut();
            if let Some(project) = project(task) {
                query.append_pair("proj_id", project);
            }
            if is_daily(page.name) {
                let days = days(task)?;
                query
                    .append_pair("start_nav_date", &days.first.to_string())
                    .append_pair("end_nav_date", &days.last.to_string());
            }
            if page.name == contract::PORTFOLIO {
                let (start, end) = quarters(task)?;
                query
                    .append_pair("start_period", start)
                    .append_pair("end_period", end);
            }
            if contract::has_sheets(page.name) {
                query.append_pair("latest", "true");
            }
            query.append_pair("page_size", &contract::RECORDS_A_PAGE.to_string());
            let position = task.chain.as_ref().filter(|chain| !chain.cursor.is_empty());
            if let Some(position) = position {
                query.append_pair(page::CURSOR, &position.cursor);
            }
        }
        Ok(Request {
            url,
            post_json: None,
            headers: vec![("Accept", "application/json".to_owned())],
            secret_header: self.keys.header(),
            max_body_bytes: contract::MAX_BODY_BYTES,
            must_end_in_html: false,
        })
    }

    fn by_browser(
        &self,
        _page: &PageSpec,
        _task: &PlannedTask,
    ) -> Result<Option<BrowserWay>, String> {
        Ok(None)
    }

    /// 400 to a request with a cursor means that the cursor is no longer valid; 404, that the whole list is empty, or
    /// one range of a history.
    fn meaning(&self, page: &PageSpec, status: u16, tasks: usize) -> StatusMeaning {
        match status {
            _ if page.name == contract::FACTSHEET => StatusMeaning::usual(status, tasks),
            404 if page.name == contract::PROJECT_HISTORY => StatusMeaning::Answer,
            400 => StatusMeaning::CursorRefused,
            401 | 403 => StatusMeaning::KeyRefused,
            _ => StatusMeaning::usual(status, tasks),
        }
    }

    fn status_of(&self, answer: &Answer) -> u16 {
        page::status_inside(&answer.body).unwrap_or(answer.status)
    }

    fn take_next_key(&self, refused: &Request) -> bool {
        self.keys.take_next(refused.secret_header.as_ref())
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
                _ => self.read_one(page, task, answer, context),
            })
            .collect()
    }
}
