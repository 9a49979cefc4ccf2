//! Precedence: the rank of the sources for each field of the fund tables. No other file declares a rank (D4). These are
//! the defaults; [`Precedence`] has the ranks in force, which the operator can change.

mod entries;
mod in_force;
pub mod supply;

use std::borrow::Cow;

use crate::columns::{
    Column, DividendFields, FeeFields, Kind, MasterFields, PerformanceFields, Record,
    StatisticsFields,
};
use crate::observation::PortfolioKind;
use crate::{Dataset, SourceName};
use Dataset::{DividendPolicy, Fees, Listing, Master, Minimums, Risk, Statistics};
use SourceName::{Adopted, Finnomena, SecFundcheck, SecOpenApi, Wealthmagik};

pub use entries::PrecedenceProblem;
pub use in_force::{ColumnRank, Precedence, RankInForce};

/// One kind of statement: the statements of one source in one dataset.
pub type StatementKey = (SourceName, Dataset);

/// A column with its ranked statements.
pub type ColumnStatements = (&'static str, Cow<'static, [StatementKey]>);

/// A table with one row per fund, whose columns are merged field by field from several statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowTable {
    /// The name of the table in the schema `public`.
    pub table: &'static str,
    /// The columns whose values are merged.
    pub columns: &'static [Column],
    /// The ranked statements for values: the first one with a value supplies it. A statement that is not listed never
    /// supplies a value.
    pub value_rank: Cow<'static, [StatementKey]>,
    /// The columns with a rank of their own, which replaces [`Self::value_rank`] for that column.
    pub column_ranks: Cow<'static, [ColumnStatements]>,
    /// The ranked statements for [`Self::url_column`]: the first one that reported anything for the table supplies the
    /// URL.
    pub url_rank: Cow<'static, [StatementKey]>,
    /// The column for the URL of the page.
    pub url_column: &'static str,
    /// Whether the row has the as-of date of the statement.
    pub dated: bool,
    /// Whether every fund of the universe has a row, even if no statement has a value for it.
    pub always: bool,
}

impl RowTable {
    /// The rank for the values of a column.
    #[must_use]
    pub fn rank(&self, column: &str) -> &[StatementKey] {
        self.column_ranks
            .iter()
            .find(|(name, _)| *name == column)
            .map_or(&*self.value_rank, |(_, rank)| rank)
    }

    /// All kinds of statements that can supply a value of the table. A kind may appear more than once.
    pub fn suppliers(&self) -> impl Iterator<Item = StatementKey> {
        let of_columns = self.column_ranks.iter().flat_map(|(_, rank)| &**rank);
        self.value_rank.iter().chain(of_columns).copied()
    }

    /// Whether a kind of statement can supply a value of the table.
    #[must_use]
    pub fn is_supplied_by(&self, statement_key: StatementKey) -> bool {
        self.suppliers().any(|supplier| supplier == statement_key)
    }
}

/// `funds_master_info`: the fund's own page at Finnomena, then its list (only the name), then WealthMagik, then the
/// register.
pub const MASTER: RowTable = RowTable {
    table: "funds_master_info",
    columns: MasterFields::COLUMNS,
    value_rank: Cow::Borrowed(&[
        (Finnomena, Master),
        (Finnomena, Listing),
        (Wealthmagik, Master),
        (SecOpenApi, Master),
        (SecOpenApi, Risk),
        (SecOpenApi, DividendPolicy),
        (Adopted, Master),
    ]),
    column_ranks: Cow::Borrowed(&[]),
    url_rank: Cow::Borrowed(&[
        (Finnomena, Master),
        (Finnomena, Listing),
        (Wealthmagik, Master),
        (SecOpenApi, Master),
        (SecOpenApi, Risk),
        (SecOpenApi, DividendPolicy),
        (Adopted, Master),
    ]),
    url_column: "source_url",
    dated: false,
    always: true,
};

/// `funds_fee`: the URL is that of a fee page, or that of a page of minimum purchases if no fee page reported anything.
pub const FEE: RowTable = RowTable {
    table: "funds_fee",
    columns: FeeFields::COLUMNS,
    value_rank: Cow::Borrowed(&[
        (Finnomena, Fees),
        (Finnomena, Minimums),
        (Wealthmagik, Fees),
        (Wealthmagik, Minimums),
        (SecOpenApi, Fees),
        (SecOpenApi, Minimums),
        (Adopted, Fees),
    ]),
    column_ranks: Cow::Borrowed(&[]),
    url_rank: Cow::Borrowed(&[
        (Finnomena, Fees),
        (Wealthmagik, Fees),
        (Finnomena, Minimums),
        (Wealthmagik, Minimums),
        (SecOpenApi, Fees),
        (SecOpenApi, Minimums),
        (Adopted, Fees),
    ]),
    url_column: "source_url",
    dated: false,
    always: false,
};

