//! The JSON of Finnomena's answers (docs/sites.md, "Finnomena"). Every field keeps its original text; unknown fields
//! are ignored.

use serde::Deserialize;

use crate::payload::json::{self, Field};
use crate::site::{Breach, Reading};

/// The envelope of every answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Envelope<'json> {
    #[serde(borrow)]
    pub status: Field<'json>,
    pub message: Field<'json>,
    pub data: Field<'json>,
}

/// The `data` of an answer.
///
/// # Errors
/// The reading of an answer without data: [`Reading::Absent`] for `"data":null`, otherwise broken.
pub fn data(document: &str) -> Result<Field<'_>, Box<Reading>> {
    let broken = |breach: Breach| Box::new(Reading::Broken(breach));
    let root = json::root(document).map_err(broken)?;
    if root.raw().starts_with('[') {
        // A bare array without the envelope is accepted as the data.
        return Ok(root);
    }
    let expected = r#"{"status":true,…,"data":…}"#;
    let envelope: Envelope<'_> = root.required("body", expected).map_err(broken)?;
    if envelope.status.flag() == Ok(Some(false)) {
        let found = format!(r#""status":false, "message":{}"#, envelope.message.raw());
        return Err(broken(crate::payload::breach("status", "true", &found)));
    }
    if !envelope.data.is_present() {
        return Err(broken(root.breach("data", expected)));
    }
    if envelope.data.is_null() {
        return Err(Box::new(Reading::Absent));
    }
    Ok(envelope.data)
}

/// One element of `/funds`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListedFund<'json> {
    #[serde(borrow)]
    pub fund_id: Field<'json>,
    pub short_code: Field<'json>,
    pub name_th: Field<'json>,
    pub aimc_category_id: Field<'json>,
    pub sec_is_active: Field<'json>,
}

/// The fund of an answer about one fund.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AnswerOf<'json> {
    #[serde(borrow)]
    pub fund_id: Field<'json>,
    pub short_code: Field<'json>,
}

/// `/funds/{fund_id}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fund<'json> {
    #[serde(borrow)]
    pub name_th: Field<'json>,
    pub name_en: Field<'json>,
    pub amc_name_en: Field<'json>,
    pub aimc_category_name_en: Field<'json>,
    pub risk_level: Field<'json>,
    pub risk_spectrum: Field<'json>,
    pub minimum_initial: Field<'json>,
    pub minimum_subsequent: Field<'json>,
    pub dividend_policy: Field<'json>,
    pub inception_date: Field<'json>,
    pub fund_fact_sheet: Field<'json>,
}

/// `/filter`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FilterPage<'json> {
    #[serde(borrow)]
    pub funds: Field<'json>,
}

/// One fund of `/filter`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FilterRow<'json> {
    #[serde(borrow)]
    pub fund_id: Field<'json>,
    pub short_code: Field<'json>,
    pub nav: Field<'json>,
    pub nav_date: Field<'json>,
}

/// `/funds/{fund_id}/nav/q`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NavHistory<'json> {
    #[serde(borrow)]
    pub navs: Field<'json>,
}

/// One day of a NAV history.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NavDay<'json> {
    #[serde(borrow)]
    pub date: Field<'json>,
    pub value: Field<'json>,
    pub amount: Field<'json>,
}

/// `/funds/{fund_id}/fee`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FeeList<'json> {
    #[serde(borrow)]
    pub fees: Field<'json>,
}

/// One fee of one share class.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fee<'json> {
    #[serde(borrow)]
    pub last_update: Field<'json>,
    pub class_abbr_name: Field<'json>,
    pub description: Field<'json>,
    pub rate: Field<'json>,
    pub rate_unit: Field<'json>,
    pub actual_value: Field<'json>,
    pub actual_value_unit: Field<'json>,
    pub unit: Field<'json>,
}

/// `/funds/{fund_id}/dividend`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DividendList<'json> {
    #[serde(borrow)]
    pub dividends: Field<'json>,
}

/// One dividend.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PaidDividend<'json> {
    #[serde(borrow)]
    pub xd_date: Field<'json>,
    pub value: Field<'json>,
    pub pay_date: Field<'json>,
}

/// `/funds/{fund_id}/portfolio`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PortfolioBlocks<'json> {
    #[serde(borrow)]
    pub top_holdings: Field<'json>,
    pub global_stock_sector: Field<'json>,
    pub sector_allocation: Field<'json>,
    pub asset_allocation: Field<'json>,
    pub regional_exposure: Field<'json>,
}

/// One block of a portfolio answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PortfolioBlock<'json> {
    #[serde(borrow)]
    pub data_date: Field<'json>,
    pub elements: Field<'json>,
}

/// One row of a block.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PortfolioElement<'json> {
    #[serde(borrow)]
    pub name: Field<'json>,
    pub percent: Field<'json>,
}
