//! The declaration of a page: name, stage, how often it is due, extents and parser version. Each site declares its
//! pages, and the cycle's planner uses the declarations.

use std::num::NonZeroUsize;

use jiff::ToSpan;
use jiff::civil::Date;

/// One kind of page of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSpec {
    /// The name in `runner.task.page`, such as `nav`.
    pub name: &'static str,
    /// The stage of a cycle in which the page can be planned.
    pub stage: Stage,
    /// Whether the page is critical (lists, NAV, bid and offer). In the modes Sequential and Hybrid a source requests
    /// critical pages first.
    pub critical: bool,
    /// Whether the page contains links to factsheets. The factsheets are planned after the page is acknowledged.
    pub tells_factsheets: bool,
    /// How often the page is due.
    pub cadence: Cadence,
    /// How many tasks share one request (SEC: one request for several codes).
    pub tasks_per_request: NonZeroUsize,
    /// The parser version. Raise it whenever the parser reads something new from the same payload: older payload hashes
    /// and known prefixes are then not used (P2).
    pub parser_version: i32,
    /// How much of the page can be requested, smallest first, the whole last; empty if there is no choice.
    pub extents: &'static [Extent],
    /// Whether a daily cycle needs the page only for NAV, AUM, bid and offer. It is not requested then for a fund whose
    /// values of this cycle a page of [`Stage::Market`] has.
    pub has_daily_values: bool,
    /// `Some`: the page is a list with cursors ([`crate::ask`]).
    pub chain: Option<ChainSpec>,
}

/// A list that the source returns page by page, each with the cursor of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainSpec {
    /// The largest number of pages. A list that goes on after them has no end.
    pub max_pages: u32,
    /// `Some`: there is one list for each day of this window. `None`: one list for the whole market.
    pub window: Option<DayWindow>,
    /// `Some`: the list is requested for the quarters of this window.
    pub quarters: Option<QuarterWindow>,
}

/// The quarters whose values are requested: the newest one, and the one before it as long as the newest one may not be
/// published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarterWindow {
    /// The number of days after the end of a quarter in which its values are published.
    pub published_after_days: u8,
}

impl QuarterWindow {
    /// The first and the last quarter to request in a cycle of this date, each as year and last month: `202606-202609`.
    #[must_use]
    pub fn extent(self, date: Date) -> String {
        let last = last_ended_quarter(date);
        let published = date.saturating_sub(i64::from(self.published_after_days).days());
        let first = last_ended_quarter(published);
        format!("{}-{}", first.strftime("%Y%m"), last.strftime("%Y%m"))
    }
}

/// The last day of the newest quarter that ended on this date or before.
fn last_ended_quarter(date: Date) -> Date {
    let tomorrow = date.saturating_add(1.day());
    let months_into_quarter = i64::from((tomorrow.month() - 1) % 3);
    let first = tomorrow.first_of_month();
    first
        .saturating_sub(months_into_quarter.months())
        .saturating_sub(1.day())
}

/// The days before a cycle's date whose values are requested again, because they may be published late or revised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayWindow {
    /// Number of calendar days in an ordinary cycle.
    pub nightly: u8,
    /// The same in the first cycle of a week and in a monthly cycle.
    pub weekly: u8,
}

impl DayWindow {
    /// The days to request in a cycle of this date: up to the date itself, newest first. `previous` is the date of the
    /// last full cycle that closed before; days that it could not see yet are always included, up to
    /// [`Self::MAX_DAYS`].
    #[must_use]
    pub fn days(self, date: Date, previous: Option<Date>, monthly: bool) -> Vec<Date> {
        let back = self.reach(date, previous, monthly);
        std::iter::successors(Some(date), |day| day.yesterday().ok())
            .take(usize::try_from(back).unwrap_or(0) + 1)
            .collect()
    }

    /// The first one of these days.
    #[must_use]
    pub fn first_day(self, date: Date, previous: Option<Date>, monthly: bool) -> Date {
        date.saturating_sub(i64::from(self.reach(date, previous, monthly)).days())
    }

    /// The number of days before the date that are requested.
    fn reach(self, date: Date, previous: Option<Date>, monthly: bool) -> i32 {
        let back = if monthly || is_first_of_week(date, previous) {
            self.weekly
        } else {
            self.nightly
        };
        let missed = previous.map_or(0, |previous| (date - previous).get_days().max(0));
        i32::from(back).max(missed).min(i32::from(Self::MAX_DAYS))
    }

    /// The largest number of days in a window.
    pub const MAX_DAYS: u8 = 31;
}

