//! Each page of the sites, read through the program's own entry point: [`Site::read`] with an answer.

use std::sync::Arc;

use schema::{FundCode, PlannedTask, SourceName, TaskId};
use sources::contract_tally::ContractTally;
use sources::site::ReadContext;
use sources::sites::factsheet::Factsheets;
use sources::sites::{Finnomena, SecFundcheck, Wealthmagik};
use sources::{Answer, Reading, Site, Via};
use url::Url;

use crate::holds::{self, CYCLE_DATE};

/// The requested fund if a page names none.
const SOME_CODE: &str = "KFGTECH";

pub const CONTEXT: ReadContext = ReadContext {
    cycle_date: CYCLE_DATE,
};

pub fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

pub fn finnomena() -> Arc<dyn Site> {
    Arc::new(Finnomena::new(
        &url("https://www.finnomena.com"),
        vec!["docs.example.org".to_owned()],
    ))
}

pub fn wealthmagik() -> Arc<dyn Site> {
    Arc::new(Wealthmagik::new(
        &url("https://www.wealthmagik.com"),
        vec!["docs.example.org".to_owned()],
    ))
}

pub fn sec_fundcheck() -> Arc<dyn Site> {
    Arc::new(SecFundcheck::new(
        &url("https://fundcheck.sec.or.th"),
        &url("https://web-fct-api.sec.or.th"),
    ))
}

pub fn finnomena_list(body: &[u8]) {
    read(
        finnomena().as_ref(),
        "list",
        TaskId::WHOLE_MARKET,
        None,
        body,
    );
}

pub fn finnomena_filter(body: &[u8]) {
    read(finnomena().as_ref(), TaskId::PIECES, "1", None, body);
}

pub fn finnomena_fund(body: &[u8]) {
    finnomena_page("fund", body);
}

pub fn finnomena_nav(body: &[u8]) {
    finnomena_page("nav", body);
}

pub fn finnomena_fee(body: &[u8]) {
    finnomena_page("fee", body);
}

pub fn finnomena_portfolio(body: &[u8]) {
    finnomena_page("portfolio", body);
}

pub fn finnomena_dividend(body: &[u8]) {
    finnomena_page("dividend", body);
}

pub fn wealthmagik_list(body: &[u8]) {
    read(
        wealthmagik().as_ref(),
        "list",
        TaskId::WHOLE_MARKET,
        None,
        body,
    );
}

pub fn wealthmagik_profile(body: &[u8]) {
    wealthmagik_page("profile", body);
}

pub fn wealthmagik_port(body: &[u8]) {
    wealthmagik_page("port", body);
}

pub fn wealthmagik_allocation(body: &[u8]) {
    wealthmagik_page("allocation", body);
}

pub fn wealthmagik_fee(body: &[u8]) {
    wealthmagik_page("fee", body);
}

pub fn sec_api(body: &[u8]) {
    // Two codes, as in the program's requests; the second one is unknown.
    let site = sec_fundcheck();
    let code = code_in(body, "\"abbrName\":\"", "\"");
    let tasks = [&code, "NOBODY"].map(|code| task(site.as_ref(), "statistics", code, None));
    read_as(site.as_ref(), &tasks, body, Via::Http);
}

pub fn sec_page(body: &[u8]) {
    let site = sec_fundcheck();
    let tasks = [task(site.as_ref(), "statistics", SOME_CODE, None)];
    read_as(site.as_ref(), &tasks, body, Via::Browser);
}

/// The output of `pdftotext`; the first line of the input is the fund's code.
pub fn factsheet_text(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (code, text) = text.split_once('\n').unwrap_or((SOME_CODE, &text));
    let code = FundCode::parse(code).unwrap_or_else(|_| some_code());
    let link = "https://docs.example.org/a b.pdf".to_owned();
    let base = url("https://www.finnomena.com");
    let sheets = Factsheets::new(SourceName::Finnomena, &base, Vec::new());
    let reading = sheets.read_text(text, &code, link, &CONTEXT);
    holds::reading(SourceName::Finnomena, &reading);
}

/// A complete PDF, read with the real `pdftotext`.
pub fn factsheet_pdf(body: &[u8]) {
    let link = Some("https://docs.example.org/a b.pdf");
    read(finnomena().as_ref(), "factsheet", SOME_CODE, link, body);
}

fn finnomena_page(page: &str, body: &[u8]) {
    let key = match page {
        "fee" => "\"class_abbr_name\":\"",
        _ => "\"short_code\":\"",
    };
    let code = code_in(body, key, "\"");
    // Normalised and therefore without NUL, as the reader of the list passes it on.
    let fund_id = between(body, "\"fund_id\":\"", "\"").map(sources::text::name::normalise);
    let fund_id = fund_id.filter(|id| !id.trim_matches('.').is_empty());
    let fund_id = fund_id.as_deref().unwrap_or("F00000IIGB");
    read(finnomena().as_ref(), page, &code, Some(fund_id), body);
}

fn wealthmagik_page(page: &str, body: &[u8]) {
    let code = code_in(body, "<h1>", "<");
    read(wealthmagik().as_ref(), page, &code, None, body);
}

/// The code that a page names. Requesting this code passes the check of the fund, so that everything after the check is
/// tested too.
fn code_in(body: &[u8], before: &str, behind: &str) -> String {
    let said = between(body, before, behind).and_then(|code| FundCode::parse(code).ok());
    let askable = said.filter(|code| !code.as_str().trim_matches(['.', ' ']).is_empty());
    askable.unwrap_or_else(some_code).to_string()
}

fn between<'body>(body: &'body [u8], before: &str, behind: &str) -> Option<&'body str> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once(before)?;
    rest.split_once(behind).map(|(said, _)| said)
}

fn some_code() -> FundCode {
    FundCode::parse(SOME_CODE).expect("a code")
}

fn read(site: &dyn Site, page: &str, key: &str, locator: Option<&str>, body: &[u8]) {
    let tasks = [task(site, page, key, locator)];
    for via in [Via::Http, Via::Browser] {
        read_as(site, &tasks, body, via);
    }
}

pub fn task(site: &dyn Site, page: &str, key: &str, locator: Option<&str>) -> PlannedTask {
    PlannedTask {
        locator: locator.map(str::to_owned),
        ..PlannedTask::new(TaskId {
            source: site.name(),
            page: page.to_owned(),
            key: key.to_owned(),
        })
    }
}

fn read_as(site: &dyn Site, tasks: &[PlannedTask], body: &[u8], via: Via) {
    let page = site
        .pages()
        .iter()
        .find(|page| page.name == tasks[0].id.page)
        .expect("a page of the site");
    // A locator without a valid request never gets an answer.
    let Ok(request) = site.request(page, tasks) else {
        return;
    };
    let answer = Answer {
        url: request.url,
        status: 200,
        content_type: None,
        body: bytes::Bytes::copy_from_slice(body),
        via,
    };
    assert!(site.hashed_part(page, &answer).len() <= body.len());
    let readings = site.read(page, tasks, &answer, &CONTEXT);
    assert_eq!(readings.len(), tasks.len(), "one reading for each task");
    let mut tally = ContractTally::default();
    for (task, reading) in tasks.iter().zip(&readings) {
        holds::reading(site.name(), reading);
        if let Reading::Observed {
            observations,
            rejects,
            ..
        } = reading
        {
            let said: Vec<_> = observations.iter().map(|said| &said.data).collect();
            tally.page_read(page.name, &task.id.key, &said, rejects);
            tally
                .breached_dataset()
                .iter()
                .for_each(|text| holds::message(text));
        }
    }
}
