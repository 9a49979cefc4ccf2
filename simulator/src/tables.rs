//! The seven tables and their columns, without `scraped_at`.

use std::collections::BTreeMap;

/// The cells of one row by column; a missing column is NULL.
pub(crate) type Cells = BTreeMap<&'static str, String>;

/// The name and the columns of each table.
pub const TABLES: [(&str, &[&str]); 7] = [
    (
        "funds_master_info",
        &[
            "fund_code",
            "full_name_th",
            "full_name_en",
            "amc",
            "category",
            "risk_level",
            "is_dividend",
            "inception_date",
            "currency",
            "country",
            "fund_status",
            "source_url",
        ],
    ),
    (
        DAILY,
        &[
            "fund_code",
            "nav_date",
            "nav_value",
            "bid",
            "offer",
            "aum",
            "source",
        ],
    ),
    (
        "funds_statistics",
        &[
            "fund_code",
            "as_of_date",
            "sharpe_ratio",
            "alpha",
            "beta",
            "max_drawdown",
            "recovering_period",
            "tracking_error",
            "turnover_ratio",
            "fx_hedging",
            "sec_url",
        ],
    ),
    (
        "funds_fee",
        &[
            "fund_code",
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
            "min_initial_buy",
            "min_next_buy",
            "source_url",
        ],
    ),
    (
        "funds_holding",
        &[
            "fund_code",
            "source",
            "holding_type",
            "row_no",
            "name",
            "type",
            "percent",
            "as_of_date",
            "source_url",
        ],
    ),
    (
        "funds_allocations",
        &[
            "fund_code",
            "source",
            "type",
            "row_no",
            "name",
            "percent",
            "as_of_date",
            "source_url",
        ],
    ),
    (
        "funds_codes",
        &["fund_code", "type", "code", "factsheet_url"],
    ),
];

/// The daily series, the only large table.
pub(crate) const DAILY: &str = "funds_daily";
