//! A living market: daily changes, drawn from the market's seed.
//!
//! A cycle a day can see every change on the day of the change. The truth is therefore exact after each cycle, if the
//! first cycle of a month is monthly:
//! - A fund is closed or renamed on the morning after a cycle read it as active under its code.
//! - A revision of a recent day is published together with the fund's next NAV, within the look-back of seven days.
//! - A changed name also appears in Finnomena's list, which a daily cycle reads.
//! - Fees, risk, statistics, portfolios and old NAVs, which only a monthly cycle reads, change on the first day of a
//!   month.

use jiff::ToSpan;
use jiff::civil::Date;
use rand::RngExt;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::MarketConfig;
use crate::edge_case::EdgeCase;
use crate::generator::spelling::{compact, rfc3339, scaled};
use crate::generator::{fees, portfolio, statistics};
use crate::json::Json;
use crate::market::{Fund, Life, Market, Standing};

/// The probability that a day brings one such event.
const LAUNCH_A_DAY: f64 = 0.1;
const CLOSURE_A_DAY: f64 = 0.06;
const RENAME_A_DAY: f64 = 0.08;
const NEW_NAME_A_DAY: f64 = 0.1;
/// The probability that a fund's new NAV comes with a revision of a recent one.
const REVISION_A_NAV: f64 = 0.04;
/// The probability that a fund gets this change in a month.
const NEW_FEE_A_MONTH: f64 = 0.06;
const NEW_RISK_A_MONTH: f64 = 0.03;
const SETTLED_REVISION_A_MONTH: f64 = 0.03;
const STATISTICS_A_MONTH: f64 = 0.85;
const PORTFOLIO_A_MONTH: f64 = 0.7;

/// The largest age of a revised recent day.
const LOOK_BACK_DAYS: i64 = 7;
/// The smallest age of a settled day.
const SETTLED_DAYS: i64 = 40;
/// No fund is closed unless the market has more active funds than this.
const FEWEST_ACTIVE: usize = 10;
/// A launched fund has NAVs of this many business days before the sites list it.
const DAYS_BEFORE_THE_LISTING: u32 = 5;

/// An event in a living market.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the variants and fields say it")]
pub enum MarketEvent {
    Launched { code: String },
    Closed { code: String },
    Renamed { from: String, to: String },
    NameChanged { code: String },
    NavRevised { code: String, date: Date },
    SettledNavRevised { code: String, date: Date },
    FeeChanged { code: String, column: &'static str },
    RiskChanged { code: String },
    StatisticsPublished { code: String },
    PortfoliosPublished { code: String },
}

/// One day of a living market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketDay {
    /// The day that has begun.
    pub date: Date,
    /// The number of active funds for which Finnomena shows a newer NAV than on the day before.
    pub funds_with_news: usize,
    /// The other events of the day.
    pub events: Vec<MarketEvent>,
}

impl Market {
    /// Moves the calendar to the next day and applies the changes of that day. Assumes that a cycle has read the day
    /// that ends.
    pub(crate) fn next_day(&mut self) -> MarketDay {
        let mut life = std::mem::replace(&mut self.life, Life::new(0, Vec::new()));
        let ended = self.today;
        let mut events = Vec::new();
        self.close_or_rename(&mut life, &mut events);
        self.advance_days(1);
        self.launch(&mut life, &mut events);
        self.name_anew(&mut life, &mut events);
        let funds_with_news = self.revise_recent(ended, &mut life, &mut events);
        if self.today.month() != ended.month() {
            self.begin_month(&mut life, &mut events);
        }
        self.life = life;
        MarketDay {
            date: self.today,
            funds_with_news,
            events,
        }
    }

    fn active_funds(&self) -> impl Iterator<Item = &Fund> {
        self.funds
            .iter()
            .filter(|fund| fund.standing == Standing::Active && !fund.unlisted)
    }

    /// The code of a random active fund that a cycle has read.
    fn draw_active(&self, life: &mut Life) -> Option<String> {
        self.active_funds()
            .filter(|fund| fund.nav.newest(self.today).is_some())
            .choose(&mut life.random)
            .map(|fund| fund.code.clone())
    }

