//! Deals the register's records of a generated market.
//!
//! They are drawn from a random stream of their own: the rest of a market does not depend on whether it has a register.

mod project;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::records::dividend::{self, Dividends};
use super::records::fee::{self, Fees};
use super::records::performance::{self, Performance};
use super::records::publication::Publication;
use super::records::statistic::{self, Statistics};
use super::records::{ClassData, Isin, OtherClass, Register, Status};
use crate::calendar::Calendar;
use crate::config::MarketConfig;
use crate::edge_case::EdgeCase;
use crate::generator::deck::Deck;
use crate::generator::isin::isin_check_digit;
use crate::market::{FactsheetAnswer, Fund, Standing};
use crate::nav_series::{Distortion, Lag, NavPlan};
use project::ProjectDecks;

/// Separates the register's draws from all others of a seed.
const STREAM: u64 = 0x5ec0_9e61_57e2;
/// Days of a class's publication lag, and how many of 24 classes have it.
const LAGS: [(i64, usize); 4] = [(1, 17), (2, 4), (3, 2), (7, 1)];
/// The hole lies this many business days before the market's first date, if its history is that long.
const HOLE_BEFORE: u32 = 38;
const HOLE_DAYS: i64 = 12;

/// Of this many plain funds, one gets a new `fund_id` when it is renamed, and one a new ISIN as well.
const RENAMES_EVERY: usize = 4;

/// The policy of a fund that pays dividends, in the tables' words.
const PAYS: &str = "จ่าย";
const TAXES: [Option<&str>; 8] = [
    None,
    None,
    None,
    Some("RMF"),
    Some("SSF"),
    Some("TESG"),
    Some("TESGX"),
    Some("LTF"),
];

/// The decks of the register's choices.
struct Decks {
    kind: Deck<Option<EdgeCase>>,
    lag: Deck<i64>,
    project: ProjectDecks,
    tax: Deck<Option<&'static str>>,
    /// A little less than a third of the classes have an ISIN.
    has_isin: Deck<bool>,
    edge_cases: bool,
}

impl Decks {
    fn new(edge_cases: bool) -> Self {
        use EdgeCase::*;
        let lags: Vec<i64> = LAGS
            .into_iter()
            .flat_map(|(days, count)| std::iter::repeat_n(days, count))
            .collect();
        Decks {
            kind: Deck::new(
                edge_cases,
                None,
                14,
                &[
                    RegisterLacks,
                    RegisterExpired,
                    RegisterRenamed,
                    RegisterSpaces,
                    RegisterNeverOffered,
                    RegisterDuplicateDay,
                    RegisterLate,
                    RegisterMonthly,
                    RegisterIsinWrong,
                    RegisterUsd,
                    RegisterFeePeriods,
                ]
                .map(Some),
            ),
            lag: Deck::new(true, 1, 1, &lags),
            project: ProjectDecks::new(edge_cases),
            tax: Deck::new(true, None, 1, &TAXES),
            has_isin: Deck::new(true, false, 5, &[true, true]),
            edge_cases,
        }
    }
}

/// Gives every fund of the market, and every fund that will be launched, its records. Returns the register.
pub(crate) fn deal(config: &MarketConfig, funds: &mut [Fund], unborn: &mut [Fund]) -> Register {
    let mut random = ChaCha8Rng::seed_from_u64(config.seed ^ STREAM);
    // Real rows stay as they are.
    let edge_cases = config.edge_cases && config.real.is_none();
    let mut decks = Decks::new(edge_cases);
    let mut register = Register {
        projects: BTreeMap::new(),
        others: Vec::new(),
        hole: hole(config, funds),
        began: config.today,
    };
    let mut classes_of: BTreeMap<String, usize> = BTreeMap::new();
    for fund in funds.iter().chain(unborn.iter()) {
        *classes_of.entry(fund.proj_id.clone()).or_default() += 1;
    }
    for fund in funds.iter_mut().chain(unborn.iter_mut()) {
        let is_only = classes_of.get(&fund.proj_id) == Some(&1);
        if !register.projects.contains_key(&fund.proj_id) {
            let made = project::deal(&mut decks.project, config, fund, &mut random);
            register.projects.insert(fund.proj_id.clone(), made);
        }
        fund.register = class(&mut decks, config, fund, is_only, &mut random).map(Arc::new);
    }
    if edge_cases {
        deal_renames(funds);
    }
    let count = funds.len();
    for (kind, many) in [
        (EdgeCase::RegisterOnly, edge_cases.then_some(count / 60 + 1)),
        (
            EdgeCase::RegisterOnlyIpo,
            edge_cases.then_some(count / 80 + 1),
        ),
        (EdgeCase::RegisterOnlyDead, Some(count / 8)),
    ] {
        for _ in 0..many.unwrap_or_default() {
            other(&mut decks, config, kind, &mut register, &mut random);
        }
    }
    register
}

