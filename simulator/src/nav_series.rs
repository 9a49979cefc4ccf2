//! The daily truth of one fund: its NAV and AUM series, and the quote of the price page.
//!
//! No series is stored. Each request computes it again from its seed, so a large market needs no memory, and a later
//! date only makes the series longer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::calendar::Calendar;
use crate::edge_case::EdgeCase;
use crate::generator::spelling::{
    exponent, more_than_ten_decimals, rfc3339, scaled, trailing_zeros,
};
use crate::real::{Quote, RealDay};

/// A recurring edge case appears every `QUIRK_EVERY` entries, first at index `QUIRK_AT`.
const QUIRK_EVERY: usize = 40;
const QUIRK_AT: usize = 3;

/// The inputs that determine a fund's series.
#[derive(Clone, Debug)]
pub(crate) struct NavPlan {
    pub(crate) seed: u64,
    pub(crate) start: Date,
    /// The first day of the series under the present code, if the earlier days belong to a former code alone.
    pub(crate) since: Option<Date>,
    pub(crate) calendar: Calendar,
    pub(crate) lag: Lag,
    pub(crate) quirk: Option<EdgeCase>,
    pub(crate) quote_quirk: Option<EdgeCase>,
    /// Real rows, used in place of the generated ones.
    pub(crate) real: Option<Arc<[RealDay]>>,
    /// The values that Finnomena revised later, by date.
    pub(crate) revisions: BTreeMap<Date, String>,
    pub(crate) distortion: Distortion,
}

/// One entry of Finnomena's NAV list, in the site's spelling.
#[derive(Clone, Debug)]
pub(crate) struct NavEntry {
    pub(crate) date: String,
    pub(crate) value: String,
    pub(crate) amount: String,
}

/// The true values that Finnomena reports for one day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) nav: Option<String>,
    pub(crate) aum: Option<String>,
}

/// A fund's series up to a day: the entries as the list spells them, and their true values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub(crate) entries: Vec<NavEntry>,
    pub(crate) days: Vec<Day>,
}

/// The source names in the daily table.
pub(crate) const FINNOMENA: &str = "finnomena";
pub(crate) const WEALTHMAGIK: &str = "wealthmagik";

/// All true values of one day.
#[derive(Clone, Debug)]
pub(crate) struct TrueDay {
    pub(crate) date: Date,
    pub(crate) nav: Option<String>,
    pub(crate) bid: Option<String>,
    pub(crate) offer: Option<String>,
    pub(crate) aum: Option<String>,
    /// The source of the NAV; without a NAV, the source of the prices; without prices, the source of the AUM.
    pub(crate) source: &'static str,
}

/// One generated day, before any site reports it. NAV in units of 1/10,000 baht, AUM in satang.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) date: Date,
    pub(crate) nav: i64,
    pub(crate) aum: i64,
}

/// The age of Finnomena's latest NAV in business days: 1 is yesterday's NAV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lag {
    /// The same age on every day.
    Fixed(u32),
    /// An age that is drawn for each business day. On a morning, about 43 % of the funds show yesterday's NAV, 44 % the
    /// one before and 12 % an older one. A NAV that a site has shown stays visible.
    Drawn,
}

/// Of a hundred draws, this many give a lag of 1, and this many a lag of at most 2. A NAV that was shown once stays
/// visible, so fewer funds lag than the draws alone would give.
const LAG_OF_A_HUNDRED: [u64; 2] = [43, 79];
const LONGEST_LAG: u32 = 3;

/// The site's wrong values for the whole series, set by a mass change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Distortion {
    /// Days before this date have another NAV: this many per mille of the true one.
    pub(crate) rewritten: Option<(Date, i64)>,
    /// Every AUM is 0.
    pub(crate) no_aum: bool,
}

impl NavPlan {
    /// Whether Finnomena's NAV list of this fund has any days.
    fn finnomena_has_days(&self) -> bool {
        !matches!(
            self.quirk,
            Some(EdgeCase::EmptyNavs | EdgeCase::NullNavs | EdgeCase::NavAbsent)
        )
    }

