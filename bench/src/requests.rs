//! Counts the requests in the simulator's log by host and kind of page.

use std::collections::BTreeMap;

use simulator::{LoggedRequest, Site};

/// The kind of page of a request: its path without the parts that identify a fund, a day or a file.
#[must_use]
pub fn page_kind(site: Site, path_and_query: &str) -> String {
    let (path, query) = path_and_query
        .split_once('?')
        .unwrap_or((path_and_query, ""));
    if path == "/robots.txt" {
        return path.to_owned();
    }
    if site == Site::Documents {
        return "a factsheet".to_owned();
    }
    let mut after_funds = false;
    let segments: Vec<&str> = path
        .split('/')
        .map(|segment| {
            let names_a_fund = std::mem::replace(&mut after_funds, segment == "funds");
            if names_a_fund { "{fund}" } else { segment }
        })
        .collect();
    let path = segments.join("/");
    // A range counts as another kind of page, because it determines the size of the response.
    match query.split('&').find(|part| part.starts_with("range=")) {
        Some(range) => format!("{path}?{range}"),
        None => path,
    }
}

/// Number of requests per host.
#[must_use]
pub fn by_host(requests: &[LoggedRequest]) -> BTreeMap<Site, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry(request.site).or_insert(0) += 1;
    }
    counts
}

/// A Markdown table of the requests for `funds` funds.
#[must_use]
pub fn table(title: &str, requests: &[LoggedRequest], funds: usize) -> String {
    let mut counts: BTreeMap<(Site, String), usize> = BTreeMap::new();
    for request in requests {
        let kind = page_kind(request.site, &request.path);
        *counts.entry((request.site, kind)).or_insert(0) += 1;
    }
    let mut text =
        format!("\n{title}\n\n| host | page | requests | per fund |\n|---|---|---|---|\n");
    for ((site, kind), count) in counts {
        let per_fund = count as f64 / funds as f64;
        text.push_str(&format!(
            "| {} | {kind} | {count} | {per_fund:.2} |\n",
            site.name()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_different_funds_are_of_one_kind() {
        for (site, path, kind) in [
            (
                Site::Finnomena,
                "/fn3/api/fund/v2/public/funds",
                "/fn3/api/fund/v2/public/funds",
            ),
            (
                Site::Finnomena,
                "/fn3/api/fund/v2/public/funds/F00000ABCD/nav/q?range=1M",
                "/fn3/api/fund/v2/public/funds/{fund}/nav/q?range=1M",
            ),
            (
                Site::WealthMagik,
                "/funds/ABC%2FDEF/profile",
                "/funds/{fund}/profile",
            ),
            (Site::Documents, "/sheets/17.pdf", "a factsheet"),
            (Site::Documents, "/robots.txt", "/robots.txt"),
        ] {
            assert_eq!(page_kind(site, path), kind);
        }
    }
}
