//! The columns that each source supplies. A rank for a column may name only these sources.

use super::{
    CODES_TABLE, DAILY_TABLE, DIVIDENDS, FEE, MASTER, PERFORMANCE, STATISTICS, StatementKey,
};
use crate::{Dataset, SourceName};
use Dataset::{
    Codes, Daily, DividendPolicy, Dividends, Fees, Listing, Master, Minimums, Performance,
    ProfileCodes, Risk, Statistics,
};
use SourceName::{Finnomena, SecFundcheck, SecOpenApi, Wealthmagik};

/// The rates of `funds_fee`.
const RATES: &[&str] = &[
    "front_end_max",
    "front_end_actual",
    "back_end_max",
    "back_end_actual",
    "management_max",
    "management_actual",
    "ter_max",
    "ter_actual",
    "switching_in_max",
    "switching_in_actual",
    "switching_out_max",
    "switching_out_actual",
];

/// The minimum purchases of `funds_fee`.
const MINIMUMS: &[&str] = &["min_initial_buy", "min_next_buy"];

const STATISTICS_COLUMNS: &[&str] = &[
    "sharpe_ratio",
    "alpha",
    "beta",
    "max_drawdown",
    "recovering_period",
    "tracking_error",
    "turnover_ratio",
    "fx_hedging",
];

/// The columns that the statements of a source in a dataset can fill: table, statements, columns. Adopted statements
/// are not listed; they can fill every column.
const SUPPLY: &[(&str, StatementKey, &[&str])] = &[
    (
        MASTER.table,
        (Finnomena, Master),
        &[
            "full_name_th",
            "full_name_en",
            "amc",
            "category",
            "risk_level",
            "is_dividend",
            "inception_date",
        ],
    ),
    (MASTER.table, (Finnomena, Listing), &["full_name_th"]),
    (
        MASTER.table,
        (Wealthmagik, Master),
        &[
            "full_name_th",
            "category",
            "risk_level",
            "is_dividend",
            "inception_date",
        ],
    ),
    (
        MASTER.table,
        (SecOpenApi, Master),
        &[
            "full_name_th",
            "full_name_en",
            "amc",
            "inception_date",
            "fund_tax_type",
            "feeder_master_fund",
            "management_style",
        ],
    ),
    (MASTER.table, (SecOpenApi, Risk), &["risk_level"]),
    (MASTER.table, (SecOpenApi, DividendPolicy), &["is_dividend"]),
    (FEE.table, (Finnomena, Fees), RATES),
    (FEE.table, (Finnomena, Minimums), MINIMUMS),
    (FEE.table, (Wealthmagik, Fees), RATES),
    (FEE.table, (Wealthmagik, Fees), MINIMUMS),
    (FEE.table, (SecOpenApi, Fees), RATES),
    (FEE.table, (SecOpenApi, Minimums), MINIMUMS),
    (
        STATISTICS.table,
        (SecFundcheck, Statistics),
        STATISTICS_COLUMNS,
    ),
    (
        STATISTICS.table,
        (SecOpenApi, Statistics),
        STATISTICS_COLUMNS,
    ),
    (DAILY_TABLE, (Finnomena, Daily), &["nav_value", "aum"]),
    (
        DAILY_TABLE,
        (Wealthmagik, Daily),
        &["nav_value", "bid", "offer", "aum"],
    ),
    (
        DAILY_TABLE,
        (SecOpenApi, Daily),
        &["nav_value", "bid", "offer", "aum"],
    ),
    (CODES_TABLE, (Finnomena, Codes), &["type", "code"]),
    (CODES_TABLE, (Wealthmagik, Codes), &["type", "code"]),
    (CODES_TABLE, (SecOpenApi, Codes), &["type", "code"]),
    (CODES_TABLE, (SecOpenApi, ProfileCodes), &["type", "code"]),
    (
        DIVIDENDS.table,
        (SecOpenApi, Dividends),
        &["pay_date", "value"],
    ),
    (
        DIVIDENDS.table,
        (Finnomena, Dividends),
        &["pay_date", "value"],
    ),
    (
        PERFORMANCE.table,
        (SecOpenApi, Performance),
        &["fund", "benchmark", "peer_average", "volatility"],
    ),
];

/// Whether a source supplies a column of a table; without a column, any column of it. Adopted rows have all columns.
#[must_use]
pub fn supplies(source: SourceName, table: &str, column: Option<&str>) -> bool {
    source == SourceName::Adopted
        || SUPPLY.iter().any(|(supplied, statements, columns)| {
            *supplied == table
                && statements.0 == source
                && column.is_none_or(|column| columns.contains(&column))
        })
}

/// Whether the statements of a source in a dataset may contain a value of this column.
#[must_use]
pub fn may_state(statement_key: StatementKey, column: &str) -> bool {
    SUPPLY
        .iter()
        .any(|(_, statements, columns)| *statements == statement_key && columns.contains(&column))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{APPEND_TABLES, CODES, ROW_TABLES};
    use super::*;
    use crate::merge_daily::DayField;

    /// The columns of a table that a rank can decide.
    fn columns(table: &str) -> BTreeSet<&'static str> {
        let of_rows = ROW_TABLES.iter().map(|known| (known.table, known.columns));
        let appended = APPEND_TABLES
            .iter()
            .map(|known| (known.table, known.columns));
        let found = of_rows.chain(appended).find(|(known, _)| *known == table);
        match found {
            Some((_, columns)) => columns.iter().map(|column| column.name).collect(),
            None if table == DAILY_TABLE => DayField::ALL.map(DayField::column).into(),
            None => BTreeSet::from(["type", "code"]),
        }
    }

    #[test]
    fn each_declared_supply_has_a_rank_and_a_column() {
        for (table, statements, supplied) in SUPPLY {
            let is_ranked = match ROW_TABLES.iter().find(|known| known.table == *table) {
                Some(known) => known.is_supplied_by(*statements),
                None => match APPEND_TABLES.iter().find(|known| known.table == *table) {
                    Some(known) => known.rank.contains(&statements.0),
                    None => *table == DAILY_TABLE || CODES.contains(statements),
                },
            };
            assert!(is_ranked, "{table}: {statements:?}");
            let known = columns(table);
            for column in *supplied {
                assert!(known.contains(column), "{table}.{column}");
            }
        }
    }
}
