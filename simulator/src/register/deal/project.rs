//! Deals the records of projects.

use jiff::ToSpan;
use jiff::civil::Date;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::super::records::company::COMPANIES;
use super::super::records::{Project, portfolio, risk};
use crate::config::MarketConfig;
use crate::edge_case::EdgeCase;
use crate::generator::deck::Deck;
use crate::generator::spelling::{NAME_KINDS, Name, awkward_name};
use crate::market::Fund;

const POLICIES: [&str; 4] = ["ตราสารทุน", "ตราสารหนี้", "ผสม", "ทรัพย์สินทางเลือก"];
const STYLES: [Option<&str>; 6] = [
    Some("AM"),
    Some("PM"),
    Some("AN"),
    Some("PN"),
    Some("BH"),
    None,
];
const MASTER_FUNDS: [Option<(&str, &str)>; 5] = [
    None,
    None,
    None,
    Some(("Invesco QQQ Trust, Series 1", "US")),
    Some(("iShares Core S&P 500 UCITS ETF", "IE")),
];

/// The decks of the choices about projects.
pub(super) struct ProjectDecks {
    name: Deck<Option<EdgeCase>>,
    edge_cases: bool,
}

impl ProjectDecks {
    pub(super) fn new(edge_cases: bool) -> Self {
        let names: Vec<Option<EdgeCase>> = NAME_KINDS
            .iter()
            .copied()
            .chain([Some(EdgeCase::RegisterNameAmpersand)])
            .collect();
        ProjectDecks {
            name: Deck::new(edge_cases, None, 12, &names),
            edge_cases,
        }
    }
}

/// The project of a fund and its siblings. Its inception date and risk are mostly those of the other sites.
pub(super) fn deal(
    decks: &mut ProjectDecks,
    config: &MarketConfig,
    fund: &mut Fund,
    random: &mut ChaCha8Rng,
) -> Project {
    let stem = fund.code.split('(').next().unwrap_or(&fund.code).to_owned();
    let (kind, mut project) = plain(decks, config, stem, random);
    fund.edge_cases
        .extend(kind.filter(|kind| *kind == EdgeCase::RegisterNameAmpersand));
    let inception = fund
        .master
        .get("inception_date")
        .and_then(|date| date.parse::<Date>().ok());
    if let Some(inception) = inception {
        project.approved = inception.saturating_sub(9.days());
        project.registered = project.registered.map(|_| inception);
    }
    let level = fund
        .master
        .get("risk_level")
        .and_then(|level| level.parse().ok());
    project.risk = risk::deal(level, random);
    project
}

/// The project of a class that no other source knows. A project that is offered is not registered yet.
pub(super) fn deal_own(
    decks: &mut ProjectDecks,
    config: &MarketConfig,
    code: &str,
    is_offered: bool,
    random: &mut ChaCha8Rng,
) -> Project {
    let (_, mut project) = plain(decks, config, format!("{code}-PROJECT"), random);
    project.registered = project.registered.filter(|_| !is_offered);
    project
}

fn plain(
    decks: &mut ProjectDecks,
    config: &MarketConfig,
    stem: String,
    random: &mut ChaCha8Rng,
) -> (Option<EdgeCase>, Project) {
    let kind = decks.name.deal(random);
    let (name_th, name_en) = names(kind, &stem);
    let registered = config
        .today
        .saturating_sub(random.random_range(400..6_000_i64).days());
    let project = Project {
        company: random.random_range(0..COMPANIES.len()),
        name_th,
        name_en,
        stem,
        approved: registered.saturating_sub(9.days()),
        registered: random.random_bool(0.9).then_some(registered),
        thai_date: decks.edge_cases && random.random_bool(0.1),
        policy: POLICIES[random.random_range(0..POLICIES.len())],
        style: STYLES[random.random_range(0..STYLES.len())],
        master_fund: MASTER_FUNDS[random.random_range(0..MASTER_FUNDS.len())],
        risk: risk::deal(None, random),
        portfolio: portfolio::deal(decks.edge_cases, random),
    };
    (kind, project)
}

fn names(kind: Option<EdgeCase>, stem: &str) -> (Name, Name) {
    match kind {
        Some(EdgeCase::RegisterNameAmpersand) => (
            Name::plain(format!("กองทุนเปิด S&P 500 & ทองคำ {stem}")),
            Name::plain(format!("{stem} S&P 500 & Gold Fund")),
        ),
        kind => (
            awkward_name(kind, "กองทุนเปิด", stem),
            awkward_name(kind, stem, "Open-end Fund"),
        ),
    }
}
