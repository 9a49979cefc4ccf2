//! Generates a market from a seed: first the true values, then each site's answers in the site's spelling.

pub(crate) mod deck;
mod fee_cell;
pub(crate) mod fees;
pub(crate) mod isin;
mod listing;
mod master;
pub(crate) mod portfolio;
pub(crate) mod spelling;
pub(crate) mod statistics;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::calendar::Calendar;
use crate::config::MarketConfig;
use crate::edge_case::EdgeCase;
use crate::json::Json;
use crate::market::Life;
use crate::market::{
    Factsheet, FactsheetAnswer, FinnomenaSays, Fund, Market, SecSays, Standing, WealthMagikSays,
};
use crate::nav_series::{Distortion, Lag, NavPlan};
use crate::real::read_classes;
use crate::register::deal::deal;
use deck::Deck;
use isin::isin_check_digit;
use listing::{Candidate, candidates, real_candidates};

/// The number of funds that a living market holds back for its launches.
const LAUNCHES: usize = 60;

/// Generates the market of a configuration.
pub(crate) fn generate(config: &MarketConfig) -> io::Result<Market> {
    let mut random = ChaCha8Rng::seed_from_u64(config.seed);
    let candidates = match &config.real {
        Some(folder) => real_candidates(read_classes(folder)?),
        None => candidates(config.funds, config.edge_cases, &mut random),
    };
    let mut dealer = Dealer::new(config);
    let mut funds: Vec<Fund> = candidates
        .into_iter()
        .enumerate()
        .map(|(place, candidate)| dealer.fund(place, candidate, &mut random))
        .collect();
    if config.lives {
        funds
            .iter_mut()
            .zip(0..)
            .for_each(|(fund, place)| fund.begin_in_time(config, place));
    }
    let mut unborn = if config.lives && config.real.is_none() {
        listing::launches(LAUNCHES, &mut random)
            .into_iter()
            .zip(funds.len()..)
            .map(|(candidate, place)| dealer.fund(place, candidate, &mut random))
            .collect()
    } else {
        Vec::new()
    };
    let blank_entries = if config.edge_cases {
        vec![Json::text(""), Json::text("   "), Json::Null]
    } else {
        Vec::new()
    };
    let register = deal(config, &mut funds, &mut unborn);
    Ok(Market {
        seed: config.seed,
        today: config.today,
        funds,
        blank_entries,
        life: Life::new(config.seed, unborn),
        register: Arc::new(register),
        lineage: Vec::new(),
    })
}

/// Builds the funds one after another, with a deck for each kind of choice.
struct Dealer {
    start: Date,
    calendar: Calendar,
    lives: bool,
    /// Whether factsheets print the codes of other funds, too.
    foreign_codes: bool,
    today: Date,
    nav: Deck<Option<EdgeCase>>,
    quote: Deck<Option<EdgeCase>>,
    lag: Deck<u32>,
    web: Deck<Option<EdgeCase>>,
    factsheet: Deck<Option<EdgeCase>>,
    master: master::MasterDecks,
    fees: fees::FeeDecks,
    portfolio: portfolio::PortfolioDecks,
    statistics: statistics::StatisticsDecks,
}

/// The facts about a fund under construction that later steps need.
pub(super) struct Sketch<'a> {
    code: &'a str,
    code_spelt: &'a str,
    proj_id: &'a str,
    /// Siblings share the project's fee answer.
    shared_fees: bool,
    /// WealthMagik has pages for the code.
    on_wealthmagik: bool,
    today: Date,
    edge_cases: BTreeSet<EdgeCase>,
}

impl Sketch<'_> {
    fn mark(&mut self, edge_case: EdgeCase) {
        self.edge_cases.insert(edge_case);
    }
}