/// Decides how some funds will be renamed: under a new `fund_id`. Their NAV series and their records are plain, so that
/// nothing else decides whether the two codes are recognised. Draws nothing: the rest of a market stays the same.
fn deal_renames(funds: &mut [Fund]) {
    use EdgeCase::{NewIdAndIsinOnRename, NewIdOnRename};
    let eligible = funds.iter_mut().filter(|fund| {
        let sheet = &fund.factsheet;
        let has_isin = sheet.isin.is_some()
            && sheet.answer == FactsheetAnswer::Pdf
            && sheet.true_path.is_some();
        let is_plain = fund.nav.quirk.is_none() && fund.nav.quote_quirk.is_none();
        let records = fund.register.as_ref();
        let is_registered = records.is_some_and(|data| {
            let isin_differs = data.isin.as_ref().is_some_and(|isin| !isin.is_valid);
            data.other_code.is_none() && data.status.is_none() && !isin_differs
        });
        fund.standing == Standing::Active && has_isin && is_plain && is_registered
    });
    for (place, fund) in eligible.enumerate() {
        match place % RENAMES_EVERY {
            1 => fund.edge_cases.insert(NewIdOnRename),
            3 => fund.edge_cases.insert(NewIdAndIsinOnRename),
            _ => false,
        };
    }
}

/// A market-wide hole of days. A market of real rows has those of the file.
fn hole(config: &MarketConfig, funds: &[Fund]) -> Option<(Date, Date)> {
    let invented = config.real.is_none() && config.edge_cases && !funds.is_empty();
    let long_enough = config.days > HOLE_BEFORE as usize + 5;
    let calendar = funds
        .first()
        .map_or(Calendar::Weekdays, |fund| fund.nav.calendar);
    let first = calendar.before(config.today, HOLE_BEFORE);
    (invented && long_enough).then(|| (first, first.saturating_add((HOLE_DAYS - 1).days())))
}

/// The records of a known fund; `None` if the register lacks it.
fn class(
    decks: &mut Decks,
    config: &MarketConfig,
    fund: &mut Fund,
    is_only: bool,
    random: &mut ChaCha8Rng,
) -> Option<ClassData> {
    use EdgeCase::*;
    let mut data = plain_class(decks, random);
    let has_isin = decks.has_isin.deal(random);
    let alive_again = random.random_bool(0.06);
    let ended = config
        .today
        .saturating_sub(random.random_range(5..30_i64).days());
    match fund.standing {
        Standing::WealthMagikOnly => return None,
        Standing::Active => {}
        _ if alive_again && decks.edge_cases => {
            data.status = Some(Status::Registered);
            fund.edge_cases.insert(RegisterAlive);
        }
        _ => data.ended = Some(ended),
    }
    let kind = match fund.standing {
        Standing::Active => decks.kind.deal(random),
        _ => None,
    };
    let sheet = &fund.factsheet;
    let sheet_isin = sheet
        .isin
        .clone()
        .filter(|_| sheet.answer == FactsheetAnswer::Pdf && sheet.true_path.is_some());
    let kind = kind.filter(|kind| {
        sheet_isin.is_some() || !matches!(kind, RegisterRenamed | RegisterIsinWrong)
    });
    fund.edge_cases.extend(kind);
    data.is_main = is_only && random.random_bool(0.85);
    data.isin = sheet.isin.clone().filter(|_| has_isin).map(|code| Isin {
        code,
        is_valid: true,
    });
    match kind {
        Some(RegisterLacks) => return None,
        Some(RegisterExpired) => {
            data.status = Some(Status::Expired);
            data.ended = Some(ended);
        }
        Some(RegisterRenamed) => {
            data.other_code = Some(format!("{}-NEW", fund.code));
            data.isin = sheet_isin.map(|code| Isin {
                code,
                is_valid: true,
            });
        }
        Some(RegisterSpaces) => data.spaced = true,
        Some(RegisterNeverOffered) => data.publication.never_offered = true,
        Some(RegisterDuplicateDay) => data.publication.has_duplicates = true,
        Some(RegisterLate) => data.publication.lag_days = 7,
        Some(RegisterMonthly) => {
            data.publication.is_monthly = true;
            data.publication.lag_days = 5;
        }
        Some(RegisterFeePeriods) => data.overlaps = true,
        Some(RegisterIsinWrong) => {
            data.isin = sheet_isin.map(|code| Isin {
                code: with_wrong_digit(&code),
                is_valid: false,
            });
        }
        _ => {}
    }
    if decks.edge_cases && fund.edge_cases.contains(&MonthlyNav) {
        data.publication.lag_days = data.publication.lag_days.max(5);
    }
    data.statistics = statistic::deal(fund.statistics.as_ref(), random);
    data.fees = fee::deal(
        Some(&fund.fees),
        kind == Some(RegisterUsd),
        decks.edge_cases,
        random,
    );
    data.fees.zeros_of_main = decks.edge_cases && !is_only && random.random_bool(0.2);
    let own_pays = random.random_bool(0.4);
    let pays = fund
        .master
        .get("is_dividend")
        .map_or(own_pays, |policy| policy == PAYS);
    data.dividends = dividend::deal(pays, config.today, random);
    data.dividends.unnamed = decks.edge_cases && data.is_main && random.random_bool(0.3);
    data.performance = performance::deal(random);
    let marks = [
        (data.fees.zeros_of_main, RegisterMainZeros),
        (
            data.dividends.unnamed && !data.dividends.paid.is_empty(),
            RegisterDividendUnnamed,
        ),
    ];
    fund.edge_cases.extend(
        marks
            .into_iter()
            .filter_map(|(is, mark)| is.then_some(mark)),
    );
    Some(data)
}

