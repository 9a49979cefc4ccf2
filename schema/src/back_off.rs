//! The wait before something that failed is tried again: it doubles with each failure, up to a limit. Pure.

use std::time::Duration;

/// The bounds of a wait that doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl BackOff {
    /// A wait of `first` that doubles up to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The wait after `doublings` further failures: the first one doubled that often, at most the longest.
    #[must_use]
    pub fn after(self, doublings: u32) -> Duration {
        let times = 2_u32.saturating_pow(doublings);
        self.first.saturating_mul(times).min(self.longest)
    }

    /// The same with full jitter: `fraction` of the wait, a random number from 0 to 1.
    #[must_use]
    pub fn jittered(self, doublings: u32, fraction: f64) -> Duration {
        self.after(doublings).mul_f64(fraction.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest_for_any_number_of_failures() {
        let back_off = BackOff::new(Duration::from_secs(30), Duration::from_secs(600));
        for (doublings, secs) in [(0, 30), (1, 60), (4, 480), (5, 600), (6, 600), (99, 600)] {
            assert_eq!(back_off.after(doublings), Duration::from_secs(secs));
        }
        assert_eq!(back_off.after(u32::MAX), back_off.longest);
        let above = BackOff::new(Duration::from_secs(9), Duration::from_secs(5));
        assert_eq!(above.after(0), above.longest);
        let none = BackOff::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(none.after(u32::MAX), Duration::ZERO);
    }

    proptest::proptest! {
        #[test]
        fn full_jitter_stays_between_nothing_and_the_wait(doublings: u32, fraction in -1.0..2.0_f64) {
            let back_off = BackOff::new(Duration::from_millis(500), Duration::from_secs(30));
            proptest::prop_assert!(back_off.jittered(doublings, fraction) <= back_off.after(doublings));
            proptest::prop_assert_eq!(back_off.jittered(doublings, 0.0), Duration::ZERO);
            proptest::prop_assert_eq!(back_off.jittered(doublings, 1.0), back_off.after(doublings));
        }
    }
}
