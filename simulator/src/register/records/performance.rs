//! The performance of a class; the values are texts.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::generator::spelling::scaled;
use crate::tables::Cells;

/// The figure's column, its `performance_type_desc`, and its lower bound in hundredths.
pub(crate) const FIGURES: [(&str, &str, i64); 4] = [
    ("fund", "ผลตอบแทนกองทุนรวม", -4_000),
    ("benchmark", "ผลตอบแทนตัวชี้วัด", -4_000),
    ("peer_average", "ค่าเฉลี่ยในกลุ่มเดียวกัน", -4_000),
    ("volatility", "ความผันผวนของกองทุนรวม", 1),
];
/// The values of `reference_period`.
pub(crate) const PERIODS: [&str; 8] = [
    "year to date",
    "3 months",
    "6 months",
    "1 year",
    "3 years",
    "5 years",
    "10 years",
    "inception date",
];
/// Texts of a value that does not exist.
const MISSING: [&str; 3] = ["", "-", "N/A"];

/// The performance of a class's current factsheet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Performance {
    /// Place in `FIGURES`, place in `PERIODS`, text.
    pub(crate) texts: Vec<(usize, usize, String)>,
    /// The figures that exist, by period.
    pub(crate) truth: BTreeMap<&'static str, Cells>,
}

pub(crate) fn deal(random: &mut ChaCha8Rng) -> Performance {
    let mut performance = Performance::default();
    // A young class has no long periods.
    let periods = random.random_range(2..=PERIODS.len());
    for (at, period) in PERIODS.into_iter().take(periods).enumerate() {
        for (place, (column, _, low)) in FIGURES.into_iter().enumerate() {
            let value = scaled(random.random_range(low..=9_000), 2);
            let blank = MISSING[random.random_range(0..MISSING.len())];
            // Whether 0 is a value here is documented nowhere.
            if random.random_bool(0.1) || value == "0" {
                performance.texts.push((place, at, blank.to_owned()));
                continue;
            }
            performance
                .truth
                .entry(period)
                .or_default()
                .insert(column, value.clone());
            performance.texts.push((place, at, value));
        }
    }
    performance
}
