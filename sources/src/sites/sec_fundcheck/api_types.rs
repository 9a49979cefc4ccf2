//! The JSON of the API's answers (docs/sites.md, "SEC FundCheck"): an array with one object for each code that the SEC
//! knows.

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
    /// The fields with a value, by their keys.
    pub const fn values(&self) -> [(&'static str, Field<'json>); 9] {
        [
            ("representDate", self.represent_date),
            ("sharpRatio", self.sharp_ratio),
            ("alpha", self.alpha),
            ("beta", self.beta),
            ("maximumDrawdown", self.maximum_drawdown),
            ("trackingError", self.tracking_error),
            ("turnoverRatio", self.turnover_ratio),
            ("fxHedging", self.fx_hedging),
            ("recoveringPeriod", self.recovering_period),
        ]
    }

    /// The documented keys that are missing in the answer.
    pub fn missing_keys(&self) -> Vec<&'static str> {
        self.values()
            .into_iter()
            .filter(|(_, field)| !field.is_present())
            .map(|(key, _)| key)
            .collect()
    }
}

/// A recovering period as years, months and days.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RecoveringPeriod<'json> {
    #[serde(borrow)]
    pub year: Field<'json>,
    pub month: Field<'json>,
    pub day: Field<'json>,
}

/// The object around the array, if the API wraps it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wrapped<'json> {
    #[serde(borrow)]
    pub data: Field<'json>,
}
