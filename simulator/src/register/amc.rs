//! `general-info/amcs`: the asset management companies.

use super::records::company::COMPANIES;
use super::stamp::stamp;
use crate::json::Json;
use crate::market::Market;

pub(crate) fn rows(market: &Market) -> Vec<String> {
    let began = market.register.began;
    COMPANIES
        .iter()
        .map(|(unique_id, name_th, name_en)| {
            Json::Object(vec![
                ("unique_id", Json::text(unique_id)),
                ("comp_name_th", Json::text(name_th)),
                ("comp_name_en", Json::text(name_en)),
                ("last_upd_date", stamp(began, 21)),
            ])
            .to_string()
        })
        .collect()
}
