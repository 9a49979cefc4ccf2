//! `factsheet/risk-spectrum` and `factsheet/benchmarks`: rows of projects.

use super::query::Query;
use super::sheet::project_rows;
use crate::json::Json;
use crate::market::Market;

pub(crate) fn rows(market: &Market, query: &Query) -> Vec<String> {
    project_rows(market, query, |class, sheet| {
        let mut members = vec![("proj_id", Json::text(class.proj_id))];
        members.extend(sheet.members());
        // Earlier factsheets had another level.
        let spelt = match sheet.age {
            0 => class.project.risk.spelt.clone(),
            _ => format!("RS{}", class.project.risk.level % 7 + 1),
        };
        members.extend([
            (
                "risk_spectrum_desc",
                Json::text("ลงทุนในตราสารทุนเป็นหลัก โดยเฉลี่ยในรอบปีไม่น้อยกว่า 80% ของ NAV"),
            ),
            ("risk_spectrum", Json::text(spelt)),
            sheet.updated(class.data.seed),
        ]);
        vec![Json::Object(members)]
    })
}

pub(crate) fn benchmark_rows(market: &Market, query: &Query) -> Vec<String> {
    project_rows(market, query, |class, sheet| {
        let mut members = vec![("proj_id", Json::text(class.proj_id))];
        members.extend(sheet.members());
        members.extend([
            ("group_seq", Json::raw(1)),
            (
                "benchmark",
                Json::text("ดัชนีผลตอบแทนรวมตลาดหลักทรัพย์แห่งประเทศไทย (SET TRI)"),
            ),
            ("benchmark_remark", Json::text("")),
            sheet.updated(class.data.seed),
        ]);
        vec![Json::Object(members)]
    })
}