    fn close_or_rename(&mut self, life: &mut Life, events: &mut Vec<MarketEvent>) {
        if life.random.random_bool(CLOSURE_A_DAY)
            && self.active_funds().count() > FEWEST_ACTIVE
            && let Some(code) = self.draw_active(life)
            && self.set_active(&code, false).is_ok()
        {
            events.push(MarketEvent::Closed { code });
        }
        if life.random.random_bool(RENAME_A_DAY)
            && let Some(from) = self.draw_active(life)
        {
            life.named += 1;
            let to = format!("{from}N{}", life.named);
            if self.rename(&from, &to).is_ok() {
                events.push(MarketEvent::Renamed { from, to });
            }
        }
    }

    fn launch(&mut self, life: &mut Life, events: &mut Vec<MarketEvent>) {
        if !life.random.random_bool(LAUNCH_A_DAY) {
            return;
        }
        let Some(mut fund) = life.unborn.pop() else {
            return;
        };
        fund.nav.start = fund
            .nav
            .calendar
            .before(self.today, DAYS_BEFORE_THE_LISTING);
        fund.begin_on(fund.nav.start);
        events.push(MarketEvent::Launched {
            code: fund.code.clone(),
        });
        self.funds.push(fund);
    }

    fn name_anew(&mut self, life: &mut Life, events: &mut Vec<MarketEvent>) {
        if !life.random.random_bool(NEW_NAME_A_DAY) {
            return;
        }
        let Some(code) = self.draw_active(life) else {
            return;
        };
        life.named += 1;
        let suffix = format!(" {}", life.named);
        if let Some(fund) = self.by_code_mut(&code)
            && fund.append_to_names(&suffix)
        {
            events.push(MarketEvent::NameChanged { code });
        }
    }

    /// Revises recent NAVs. Returns how many active funds have a newer NAV than on the day that ended.
    fn revise_recent(
        &mut self,
        ended: Date,
        life: &mut Life,
        events: &mut Vec<MarketEvent>,
    ) -> usize {
        let today = self.today;
        let mut with_news = 0;
        let active = self.funds.iter_mut().filter(|fund| {
            fund.standing == Standing::Active && !fund.unlisted && fund.nav.real.is_none()
        });
        for fund in active {
            let known = fund.nav.newest(ended);
            if known.is_none() || fund.nav.newest(today) <= known {
                continue;
            }
            with_news += 1;
            let since = today.saturating_sub(LOOK_BACK_DAYS.days());
            if life.random.random_bool(REVISION_A_NAV)
                && let Some(date) = fund.revise(
                    today,
                    |date| date > since && Some(date) <= known,
                    &mut life.random,
                )
            {
                events.push(MarketEvent::NavRevised {
                    code: fund.code.clone(),
                    date,
                });
            }
        }
        with_news
    }

    fn begin_month(&mut self, life: &mut Life, events: &mut Vec<MarketEvent>) {
        let as_of = self.today.first_of_month().saturating_sub(1.day());
        let today = self.today;
        let settled = self.today.saturating_sub(SETTLED_DAYS.days());
        for fund in self
            .funds
            .iter_mut()
            .filter(|fund| fund.standing == Standing::Active && !fund.unlisted)
        {
            let code = fund.code.clone();
            let mut draws = |likely| life.random.random_bool(likely);
            let [
                new_fee,
                new_risk,
                new_settled,
                new_statistics,
                new_portfolio,
            ] = [
                NEW_FEE_A_MONTH,
                NEW_RISK_A_MONTH,
                SETTLED_REVISION_A_MONTH,
                STATISTICS_A_MONTH,
                PORTFOLIO_A_MONTH,
            ]
            .map(&mut draws);
            if new_fee && let Some(column) = fees::change_one(fund, &mut life.random) {
                events.push(MarketEvent::FeeChanged {
                    code: code.clone(),
                    column,
                });
            }
            if new_risk && fund.change_risk() {
                events.push(MarketEvent::RiskChanged { code: code.clone() });
            }
            if new_settled
                && let Some(date) = fund.revise(today, |date| date < settled, &mut life.random)
            {
                events.push(MarketEvent::SettledNavRevised {
                    code: code.clone(),
                    date,
                });
            }
            if new_statistics && statistics::publish(fund, as_of, &mut life.random) {
                events.push(MarketEvent::StatisticsPublished { code: code.clone() });
            }
            if new_portfolio && portfolio::publish(fund, as_of, &mut life.random) {
                events.push(MarketEvent::PortfoliosPublished { code });
            }
        }
    }
}

