//! What every fund page of WealthMagik is asked first: is it a page at all, and is it about the fund asked for?

use schema::FundCode;

use crate::payload::breach;
use crate::payload::html::{HtmlPage, all_in, text};
use crate::site::{Breach, Reading, Via};
use crate::sites::wealthmagik::wire::FundDetail;
use crate::text::name;

/// Whether a page says whom it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// It names the fund asked for.
    TheFund,
    /// It names none.
    Nobody,
}

/// Whom the page is about.
///
/// # Errors
/// It is about another fund, or an error page.
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
            &format!("`{asked}`, the fund asked for"),
            code,
        ));
    }
    let mut shown = Vec::new();
    for heading in &headings {
        let titles = all_in(heading, "h1");
        if titles.is_empty() {
            let whole = text(heading);
            // Without a heading of its own the code is what the text begins with.
            let begins = whole
                .strip_prefix(asked.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
            shown.push(if begins { asked.to_string() } else { whole });
        } else {
            shown.extend(titles.iter().map(text));
        }
    }
    shown.retain(|code| !code.is_empty());
    if shown
        .iter()
        .any(|code| name::fund_code(code).as_ref() == Ok(asked))
    {
        return Ok(Names::TheFund);
    }
    if let Some(other) = shown.first() {
        return Err(breach(
            ".fundName h1",
            &format!("`{asked}`, the fund asked for"),
            other,
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

/// A page that lacks what it should show: over HTTP a script may still have to build it; a browser has shown all there is.
pub fn unrendered(page: &HtmlPage, via: Via, what: Breach) -> Reading {
    match via {
        Via::Http if page.error_heading().is_none() => Reading::NeedsBrowser(what),
        _ => Reading::Broken(what),
    }
}