impl Dealer {
    fn new(config: &MarketConfig) -> Self {
        use EdgeCase::*;
        let edge_cases = config.edge_cases;
        let days = u32::try_from(config.days).unwrap_or(u32::MAX);
        let nav_kinds: Vec<Option<EdgeCase>> = [
            NavZero,
            NavNull,
            AmountZero,
            AmountNull,
            AmountNan,
            AmountInfinity,
            DuplicateDate,
            Year2099,
            NavYearOne,
            InvalidDate,
            EmptyNavs,
            NullNavs,
            NavAbsent,
            ManyDecimals,
            Exponent,
            TrailingZeros,
            WrongClassTwoDays,
            LevelChangeAfterGap,
            WeekendNav,
            WeeklyNav,
            MonthlyNav,
        ]
        .map(Some)
        .to_vec();
        let lags: Vec<u32> = [1; 43].into_iter().chain([2; 44]).chain([3; 12]).collect();
        let calendar = if config.lives {
            Calendar::Thai
        } else {
            Calendar::Weekdays
        };
        Dealer {
            start: calendar.before(config.today, days),
            calendar,
            lives: config.lives,
            foreign_codes: edge_cases,
            today: config.today,
            nav: if config.lives && !edge_cases {
                // Even in a plain market, not every fund has a NAV each day.
                Deck::new(true, None, 8, &[WeeklyNav, MonthlyNav].map(Some))
            } else {
                Deck::new(edge_cases, None, nav_kinds.len(), &nav_kinds)
            },
            quote: Deck::new(
                edge_cases,
                None,
                4,
                &[
                    PricesMissing,
                    PriceDateOlder,
                    PriceDateNewer,
                    NavDisagreement,
                    WealthMagikNavZero,
                ]
                .map(Some),
            ),
            lag: Deck::new(edge_cases, 1, 1, &lags),
            web: Deck::new(
                edge_cases,
                None,
                8,
                &[
                    WealthMagikDuplicate,
                    WealthMagikLinkBare,
                    WealthMagikLinkAbsolute,
                    WealthMagikLinkForeign,
                    WealthMagikLinkProfile,
                    WealthMagikMissing,
                    WealthMagikAbsent,
                    StateMissing,
                    StateWithoutDetail,
                ]
                .map(Some),
            ),
            factsheet: Deck::new(
                edge_cases,
                None,
                5,
                &[
                    FactsheetMissing,
                    FactsheetNowhere,
                    FactsheetAbsent,
                    FactsheetHtml,
                    IsinWrongCheckDigit,
                    BloombergMissing,
                    IsinMissing,
                ]
                .map(Some),
            ),
            master: master::MasterDecks::new(edge_cases),
            fees: fees::FeeDecks::new(edge_cases),
            portfolio: portfolio::PortfolioDecks::new(edge_cases),
            statistics: statistics::StatisticsDecks::new(edge_cases),
        }
    }

    fn fund(&mut self, place: usize, candidate: Candidate, random: &mut ChaCha8Rng) -> Fund {
        let web_kind = match candidate.standing {
            Standing::WealthMagikOnly => None,
            _ => self.web.deal(random),
        };
        let mut sketch = Sketch {
            code: &candidate.code,
            code_spelt: &candidate.code_spelt,
            proj_id: &candidate.proj_id,
            shared_fees: candidate.shares_project,
            on_wealthmagik: web_kind != Some(EdgeCase::WealthMagikMissing)
                && web_kind != Some(EdgeCase::WealthMagikAbsent),
            today: self.today,
            edge_cases: candidate.edge_cases.clone(),
        };
        sketch.edge_cases.extend(web_kind);
        let nav = self.nav_plan(&mut sketch, &candidate, random);
        let mut factsheet = self.factsheet(place, &mut sketch, random);
        let master = master::decide(&mut self.master, &mut sketch, random);
        let mut fees = fees::decide(&mut self.fees, &mut sketch, master.page.is_some(), random);
        let portfolio = portfolio::decide(&mut self.portfolio, &mut sketch, random);
        let (statistics, sec) = match candidate.standing {
            Standing::WealthMagikOnly => (None, SecSays::Unknown),
            _ => statistics::decide(&mut self.statistics, &mut sketch, random),
        };
        let mut page = master.page;
        if page.is_none() {
            factsheet.finnomena_path = None;
        }
        factsheet.true_path = factsheet
            .finnomena_path
            .clone()
            .or_else(|| factsheet.wealthmagik_path.clone());
        factsheet.register_path = factsheet
            .true_path
            .clone()
            .or_else(|| Some(format!("/register/{place}/{}.pdf", candidate.proj_id)));
        if let Some(page) = &mut page {
            page.append(&mut fees.minimums);
        }
        let wealthmagik = sketch.on_wealthmagik.then(|| WealthMagikSays {
            true_master: master.wealthmagik,
            true_fees: fees.wealthmagik_cells,
            link: listing::link_style(web_kind),
            listed_twice: web_kind == Some(EdgeCase::WealthMagikDuplicate),
            state: listing::state_script(web_kind),
            name_th: master.wealthmagik_name,
            info: master.wealthmagik_info,
            details: [
                spelling::random_number(random, 0, 10_000, 2),
                spelling::random_number(random, 0, 500, 2),
            ],
            port: portfolio.port,
            port_old_date: portfolio.port_old_date,
            by_asset: portfolio.by_asset,
            by_country: portfolio.by_country,
            fees: fees.wealthmagik,
        });
        let edge_cases = sketch.edge_cases;
        Fund {
            fund_id: listing::fund_id(place),
            standing: candidate.standing,
            master: master.truth,
            fees: fees.truth,
            fee_page: fees.page,
            statistics,
            finnomena: FinnomenaSays {
                true_master: master.finnomena,
                true_fees: fees.finnomena_cells,
                list_name_th: master.list_name_th,
                page,
                fees: fees.finnomena,
                portfolio: portfolio.finnomena,
            },
            wealthmagik,
            sec,
            factsheet,
            nav,
            edge_cases,
            quotes_served: BTreeSet::new(),
            unlisted: false,
            register: None,
            code: candidate.code,
            code_spelt: candidate.code_spelt,
            proj_id: candidate.proj_id,
        }
    }

