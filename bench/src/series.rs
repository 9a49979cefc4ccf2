//! Generated NAV histories with as many rows as a real market, without parsers and sites.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday, date};
use schema::observation::DailyPoint;
use schema::{FundCode, Number, Observation, ObservationData, SourceName};

/// The last day of every series.
pub const LAST_DAY: Date = date(2026, 10, 14);

/// The size of the warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Number of share classes.
    pub funds: usize,
    /// Days of NAV and AUM per share class.
    pub days: usize,
}

impl Size {
    /// Number of rows in `funds_daily`.
    #[must_use]
    pub const fn rows(self) -> usize {
        self.funds * self.days
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.funds, self.days)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text} is no size; write it as 220x1000: funds and days");
        let (funds, days) = text.split_once('x').ok_or_else(wrong)?;
        let number = |digits: &str| digits.parse().map_err(|_| wrong());
        Ok(Self {
            funds: number(funds)?,
            days: number(days)?,
        })
    }
}

/// The code of fund number `place`.
///
/// # Panics
/// Never: every such name is a valid code.
#[must_use]
pub fn fund_code(place: usize) -> FundCode {
    FundCode::parse(&format!("BENCH-{place:05}")).unwrap_or_else(|error| panic!("{error}"))
}

/// The business days of a series of `days` days, oldest first.
#[must_use]
pub fn business_days(days: usize) -> Vec<Date> {
    let mut dates = Vec::with_capacity(days);
    let mut date = LAST_DAY;
    while dates.len() < days {
        if !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
            dates.push(date);
        }
        date = date.saturating_sub(1.day());
    }
    dates.reverse();
    dates
}

/// NAV (4 decimals) and AUM (2 decimals) of a fund on a day of its series: slowly changing and bounded.
#[must_use]
pub fn values(fund: usize, day: usize) -> (Number, Number) {
    let wave = (fund * 7919 + day * 31) % 20_011;
    let nav = 90_000 + wave + day;
    let aum = 15_000_000_000_u64 + (wave as u64) * 7_301 + (day as u64) * 1_013;
    (decimal(nav as u64, 4), decimal(aum, 2))
}

fn decimal(units: u64, decimals: usize) -> Number {
    let digits = format!("{units:0width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    Number::parse(&format!("{whole}.{fraction}")).unwrap_or_else(|error| panic!("{error}"))
}

/// The observation of Finnomena with a fund's whole history.
#[must_use]
pub fn history(fund: usize, dates: &[Date]) -> Observation {
    let points = dates
        .iter()
        .enumerate()
        .map(|(day, nav_date)| {
            let (nav, aum) = values(fund, day);
            DailyPoint {
                nav_date: *nav_date,
                nav: Some(nav),
                bid: None,
                offer: None,
                aum: Some(aum),
            }
        })
        .collect();
    Observation {
        fund_code: fund_code(fund),
        source: SourceName::Finnomena,
        as_of_date: None,
        url: format!("https://www.finnomena.com/fn3/api/fund/v2/public/funds/F{fund:09}/nav/q"),
        data: ObservationData::Daily(points),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_as_it_is_written() {
        let size = Size {
            funds: 22_000,
            days: 2_000,
        };
        assert_eq!(size.to_string().parse(), Ok(size));
        assert!("22000".parse::<Size>().is_err());
    }

    #[test]
    fn a_series_has_its_days_and_ends_on_the_last_one() {
        let dates = business_days(2_000);
        assert_eq!(dates.len(), 2_000);
        assert_eq!(dates.last(), Some(&LAST_DAY));
        assert!(dates.windows(2).all(|pair| pair[0] < pair[1]));
        let (nav, aum) = values(3, 5);
        assert_eq!(
            (nav.to_string().as_str(), aum.to_string().as_str()),
            ("9.3906", "150284862.66")
        );
    }
}
