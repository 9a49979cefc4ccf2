//! The JSON of WealthMagik: its fund list, and the state embedded in its pages (docs/sites.md, "WealthMagik").

use serde::Deserialize;

use crate::payload::bare_nan;
use crate::payload::html::{HtmlPage, attribute, script_text};
use crate::payload::json::{self, Field};

/// The ids of the script with the embedded state: Angular's older one, and its newer one.
pub const STATE_IDS: [&str; 2] = ["serverApp-state", "ng-state"];

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
    /// The keys below which the detail may be nested.
    body: Field<'json>,
    data: Field<'json>,
    b: Field<'json>,
}

impl<'json> FundDetail<'json> {
    /// A required field of the page's contract.
    pub fn required(&self, field: &str) -> Field<'json> {
        match field {
            "tnaclassDate" => self.tnaclass_date,
            "bidPrice" => self.bid_price,
            "offerPrice" => self.offer_price,
            _ => Field::default(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State<'json> {
    #[serde(borrow, rename = "fund-detail")]
    fund_detail: Field<'json>,
}

/// The texts of the page's embedded states, in page order, each as plain JSON. A page normally has one. If a second
/// script has one of the ids, either may contain the fund.
#[must_use]
pub fn embedded_states(page: &HtmlPage) -> Vec<String> {
    page.all("script")
        .into_iter()
        .filter(|script| attribute(script, "id").is_some_and(|id| STATE_IDS.contains(&id.as_str())))
        .map(|script| {
            let text = script_text(&script);
            let plain = bare_nan::made_lawful(&text);
            // The newer Angular writes plain JSON, the older one its own escapes, under either id.
            if json::root(&plain).is_ok() {
                plain.into_owned()
            } else {
                bare_nan::made_lawful(&unescaped(&text)).into_owned()
            }
        })
        .collect()
}

/// The fund's detail in the first state that contains one.
///
/// # Errors
/// No state contains one, and at least one state cannot be parsed: the first reason.
pub fn fund_detail_of(states: &[String]) -> Result<Option<FundDetail<'_>>, String> {
    let mut unreadable = None;
    for state in states {
        match fund_detail(state) {
            Ok(Some(detail)) => return Ok(Some(detail)),
            Ok(None) => {}
            Err(reason) => {
                unreadable.get_or_insert(reason);
            }
        }
    }
    unreadable.map_or(Ok(None), Err)
}

/// Replaces `&q;` by `"`, `&a;` by `&`, `&s;` by `'`, `&l;` by `<`, `&g;` by `>`, each once.
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

/// The fund's detail in the text of a state.
///
/// # Errors
/// The state is not JSON, or its `fund-detail` is not an object.
fn fund_detail(state: &str) -> Result<Option<FundDetail<'_>>, String> {
    let root = json::root(state).map_err(|breach| breach.to_string())?;
    let Some(state) = root.record::<State<'_>>()? else {
        return Ok(None);
    };
    let mut field = state.fund_detail;
    // The detail itself, or nested in `body`, `data` or `b`.
    for _ in 0..3 {
        let Some(detail) = field.record::<FundDetail<'_>>()? else {
            return Ok(None);
        };
        if detail.fund_code.is_present() {
            return Ok(Some(detail));
        }
        field = [detail.body, detail.data, detail.b]
            .into_iter()
            .find(|inner| inner.is_present())
            .unwrap_or_default();
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
        let states = embedded_states(&page);
        let detail = fund_detail_of(&states).expect("JSON").expect("a detail");
        assert_eq!(detail.fund_code.text(), Ok(Some("A&B".to_owned())));
        assert_eq!(detail.nav.number(), Ok(None));
        assert_eq!(detail.bid_price.raw(), "10.10");
        assert!(fund_detail("{").is_err());
        assert!(fund_detail("{}").is_ok_and(|detail| detail.is_none()));
    }

    /// The bid in the page's state, or the reason why there is none.
    fn bid(scripts: &str) -> Result<Option<String>, String> {
        let page = HtmlPage::parse(scripts.as_bytes()).expect("UTF-8");
        let states = embedded_states(&page);
        let detail = fund_detail_of(&states)?;
        Ok(detail.map(|detail| detail.bid_price.raw().to_owned()))
    }

    #[test]
    fn either_state_is_read_wherever_it_is_on_the_page() {
        let old = "<script id='serverApp-state'>{&q;fund-detail&q;:{&q;fundCode&q;:&q;A&q;,&q;bidPrice&q;:1}}</script>";
        let new = r#"<script id="ng-state" type="application/json">{"fund-detail":{"fundCode":"A\u003C&q;","bidPrice":2,"NAV":NaN}}</script>"#;
        let nested =
            r#"<script id="ng-state">{"fund-detail":{"b":{"fundCode":"A","bidPrice":3}}}</script>"#;
        let plain_in_old = r#"<script id="serverApp-state">{"fund-detail":{"fundCode":"A","bidPrice":4}}</script>"#;
        let no_json = "<script id='ng-state'>window.state = 1</script>";
        let no_detail = "<script id='ng-state'>{\"other\":1}</script>";
        let in_head = |script: &str| format!("<html><head>{script}</head><body></body></html>");
        for (page, expected) in [
            (old.to_owned(), "1"),
            (new.to_owned(), "2"),
            (nested.to_owned(), "3"),
            (plain_in_old.to_owned(), "4"),
            (in_head(new), "2"),
            (format!("{no_json}{new}"), "2"),
            (format!("{new}{no_json}"), "2"),
            (format!("{no_detail}{old}"), "1"),
            (format!("<div id='ng-state'>{{</div>{new}"), "2"),
            // Both states are present: the first is used.
            (format!("{new}{old}"), "2"),
        ] {
            assert_eq!(bid(&page), Ok(Some(expected.to_owned())), "{page}");
        }
        assert_eq!(bid(no_detail), Ok(None));
        assert!(bid(no_json).is_err());
    }
}
