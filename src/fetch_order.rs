//! The fetch order of a source in a round, after the lists: which of its pages are requested together, and which stages
//! are planned before them. Pure.
//!
//! The fetch orders of all sources run concurrently, except in the mode Sequential, so no host waits for the pages of
//! another. This module only defines the order within a source.

use actors::run_mode::RunMode;
use sources::page::{PageSpec, Stage};
use store::CycleKind;

use crate::cycle_plan::is_of_kind;

/// Pages of a source that are requested together; the next step waits for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The stages that are planned first.
    pub plans: Vec<Stage>,
    /// The pages.
    pub pages: Vec<&'static str>,
    /// Whether the answers may add tasks: the step is planned and requested again until no task is added.
    pub leads_on: bool,
}

/// The steps of a source with these pages, in a cycle of this kind. Pages of news come first in every mode. Sequential
/// and Hybrid then request the critical pages, then the pages that link to factsheets, then the other pages together
/// with the factsheets, which are mostly on another host. Parallel requests all pages of the funds at once.
#[must_use]
pub fn steps(mode: RunMode, pages: &'static [PageSpec], kind: CycleKind) -> Vec<Step> {
    let of_funds = |wanted: fn(&PageSpec) -> bool| {
        pages
            .iter()
            .filter(move |page| page.stage == Stage::Funds && wanted(page))
            .map(|page| page.name)
            .collect::<Vec<_>>()
    };
    let mut groups: Vec<Vec<&'static str>> = match mode {
        RunMode::Sequential | RunMode::Hybrid => vec![
            of_funds(|page| page.critical),
            of_funds(|page| !page.critical && page.tells_factsheets),
            of_funds(|page| !page.critical && !page.tells_factsheets),
        ],
        RunMode::Parallel => vec![of_funds(|_| true), Vec::new()],
    };
    let factsheets: Vec<&'static str> = pages
        .iter()
        .filter(|page| page.stage == Stage::Factsheets)
        .map(|page| page.name)
        .collect();
    let leads_to_factsheets = !factsheets.is_empty();
    if let Some(last) = groups.last_mut() {
        last.extend(factsheets);
    }
    let mut steps: Vec<Step> = groups
        .into_iter()
        .filter(|pages| !pages.is_empty())
        .map(|pages| Step {
            plans: Vec::new(),
            pages,
            leads_on: false,
        })
        .collect();
    // They were planned with the critical pages about the market, for which all sources wait.
    let of_market: Vec<&'static str> = pages
        .iter()
        .filter(|page| page.stage == Stage::Market && !page.critical)
        .map(|page| page.name)
        .collect();
    let has_news = pages
        .iter()
        .any(|page| page.stage == Stage::News && is_of_kind(page, kind));
    if let Some(first) = steps.first_mut() {
        first.plans.push(Stage::Funds);
        // The control sample may contradict the pages of news; then every fund is requested.
        first.leads_on = has_news;
    }
    if let Some(last) = steps.last_mut().filter(|_| leads_to_factsheets) {
        last.plans.push(Stage::Factsheets);
    }
    let news: Vec<&'static str> = pages
        .iter()
        .filter(|page| page.stage == Stage::News && is_of_kind(page, kind))
        .map(|page| page.name)
        .collect();
    if !of_market.is_empty() {
        let step = Step {
            plans: Vec::new(),
            pages: of_market,
            leads_on: false,
        };
        // They may have the links to the factsheets.
        let at = steps.len() - usize::from(leads_to_factsheets);
        steps.insert(at, step);
    }
    if !news.is_empty() {
        let step = Step {
            plans: vec![Stage::News],
            pages: news,
            leads_on: true,
        };
        steps.insert(0, step);
    }
    steps
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use sources::page::Cadence;

    use super::*;

    const fn page(
        name: &'static str,
        stage: Stage,
        critical: bool,
        tells_factsheets: bool,
    ) -> PageSpec {
        PageSpec {
            name,
            stage,
            critical,
            tells_factsheets,
            cadence: Cadence::EveryCycle,
            tasks_per_request: NonZeroUsize::MIN,
            parser_version: 1,
            extents: &[],
            has_daily_values: false,
            chain: None,
        }
    }

    const FINNOMENA: [PageSpec; 6] = [
        page("list", Stage::Lists, true, false),
        PageSpec {
            cadence: Cadence::Daily,
            ..page("filter", Stage::News, true, false)
        },
        page("nav", Stage::Funds, true, false),
        page("fund", Stage::Funds, false, true),
        page("fee", Stage::Funds, false, false),
        page("factsheet", Stage::Factsheets, false, false),
    ];
    const REGISTER: [PageSpec; 4] = [
        page("profiles", Stage::Lists, true, false),
        page("daily", Stage::Market, true, false),
        page("links", Stage::Market, false, true),
        page("factsheet", Stage::Factsheets, false, false),
    ];
    const SEC: [PageSpec; 1] = [page("statistics", Stage::Funds, false, false)];

    fn shown(mode: RunMode, pages: &'static [PageSpec]) -> Vec<String> {
        steps(mode, pages, CycleKind::Monthly)
            .iter()
            .map(|step| format!("{:?} then {}", step.plans, step.pages.join(" ")))
            .collect()
    }

    #[test]
    fn critical_pages_come_first_and_factsheets_as_soon_as_they_are_known() {
        for mode in [RunMode::Sequential, RunMode::Hybrid] {
            assert_eq!(
                shown(mode, &FINNOMENA),
                [
                    "[Funds] then nav",
                    "[] then fund",
                    "[Factsheets] then fee factsheet"
                ]
            );
        }
    }

    #[test]
    fn parallel_asks_all_pages_of_the_funds_at_once() {
        assert_eq!(
            shown(RunMode::Parallel, &FINNOMENA),
            ["[Funds] then nav fund fee", "[Factsheets] then factsheet"]
        );
    }

    #[test]
    fn in_daily_cycles_the_pages_of_news_are_requested_first_and_repeatedly() {
        for mode in RunMode::ALL {
            let daily = steps(mode, &FINNOMENA, CycleKind::Daily);
            let news = Step {
                plans: vec![Stage::News],
                pages: vec!["filter"],
                leads_on: true,
            };
            assert_eq!(daily[0], news);
            let mut others = steps(mode, &FINNOMENA, CycleKind::Monthly);
            // The answers of the control sample may add every other fund.
            others[0].leads_on = true;
            assert_eq!(daily[1..], others);
        }
    }

    #[test]
    fn factsheets_come_after_the_list_of_their_links() {
        for mode in RunMode::ALL {
            assert_eq!(
                shown(mode, &REGISTER),
                ["[] then links", "[Funds, Factsheets] then factsheet"]
            );
        }
    }

    #[test]
    fn a_source_with_one_page_has_one_step() {
        for mode in RunMode::ALL {
            assert_eq!(shown(mode, &SEC), ["[Funds] then statistics"]);
        }
    }

    #[test]
    fn every_page_of_every_source_is_requested_in_exactly_one_step() {
        for mode in RunMode::ALL {
            for pages in [&FINNOMENA[..], &SEC[..]] {
                let mut asked: Vec<_> = steps(mode, pages, CycleKind::Daily)
                    .into_iter()
                    .flat_map(|step| step.pages)
                    .collect();
                asked.sort_unstable();
                let mut expected: Vec<_> = pages
                    .iter()
                    .filter(|page| page.stage != Stage::Lists)
                    .map(|page| page.name)
                    .collect();
                expected.sort_unstable();
                assert_eq!(asked, expected, "{mode}");
            }
        }
    }
}
