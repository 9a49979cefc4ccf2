//! What the register answers, with every value as the text that was sent (docs/sites.md, "SEC Open API v2").

use serde::Deserialize;

use crate::payload::json::Field;

/// The envelope of every list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Envelope<'json> {
    #[serde(borrow)]
    pub items: Field<'json>,
    #[serde(borrow)]
    pub next_cursor: Field<'json>,
}

/// The gateway's own answer. It may come with the HTTP status 200.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct GatewayError<'json> {
    #[serde(borrow, rename = "statusCode")]
    pub status: Field<'json>,
    #[serde(borrow, rename = "StatusCode")]
    pub status_capital: Field<'json>,
}

/// A share class in the register.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Profile<'json> {
    #[serde(borrow)]
    pub proj_id: Field<'json>,
    #[serde(borrow)]
    pub proj_abbr_name: Field<'json>,
    #[serde(borrow)]
    pub proj_name_th: Field<'json>,
    #[serde(borrow)]
    pub proj_name_en: Field<'json>,
    #[serde(borrow)]
    pub comp_name_en: Field<'json>,
    #[serde(borrow)]
    pub fund_status: Field<'json>,
    #[serde(borrow)]
    pub regis_date: Field<'json>,
    #[serde(borrow)]
    pub fund_class_name: Field<'json>,
    #[serde(borrow)]
    pub fund_class_isin_code: Field<'json>,
}

/// One day of one class.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NavRow<'json> {
    #[serde(borrow)]
    pub proj_id: Field<'json>,
    #[serde(borrow)]
    pub fund_class_name: Field<'json>,
    #[serde(borrow)]
    pub nav_date: Field<'json>,
    #[serde(borrow)]
    pub net_asset: Field<'json>,
    #[serde(borrow)]
    pub last_val: Field<'json>,
    #[serde(borrow)]
    pub sell_price: Field<'json>,
    #[serde(borrow)]
    pub buy_price: Field<'json>,
}
