//! The datasets of the API: their paths and filters.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dataset {
    Amcs,
    Profiles,
    Nav,
    Dividends,
    Statistics,
    Fees,
    Risk,
    Performance,
    Allocation,
    Top,
    Links,
    Minimums,
    DividendPolicy,
    Benchmarks,
    Portfolio,
}

impl Dataset {
    /// The dataset of a path below `/v2/fund`.
    pub(crate) fn of(group: &str, name: &str) -> Option<Self> {
        Some(match (group, name) {
            ("general-info", "amcs") => Dataset::Amcs,
            ("general-info", "profiles") => Dataset::Profiles,
            ("daily-info", "nav") => Dataset::Nav,
            ("daily-info", "dividend-history") => Dataset::Dividends,
            ("factsheet", "statistics") => Dataset::Statistics,
            ("factsheet", "fees") => Dataset::Fees,
            ("factsheet", "risk-spectrum") => Dataset::Risk,
            ("factsheet", "performance") => Dataset::Performance,
            ("factsheet", "asset-allocation") => Dataset::Allocation,
            ("factsheet", "top5-holdings") => Dataset::Top,
            ("factsheet", "urls") => Dataset::Links,
            ("factsheet", "subscription-redemption-minimums") => Dataset::Minimums,
            ("factsheet", "dividend-policy") => Dataset::DividendPolicy,
            ("factsheet", "benchmarks") => Dataset::Benchmarks,
            ("outstanding", "portfolio") => Dataset::Portfolio,
            _ => return None,
        })
    }

    pub(crate) fn filters(self) -> &'static [Filters] {
        match self {
            Dataset::Amcs => &[],
            Dataset::Profiles => &[Filters::Profile, Filters::Class],
            Dataset::Nav => &[Filters::Project, Filters::Class, Filters::NavDates],
            Dataset::Dividends => &[Filters::Project],
            Dataset::Statistics
            | Dataset::Fees
            | Dataset::Performance
            | Dataset::Links
            | Dataset::Minimums
            | Dataset::DividendPolicy => &[Filters::Project, Filters::Class, Filters::Latest],
            Dataset::Risk | Dataset::Allocation | Dataset::Top | Dataset::Benchmarks => {
                &[Filters::Project, Filters::Latest]
            }
            Dataset::Portfolio => &[Filters::Project, Filters::Periods],
        }
    }
}
