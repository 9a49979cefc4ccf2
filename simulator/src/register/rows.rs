//! The rows that a query selects.

use super::dataset::Dataset;
use super::query::Query;
use super::{amc, dividend, fee, link, nav, performance, portfolio, profile, risk, statistic};
use crate::market::Market;

/// The rows that a query selects, as JSON objects; `documents` is the base URL of the document storage.
pub(crate) fn selected(market: &Market, query: &Query, documents: &str) -> Vec<String> {
    match query.dataset {
        Dataset::Amcs => amc::rows(market),
        Dataset::Profiles => profile::rows(market, query),
        Dataset::Nav => nav::rows(market, query),
        Dataset::Dividends => dividend::rows(market, query),
        Dataset::Statistics => statistic::rows(market, query),
        Dataset::Fees => fee::rows(market, query),
        Dataset::Risk => risk::rows(market, query),
        Dataset::Performance => performance::rows(market, query),
        Dataset::Allocation => portfolio::allocation_rows(market, query),
        Dataset::Top => portfolio::top_rows(market, query),
        Dataset::Links => link::rows(market, query, documents),
        Dataset::Minimums => fee::minimum_rows(market, query),
        Dataset::DividendPolicy => dividend::policy_rows(market, query),
        Dataset::Benchmarks => risk::benchmark_rows(market, query),
        Dataset::Portfolio => portfolio::rows(market, query),
    }
}
