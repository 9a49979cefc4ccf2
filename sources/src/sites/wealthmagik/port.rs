//! Parser of `/funds/<code>/port`: the full holdings.

use std::collections::BTreeMap;
use std::rc::Rc;

use kuchikiki::{Node, NodeRef};
use schema::observation::PortfolioKind;

use crate::payload::breach;
use crate::payload::html::{HtmlPage, text};
use crate::site::{Answer, Reading};
use crate::sites::findings::Findings;
use crate::sites::portfolio_rows::PortfolioRows;
use crate::sites::wealthmagik::page::{incomplete, names, unrendered};
use crate::text::{number, thai_date};

/// The class of a list element.
const LIST: &str = "portallocation-list";
/// The selectors of the cells of a holding: name and ratio.
const CELLS: [&str; 2] = [".name-text", ".ratio-text"];

/// Parses the page. `.emptyData` without rows means that the fund has no holdings. A page with neither rows nor
/// `.emptyData` was not rendered.
pub fn read(answer: &Answer, mut findings: Findings) -> Reading {
    let page = match HtmlPage::parse(&answer.body) {
        Ok(page) => page,
        Err(breach) => return Reading::Broken(breach),
    };
    let Some(asked) = findings.fund_code().cloned() else {
        return Reading::Broken(breach("key", "a fund code", "none"));
    };
    if let Err(breach) = names(&page, None, &asked) {
        return Reading::Broken(breach);
    }
    let lines = lines_of(&page);
    let mut rows = PortfolioRows::new(PortfolioKind::FullHoldings);
    let mut shown = 0_usize;
    for line in &lines {
        // If a list element contains several lines, the n-th name belongs to the n-th ratio.
        let [line_names, ratios] = line;
        for place in 0..line_names.len().max(ratios.len()) {
            let row_name = line_names.get(place).map(text);
            let ratio = ratios.get(place).map(text);
            if row_name.as_deref().is_none_or(str::is_empty)
                && ratio.as_deref().is_none_or(str::is_empty)
            {
                continue;
            }
            shown += 1;
            let sample = format!(
                "{} | {}",
                row_name.as_deref().unwrap_or(""),
                ratio.as_deref().unwrap_or("")
            );
            rows.take(
                &mut findings,
                Ok(row_name),
                percent(ratio.as_deref()),
                &sample,
            );
        }
    }
    if shown == 0 {
        if lines.is_empty() && !page.all(".emptyData").is_empty() {
            return Reading::Absent;
        }
        let found = if lines.is_empty() {
            "neither"
        } else {
            "rows without text"
        };
        return unrendered(
            &page,
            breach(
                ".portallocation-list",
                "rows of holdings or .emptyData",
                found,
            ),
        );
    }
    // If no row has a cell of one kind, the classes of the page have changed.
    for (kind, css) in CELLS.iter().enumerate() {
        if lines.iter().all(|line| line[kind].is_empty()) {
            let what = breach(css, "a cell in the rows of holdings", "none");
            return incomplete(&page, answer.via, what);
        }
    }
    let as_of = [".date-detail-text", ".mainDivtopHolding span.asofdate"]
        .iter()
        .flat_map(|css| page.all(css))
        .map(|element| text(&element))
        .find(|text| !text.is_empty());
    let as_of_date = match as_of {
        Some(as_of) => findings.as_of(
            rows.dataset(),
            ".date-detail-text",
            thai_date::read(&as_of),
            &as_of,
        ),
        None => None,
    };
    rows.state(&mut findings, as_of_date);
    findings.said()
}

/// The names and ratios of each list element. A cell in a nested list belongs only to the inner list; otherwise it
/// would be read as two holdings.
fn lines_of(page: &HtmlPage) -> Vec<[Vec<NodeRef>; 2]> {
    let lists = page.all(&format!(".{LIST}"));
    let places: BTreeMap<*const Node, usize> = (0..)
        .zip(&lists)
        .map(|(place, list)| (Rc::as_ptr(&list.0), place))
        .collect();
    let mut lines = vec![[Vec::new(), Vec::new()]; lists.len()];
    for (kind, css) in CELLS.iter().enumerate() {
        for cell in page.all(css) {
            let own = cell
                .inclusive_ancestors()
                .find_map(|list| places.get(&Rc::as_ptr(&list.0)));
            if let Some(place) = own {
                lines[*place][kind].push(cell);
            }
        }
    }
    lines
}

/// Parses a cell with a percentage.
pub fn percent(cell: Option<&str>) -> Result<Option<schema::Number>, String> {
    match cell {
        None => Err("no cell with a percent".to_owned()),
        Some(cell) => number::read(cell)
            .map_err(|error| error.to_string())
            .and_then(number::believed)
            .map(|quantity| quantity.map(|quantity| quantity.value)),
    }
}
