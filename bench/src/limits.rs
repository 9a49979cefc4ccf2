//! The limits and how figures are compared with them: floors, shares and ratios. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use simulator::Site;

use crate::runner::Rates;

/// Number of active funds per hundred funds of the simulator's list.
const ACTIVE_PER_HUNDRED: usize = 61;

/// How many funds the simulator must list so that at least `active` of them are active.
#[must_use]
pub const fn listed_for(active: usize) -> usize {
    (active * 100).div_ceil(ACTIVE_PER_HUNDRED)
}

/// The host that needs the longest at its allowed rate, and that time.
#[must_use]
pub fn floor(requests: &BTreeMap<Site, usize>, rates: Rates) -> Option<(Site, Duration)> {
    requests
        .iter()
        .map(|(site, requests)| {
            let rate = match site {
                Site::SecApi | Site::SecPage | Site::SecOpenApi => rates.sec,
                Site::Finnomena | Site::WealthMagik | Site::Documents => rates.most,
            };
            (*site, Duration::from_secs_f64(*requests as f64 / rate))
        })
        .max_by_key(|(_, time)| *time)
}

/// The share of the machine that was busy: `busy` processor time of `cores` during `wall`.
#[must_use]
pub fn share(busy: Duration, cores: usize, wall: Duration) -> f64 {
    busy.as_secs_f64() / (wall.as_secs_f64() * cores as f64)
}

/// One time divided by another.
#[must_use]
pub fn ratio(time: Duration, by: Duration) -> f64 {
    time.as_secs_f64() / by.as_secs_f64()
}

/// The better result of two goals, each a figure and its target; 1 or more if one of them is met.
#[must_use]
pub fn better_of(goals: [(f64, f64); 2]) -> f64 {
    goals
        .into_iter()
        .map(|(figure, target)| figure / target)
        .fold(f64::NEG_INFINITY, f64::max)
}

/// Converts KiB to the megabytes of the target (1,000,000 bytes).
#[must_use]
pub fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_that_of_the_host_that_is_done_last() {
        let rates = Rates {
            most: 20.0,
            sec: 10.0,
        };
        let requests = BTreeMap::from([
            (Site::Finnomena, 2_001),
            (Site::WealthMagik, 11_002),
            (Site::SecApi, 5_600),
        ]);
        assert_eq!(
            floor(&requests, rates),
            Some((Site::SecApi, Duration::from_secs(560)))
        );
        assert_eq!(floor(&BTreeMap::new(), rates), None);
    }

    #[test]
    fn a_share_counts_all_cores_and_of_two_goals_the_better_counts() {
        let seconds = Duration::from_secs;
        assert_eq!(share(seconds(9), 2, seconds(5)), 0.9);
        assert_eq!(ratio(seconds(1), seconds(4)), 0.25);
        assert_eq!(better_of([(0.45, 0.9), (0.6, 0.6)]), 1.0);
        assert_eq!(megabytes(1_000_000), 1024.0);
    }

    #[test]
    fn the_issues_market_has_2200_active_funds() {
        assert_eq!(listed_for(2_200), 3_607);
    }
}
