//! Finnomena's performance answer: figures that belong to no table, in the captured answer's key order.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::generator::spelling::{random_number, rfc3339};
use crate::json::Json;
use crate::market::{Fund, Market};

/// Builds the answer; spelling and nulls follow the captured answer.
pub(crate) fn performance(market: &Market, fund: &Fund) -> Json {
    let mut random = ChaCha8Rng::seed_from_u64(fund.nav.seed ^ 1);
    let mut members = vec![
        ("fund_id", Json::text(&fund.fund_id)),
        ("short_code", Json::text(&fund.code_spelt)),
        ("day_end_date", Json::text(rfc3339(market.today))),
    ];
    for key in PERFORMANCE_KEYS {
        let missing = key.ends_with("_10y")
            || key.ends_with("_15y")
            || key.ends_with("_20y")
            || key.starts_with("std") && (key.ends_with("_3m") || key.ends_with("_6m"));
        let value = if missing {
            Json::Null
        } else if key.contains("_p_") {
            Json::raw(random.random_range(1..=20) * 5)
        } else {
            Json::raw(random_number(&mut random, -3_000_000, 9_000_000, 5))
        };
        members.push((key, value));
    }
    let this_year = market.today.year();
    let years = (this_year - 10..this_year).map(|year| {
        let value = if year < this_year - 5 {
            Json::Null
        } else {
            Json::raw(random_number(&mut random, -3_000_000, 9_000_000, 5))
        };
        Json::Object(vec![("year", Json::raw(year)), ("value", value)])
    });
    let years = Json::List(years.collect());
    members.extend([
        (
            "net_assets",
            Json::raw(random_number(&mut random, 1_000_000, 900_000_000_000, 2)),
        ),
        ("data_date", Json::text(rfc3339(market.today))),
        ("returns_year", years),
    ]);
    Json::Object(members)
}

#[rustfmt::skip] // A table of names, one kind a line.
const PERFORMANCE_KEYS: [&str; 75] = [
    "total_return_1w", "total_return_1m", "total_return_3m", "total_return_6m", "total_return_1y", "total_return_3y", "total_return_5y", "total_return_10y",
    "std_3m", "std_6m", "std_1y", "std_3y", "std_5y", "std_10y",
    "total_return_p_3m", "total_return_p_6m", "total_return_p_1y", "total_return_p_3y", "total_return_p_5y", "total_return_p_10y",
    "std_p_3m", "std_p_6m", "std_p_1y", "std_p_3y", "std_p_5y", "std_p_10y",
    "sharpe_ratio_p_1y", "sharpe_ratio_p_3y", "sharpe_ratio_p_5y", "sharpe_ratio_p_10y",
    "max_drawdown_p_1y", "max_drawdown_p_3y", "max_drawdown_p_5y", "max_drawdown_p_10y",
    "total_return_avg_3m", "total_return_avg_6m", "total_return_avg_1y", "total_return_avg_3y", "total_return_avg_5y", "total_return_avg_10y",
    "std_avg_3m", "std_avg_6m", "std_avg_1y", "std_avg_3y", "std_avg_5y", "std_avg_10y",
    "sharpe_ratio_avg_1y", "sharpe_ratio_avg_3y", "sharpe_ratio_avg_5y", "sharpe_ratio_avg_10y",
    "max_drawdown_avg_1y", "max_drawdown_avg_3y", "max_drawdown_avg_5y", "max_drawdown_avg_10y",
    "unit_change_1d", "unit_change_1w", "unit_change_1m", "unit_change_3m", "unit_change_6m", "unit_change_1y", "unit_change_3y", "unit_change_5y", "unit_change_10y",
    "sharpe_ratio_1y", "sharpe_ratio_3y", "sharpe_ratio_5y", "sharpe_ratio_10y", "sharpe_ratio_15y", "sharpe_ratio_20y",
    "max_drawdown_1y", "max_drawdown_3y", "max_drawdown_5y", "max_drawdown_10y", "max_drawdown_15y", "max_drawdown_20y",
];
