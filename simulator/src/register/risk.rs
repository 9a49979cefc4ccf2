//! `factsheet/risk-spectrum` and `factsheet/benchmarks`: rows of projects.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::query::Query;
use super::sheet::project_rows;
use crate::json::Json;
use crate::market::Market;

/// The spellings of the highest risk, 8+, which the tables store as 8.
const HIGHEST: [&str; 3] = ["RS81", "RS8+", "RS8"];

/// The risk spectrum of a project.
#[derive(Clone, Debug)]
pub(crate) struct Risk {
    /// 1 to 8.
    pub(crate) level: u32,
    spelt: String,
}

/// Draws the risk: mostly the level that the other sites report.
pub(crate) fn deal(others: Option<u32>, random: &mut ChaCha8Rng) -> Risk {
    let own = random.random_range(1..=8);
    let agrees = random.random_bool(0.9);
    let level = others.filter(|_| agrees).unwrap_or(own);
    let highest = HIGHEST[random.random_range(0..HIGHEST.len())];
    Risk {
        level,
        spelt: if level == 8 {
            highest.to_owned()
        } else {
            format!("RS{level}")
        },
    }
}

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
