//! Checks common to all fund pages of WealthMagik: whether a page is a fund page, and whether it is about the requested
//! fund.

use schema::FundCode;

use crate::payload::breach;
use crate::payload::html::{HtmlPage, all_in, text};
use crate::site::{Breach, Reading, Via};
use crate::sites::wealthmagik::api_types::FundDetail;
use crate::text::name;

/// Whether a page names its fund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The page names the requested fund.
    TheFund,
    /// The page names no fund.
    Nobody,
}

/// Whether the page names the requested fund.
///
/// # Errors
/// The page is about another fund, or is an error page.
pub fn names(
    page: &HtmlPage,
    detail: Option<&FundDetail<'_>>,
    asked: &FundCode,
) -> Result<Names, Breach> {
    let headings = page.all(".fundName");
    let in_state = match detail.map(|detail| detail.fund_code.text()) {
        Some(Ok(code)) => code,
        Some(Err(reason)) => {
            return Err(breach("fund-detail.fundCode", "a fund code", &reason));
        }
        None => None,
    };
    let said_in_state = in_state.as_deref().filter(|code| !code.trim().is_empty());
    if let Some(code) = said_in_state
        && name::fund_code(code).as_ref() != Ok(asked)
    {
        return Err(breach(
            "fund-detail.fundCode",
            &format!("`{asked}`, the requested fund"),
            code,
        ));
    }
    let is_asked = |code: &str| name::fund_code(code).as_ref() == Ok(asked);
    // Compare each text separately, because headings may be nested.
    let mut other: Option<String> = None;
    for heading in &headings {
        let titles = all_in(heading, "h1");
        if titles.is_empty() {
            let whole = text(heading);
            // Without an `h1` inside, the text begins with the code.
            let begins = whole
                .strip_prefix(asked.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
            if begins || is_asked(&whole) {
                return Ok(Names::TheFund);
            }
            other = other.or(Some(whole).filter(|whole| !whole.is_empty()));
        }
        for title in titles.iter().map(text) {
            if is_asked(&title) {
                return Ok(Names::TheFund);
            }
            other = other.or(Some(title).filter(|title| !title.is_empty()));
        }
    }
    if let Some(other) = other {
        return Err(breach(
            ".fundName h1",
            &format!("`{asked}`, the requested fund"),
            &other,
        ));
    }
    if said_in_state.is_some() {
        return Ok(Names::TheFund);
    }
    match page.error_heading() {
        Some(heading) => Err(breach(
            ".fundName",
            "a fund's page",
            &format!("an error page: {heading}"),
        )),
        None => Ok(Names::Nobody),
    }
}

/// The reading of a page without any content. Unless the page is an error page, its script has not written the content
/// yet: another visit in the browser may find it.
pub fn unrendered(page: &HtmlPage, what: Breach) -> Reading {
    if page.error_heading().is_none() {
        Reading::NeedsBrowser(what)
    } else {
        Reading::Broken(what)
    }
}

/// The reading of a page with some content but without the content that its contract requires. Over HTTP a script may
/// still add the rest. In the browser all scripts have run, so the page has changed.
pub fn incomplete(page: &HtmlPage, via: Via, what: Breach) -> Reading {
    match via {
        Via::Http => unrendered(page, what),
        Via::Browser | Via::InPage => Reading::Broken(what),
    }
}
