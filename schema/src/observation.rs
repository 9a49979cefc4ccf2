//! Observations: what one source reported about one fund, normalised and not merged, with every field optional.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::columns::{
    DividendFields, FactsheetLink, FeeFields, ListingFields, MasterFields, PerformanceFields,
    StatisticsFields,
};
use crate::{FundCode, Number, SourceName};

/// The statement of one source about one fund in one dataset, with its as-of date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The share class.
    pub fund_code: FundCode,
    /// The source that reported it.
    pub source: SourceName,
    /// The date that the source itself gives for the statement; `None` if it gives none.
    pub as_of_date: Option<Date>,
    /// The URL of the page that contains the statement: the `source_url` of the tables.
    pub url: String,
    /// The content of the statement.
    pub data: ObservationData,
}

/// A statement under a key of the source's own, on a page that does not name the fund code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedObservation {
    /// The key, as in the source's list ([`ObservationData::Listing`]); or the beginning of several keys up to a `/`,
    /// for a statement about all classes of a project.
    pub source_key: String,
    /// The code of the fund if the source's list does not have the key.
    pub fund_code: Option<FundCode>,
    /// See [`Observation::as_of_date`].
    pub as_of_date: Option<Date>,
    /// See [`Observation::url`].
    pub url: String,
    /// See [`Observation::data`].
    pub data: ObservationData,
}

/// The content of a statement, one variant per kind of page content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObservationData {
    /// The source's list contains the fund, under a key of the source's own (Finnomena `fund_id`, WealthMagik page
    /// path).
    Listing {
        /// The source's own key of the fund.
        source_key: String,
        /// What the list reports about the fund.
        fields: ListingFields,
    },
    /// Names, category, risk and so on.
    Master(MasterFields),
    /// The risk level, where it is on a page of its own: a column of `funds_master_info`.
    Risk(MasterFields),
    /// The dividend policy, where it is on a page of its own: a column of `funds_master_info`.
    DividendPolicy(MasterFields),
    /// Fee rates.
    Fees(FeeFields),
    /// Minimum purchases: columns of `funds_fee` that are not on the fee page.
    Minimums(FeeFields),
    /// Risk statistics.
    Statistics(StatisticsFields),
    /// The URL of the factsheet.
    FactsheetLink(FactsheetLink),
    /// ISIN and Bloomberg codes read from the factsheet at the observation's URL.
    Codes(Vec<SecurityCode>),
    /// Codes on the source's profile of the fund.
    ProfileCodes(Vec<SecurityCode>),
    /// A whole portfolio in page order.
    Portfolio(Portfolio),
    /// NAV, AUM, bid and offer by date. Each date occurs once, because the parser has removed duplicates.
    Daily(Vec<DailyPoint>),
    /// The newest NAV, from a page about many funds.
    NavDigest(NavDigest),
    /// Dividends, all or some of those that the source knows.
    Dividends(Vec<Dividend>),
    /// Returns and volatility by period, all or some of those that the source knows.
    Performance(Vec<PerformanceRow>),
}

/// One dividend of a fund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dividend {
    /// The day from which a buyer of units does not receive the dividend.
    pub xd_date: Date,
    /// What the source reports about it.
    pub fields: DividendFields,
    /// The day on which the source last changed its record; `None` if it gives none. It tells a correction from a
    /// second dividend of the same XD date: see [`crate::dividends`].
    #[serde(default)]
    pub changed_on: Option<Date>,
}

/// Returns and volatility of a fund over one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerformanceRow {
    /// The last day of the period.
    pub as_of_date: Date,
    /// The period as the source names it, such as `1 year`.
    pub period: String,
    /// The values.
    pub fields: PerformanceFields,
}

/// The newest NAV of a fund, without AUM, from a page about many funds. The planner uses it to decide whether to
/// request the fund's own page. It is not stored in any of the fund tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NavDigest {
    /// The source's own key of the fund. An entry with the same code and another key is about another fund.
    pub source_key: String,
    /// The date of the NAV.
    pub nav_date: Date,
    /// Net asset value per unit, in the fund's currency; not 0.
    pub nav: Number,
}

/// A code printed on a factsheet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecurityCode {
    /// `ISIN` or `Bloomberg`: the `type` of `funds_codes`.
    pub code_type: CodeType,
    /// The code, checked where it has a check digit.
    pub code: String,
}

/// The words in the column `type` of `funds_codes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CodeType {
    /// International Securities Identification Number, ISO 6166.
    #[serde(rename = "ISIN")]
    Isin,
    /// Bloomberg ticker with its market suffix, such as `KFGTECH TB`.
    Bloomberg,
}

impl CodeType {
    /// The word that is stored in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Isin => "ISIN",
            Self::Bloomberg => "Bloomberg",
        }
    }
}

/// The kind of a portfolio: holdings or one allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortfolioKind {
    /// `funds_holding`, `holding_type` `top5`.
    TopHoldings,
    /// `funds_holding`, `holding_type` `full`.
    FullHoldings,
    /// `funds_allocations`, `type` `asset_alloc`.
    AssetAllocation,
    /// `funds_allocations`, `type` `sector_alloc`.
    SectorAllocation,
    /// `funds_allocations`, `type` `country_alloc`.
    CountryAllocation,
}

impl PortfolioKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::TopHoldings,
        Self::FullHoldings,
        Self::AssetAllocation,
        Self::SectorAllocation,
        Self::CountryAllocation,
    ];

    /// The dataset of a portfolio of this kind.
    #[must_use]
    pub const fn dataset(self) -> Dataset {
        match self {
            Self::TopHoldings => Dataset::TopHoldings,
            Self::FullHoldings => Dataset::FullHoldings,
            Self::AssetAllocation => Dataset::AssetAllocation,
            Self::SectorAllocation => Dataset::SectorAllocation,
            Self::CountryAllocation => Dataset::CountryAllocation,
        }
    }
}

