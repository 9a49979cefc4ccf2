//! The datasets of the API: their paths, filters and rows.

use super::query::Query;
use super::{amc, nav, profile};
use crate::market::Market;

/// A group of parameters that a dataset knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filters {
    /// `proj_id`
    Project,
    /// `fund_class_name`
    Class,
    /// `fund_status`, `project_info`: the profiles have no `proj_id`.
    Profile,
    /// `start_nav_date`, `end_nav_date`
    NavDates,
    /// `start_period`, `end_period`
    Periods,
    /// `latest`
    Latest,
}

/// A dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dataset {
    Amcs,
    Profiles,
    Nav,
}

impl Dataset {
    /// The dataset of a path below `/v2/fund`.
    pub(crate) fn of(group: &str, name: &str) -> Option<Self> {
        Some(match (group, name) {
            ("general-info", "amcs") => Dataset::Amcs,
            ("general-info", "profiles") => Dataset::Profiles,
            ("daily-info", "nav") => Dataset::Nav,
            _ => return None,
        })
    }

    pub(crate) fn filters(self) -> &'static [Filters] {
        match self {
            Dataset::Amcs => &[],
            Dataset::Profiles => &[Filters::Profile, Filters::Class],
            Dataset::Nav => &[Filters::Project, Filters::Class, Filters::NavDates],
        }
    }

    /// The rows that a query selects, as JSON objects.
    pub(crate) fn rows(self, market: &Market, query: &Query) -> Vec<String> {
        match self {
            Dataset::Amcs => amc::rows(market),
            Dataset::Profiles => profile::rows(market, query),
            Dataset::Nav => nav::rows(market, query),
        }
    }
}