    /// Computes the days up to and including `last`, at this fund's frequency.
    pub(crate) fn walk(&self, last: Date) -> Vec<Step> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut nav = random.random_range(40_000..400_000_i64);
        let mut aum = random.random_range(1_000_000_000..900_000_000_000_i64);
        let mut steps = Vec::new();
        let mut day = if self.calendar.is_business_day(self.start) {
            self.start
        } else {
            self.calendar.after(self.start)
        };
        let mut business_days = 0_usize;
        while day <= last {
            nav = (nav + nav * random.random_range(-150..=160) / 10_000).max(1_000);
            aum = (aum + aum * random.random_range(-90..=95) / 10_000).max(100_000);
            if self.quirk == Some(EdgeCase::LevelChangeAfterGap) && business_days == 20 {
                nav = nav * 3 / 2;
            }
            let next = self.calendar.after(day);
            let published = match self.quirk {
                Some(EdgeCase::WeeklyNav) => is_last_of_its_week(day, next),
                Some(EdgeCase::MonthlyNav) => next.month() != day.month(),
                Some(EdgeCase::LevelChangeAfterGap) => !(10..20).contains(&business_days),
                _ => true,
            };
            if published {
                steps.push(Step {
                    date: day,
                    nav,
                    aum,
                });
                let saturday = day.tomorrow().expect("dates stay within jiff's range");
                if self.quirk == Some(EdgeCase::WeekendNav)
                    && day.weekday() == Weekday::Friday
                    && saturday <= last
                {
                    steps.push(Step {
                        date: saturday,
                        nav: nav + 7,
                        aum,
                    });
                }
            }
            business_days += 1;
            day = next;
        }
        steps.retain(|step| self.since.is_none_or(|since| step.date >= since));
        steps
    }

    /// The last date that Finnomena shows on the date `today`.
    pub(crate) fn last_shown(&self, today: Date) -> Date {
        let before = |date, count| self.calendar.before(date, count);
        match self.lag {
            Lag::Fixed(lag) => before(today, lag),
            Lag::Drawn => (1..=LONGEST_LAG)
                .map(|age| before(today, age))
                .map(|morning_after| before(morning_after, self.drawn_lag(morning_after) - 1))
                .max()
                .unwrap_or_else(|| before(today, LONGEST_LAG)),
        }
    }

    /// The lag on the mornings from this business day until the next one.
    fn drawn_lag(&self, business_day: Date) -> u32 {
        let day = business_day
            .since(Date::ZERO)
            .map_or(0, |since| since.get_days());
        let seed = self.seed ^ u64::from(day.unsigned_abs()).rotate_left(32);
        let drawn = ChaCha8Rng::seed_from_u64(seed).random_range(0..100);
        let beyond = LAG_OF_A_HUNDRED.iter().filter(|most| drawn >= **most);
        beyond.zip(2..).map(|(_, lag)| lag).last().unwrap_or(1)
    }

    /// Finnomena's list on the date `today`.
    pub(crate) fn series(&self, today: Date) -> Series {
        if let Some(real) = &self.real {
            return real_series(real);
        }
        let mut series = Series::default();
        if !self.finnomena_has_days() {
            return series;
        }
        for (place, step) in self.walk(self.last_shown(today)).into_iter().enumerate() {
            self.say(place, step, &mut series);
        }
        let stray = |date: &str| NavEntry {
            date: date.to_owned(),
            value: "10.5".to_owned(),
            amount: "1000".to_owned(),
        };
        match self.quirk {
            Some(EdgeCase::Year2099) => series.entries.push(stray("2099-12-31T00:00:00Z")),
            Some(EdgeCase::NavYearOne) => series.entries.insert(0, stray("0001-01-01T00:00:00Z")),
            Some(EdgeCase::InvalidDate) => {
                let place = series.entries.len().min(2);
                series.entries.insert(place, stray("2025-02-30T00:00:00Z"));
            }
            _ => {}
        }
        series
    }

    /// Appends one day to the series: decides its true values and their spelling.
    fn say(&self, place: usize, step: Step, series: &mut Series) {
        let quirk = self.quirk.filter(|_| place % QUIRK_EVERY == QUIRK_AT);
        let two_wrong_days =
            self.quirk == Some(EdgeCase::WrongClassTwoDays) && matches!(place % QUIRK_EVERY, 3 | 4);
        let nav_units = if two_wrong_days {
            step.nav / 6
        } else {
            step.nav
        };
        let nav_units = match self.distortion.rewritten {
            Some((before, per_mille)) if step.date < before => nav_units * per_mille / 1_000,
            _ => nav_units,
        };
        let mut nav = Some(scaled(nav_units, 4));
        let mut aum = Some(scaled(step.aum, 2));
        let mut value = nav.clone().unwrap_or_default();
        let mut amount = aum.clone().unwrap_or_default();
        match quirk {
            Some(EdgeCase::NavZero) => (nav, value) = (None, "0".to_owned()),
            Some(EdgeCase::NavNull) => (nav, value) = (None, "null".to_owned()),
            Some(EdgeCase::AmountZero) => (aum, amount) = (Some("0".to_owned()), "0.0".to_owned()),
            Some(EdgeCase::AmountNull) => (aum, amount) = (None, "null".to_owned()),
            Some(EdgeCase::AmountNan) => (aum, amount) = (None, "NaN".to_owned()),
            Some(EdgeCase::AmountInfinity) => (aum, amount) = (None, "Infinity".to_owned()),
            Some(EdgeCase::TrailingZeros) => value = trailing_zeros(&value),
            Some(EdgeCase::Exponent) => (value, amount) = (exponent(&value), exponent(&amount)),
            Some(EdgeCase::ManyDecimals) => {
                let (truth, spelt) = more_than_ten_decimals(&value);
                (nav, value) = (Some(truth), spelt);
            }
            Some(EdgeCase::DuplicateDate) => series.entries.push(NavEntry {
                date: rfc3339(step.date),
                value: scaled(nav_units + 111, 4),
                amount: scaled(step.aum + 5_000, 2),
            }),
            _ => {}
        }
        if let Some(revised) = self.revisions.get(&step.date) {
            (nav, value) = (Some(revised.clone()), revised.clone());
        }
        if self.distortion.no_aum {
            (aum, amount) = (Some("0".to_owned()), "0".to_owned());
        }
        series.entries.push(NavEntry {
            date: rfc3339(step.date),
            value,
            amount,
        });
        series.days.push(Day {
            date: step.date,
            nav,
            aum,
        });
    }

    /// The newest day that Finnomena shows on the date `today`.
    pub(crate) fn newest(&self, today: Date) -> Option<Date> {
        self.series(today).days.last().map(|day| day.date)
    }

    /// The date of the quote that WealthMagik shows on the date `today`.
    pub(crate) fn quote_date(&self, today: Date) -> Option<Date> {
        if let Some(real) = &self.real {
            return real.last().map(|day| day.date);
        }
        let shown = self.last_shown(today);
        let steps = self.walk(self.calendar.before(today, 1));
        let latest = steps.iter().rposition(|step| step.date <= shown)?;
        let place = match self.quote_quirk {
            Some(EdgeCase::PriceDateOlder) => latest.saturating_sub(1),
            Some(EdgeCase::PriceDateNewer) => (latest + 1).min(steps.len() - 1),
            _ => latest,
        };
        Some(steps[place].date)
    }

    /// The quote of one of this fund's NAV dates. It depends on the date alone, so each request for a date gets the
    /// same quote.
    pub(crate) fn quote_on(&self, date: Date) -> Option<Quote> {
        if let Some(real) = &self.real {
            return real
                .iter()
                .rfind(|day| day.date == date)
                .map(RealDay::quote);
        }
        let step = self
            .walk(date)
            .into_iter()
            .rfind(|step| step.date == date)?;
        let price = |per_mille: i64| Some(scaled(step.nav * per_mille / 1_000, 4));
        let (bid, offer) = match self.quote_quirk {
            Some(EdgeCase::PricesMissing) => (None, None),
            _ => (price(998), price(1_008)),
        };
        let nav = match self.quote_quirk {
            Some(EdgeCase::WealthMagikNavZero) => None,
            // WealthMagik may be wrong only where Finnomena reports the true value, because WealthMagik ranks lower.
            Some(EdgeCase::NavDisagreement) if self.finnomena_names_nav(date) => {
                Some(scaled(step.nav + 321, 4))
            }
            _ => Some(scaled(step.nav, 4)),
        };
        Some(Quote {
            date,
            nav,
            bid,
            offer,
            aum: if self.distortion.no_aum {
                "0".to_owned()
            } else {
                scaled(step.aum, 2)
            },
        })
    }

    /// The days that any site reports, with the quotes of the dates in `quoted`.
    ///
    /// A number that Finnomena reports is the true one by definition: where the sites differ, `quote_on`, and `say` for
    /// days with an edge case, make WealthMagik wrong.
    pub(crate) fn true_days(&self, today: Date, quoted: &BTreeSet<Date>) -> Vec<TrueDay> {
        let mut days: BTreeMap<Date, TrueDay> = BTreeMap::new();
        for Day { date, nav, aum } in self.series(today).days {
            if nav.is_some() || aum.is_some() {
                days.insert(
                    date,
                    TrueDay {
                        date,
                        nav,
                        bid: None,
                        offer: None,
                        aum,
                        source: FINNOMENA,
                    },
                );
            }
        }
        for quote in quoted.iter().filter_map(|date| self.quote_on(*date)) {
            let Quote {
                date,
                nav,
                bid,
                offer,
                aum,
            } = quote;
            let only_quoted = TrueDay {
                date,
                nav: None,
                bid: None,
                offer: None,
                aum: None,
                source: WEALTHMAGIK,
            };
            let day = days.entry(date).or_insert(only_quoted);
            if day.nav.is_none() && (nav.is_some() || bid.is_some() || offer.is_some()) {
                (day.nav, day.source) = (nav, WEALTHMAGIK);
            }
            (day.bid, day.offer) = (bid, offer);
            day.aum.get_or_insert(aum);
        }
        days.into_values().collect()
    }

    fn finnomena_names_nav(&self, date: Date) -> bool {
        let mut until = self.clone();
        until.lag = Lag::Fixed(0);
        until
            .series(date)
            .days
            .last()
            .is_some_and(|day| day.date == date && day.nav.is_some())
    }
}

