//! Decides whether the system clock can be believed (O9). Pure: all facts are arguments.
//!
//! The clock's date names a cycle, and pages are believed up to that date. Therefore no cycle is opened if the clock
//! contradicts the sites, the newest closed cycle or the build. If the sites report a time, only that time is compared.
//! A cycle that was closed while the clock was fast has a future date; it must not stop the runner after the clock is
//! corrected.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Maximum difference between the clock and the sites. Time zones and late answers cause smaller differences.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(24);
/// The earliest date that `--date` accepts.
const FIRST_DATE: Date = Date::constant(2000, 1, 1);

/// All facts about the time.
#[derive(Debug, Clone)]
pub struct ClockFacts<'facts> {
    /// What the system clock shows.
    pub now: Timestamp,
    /// The time zone of cycle dates.
    pub timezone: &'facts TimeZone,
    /// The build time of this program.
    pub built: Timestamp,
    /// The newest closed full cycle.
    pub newest_closed: Option<Date>,
    /// The time that each host reported. `None` if the host's certificate is not valid at the time of the system clock.
    pub sites: &'facts [(String, Option<Timestamp>)],
}

/// The reason why the system clock cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockDoubt {
    shown: Date,
    against: Against,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Against {
    Site { host: String, shows: Date },
    Certificate { host: String },
    Cycle(Date),
    Build(Date),
}

impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the clock of this machine shows {}, but ", self.shown)?;
        match &self.against {
            Against::Site { host, shows } => write!(f, "{host} shows {shows}")?,
            Against::Certificate { host } => {
                write!(f, "the certificate of {host} is out of date by it")?;
            }
            Against::Cycle(date) => write!(
                f,
                "the cycle of {date} is closed already, and no site could be reached for the time"
            )?,
            Against::Build(date) => write!(
                f,
                "this program was built on {date}, and no site could be reached for the time"
            )?,
        }
        f.write_str(
            "; no cycle was opened and nothing was changed; set the clock (`timedatectl set-ntp true`), or name the cycle's date with --once --date",
        )
    }
}

/// A closed cycle with a future date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FutureCycle(pub Date);

/// Decides whether the clock can be believed. If it can, returns the closed cycle with a future date, if there is one.
///
/// # Errors
/// The clock is doubted: most sites contradict it, or no site reported a time and a closed cycle or the build is later.
pub fn believed(facts: &ClockFacts<'_>) -> Result<Option<FutureCycle>, ClockDoubt> {
    let date_of = |at: Timestamp| at.to_zoned(facts.timezone.clone()).date();
    let today = date_of(facts.now);
    let doubt = |against| ClockDoubt {
        shown: today,
        against,
    };
    let contradicts = |shows: &Option<Timestamp>| {
        shows.is_none_or(|shows| shows.duration_since(facts.now).abs() > TOLERANCE)
    };
    let against: Vec<_> = facts
        .sites
        .iter()
        .filter(|(_, shows)| contradicts(shows))
        .collect();
    // The majority decides: one host with a wrong clock does not stop the runner.
    if against.len() * 2 > facts.sites.len()
        && let Some((host, shows)) = against
            .iter()
            .find(|(_, shows)| shows.is_some())
            .or(against.first())
    {
        return Err(doubt(match shows {
            Some(shows) => Against::Site {
                host: host.clone(),
                shows: date_of(*shows),
            },
            None => Against::Certificate { host: host.clone() },
        }));
    }
    let future = facts.newest_closed.filter(|closed| *closed > today);
    if facts.sites.is_empty() {
        if let Some(closed) = future {
            return Err(doubt(Against::Cycle(closed)));
        }
        let built = date_of(facts.built);
        if today < built {
            return Err(doubt(Against::Build(built)));
        }
    }
    Ok(future.map(FutureCycle))
}

/// The latest date of a closed cycle that the schedule takes into account: tomorrow. With one day of tolerance, a clock
/// that was set back over midnight repeats no cycle. A cycle with a later date was closed while the clock was fast.
#[must_use]
pub fn closed_until(today: Date) -> Date {
    today.saturating_add(1.day())
}

/// Checks a given `--date` against its range only.
///
/// # Errors
/// The date is before 2000-01-01 or after tomorrow. The error is a message for the user.
pub fn check_given_date(given: Date, today: Date) -> Result<(), String> {
    let tomorrow = today.saturating_add(1.day());
    if (FIRST_DATE..=tomorrow).contains(&given) {
        return Ok(());
    }
    Err(format!(
        "error: invalid value '{given}' for '--date <DATE>': expected {FIRST_DATE} to {tomorrow} (tomorrow)"
    ))
}

