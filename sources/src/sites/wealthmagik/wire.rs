//! What WealthMagik answers in JSON: its fund list, and the state embedded in its pages (SOURCES section 3).

use serde::Deserialize;

use crate::payload::bare_nan;
use crate::payload::html::{HtmlPage, attribute, script_text};
use crate::payload::json::{self, Field};

/// The id of the embedded state's script.
pub const STATE_ID: &str = "serverApp-state";

/// `/json-search/fundSearch.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FundSearch<'json> {
    #[serde(borrow)]
    pub data: Field<'json>,
}

/// One fund of the list: `v` is `<code>---<more text>`, `u` its page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FoundFund<'json> {
    #[serde(borrow)]
    pub v: Field<'json>,
    pub u: Field<'json>,
}

/// The `fund-detail` of the embedded state.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub struct FundDetail<'json> {
    #[serde(borrow, rename = "fundCode")]
    pub fund_code: Field<'json>,
    #[serde(rename = "tnaclassDate")]
    pub tnaclass_date: Field<'json>,
    #[serde(rename = "bidPrice")]
    pub bid_price: Field<'json>,
    #[serde(rename = "offerPrice")]
    pub offer_price: Field<'json>,
    #[serde(rename = "NAV")]
    pub nav: Field<'json>,
    /// Where the detail lies one level deeper.
    body: Field<'json>,
    data: Field<'json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State<'json> {
    #[serde(borrow, rename = "fund-detail")]
    fund_detail: Field<'json>,
}

/// The text of the page's embedded state, its own escapes undone; `None` where the page has none.
#[must_use]
pub fn embedded_state(page: &HtmlPage) -> Option<String> {
    let script = page
        .all("script")
        .into_iter()
        .find(|script| attribute(script, "id").as_deref() == Some(STATE_ID))?;
    let text = unescaped(&script_text(&script));
    Some(bare_nan::made_lawful(&text).into_owned())
}

/// Undoes `&q;` `"`, `&a;` `&`, `&s;` `'`, `&l;` `<`, `&g;` `>`, each once.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        let (character, length) = match rest.as_bytes().get(at + 1..at + 3) {
            Some(b"q;") => ('"', 3),
            Some(b"a;") => ('&', 3),
            Some(b"s;") => ('\'', 3),
            Some(b"l;") => ('<', 3),
            Some(b"g;") => ('>', 3),
            _ => ('&', 1),
        };
        plain.push(character);
        rest = &rest[at + length..];
    }
    plain.push_str(rest);
    plain
}

/// The fund's detail in the state's text.
///
/// # Errors
/// The state is no JSON, or its `fund-detail` no object.
pub fn fund_detail(state: &str) -> Result<Option<FundDetail<'_>>, String> {
    let root = json::root(state).map_err(|breach| breach.to_string())?;
    let Some(state) = root.record::<State<'_>>()? else {
        return Ok(None);
    };
    let mut field = state.fund_detail;
    // The detail itself, or inside `body` or `data`.
    for _ in 0..3 {
        let Some(detail) = field.record::<FundDetail<'_>>()? else {
            return Ok(None);
        };
        if detail.fund_code.is_present() {
            return Ok(Some(detail));
        }
        field = if detail.body.is_present() {
            detail.body
        } else {
            detail.data
        };
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_own_escapes_are_undone_once() {
        assert_eq!(
            unescaped("{&q;a&q;:&q;x&a;q;y&s;&l;b&g; & c&"),
            "{\"a\":\"x&q;y'<b> & c&"
        );
    }

    #[test]
    fn the_detail_is_found_and_survives_nan() {
        let html = "<script id='serverApp-state' type='application/json'>{&q;fund-detail&q;:{&q;fundCode&q;:&q;A&a;B&q;,&q;NAV&q;:NaN,&q;bidPrice&q;:10.10}}</script>";
        let page = HtmlPage::parse(html.as_bytes()).expect("UTF-8");
        let state = embedded_state(&page).expect("a state");
        let detail = fund_detail(&state).expect("JSON").expect("a detail");
        assert_eq!(detail.fund_code.text(), Ok(Some("A&B".to_owned())));
        assert_eq!(detail.nav.number(), Ok(None));
        assert_eq!(detail.bid_price.raw(), "10.10");
        assert!(fund_detail("{").is_err());
        assert!(fund_detail("{}").is_ok_and(|detail| detail.is_none()));
    }
}
