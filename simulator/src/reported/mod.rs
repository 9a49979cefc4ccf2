//! The cells that each source alone reports, in the tables' form.
//!
//! They come from the generator's values, never from served answers. No source is ranked here: a test that takes some
//! of the sources away computes the expected tables from the reports of the others.

mod register;
mod sites;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::hosts::Urls;
use crate::market::Market;

/// A source of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Finnomena's API.
    Finnomena,
    /// WealthMagik's pages.
    #[serde(rename = "wealthmagik")]
    WealthMagik,
    /// SEC FundCheck: the page and its API have the same values.
    SecFundCheck,
    /// The SEC's register.
    SecOpenApi,
    /// The factsheets on the document storage that a site links to.
    Factsheet,
    /// The factsheets on the document storage that only the register links to.
    RegisterFactsheet,
}

impl Source {
    /// All sources.
    pub const ALL: [Source; 6] = [
        Source::Finnomena,
        Source::WealthMagik,
        Source::SecFundCheck,
        Source::SecOpenApi,
        Source::Factsheet,
        Source::RegisterFactsheet,
    ];

    /// The source's name.
    pub fn name(self) -> &'static str {
        match self {
            Source::Finnomena => "finnomena",
            Source::WealthMagik => "wealthmagik",
            Source::SecFundCheck => "sec_fundcheck",
            Source::SecOpenApi => "sec_open_api",
            Source::Factsheet => "factsheet",
            Source::RegisterFactsheet => "register_factsheet",
        }
    }
}

/// The cells of one row by column. A missing column is NULL.
pub type ReportedRow = BTreeMap<&'static str, String>;

/// The report of one source: table, fund code, key of the row within the fund, column, text.
///
/// Tables and keys:
/// - The seven tables have the columns of `TABLES`. The key is empty for `funds_master_info`, `funds_statistics` and
///   `funds_fee`; the date for `funds_daily`; the type for `funds_codes`; type and row number, separated by a space,
///   for `funds_holding` (`top5 1`, `full 1`) and `funds_allocations` (`asset_alloc 1`).
/// - `funds_master_info` also has the register's `fund_tax_type`, `feeder_master_fund` and `management_style`.
/// - `funds_dividends`: the key is the XD date; the columns are `value` and `pay_date`.
/// - `funds_performance`: the key is the as-of date, a space and the register's `reference_period`; the columns are
///   `fund`, `benchmark`, `peer_average` and `volatility`.
/// - `register_classes`: the empty key; `proj_id`, `class_name` and `status` as the profiles have them. It belongs to
///   no table.
/// - `factsheet_links`: the empty key; `factsheet_url`, the link to the factsheet at the source. It belongs to no
///   table.
///
/// The codes are those of the source. A closed fund and a former code have the cells that they had on their last day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Reported {
    /// Table, fund code, key.
    pub tables: BTreeMap<&'static str, BTreeMap<String, BTreeMap<String, ReportedRow>>>,
}

impl Reported {
    /// The rows of one fund in one table, by key.
    pub fn rows(&self, table: &str, code: &str) -> Option<&BTreeMap<String, ReportedRow>> {
        self.tables.get(table)?.get(code)
    }

    /// One row.
    pub fn row(&self, table: &str, code: &str, key: &str) -> Option<&ReportedRow> {
        self.rows(table, code)?.get(key)
    }

    /// One cell; `None` if the source does not report it.
    pub fn cell(&self, table: &str, code: &str, key: &str, column: &str) -> Option<&str> {
        self.row(table, code, key)?.get(column).map(String::as_str)
    }

    /// The codes of a table, sorted.
    pub fn codes(&self, table: &str) -> Vec<&str> {
        let codes = self.tables.get(table).into_iter().flat_map(BTreeMap::keys);
        codes.map(String::as_str).collect()
    }

    /// Adds a row; a row without cells is none.
    fn add(&mut self, table: &'static str, code: &str, key: impl Into<String>, row: ReportedRow) {
        if row.is_empty() {
            return;
        }
        self.tables
            .entry(table)
            .or_default()
            .entry(code.to_owned())
            .or_default()
            .insert(key.into(), row);
    }

    pub(crate) fn by(source: Source, market: &Market, urls: &Urls) -> Self {
        match source {
            Source::Finnomena => sites::finnomena(market, urls),
            Source::WealthMagik => sites::wealthmagik(market, urls),
            Source::SecFundCheck => sites::fundcheck(market, urls),
            Source::Factsheet => sites::factsheets(market, urls),
            Source::RegisterFactsheet => sites::register_factsheets(market, urls),
            Source::SecOpenApi => register::report(market, urls),
        }
    }
}