/// The build time of this program.
#[must_use]
pub fn built_at() -> Timestamp {
    env!("MASTER_RUNNER_BUILT_AT")
        .parse()
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("{text}T05:00:00Z").parse().expect("a moment")
    }

    /// O9: the sites decide; without them a later cycle or build does.
    #[test]
    fn a_clock_that_contradicts_what_is_known_is_doubted() {
        const BUILT: &str = "2026-11-01";
        let right = "2026-11-27";
        for (what, now, closed, sites, expected) in [
            ("right, new warehouse", right, None, vec![], Ok(None)),
            (
                "right, sites agree",
                right,
                Some("2026-11-26"),
                vec![Some(right); 3],
                Ok(None),
            ),
            (
                "1970",
                "1970-01-01",
                None,
                vec![],
                Err("built on 2026-11-01"),
            ),
            (
                "1970, sites",
                "1970-01-01",
                None,
                vec![Some(right); 3],
                Err("shows 2026-11-27"),
            ),
            (
                "1970, TLS",
                "1970-01-01",
                None,
                vec![None; 3],
                Err("certificate of host-0"),
            ),
            (
                "60 days slow",
                "2026-09-28",
                Some("2026-11-26"),
                vec![Some(right)],
                Err("shows 2026-11-27"),
            ),
            (
                "14 days slow, no site",
                "2026-11-13",
                Some("2026-11-27"),
                vec![],
                Err("cycle of 2026-11-27"),
            ),
            (
                "14 days slow, sites",
                "2026-11-13",
                Some("2026-11-27"),
                vec![Some(right); 2],
                Err("shows 2026-11-27"),
            ),
            (
                "60 days fast",
                "2027-01-26",
                Some("2026-11-26"),
                vec![Some(right); 2],
                Err("shows 2026-11-27"),
            ),
            (
                "60 days fast and back",
                right,
                Some("2027-01-26"),
                vec![Some(right); 2],
                Ok(Some("2027-01-26")),
            ),
            (
                "60 days fast and back, no site",
                right,
                Some("2027-01-26"),
                vec![],
                Err("cycle of 2027-01-26"),
            ),
            (
                "one of three hosts is wrong",
                right,
                None,
                vec![Some(right), Some(right), Some("2020-01-01")],
                Ok(None),
            ),
            (
                "half of the hosts are wrong",
                right,
                None,
                vec![Some(right), None],
                Ok(None),
            ),
            (
                "built by a fast clock",
                "2026-10-30",
                None,
                vec![Some("2026-10-30")],
                Ok(None),
            ),
            ("a day off", right, None, vec![Some("2026-11-28")], Ok(None)),
            (
                "two days off",
                right,
                None,
                vec![Some("2026-11-29")],
                Err("shows 2026-11-29"),
            ),
        ] {
            let bangkok = TimeZone::get("Asia/Bangkok").expect("a time zone");
            let sites: Vec<_> = sites
                .into_iter()
                .enumerate()
                .map(|(number, shows)| (format!("host-{number}"), shows.map(at)))
                .collect();
            let found = believed(&ClockFacts {
                now: at(now),
                timezone: &bangkok,
                built: at(BUILT),
                newest_closed: closed.map(|closed: &str| closed.parse().expect("a date")),
                sites: &sites,
            });
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    let expected =
                        expected.map(|date: &str| FutureCycle(date.parse().expect("a date")));
                    assert_eq!(found, expected, "{what}");
                }
                (Err(doubt), Err(words)) => {
                    let said = doubt.to_string();
                    assert!(
                        said.starts_with("the clock") && said.contains(words),
                        "{what}: {said}"
                    );
                }
                (found, _) => panic!("{what}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_given_date_is_compared_with_its_range_alone() {
        let today = date(2026, 11, 27);
        for (given, taken) in [
            (date(2000, 1, 1), true),
            (date(2026, 11, 28), true),
            (date(2010, 6, 15), true),
            (date(1999, 12, 31), false),
            (date(2026, 11, 29), false),
            (date(2569, 11, 27), false),
        ] {
            let checked = check_given_date(given, today);
            assert_eq!(checked.is_ok(), taken, "{given}");
            if let Err(why) = checked {
                assert!(
                    why.contains("--date") && why.contains("2026-11-28"),
                    "{why}"
                );
            }
        }
    }

    #[test]
    fn the_build_has_a_date() {
        assert!(built_at() > at("2025-01-01"), "{}", built_at());
    }
}