/// A class without any edge case of its own.
fn plain_class(decks: &mut Decks, random: &mut ChaCha8Rng) -> ClassData {
    ClassData {
        seed: random.random(),
        is_main: false,
        spaced: false,
        other_code: None,
        status: None,
        dead: Status::DEAD[random.random_range(0..Status::DEAD.len())],
        ended: None,
        renamed: None,
        has_moved: false,
        own_stem: None,
        isin: None,
        tax: decks.tax.deal(random),
        overlaps: false,
        statistics: Statistics::default(),
        fees: Fees::default(),
        dividends: Dividends::default(),
        performance: Performance::default(),
        publication: Publication {
            seed: random.random(),
            lag_days: decks.lag.deal(random),
            is_monthly: false,
            never_offered: false,
            has_duplicates: false,
            has_edge_cases: decks.edge_cases,
        },
    }
}

/// Adds a class, with its own project, that no other source knows.
fn other(
    decks: &mut Decks,
    config: &MarketConfig,
    kind: EdgeCase,
    register: &mut Register,
    random: &mut ChaCha8Rng,
) {
    let place = register.others.len();
    let code = match kind {
        EdgeCase::RegisterOnly => format!("NOVEL-{place}"),
        EdgeCase::RegisterOnlyIpo => format!("OFFER-{place}"),
        _ => format!("PAST-{place}"),
    };
    let proj_id = format!("M{place:04}_2570");
    let mut data = plain_class(decks, random);
    data.is_main = random.random_bool(0.7);
    let body = format!("TH9{place:04}0{}", random.random_range(100..=999));
    data.isin = random.random_bool(0.3).then(|| Isin {
        code: format!("{body}{}", isin_check_digit(&body)),
        is_valid: true,
    });
    match kind {
        EdgeCase::RegisterOnly => {}
        EdgeCase::RegisterOnlyIpo => data.status = Some(Status::Ipo),
        _ => {
            data.status = Some(data.dead);
            data.ended = Some(
                config
                    .today
                    .saturating_sub(random.random_range(30..400_i64).days()),
            );
        }
    }
    data.statistics = statistic::deal(None, random);
    data.fees = fee::deal(None, false, decks.edge_cases, random);
    data.dividends = dividend::deal(random.random_bool(0.4), config.today, random);
    data.performance = performance::deal(random);
    let calendar = if config.lives {
        Calendar::Thai
    } else {
        Calendar::Weekdays
    };
    let days = u32::try_from(config.days).unwrap_or(u32::MAX);
    let nav = (kind != EdgeCase::RegisterOnlyIpo).then(|| NavPlan {
        seed: random.random(),
        start: calendar.before(config.today, days),
        since: None,
        calendar,
        lag: Lag::Fixed(1),
        quirk: None,
        quote_quirk: None,
        real: None,
        revisions: BTreeMap::new(),
        distortion: Distortion::default(),
    });
    let offered = kind == EdgeCase::RegisterOnlyIpo;
    register.projects.insert(
        proj_id.clone(),
        project::deal_own(&mut decks.project, config, &code, offered, random),
    );
    register.others.push(OtherClass {
        code,
        proj_id,
        edge_case: kind,
        nav,
        data,
    });
}

/// The ISIN with another check digit.
fn with_wrong_digit(isin: &str) -> String {
    let (body, digit) = isin.split_at(isin.len() - 1);
    let wrong = (digit.parse::<u32>().unwrap_or_default() + 1) % 10;
    format!("{body}{wrong}")
}