/// Whether no full cycle closed earlier in the week of `date`. `previous` is the date of the last one.
#[must_use]
pub fn is_first_of_week(date: Date, previous: Option<Date>) -> bool {
    let week = |date: Date| {
        let week = date.iso_week_date();
        (week.year(), week.week())
    };
    previous.is_none_or(|previous| week(previous) != week(date))
}

/// A part of a history that can be requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The page's own word for the part, such as `1M`.
    pub word: &'static str,
    /// The minimum number of days back that the part reaches; `None` for the whole history.
    pub days: Option<u16>,
}

/// The number of funds on each page of [`Stage::News`].
pub const FUNDS_A_PIECE: usize = 100;

/// The stages of a cycle. Each is planned in one transaction after the stage before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// One page for the whole market: the list of its funds.
    Lists,
    /// Pages about many funds with values of the tables, one task for each part of the market. All sources wait for
    /// them, because they decide which pages of single funds are still needed.
    Market,
    /// Lists of values of single projects that the lists of [`Self::Market`] do not reach, one task for each project.
    /// They are planned when all lists of days of the cycle are answered.
    Projects,
    /// Numbered pages of [`FUNDS_A_PIECE`] funds each. They report which funds have new data, and fill no table. They
    /// only save requests, so an error in them must not cost more than the requests they would have saved.
    News,
    /// One task per fund.
    Funds,
    /// Documents that a fund's page links to: factsheets.
    Factsheets,
    /// Histories of single projects, for funds whose history no page of [`Self::Funds`] has. They are planned last,
    /// because the answers of these pages decide about them.
    Histories,
}

impl Stage {
    /// The stages in the order in which they are planned.
    pub const ALL: [Self; 7] = [
        Self::Lists,
        Self::Market,
        Self::Projects,
        Self::News,
        Self::Funds,
        Self::Factsheets,
        Self::Histories,
    ];

    /// Whether too many broken pages or rejected records of this stage are a breach of contract (D6).
    #[must_use]
    pub const fn is_under_contract(self) -> bool {
        !matches!(self, Self::News)
    }
}

/// How often a page is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// In every cycle.
    EveryCycle,
    /// In the first cycle of each week, in monthly cycles, and as long as it was never answered or failed the last
    /// time.
    Weekly,
    /// In daily cycles; a monthly cycle requests every history in any case.
    Daily,
    /// In monthly cycles. In a daily cycle for every fund, except those for which the source reported in that cycle
    /// that nothing is new ([`Stage::News`]).
    MonthlyOrNews,
    /// In monthly cycles, and in a daily cycle for funds for which the page was never answered.
    MonthlyOrNew,
    /// Like [`Cadence::MonthlyOrNew`], but in monthly cycles only for funds that may pay dividends.
    MonthlyForPayersOrNew,
    /// Like [`Cadence::MonthlyOrNew`], and also for funds whose entry in the source's list has changed.
    MonthlyOrListingChanged,
    /// In monthly cycles, and in a daily cycle for funds whose link to the page is new or has changed.
    MonthlyOrLinkChanged,
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_quarters_reach_back_to_one_that_is_published() {
        let window = QuarterWindow {
            published_after_days: 60,
        };
        for (date, quarters) in [
            (date(2026, 9, 29), "202606-202606"),
            (date(2026, 9, 30), "202606-202609"),
            (date(2026, 10, 15), "202606-202609"),
            (date(2026, 11, 28), "202606-202609"),
            (date(2026, 11, 29), "202609-202609"),
            (date(2027, 1, 15), "202609-202612"),
        ] {
            assert_eq!(window.extent(date), quarters, "{date}");
        }
    }

    #[test]
    fn a_window_is_wide_once_a_week_and_after_a_gap() {
        let window = DayWindow {
            nightly: 5,
            weekly: 14,
        };
        // 2026-11-24 is a Tuesday.
        let days = |previous: Option<Date>, monthly| {
            let days = window.days(date(2026, 11, 24), previous, monthly);
            assert_eq!(days[0], date(2026, 11, 24));
            let first = window.first_day(date(2026, 11, 24), previous, monthly);
            assert_eq!(days.last(), Some(&first));
            days.len()
        };
        assert_eq!(days(Some(date(2026, 11, 23)), false), 6);
        assert_eq!(days(Some(date(2026, 11, 22)), false), 15, "another week");
        assert_eq!(days(None, false), 15);
        assert_eq!(days(Some(date(2026, 11, 23)), true), 15);
        assert_eq!(days(Some(date(2026, 11, 4)), false), 21, "after a gap");
        assert_eq!(days(Some(date(2026, 1, 4)), false), 32, "bounded");
        assert_eq!(days(Some(date(2027, 1, 4)), false), 15, "a clock set back");
    }
}
