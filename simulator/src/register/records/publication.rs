//! When and how the register publishes the NAVs of a class.
//!
//! A row is published some days after its date. A few rows are published with a value that is corrected days later. In
//! 9 to 16 % of the rows a price is 0.0: not offered.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::nav_series::NavPlan;

/// Of 256 rows, this many have no offer, no bid, an AUM of 0, or a value that is corrected later.
const NOT_SOLD: u64 = 30;
const NOT_BOUGHT: u64 = 27;
const WITHOUT_AUM: u64 = 8;
const CORRECTED: u64 = 8;
/// A duplicated day occurs this often in the series of a class that has any.
const DUPLICATE_EVERY: u64 = 10;

/// How the register publishes the NAVs of a class.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) seed: u64,
    /// The days from a NAV's date to its publication.
    pub(crate) lag_days: i64,
    /// Only the last business day of each month is published.
    pub(crate) is_monthly: bool,
    /// Units are neither sold nor bought back: both prices are 0.0 on every day.
    pub(crate) never_offered: bool,
    /// Some days occur twice; the second row is the valid one.
    pub(crate) has_duplicates: bool,
    /// Days with an AUM of 0 and corrected values occur.
    pub(crate) has_edge_cases: bool,
}

/// One row. Prices in units of 1/10,000, the AUM in satang; a price of 0 means not offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegisterDay {
    pub(crate) date: Date,
    pub(crate) net_asset: i64,
    pub(crate) last_val: i64,
    pub(crate) sell: i64,
    pub(crate) buy: i64,
    /// The day of the row's last change.
    pub(crate) updated: Date,
    /// A later row of the same day replaces this one.
    pub(crate) is_replaced: bool,
}

/// The publications that belong to one name of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// The first and the last of the days that the register lacks.
    pub(crate) hole: Option<(Date, Date)>,
    /// Only publications after this day.
    pub(crate) after: Option<Date>,
    /// Only publications of this day and earlier ones.
    pub(crate) until: Date,
}

/// The published rows of a class, in the order of their dates.
pub(crate) fn published(
    nav: &NavPlan,
    publication: &Publication,
    window: Window,
) -> Vec<RegisterDay> {
    let Window { hole, after, until } = window;
    let in_hole = |date: Date| hole.is_some_and(|(first, last)| (first..=last).contains(&date));
    let mut days = Vec::new();
    for day in all_days(nav, publication, until) {
        let on = day.date.saturating_add(publication.lag_days.days());
        if on > until || in_hole(day.date) || after.is_some_and(|after| on <= after) {
            continue;
        }
        if nav.real.is_some() {
            days.push(RegisterDay { updated: on, ..day });
        } else {
            publication.publish(day, on, until, &mut days);
        }
    }
    days
}

/// The true rows up to the day before `today`, whether or not they are published.
fn all_days(nav: &NavPlan, publication: &Publication, today: Date) -> Vec<RegisterDay> {
    let row = |date: Date, last_val: i64, net_asset: i64, sell: i64, buy: i64| RegisterDay {
        date,
        net_asset,
        last_val,
        sell,
        buy,
        updated: date,
        is_replaced: false,
    };
    if let Some(real) = &nav.real {
        return real
            .iter()
            .map(|day| {
                let [sell, buy] = [day.sell_price(), day.buy_price()].map(|price| units(price, 4));
                row(
                    day.date,
                    units(&day.last_val, 4),
                    units(&day.net_asset, 2),
                    sell,
                    buy,
                )
            })
            .collect();
    }
    let yesterday = today.saturating_sub(1.day());
    nav.walk(yesterday)
        .into_iter()
        .filter(|step| {
            !publication.is_monthly || nav.calendar.after(step.date).month() != step.date.month()
        })
        .map(|step| {
            let last_val = nav
                .revisions
                .get(&step.date)
                .map_or(step.nav, |revised| units(revised, 4));
            let last_val = match nav.distortion.rewritten {
                Some((before, per_mille)) if step.date < before => last_val * per_mille / 1_000,
                _ => last_val,
            };
            row(
                step.date,
                last_val,
                if nav.distortion.no_aum { 0 } else { step.aum },
                last_val * 1_008 / 1_000,
                last_val * 998 / 1_000,
            )
        })
        .collect()
}

impl Publication {
    /// Appends what the register shows on the date `today` of a row that it published on the date `on`.
    fn publish(&self, mut day: RegisterDay, on: Date, today: Date, days: &mut Vec<RegisterDay>) {
        day.updated = on;
        let draw = mixed(self.seed ^ number_of(day.date));
        let drawn = |place: u32, of_256: u64| draw >> (8 * place) & 0xff < of_256;
        if self.never_offered || drawn(0, NOT_SOLD) {
            day.sell = 0;
        }
        if self.never_offered || drawn(1, NOT_BOUGHT) {
            day.buy = 0;
        }
        if self.has_edge_cases {
            if drawn(2, WITHOUT_AUM) {
                day.net_asset = 0;
            }
            if drawn(3, CORRECTED) {
                let corrected = on.saturating_add(correction_days(draw).days());
                if corrected > today {
                    day.last_val += 1 + below(draw >> 40, 64);
                } else {
                    day.updated = corrected;
                }
            }
        }
        if self.has_duplicates && draw.is_multiple_of(DUPLICATE_EVERY) {
            days.push(RegisterDay {
                last_val: day.last_val + 113,
                is_replaced: true,
                ..day.clone()
            });
        }
        days.push(day);
    }
}

/// The days until a wrong value is corrected: within a week, or for one in eight after 25 days.
fn correction_days(draw: u64) -> i64 {
    let within_a_week = 1 + below(draw >> 32, 4);
    if draw >> 48 & 7 == 0 {
        25
    } else {
        within_a_week
    }
}

/// A number of 0 to `bound` - 1.
fn below(draw: u64, bound: u64) -> i64 {
    i64::try_from(draw % bound).unwrap_or_default()
}

/// A well-mixed number (splitmix64): draws that depend on their argument alone.
pub(crate) fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

fn number_of(date: Date) -> u64 {
    let days = date.since(Date::ZERO).map_or(0, |since| since.get_days());
    u64::from(days.unsigned_abs()).rotate_left(32)
}

/// A decimal text in units of `10^-places`.
fn units(number: &str, places: usize) -> i64 {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(places)
        .collect();
    format!("{whole}{fraction}").parse().unwrap_or_default()
}
