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
    #[serde(borrow)]
    pub fund_class_tax_incentive_type: Field<'json>,
    #[serde(borrow)]
    pub feederfund_master_fund: Field<'json>,
    #[serde(borrow)]
    pub management_style: Field<'json>,
}

/// One dividend of one class.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DividendRow<'json> {
    #[serde(borrow)]
    pub proj_id: Field<'json>,
    #[serde(borrow)]
    pub class_abbr_name: Field<'json>,
    #[serde(borrow)]
    pub book_close_date: Field<'json>,
    #[serde(borrow)]
    pub dividend_date: Field<'json>,
    #[serde(borrow)]
    pub dividend_value: Field<'json>,
    #[serde(borrow)]
    pub last_upd_date: Field<'json>,
}

/// One figure of one class for one period.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PerformanceFigure<'json> {
    #[serde(borrow)]
    pub proj_id: Field<'json>,
    #[serde(borrow)]
    pub fund_class_name: Field<'json>,
    #[serde(borrow)]
    pub start_date: Field<'json>,
    #[serde(borrow)]
    pub end_date: Field<'json>,
    #[serde(borrow)]
    pub performance_type_desc: Field<'json>,
    #[serde(borrow)]
    pub reference_period: Field<'json>,
    #[serde(borrow)]
    pub performance_value: Field<'json>,
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

/// What most records have: whose they are, and of when.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Head<'json> {
    #[serde(borrow)]
    pub proj_id: Field<'json>,
    #[serde(borrow)]
    pub fund_class_name: Field<'json>,
    #[serde(borrow)]
    pub start_date: Field<'json>,
    #[serde(borrow)]
    pub as_of_date: Field<'json>,
}

/// The statistics on a factsheet. All values are texts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StatisticsRow<'json> {
    #[serde(borrow)]
    pub sharpe_ratio: Field<'json>,
    #[serde(borrow)]
    pub alpha: Field<'json>,
    #[serde(borrow)]
    pub beta: Field<'json>,
    #[serde(borrow)]
    pub maximum_drawdown: Field<'json>,
    #[serde(borrow)]
    pub recovering_period: Field<'json>,
    #[serde(borrow)]
    pub tracking_error: Field<'json>,
    #[serde(borrow)]
    pub portfolio_turnover_ratio: Field<'json>,
    #[serde(borrow)]
    pub fx_hedging: Field<'json>,
}

/// One fee on a factsheet.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FeeRow<'json> {
    #[serde(borrow)]
    pub fee_type_desc: Field<'json>,
    #[serde(borrow)]
    pub rate: Field<'json>,
    #[serde(borrow)]
    pub actual_value: Field<'json>,
}

/// The risk level on a factsheet.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RiskRow<'json> {
    #[serde(borrow)]
    pub risk_spectrum: Field<'json>,
}

/// The dividend policy on a factsheet.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DividendPolicyRow<'json> {
    #[serde(borrow)]
    pub dividend_policy: Field<'json>,
}

/// Where a factsheet is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FactsheetUrlRow<'json> {
    #[serde(borrow)]
    pub pdf_factsheet: Field<'json>,
}

/// The minimum purchases on a factsheet.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MinimumsRow<'json> {
    #[serde(borrow)]
    pub minimum_sub_ipo: Field<'json>,
    #[serde(borrow)]
    pub minimum_sub_ipo_cur: Field<'json>,
    #[serde(borrow)]
    pub minimum_sub: Field<'json>,
    #[serde(borrow)]
    pub minimum_sub_cur: Field<'json>,
}

/// One asset class on a factsheet.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AssetRow<'json> {
    #[serde(borrow)]
    pub asset_seq: Field<'json>,
    #[serde(borrow)]
    pub asset_name: Field<'json>,
    #[serde(borrow)]
    pub asset_ratio: Field<'json>,
}

/// One row of a quarterly portfolio.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct HoldingRow<'json> {
    #[serde(borrow)]
    pub assetliab_id: Field<'json>,
    #[serde(borrow)]
    pub assetliab_desc: Field<'json>,
    #[serde(borrow)]
    pub issue_code: Field<'json>,
    #[serde(borrow)]
    pub percent_nav: Field<'json>,
}
