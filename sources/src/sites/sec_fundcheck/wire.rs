//! What the API answers (SOURCES section 4): an array with one object for each code that the SEC knows.

use serde::Deserialize;

use crate::payload::json::Field;

/// One fund's statistics.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FundStatistics<'json> {
    #[serde(borrow)]
    pub abbr_name: Field<'json>,
    pub represent_date: Field<'json>,
    pub sharp_ratio: Field<'json>,
    pub alpha: Field<'json>,
    pub beta: Field<'json>,
    pub maximum_drawdown: Field<'json>,
    pub tracking_error: Field<'json>,
    pub turnover_ratio: Field<'json>,
    pub fx_hedging: Field<'json>,
    pub recovering_period: Field<'json>,
}

impl<'json> FundStatistics<'json> {
    /// The fields that carry a value.
    pub const fn values(&self) -> [Field<'json>; 9] {
        [
            self.represent_date,
            self.sharp_ratio,
            self.alpha,
            self.beta,
            self.maximum_drawdown,
            self.tracking_error,
            self.turnover_ratio,
            self.fx_hedging,
            self.recovering_period,
        ]
    }
}

/// A recovering period in its parts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RecoveringPeriod<'json> {
    #[serde(borrow)]
    pub year: Field<'json>,
    pub month: Field<'json>,
    pub day: Field<'json>,
}

/// The array inside an object, where the API wraps it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wrapped<'json> {
    #[serde(borrow)]
    pub data: Field<'json>,
}
