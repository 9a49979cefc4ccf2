//! `outstanding/portfolio`, the quarterly full portfolio, and `factsheet/asset-allocation` and
//! `factsheet/top5-holdings`: rows of projects.

use jiff::ToSpan;
use jiff::civil::Date;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::class::Class;
use super::class::classes;
use super::nav::stamp;
use super::query::Query;
use super::sheet::{Sheet, first_of_projects, has_sheets, project_rows};
use crate::generator::spelling::scaled;
use crate::json::Json;
use crate::market::Market;

/// `assetliab_id`, `assetliab_desc`, `issue_code`, `isin_code`, `issuer`. A deposit has neither code.
type Instrument = (
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
/// The id of the row that sums up the others.
const TOTAL: &str = "903";
const ASSETS: [&str; 4] = [
    "หุ้นสามัญ",
    "หน่วยลงทุน",
    "เงินฝากธนาคาร และอื่นๆ",
    "สินทรัพย์อื่นและหนี้สินอื่น",
];
/// Quarters that the API serves.
const QUARTERS: i32 = 2;
/// The days from the end of a quarter to its publication.
const PUBLISHED_AFTER_DAYS: i64 = 45;

/// One holding of the newest quarter.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    instrument: Instrument,
    /// In satang.
    value: i64,
    /// `percent_nav` in units of 1/100,000.
    percent: i64,
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

/// The last day of the newest quarter that is published on the market's first date.
pub(crate) fn newest_quarter(market: &Market) -> Date {
    let latest = market
        .register
        .began
        .saturating_sub(PUBLISHED_AFTER_DAYS.days());
    let months_into_quarter = i64::from((latest.month() - 1) % 3);
    latest
        .first_of_month()
        .saturating_sub(months_into_quarter.months())
        .saturating_sub(1.day())
}

pub(crate) fn rows(market: &Market, query: &Query) -> Vec<String> {
    let listed: Vec<Class<'_>> = classes(market)
        .into_iter()
        .filter(|class| has_sheets(class) && class.nav.is_some())
        .filter(|class| {
            query
                .proj_id
                .as_deref()
                .is_none_or(|id| id == class.proj_id)
        })
        .collect();
    let newest = newest_quarter(market);
    let mut rows = Vec::new();
    for class in first_of_projects(listed) {
        for age in (0..QUARTERS).rev() {
            let as_of = newest
                .first_of_month()
                .saturating_sub((3 * age).months())
                .last_of_month();
            let period = as_of.strftime("%Y%m").to_string();
            if query.covers(&period) {
                rows.extend(quarter(&class, as_of, &period, age));
            }
        }
    }
    rows
}

fn quarter(class: &Class<'_>, as_of: Date, period: &str, age: i32) -> Vec<String> {
    let holdings = &class.project.portfolio.holdings;
    let total = Holding {
        instrument: (TOTAL, "รวมทรัพย์สินสุทธิ", None, None, ""),
        value: holdings.iter().map(|holding| holding.value).sum(),
        percent: 10_000_000,
    };
    let row = |holding: &Holding| {
        let (id, kind, code, isin, issuer) = holding.instrument;
        let blank_or_null = |text: Option<&str>| match text {
            Some(text) => Json::text(text),
            None if class.data.seed.is_multiple_of(2) => Json::text(""),
            None => Json::Null,
        };
        Json::Object(vec![
            ("proj_id", Json::text(class.proj_id)),
            ("period", Json::raw(period)),
            ("as_of_date", Json::text(as_of)),
            ("assetliab_id", Json::text(id)),
            ("assetliab_desc", Json::text(kind)),
            ("issue_code", blank_or_null(code)),
            ("isin_code", blank_or_null(isin)),
            ("issuer", Json::text(issuer)),
            ("assetliab_value", Json::raw(scaled(holding.value, 2))),
            (
                "percent_nav",
                Json::raw(scaled(holding.percent + i64::from(age), 5)),
            ),
            (
                "last_upd_date",
                stamp(as_of.saturating_add(4.days()), class.data.seed),
            ),
        ])
        .to_string()
    };
    // The total stands among the other rows.
    let middle = holdings.len() / 2;
    let (before, after) = holdings.split_at(middle);
    before
        .iter()
        .chain([&total])
        .chain(after)
        .map(row)
        .collect()
}

pub(crate) fn allocation_rows(market: &Market, query: &Query) -> Vec<String> {
    project_rows(market, query, |class, sheet| {
        let assets = class.project.portfolio.assets.iter();
        assets
            .map(|(seq, name, ratio)| asset(class, sheet, *seq, name, ratio))
            .collect()
    })
}

pub(crate) fn top_rows(market: &Market, query: &Query) -> Vec<String> {
    project_rows(market, query, |class, sheet| {
        let holdings = class.project.portfolio.holdings.iter().take(5);
        (1..)
            .zip(holdings)
            .map(|(seq, holding)| asset(class, sheet, seq, holding.name(), &holding.percent()))
            .collect()
    })
}

fn asset(class: &Class<'_>, sheet: Sheet, seq: usize, name: &str, ratio: &str) -> Json {
    let mut members = vec![("proj_id", Json::text(class.proj_id))];
    members.extend(sheet.members());
    let ratio = if sheet.age == 0 { ratio } else { "9.99" };
    members.extend([
        ("asset_seq", Json::raw(seq)),
        ("asset_name", Json::text(name)),
        ("asset_ratio", Json::raw(ratio)),
        sheet.updated(class.data.seed),
    ]);
    Json::Object(members)
}