    fn nav_plan(
        &mut self,
        sketch: &mut Sketch<'_>,
        candidate: &Candidate,
        random: &mut ChaCha8Rng,
    ) -> NavPlan {
        let real = candidate.days.clone();
        let invented = real.is_none();
        let quirk = self.nav.deal(random).filter(|_| invented);
        let quote_quirk = self
            .quote
            .deal(random)
            .filter(|_| invented && sketch.on_wealthmagik);
        let mut lag = self.lag.deal(random);
        if quote_quirk == Some(EdgeCase::PriceDateNewer) {
            lag = lag.max(2);
        }
        sketch.edge_cases.extend(quirk);
        sketch.edge_cases.extend(quote_quirk);
        if invented && !self.lives {
            sketch.edge_cases.extend(match lag {
                2 => Some(EdgeCase::NavOneDayOlder),
                3 => Some(EdgeCase::NavTwoDaysOlder),
                _ => None,
            });
        }
        NavPlan {
            seed: random.random(),
            start: self.start,
            since: None,
            calendar: self.calendar,
            lag: if self.lives {
                Lag::Drawn
            } else {
                Lag::Fixed(lag)
            },
            quirk,
            quote_quirk,
            real,
            revisions: BTreeMap::new(),
            distortion: Distortion::default(),
        }
    }

    fn factsheet(
        &mut self,
        place: usize,
        sketch: &mut Sketch<'_>,
        random: &mut ChaCha8Rng,
    ) -> Factsheet {
        use EdgeCase::*;
        let dealt = self.factsheet.deal(random);
        let kind = dealt.filter(|kind| *kind != FactsheetMissing || sketch.on_wealthmagik);
        sketch.edge_cases.extend(kind);
        let answer = match kind {
            Some(FactsheetAbsent) => FactsheetAnswer::NotFound,
            Some(FactsheetHtml) => FactsheetAnswer::Html,
            _ => FactsheetAnswer::Pdf,
        };
        let body = format!("TH{:04}0{}", place, random.random_range(1000..=9999));
        let isin = format!("{body}{}", isin_check_digit(&body));
        let wrong_isin = format!("{body}{}", (isin_check_digit(&body) + 3) % 10);
        let bloomberg: String = sketch
            .code
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(10)
            .collect::<String>()
            .to_uppercase();
        let proj_id = sketch.proj_id;
        let nowhere = kind == Some(FactsheetNowhere);
        Factsheet {
            finnomena_path: (!nowhere && kind != Some(FactsheetMissing))
                .then(|| format!("/fundfactsheet/{place}/{proj_id}.pdf")),
            // If Finnomena's link is broken, WealthMagik has none. The truth therefore does not depend on whether a
            // loader follows a second link.
            wealthmagik_path: (!nowhere && sketch.on_wealthmagik && answer == FactsheetAnswer::Pdf)
                .then(|| format!("/wealthmagik/{place}/{proj_id}.pdf")),
            register_path: None,
            true_path: None,
            answer,
            isin: (kind != Some(IsinMissing)).then_some(isin),
            prints_other_codes: self.foreign_codes && sketch.code.len().is_multiple_of(2),
            wrong_isin: (kind == Some(IsinWrongCheckDigit)).then_some(wrong_isin),
            bloomberg: (kind != Some(BloombergMissing)).then(|| format!("{bloomberg} TB")),
        }
    }
}

/// A portfolio's date: the last day of a month, one to three months ago.
fn portfolio_date(today: Date, random: &mut ChaCha8Rng) -> Date {
    let months = random.random_range(1..=3_i64);
    today
        .first_of_month()
        .saturating_sub(months.months())
        .last_of_month()
}