/// A whole portfolio as one page showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portfolio {
    /// The kind of the portfolio.
    pub kind: PortfolioKind,
    /// The rows that could be parsed, in page order. Equal rows are all kept.
    pub rows: Vec<PortfolioRow>,
    /// The number of rows on the page that could not be parsed: those without a name, and those with an unreadable
    /// percent. A row with an unreadable percent is also in `rows`, with `None`. A word for a missing value is parsed
    /// as `None` and is not counted here.
    pub unreadable: usize,
}

/// One row of a portfolio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortfolioRow {
    /// The name as the page shows it, in full.
    pub name: String,
    /// Percent of the portfolio, 12.34 meaning 12.34 %; may be negative.
    pub percent: Option<Number>,
}

/// What a source reports about one day of one fund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DailyPoint {
    /// The NAV date.
    pub nav_date: Date,
    /// Net asset value per unit, in the fund's currency.
    pub nav: Option<Number>,
    /// Assets under management, in the fund's currency.
    pub aum: Option<Number>,
    /// The price per unit at which a holder sells to the fund.
    pub bid: Option<Number>,
    /// The price per unit at which a buyer buys from the fund.
    pub offer: Option<Number>,
}

/// The dataset of an observation. A newer statement of a source is folded over its older one of the same dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// The entry of the fund in the source's list.
    Listing,
    /// Descriptive columns.
    Master,
    /// The risk level, where it is on a page of its own.
    Risk,
    /// The dividend policy, where it is on a page of its own.
    DividendPolicy,
    /// Fee rates.
    Fees,
    /// Minimum purchases.
    Minimums,
    /// Risk statistics.
    Statistics,
    /// The URL of the factsheet.
    FactsheetLink,
    /// ISIN and Bloomberg codes of a factsheet.
    Codes,
    /// Codes on the source's profile of the fund. They are apart from those of its factsheet, because a statement
    /// replaces the codes of the earlier one.
    ProfileCodes,
    /// Top holdings.
    TopHoldings,
    /// Full holdings.
    FullHoldings,
    /// Allocation by asset class.
    AssetAllocation,
    /// Allocation by sector.
    SectorAllocation,
    /// Allocation by country.
    CountryAllocation,
    /// The daily series. It is not stored as an observation: see `funds_daily.*_said_by` and `runner.daily_dissent`.
    Daily,
    /// The newest NAV on a page about many funds. It is not stored as an observation: see `runner.news`.
    NavDigest,
    /// Dividends by XD date.
    Dividends,
    /// Returns and volatility by as-of date and period.
    Performance,
}

impl Dataset {
    /// Every dataset.
    pub const ALL: [Self; 19] = [
        Self::Listing,
        Self::Master,
        Self::Risk,
        Self::DividendPolicy,
        Self::Fees,
        Self::Minimums,
        Self::Statistics,
        Self::FactsheetLink,
        Self::Codes,
        Self::ProfileCodes,
        Self::TopHoldings,
        Self::FullHoldings,
        Self::AssetAllocation,
        Self::SectorAllocation,
        Self::CountryAllocation,
        Self::Daily,
        Self::NavDigest,
        Self::Dividends,
        Self::Performance,
    ];

    /// The name of the dataset in `runner.observation` and in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Master => "master",
            Self::Risk => "risk",
            Self::DividendPolicy => "dividend_policy",
            Self::Fees => "fees",
            Self::Minimums => "minimums",
            Self::Statistics => "statistics",
            Self::FactsheetLink => "factsheet_link",
            Self::Codes => "codes",
            Self::ProfileCodes => "profile_codes",
            Self::TopHoldings => "top_holdings",
            Self::FullHoldings => "full_holdings",
            Self::AssetAllocation => "asset_allocation",
            Self::SectorAllocation => "sector_allocation",
            Self::CountryAllocation => "country_allocation",
            Self::Daily => "daily",
            Self::NavDigest => "news",
            Self::Dividends => "dividends",
            Self::Performance => "performance",
        }
    }

    /// The dataset with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|dataset| dataset.as_str() == name)
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ObservationData {
    /// The dataset this statement belongs to.
    #[must_use]
    pub const fn dataset(&self) -> Dataset {
        match self {
            Self::Listing { .. } => Dataset::Listing,
            Self::Master(_) => Dataset::Master,
            Self::Risk(_) => Dataset::Risk,
            Self::DividendPolicy(_) => Dataset::DividendPolicy,
            Self::Fees(_) => Dataset::Fees,
            Self::Minimums(_) => Dataset::Minimums,
            Self::Statistics(_) => Dataset::Statistics,
            Self::FactsheetLink(_) => Dataset::FactsheetLink,
            Self::Codes(_) => Dataset::Codes,
            Self::ProfileCodes(_) => Dataset::ProfileCodes,
            Self::Portfolio(portfolio) => portfolio.kind.dataset(),
            Self::Daily(_) => Dataset::Daily,
            Self::NavDigest(_) => Dataset::NavDigest,
            Self::Dividends(_) => Dataset::Dividends,
            Self::Performance(_) => Dataset::Performance,
        }
    }

    /// The largest number of rows of the fund tables that this statement can produce. The size of a batch is the sum
    /// of these numbers.
    #[must_use]
    pub const fn rows(&self) -> usize {
        match self {
            Self::Daily(points) => points.len(),
            Self::Portfolio(portfolio) => portfolio.rows.len(),
            Self::Codes(codes) | Self::ProfileCodes(codes) => codes.len(),
            Self::Dividends(dividends) => dividends.len(),
            Self::Performance(rows) => rows.len(),
            _ => 1,
        }
    }
}