/// Whether `next`, the business day after `day`, is in another week.
fn is_last_of_its_week(day: Date, next: Date) -> bool {
    let into_week = |date: Date| date.weekday().to_monday_zero_offset();
    into_week(next) <= into_week(day) || (next - day).get_days() >= 7
}

fn real_series(real: &[RealDay]) -> Series {
    Series {
        entries: real
            .iter()
            .map(|day| NavEntry {
                date: rfc3339(day.date),
                value: day.last_val.to_string(),
                amount: day.net_asset.to_string(),
            })
            .collect(),
        days: real
            .iter()
            .map(|day| Day {
                date: day.date,
                nav: day.nav(),
                aum: Some(crate::real::canonical(&day.net_asset)),
            })
            .collect(),
    }
}

/// The first date of a range of Finnomena's NAV list (`1D` … `5Y`). None for `MAX` and for an unknown range.
pub(crate) fn range_start(range: &str, today: Date) -> Option<Date> {
    let span = match range {
        "1D" => 1.day(),
        "1W" => 1.week(),
        "1M" => 1.month(),
        "3M" => 3.months(),
        "6M" => 6.months(),
        "1Y" => 1.year(),
        "3Y" => 3.years(),
        "5Y" => 5.years(),
        "YTD" => return Some(today.first_of_year()),
        _ => return None,
    };
    today.checked_sub(span).ok()
}
