//! Parser of `/funds/<code>/allocation`: allocation by asset class and by country.

use kuchikiki::NodeRef;
use schema::observation::PortfolioKind;

use crate::payload::breach;
use crate::payload::html::{HtmlPage, all_in, nearest_ancestor_class, text};
use crate::site::{Answer, Reading, Via};
use crate::sites::findings::Findings;
use crate::sites::portfolio_rows::PortfolioRows;
use crate::sites::wealthmagik::page::{Names, incomplete, names, unrendered};
use crate::sites::wealthmagik::port::percent;
use crate::text::thai_date;

/// The classes of the containers, in the order of [`KINDS`].
const CONTAINERS: [&str; 2] = [
    "investmentAllocationByAsset",
    "investmentAllocationByCountry",
];
/// The kinds of portfolio in the containers.
const KINDS: [PortfolioKind; 2] = [
    PortfolioKind::AssetAllocation,
    PortfolioKind::CountryAllocation,
];

/// The selectors of the cells of a row: name and ratio.
const CELLS: [&str; 2] = [".cdk-column-name", ".cdk-column-ratio"];

/// The content of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// The page has no such container.
    NoContainer,
    /// The container has rows.
    Rows,
    /// The container has its own `.emptyData`.
    Empty,
    /// The container has neither rows nor `.emptyData`: it was not rendered.
    Nothing,
}

/// Parses the page. Each container has rows or its own `.emptyData`; an `.emptyData` outside both applies to the whole
/// page.
pub fn read(answer: &Answer, mut findings: Findings) -> Reading {
    let page = match HtmlPage::parse(&answer.body) {
        Ok(page) => page,
        Err(breach) => return Reading::Broken(breach),
    };
    let Some(asked) = findings.fund_code().cloned() else {
        return Reading::Broken(breach("key", "a fund code", "none"));
    };
    match names(&page, None, &asked) {
        Err(breach) => return Reading::Broken(breach),
        Ok(Names::Nobody) => {
            return unrendered(&page, breach(".fundName", "the fund's code", "nothing"));
        }
        Ok(Names::TheFund) => {}
    }
    let empties = page.all(".emptyData");
    let page_is_empty = empties
        .iter()
        .any(|empty| nearest_ancestor_class(empty, &CONTAINERS).is_none());
    let shown: Vec<Shown> = (0..CONTAINERS.len())
        .map(|place| shown_in(&page, place, &empties))
        .collect();
    if shown.iter().all(|shown| *shown == Shown::NoContainer) && !page_is_empty {
        let what = breach(
            ".investmentAllocationByAsset",
            "a container with rows, or .emptyData",
            "neither",
        );
        return unrendered(&page, what);
    }
    let unrendered_place = shown
        .iter()
        .position(|shown| *shown == Shown::Nothing && !page_is_empty);
    if let Some(place) = unrendered_place {
        let what = breach(
            &format!(".{}", CONTAINERS[place]),
            "rows or its own .emptyData",
            "neither",
        );
        let has_rows = shown.contains(&Shown::Rows);
        if answer.via == Via::Http || !has_rows {
            return unrendered(&page, what);
        }
        // A browser has run all scripts, so the rows of the other container are kept.
        let dataset = PortfolioRows::new(KINDS[place]).dataset();
        findings.reject(dataset, CONTAINERS[place], what.to_string(), "");
    }
    if !shown.contains(&Shown::Rows) {
        return Reading::Absent;
    }
    for (place, _) in shown
        .iter()
        .enumerate()
        .filter(|(_, shown)| **shown == Shown::Rows)
    {
        // If no row has a cell of one kind, the classes of the page have changed.
        let rows = rows_of(&page, place);
        if let Some(css) = CELLS
            .iter()
            .find(|css| rows.iter().all(|row| all_in(row, css).is_empty()))
        {
            let field = format!(".{} {css}", CONTAINERS[place]);
            let what = breach(&field, "a cell in the rows", "none");
            return incomplete(&page, answer.via, what);
        }
    }
    for (place, shown) in shown.iter().enumerate() {
        if *shown == Shown::NoContainer {
            // The fund has no such data, or the site has renamed the container: note it.
            let dataset = PortfolioRows::new(KINDS[place]).dataset();
            findings.note(
                dataset,
                CONTAINERS[place],
                "the page has no such container",
                "",
            );
        }
        if *shown == Shown::Rows {
            read_container(&page, place, &mut findings);
        }
    }
    findings.said()
}

fn shown_in(page: &HtmlPage, place: usize, empties: &[NodeRef]) -> Shown {
    if page.all(&format!(".{}", CONTAINERS[place])).is_empty() {
        return Shown::NoContainer;
    }
    if !rows_of(page, place).is_empty() {
        return Shown::Rows;
    }
    let own_empty = empties
        .iter()
        .any(|empty| nearest_ancestor_class(empty, &CONTAINERS) == Some(place));
    if own_empty {
        Shown::Empty
    } else {
        Shown::Nothing
    }
}

/// The rows whose nearest container is this one and that contain text.
fn rows_of(page: &HtmlPage, place: usize) -> Vec<NodeRef> {
    page.all("tr.mat-row, tr.mat-mdc-row")
        .into_iter()
        .filter(|row| {
            nearest_ancestor_class(row, &CONTAINERS) == Some(place) && !text(row).is_empty()
        })
        .collect()
}

fn read_container(page: &HtmlPage, place: usize, findings: &mut Findings) {
    let mut rows = PortfolioRows::new(KINDS[place]);
    for row in rows_of(page, place) {
        let cell = |css: &str| all_in(&row, css).first().map(text);
        let [name, ratio] = CELLS.map(cell);
        rows.take(findings, Ok(name), percent(ratio.as_deref()), &text(&row));
    }
    let as_of = page
        .all(".asofdate")
        .into_iter()
        .filter(|date| nearest_ancestor_class(date, &CONTAINERS) == Some(place))
        .map(|date| text(&date))
        .find(|text| !text.is_empty());
    let as_of_date = match as_of {
        Some(as_of) => findings.as_of(rows.dataset(), ".asofdate", thai_date::read(&as_of), &as_of),
        None => None,
    };
    rows.state(findings, as_of_date);
}
