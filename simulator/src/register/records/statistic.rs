//! The statistics of a class. All values are texts, and 0 means that the company did not fill it in.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::generator::spelling::scaled;
use crate::tables::Cells;

/// Member, column, and the bounds in hundredths.
pub(crate) const VALUES: [(&str, &str, i64, i64); 7] = [
    ("portfolio_turnover_ratio", "turnover_ratio", 1, 40_000),
    ("maximum_drawdown", "max_drawdown", -6_000, -1),
    ("sharpe_ratio", "sharpe_ratio", -150, 300),
    ("beta", "beta", 10, 180),
    ("alpha", "alpha", -900, 900),
    ("fx_hedging", "fx_hedging", 1, 10_000),
    ("tracking_error", "tracking_error", 1, 900),
];
/// Texts of a value that is not filled in.
const NOT_FILLED: [&str; 4] = ["0", "0", "0.00", ""];

/// The statistics of a class's current factsheet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    /// The texts in the order of `VALUES`.
    pub(crate) texts: Vec<String>,
    pub(crate) recovering: String,
    pub(crate) yield_to_maturity: &'static str,
    /// Column and value of those that are filled in.
    pub(crate) truth: Cells,
}

/// Draws the statistics. About half of them are those that FundCheck has.
pub(crate) fn deal(fundcheck: Option<&Cells>, random: &mut ChaCha8Rng) -> Statistics {
    let mut statistics = Statistics {
        // Half of the reported yields are 0; a date occurs where a spreadsheet converted the value.
        yield_to_maturity: ["0", "0", "0", "2.35", "4.1", "2026-01-05"][random.random_range(0..6)],
        ..Statistics::default()
    };
    for (_, column, low, high) in VALUES {
        let same = fundcheck
            .and_then(|cells| cells.get(column))
            .filter(|value| *value != "0")
            .cloned();
        let (agrees, filled) = (random.random_bool(0.5), random.random_bool(0.75));
        let own = scaled(random.random_range(low..=high), 2);
        let blank = NOT_FILLED[random.random_range(0..NOT_FILLED.len())];
        let value = same.filter(|_| agrees).unwrap_or(own);
        if filled && value != "0" {
            statistics.texts.push(value.clone());
            statistics.truth.insert(column, value);
        } else {
            statistics.texts.push(blank.to_owned());
        }
    }
    let parts = match random.random_range(0..6) {
        0 => [0, 0, 0],
        1 => [0, random.random_range(1..12), 0],
        2 => [random.random_range(1..5), random.random_range(1..12), 0],
        3 => [0, random.random_range(1..12), random.random_range(1..30)],
        _ => [
            random.random_range(1..5),
            random.random_range(1..12),
            random.random_range(1..30),
        ],
    };
    statistics.recovering = recovering_text(parts);
    let [years, months, days] = parts;
    let days = 365 * years + 30 * months + days;
    if days > 0 {
        statistics
            .truth
            .insert("recovering_period", days.to_string());
    }
    statistics
}

/// `1 ปี 2 เดือน 3 วัน` without the parts that are 0; `0` if all are.
fn recovering_text(parts: [u32; 3]) -> String {
    let texts: Vec<String> = parts
        .into_iter()
        .zip(["ปี", "เดือน", "วัน"])
        .filter(|(part, _)| *part > 0)
        .map(|(part, unit)| format!("{part} {unit}"))
        .collect();
    if texts.is_empty() {
        "0".to_owned()
    } else {
        texts.join(" ")
    }
}
