//! `general-info/profiles`: one row for each class, with the members of the captured answer.

use super::class::{Class, classes};
use super::query::Query;
use super::records::Status;
use super::records::company::COMPANIES;
use super::stamp::stamp;
use crate::generator::spelling::slashes;
use crate::json::Json;
use crate::market::Market;

pub(crate) fn rows(market: &Market, query: &Query) -> Vec<String> {
    classes(market)
        .iter()
        .filter(|class| class.is_listed && is_selected(class, query))
        .map(|class| row(market, class).to_string())
        .collect()
}

fn is_selected(class: &Class<'_>, query: &Query) -> bool {
    let is = |wanted: &Option<String>, value: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == value)
    };
    let info = query.project_info.as_deref().is_none_or(|part| {
        let names = [
            &class.project.name_th.spelt,
            &class.project.name_en.spelt,
            &class.abbreviation_spelt(),
        ];
        class.proj_id == part || names.iter().any(|name| name.contains(part))
    });
    info && is(&query.class_name, class.name_spelt().trim())
        && is(&query.status, class.status.name())
}

fn row(market: &Market, class: &Class<'_>) -> Json {
    let project = class.project;
    let (unique_id, company_th, company_en) = COMPANIES[project.company];
    let ended = Status::DEAD.contains(&class.status);
    // Facts about dead projects are mostly missing.
    let unless_dead = |value: Option<&str>| Json::text_or_null(value.filter(|_| !ended));
    let registered = project.registered.map(|date| {
        if project.thai_date {
            slashes(date)
        } else {
            date.to_string()
        }
    });
    let canceled = ended.then(|| class.until.unwrap_or(market.register.began).to_string());
    let (master_fund, country) = project.master_fund.unzip();
    let isin = class.data.isin.as_ref().map(|isin| &isin.code);
    let number = project
        .registered
        .map(|date| format!("MF{:04}_{}", class.data.seed % 10_000, date.year() + 543));
    Json::Object(vec![
        ("unique_id", Json::text(unique_id)),
        ("comp_name_th", Json::text(company_th)),
        ("comp_name_en", Json::text(company_en)),
        ("proj_id", Json::text(class.proj_id)),
        ("regis_id", Json::text_or_null(number)),
        ("init_date", Json::text(project.approved)),
        ("regis_date", Json::text_or_null(registered)),
        ("cancel_date", Json::text_or_null(canceled)),
        ("proj_name_th", Json::text(&project.name_th.spelt)),
        ("proj_name_en", Json::text(&project.name_en.spelt)),
        ("proj_abbr_name", Json::text(class.abbreviation_spelt())),
        ("fund_status", Json::text(class.status.name())),
        (
            "invest_country_flag",
            unless_dead(Some(if master_fund.is_some() { "1" } else { "3" })),
        ),
        ("proj_retail_type", unless_dead(Some("R"))),
        ("proj_term_flag", unless_dead(Some("N"))),
        ("proj_term_day", Json::Null),
        ("proj_term_month", Json::Null),
        ("proj_term_year", Json::Null),
        ("policy_desc", Json::text(project.policy)),
        (
            "investment_policy_desc",
            unless_dead(Some(
                "<p>กองทุนจะลงทุนโดยเฉลี่ยในรอบปีบัญชีไม่น้อยกว่าร้อยละ 80 ของมูลค่าทรัพย์สินสุทธิ&nbsp;</p>\r\n<br>",
            )),
        ),
        ("management_style", Json::text_or_null(project.style)),
        ("feederfund_master_fund", Json::text_or_null(master_fund)),
        ("feederfund_country", Json::text_or_null(country)),
        ("exchange_rate_protection_policy", Json::Null),
        ("fund_class_name", Json::text(class.name_spelt())),
        ("fund_class_detail", Json::Null),
        ("fund_class_description", Json::Null),
        (
            "fund_class_tax_incentive_type",
            Json::text(class.data.tax.unwrap_or_default()),
        ),
        ("fund_class_isin_code", Json::text_or_null(isin)),
        (
            "last_upd_date",
            stamp(market.register.began, class.data.seed),
        ),
    ])
}