/// `funds_statistics`: only the SEC supplies values: FundCheck, then the register. The sites define the same terms
/// differently, so their values are never used.
pub const STATISTICS: RowTable = RowTable {
    table: "funds_statistics",
    columns: StatisticsFields::COLUMNS,
    value_rank: Cow::Borrowed(&[
        (SecFundcheck, Statistics),
        (SecOpenApi, Statistics),
        (Adopted, Statistics),
    ]),
    column_ranks: Cow::Borrowed(&[]),
    url_rank: Cow::Borrowed(&[
        (SecFundcheck, Statistics),
        (SecOpenApi, Statistics),
        (Adopted, Statistics),
    ]),
    url_column: "sec_url",
    dated: true,
    always: false,
};

/// The tables that are merged field by field. The master table is first, because the others refer to it.
pub const ROW_TABLES: [&RowTable; 3] = [&MASTER, &FEE, &STATISTICS];

/// A table with several rows per fund, whose rows are only added and changed, never removed (D3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendTable {
    /// The name of the table in the schema `public`.
    pub table: &'static str,
    /// The statements that supply it.
    pub dataset: Dataset,
    /// The column for the date in the key of a row.
    pub date_column: &'static str,
    /// The column for the word in the key of a row; `None` if the date is the whole key.
    pub word_column: Option<&'static str>,
    /// The columns whose values are merged.
    pub columns: &'static [Column],
    /// The rank of the sources: the first one that reports a row supplies its values, and the next ones the values that
    /// it lacks.
    pub rank: Cow<'static, [SourceName]>,
}

/// `funds_dividends`: one row for each dividend, so that their sum counts each one once.
pub const DIVIDENDS: AppendTable = AppendTable {
    table: "funds_dividends",
    dataset: Dataset::Dividends,
    date_column: "xd_date",
    word_column: None,
    columns: DividendFields::COLUMNS,
    rank: Cow::Borrowed(&[SecOpenApi, Finnomena, Adopted]),
};

/// `funds_performance`.
pub const PERFORMANCE: AppendTable = AppendTable {
    table: "funds_performance",
    dataset: Dataset::Performance,
    date_column: "as_of_date",
    word_column: Some("period"),
    columns: PerformanceFields::COLUMNS,
    rank: Cow::Borrowed(&[SecOpenApi, Adopted]),
};

/// The tables whose rows are only added and changed.
pub const APPEND_TABLES: [&AppendTable; 2] = [&DIVIDENDS, &PERFORMANCE];

/// The table of the codes.
pub const CODES_TABLE: &str = "funds_codes";

/// The table of the daily values.
pub const DAILY_TABLE: &str = "funds_daily";

/// `funds_codes`: the rank of the statements, applied to each code type. The factsheet at the register's link is read
/// where no other source has a link.
pub const CODES: &[StatementKey] = &[
    (SecOpenApi, Dataset::ProfileCodes),
    (Finnomena, Dataset::Codes),
    (Wealthmagik, Dataset::Codes),
    (SecOpenApi, Dataset::Codes),
    (SecFundcheck, Dataset::Codes),
    (Adopted, Dataset::Codes),
];

/// The rank of every source for a column of `funds_daily`.
pub type DayRank = [SourceName; SourceName::ALL.len()];

/// The rank for NAV and AUM of a day.
pub const NAV_AND_AUM: DayRank = [SecOpenApi, Finnomena, Wealthmagik, SecFundcheck, Adopted];

/// The rank for bid and offer of a day.
pub const PRICES: DayRank = [Wealthmagik, SecOpenApi, Finnomena, SecFundcheck, Adopted];

/// `funds_daily`: the rank for each column. It is copied into the threads that merge days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayRanks {
    /// The rank for `nav_value`.
    pub nav: DayRank,
    /// The rank for `bid`.
    pub bid: DayRank,
    /// The rank for `offer`.
    pub offer: DayRank,
    /// The rank for `aum`.
    pub aum: DayRank,
}

/// The default ranks of `funds_daily`.
pub const DAYS: DayRanks = DayRanks {
    nav: NAV_AND_AUM,
    bid: PRICES,
    offer: PRICES,
    aum: NAV_AND_AUM,
};

/// The source whose list decides which funds exist and which of them are active (D8).
pub const UNIVERSE: SourceName = Finnomena;

/// The sources whose lists serve as the universe until the list of [`UNIVERSE`] has been read for the first time (D8).
pub const PROVISIONAL_UNIVERSE: &[SourceName] = &[Wealthmagik];

/// The official register. Its status of a share class decides whether the fund is active, and its lists of all classes
/// of a day replace the daily pages of single funds (D8).
pub const REGISTER: SourceName = SecOpenApi;

