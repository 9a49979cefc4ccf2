//! The portfolio and the asset allocation of a project.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::generator::spelling::scaled;

/// `assetliab_id`, `assetliab_desc`, `issue_code`, `isin_code`, `issuer`. A deposit has neither code.
pub(crate) type Instrument = (
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
);

const INSTRUMENTS: [Instrument; 9] = [
    (
        "101",
        "หุ้นสามัญ",
        Some("AOT"),
        Some("TH0765010Z08"),
        "AIRPORTS OF THAILAND PUBLIC COMPANY LIMITED",
    ),
    (
        "101",
        "หุ้นสามัญ",
        Some("CPALL"),
        Some("TH0737010Y08"),
        "CP ALL PUBLIC COMPANY LIMITED",
    ),
    (
        "101",
        "หุ้นสามัญ",
        Some("S&J"),
        None,
        "S & J INTERNATIONAL ENTERPRISES PUBLIC COMPANY LIMITED",
    ),
    (
        "205",
        "ตั๋วเงินคลัง (Treasury Bill)",
        Some("TB26N11A"),
        None,
        "MINISTRY OF FINANCE",
    ),
    (
        "206",
        "พันธบัตรรัฐบาล",
        Some("LB31DA"),
        None,
        "MINISTRY OF FINANCE",
    ),
    (
        "301",
        "หน่วยลงทุน",
        Some("QQQ US"),
        Some("US46090E1038"),
        "Invesco QQQ Trust, Series 1",
    ),
    (
        "401",
        "เงินฝากธนาคาร",
        None,
        None,
        "KASIKORNBANK PUBLIC COMPANY LIMITED",
    ),
    (
        "501",
        "สัญญาซื้อขายล่วงหน้า (Forward Contract)",
        Some("FX 30/12/26"),
        None,
        "BANGKOK BANK PUBLIC COMPANY LIMITED",
    ),
    ("901", "หนี้สินอื่นๆ", None, None, ""),
];
const ASSETS: [&str; 4] = [
    "หุ้นสามัญ",
    "หน่วยลงทุน",
    "เงินฝากธนาคาร และอื่นๆ",
    "สินทรัพย์อื่นและหนี้สินอื่น",
];
/// One holding of the newest quarter.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) instrument: Instrument,
    /// In satang.
    pub(crate) value: i64,
    /// `percent_nav` in units of 1/100,000.
    pub(crate) percent: i64,
}

impl Holding {
    /// The name in the tables: the short name of the security, or the kind of asset where there is none.
    pub(crate) fn name(&self) -> &'static str {
        self.instrument.2.unwrap_or(self.instrument.1)
    }

    /// The percent in the tables' form.
    pub(crate) fn percent(&self) -> String {
        scaled(self.percent, 5)
    }
}

/// The portfolio of a project.
#[derive(Clone, Debug, Default)]
pub(crate) struct Portfolio {
    pub(crate) holdings: Vec<Holding>,
    /// `asset_seq`, `asset_name` and `asset_ratio` of the current factsheet, in the order of the answer.
    pub(crate) assets: Vec<(usize, &'static str, String)>,
}

/// Draws a portfolio. Gross positions add up to far over 100 %.
pub(crate) fn deal(edge_cases: bool, random: &mut ChaCha8Rng) -> Portfolio {
    let mut instruments = INSTRUMENTS.to_vec();
    instruments.shuffle(random);
    let gross = edge_cases && random.random_bool(0.1);
    let holdings = instruments
        .into_iter()
        .take(random.random_range(3..=INSTRUMENTS.len()))
        .map(|instrument| {
            let most = if gross { 9_000_000 } else { 2_000_000 };
            let percent = random.random_range(1_000..most);
            let sign = if edge_cases && instrument.0 == "901" {
                -1
            } else {
                1
            };
            Holding {
                instrument,
                value: random.random_range(10_000_000..90_000_000_000),
                percent: sign * percent,
            }
        })
        .collect();
    let mut assets: Vec<(usize, &'static str, String)> = (1..)
        .zip(ASSETS)
        .map(|(seq, name)| {
            let negative = edge_cases && seq == ASSETS.len() && random.random_bool(0.5);
            let ratio = random.random_range(1..2_500_i64);
            (seq, name, scaled(if negative { -ratio } else { ratio }, 2))
        })
        .collect();
    // The answers do not follow `asset_seq`.
    assets.shuffle(random);
    Portfolio { holdings, assets }
}