impl Fund {
    /// Sets the start of a fund in a living market: its inception date, at least half of the configured days ago.
    pub(crate) fn begin_in_time(&mut self, config: &MarketConfig, place: u32) {
        let days = u32::try_from(config.days).unwrap_or(u32::MAX);
        let shorter = place % (days / 2).max(1);
        self.nav.start = self.nav.calendar.before(config.today, days - shorter);
        self.begin_on(self.nav.start);
    }

    /// Sets the inception date in the truth and on all sites.
    fn begin_on(&mut self, day: Date) {
        let Some(truth) = self.master.get_mut("inception_date") else {
            return;
        };
        let old: Option<Date> = std::mem::replace(truth, day.to_string()).parse().ok();
        let Some(old) = old else {
            return;
        };
        let (page_old, page_new) = (Json::text(rfc3339(old)), Json::text(rfc3339(day)));
        let page = self.finnomena.page.iter_mut().flatten();
        for (_, value) in page.filter(|(key, value)| *key == "inception_date" && *value == page_old)
        {
            *value = page_new.clone();
        }
        let info = self.wealthmagik.iter_mut().flat_map(|said| &mut said.info);
        for (_, value) in
            info.filter(|(key, value)| *key == "inceptionDate" && *value == compact(old))
        {
            *value = compact(day);
        }
        self.report_anew("inception_date", &old.to_string(), &day.to_string());
    }

    /// Replaces a master field of the sites that reported `old`.
    fn report_anew(&mut self, column: &'static str, old: &str, new: &str) {
        let wealthmagik = self
            .wealthmagik
            .iter_mut()
            .map(|said| &mut said.true_master);
        for cells in wealthmagik.chain([&mut self.finnomena.true_master]) {
            if let Some(value) = cells.get_mut(column).filter(|value| *value == old) {
                new.clone_into(value);
            }
        }
    }

    /// Appends a suffix to the fund's names on every site. Returns false if some site does not report one of the names.
    pub(crate) fn append_to_names(&mut self, suffix: &str) -> bool {
        let differs = [
            EdgeCase::MasterDisagreement,
            EdgeCase::MasterFromWealthMagik,
        ]
        .iter()
        .any(|kind| self.edge_cases.contains(kind));
        let (Some(page), Json::Text(listed), false) = (
            &mut self.finnomena.page,
            &mut self.finnomena.list_name_th,
            differs,
        ) else {
            return false;
        };
        listed.push_str(suffix);
        for (_, name) in page
            .iter_mut()
            .filter(|(key, _)| ["name_th", "name_en"].contains(key))
        {
            if let Json::Text(name) = name {
                name.push_str(suffix);
            }
        }
        let mut tables = vec![&mut self.master, &mut self.finnomena.true_master];
        if let Some(said) = &mut self.wealthmagik {
            said.name_th.push_str(suffix);
            tables.push(&mut said.true_master);
        }
        for cells in tables {
            for column in ["full_name_th", "full_name_en"] {
                if let Some(name) = cells.get_mut(column) {
                    name.push_str(suffix);
                }
            }
        }
        true
    }

    /// Changes the risk level to another one of 1 to 8. Returns false if Finnomena does not write it plainly.
    pub(crate) fn change_risk(&mut self) -> bool {
        let Some(Ok(old)) = self.master.get("risk_level").map(|risk| risk.parse::<u8>()) else {
            return false;
        };
        let page = self.finnomena.page.iter_mut().flatten();
        let mut said: Vec<&mut Json> = page
            .filter(|(key, _)| ["risk_level", "risk_spectrum"].contains(key))
            .map(|(_, value)| value)
            .collect();
        let [spectrum, level] = said.as_mut_slice() else {
            return false;
        };
        if **level != Json::raw(old) {
            return false;
        }
        let new = old % 8 + 1;
        **level = Json::raw(new);
        **spectrum = Json::text(format!("{new} - เสี่ยงระดับ {new}"));
        let info = self.wealthmagik.iter_mut().flat_map(|said| &mut said.info);
        for (_, value) in
            info.filter(|(key, value)| *key == "riskSpectrum" && *value == old.to_string())
        {
            *value = new.to_string();
        }
        self.report_anew("risk_level", &old.to_string(), &new.to_string());
        self.master.insert("risk_level", new.to_string());
        true
    }