/// The source whose pages about many funds report which funds have a new NAV. These pages are compared with the same
/// source's pages of single funds (D11).
pub const NAV_DIGESTS: SourceName = Finnomena;

/// The number of closed monthly cycles after which a field that its source no longer reports ranks below any source
/// that still reports it (D4).
pub const STALE_AFTER_MONTHLY_CYCLES: usize = 3;

/// The table of a portfolio, and the part of the key that identifies its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortfolioPlace {
    /// `funds_holding` or `funds_allocations`.
    pub table: &'static str,
    /// The key column for the kind: `holding_type` or `type`.
    pub type_column: &'static str,
    /// The value in that column.
    pub type_word: &'static str,
}

/// Returns the table and the key column with its value for a portfolio of this kind.
#[must_use]
pub const fn portfolio_place(kind: PortfolioKind) -> PortfolioPlace {
    match kind {
        PortfolioKind::TopHoldings => holding("top5"),
        PortfolioKind::FullHoldings => holding("full"),
        PortfolioKind::AssetAllocation => allocation("asset_alloc"),
        PortfolioKind::SectorAllocation => allocation("sector_alloc"),
        PortfolioKind::CountryAllocation => allocation("country_alloc"),
    }
}

const fn holding(type_word: &'static str) -> PortfolioPlace {
    PortfolioPlace {
        table: "funds_holding",
        type_column: "holding_type",
        type_word,
    }
}

const fn allocation(type_word: &'static str) -> PortfolioPlace {
    PortfolioPlace {
        table: "funds_allocations",
        type_column: "type",
        type_word,
    }
}

/// The table whose record counts include a statement (O4); `None` if the statement supplies no table by itself.
#[must_use]
pub fn table_of(source: SourceName, dataset: Dataset) -> Option<&'static str> {
    match dataset {
        Listing => (source == UNIVERSE).then_some(MASTER.table),
        Master | Risk | DividendPolicy => Some(MASTER.table),
        Fees | Minimums => Some(FEE.table),
        Statistics => Some(STATISTICS.table),
        Dataset::FactsheetLink | Dataset::NavDigest => None,
        Dataset::Codes | Dataset::ProfileCodes => Some(CODES_TABLE),
        Dataset::TopHoldings | Dataset::FullHoldings => Some("funds_holding"),
        Dataset::AssetAllocation | Dataset::SectorAllocation | Dataset::CountryAllocation => {
            Some("funds_allocations")
        }
        Dataset::Daily => Some(DAILY_TABLE),
        Dataset::Dividends => Some(DIVIDENDS.table),
        Dataset::Performance => Some(PERFORMANCE.table),
    }
}

/// Returns the type of a field of an observation or of one of its rows; `None` for a name that no record declares.
#[must_use]
pub fn kind_of_field(dataset: Dataset, name: &str) -> Option<Kind> {
    use crate::columns::{FactsheetLink, ListingFields};
    let columns = match dataset {
        Listing if name == crate::fold::SOURCE_KEY => return Some(Kind::Text),
        Listing => ListingFields::COLUMNS,
        Master | Risk | DividendPolicy => MasterFields::COLUMNS,
        Fees | Minimums => FeeFields::COLUMNS,
        Statistics => StatisticsFields::COLUMNS,
        Dataset::FactsheetLink => FactsheetLink::COLUMNS,
        Dataset::Dividends => DividendFields::COLUMNS,
        Dataset::Performance => PerformanceFields::COLUMNS,
        _ => return None,
    };
    columns
        .iter()
        .find(|column| column.name == name)
        .map(|column| column.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adopted_rows_rank_lowest_everywhere() {
        for table in ROW_TABLES {
            assert_eq!(
                table.value_rank.last().map(|statement_key| statement_key.0),
                Some(Adopted)
            );
            assert_eq!(
                table.url_rank.last().map(|statement_key| statement_key.0),
                Some(Adopted)
            );
            assert!(
                table
                    .suppliers()
                    .all(|statement_key| table.url_rank.contains(&statement_key))
            );
            for (column, rank) in table.column_ranks.iter() {
                assert!(table.columns.iter().any(|known| known.name == *column));
                assert_eq!(rank.last().map(|(source, _)| *source), Some(Adopted));
            }
        }
        let appended = APPEND_TABLES.map(|table| &*table.rank);
        for rank in [&NAV_AND_AUM[..], &PRICES].into_iter().chain(appended) {
            assert_eq!(rank.last(), Some(&Adopted));
        }
        assert_eq!(CODES.last().map(|(source, _)| *source), Some(Adopted));
    }

    #[test]
    fn statistics_of_the_sites_never_fill_a_hole() {
        assert!(
            !STATISTICS
                .value_rank
                .iter()
                .any(|(source, _)| *source == Wealthmagik)
        );
    }
}
