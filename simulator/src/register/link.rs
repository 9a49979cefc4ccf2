//! `factsheet/urls`: where a class's factsheet lies.

use super::query::Query;
use super::sheet::class_rows;
use crate::json::Json;
use crate::market::Market;

/// The rows; `documents` is the base URL of the document storage.
pub(crate) fn rows(market: &Market, query: &Query, documents: &str) -> Vec<String> {
    class_rows(market, query, |class, sheet| {
        let storage = class
            .factsheet
            .and_then(|sheet| sheet.register_path.as_ref())
            .map(|path| format!("{documents}{path}"));
        let company = format!("{documents}/FundFiles/Q&A/QA_{}.pdf", class.proj_id);
        vec![Json::Object(vec![
            ("proj_id", Json::text(class.proj_id)),
            ("fund_class_name", Json::text(class.name_spelt())),
            ("prospectus_type", sheet.members()[2].1.clone()),
            ("amc_url_factsheet", Json::text(company)),
            ("pdf_factsheet", Json::text_or_null(storage)),
            ("as_of_date", Json::text(sheet.start)),
            sheet.updated(class.data.seed),
        ])]
    })
}