    /// Makes Finnomena correct one of the days that `may_be` accepts, by less than a hundredth. None if there is no
    /// such day.
    fn revise(
        &mut self,
        today: Date,
        may_be: impl Fn(Date) -> bool,
        random: &mut ChaCha8Rng,
    ) -> Option<Date> {
        let series = self.nav.series(today);
        let (date, nav) = series
            .days
            .into_iter()
            .filter(|day| may_be(day.date))
            .filter_map(|day| Some((day.date, day.nav?)))
            .choose(random)?;
        let units = units_of(&nav)?;
        let by = random.random_range(1..=(units / 100).max(1));
        self.nav.revisions.insert(date, scaled(units + by, 4));
        Some(date)
    }
}

/// Parses a number of at most four decimals into units of 1/10,000.
fn units_of(number: &str) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    (fraction.len() <= 4)
        .then(|| format!("{whole}{fraction:0<4}").parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MarketConfig;
    use crate::generator::generate;

    fn living(seed: u64) -> Market {
        let config = MarketConfig {
            funds: 50,
            edge_cases: false,
            lives: true,
            seed,
            ..MarketConfig::default()
        };
        generate(&config).expect("a made-up market")
    }

    #[test]
    fn numbers_become_units() {
        for (number, units) in [
            ("12.34", Some(123_400)),
            ("7", Some(70_000)),
            ("0.0001", Some(1)),
            ("1.23456", None),
        ] {
            assert_eq!(units_of(number), units, "{number}");
        }
    }

    #[test]
    fn equal_seeds_live_equal_years_and_every_kind_of_event_occurs() {
        let (mut one, mut two) = (living(3), living(3));
        let mut kinds = std::collections::BTreeMap::new();
        for _ in 0..365 {
            let day = one.next_day();
            assert_eq!(day, two.next_day());
            for event in day.events {
                let name = format!("{event:?}");
                let kind = name.split(' ').next().unwrap_or_default().to_owned();
                *kinds.entry(kind).or_insert(0) += 1;
            }
        }
        let names: Vec<&str> = kinds.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "Closed",
                "FeeChanged",
                "Launched",
                "NameChanged",
                "NavRevised",
                "PortfoliosPublished",
                "Renamed",
                "RiskChanged",
                "SettledNavRevised",
                "StatisticsPublished",
            ],
            "{kinds:?}"
        );
    }

    #[test]
    fn navs_come_late_and_never_go_back_and_days_off_bring_none() {
        let mut market = living(5);
        let mut by_age = [0_usize; 4];
        let mut days_without_news = 0;
        for _ in 0..200 {
            let before: Vec<_> = market
                .funds
                .iter()
                .map(|fund| fund.nav.last_shown(market.today))
                .collect();
            let ended = market.today;
            let day = market.next_day();
            for (fund, before) in market.funds.iter().zip(before) {
                let shown = fund.nav.last_shown(market.today);
                assert!(shown >= before, "{} shows less than before", fund.code);
                let age = (1..=3)
                    .position(|age| fund.nav.calendar.before(market.today, age) == shown)
                    .expect("at most three business days old");
                by_age[age] += 1;
            }
            if !crate::calendar::Calendar::Thai.is_business_day(ended) {
                assert_eq!(day.funds_with_news, 0, "{} after a day off", day.date);
                days_without_news += 1;
            }
        }
        assert!(days_without_news > 50, "{days_without_news}");
        let all: usize = by_age.iter().sum();
        for (age, percent) in [(0, 43), (1, 44), (2, 12)] {
            let found = by_age[age] * 100 / all;
            assert!(found.abs_diff(percent) <= 4, "{age}: {found} %, {by_age:?}");
        }
    }
}
