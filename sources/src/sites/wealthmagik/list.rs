//! Parser of the fund list: `/json-search/fundSearch.json`, or the lazy list of the page `/funds` in a browser.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use schema::columns::ListingFields;
use schema::task::Severity;
use schema::{Dataset, FundCode, ObservationData};

use crate::payload::html::{HtmlPage, all_in, attribute};
use crate::payload::{breach, json, text_of};
use crate::site::{Answer, Breach, Reading, Via};
use crate::sites::findings::{Findings, MAX_LISTED, too_many_funds};
use crate::sites::locate::{self, Root};
use crate::sites::wealthmagik::api_types::{FoundFund, FundSearch};
use crate::sites::wealthmagik::contract::LIST_ITEMS;
use crate::text::{excerpt, name};

/// The prefix of a list item's id before the code.
const ITEM_ID: &str = "wmg.fundscreenerdetail.button.fundcode.";

/// The funds found so far: page path by code.
struct Listed<'root> {
    root: &'root Root,
    paths: BTreeMap<FundCode, String>,
    findings: Findings,
}

/// Parses the list in either form.
pub fn read(answer: &Answer, root: &Root, findings: Findings) -> Reading {
    let is_html = match text_of(&answer.body) {
        Ok(text) => text.trim_start().starts_with('<'),
        Err(breach) => return Reading::Broken(breach),
    };
    let mut listed = Listed {
        root,
        paths: BTreeMap::new(),
        findings,
    };
    let read = match (is_html, answer.via) {
        (false, _) => listed.read_json(&answer.body),
        (true, Via::Browser | Via::InPage) => listed.read_page(&answer.body),
        (true, Via::Http) => {
            return Reading::NeedsBrowser(breach("body", "the fund list in JSON", "an HTML page"));
        }
    };
    if let Err(breach) = read {
        return Reading::Broken(breach);
    }
    if listed.paths.is_empty() {
        return Reading::Broken(breach("data", "at least one fund", "none"));
    }
    let Listed {
        paths,
        mut findings,
        ..
    } = listed;
    for (code, source_key) in paths {
        let fields = ListingFields::default();
        findings.say_of(code, None, ObservationData::Listing { source_key, fields });
    }
    findings.said()
}

impl Listed<'_> {
    fn read_json(&mut self, body: &[u8]) -> Result<(), Breach> {
        let document = json::document(body)?;
        let root = json::root(&document)?;
        let data = if root.raw().starts_with('[') {
            root
        } else {
            let expected = r#"{"data":[…]}"#;
            match root.record::<FundSearch<'_>>() {
                Ok(Some(search)) if search.data.is_present() => search.data,
                _ => return Err(root.breach("body", expected)),
            }
        };
        let elements = match data.elements() {
            Ok(Some(elements)) => elements,
            Ok(None) => return Err(data.breach("data", "an array of funds")),
            Err(reason) => return Err(breach("data", "an array of funds", &reason)),
        };
        if elements.len() > MAX_LISTED {
            return Err(too_many_funds("data", elements.len()));
        }
        for element in elements {
            let fund = match element.record::<FoundFund<'_>>() {
                Ok(Some(fund)) => fund,
                Ok(None) => FoundFund::default(),
                Err(reason) => {
                    self.findings
                        .reject(Dataset::Listing, "*", reason, element.raw());
                    continue;
                }
            };
            let Some(label) =
                self.findings
                    .field(Dataset::Listing, "v", fund.v.text(), element.raw())
            else {
                if !fund.v.is_present() || fund.v.is_null() {
                    self.findings.reject(
                        Dataset::Listing,
                        "v",
                        "expected `<code>---<text>`",
                        element.raw(),
                    );
                }
                continue;
            };
            let code = label
                .split_once("---")
                .map_or(label.as_str(), |(code, _)| code)
                .to_owned();
            let link = self
                .findings
                .field(Dataset::Listing, "u", fund.u.text(), element.raw());
            self.take(&code, link.as_deref(), element.raw());
        }
        Ok(())
    }

    fn read_page(&mut self, body: &[u8]) -> Result<(), Breach> {
        let page = HtmlPage::parse(body)?;
        for item in page.all(LIST_ITEMS) {
            let Some(id) = attribute(&item, "id") else {
                continue;
            };
            let Some(code) = id.strip_prefix(ITEM_ID) else {
                continue;
            };
            let link = attribute(&item, "href").or_else(|| {
                all_in(&item, "a[href]")
                    .first()
                    .and_then(|anchor| attribute(anchor, "href"))
            });
            let link = link.filter(|link| link.contains("/funds/"));
            self.take(code, link.as_deref(), &id);
        }
        Ok(())
    }

    /// Adds one entry. The first entry of a code is used; a different page for the same code is noted.
    fn take(&mut self, code: &str, link: Option<&str>, sample: &str) {
        let code = match name::fund_code(code) {
            Ok(code) => code,
            Err(error) => {
                self.findings
                    .reject(Dataset::Listing, "v", error.to_string(), sample);
                return;
            }
        };
        let path = match self.path(&code, link) {
            Ok(path) => path,
            Err(reason) => {
                let severity = Severity::Rejected;
                self.findings.push(
                    Some(code.to_string()),
                    Dataset::Listing,
                    "u",
                    reason,
                    sample,
                    severity,
                );
                return;
            }
        };
        match self.paths.entry(code) {
            Entry::Vacant(place) => {
                place.insert(path);
            }
            Entry::Occupied(place) if *place.get() != path => {
                let reason = format!(
                    "the code is listed twice: {} counts, {} does not",
                    excerpt(place.get()),
                    excerpt(&path)
                );
                let code = Some(place.key().to_string());
                self.findings
                    .push(code, Dataset::Listing, "u", reason, sample, Severity::Noted);
            }
            Entry::Occupied(_) => {}
        }
    }

    /// The page's path without `/profile`. If the link leads to another host or is invalid, the path is derived from
    /// the code.
    fn path(&self, code: &FundCode, link: Option<&str>) -> Result<String, String> {
        let linked = link
            .filter(|link| !link.trim().is_empty())
            .and_then(|link| self.root.path_of(link))
            .map(|path| {
                let path = path.trim_end_matches('/');
                path.strip_suffix("/profile").unwrap_or(path).to_owned()
            })
            .filter(|path| !path.is_empty() && path.len() <= crate::sites::MAX_LINK_CHARS)
            .filter(|path| !path.split('/').any(|part| part == ".."));
        match linked {
            Some(path) => Ok(path),
            None => Ok(format!("/funds/{}", locate::segment(code.as_str())?)),
        }
    }
}
