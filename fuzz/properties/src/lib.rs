//! Promises of every parser of hostile input, for any bytes: no panic, bounded results, and only values that the
//! warehouse may store (D5, D6, D7, D9).
//!
//! Each target is one function that takes bytes and panics if a promise is broken. The fuzz targets in
//! `fuzz/fuzz_targets`, the regression tests over `fuzz/finds` and the short seeded run in `tests/` all call these
//! functions.
#![forbid(unsafe_code)]

mod grown;
mod holds;
mod pages;
mod payloads;
mod protocol;
mod register_pages;
mod requests;
mod runner_ron;
mod texts;

/// One parser under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of the fuzz target, of its corpus and of the folder of its finds.
    pub name: &'static str,
    /// Panics if a promise is broken.
    pub check: fn(&[u8]),
}

/// Every parser, in the order in which data passes them.
pub const TARGETS: [Target; 38] = [
    target("finnomena_list", pages::finnomena_list),
    target("finnomena_filter", pages::finnomena_filter),
    target("finnomena_fund", pages::finnomena_fund),
    target("finnomena_nav", pages::finnomena_nav),
    target("finnomena_fee", pages::finnomena_fee),
    target("finnomena_portfolio", pages::finnomena_portfolio),
    target("finnomena_dividend", pages::finnomena_dividend),
    target("wealthmagik_list", pages::wealthmagik_list),
    target("wealthmagik_profile", pages::wealthmagik_profile),
    target("wealthmagik_port", pages::wealthmagik_port),
    target("wealthmagik_allocation", pages::wealthmagik_allocation),
    target("wealthmagik_fee", pages::wealthmagik_fee),
    target("sec_api", pages::sec_api),
    target("sec_page", pages::sec_page),
    target("register_profiles", register_pages::profiles),
    target("register_daily", register_pages::daily),
    target("register_statistics", register_pages::statistics),
    target("register_fees", register_pages::fees),
    target("register_risk", register_pages::risk),
    target("register_dividend_policy", register_pages::dividend_policy),
    target("register_minimums", register_pages::minimums),
    target("register_factsheet_links", register_pages::factsheet_links),
    target("register_allocation", register_pages::allocation),
    target("register_portfolio", register_pages::portfolio),
    target("factsheet_text", pages::factsheet_text),
    target("factsheet_pdf", pages::factsheet_pdf),
    target("payload_json", payloads::json),
    target("payload_html", payloads::html),
    target("grown_pages", grown::pages),
    target("text_number", texts::number),
    target("text_date", texts::date),
    target("text_period", texts::period),
    target("text_name", texts::name),
    target("site_requests", requests::requests),
    target("robots_txt", protocol::robots_txt),
    target("retry_after", protocol::retry_after),
    target("redirect", protocol::redirect),
    target("runner_ron", runner_ron::runner_ron),
];

const fn target(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, check }
}

/// Checks one input against the promises of a target.
///
/// # Panics
/// If a promise is broken, or if there is no target of this name.
pub fn check(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("there is no target `{name}`"));
    (target.check)(input);
}
